// SPDX-License-Identifier: GPL-2.0-only
/*
 * Kernel accesses.
 */
#include "fuzz_model_parts.h"

static int access_fits(struct model *m, __u32 ioas, bool pins)
{
	if (!model_ioas(m, ioas))
		return ENOENT;
	if (pins && !all_fit(model_ioas(m, ioas), model_page_size))
		return EADDRINUSE;
	return 0;
}

int model_access_create(struct model *m, __u32 ioas, bool pins, __u32 *id)
{
	int rc = access_fits(m, ioas, pins);

	if (rc)
		return rc;
	*id = obj_new(m, T_ACCESS);
	m->obj[*id].of = ioas;
	m->obj[*id].pins = pins;
	return 0;
}

static void drop_all_items(struct model *m, __u32 access)
{
	for (int i = 0; i < MODEL_ITEMS; i++)
		if (m->item[i].access == access)
			m->item[i].access = 0;
}

void model_access_close(struct model *m, __u32 access)
{
	drop_all_items(m, access);
	obj_free(m, access);
	settle(m);
}

int model_access_replace(struct model *m, __u32 access, __u32 ioas)
{
	struct model_obj *obj = model_get(m, access, T_ACCESS);
	int rc;

	if (!obj)
		return EBADFD;
	if (model_ioas(m, ioas) && obj->of == ioas)
		return 0;
	rc = access_fits(m, ioas, obj->pins);
	if (rc)
		return rc;
	drop_all_items(m, access);
	obj->of = ioas;
	settle(m);
	return 0;
}

/* Pin the pages of one piece for an access, to see whether that is possible */
static int pin_piece(struct model *m, struct model_area *a, __u64 iova,
		     __u64 end)
{
	__u64 from = a->offset + (iova - a->iova);
	__u64 to = a->offset + (end - a->iova);

	if (to / model_page_size >= BACKING_PAGES)
		return m->backing[a->backing].file ? EINVAL : EFAULT;
	return pin_wanted(m, a->backing, page_bits(from, to));
}

int pin_pieces(struct model *m, __u32 id, __u64 iova, __u64 last,
	       bool write)
{
	struct model_ioas *ioas = model_ioas(m, id);

	for (;;) {
		struct model_area *a = area_at(ioas, iova);
		__u64 end;
		int rc;

		if (!a)
			return ENOENT;
		if (!(a->prot & (write ? IOMMU_IOAS_MAP_WRITEABLE :
					 IOMMU_IOAS_MAP_READABLE)))
			return EPERM;
		end = a->last < last ? a->last : last;
		if (offset_in_page(a->offset + (iova - a->iova)))
			return EINVAL;
		if (end != last && offset_in_page(a->offset + (end - a->iova) + 1))
			return EINVAL;
		rc = pin_piece(m, a, iova, end);
		if (rc || end == last)
			return rc;
		iova = end + 1;
	}
}

static int item_new(struct model *m, __u32 access, __u64 iova, __u64 last,
		    bool write, __u32 *number)
{
	struct model_obj *obj = &m->obj[access];
	int rc = pin_pieces(m, obj->of, iova, last, write);

	if (rc)
		return rc;
	for (int i = 0; i < MODEL_ITEMS; i++) {
		if (m->item[i].access)
			continue;
		*number = obj->next_item++;
		m->item[i] = (struct model_item) { access, *number, iova, last };
		return settle(m);
	}
	/* Callers see to it that there is room */
	return ENOSPC;
}

int model_access_pin(struct model *m, __u32 access, __u64 iova, __u64 length,
		     bool write, __u32 *number)
{
	struct model_obj *obj = model_get(m, access, T_ACCESS);

	if (length > 16 << 20)
		return ENOMEM;
	if (!obj)
		return EBADFD;
	if (!obj->pins)
		return EOPNOTSUPP;
	if (!length)
		return EINVAL;
	if (iova + (length - 1) < iova)
		return EOVERFLOW;
	return ATOMICALLY(m, item_new(m, access, iova, iova + (length - 1),
				      write, number));
}

int model_access_unpin(struct model *m, __u32 access, __u32 number)
{
	if (!model_get(m, access, T_ACCESS))
		return EBADFD;
	for (int i = 0; i < MODEL_ITEMS; i++) {
		if (m->item[i].access != access || m->item[i].id != number)
			continue;
		m->item[i].access = 0;
		settle(m);
		return 0;
	}
	return ENOENT;
}

int model_translate(struct model *m, __u32 id, __u64 iova, __u64 *offset)
{
	struct model_ioas *ioas = model_ioas(m, id);
	struct model_area *a = ioas ? area_at(ioas, iova) : NULL;
	__u64 byte;

	if (!a)
		return NO_FRAME;
	byte = a->offset + (iova - a->iova);
	*offset = offset_in_page(byte);
	if (byte / model_page_size >= BACKING_PAGES)
		return NO_FRAME;
	return model_page_of(m, &m->backing[a->backing],
			     byte / model_page_size, false);
}

static int rw_piece(struct model *m, struct model_area *a, __u64 iova,
		    __u64 end, bool write)
{
	struct model_backing *b = &m->backing[a->backing];
	__u64 from = a->offset + (iova - a->iova);
	__u64 to = a->offset + (end - a->iova);

	for (__u64 i = from / model_page_size; i <= to / model_page_size; i++)
		if (i >= BACKING_PAGES ||
		    model_page_of(m, b, i, write) == NO_FRAME)
			return b->file ? EINVAL : EFAULT;
	return 0;
}

int model_access_rw(struct model *m, __u32 access, __u64 iova, __u64 length,
		    bool write)
{
	struct model_obj *obj = model_get(m, access, T_ACCESS);
	__u64 last = iova + (length - 1);

	if (length > 16 << 20)
		return ENOMEM;
	if (!obj)
		return EBADFD;
	if (!length)
		return EINVAL;
	if (last < iova)
		return EOVERFLOW;
	for (;;) {
		struct model_area *a = area_at(model_ioas(m, obj->of), iova);
		__u64 end;
		int rc;

		if (!a)
			return ENOENT;
		if (!(a->prot & (write ? IOMMU_IOAS_MAP_WRITEABLE :
					 IOMMU_IOAS_MAP_READABLE)))
			return EPERM;
		end = a->last < last ? a->last : last;
		rc = rw_piece(m, a, iova, end, write);
		if (rc || end == last)
			return rc;
		iova = end + 1;
	}
}
