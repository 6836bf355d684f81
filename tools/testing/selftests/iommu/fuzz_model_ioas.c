// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOVA spaces: what is mapped where, and the VFIO container.
 */
#include "fuzz_model_parts.h"

/*
 * IOVA spaces
 */

static bool meets(__u64 start, __u64 last, __u64 start2, __u64 last2)
{
	return start <= last2 && start2 <= last;
}

static bool meets_area(struct model_ioas *ioas, __u64 start, __u64 last)
{
	for (unsigned int i = 0; i < ioas->nareas; i++)
		if (meets(start, last, ioas->area[i].iova, ioas->area[i].last))
			return true;
	return false;
}

static bool meets_range(const struct model_range *ranges, unsigned int num,
			__u64 start, __u64 last)
{
	for (unsigned int i = 0; i < num; i++)
		if (meets(start, last, ranges[i].start, ranges[i].last))
			return true;
	return false;
}

__u64 hwpt_alignment(const struct model_obj *hwpt)
{
	return hwpt->huge ? model_page_size : MOCK_PAGE_SIZE;
}

__u64 model_alignment(struct model *m, __u32 id)
{
	struct model_ioas *ioas = model_ioas(m, id);
	__u64 align = ioas->can_cut ? model_page_size : 1;

	for (__u32 i = 1; i < MODEL_IDS; i++) {
		struct model_obj *obj = &m->obj[i];
		__u64 wants = 1;

		if (obj->type == T_PAGING && obj->of == id)
			wants = hwpt_alignment(obj);
		else if (obj->type == T_ACCESS && obj->of == id && obj->pins)
			wants = model_page_size;
		else if (obj->type == T_HWQ && obj->index == id)
			wants = model_page_size;
		align = wants > align ? wants : align;
	}
	return align;
}

static bool area_fits(const struct model_area *a, __u64 align)
{
	return !((a->iova | (a->last + 1 - a->iova) | a->offset) % align);
}

/* Do all mappings have an alignment? */
bool all_fit(struct model_ioas *ioas, __u64 align)
{
	for (unsigned int i = 0; i < ioas->nareas; i++)
		if (!area_fits(&ioas->area[i], align))
			return false;
	return true;
}

static bool is_free(struct model_ioas *ioas, __u64 start, __u64 last)
{
	return !meets_area(ioas, start, last) &&
	       !meets_range(ioas->reserved, ioas->nreserved, start, last);
}

/* The end of the obstacle that is met first, to go on behind it */
static __u64 obstacle_end(struct model_ioas *ioas, __u64 start, __u64 last)
{
	__u64 end = 0;

	for (unsigned int i = 0; i < ioas->nareas; i++)
		if (meets(start, last, ioas->area[i].iova, ioas->area[i].last) &&
		    ioas->area[i].last > end)
			end = ioas->area[i].last;
	for (unsigned int i = 0; i < ioas->nreserved; i++)
		if (meets(start, last, ioas->reserved[i].start,
			  ioas->reserved[i].last) &&
		    ioas->reserved[i].last > end)
			end = ioas->reserved[i].last;
	return end;
}

/* First fit between two addresses */
static bool fit_between(struct model_ioas *ioas, __u64 from, __u64 to,
			__u64 length, __u64 align, __u64 offset, __u64 *iova)
{
	for (;;) {
		__u64 start = from, end;

		if (start > ALL_ONES - (align - 1))
			return false;
		start = (start + align - 1) / align * align;
		start |= offset;
		if (start > to || to - start < length - 1)
			return false;
		/* The hole it is in begins at from */
		if (is_free(ioas, from, start + length - 1)) {
			*iova = start;
			return true;
		}
		end = obstacle_end(ioas, from, start + length - 1);
		if (end == ALL_ONES)
			return false;
		from = end + 1;
	}
}

/* The allowed ranges in order, those that touch as one. The number of them. */
static unsigned int merge_allowed(const struct model_ioas *ioas,
				  struct model_range *out)
{
	unsigned int num = 0;

	for (__u64 from = 0;;) {
		const struct model_range *next = NULL;

		for (unsigned int i = 0; i < ioas->nallowed; i++) {
			const struct model_range *r = &ioas->allowed[i];

			if (r->start >= from && (!next || r->start < next->start))
				next = r;
		}
		if (!next)
			return num;
		if (num && out[num - 1].last + 1 == next->start)
			out[num - 1].last = next->last;
		else
			out[num++] = *next;
		if (next->last == ALL_ONES)
			return num;
		from = next->last + 1;
	}
}

