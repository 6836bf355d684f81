// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on devices, HWPTs and virtual IOMMUs.
 */
#include "fuzz_parts.h"

/*
 * HWPTs and devices
 */

static bool has_domain_room(struct fuzz *f)
{
	for (__u32 id = 1; id < MODEL_IDS; id++) {
		struct model_ioas *ioas = model_ioas(&f->model, id);

		if (ioas && ioas->nreserved + 4 > MODEL_RANGES)
			return false;
	}
	return model_has_room(&f->model, 6, 0);
}

void gen_device(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->to = pick_empty(f, rng);
	op->with = chance(rng, 70) ? pick(f, rng, T_IOAS) : pick_pt(f, rng);
	op->flags = chance(rng, 70) ? MOCK_FLAGS_DEVICE_PASID : rnd(rng) % 6;
}

/*
 * With an IOAS to choose from, a failure may make a HWPT look unsuitable, and then
 * another one is right as well.
 */
static void no_failure_to_choose(struct fuzz *f, __u32 pt)
{
	if (model_ioas(&f->model, pt))
		f->nth = 0;
}

void run_device(struct fuzz *f, const struct fuzz_op *op)
{
	struct mock_dev got = {};
	__u32 stdev = 0, hwpt = 0, idev = 0, pt = id_of(f, op->with);

	if (!can_keep(f, op) || !has_domain_room(f) || count(f, T_STDEV) > 4)
		return;
	if (model_has_domain(&f->model, pt))
		no_failure_to_choose(f, pt);
	if (!agree(f, model_device(&f->model, pt, op->flags, &stdev, &hwpt,
				   &idev),
		   KERNEL(f, mock_attach(f->fd, pt, op->flags, &got))))
		return;
	keep(f, op, stdev, got.stdev, -1);
	same(f, "HWPT", hwpt, got.hwpt);
	same(f, "device", idev, got.idev);
}

/* A nested HWPT of a vIOMMU, and a device that has a name there. False if none is. */
static bool pick_virtual(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->with = pick(f, rng, T_NESTED);
	op->obj = rnd(rng) % FUZZ_SLOTS;
	if (type_of(f, op->with) != T_NESTED)
		return false;
	for (unsigned int i = 0; i < FUZZ_SLOTS; i++, op->obj++) {
		__u32 vdev;

		op->obj %= FUZZ_SLOTS;
		if (type_of(f, op->obj) != T_STDEV)
			continue;
		vdev = f->model.obj[idev_of(f, op->obj)].vdev;
		if (vdev && f->model.obj[vdev].of ==
			    f->model.obj[f->slot[op->with].id].of)
			return true;
	}
	return false;
}

void gen_replace(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	if (chance(rng, 40) && pick_virtual(f, op, rng))
		return;
	op->obj = pick(f, rng, T_STDEV);
	op->with = pick_pt(f, rng);
}

void run_replace(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 stdev = id_of(f, op->obj), want = id_of(f, op->with), got = want;

	if (!has_domain_room(f))
		return;
	no_failure_to_choose(f, want);
	if (agree(f, model_replace(&f->model, stdev, &want),
		  KERNEL(f, mock_replace(f->fd, stdev, &got))))
		same(f, "HWPT", want, got);
}

/* The last one is none */
static const __u32 pasids[] = { 1, 77, 1024, (1 << 20) - 1, 1 << 20 };

static __u32 pasid_num(const struct fuzz_op *op)
{
	return pasids[op->num % ARRAY_LEN(pasids)];
}

/* A device, and a HWPT, that PASIDs are possible with, if there are any */
static void pick_for_pasid(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	for (int try = 0; try < 20; try++) {
		struct model_obj *dev, *hwpt;

		op->obj = pick(f, rng, T_STDEV);
		op->with = pick(f, rng, chance(rng, 50) ? T_PAGING : T_NESTED);
		dev = model_get(&f->model, id_of(f, op->obj), T_STDEV);
		hwpt = model_any_hwpt(&f->model, id_of(f, op->with));
		if (dev && hwpt && hwpt->flags & IOMMU_HWPT_ALLOC_PASID &&
		    f->model.obj[dev->rid].flags & IOMMU_HWPT_ALLOC_PASID)
			return;
	}
}

