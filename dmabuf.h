/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A dma-buf as a backing: one physical range of a device's memory, which its
 * exporter can take back.
 */
#ifndef __IOMMUFD_DMABUF_H
#define __IOMMUFD_DMABUF_H

#include "pages.h"

struct device;
struct dma_buf;

int iopt_dmabuf_init(struct iopt_pages *pages, struct device *importer,
		     struct dma_buf *buf, unsigned long start,
		     unsigned long length, bool writable);

#endif