/* Choose an address as IOMMU_IOAS_MAP does */
static int choose_iova(struct model *m, __u32 id, __u64 length, __u64 addr,
		       __u64 *iova)
{
	struct model_range allowed[MODEL_RANGES] = {
		{ .start = model_page_size, .last = ALL_ONES - model_page_size },
	};
	struct model_ioas *ioas = model_ioas(m, id);
	__u64 align = 1, low = model_page_size;
	unsigned int num = 1;

	while (align < length && align < 2 << 20)
		align *= 2;
	if (addr && (addr & -addr) < align)
		align = addr & -addr;
	if (align < model_alignment(m, id))
		return EINVAL;
	if (breaks(m, "first-fit"))
		low += align;
	if (ioas->nallowed)
		num = merge_allowed(ioas, allowed);
	for (unsigned int i = 0; i < num; i++) {
		__u64 from = allowed[i].start > low ? allowed[i].start : low;
		__u64 to = ALL_ONES - model_page_size;

		to = allowed[i].last < to ? allowed[i].last : to;
		if (from <= to && fit_between(ioas, from, to, length, align,
					      offset_in_page(addr), iova))
			return 0;
	}
	return ENOSPC;
}

/* Where something can be mapped: checks what is known before it is pinned */
static int place(struct model *m, __u32 id, __u64 length, __u64 addr,
		 __u32 flags, __u64 *iova)
{
	struct model_ioas *ioas = model_ioas(m, id);
	bool fixed = flags & IOMMU_IOAS_MAP_FIXED_IOVA;

	if (!fixed && length >= ALL_ONES / 2) {
		also(m, EINVAL);
		return EOVERFLOW;
	}
	if (length % model_alignment(m, id))
		return EINVAL;
	if (!fixed)
		return choose_iova(m, id, length, addr, iova);
	if (*iova % model_alignment(m, id))
		return EINVAL;
	if (*iova + (length - 1) < *iova)
		return EOVERFLOW;
	if (meets_range(ioas->reserved, ioas->nreserved, *iova,
			*iova + (length - 1)))
		return EINVAL;
	if (meets_area(ioas, *iova, *iova + (length - 1)))
		return EEXIST;
	return 0;
}

static void insert_area(struct model *m, struct model_ioas *ioas,
			const struct model_area *area)
{
	unsigned int at = ioas->nareas++;

	for (; at && ioas->area[at - 1].iova > area->iova; at--)
		ioas->area[at] = ioas->area[at - 1];
	ioas->area[at] = *area;
	m->backing[area->backing].areas++;
}

static void remove_area(struct model *m, struct model_ioas *ioas,
			unsigned int at)
{
	struct model_backing *b = &m->backing[ioas->area[at].backing];

	/* Nobody wants its pages any more, unless another area is left */
	if (b->areas == 1) {
		for (int i = 0; i < BACKING_PAGES; i++) {
			if (b->frame[i] == NO_FRAME)
				continue;
			b->frame[i] = NO_FRAME;
			charge(m, b, -1);
		}
	}
	b->areas--;
	ioas->nareas--;
	memmove(&ioas->area[at], &ioas->area[at + 1],
		(ioas->nareas - at) * sizeof(ioas->area[0]));
}

static __u32 new_backing(struct model *m, const struct model_backing *like)
{
	for (__u32 b = 0; b < MODEL_BACKINGS; b++) {
		if (m->backing[b].areas)
			continue;
		m->backing[b] = *like;
		for (int i = 0; i < BACKING_PAGES; i++)
			m->backing[b].frame[i] = NO_FRAME;
		return b;
	}
	return 0;
}

static int map_backing(struct model *m, __u32 id, struct model_backing *like,
		       __u32 flags, bool container, __u64 *iova)
{
	struct model_area area;
	int rc;

	rc = place(m, id, like->length, like->start, flags, iova);
	if (rc)
		return rc;
	area = (struct model_area) {
		.iova = *iova,
		.last = *iova + (like->length - 1),
		.offset = offset_in_page(like->start),
		.prot = flags & ~IOMMU_IOAS_MAP_FIXED_IOVA,
		.container = container,
	};
	if (!area_fits(&area, model_alignment(m, id)))
		return EINVAL;
	area.backing = new_backing(m, like);
	insert_area(m, model_ioas(m, id), &area);
	return settle(m);
}

