// SPDX-License-Identifier: GPL-2.0-only
#include "fuzz_model_parts.h"

__u64 model_page_size;

__u64 offset_in_page(__u64 addr)
{
	return addr % model_page_size;
}

/* Is a rule to be got wrong on purpose? */
bool breaks(const struct model *m, const char *rule)
{
	return m->broken && !strcmp(m->broken, rule);
}

/* One more errno that is right */
void also(struct model *m, int rc)
{
	for (int i = 0; i < 4; i++) {
		if (!m->also[i]) {
			m->also[i] = rc;
			return;
		}
	}
}

bool model_accepts(const struct model *m, int want, int got)
{
	bool good = want == got;

	for (int i = 0; i < 4; i++)
		good |= m->also[i] && m->also[i] == got;
	return good;
}

/*
 * Objects
 */

struct model_obj *model_get(struct model *m, __u32 id, enum model_type type)
{
	if (!id || id >= MODEL_IDS || m->obj[id].type != type)
		return NULL;
	return &m->obj[id];
}

struct model_ioas *model_ioas(struct model *m, __u32 id)
{
	struct model_obj *obj = model_get(m, id, T_IOAS);

	return obj ? &m->ioas[obj->index] : NULL;
}

__u32 obj_new(struct model *m, enum model_type type)
{
	for (__u32 id = 1; id < MODEL_IDS; id++) {
		struct model_obj *obj = &m->obj[id];

		if (obj->type != T_FREE)
			continue;
		memset(obj, 0, sizeof(*obj));
		obj->type = type;
		obj->age = ++m->age;
		return id;
	}
	return 0;
}

void obj_free(struct model *m, __u32 id)
{
	m->obj[id].type = T_FREE;
}

static bool is_hwpt(const struct model_obj *obj)
{
	return obj->type == T_PAGING || obj->type == T_NESTED;
}

struct model_obj *model_any_hwpt(struct model *m, __u32 id)
{
	if (!id || id >= MODEL_IDS || !is_hwpt(&m->obj[id]))
		return NULL;
	return &m->obj[id];
}

/* What keeps an object from being destroyed */
unsigned int model_users(struct model *m, __u32 id)
{
	enum model_type type = m->obj[id].type;
	unsigned int users = 0;

	if (type == T_DEVICE)
		return 1;
	users += (type == T_FAULT || type == T_VEVENTQ) && m->obj[id].file;
	users += type == T_ACCESS;
	for (__u32 i = 1; i < MODEL_IDS; i++) {
		const struct model_obj *obj = &m->obj[i];

		switch (obj->type) {
		case T_STDEV:
			users += obj->rid == id;
			for (int p = 0; p < MODEL_PASIDS; p++)
				users += obj->pasid[p].hwpt == id;
			break;
		case T_PAGING:
		case T_NESTED:
			users += obj->of == id;
			users += obj->fault == id;
			break;
		case T_HWQ:
			/* It has an access in the IOAS of its parent HWPT */
			users += obj->of == id || obj->index == id;
			/* A later queue depends on the one before */
			users += type == T_HWQ && obj->of == m->obj[id].of &&
				 obj->depth == m->obj[id].depth + 1;
			break;
		case T_ACCESS:
		case T_VIOMMU:
		case T_VDEVICE:
		case T_VEVENTQ:
			users += obj->of == id;
			break;
		default:
			break;
		}
	}
	return users;
}

bool model_has_room(struct model *m, unsigned int ids, unsigned int areas)
{
	unsigned int free = 0, backings = 0;

	for (__u32 id = 1; id < MODEL_IDS; id++)
		free += m->obj[id].type == T_FREE;
	for (int i = 0; i < MODEL_BACKINGS; i++)
		backings += !m->backing[i].areas;
	for (int i = 0; i < MODEL_IOAS; i++)
		if (m->ioas[i].nareas + areas > MODEL_AREAS)
			return false;
	return free > ids && backings;
}

/*
 * Memory
 */

unsigned int model_frame_pins(const struct model *m, int frame)
{
	unsigned int pins = 0;

	for (int b = 0; b < MODEL_BACKINGS; b++) {
		const struct model_backing *back = &m->backing[b];

		for (int i = 0; back->areas && i < BACKING_PAGES; i++)
			pins += back->frame[i] == frame;
	}
	return pins;
}

