// SPDX-License-Identifier: GPL-2.0-only
/*
 * HWPTs, devices, virtual IOMMUs and their queues.
 */
#include "fuzz_model_parts.h"

/*
 * HWPTs and devices
 */

/* What a HWPT demands of its IOAS; undone by the caller on failure */
static int link_domain(struct model *m, __u32 hwpt)
{
	struct model_obj *obj = &m->obj[hwpt];
	__u64 first = obj->huge ? 0 : MOCK_APERTURE_START;
	__u64 last = obj->huge ? (1ULL << 38) - 1 : MOCK_APERTURE_LAST;
	int rc = 0;

	if (!all_fit(model_ioas(m, obj->of), hwpt_alignment(obj)))
		return EADDRINUSE;
	if (first)
		rc = reserve(m, obj->of, 0, first - 1, hwpt);
	if (!rc)
		rc = reserve(m, obj->of, last + 1, ALL_ONES, hwpt);
	return rc ? rc : settle(m);
}

void paging_free(struct model *m, __u32 hwpt)
{
	__u32 ioas = m->obj[hwpt].of;

	unreserve(model_ioas(m, ioas), hwpt);
	obj_free(m, hwpt);
	settle(m);
}

static int paging_new(struct model *m, __u32 ioas, __u32 flags, bool huge,
		      __u32 *id)
{
	struct model_obj *obj;

	*id = obj_new(m, T_PAGING);
	obj = &m->obj[*id];
	obj->of = ioas;
	obj->flags = flags;
	obj->huge = huge;
	return link_domain(m, *id);
}

static struct model_obj *stdev_of(struct model *m, __u32 dev)
{
	for (__u32 id = 1; id < MODEL_IDS; id++)
		if (m->obj[id].type == T_STDEV && m->obj[id].dev == dev)
			return &m->obj[id];
	return NULL;
}

int model_hwpt_alloc(struct model *m, __u32 dev, __u32 pt, __u32 flags,
		     __u32 fault, bool huge, __u32 *id)
{
	const __u32 known = IOMMU_HWPT_ALLOC_NEST_PARENT |
			    IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
			    IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	bool no_fault = flags & IOMMU_HWPT_FAULT_ID_VALID &&
			!model_get(m, fault, T_FAULT);
	int rc;

	if (!model_get(m, dev, T_DEVICE))
		return ENOENT;
	/* On anything but an IOAS, a HWPT needs data that this one has only if huge */
	if (!model_ioas(m, pt)) {
		if (!huge && (model_get(m, pt, T_PAGING) ||
			      model_get(m, pt, T_VIOMMU)))
			return EOPNOTSUPP;
		return EINVAL;
	}
	if (flags & ~known)
		return EOPNOTSUPP;
	if (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING &&
	    stdev_of(m, dev)->dev_flags & MOCK_FLAGS_DEVICE_NO_DIRTY)
		return EOPNOTSUPP;
	if (flags & IOMMU_HWPT_FAULT_ID_VALID &&
	    flags & IOMMU_HWPT_ALLOC_NEST_PARENT)
		return EOPNOTSUPP;
	rc = ATOMICALLY(m, paging_new(m, pt, flags, huge, id) ?:
			   (no_fault ? ENOENT : 0));
	if (rc && no_fault)
		also(m, ENOENT);
	if (!rc && flags & IOMMU_HWPT_FAULT_ID_VALID)
		m->obj[*id].fault = fault;
	return rc;
}

