// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the fuzzer's operations have in common: comparing what the kernel and the
 * model make of one, slots for what they make, and choosing what to do it to.
 */
#include <stdarg.h>

#include "fail_nth.h"
#include "fuzz_parts.h"

void disagree(struct fuzz *f, const char *fmt, ...)
{
	va_list args;

	if (f->why[0])
		return;
	va_start(args, fmt);
	vsnprintf(f->why, sizeof(f->why), fmt, args);
	va_end(args);
}

const char *err(int rc)
{
	return rc ? strerrorname_np(rc) ?: "?" : "success";
}

/*
 * Did the call return what it had to? True when it succeeded, so that its results
 * can be compared. An injected failure may make it fail, without a trace.
 */
bool agree(struct fuzz *f, int want, int got)
{
	f->result = got;
	if (f->injected && got && got != want) {
		f->model = f->before;
		return false;
	}
	if (!model_accepts(&f->model, want, got))
		disagree(f, "result: model says %s, kernel %s", err(want),
			 err(got));
	return !want && !got;
}

void same(struct fuzz *f, const char *what, __u64 want, __u64 got)
{
	if (want != got)
		disagree(f, "%s: model says %#llx, kernel %#llx", what, want,
			 got);
}

/* The state of fail_nth.h is this file's */
const char *fuzz_injection(void)
{
	return injection_setup();
}

void arm_failure(unsigned int nth)
{
	arm(nth);
}

bool disarm_failure(void)
{
	return disarm();
}

/*
 * Slots
 */

struct fuzz_slot *slot_at(struct fuzz *f, __u64 slot)
{
	return &f->slot[slot % FUZZ_SLOTS];
}

__u32 id_of(struct fuzz *f, __u64 slot)
{
	__u32 id;

	if (slot < FUZZ_RID_OF) {
		id = slot_at(f, slot)->id;
	} else {
		id = slot_at(f, slot - FUZZ_RID_OF)->id;
		if (model_get(&f->model, id, T_STDEV))
			id = f->model.obj[id].rid;
		else
			id = 0;
	}
	return id ? id : BAD_ID;
}

/* The DEVICE of the mock device in a slot; other objects are themselves */
__u32 idev_of(struct fuzz *f, __u64 slot)
{
	__u32 id = id_of(f, slot);

	return model_get(&f->model, id, T_STDEV) ? f->model.obj[id].dev : id;
}

struct model_ioas *ioas_of(struct fuzz *f, __u64 slot)
{
	return model_ioas(&f->model, id_of(f, slot));
}

/* Is there place for the result of an operation? */
bool can_keep(struct fuzz *f, const struct fuzz_op *op)
{
	return !slot_at(f, op->to)->id && model_has_room(&f->model, 4, 0);
}

void keep(struct fuzz *f, const struct fuzz_op *op, __u32 want,
	  __u32 got, int file)
{
	same(f, "ID", want, got);
	*slot_at(f, op->to) = (struct fuzz_slot) { want, file };
}

bool chance(__u64 *rng, unsigned int percent)
{
	return rnd(rng) % 100 < percent;
}

enum model_type type_of(struct fuzz *f, unsigned int slot)
{
	__u32 id = f->slot[slot].id;

	return id ? f->model.obj[id].type : T_FREE;
}

unsigned int count(struct fuzz *f, enum model_type type)
{
	unsigned int num = 0;

	for (__u32 id = 1; id < MODEL_IDS; id++)
		num += f->model.obj[id].type == type;
	return num;
}

/* A slot, nearly always one that has an object of that type */
__u64 pick(struct fuzz *f, __u64 *rng, enum model_type type)
{
	unsigned int start = rnd(rng) % FUZZ_SLOTS;

	if (chance(rng, 4))
		return start;
	for (unsigned int i = 0; i < FUZZ_SLOTS; i++)
		if (type_of(f, (start + i) % FUZZ_SLOTS) == type)
			return (start + i) % FUZZ_SLOTS;
	return start;
}

