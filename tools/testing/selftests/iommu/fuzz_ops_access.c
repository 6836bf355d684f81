// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on kernel accesses and on descriptors.
 */
#include "fuzz_parts.h"

/*
 * Accesses
 */

void gen_access(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_IOAS);
	op->to = pick_empty(f, rng);
	op->flags = chance(rng, 70);
}

void run_access(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 want = 0, ioas = id_of(f, op->obj);
	int file = -1;

	if (!can_keep(f, op))
		return;
	if (agree(f, model_access_create(&f->model, ioas, op->flags & 1, &want),
		  KERNEL(f, access_create(f->fd, ioas, op->flags & 1, &file))))
		keep(f, op, want, want, file);
}

void gen_access_use(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	__u32 id;

	op->obj = pick(f, rng, T_ACCESS);
	id = id_of(f, op->obj);
	op->with = rnd(rng) % FUZZ_SLOTS;
	for (unsigned int i = 0; i < FUZZ_SLOTS; i++)
		if (model_get(&f->model, id, T_ACCESS) &&
		    f->slot[i].id == f->model.obj[id].of)
			op->with = i;
	op->iova = pick_iova(f, rng, op->with);
	op->len = pick_area_len(f, rng, op->with, op->iova);
	if (chance(rng, 30) && op->len < 1 << 20) {
		__u64 skip = PAGE * (rnd(rng) % 3);

		op->iova += skip;
		op->len = op->len > skip ? op->len - skip : PAGE;
	}
	op->flags = rnd(rng) % 2;
	op->num = rnd(rng);
}

void gen_access_rw(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	gen_access_use(f, op, rng);
	if (chance(rng, 50))
		op->iova += rnd(rng) % PAGE;
	if (chance(rng, 50))
		op->len = rnd(rng) % (2 * PAGE);
	op->flags |= chance(rng, 50) ? MOCK_ACCESS_RW_SLOW_PATH : 0;
}

/* The access in a slot and its file, which is none for anything else */
static __u32 access_of(struct fuzz *f, __u64 slot, int *file)
{
	__u32 id = slot_at(f, slot)->id;

	*file = f->memfd;
	if (!model_get(&f->model, id, T_ACCESS))
		return 0;
	*file = slot_at(f, slot)->file;
	return id;
}

static bool has_item_room(struct fuzz *f)
{
	for (int i = 0; i < MODEL_ITEMS; i++)
		if (!f->model.item[i].access)
			return true;
	return false;
}

void run_pin(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 want = 0, got = 0, access;
	int file;

	access = access_of(f, op->obj, &file);
	if (!has_item_room(f))
		return;
	if (agree(f, model_access_pin(&f->model, access, op->iova, op->len,
				      op->flags & 1, &want),
		  KERNEL(f, access_pin(f->fd, file, op->iova, op->len, NULL,
				       op->flags & 1, &got))))
		same(f, "item", want, got);
}

void gen_unpin(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	unsigned int start = rnd(rng) % MODEL_ITEMS;

	op->obj = pick(f, rng, T_ACCESS);
	op->num = rnd(rng) % 4;
	for (unsigned int i = 0; i < MODEL_ITEMS; i++) {
		struct model_item *item =
			&f->model.item[(start + i) % MODEL_ITEMS];

		if (item->access != id_of(f, op->obj))
			continue;
		op->num = item->id;
		break;
	}
}

void run_unpin(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 access;
	int file;

	access = access_of(f, op->obj, &file);
	agree(f, model_access_unpin(&f->model, access, op->num),
	      KERNEL(f, access_unpin(f->fd, file, op->num)));
}

#define RW_MAX (64 << 10)

/* Copy between a buffer and what the model says that an IOVA range has in it */
static void model_data(struct fuzz *f, __u32 ioas, __u64 iova, __u8 *data,
		       __u64 length, bool write)
{
	while (length) {
		__u64 offset = 0, part;
		int frame = model_translate(&f->model, ioas, iova, &offset);
		__u8 *at = f->shadow + frame * PAGE + offset;

		/* One mapping may end where another begins within a page */
		part = MOCK_PAGE_SIZE - iova % MOCK_PAGE_SIZE;
		part = part < PAGE - offset ? part : PAGE - offset;
		part = part < length ? part : length;
		for (__u64 i = 1; i < part; i++) {
			__u64 next = 0;

			if (model_translate(&f->model, ioas, iova + i,
					    &next) != frame ||
			    next != offset + i)
				part = i;
		}
		if (write)
			memcpy(at, data, part);
		else
			memcpy(data, at, part);
		iova += part;
		data += part;
		length -= part;
	}
}

void run_rw(struct fuzz *f, const struct fuzz_op *op)
{
	static __u8 got[RW_MAX], want[RW_MAX];
	bool write = op->flags & MOCK_ACCESS_RW_WRITE;
	__u64 seed = op->num | 1;
	__u32 access;
	int file, rc;

	access = access_of(f, op->obj, &file);
	rc = model_access_rw(&f->model, access, op->iova, op->len, write);
	/* How much a write does before it fails is not known */
	if (write && (rc || f->nth))
		return;
	if (op->len > RW_MAX)
		return;
	for (unsigned int i = 0; i + 8 <= RW_MAX && i < op->len + 8; i += 8) {
		__u64 val = write ? rnd(&seed) : 0;

		memcpy(got + i, &val, 8);
	}
	if (!agree(f, rc, KERNEL(f, access_rw(f->fd, file, op->iova, got,
					      op->len, op->flags & 5))))
		return;
	model_data(f, f->model.obj[access].of, op->iova, write ? got : want,
		   op->len, write);
	if (!write && memcmp(got, want, op->len))
		disagree(f, "the data read is not what is in memory");
}

void run_access_replace(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 access, ioas = id_of(f, op->with);
	int file;

	access = access_of(f, op->obj, &file);
	agree(f, model_access_replace(&f->model, access, ioas),
	      KERNEL(f, access_replace(f->fd, file, ioas)));
}

void gen_access_replace(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_ACCESS);
	op->with = pick(f, rng, T_IOAS);
}

void gen_close(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	static const enum model_type types[] = { T_ACCESS, T_FAULT, T_VEVENTQ };

	op->obj = pick(f, rng, types[rnd(rng) % 3]);
}

/* Of the descriptor that comes with an object */
void run_close(struct fuzz *f, const struct fuzz_op *op)
{
	struct fuzz_slot *slot = slot_at(f, op->obj);
	__u32 id = slot->id;

	if (!id || slot->file < 0)
		return;
	f->result = 0;
	close(slot->file);
	slot->file = -1;
	if (model_get(&f->model, id, T_ACCESS)) {
		model_access_close(&f->model, id);
		slot->id = 0;
	} else {
		f->model.obj[id].file = false;
	}
}

void run_fault(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 want = 0, got = 0;
	int file = -1;

	if (!can_keep(f, op))
		return;
	if (agree(f, model_fault_alloc(&f->model, &want),
		  KERNEL(f, fault_alloc(f->fd, &got, &file))))
		keep(f, op, want, got, file);
}