static __u32 map_perms(__u32 flags)
{
	return flags & (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE);
}

static bool map_flags_known(__u32 flags)
{
	return !(flags & ~(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE |
			   IOMMU_IOAS_MAP_FIXED_IOVA));
}

int model_map(struct model *m, unsigned int proc, __u32 id, __u64 va,
	      __u64 length, __u32 flags, __u64 *iova)
{
	struct model_backing b = {
		.proc = proc,
		.charge = m->proc[proc].ipc_lock ? CHARGE_NONE : m->default_charge,
		.writable = flags & IOMMU_IOAS_MAP_WRITEABLE,
		.start = va,
		.length = length,
	};

	if (!map_flags_known(flags))
		return EOPNOTSUPP;
	if (*iova == ALL_ONES || length == ALL_ONES)
		return EOVERFLOW;
	if (!map_perms(flags))
		return EINVAL;
	if (!model_ioas(m, id))
		return ENOENT;
	if (va + length < va)
		return EOVERFLOW;
	if (!length || length > ALL_ONES - model_page_size)
		return EINVAL;
	return ATOMICALLY(m, map_backing(m, id, &b, flags, false, iova));
}

int model_map_file(struct model *m, __u32 id, __u64 start, __u64 length,
		   __u32 flags, __u64 *iova)
{
	struct model_backing b = {
		.file = true,
		.charge = m->proc[0].ipc_lock ? CHARGE_NONE :
						 m->default_charge,
		.writable = flags & IOMMU_IOAS_MAP_WRITEABLE,
		.start = start,
		.length = length,
	};

	if (!map_flags_known(flags))
		return EOPNOTSUPP;
	if (*iova == ALL_ONES || length == ALL_ONES)
		return EOVERFLOW;
	if (!map_perms(flags))
		return EINVAL;
	if (!model_ioas(m, id))
		return ENOENT;
	if (!length)
		return EINVAL;
	if (start + (length - 1) < start)
		return EOVERFLOW;
	if (length > ALL_ONES - model_page_size)
		return EINVAL;
	return ATOMICALLY(m, map_backing(m, id, &b, flags, false, iova));
}

/* Describe what an interval holds as areas that begin at IOVA 0 */
static int copy_pieces(struct model_ioas *src, __u64 iova, __u64 length,
		       struct model_area *pieces, unsigned int *num)
{
	__u64 last = iova + (length - 1), done = 0;

	*num = 0;
	for (;;) {
		struct model_area *a = area_at(src, iova);
		__u64 end;

		if (!a)
			return ENOENT;
		end = a->last < last ? a->last : last;
		pieces[*num] = *a;
		pieces[*num].offset = a->offset + (iova - a->iova);
		pieces[*num].iova = done;
		pieces[*num].last = done + (end - iova);
		pieces[*num].container = false;
		done += end - iova + 1;
		++*num;
		if (end == last)
			return 0;
		iova = end + 1;
	}
}

static int copy_insert(struct model *m, __u32 dst, struct model_area *pieces,
		       unsigned int num, __u64 length, __u32 flags, __u64 *iova)
{
	struct model_backing *first = &m->backing[pieces[0].backing];
	__u64 align = model_alignment(m, dst);
	int rc;

	rc = place(m, dst, length,
		   first->start - offset_in_page(first->start) +
		   pieces[0].offset, flags, iova);
	if (rc)
		return rc;
	for (unsigned int i = 0; i < num; i++)
		if (!area_fits(&pieces[i], align))
			return EINVAL;
	for (unsigned int i = 0; i < num; i++)
		if (flags & IOMMU_IOAS_MAP_WRITEABLE &&
		    !m->backing[pieces[i].backing].writable)
			return breaks(m, "copy-writable") ? EACCES : EPERM;
	for (unsigned int i = 0; i < num; i++) {
		pieces[i].iova += *iova;
		pieces[i].last += *iova;
		pieces[i].prot = map_perms(flags);
		insert_area(m, model_ioas(m, dst), &pieces[i]);
	}
	return settle(m);
}

