// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether everything in the kernel is as it is in the model.
 */
#include "fuzz_parts.h"

/*
 * Looking at everything
 */

static void check_ranges(struct fuzz *f, __u32 ioas)
{
	struct iommu_iova_range got[MODEL_RANGES + 1];
	struct model_range want[MODEL_RANGES + 1];
	__u32 num = ARRAY_LEN(got);
	__u64 alignment = 0, align = 0;
	unsigned int n;

	model_ranges(&f->model, ioas, want, &n, &alignment);
	if (ioas_ranges(f->fd, ioas, got, &num, &align)) {
		disagree(f, "IOVA ranges of IOAS %u cannot be had", ioas);
		return;
	}
	same(f, "alignment", alignment, align);
	same(f, "number of IOVA ranges", n, num);
	for (unsigned int i = 0; i < n && !f->why[0]; i++) {
		same(f, "start of an IOVA range", want[i].start, got[i].start);
		same(f, "end of an IOVA range", want[i].last, got[i].last);
	}
}

/* Where the program has a frame, or NULL */
static char *va_of_frame(struct fuzz *f, int frame)
{
	if (frame == NO_FRAME)
		return NULL;
	for (unsigned int r = 0; r < MODEL_REGIONS; r++)
		for (unsigned int i = 0; i < REGION_PAGES; i++)
			if (f->model.proc[0].page[r][i] == frame)
				return (char *)region_start(r) + i * PAGE;
	return NULL;
}

/* The rest of a page of a mapping, and where the program has it, or NULL */
static char *va_of_iova(struct fuzz *f, const struct model_area *a, __u64 iova,
			__u64 *part)
{
	const struct model_backing *b = &f->model.backing[a->backing];
	__u64 byte = a->offset + (iova - a->iova), left = a->last - iova + 1;
	char *va;

	*part = PAGE - byte % PAGE;
	*part = *part < left ? *part : left;
	va = va_of_frame(f, b->frame[byte / PAGE]);
	return va ? va + byte % PAGE : NULL;
}

/* One mapping in one HWPT: every page that the program can name is there */
static void check_area(struct fuzz *f, __u32 hwpt, const struct model_area *a)
{
	for (__u64 iova = a->iova, length, part; iova <= a->last && iova;
	     iova += length) {
		char *va = va_of_iova(f, a, iova, &length);

		while (va && iova + length <= a->last &&
		       va_of_iova(f, a, iova + length, &part) == va + length)
			length += part;
		if (va && mock_check_map(f->fd, hwpt, iova, va, length)) {
			disagree(f, "IOVA %#llx of HWPT %u is not mapped to %p",
				 iova, hwpt, va);
			return;
		}
	}
}

static void check_hwpt(struct fuzz *f, __u32 hwpt)
{
	struct model_obj *obj = &f->model.obj[hwpt];
	struct model_ioas *ioas = model_ioas(&f->model, obj->of);
	__u64 unit = obj->huge ? PAGE : MOCK_PAGE_SIZE;
	char *any = (char *)region_start(REGION_FILE);

	for (unsigned int i = 0; i < ioas->nareas && !f->why[0]; i++) {
		struct model_area *a = &ioas->area[i];

		check_area(f, hwpt, a);
		/* And what is behind it is not mapped at all */
		if (a->last == ~0ULL ||
		    (i + 1 < ioas->nareas &&
		     ioas->area[i + 1].iova == a->last + 1))
			continue;
		for (int r = 0; r < REGION_PAGES; r += REGION_PAGES - 1)
			if (!mock_check_map(f->fd, hwpt, a->last + 1,
					    any + r * PAGE, unit))
				disagree(f, "IOVA %#llx of HWPT %u is mapped",
					 a->last + 1, hwpt);
	}
}