__u64 pick_empty(struct fuzz *f, __u64 *rng)
{
	return pick(f, rng, T_FREE);
}

/* A HWPT that can carry others */
__u64 pick_parent(struct fuzz *f, __u64 *rng)
{
	for (int try = 0; try < 20; try++) {
		__u64 slot = pick(f, rng, T_PAGING);
		struct model_obj *obj =
			model_get(&f->model, f->slot[slot].id, T_PAGING);

		if (obj && obj->flags & IOMMU_HWPT_ALLOC_NEST_PARENT)
			return slot;
	}
	return pick(f, rng, T_PAGING);
}

/* Something that a device can be attached to */
__u64 pick_pt(struct fuzz *f, __u64 *rng)
{
	static const enum model_type types[] = { T_IOAS, T_PAGING, T_NESTED };

	if (chance(rng, 10))
		return FUZZ_RID_OF + pick(f, rng, T_STDEV);
	for (int i = 0; i < 3; i++) {
		enum model_type type = types[rnd(rng) % 3];

		if (count(f, type))
			return pick(f, rng, type);
	}
	return pick(f, rng, T_IOAS);
}

/*
 * Numbers
 */

__u64 pick_len(__u64 *rng)
{
	switch (rnd(rng) % 40) {
	case 0:
		return rnd(rng) % (3 * PAGE);
	case 1:
		return MOCK_PAGE_SIZE * (rnd(rng) % 9);
	case 2:
		return chance(rng, 50) ? ~0ULL >> rnd(rng) % 64 :
					 -(rnd(rng) % (2 * PAGE));
	default:
		return PAGE * (1 + rnd(rng) % (chance(rng, 20) ? 30 : 5));
	}
}

__u64 pick_off(__u64 *rng)
{
	__u64 off = PAGE * (rnd(rng) % REGION_PAGES);

	if (chance(rng, 6))
		off += MOCK_PAGE_SIZE;
	else if (chance(rng, 2))
		off += rnd(rng) % PAGE;
	return off;
}

/* An address that hits something in the IOAS of a slot, or what is around it */
__u64 pick_iova(struct fuzz *f, __u64 *rng, __u64 slot)
{
	struct model_ioas *ioas = ioas_of(f, slot);
	__u64 iova = BASE + PAGE * (rnd(rng) % 64);

	if (ioas && ioas->nareas && chance(rng, 70)) {
		struct model_area *a = &ioas->area[rnd(rng) % ioas->nareas];

		iova = chance(rng, 80) ? a->iova : a->last + 1;
		if (chance(rng, 10))
			iova += PAGE * (rnd(rng) % 4) - 2 * PAGE;
	} else if (chance(rng, 3)) {
		iova = ~0ULL >> rnd(rng) % 64;
	} else if (chance(rng, 3)) {
		iova = -(rnd(rng) % (4 * PAGE));
	}
	if (chance(rng, 4))
		iova += MOCK_PAGE_SIZE;
	else if (chance(rng, 2))
		iova += rnd(rng) % PAGE;
	return iova;
}

/* The length of what is at an address, of its beginning, or more */
__u64 pick_area_len(struct fuzz *f, __u64 *rng, __u64 slot, __u64 iova)
{
	struct model_ioas *ioas = ioas_of(f, slot);

	for (unsigned int i = 0; ioas && i < ioas->nareas; i++) {
		struct model_area *a = &ioas->area[i];

		if (a->iova == iova && chance(rng, 75)) {
			if (i + 1 < ioas->nareas && chance(rng, 25))
				a = &ioas->area[i + 1];
			return a->last + 1 - iova;
		}
	}
	return pick_len(rng);
}

__u64 pick_map_flags(__u64 *rng, bool fixed)
{
	__u64 flags = chance(rng, 80) ? MAP_RW : rnd(rng) % 8 & MAP_RW;

	if (fixed)
		flags |= MAP_FIX;
	if (chance(rng, 1))
		flags |= 1 << rnd(rng) % 16;
	return flags;
}