int model_copy(struct model *m, __u32 dst, __u32 src, __u64 src_iova,
	       __u64 length, __u32 flags, __u64 *iova)
{
	struct model_area pieces[MODEL_AREAS];
	unsigned int num;
	int rc;

	if (!map_flags_known(flags))
		return EOPNOTSUPP;
	if (length == ALL_ONES || src_iova == ALL_ONES || *iova == ALL_ONES)
		return EOVERFLOW;
	if (!map_perms(flags))
		return EINVAL;
	if (!model_ioas(m, src))
		return ENOENT;
	if (!length)
		return EINVAL;
	if (src_iova + (length - 1) < src_iova)
		return EOVERFLOW;
	rc = copy_pieces(model_ioas(m, src), src_iova, length, pieces, &num);
	if (!rc && !model_ioas(m, dst))
		rc = ENOENT;
	if (rc)
		return rc;
	return ATOMICALLY(m, copy_insert(m, dst, pieces, num, length, flags,
					 iova));
}

/* Is memory of a hardware queue in an interval? */
static bool is_locked(struct model *m, __u32 ioas, __u64 iova, __u64 last)
{
	for (__u32 id = 1; id < MODEL_IDS; id++) {
		struct model_obj *obj = &m->obj[id];

		if (obj->type == T_HWQ && obj->index == ioas &&
		    meets(obj->iova, obj->last, iova, last))
			return true;
	}
	return false;
}

static bool item_of(struct model *m, const struct model_item *item, __u32 ioas,
		    __u64 iova, __u64 last)
{
	return item->access && m->obj[item->access].of == ioas &&
	       meets(item->iova, item->last, iova, last);
}

/* Accesses let go of what overlaps a mapping that goes */
static void drop_items(struct model *m, __u32 ioas, __u64 iova, __u64 last)
{
	for (int i = 0; i < MODEL_ITEMS; i++)
		if (item_of(m, &m->item[i], ioas, iova, last))
			m->item[i].access = 0;
}

static int unmap_check(struct model *m, __u32 id, __u64 iova, __u64 last,
		       bool *any)
{
	struct model_ioas *ioas = model_ioas(m, id);

	for (unsigned int i = 0; i < ioas->nareas; i++) {
		struct model_area *a = &ioas->area[i];

		if (!meets(iova, last, a->iova, a->last))
			continue;
		if (is_locked(m, id, a->iova, a->last))
			return EBUSY;
		if (a->iova < iova || a->last > last)
			return breaks(m, "unmap-cut") ? EINVAL : ENOENT;
		*any = true;
	}
	return 0;
}

static void unmap_areas(struct model *m, __u32 id, __u64 iova, __u64 last,
			__u64 *unmapped)
{
	struct model_ioas *ioas = model_ioas(m, id);

	*unmapped = 0;
	for (unsigned int i = ioas->nareas; i--;) {
		struct model_area *a = &ioas->area[i];

		if (!meets(iova, last, a->iova, a->last))
			continue;
		*unmapped += a->last - a->iova + 1;
		drop_items(m, id, a->iova, a->last);
		remove_area(m, ioas, i);
	}
	settle(m);
}

int model_unmap(struct model *m, __u32 id, __u64 iova, __u64 length,
		__u64 *unmapped)
{
	bool all = !iova && length == ALL_ONES, any = false;
	__u64 last = all ? ALL_ONES : iova + (length - 1);
	int rc;

	if (!model_ioas(m, id))
		return ENOENT;
	if (!all && (iova == ALL_ONES || length == ALL_ONES))
		return EOVERFLOW;
	if (!length)
		return EINVAL;
	if (last < iova)
		return EOVERFLOW;
	rc = unmap_check(m, id, iova, last, &any);
	if (!rc && !any && !all)
		rc = ENOENT;
	if (!rc)
		unmap_areas(m, id, iova, last, unmapped);
	return rc;
}

int model_ranges(struct model *m, __u32 id, struct model_range *ranges,
		 unsigned int *num, __u64 *alignment)
{
	struct model_ioas *ioas = model_ioas(m, id);
	__u64 from = 0;

	*num = 0;
	if (!ioas)
		return ENOENT;
	*alignment = model_alignment(m, id);
	for (;;) {
		const struct model_range *next = NULL;

		/* The reserved range that covers this, or the next one */
		for (unsigned int i = 0; i < ioas->nreserved; i++) {
			const struct model_range *r = &ioas->reserved[i];

			if (r->last < from)
				continue;
			if (!next || r->start < next->start)
				next = r;
		}
		if (!next || next->start > from)
			ranges[(*num)++] = (struct model_range) {
				.start = from,
				.last = next ? next->start - 1 : ALL_ONES,
			};
		if (!next || next->last == ALL_ONES)
			return 0;
		from = next->last + 1;
	}
}