int model_nested_alloc(struct model *m, __u32 dev, __u32 pt, __u32 flags,
		       __u32 fault, __u32 word, __u32 *id)
{
	const __u32 known = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;
	struct model_obj *parent = model_get(m, pt, T_PAGING), *obj;

	if (!model_get(m, dev, T_DEVICE))
		return ENOENT;
	if (!parent && !model_get(m, pt, T_VIOMMU))
		return EINVAL;
	if (flags & ~known)
		return EOPNOTSUPP;
	if (parent && (parent->automatic ||
		       !(parent->flags & IOMMU_HWPT_ALLOC_NEST_PARENT)))
		return EINVAL;
	if (flags & IOMMU_HWPT_FAULT_ID_VALID && !model_get(m, fault, T_FAULT))
		return ENOENT;
	*id = obj_new(m, T_NESTED);
	obj = &m->obj[*id];
	obj->of = pt;
	obj->flags = flags;
	obj->fault = flags & IOMMU_HWPT_FAULT_ID_VALID ? fault : 0;
	for (int i = 0; i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		obj->iotlb[i] = word;
	return 0;
}

bool model_has_pasids(struct model *m, __u32 stdev)
{
	struct model_obj *dev = model_get(m, stdev, T_STDEV);

	for (int i = 0; dev && i < MODEL_PASIDS; i++)
		if (dev->pasid[i].hwpt)
			return true;
	return false;
}

/* The vIOMMU of a nested HWPT, or 0 */
static __u32 viommu_of(struct model *m, const struct model_obj *hwpt)
{
	return hwpt->type == T_NESTED && model_get(m, hwpt->of, T_VIOMMU) ?
	       hwpt->of : 0;
}

/* Does a HWPT suit a device that is to use it without a PASID? */
static int suits_rid(struct model *m, __u32 stdev, const struct model_obj *hwpt)
{
	struct model_obj *dev = &m->obj[stdev];
	__u32 viommu = viommu_of(m, hwpt), vdev;

	if (model_has_pasids(m, stdev) &&
	    !(hwpt->flags & IOMMU_HWPT_ALLOC_PASID))
		return EINVAL;
	if (hwpt->type == T_PAGING && dev->dev_flags & MOCK_FLAGS_DEVICE_NO_DIRTY &&
	    hwpt->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING)
		return EINVAL;
	vdev = m->obj[dev->dev].vdev;
	if (viommu && (!vdev || m->obj[vdev].of != viommu))
		return ENOENT;
	return 0;
}

/* An automatic HWPT goes with its last attachment */
static void hwpt_left(struct model *m, __u32 hwpt)
{
	if (hwpt && m->obj[hwpt].automatic && !model_users(m, hwpt))
		paging_free(m, hwpt);
}

/* The oldest automatic HWPT of an IOAS that suits, or 0 */
static __u32 find_auto(struct model *m, __u32 ioas, __u32 stdev)
{
	__u32 found = 0;

	for (__u32 id = 1; id < MODEL_IDS; id++) {
		struct model_obj *obj = &m->obj[id];

		if (obj->type != T_PAGING || obj->of != ioas ||
		    !obj->automatic || suits_rid(m, stdev, obj))
			continue;
		if (!found || obj->age < m->obj[found].age)
			found = id;
	}
	return found;
}

static int make_auto(struct model *m, __u32 ioas, __u32 stdev, __u32 *hwpt)
{
	__u32 flags = 0;
	int rc;

	if (m->compat == ioas && !model_ioas(m, ioas)->type1 &&
	    !(m->obj[stdev].dev_flags & MOCK_FLAGS_DEVICE_NO_DIRTY))
		flags = IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
	rc = paging_new(m, ioas, flags, false, hwpt);
	m->obj[*hwpt].automatic = true;
	if (suits_rid(m, stdev, &m->obj[*hwpt])) {
		if (rc)
			also(m, rc);
		return EINVAL;
	}
	return rc;
}

/* The mock remembers which vIOMMU a device is behind, and its name there */
static void move_behind(struct model *m, struct model_obj *dev, __u32 viommu)
{
	if (dev->behind == viommu)
		return;
	dev->behind = viommu;
	dev->virt_id = viommu ? m->obj[m->obj[dev->dev].vdev].virt_id : 0;
}

/* Faults that came by an attachment are answered by the kernel when it ends */
static void drop_faults(struct model *m, __u32 stdev, __u32 pasid)
{
	for (__u32 id = 1; id < MODEL_IDS; id++) {
		struct model_obj *q = &m->obj[id];
		unsigned int kept = 0;

		for (unsigned int i = 0; q->type == T_FAULT && i < q->stored; i++)
			if (q->faults[i].stdev != stdev ||
			    q->faults[i].attach != pasid)
				q->faults[kept++] = q->faults[i];
		if (q->type == T_FAULT)
			q->stored = kept;
	}
}

/* What a device is to be attached to: an ID that may be that of an IOAS */
static int rid_change(struct model *m, __u32 stdev, __u32 *pt)
{
	struct model_obj *hwpt;
	__u32 old = m->obj[stdev].rid;
	int rc = 0;

	if (model_ioas(m, *pt)) {
		__u32 found = find_auto(m, *pt, stdev);

		if (found)
			*pt = found;
		else
			rc = make_auto(m, *pt, stdev, pt);
		if (rc)
			return rc;
	}
	hwpt = model_any_hwpt(m, *pt);
	if (*pt == old)
		return 0;
	rc = suits_rid(m, stdev, hwpt);
	if (rc)
		return rc;
	drop_faults(m, stdev, 0);
	m->obj[stdev].rid = *pt;
	move_behind(m, &m->obj[stdev], viommu_of(m, hwpt));
	hwpt_left(m, old);
	return 0;
}

/* The errno of an ID that is no place to attach to */
static int check_pt(struct model *m, __u32 pt)
{
	if (!pt || pt >= MODEL_IDS || m->obj[pt].type == T_FREE ||
	    m->obj[pt].type == T_TOMBSTONE)
		return ENOENT;
	if (!model_ioas(m, pt) && !model_any_hwpt(m, pt))
		return EINVAL;
	return 0;
}

int model_device(struct model *m, __u32 pt, __u32 dev_flags, __u32 *stdev,
		 __u32 *hwpt, __u32 *idev)
{
	struct model_obj *obj;
	__u32 target = pt;
	int rc;

	if (dev_flags & ~(MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID))
		return EINVAL;
	rc = check_pt(m, pt);
	if (rc)
		return rc;
	rc = ATOMICALLY(m, ({
		*stdev = obj_new(m, T_STDEV);
		obj = &m->obj[*stdev];
		*idev = obj_new(m, T_DEVICE);
		obj->dev = *idev;
		obj->dev_flags = dev_flags;
		for (int i = 0; i < MOCK_DEV_CACHE_NUM; i++)
			m->obj[*idev].cache[i] = IOMMU_TEST_DEV_CACHE_DEFAULT;
		rid_change(m, *stdev, &target);
	}));
	*hwpt = target;
	return rc;
}

int model_replace(struct model *m, __u32 stdev, __u32 *pt)
{
	__u32 target = *pt;
	int rc;

	if (!model_get(m, stdev, T_STDEV))
		return ENOENT;
	rc = check_pt(m, *pt);
	if (rc)
		return rc;
	rc = ATOMICALLY(m, rid_change(m, stdev, &target));
	if (!rc)
		*pt = target;
	return rc;
}

static struct model_attach *pasid_of(struct model_obj *dev, __u32 pasid)
{
	for (int i = 0; i < MODEL_PASIDS; i++)
		if (dev->pasid[i].hwpt && dev->pasid[i].pasid == pasid)
			return &dev->pasid[i];
	return NULL;
}

/* Does a HWPT suit a PASID of a device? */
static int suits_pasid(struct model *m, struct model_obj *dev, __u32 pasid,
		       __u32 pt)
{
	struct model_obj *hwpt = model_any_hwpt(m, pt);

	if (!hwpt || !(hwpt->flags & IOMMU_HWPT_ALLOC_PASID))
		return EINVAL;
	if (dev->rid && !(m->obj[dev->rid].flags & IOMMU_HWPT_ALLOC_PASID))
		return EINVAL;
	if (!(dev->dev_flags & MOCK_FLAGS_DEVICE_PASID) ||
	    pasid >= 1 << MOCK_PASID_WIDTH)
		return EINVAL;
	return 0;
}

/* The mock has every second call for this PASID fail */
static bool reserved_pasid_fails(struct model_obj *dev, __u32 pasid)
{
	if (pasid != IOMMU_TEST_PASID_RESERVED)
		return false;
	dev->reserved_fails = !dev->reserved_fails;
	return !dev->reserved_fails;
}

int model_pasid_attach(struct model *m, __u32 stdev, __u32 pasid, __u32 *pt)
{
	struct model_obj *dev = model_get(m, stdev, T_STDEV);
	int rc;

	if (!dev)
		return ENOENT;
	rc = check_pt(m, *pt);
	if (rc)
		return rc;
	if (pasid_of(dev, pasid))
		return EBUSY;
	rc = suits_pasid(m, dev, pasid, *pt);
	if (rc)
		return rc;
	if (reserved_pasid_fails(dev, pasid))
		return ENOMEM;
	for (int i = 0; i < MODEL_PASIDS; i++) {
		if (dev->pasid[i].hwpt)
			continue;
		dev->pasid[i] = (struct model_attach) { pasid, *pt };
		return 0;
	}
	/* Callers see to it that there is room */
	return ENOSPC;
}

int model_pasid_replace(struct model *m, __u32 stdev, __u32 pasid, __u32 *pt)
{
	struct model_obj *dev = model_get(m, stdev, T_STDEV);
	struct model_attach *attach;
	int rc;

	if (!dev)
		return ENOENT;
	rc = check_pt(m, *pt);
	if (rc)
		return rc;
	attach = pasid_of(dev, pasid);
	if (!attach)
		return EINVAL;
	if (attach->hwpt == *pt)
		return 0;
	rc = suits_pasid(m, dev, pasid, *pt);
	if (rc)
		return rc;
	if (reserved_pasid_fails(dev, pasid))
		return ENOMEM;
	drop_faults(m, stdev, pasid);
	attach->hwpt = *pt;
	return 0;
}

int model_pasid_detach(struct model *m, __u32 stdev, __u32 pasid)
{
	struct model_obj *dev = model_get(m, stdev, T_STDEV);
	struct model_attach *attach;

	if (!dev)
		return ENOENT;
	attach = pasid_of(dev, pasid);
	if (!attach)
		return 0;
	drop_faults(m, stdev, pasid);
	attach->hwpt = 0;
	if (pasid == IOMMU_TEST_PASID_RESERVED)
		dev->reserved_fails = false;
	return 0;
}

int model_set_dirty(struct model *m, __u32 hwpt, bool on)
{
	struct model_obj *obj = model_get(m, hwpt, T_PAGING);

	if (!obj)
		return ENOENT;
	if (!(obj->flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING))
		return EOPNOTSUPP;
	obj->dirty_on = on;
	return 0;
}

static void invalidate(__u32 *words, __u32 flags, __u32 word)
{
	if (flags & IOMMU_TEST_INVALIDATE_FLAG_ALL)
		memset(words, 0, 4 * sizeof(*words));
	else
		words[word] = 0;
}

int model_iotlb_invalidate(struct model *m, __u32 hwpt, __u32 flags, __u32 word)
{
	struct model_obj *obj = model_get(m, hwpt, T_NESTED);

	if (!obj)
		return hwpt && hwpt < MODEL_IDS && m->obj[hwpt].type != T_FREE &&
		       m->obj[hwpt].type != T_TOMBSTONE ? EINVAL : ENOENT;
	if (flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return EOPNOTSUPP;
	if (word > MOCK_NESTED_DOMAIN_IOTLB_ID_MAX)
		return EINVAL;
	invalidate(obj->iotlb, flags, word);
	return 0;
}

void stdev_destroy(struct model *m, __u32 stdev)
{
	struct model_obj *dev = &m->obj[stdev];
	__u32 rid = dev->rid, idev = dev->dev, vdev = m->obj[idev].vdev;

	drop_faults(m, stdev, 0);
	dev->rid = 0;
	hwpt_left(m, rid);
	/* Its ID is not used again */
	if (vdev)
		m->obj[vdev] = (struct model_obj) { .type = T_TOMBSTONE };
	obj_free(m, idev);
}

/*
 * Virtual IOMMUs and queues
 */

int model_fault_alloc(struct model *m, __u32 *id)
{
	*id = obj_new(m, T_FAULT);
	m->obj[*id].file = true;
	return 0;
}

/* The HWPT whose business a fault is, or NULL, and by which attachment */
static struct model_obj *faulting_hwpt(struct model *m, struct model_obj *dev,
				       __u32 pasid, __u32 *attach)
{
	struct model_attach *at = pasid ? pasid_of(dev, pasid) : NULL;
	struct model_obj *rid = model_any_hwpt(m, dev->rid);

	*attach = at ? pasid : 0;
	if (at)
		return model_any_hwpt(m, at->hwpt);
	/* A guest has PASIDs of its own in what it nests */
	return pasid && rid && rid->type != T_NESTED ? NULL : rid;
}

int model_iopf(struct model *m, __u32 idev, __u32 pasid, __u32 group,
	       __u64 addr)
{
	struct model_obj *dev, *hwpt, *q;
	__u32 attach;

	if (!model_get(m, idev, T_DEVICE))
		return ENOENT;
	dev = stdev_of(m, idev);
	hwpt = faulting_hwpt(m, dev, pasid, &attach);
	if (!hwpt || !hwpt->fault)
		return 0;
	q = &m->obj[hwpt->fault];
	if (q->stored == MODEL_FAULTS)
		return ENOSPC;
	q->faults[q->stored++] = (struct model_fault) {
		dev - m->obj, attach, idev, pasid, group, addr,
	};
	return 0;
}

unsigned int model_faults_read(struct model *m, __u32 fault,
			       struct model_fault *faults)
{
	struct model_obj *q = &m->obj[fault];
	unsigned int num = q->stored;

	memcpy(faults, q->faults, num * sizeof(*faults));
	q->stored = 0;
	return num;
}

int model_viommu_alloc(struct model *m, __u32 dev, __u32 hwpt, __u32 *id)
{
	struct model_obj *parent = model_get(m, hwpt, T_PAGING);

	if (!model_get(m, dev, T_DEVICE) || !parent)
		return ENOENT;
	if (!(parent->flags & IOMMU_HWPT_ALLOC_NEST_PARENT))
		return EINVAL;
	*id = obj_new(m, T_VIOMMU);
	m->obj[*id].of = hwpt;
	return 0;
}

static struct model_obj *vdev_named(struct model *m, __u32 viommu,
				    __u64 virt_id)
{
	for (__u32 id = 1; id < MODEL_IDS; id++) {
		struct model_obj *obj = &m->obj[id];

		if (obj->type == T_VDEVICE && obj->of == viommu &&
		    obj->virt_id == virt_id)
			return obj;
	}
	return NULL;
}

int model_vdevice_alloc(struct model *m, __u32 viommu, __u32 dev,
			__u64 virt_id, __u32 *id)
{
	struct model_obj *idev = model_get(m, dev, T_DEVICE), *obj;

	if (!model_get(m, viommu, T_VIOMMU) || !idev)
		return ENOENT;
	if (idev->vdev || vdev_named(m, viommu, virt_id))
		return EEXIST;
	*id = obj_new(m, T_VDEVICE);
	obj = &m->obj[*id];
	obj->of = viommu;
	obj->dev = dev;
	obj->virt_id = virt_id;
	idev->vdev = *id;
	return 0;
}

static struct model_obj *veventq_of(struct model *m, __u32 viommu)
{
	for (__u32 id = 1; id < MODEL_IDS; id++)
		if (m->obj[id].type == T_VEVENTQ && m->obj[id].of == viommu)
			return &m->obj[id];
	return NULL;
}

int model_veventq_alloc(struct model *m, __u32 viommu, __u32 depth, __u32 *id)
{
	if (!depth || depth > 1 << 19)
		return EINVAL;
	if (!model_get(m, viommu, T_VIOMMU))
		return ENOENT;
	if (veventq_of(m, viommu))
		return EEXIST;
	*id = obj_new(m, T_VEVENTQ);
	m->obj[*id].of = viommu;
	m->obj[*id].depth = depth;
	m->obj[*id].file = true;
	return 0;
}

static void store_event(struct model_obj *q, __u32 virt_id)
{
	const struct model_event event = { q->sequence++, virt_id };

	q->lost = q->stored == q->depth;
	if (q->lost)
		q->marker = event;
	else
		q->event[q->stored++] = event;
}

int model_vevent(struct model *m, __u32 idev)
{
	struct model_obj *dev, *q;

	if (!model_get(m, idev, T_DEVICE))
		return ENOENT;
	dev = stdev_of(m, idev);
	if (!dev->behind || !dev->virt_id)
		return ENOENT;
	q = veventq_of(m, dev->behind);
	if (!q)
		return EOPNOTSUPP;
	store_event(q, dev->virt_id);
	return 0;
}

unsigned int model_veventq_read(struct model *m, __u32 veventq,
				struct model_event *events, bool *marker)
{
	struct model_obj *q = &m->obj[veventq];
	unsigned int num = q->stored;

	memcpy(events, q->event, num * sizeof(*events));
	*marker = q->lost;
	if (q->lost)
		events[num++] = q->marker;
	q->stored = 0;
	q->lost = false;
	return num;
}

static struct model_obj *queue_at(struct model *m, __u32 viommu, __u32 index)
{
	for (__u32 id = 1; id < MODEL_IDS; id++) {
		struct model_obj *obj = &m->obj[id];

		if (obj->type == T_HWQ && obj->of == viommu &&
		    obj->depth == index)
			return obj;
	}
	return NULL;
}

static int hw_queue_new(struct model *m, __u32 viommu, __u32 index, __u64 iova,
			__u64 last, __u32 *id)
{
	__u32 ioas = m->obj[m->obj[viommu].of].of;
	struct model_obj *obj;
	int rc;

	if (!all_fit(model_ioas(m, ioas), model_page_size))
		return EADDRINUSE;
	rc = pin_pieces(m, ioas, iova - offset_in_page(iova),
			last | (model_page_size - 1), false);
	if (rc)
		return rc;
	if (index >= IOMMU_TEST_HW_QUEUE_MAX)
		return EINVAL;
	if (queue_at(m, viommu, index))
		return EEXIST;
	if (index && !queue_at(m, viommu, index - 1))
		return EIO;
	*id = obj_new(m, T_HWQ);
	obj = &m->obj[*id];
	obj->of = viommu;
	obj->index = ioas;
	obj->depth = index;
	obj->iova = iova;
	obj->last = last;
	return settle(m);
}

int model_hw_queue_alloc(struct model *m, __u32 viommu, __u32 index,
			 __u64 iova, __u64 length, __u32 *id)
{
	if (!length)
		return EINVAL;
	if (iova + (length - 1) < iova)
		return EOVERFLOW;
	if (!model_get(m, viommu, T_VIOMMU))
		return ENOENT;
	return ATOMICALLY(m, hw_queue_new(m, viommu, index, iova,
					  iova + (length - 1), id));
}

int model_cache_invalidate(struct model *m, __u32 viommu, __u32 flags,
			   __u32 virt_id, __u32 word)
{
	struct model_obj *vdev;

	if (!model_get(m, viommu, T_VIOMMU))
		return viommu && viommu < MODEL_IDS &&
		       m->obj[viommu].type != T_FREE &&
		       m->obj[viommu].type != T_TOMBSTONE ? EINVAL : ENOENT;
	if (flags & ~IOMMU_TEST_INVALIDATE_FLAG_ALL)
		return EOPNOTSUPP;
	vdev = vdev_named(m, viommu, virt_id);
	if (word > MOCK_DEV_CACHE_ID_MAX || !vdev)
		return EINVAL;
	invalidate(m->obj[vdev->dev].cache, flags, word);
	return 0;
}
