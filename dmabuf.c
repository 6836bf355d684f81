// SPDX-License-Identifier: GPL-2.0-only
/*
 * A dma-buf as a backing.
 *
 * Its lock as a revocable source is the reservation lock of the dma-buf. That is
 * taken inside io_pagetable.domains_rwsem; the exporter holds it when it revokes
 * the buffer, so that path takes no other lock of ours.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>
#include <linux/workqueue.h>

#include "dmabuf.h"
#include "revocable.h"
#include "test_hooks.h"

/*
 * VFIO says that the memory is back just before it is. So try again after 1, 2,
 * 4, ... ms; when it is not back after a second, something else went wrong.
 */
#define DMABUF_TRIES 10

/**
 * struct iopt_dmabuf - an imported dma-buf
 * @revocable: its addresses
 * @attach: the attachment, pinned; set under the reservation lock
 * @restore_work: the exporter has the memory back, or will soon
 * @tries: how often @restore_work may still try; under the reservation lock
 */
struct iopt_dmabuf {
	struct iopt_revocable revocable;
	struct dma_buf_attachment *attach;
	struct delayed_work restore_work;
	unsigned int tries;
};

static struct iopt_dmabuf *to_dmabuf(struct iopt_revocable *revocable)
{
	return container_of(revocable, struct iopt_dmabuf, revocable);
}

static int vfio_pci_phys(struct dma_buf_attachment *attach,
			 struct phys_vec *phys)
{
	typeof(vfio_pci_dma_buf_iommufd_map) *fn;
	int rc = -EOPNOTSUPP;

	/* vfio-pci-core depends on iommufd, so iommufd cannot on it */
	if (!IS_ENABLED(CONFIG_VFIO_PCI_DMABUF))
		return rc;
	fn = symbol_get(vfio_pci_dma_buf_iommufd_map);
	if (fn) {
		rc = fn(attach, phys);
		symbol_put(vfio_pci_dma_buf_iommufd_map);
	}
	return rc;
}

/* Learn the physical range from those who can tell, and whether it is there */
static int dmabuf_restore(struct iopt_revocable *revocable)
{
	struct iopt_dmabuf *import = to_dmabuf(revocable);
	struct iopt_pages *pages = revocable->pages;
	unsigned long bytes = pages->npages * PAGE_SIZE;
	struct phys_vec phys;
	struct pfn_runs runs;
	int rc;

	dma_resv_assert_held(import->attach->dmabuf->resv);

	rc = iommufd_test_dmabuf_phys(import->attach, &phys);
	if (rc == -EOPNOTSUPP)
		rc = vfio_pci_phys(import->attach, &phys);
	if (rc)
		return rc;
	if (!PAGE_ALIGNED(phys.paddr) || pages->start > phys.len ||
	    bytes > phys.len - pages->start)
		return -EINVAL;
	pfn_runs_init(&runs);
	rc = pfn_runs_append_range(&runs, PHYS_PFN(phys.paddr + pages->start),
				   pages->npages);
	if (!rc)
		rc = iopt_revocable_arm(revocable, &runs);
	if (rc)
		pfn_runs_free(&runs);
	return rc;
}

/* Page tables are charged to the memory cgroup of whoever mapped the buffer */
static void dmabuf_restore_work(struct work_struct *work)
{
	struct iopt_dmabuf *import = container_of(work, struct iopt_dmabuf,
						  restore_work.work);
	struct iopt_pages *pages = import->revocable.pages;
	struct mem_cgroup *memcg, *old;
	unsigned int tried;

	memcg = get_mem_cgroup_from_mm(pages->owner.mm);
	old = set_active_memcg(memcg);
	iopt_pages_freeze(pages);
	if (!pages->frames && dmabuf_restore(&import->revocable) &&
	    import->tries) {
		tried = DMABUF_TRIES - import->tries--;
		queue_delayed_work(system_dfl_wq, &import->restore_work,
				   msecs_to_jiffies(1 << tried));
	}
	iopt_pages_thaw(pages);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
}