int model_allow(struct model *m, __u32 id, const struct model_range *ranges,
		unsigned int num)
{
	struct model_ioas *ioas = model_ioas(m, id);

	if (!ioas)
		return ENOENT;
	for (unsigned int i = 0; i < num; i++) {
		if (ranges[i].start >= ranges[i].last)
			return EINVAL;
		if (meets_range(ranges, i, ranges[i].start, ranges[i].last))
			return EINVAL;
	}
	for (unsigned int i = 0; i < num; i++)
		if (meets_range(ioas->reserved, ioas->nreserved,
				ranges[i].start, ranges[i].last))
			return EADDRINUSE;
	memcpy(ioas->allowed, ranges, num * sizeof(*ranges));
	ioas->nallowed = num;
	return 0;
}

/* A length of 0 stands for 2^64 */
int reserve(struct model *m, __u32 id, __u64 start, __u64 last, __u32 owner)
{
	struct model_ioas *ioas = model_ioas(m, id);

	if (meets_area(ioas, start, last) ||
	    meets_range(ioas->allowed, ioas->nallowed, start, last))
		return EADDRINUSE;
	ioas->reserved[ioas->nreserved++] = (struct model_range) {
		start, last, owner,
	};
	return 0;
}

void unreserve(struct model_ioas *ioas, __u32 owner)
{
	for (unsigned int i = ioas->nreserved; i--;)
		if (ioas->reserved[i].owner == owner)
			ioas->reserved[i] = ioas->reserved[--ioas->nreserved];
}

int model_reserve(struct model *m, __u32 id, __u64 start, __u64 length)
{
	if (!length)
		return EINVAL;
	if (start + (length - 1) < start)
		return EOVERFLOW;
	if (!model_ioas(m, id))
		return ENOENT;
	return reserve(m, id, start, start + (length - 1), 0);
}

static int allow_cuts(struct model *m, __u32 id)
{
	struct model_ioas *ioas = model_ioas(m, id);

	if (ioas->can_cut)
		return 0;
	if (model_has_domain(m, id) && ioas->nareas)
		return EINVAL;
	if (!all_fit(ioas, model_page_size))
		return EADDRINUSE;
	ioas->can_cut = true;
	return 0;
}

int model_huge_pages(struct model *m, __u32 id, __u64 val)
{
	struct model_ioas *ioas = model_ioas(m, id);
	int rc = 0;

	if (!ioas)
		return ENOENT;
	if (val > 1)
		return EINVAL;
	if (val)
		ioas->can_cut = false;
	else
		rc = allow_cuts(m, id);
	return rc;
}

int model_get_huge_pages(struct model *m, __u32 id, __u64 *val)
{
	struct model_ioas *ioas = model_ioas(m, id);

	if (!ioas)
		return ENOENT;
	*val = !ioas->can_cut;
	return 0;
}

int model_rlimit_mode(struct model *m, __u64 val)
{
	for (__u32 id = 1; id < MODEL_IDS; id++)
		if (m->obj[id].type != T_FREE)
			return EBUSY;
	if (val > 1)
		return EINVAL;
	m->default_charge = val ? CHARGE_MM : CHARGE_USER;
	return 0;
}

int model_ioas_alloc(struct model *m, __u32 *id)
{
	bool used[MODEL_IOAS] = {};

	for (__u32 i = 1; i < MODEL_IDS; i++)
		if (m->obj[i].type == T_IOAS)
			used[m->obj[i].index] = true;
	for (__u32 i = 0; i < MODEL_IOAS; i++) {
		if (used[i])
			continue;
		*id = obj_new(m, T_IOAS);
		m->obj[*id].index = i;
		memset(&m->ioas[i], 0, sizeof(m->ioas[i]));
		return 0;
	}
	/* Callers see to it that there is one left */
	return ENOSPC;
}

void ioas_destroy(struct model *m, __u32 id)
{
	__u64 unmapped;

	unmap_areas(m, id, 0, ALL_ONES, &unmapped);
	if (m->compat == id)
		m->compat = 0;
}

/*
 * The container
 */

int model_vfio_set(struct model *m, __u32 id)
{
	if (!model_ioas(m, id))
		return ENOENT;
	m->compat = id;
	return 0;
}

void model_vfio_clear(struct model *m)
{
	m->compat = 0;
}

