// SPDX-License-Identifier: GPL-2.0-only
/*
 * dma-bufs as a backing.
 *
 * The reservation lock of the dma-buf protects what is mapped from it. It is
 * taken inside io_pagetable.domains_rwsem; the exporter holds it when it revokes
 * the buffer, so that path takes no other lock of ours.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vfio_pci_core.h>

#include "dmabuf.h"
#include "pages.h"
#include "selftest.h"

/**
 * struct pages_dmabuf - an imported dma-buf
 * @attach: the attachment, pinned
 * @phys: where page 0 of the backing is; meaningless once @revoked
 * @revoked: the exporter took the memory back, for good as far as this import
 *	is concerned; under the reservation lock
 * @maps: struct dmabuf_map.import_item; under the reservation lock
 */
struct pages_dmabuf {
	struct dma_buf_attachment *attach;
	phys_addr_t phys;
	bool revoked;
	struct list_head maps;
};

/**
 * struct dmabuf_map - where a part of a dma-buf is mapped
 * @import_item: on pages_dmabuf.maps; empty once revoked
 * @area_item: on the list of the area that it belongs to
 * @domain: in this domain
 * @iova: at this IOVA
 * @length: bytes
 */
struct dmabuf_map {
	struct list_head import_item;
	struct list_head area_item;
	struct iommu_domain *domain;
	unsigned long iova;
	unsigned long length;
};

static void dmabuf_map_revoke(struct dmabuf_map *map)
{
	if (list_empty(&map->import_item))
		return;
	WARN_ON(iommu_unmap(map->domain, map->iova, map->length) !=
		map->length);
	list_del_init(&map->import_item);
}

static void pages_dmabuf_invalidate(struct dma_buf_attachment *attach)
{
	struct pages_dmabuf *import = attach->importer_priv;
	struct dmabuf_map *map, *next;

	dma_resv_assert_held(attach->dmabuf->resv);

	import->revoked = true;
	list_for_each_entry_safe(map, next, &import->maps, import_item)
		dmabuf_map_revoke(map);
}

static const struct dma_buf_attach_ops pages_dmabuf_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = pages_dmabuf_invalidate,
};

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

/* Pin the buffer, and learn its physical range from those who can tell */
static int dmabuf_pin(struct pages_dmabuf *import, unsigned long start,
		      unsigned long bytes)
{
	struct dma_buf_attachment *attach = import->attach;
	struct phys_vec phys;
	int rc;

	dma_resv_assert_held(attach->dmabuf->resv);

	rc = dma_buf_pin(attach);
	if (rc)
		return rc;

	rc = iommufd_test_dma_buf_iommufd_map(attach, &phys);
	if (rc == -EOPNOTSUPP)
		rc = vfio_pci_phys(attach, &phys);
	if (!rc && import->revoked)
		rc = -ENODEV;
	if (!rc && (start > phys.len || bytes > phys.len - start))
		rc = -EINVAL;
	if (rc) {
		dma_buf_unpin(attach);
		return rc;
	}
	import->phys = phys.paddr + start;
	return 0;
}

/**
 * pages_dmabuf_import() - get hold of a part of a dma-buf
 * @importer: the device that imports it
 * @buf: the buffer; a reference is taken
 * @start: page aligned offset of the part, in bytes
 * @npages: its size
 *
 * Return: the import, or ERR_PTR of -ENOMEM, -ENODEV when it is revoked,
 * -EOPNOTSUPP when its exporter cannot tell one physical range, -EINVAL when the
 * part is not inside, and errors of the exporter.
 */
struct pages_dmabuf *pages_dmabuf_import(struct device *importer,
					 struct dma_buf *buf,
					 unsigned long start,
					 unsigned long npages)
{
	struct dma_buf_attachment *attach;
	struct pages_dmabuf *import;
	int rc;

	import = kzalloc_obj(*import, GFP_KERNEL_ACCOUNT);
	if (!import)
		return ERR_PTR(-ENOMEM);
	INIT_LIST_HEAD(&import->maps);

	get_dma_buf(buf);
	attach = dma_buf_dynamic_attach(buf, importer, &pages_dmabuf_ops,
					import);
	if (IS_ERR(attach)) {
		rc = PTR_ERR(attach);
		goto err_put;
	}
	import->attach = attach;

	dma_resv_lock(buf->resv, NULL);
	rc = dmabuf_pin(import, start, npages * PAGE_SIZE);
	dma_resv_unlock(buf->resv);
	if (rc)
		goto err_detach;
	return import;

err_detach:
	dma_buf_detach(buf, attach);
err_put:
	dma_buf_put(buf);
	kfree(import);
	return ERR_PTR(rc);
}