/* Frames that no process maps and nobody pins are free again */
static void frames_collect(struct model *m)
{
	memset(m->frame_used, 0, sizeof(m->frame_used));
	for (int p = 0; p < MODEL_PROCS; p++)
		for (int r = 0; r < MODEL_REGIONS; r++)
			for (int i = 0; i < REGION_PAGES; i++)
				if (m->proc[p].page[r][i] != NO_FRAME)
					m->frame_used[m->proc[p].page[r][i]] = true;
	for (int i = 0; i < REGION_PAGES; i++)
		m->frame_used[m->file[i]] = true;
	for (int b = 0; b < MODEL_BACKINGS; b++)
		for (int i = 0; m->backing[b].areas && i < BACKING_PAGES; i++)
			if (m->backing[b].frame[i] != NO_FRAME)
				m->frame_used[m->backing[b].frame[i]] = true;
}

int model_frame_new(struct model *m)
{
	for (int try = 0; try < 2; try++) {
		for (int i = 0; i < MODEL_FRAMES; i++) {
			if (!m->frame_used[i]) {
				m->frame_used[i] = true;
				return i;
			}
		}
		frames_collect(m);
	}
	return NO_FRAME;
}

/* What a process has at a page-aligned address, or NO_FRAME */
static int va_frame(struct model *m, unsigned int proc, __u64 va, bool write)
{
	for (unsigned int r = 0; r < MODEL_REGIONS; r++) {
		__u64 start = region_start(r);

		if (va < start || va >= start + REGION_BYTES)
			continue;
		if (!m->proc[proc].alive || (write && r == REGION_READONLY))
			return NO_FRAME;
		return m->proc[proc].page[r][(va - start) / model_page_size];
	}
	return NO_FRAME;
}

int model_page_of(struct model *m, const struct model_backing *b,
		  unsigned int index, bool write)
{
	__u64 addr = b->start - offset_in_page(b->start) +
		     (__u64)index * model_page_size;

	if (index < BACKING_PAGES && b->frame[index] != NO_FRAME)
		return b->frame[index];
	if (!b->file)
		return va_frame(m, b->proc, addr, write);
	return addr < REGION_BYTES ? m->file[addr / model_page_size] : NO_FRAME;
}

/* The pages of a backing from one byte to another, as bits */
__u64 page_bits(__u64 offset, __u64 last)
{
	__u64 from = offset / model_page_size, to = last / model_page_size;
	__u64 bits = 0;

	for (__u64 i = from; i <= to && i < BACKING_PAGES; i++)
		bits |= 1ULL << i;
	return bits;
}

bool model_has_domain(struct model *m, __u32 ioas)
{
	for (__u32 id = 1; id < MODEL_IDS; id++)
		if (m->obj[id].type == T_PAGING && m->obj[id].of == ioas)
			return true;
	return false;
}

struct model_area *area_at(struct model_ioas *ioas, __u64 iova)
{
	for (unsigned int i = 0; i < ioas->nareas; i++)
		if (ioas->area[i].iova <= iova && iova <= ioas->area[i].last)
			return &ioas->area[i];
	return NULL;
}

/* Add what an interval of an IOVA space covers to the pages that are wanted */
static void want_range(struct model_ioas *ioas, __u64 iova, __u64 last,
		       __u64 *want, bool *endless)
{
	for (unsigned int i = 0; i < ioas->nareas; i++) {
		struct model_area *a = &ioas->area[i];
		__u64 from = a->iova > iova ? a->iova : iova;
		__u64 to = a->last < last ? a->last : last;
		__u64 end;

		if (from > to)
			continue;
		end = a->offset + (to - a->iova);
		want[a->backing] |= page_bits(a->offset + (from - a->iova), end);
		endless[a->backing] |= end / model_page_size >= BACKING_PAGES;
	}
}

/* Which pages have to be pinned, given what is mapped and pinned where */
static void want_all(struct model *m, __u64 *want, bool *endless)
{
	memset(want, 0, MODEL_BACKINGS * sizeof(*want));
	memset(endless, 0, MODEL_BACKINGS * sizeof(*endless));
	for (__u32 id = 1; id < MODEL_IDS; id++) {
		struct model_obj *obj = &m->obj[id];

		if (obj->type == T_IOAS && model_has_domain(m, id))
			want_range(&m->ioas[obj->index], 0, ALL_ONES, want,
				   endless);
		else if (obj->type == T_HWQ)
			want_range(model_ioas(m, obj->index), obj->iova,
				   obj->last, want, endless);
	}
	for (int i = 0; i < MODEL_ITEMS; i++) {
		struct model_item *item = &m->item[i];

		if (item->access)
			want_range(model_ioas(m, m->obj[item->access].of),
				   item->iova, item->last, want, endless);
	}
}

static __u64 *charged(struct model *m, const struct model_backing *b)
{
	if (b->charge == CHARGE_USER)
		return &m->user_locked;
	return b->charge == CHARGE_NONE ? NULL : &m->proc[b->proc].locked;
}