int model_vfio_get(struct model *m, __u32 *id)
{
	*id = m->compat;
	return m->compat ? 0 : ENODEV;
}

int model_vfio_type(struct model *m, __u32 type)
{
	int rc;

	if (type != 1 && type != 3)
		return EINVAL;
	if (!m->compat)
		return ENODEV;
	if (type == 3)
		return 0;
	rc = allow_cuts(m, m->compat);
	if (!rc)
		model_ioas(m, m->compat)->type1 = true;
	return rc;
}

static __u32 vfio_perms(__u32 flags)
{
	return (flags & 1 ? IOMMU_IOAS_MAP_READABLE : 0) |
	       (flags & 2 ? IOMMU_IOAS_MAP_WRITEABLE : 0);
}

int model_vfio_map(struct model *m, __u64 va, __u64 length, __u32 flags,
		   __u64 iova)
{
	struct model_backing b = {
		.charge = m->proc[0].ipc_lock ? CHARGE_TYPE1 : CHARGE_MM,
		.writable = flags & 2,
		.start = va,
		.length = length,
	};
	int rc;

	if (flags & ~3)
		return EINVAL;
	if (!m->compat)
		return ENODEV;
	if (!flags)
		return EINVAL;
	if (va + length < va)
		return EOVERFLOW;
	if (!length || (iova | length) % model_page_size)
		return EINVAL;
	if (iova + (length - 1) < iova)
		return EOVERFLOW;
	if (offset_in_page(va)) {
		rc = place(m, m->compat, length, va,
			   IOMMU_IOAS_MAP_FIXED_IOVA, &iova);
		return rc ? rc : EINVAL;
	}
	return ATOMICALLY(m, map_backing(m, m->compat, &b,
					 vfio_perms(flags) |
					 IOMMU_IOAS_MAP_FIXED_IOVA, true,
					 &iova));
}

/* Can a mapping be cut, so that the second half begins at an address? */
static int cut_check(struct model *m, struct model_area *a, __u64 iova)
{
	__u64 byte = a->offset + (iova - a->iova);

	if ((iova | byte) % model_alignment(m, m->compat))
		return EINVAL;
	for (int i = 0; i < MODEL_ITEMS; i++)
		if (item_of(m, &m->item[i], m->compat, a->iova, a->last))
			return EINVAL;
	return 0;
}

static int cut_at(struct model *m, __u64 iova)
{
	struct model_ioas *ioas = model_ioas(m, m->compat);
	struct model_area *a = area_at(ioas, iova), right;
	int rc;

	if (!a || a->iova == iova)
		return 0;
	rc = cut_check(m, a, iova);
	if (rc)
		return rc;
	right = *a;
	right.offset += iova - a->iova;
	right.iova = iova;
	a->last = iova - 1;
	insert_area(m, ioas, &right);
	return 0;
}

static bool any_locked(struct model *m, __u32 id, __u64 iova, __u64 last)
{
	struct model_ioas *ioas = model_ioas(m, id);

	for (unsigned int i = 0; i < ioas->nareas; i++) {
		struct model_area *a = &ioas->area[i];

		if (meets(iova, last, a->iova, a->last) &&
		    is_locked(m, id, a->iova, a->last))
			return true;
	}
	return false;
}

static int unmap_cutting(struct model *m, __u64 iova, __u64 last,
			 __u64 *unmapped)
{
	bool any = false;
	int rc = 0;

	if (model_ioas(m, m->compat)->can_cut) {
		if (any_locked(m, m->compat, iova, last))
			return EBUSY;
		rc = cut_at(m, iova);
		if (!rc && last != ALL_ONES)
			rc = cut_at(m, last + 1);
	}
	if (!rc)
		rc = unmap_check(m, m->compat, iova, last, &any);
	if (!rc)
		unmap_areas(m, m->compat, iova, last, unmapped);
	return rc;
}

int model_vfio_unmap(struct model *m, __u64 iova, __u64 length, bool all,
		     __u64 *unmapped)
{
	__u64 last = iova + (length - 1);

	*unmapped = 0;
	if (!m->compat)
		return ENODEV;
	if (all) {
		if (iova || length)
			return EINVAL;
		last = ALL_ONES;
	} else if (!length) {
		return EINVAL;
	} else if (last < iova) {
		return EOVERFLOW;
	}
	return ATOMICALLY(m, unmap_cutting(m, iova, last, unmapped));
}