void gen_pasid(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	struct model_obj *dev;

	op->obj = pick(f, rng, T_STDEV);
	op->with = pick_pt(f, rng);
	if (chance(rng, 80))
		pick_for_pasid(f, op, rng);
	dev = model_get(&f->model, id_of(f, op->obj), T_STDEV);
	op->num = rnd(rng) % 100 ? rnd(rng) % 4 : 4;
	/* One that is attached, for half of what comes */
	for (unsigned int i = 0; dev && i < 4 && chance(rng, 70); i++)
		if (dev->pasid[0].hwpt && dev->pasid[0].pasid == pasids[i])
			op->num = i;
}

static bool has_pasid_room(struct fuzz *f, __u32 stdev)
{
	struct model_obj *dev = model_get(&f->model, stdev, T_STDEV);

	for (int i = 0; dev && i < MODEL_PASIDS; i++)
		if (!dev->pasid[i].hwpt)
			return true;
	return !dev;
}

void run_pasid_attach(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 stdev = id_of(f, op->obj), want = id_of(f, op->with), got = want;

	if (!has_pasid_room(f, stdev))
		return;
	if (agree(f, model_pasid_attach(&f->model, stdev, pasid_num(op), &want),
		  KERNEL(f, mock_pasid_attach(f->fd, stdev, pasid_num(op),
					      &got))))
		same(f, "HWPT", want, got);
}

void run_pasid_replace(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 stdev = id_of(f, op->obj), want = id_of(f, op->with), got = want;

	if (agree(f, model_pasid_replace(&f->model, stdev, pasid_num(op),
					 &want),
		  KERNEL(f, mock_pasid_replace(f->fd, stdev, pasid_num(op),
					       &got))))
		same(f, "HWPT", want, got);
}

void run_pasid_detach(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 stdev = id_of(f, op->obj);

	agree(f, model_pasid_detach(&f->model, stdev, pasid_num(op)),
	      KERNEL(f, mock_pasid_detach(f->fd, stdev, pasid_num(op))));
}

void gen_hwpt(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_STDEV);
	op->with = chance(rng, 95) ? pick(f, rng, T_IOAS) : pick_pt(f, rng);
	op->to = pick_empty(f, rng);
	op->flags = rnd(rng) % 16;
	if (chance(rng, 40))
		op->flags |= IOMMU_HWPT_ALLOC_PASID;
	if (chance(rng, 50) || !count(f, T_FAULT))
		op->flags &= ~IOMMU_HWPT_FAULT_ID_VALID;
	if (op->flags & IOMMU_HWPT_FAULT_ID_VALID && chance(rng, 80))
		op->flags &= ~IOMMU_HWPT_ALLOC_NEST_PARENT;
	if (chance(rng, 2))
		op->flags |= 1 << rnd(rng) % 16;
	op->src = pick(f, rng, T_FAULT);
	op->num = chance(rng, 20);
}

/* A paging HWPT; with large page table entries for an odd @num */
void run_hwpt(struct fuzz *f, const struct fuzz_op *op)
{
	struct iommu_hwpt_selftest data = {
		.pagetable_type = op->num & 1 ? MOCK_IOMMUPT_HUGE :
						MOCK_IOMMUPT_DEFAULT,
	};
	__u32 dev = idev_of(f, op->obj), pt = id_of(f, op->with);
	__u32 want = 0, got = 0, fault = id_of(f, op->src);
	bool huge = op->num & 1;

	if (!can_keep(f, op) || !has_domain_room(f) || !ioas_of(f, op->with))
		return;
	if (agree(f, model_hwpt_alloc(&f->model, dev, pt, op->flags, fault,
				      huge, &want),
		  KERNEL(f, hwpt_alloc_data(f->fd, dev, pt, op->flags, fault,
					    huge ? IOMMU_HWPT_DATA_SELFTEST : 0,
					    &data, huge ? sizeof(data) : 0,
					    &got))))
		keep(f, op, want, got, -1);
}

void gen_nested(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	gen_hwpt(f, op, rng);
	op->with = pick(f, rng, count(f, T_VIOMMU) && chance(rng, 60) ?
			T_VIOMMU : T_PAGING);
	if (!model_get(&f->model, id_of(f, op->with), T_VIOMMU))
		op->with = pick_parent(f, rng);
	op->flags &= IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	op->num = rnd(rng) % 0x1000;
}

void run_nested(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 dev = idev_of(f, op->obj), pt = id_of(f, op->with);
	__u32 want = 0, got = 0, fault = id_of(f, op->src);

	if (!can_keep(f, op) || ioas_of(f, op->with))
		return;
	if (agree(f, model_nested_alloc(&f->model, dev, pt, op->flags, fault,
					op->num, &want),
		  KERNEL(f, hwpt_alloc_nested(f->fd, dev, pt, op->flags, fault,
					      op->num, &got))))
		keep(f, op, want, got, -1);
}

