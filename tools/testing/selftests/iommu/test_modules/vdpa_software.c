// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vDPA device that translates by itself what its dma_map() was told: a simulator,
 * or a device with an IOMMU on board. It gets an access to the IOAS. Ranges of it are
 * pinned when the user says so, and given back when they are unmapped.
 */
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>

#include "vdpa_backend.h"

/* Of one range, so that the list of its pages has a limit */
#define PIN_MAX SZ_1G

/**
 * struct software - the back end
 * @backend: what the front end knows of it; its lock protects @pins
 * @access: to the IOAS
 * @pins: all struct pin
 */
struct software {
	struct vdpa_backend backend;
	struct iommufd_access *access;
	struct list_head pins;
};

/**
 * struct pin - a range that the device can use
 * @list: in &struct software.pins
 * @iova: its first byte
 * @length: in bytes, whole pages
 */
struct pin {
	struct list_head list;
	unsigned long iova;
	unsigned long length;
};

static struct software *to_software(struct vdpa_backend *backend)
{
	return container_of(backend, struct software, backend);
}

static bool pin_overlaps(const struct pin *pin, unsigned long iova,
			 unsigned long last)
{
	return pin->iova <= last && iova <= pin->iova + pin->length - 1;
}

/*
 * Without any use of memory when it returns: dma_unmap() alone does not wait for a
 * request that is being carried out. True if the device is to go on afterwards. One
 * that cannot pause is reset, which its user sees by its status.
 */
static bool device_pause(struct vdpa_device *vdpa)
{
	const struct vdpa_config_ops *ops = vdpa->config;

	if (!(ops->get_status(vdpa) & VIRTIO_CONFIG_S_DRIVER_OK))
		return false;
	if (ops->suspend && ops->resume && !ops->suspend(vdpa))
		return true;
	vdpa_reset(vdpa, 0);
	return false;
}

static void device_resume(struct vdpa_device *vdpa)
{
	const struct vdpa_config_ops *ops = vdpa->config;

	if (ops->resume(vdpa)) {
		vdpa_reset(vdpa, 0);
		return;
	}
	/* A device may have forgotten the kicks that came in between */
	for (u32 i = 0; i != vdpa->nvqs; i++)
		ops->kick_vq(vdpa, i);
}

static void pin_free(struct software *sw, struct pin *pin)
{
	struct vdpa_device *vdpa = sw->backend.vdpa;

	vdpa->config->dma_unmap(vdpa, 0, pin->iova, pin->length);
	iommufd_access_unpin_pages(sw->access, pin->iova, pin->length);
	kfree(pin);
}

static void software_unmap(void *data, unsigned long iova, unsigned long length)
{
	struct software *sw = data;
	struct vdpa_device *vdpa = sw->backend.vdpa;
	struct pin *pin, *next;
	LIST_HEAD(leaving);
	bool resume;

	guard(mutex)(&sw->backend.lock);
	list_for_each_entry_safe(pin, next, &sw->pins, list)
		if (pin_overlaps(pin, iova, iova + length - 1))
			list_move(&pin->list, &leaving);
	if (list_empty(&leaving))
		return;
	resume = device_pause(vdpa);
	list_for_each_entry_safe(pin, next, &leaving, list)
		pin_free(sw, pin);
	if (resume)
		device_resume(vdpa);
}

static const struct iommufd_access_ops software_access_ops = {
	.needs_pin_pages = 1,
	.unmap = software_unmap,
};

/* How many of the pages follow one another in memory */
static size_t run_of(struct page **pages, size_t npages)
{
	size_t n = 1;

	while (n != npages &&
	       page_to_phys(pages[n]) == page_to_phys(pages[n - 1]) + PAGE_SIZE)
		n++;
	return n;
}

static int map_runs(struct vdpa_device *vdpa, const struct pin *pin,
		    struct page **pages, u32 perm)
{
	const struct vdpa_config_ops *ops = vdpa->config;
	size_t npages = pin->length / PAGE_SIZE, run;
	int rc;

	for (size_t i = 0; i != npages; i += run) {
		run = run_of(pages + i, npages - i);
		rc = ops->dma_map(vdpa, 0, pin->iova + i * PAGE_SIZE,
				  run * PAGE_SIZE, page_to_phys(pages[i]), perm,
				  NULL);
		if (rc) {
			if (i)
				ops->dma_unmap(vdpa, 0, pin->iova,
					       i * PAGE_SIZE);
			return rc;
		}
	}
	return 0;
}