/* Account for pages of a backing that are pinned now; true if within the limit */
bool charge(struct model *m, const struct model_backing *b, int npages)
{
	__u64 *counter = charged(m, b);

	m->proc[b->proc].pinned += npages;
	if (!counter)
		return true;
	*counter += npages;
	return npages <= 0 || b->charge == CHARGE_TYPE1 || *counter <= m->limit;
}

/* Pin one page after the other of those that are missing. 0 or an errno. */
int pin_wanted(struct model *m, __u32 backing, __u64 want)
{
	struct model_backing *b = &m->backing[backing];
	bool fault = false, limit = false;
	int npages = 0;

	for (unsigned int i = 0; i < BACKING_PAGES; i++) {
		int frame;

		if (!(want >> i & 1) || b->frame[i] != NO_FRAME)
			continue;
		frame = model_page_of(m, b, i, b->writable);
		b->frame[i] = frame;
		fault |= frame == NO_FRAME;
		npages++;
	}
	if (npages)
		limit = !charge(m, b, npages);
	if (!fault)
		return limit ? ENOMEM : 0;
	if (limit)
		also(m, ENOMEM);
	return b->file ? EINVAL : EFAULT;
}

/*
 * Pin what has to be, and what is missing; then unpin the rest. On failure the
 * caller restores the model.
 */
int settle(struct model *m)
{
	__u64 want[MODEL_BACKINGS];
	bool endless[MODEL_BACKINGS];
	int rc = 0;

	want_all(m, want, endless);
	for (__u32 b = 0; b < MODEL_BACKINGS; b++) {
		int one = 0;

		if (m->backing[b].areas)
			one = pin_wanted(m, b, want[b]);
		if (!one && endless[b])
			one = m->backing[b].file ? EINVAL : EFAULT;
		if (one && rc)
			also(m, one);
		rc = rc ? rc : one;
	}
	for (__u32 b = 0; b < MODEL_BACKINGS; b++) {
		struct model_backing *back = &m->backing[b];

		for (int i = 0; back->areas && i < BACKING_PAGES; i++) {
			if (back->frame[i] == NO_FRAME || want[b] >> i & 1)
				continue;
			back->frame[i] = NO_FRAME;
			charge(m, back, -1);
		}
	}
	return rc;
}

/*
 * Processes
 */

int model_change_process(struct model *m, unsigned int proc)
{
	for (int b = 0; b < MODEL_BACKINGS; b++)
		if (m->backing[b].areas && !m->backing[b].file)
			return EINVAL;
	for (int b = 0; b < MODEL_BACKINGS; b++)
		if (m->backing[b].areas)
			m->backing[b].proc = proc;
	return 0;
}

void model_remap(struct model *m, unsigned int region, unsigned int first,
		 unsigned int npages, bool present)
{
	for (unsigned int i = first; i < first + npages; i++) {
		m->proc[0].page[region][i] = NO_FRAME;
		if (present)
			m->proc[0].page[region][i] = model_frame_new(m);
	}
}

void model_fork(struct model *m)
{
	m->proc[1] = m->proc[0];
	m->proc[1].pinned = 0;
	m->proc[1].locked = 0;
	/* What is private is a copy, of which nothing is known here */
	for (int i = 0; i < REGION_PAGES; i++) {
		m->proc[1].page[REGION_PRIVATE][i] = NO_FRAME;
		m->proc[1].page[REGION_READONLY][i] = NO_FRAME;
	}
}

/* What the child has mapped stays, and is never the next child's */
void model_exit(struct model *m)
{
	struct model_proc *child = &m->proc[1], *gone = &m->proc[MODEL_GONE];

	for (int b = 0; b < MODEL_BACKINGS; b++)
		if (m->backing[b].areas && m->backing[b].proc == 1)
			m->backing[b].proc = MODEL_GONE;
	gone->pinned += child->pinned;
	gone->locked += child->locked;
	*child = *gone;
	child->pinned = 0;
	child->locked = 0;
}

void model_init(struct model *m, bool container)
{
	memset(m, 0, sizeof(*m));
	for (int p = 0; p <= MODEL_GONE; p++)
		for (int r = 0; r < MODEL_REGIONS; r++)
			for (int i = 0; i < REGION_PAGES; i++)
				m->proc[p].page[r][i] = NO_FRAME;
	for (int i = 0; i < REGION_PAGES; i++)
		m->file[i] = NO_FRAME;
	m->proc[0].alive = true;
	m->proc[0].ipc_lock = true;
	m->limit = ALL_ONES;
	m->default_charge = container ? CHARGE_MM : CHARGE_USER;
}