void gen_set_dirty(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_PAGING);
	op->num = chance(rng, 75);
}

void run_set_dirty(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 hwpt = id_of(f, op->obj);

	agree(f, model_set_dirty(&f->model, hwpt, op->num & 1),
	      KERNEL(f, hwpt_set_dirty(f->fd, hwpt, op->num & 1)));
}

#define DIRTY_UNITS 1024

/* What of a pattern is not in a bitmap, in a word */
static __u64 missing(const __u8 *bitmap, const __u8 *pattern, size_t units)
{
	__u64 bits = 0;

	for (size_t i = 0; i < units; i++)
		bits += bit_get(pattern, i) && !bit_get(bitmap, i);
	return bits;
}

void gen_dirty(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	struct model_obj *hwpt;

	op->obj = pick(f, rng, T_PAGING);
	hwpt = model_get(&f->model, id_of(f, op->obj), T_PAGING);
	op->mem = rnd(rng) % 16;
	if (hwpt && model_ioas(&f->model, hwpt->of)->nareas)
		op->mem = rnd(rng) % model_ioas(&f->model, hwpt->of)->nareas;
	op->num = rnd(rng);
}

/* Writes of a device to mapping number @mem are reported, and reported once */
void run_dirty(struct fuzz *f, const struct fuzz_op *op)
{
	__u8 pattern[DIRTY_UNITS / 8], seen[DIRTY_UNITS / 8] = {};
	__u32 id = id_of(f, op->obj);
	struct model_obj *hwpt = model_get(&f->model, id, T_PAGING);
	struct model_ioas *ioas = hwpt ? model_ioas(&f->model, hwpt->of) : NULL;
	__u64 seed = op->num | 1, length, units;
	struct model_area *a;

	if (!hwpt || op->mem >= ioas->nareas || !hwpt->dirty_on)
		return;
	a = &ioas->area[op->mem];
	length = a->last - a->iova + 1;
	units = length / MOCK_PAGE_SIZE;
	if (units > DIRTY_UNITS)
		return;
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = rnd(&seed) & rnd(&seed);
	/* What came before is of no interest */
	f->result = hwpt_get_dirty(f->fd, id, 0, a->iova, length,
				   MOCK_PAGE_SIZE, seen);
	if (f->result)
		disagree(f, "dirty bits: %s", err(f->result));
	if (mock_dirty(f->fd, id, a->iova, length, MOCK_PAGE_SIZE, pattern, NULL))
		disagree(f, "IOVA %#llx of HWPT %u cannot be written", a->iova, id);
	for (int again = 0; again < 3; again++) {
		__u32 flags = again ? 0 : IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;

		memset(seen, 0, sizeof(seen));
		hwpt_get_dirty(f->fd, id, flags, a->iova, length,
			       MOCK_PAGE_SIZE, seen);
		if (again < 2)
			same(f, "writes that are not reported", 0,
			     missing(seen, pattern, units));
		else
			for (size_t i = 0; i < sizeof(seen); i++)
				same(f, "writes reported twice", 0, seen[i]);
	}
}

void gen_invalidate(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_NESTED);
	op->flags = chance(rng, 20) ? rnd(rng) % 4 : 0;
	op->num = rnd(rng) % 5;
}

void run_invalidate(struct fuzz *f, const struct fuzz_op *op)
{
	struct iommu_hwpt_invalidate_selftest entry = {
		.flags = op->flags, .iotlb_id = op->num,
	};
	__u32 num = 1, id = id_of(f, op->obj);
	int want;

	if (model_get(&f->model, id, T_VIOMMU))
		return;
	want = model_iotlb_invalidate(&f->model, id, op->flags, op->num);
	if (agree(f, want,
		  KERNEL(f, hwpt_invalidate(f->fd, id,
					    IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
					    &entry, sizeof(entry), &num))))
		same(f, "entries done", 1, num);
	else if (want)
		same(f, "entries done", 0, num);
}

/*
 * Page faults
 */

void gen_iopf(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_STDEV);
	for (int try = 0; try < 20; try++) {
		struct model_obj *dev;

		op->obj = pick(f, rng, T_STDEV);
		dev = model_get(&f->model, id_of(f, op->obj), T_STDEV);
		if (dev && f->model.obj[dev->rid].fault)
			break;
	}
	op->num = rnd(rng) % 8;
	op->len = rnd(rng) % 100;
	op->iova = PAGE * (rnd(rng) % 100);
}