/* Pinned, mapped and listed are one step for software_unmap() */
static int pin_range(struct software *sw, struct pin *pin, struct page **pages,
		     bool writeable)
{
	struct pin *other;
	int rc;

	guard(mutex)(&sw->backend.lock);
	list_for_each_entry(other, &sw->pins, list)
		if (pin_overlaps(other, pin->iova, pin->iova + pin->length - 1))
			return -EEXIST;
	rc = iommufd_access_pin_pages(sw->access, pin->iova, pin->length, pages,
				      writeable ? IOMMUFD_ACCESS_RW_WRITE :
						  IOMMUFD_ACCESS_RW_READ);
	if (rc)
		return rc;
	rc = map_runs(sw->backend.vdpa, pin, pages,
		      writeable ? VHOST_ACCESS_RW : VHOST_ACCESS_RO);
	if (rc) {
		iommufd_access_unpin_pages(sw->access, pin->iova, pin->length);
		return rc;
	}
	list_add(&pin->list, &sw->pins);
	return 0;
}

static int software_pin(struct vdpa_backend *backend,
			const struct vdpa_iommufd_pin *range)
{
	struct page **pages __free(kvfree) = NULL;
	struct pin *pin __free(kfree) = NULL;
	u64 last;
	int rc;

	if (!range->length || !PAGE_ALIGNED(range->iova | range->length))
		return -EINVAL;
	if (range->length > PIN_MAX)
		return -E2BIG;
	if (check_add_overflow(range->iova, range->length - 1, &last) ||
	    last > ULONG_MAX)
		return -EOVERFLOW;
	pages = kvmalloc_objs(*pages, range->length / PAGE_SIZE,
			      GFP_KERNEL_ACCOUNT);
	pin = kmalloc_obj(*pin, GFP_KERNEL_ACCOUNT);
	if (!pages || !pin)
		return -ENOMEM;
	pin->iova = range->iova;
	pin->length = range->length;
	rc = pin_range(to_software(backend), pin, pages,
		       range->flags & VDPA_IOMMUFD_PIN_WRITEABLE);
	if (!rc)
		retain_and_null_ptr(pin);
	return rc;
}

static int software_attach(struct vdpa_backend *backend, u32 *pt)
{
	struct software *sw = to_software(backend);

	if (backend->attached)
		return iommufd_access_replace(sw->access, *pt);
	return iommufd_access_attach(sw->access, *pt);
}

static void software_detach(struct vdpa_backend *backend)
{
	iommufd_access_detach(to_software(backend)->access);
}

/*
 * A device that nobody uses may have all memory mapped one to one, which is what
 * drivers in the kernel expect, and nothing that user space may reach.
 */
static int clear_maps(struct vdpa_device *vdpa)
{
	int rc = 0;

	for (unsigned int asid = 0; !rc && asid != vdpa->nas; asid++)
		rc = vdpa->config->dma_unmap(vdpa, asid, 0, U64_MAX);
	return rc;
}

static void reset_maps(struct vdpa_device *vdpa)
{
	if (!vdpa->config->reset_map)
		return;
	for (unsigned int asid = 0; asid != vdpa->nas; asid++)
		vdpa->config->reset_map(vdpa, asid);
}

static void software_unbind(struct vdpa_backend *backend)
{
	struct software *sw = to_software(backend);

	iommufd_access_destroy(sw->access);
	reset_maps(backend->vdpa);
	mutex_destroy(&backend->lock);
	kfree(sw);
}

static const struct vdpa_backend_ops software_ops = {
	.attach = software_attach,
	.detach = software_detach,
	.pin = software_pin,
	.unbind = software_unbind,
};

struct vdpa_backend *vdpa_software_bind(struct vdpa_device *vdpa,
					struct iommufd_ctx *ictx)
{
	struct software *sw __free(kfree) = NULL;
	int rc;

	/* One that wants all its mappings at once is not worth it here */
	if (!vdpa->config->dma_map)
		return ERR_PTR(-EOPNOTSUPP);
	sw = kzalloc_obj(*sw, GFP_KERNEL_ACCOUNT);
	if (!sw)
		return ERR_PTR(-ENOMEM);
	rc = clear_maps(vdpa);
	if (rc)
		return ERR_PTR(rc);
	sw->backend.ops = &software_ops;
	sw->backend.vdpa = vdpa;
	mutex_init(&sw->backend.lock);
	INIT_LIST_HEAD(&sw->pins);
	sw->access = iommufd_access_create(ictx, &software_access_ops, sw,
					   &sw->backend.id);
	if (IS_ERR(sw->access)) {
		reset_maps(vdpa);
		return ERR_CAST(sw->access);
	}
	return &no_free_ptr(sw)->backend;
}