/* Called when the memory is taken back, and when it returns */
static void dmabuf_invalidate(struct dma_buf_attachment *attach)
{
	struct iopt_dmabuf *import = attach->importer_priv;

	dma_resv_assert_held(attach->dmabuf->resv);

	/* While it is imported, the import itself looks what is there */
	if (!import->attach || iopt_revocable_revoke(&import->revocable))
		return;
	import->tries = DMABUF_TRIES;
	mod_delayed_work(system_dfl_wq, &import->restore_work, 0);
}

static const struct dma_buf_attach_ops dmabuf_attach_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = dmabuf_invalidate,
};

static int dmabuf_import(struct iopt_dmabuf *import, struct device *importer,
			 struct dma_buf *buf)
{
	struct dma_buf_attachment *attach;
	int rc;

	attach = dma_buf_dynamic_attach(buf, importer, &dmabuf_attach_ops,
					import);
	if (IS_ERR(attach))
		return PTR_ERR(attach);

	dma_resv_lock(buf->resv, NULL);
	import->attach = attach;
	rc = dma_buf_pin(attach);
	if (!rc) {
		rc = dmabuf_restore(&import->revocable);
		if (rc)
			dma_buf_unpin(attach);
	}
	dma_resv_unlock(buf->resv);
	if (rc) {
		disable_delayed_work_sync(&import->restore_work);
		dma_buf_detach(buf, attach);
		return rc;
	}
	get_dma_buf(buf);
	return 0;
}

static void dmabuf_freeze(struct iopt_pages *pages)
{
	dma_resv_lock(to_dmabuf(pages->revocable)->attach->dmabuf->resv, NULL);
}

static void dmabuf_thaw(struct iopt_pages *pages)
{
	dma_resv_unlock(to_dmabuf(pages->revocable)->attach->dmabuf->resv);
}

static void dmabuf_free(struct iopt_pages *pages)
{
	struct iopt_dmabuf *import = to_dmabuf(pages->revocable);
	struct dma_buf *buf = import->attach->dmabuf;

	/* The exporter may call back until the attachment is gone */
	disable_delayed_work_sync(&import->restore_work);
	dma_resv_lock(buf->resv, NULL);
	dma_buf_unpin(import->attach);
	dma_resv_unlock(buf->resv);
	dma_buf_detach(buf, import->attach);
	dma_buf_put(buf);
	iopt_revocable_free(&import->revocable);
	kfree(import);
}

static const struct iopt_pages_ops dmabuf_ops = {
	.prot = IOMMU_MMIO,
	.free = dmabuf_free,
	.map = iopt_revocable_map,
	.unmap = iopt_revocable_unmap,
	.freeze = dmabuf_freeze,
	.thaw = dmabuf_thaw,
};

/**
 * iopt_dmabuf_init() - make a backing of a dma-buf
 * @pages: the backing, with any content
 * @importer: the device that imports it
 * @buf: the buffer; a reference is taken
 * @start: offset in the buffer of the first byte
 * @length: bytes, more than 0
 * @writable: whether it may ever be written through a mapping
 *
 * Return: 0 with one reference, -EOVERFLOW, -ENOMEM, -ENODEV when it is revoked,
 * -EOPNOTSUPP when its exporter cannot tell one physical range, -EINVAL when the
 * part is not inside, and errors of the exporter.
 */
int iopt_dmabuf_init(struct iopt_pages *pages, struct device *importer,
		     struct dma_buf *buf, unsigned long start,
		     unsigned long length, bool writable)
{
	struct iopt_dmabuf *import;
	int rc;

	if (start >= buf->size || length > buf->size - start)
		return -EINVAL;
	import = kzalloc_obj(*import, GFP_KERNEL_ACCOUNT);
	if (!import)
		return -ENOMEM;
	rc = iopt_pages_init(pages, &dmabuf_ops, IOMMUFD_ACCOUNT_NONE, start,
			     length, writable);
	if (rc)
		goto err_free;
	iopt_revocable_init(&import->revocable, pages, dmabuf_restore,
			    GFP_KERNEL_ACCOUNT);
	INIT_DELAYED_WORK(&import->restore_work, dmabuf_restore_work);
	rc = dmabuf_import(import, importer, buf);
	if (!rc)
		return 0;
	iopt_revocable_free(&import->revocable);
	pages_owner_put(&pages->owner);
err_free:
	kfree(import);
	return rc;
}
