/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * dma-bufs as a backing: one physical range of a device's memory, which its
 * exporter can take back at any time.
 */
#ifndef __IOMMUFD_DMABUF_H
#define __IOMMUFD_DMABUF_H

#include <linux/err.h>
#include <linux/list.h>
#include <linux/types.h>

struct device;
struct dma_buf;
struct iommu_domain;
struct pages_dmabuf;

#ifdef CONFIG_DMA_SHARED_BUFFER
struct pages_dmabuf *pages_dmabuf_import(struct device *importer,
					 struct dma_buf *buf,
					 unsigned long start,
					 unsigned long npages);
void pages_dmabuf_free(struct pages_dmabuf *import);
void pages_dmabuf_lock(struct pages_dmabuf *import);
void pages_dmabuf_unlock(struct pages_dmabuf *import);
bool pages_dmabuf_revoked(struct pages_dmabuf *import);
int pages_dmabuf_phys(struct pages_dmabuf *import, unsigned long offset,
		      u64 *phys);
int pages_dmabuf_map(struct pages_dmabuf *import, struct list_head *maps,
		     struct iommu_domain *domain, unsigned long iova,
		     unsigned long offset, unsigned long length, int prot,
		     bool small);
void pages_dmabuf_unmap(struct pages_dmabuf *import, struct list_head *maps,
			struct iommu_domain *domain);
#else
static inline struct pages_dmabuf *pages_dmabuf_import(struct device *importer,
						       struct dma_buf *buf,
						       unsigned long start,
						       unsigned long npages)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void pages_dmabuf_free(struct pages_dmabuf *import)
{
}

static inline void pages_dmabuf_lock(struct pages_dmabuf *import)
{
}

static inline void pages_dmabuf_unlock(struct pages_dmabuf *import)
{
}

static inline bool pages_dmabuf_revoked(struct pages_dmabuf *import)
{
	return true;
}

static inline int pages_dmabuf_phys(struct pages_dmabuf *import,
				    unsigned long offset, u64 *phys)
{
	return -EOPNOTSUPP;
}

static inline int pages_dmabuf_map(struct pages_dmabuf *import,
				   struct list_head *maps,
				   struct iommu_domain *domain,
				   unsigned long iova, unsigned long offset,
				   unsigned long length, int prot, bool small)
{
	return -EOPNOTSUPP;
}

static inline void pages_dmabuf_unmap(struct pages_dmabuf *import,
				      struct list_head *maps,
				      struct iommu_domain *domain)
{
}
#endif
#endif