/**
 * pages_dmabuf_free() - let go of a dma-buf
 * @import: the import, mapped nowhere
 */
void pages_dmabuf_free(struct pages_dmabuf *import)
{
	struct dma_buf *buf = import->attach->dmabuf;

	WARN_ON(!list_empty(&import->maps));
	dma_resv_lock(buf->resv, NULL);
	dma_buf_unpin(import->attach);
	dma_resv_unlock(buf->resv);
	dma_buf_detach(buf, import->attach);
	dma_buf_put(buf);
	kfree(import);
}

/**
 * pages_dmabuf_lock() - keep what is mapped of a dma-buf as it is
 * @import: the import
 */
void pages_dmabuf_lock(struct pages_dmabuf *import)
{
	dma_resv_lock(import->attach->dmabuf->resv, NULL);
}

/**
 * pages_dmabuf_unlock() - undo pages_dmabuf_lock()
 * @import: the import
 */
void pages_dmabuf_unlock(struct pages_dmabuf *import)
{
	dma_resv_unlock(import->attach->dmabuf->resv);
}

/**
 * pages_dmabuf_revoked() - whether the exporter took the memory back
 * @import: the import
 *
 * Return: true once it did, for good.
 */
bool pages_dmabuf_revoked(struct pages_dmabuf *import)
{
	bool revoked;

	pages_dmabuf_lock(import);
	revoked = import->revoked;
	pages_dmabuf_unlock(import);
	return revoked;
}

/**
 * pages_dmabuf_phys() - where a byte of a dma-buf is
 * @import: the import, under pages_dmabuf_lock()
 * @offset: bytes from its start
 * @phys: its physical address
 *
 * Return: -EINVAL once the exporter took the memory back.
 */
int pages_dmabuf_phys(struct pages_dmabuf *import, unsigned long offset,
		      u64 *phys)
{
	dma_resv_assert_held(import->attach->dmabuf->resv);

	if (import->revoked)
		return -EINVAL;
	*phys = import->phys + offset;
	return 0;
}

static int dmabuf_map_range(struct iommu_domain *domain, unsigned long iova,
			    phys_addr_t phys, unsigned long length, int prot,
			    bool small)
{
	if (small)
		return pages_map_small(domain, iova, phys, length, prot);
	return iommu_map(domain, iova, phys, length, prot, GFP_KERNEL_ACCOUNT);
}

/**
 * pages_dmabuf_map() - map a part of a dma-buf in a domain
 * @import: the import
 * @maps: list of the area that it is mapped for
 * @domain: where to
 * @iova: first byte there
 * @offset: bytes from the start of @import
 * @length: bytes
 * @prot: IOMMU_*
 * @small: without large IOPTEs
 *
 * Once the buffer is revoked this maps nothing, successfully.
 *
 * Return: 0, -ENOMEM, -EINTR when the caller is killed, and errors of
 * iommu_map().
 */
int pages_dmabuf_map(struct pages_dmabuf *import, struct list_head *maps,
		     struct iommu_domain *domain, unsigned long iova,
		     unsigned long offset, unsigned long length, int prot,
		     bool small)
{
	struct dma_resv *resv = import->attach->dmabuf->resv;
	struct dmabuf_map *map;
	int rc = 0;

	map = kzalloc_obj(*map, GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	map->domain = domain;
	map->iova = iova;
	map->length = length;
	INIT_LIST_HEAD(&map->import_item);

	dma_resv_lock(resv, NULL);
	if (!import->revoked) {
		rc = dmabuf_map_range(domain, iova, import->phys + offset,
				      length, prot, small);
		if (!rc)
			list_add(&map->import_item, &import->maps);
	}
	if (!rc)
		list_add(&map->area_item, maps);
	dma_resv_unlock(resv);
	if (rc)
		kfree(map);
	return rc;
}

/**
 * pages_dmabuf_unmap() - undo pages_dmabuf_map()
 * @import: the import
 * @maps: list of the area
 * @domain: the domain
 */
void pages_dmabuf_unmap(struct pages_dmabuf *import, struct list_head *maps,
			struct iommu_domain *domain)
{
	struct dma_resv *resv = import->attach->dmabuf->resv;
	struct dmabuf_map *map, *next;

	dma_resv_lock(resv, NULL);
	list_for_each_entry_safe(map, next, maps, area_item) {
		if (map->domain != domain)
			continue;
		dmabuf_map_revoke(map);
		list_del(&map->area_item);
		kfree(map);
	}
	dma_resv_unlock(resv);
}
