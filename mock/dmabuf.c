// SPDX-License-Identifier: GPL-2.0-only
/*
 * A dma-buf exporter that only iommufd can import from, and that can revoke
 * its buffers like VFIO revokes the MMIO of a device.
 */
#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/gfp.h>
#include <linux/slab.h>

#include "mock.h"

#define TEST_DMABUF_MAX_PAGES 512

/**
 * struct test_dmabuf - a buffer
 * @memory: physically contiguous
 * @length: bytes, a multiple of PAGE_SIZE
 * @revoked: not to be mapped; under the reservation lock of the dma-buf
 */
struct test_dmabuf {
	void *memory;
	size_t length;
	bool revoked;
};

static void test_dmabuf_free(struct test_dmabuf *buf)
{
	free_pages_exact(buf->memory, buf->length);
	kfree(buf);
}

static struct test_dmabuf *test_dmabuf_alloc(size_t length)
{
	struct test_dmabuf *buf;

	buf = kzalloc_obj(*buf, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return NULL;
	buf->length = length;
	buf->memory = alloc_pages_exact(length,
					GFP_KERNEL_ACCOUNT | __GFP_ZERO);
	if (!buf->memory) {
		kfree(buf);
		return NULL;
	}
	return buf;
}

static int test_dmabuf_attach(struct dma_buf *dmabuf,
			      struct dma_buf_attachment *attachment)
{
	return 0;
}

static void test_dmabuf_detach(struct dma_buf *dmabuf,
			       struct dma_buf_attachment *attachment)
{
}

/* Importers other than iommufd have no use for it */
static struct sg_table *test_dmabuf_map(struct dma_buf_attachment *attachment,
					enum dma_data_direction dir)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static void test_dmabuf_unmap(struct dma_buf_attachment *attachment,
			      struct sg_table *sgt, enum dma_data_direction dir)
{
}

static void test_dmabuf_release(struct dma_buf *dmabuf)
{
	test_dmabuf_free(dmabuf->priv);
}

static const struct dma_buf_ops test_dmabuf_ops = {
	.attach = test_dmabuf_attach,
	.detach = test_dmabuf_detach,
	.map_dma_buf = test_dmabuf_map,
	.unmap_dma_buf = test_dmabuf_unmap,
	.release = test_dmabuf_release,
};

/**
 * mock_dmabuf_phys() - iommufd_test_ops.dmabuf_phys
 * @attachment: iommufd's attachment to any dma-buf
 * @phys: where to put the one range of physical memory
 *
 * Return: 0, -EOPNOTSUPP for the dma-buf of another exporter, -ENODEV for one
 * that is revoked.
 */
int mock_dmabuf_phys(struct dma_buf_attachment *attachment,
		     struct phys_vec *phys)
{
	struct dma_buf *dmabuf = attachment->dmabuf;
	struct test_dmabuf *buf = dmabuf->priv;

	dma_resv_assert_held(dmabuf->resv);

	if (dmabuf->ops != &test_dmabuf_ops)
		return -EOPNOTSUPP;
	if (buf->revoked)
		return -ENODEV;
	phys->paddr = virt_to_phys(buf->memory);
	phys->len = buf->length;
	return 0;
}

int iommufd_test_dmabuf_get(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	/* The length may be rounded up past what 32 bits hold */
	u64 length = PAGE_ALIGN((u64)cmd->dmabuf_get.length);
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct test_dmabuf *buf;
	struct dma_buf *dmabuf;
	int fd;

	if (!length || length > TEST_DMABUF_MAX_PAGES * PAGE_SIZE)
		return -EINVAL;
	buf = test_dmabuf_alloc(length);
	if (!buf)
		return -ENOMEM;

	info.ops = &test_dmabuf_ops;
	info.size = length;
	info.flags = cmd->dmabuf_get.open_flags;
	info.priv = buf;
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		test_dmabuf_free(buf);
		return PTR_ERR(dmabuf);
	}

	fd = dma_buf_fd(dmabuf, cmd->dmabuf_get.open_flags);
	if (fd < 0)
		dma_buf_put(dmabuf);
	return fd;
}

int iommufd_test_dmabuf_revoke(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct test_dmabuf *buf;
	struct dma_buf *dmabuf;
	int rc = 0;

	dmabuf = dma_buf_get(cmd->dmabuf_revoke.dmabuf_fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	if (dmabuf->ops != &test_dmabuf_ops) {
		rc = -EOPNOTSUPP;
		goto out_put;
	}

	buf = dmabuf->priv;
	dma_resv_lock(dmabuf->resv, NULL);
	buf->revoked = cmd->dmabuf_revoke.revoked;
	dma_buf_invalidate_mappings(dmabuf);
	dma_resv_unlock(dmabuf->resv);
out_put:
	dma_buf_put(dmabuf);
	return rc;
}