/* Without memory nobody hears of it, so it is never without */
void run_iopf(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 dev = idev_of(f, op->obj);
	__u32 pasid = op->num % 8 < 4 ? pasids[op->num % 8] : 0;
	int want = model_iopf(&f->model, dev, pasid, op->len, op->iova);

	if (want == ENOSPC)
		return;
	agree(f, want, mock_iopf(f->fd, dev, pasid, op->len,
				 IOMMU_PGFAULT_PERM_READ, op->iova));
}

void gen_faults(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_FAULT);
}

static void check_fault(struct fuzz *f, const struct model_fault *want,
			const struct iommu_hwpt_pgfault *got)
{
	__u32 flags = IOMMU_PGFAULT_FLAGS_LAST_PAGE;

	if (want->pasid)
		flags |= IOMMU_PGFAULT_FLAGS_PASID_VALID;
	same(f, "flags of a fault", flags, got->flags);
	same(f, "device of a fault", want->dev, got->dev_id);
	if (want->pasid)
		same(f, "PASID of a fault", want->pasid, got->pasid);
	same(f, "group of a fault", want->group, got->grpid);
	same(f, "address of a fault", want->addr, got->addr);
	if (!got->cookie)
		disagree(f, "a fault has no cookie");
}

/* Read all that are there, and answer each of them, which is possible once */
void run_faults(struct fuzz *f, const struct fuzz_op *op)
{
	struct iommu_hwpt_pgfault got[MODEL_FAULTS + 1];
	struct model_fault want[MODEL_FAULTS];
	struct fuzz_slot *slot = slot_at(f, op->obj);
	unsigned int num;

	if (!model_get(&f->model, slot->id, T_FAULT) || slot->file < 0)
		return;
	f->result = 0;
	num = model_faults_read(&f->model, slot->id, want);
	same(f, "bytes of faults", num * sizeof(got[0]),
	     read(slot->file, got, sizeof(got)));
	for (unsigned int i = 0; i < num && !f->why[0]; i++) {
		struct iommu_hwpt_page_response answer = {
			.cookie = got[i].cookie,
			.code = IOMMUFD_PAGE_RESP_INVALID,
		};

		check_fault(f, &want[i], &got[i]);
		same(f, "bytes of an answer", sizeof(answer),
		     write(slot->file, &answer, sizeof(answer)));
		if (write(slot->file, &answer, sizeof(answer)) >= 0)
			disagree(f, "a fault can be answered twice");
	}
}

/*
 * Virtual IOMMUs
 */

void gen_viommu(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_STDEV);
	op->with = pick_parent(f, rng);
	op->to = pick_empty(f, rng);
}

void run_viommu(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 dev = idev_of(f, op->obj), hwpt = id_of(f, op->with);
	__u32 want = 0, got = 0;

	if (!can_keep(f, op))
		return;
	if (agree(f, model_viommu_alloc(&f->model, dev, hwpt, &want),
		  KERNEL(f, viommu_alloc(f->fd, dev, hwpt,
					 IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0,
					 &got))))
		keep(f, op, want, got, -1);
}

void gen_vdevice(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_STDEV);
	op->with = pick(f, rng, T_VIOMMU);
	op->to = pick_empty(f, rng);
	op->num = rnd(rng) % 5;
}

void run_vdevice(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 dev = idev_of(f, op->obj), viommu = id_of(f, op->with);
	__u32 want = 0, got = 0;

	if (!can_keep(f, op))
		return;
	if (agree(f, model_vdevice_alloc(&f->model, viommu, dev, op->num, &want),
		  KERNEL(f, vdevice_alloc(f->fd, viommu, dev, op->num, &got))))
		keep(f, op, want, got, -1);
}

void gen_veventq(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->with = pick(f, rng, T_VIOMMU);
	op->to = pick_empty(f, rng);
	op->num = rnd(rng) % (MODEL_EVENTS + 1);
}

void run_veventq(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 viommu = id_of(f, op->with), want = 0, got = 0;
	int file = -1;

	if (!can_keep(f, op) || op->num > MODEL_EVENTS)
		return;
	if (agree(f, model_veventq_alloc(&f->model, viommu, op->num, &want),
		  KERNEL(f, veventq_alloc(f->fd, viommu,
					  IOMMU_VEVENTQ_TYPE_SELFTEST, op->num,
					  &got, &file))))
		keep(f, op, want, got, file);
}