/* Each page of the program is pinned as often as it should */
void check_pins(struct fuzz *f)
{
	for (unsigned int r = 0; r < MODEL_REGIONS; r++) {
		char *va = (char *)region_start(r);
		unsigned int i = 0, n;

		while (i < REGION_PAGES && !f->why[0]) {
			int frame = f->model.proc[0].page[r][i];
			unsigned int pins;

			if (frame == NO_FRAME) {
				i++;
				continue;
			}
			pins = model_frame_pins(&f->model, frame);
			for (n = 1; i + n < REGION_PAGES; n++) {
				frame = f->model.proc[0].page[r][i + n];
				if (frame == NO_FRAME ||
				    model_frame_pins(&f->model, frame) != pins)
					break;
			}
			if (mock_check_pins(f->fd, va + i * PAGE, n * PAGE, pins))
				disagree(f, "region %u pages %u to %u are not pinned %u times each",
					 r, i, i + n - 1, pins);
			i += n;
		}
	}
}

void check_charges(struct fuzz *f)
{
	const struct model_proc *proc = f->model.proc;

	same(f, "VmPin", f->pinned + proc[0].pinned, vm_pin(0));
	same(f, "VmLck", f->locked + proc[0].locked, vm_lck(0));
	if (f->child <= 0)
		return;
	same(f, "VmPin of the child", proc[1].pinned, vm_pin(f->child));
	same(f, "VmLck of the child", proc[1].locked, vm_lck(f->child));
}

void check_memory(struct fuzz *f)
{
	for (unsigned int r = 0; r < MODEL_REGIONS; r++) {
		for (unsigned int i = 0; i < REGION_PAGES; i++) {
			int frame = f->model.proc[0].page[r][i];

			if (frame != NO_FRAME &&
			    memcmp((char *)region_start(r) + i * PAGE,
				   f->shadow + frame * PAGE, PAGE))
				disagree(f, "page %u of region %u has other data in it",
					 i, r);
		}
	}
}

static void check_attachments(struct fuzz *f, __u32 stdev)
{
	struct model_obj *dev = &f->model.obj[stdev];

	if (mock_pasid_check(f->fd, stdev, 0, dev->rid))
		disagree(f, "device %u is not attached to HWPT %u", stdev,
			 dev->rid);
	for (int i = 0; i < MODEL_PASIDS; i++)
		if (dev->pasid[i].hwpt &&
		    mock_pasid_check(f->fd, stdev, dev->pasid[i].pasid,
				     dev->pasid[i].hwpt))
			disagree(f, "PASID %u of device %u is not attached to HWPT %u",
				 dev->pasid[i].pasid, stdev,
				 dev->pasid[i].hwpt);
}

/* The mock's idea of what is cached */
static void check_words(struct fuzz *f, __u32 id)
{
	struct model_obj *obj = &f->model.obj[id];

	for (int i = 0; i < 4; i++) {
		if (obj->type == T_NESTED &&
		    mock_check_iotlb(f->fd, id, i, obj->iotlb[i]))
			disagree(f, "IOTLB word %d of HWPT %u is not %#x", i,
				 id, obj->iotlb[i]);
		if (obj->type == T_DEVICE &&
		    mock_check_cache(f->fd, id, i, obj->cache[i]))
			disagree(f, "cache word %d of device %u is not %#x", i,
				 id, obj->cache[i]);
	}
}

void run_check(struct fuzz *f, const struct fuzz_op *op)
{
	(void)op;
	f->result = 0;
	for (__u32 id = 1; id < MODEL_IDS && !f->why[0]; id++) {
		switch (f->model.obj[id].type) {
		case T_IOAS:
			check_ranges(f, id);
			break;
		case T_PAGING:
			check_hwpt(f, id);
			break;
		case T_STDEV:
			check_attachments(f, id);
			break;
		case T_NESTED:
		case T_DEVICE:
			check_words(f, id);
			break;
		default:
			break;
		}
	}
	check_pins(f);
	check_charges(f);
	check_memory(f);
}