void gen_vevent(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	for (int try = 0; try < 20; try++) {
		struct model_obj *dev;

		op->obj = pick(f, rng, T_STDEV);
		dev = model_get(&f->model, id_of(f, op->obj), T_STDEV);
		if (dev && dev->behind)
			return;
	}
}

/* Without memory it would be a lost event, so it is never without */
void run_vevent(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 dev = idev_of(f, op->obj);

	agree(f, model_vevent(&f->model, dev), mock_vevent(f->fd, dev));
}

void gen_events(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_VEVENTQ);
}

void run_events(struct fuzz *f, const struct fuzz_op *op)
{
	struct {
		struct iommufd_vevent_header header;
		struct iommu_viommu_event_selftest event;
	} got[MODEL_EVENTS + 1];
	struct model_event want[MODEL_EVENTS + 1];
	struct fuzz_slot *slot = slot_at(f, op->obj);
	unsigned int num;
	ssize_t bytes;
	bool marker;

	if (!model_get(&f->model, slot->id, T_VEVENTQ) || slot->file < 0)
		return;
	f->result = 0;
	num = model_veventq_read(&f->model, slot->id, want, &marker);
	bytes = read(slot->file, got, sizeof(got));
	same(f, "bytes of events", num * sizeof(got[0]) -
	     (marker ? sizeof(got[0].event) : 0), bytes);
	for (unsigned int i = 0; i < num && !f->why[0]; i++) {
		bool lost = marker && i + 1 == num;

		same(f, "flags of an event", lost, got[i].header.flags);
		same(f, "number of an event", want[i].sequence,
		     got[i].header.sequence);
		if (!lost)
			same(f, "device of an event", want[i].virt_id,
			     got[i].event.virt_id);
	}
}

void gen_hw_queue(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	struct model_obj *viommu;

	op->obj = pick(f, rng, T_VIOMMU);
	op->to = pick_empty(f, rng);
	op->num = rnd(rng) % 4 ? 0 : rnd(rng) % 3;
	viommu = model_get(&f->model, id_of(f, op->obj), T_VIOMMU);
	for (unsigned int i = 0; viommu && i < FUZZ_SLOTS; i++)
		if (f->slot[i].id == f->model.obj[viommu->of].of)
			op->iova = pick_iova(f, rng, i);
	op->len = chance(rng, 95) ? 1 + rnd(rng) % PAGE : pick_len(rng);
	if (chance(rng, 80))
		op->iova -= op->iova % PAGE;
}

/* In one page, as only the kernel knows which pages follow each other */
void run_hw_queue(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 viommu = id_of(f, op->obj), want = 0, got = 0;
	bool one_page = op->iova % PAGE + op->len <= PAGE &&
			op->len <= PAGE;

	if (!can_keep(f, op) || !one_page)
		return;
	if (agree(f, model_hw_queue_alloc(&f->model, viommu, op->num, op->iova,
					  op->len, &want),
		  KERNEL(f, hw_queue_alloc(f->fd, viommu,
					   IOMMU_HW_QUEUE_TYPE_SELFTEST,
					   op->num, op->iova, op->len, &got))))
		keep(f, op, want, got, -1);
}

void gen_cache(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	struct model_obj *vdev;

	gen_invalidate(f, op, rng);
	op->obj = pick(f, rng, T_VIOMMU);
	op->src = rnd(rng) % 5;
	vdev = model_get(&f->model, id_of(f, pick(f, rng, T_VDEVICE)),
			 T_VDEVICE);
	for (unsigned int i = 0; vdev && i < FUZZ_SLOTS; i++) {
		if (f->slot[i].id != vdev->of)
			continue;
		op->obj = i;
		op->src = vdev->virt_id;
	}
}

void run_cache(struct fuzz *f, const struct fuzz_op *op)
{
	struct iommu_viommu_invalidate_selftest entry = {
		.flags = op->flags, .vdev_id = op->src, .cache_id = op->num,
	};
	__u32 num = 1, id = id_of(f, op->obj);
	int want;

	if (model_get(&f->model, id, T_NESTED))
		return;
	want = model_cache_invalidate(&f->model, id, op->flags, op->src,
				      op->num);
	if (agree(f, want,
		  KERNEL(f, hwpt_invalidate(f->fd, id,
					    IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
					    &entry, sizeof(entry), &num))))
		same(f, "entries done", 1, num);
	else if (want)
		same(f, "entries done", 0, num);
}
