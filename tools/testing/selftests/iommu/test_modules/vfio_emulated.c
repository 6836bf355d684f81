// SPDX-License-Identifier: GPL-2.0-only
/*
 * An emulated VFIO device, as an mdev driver makes them: it has no DMA of its
 * own and uses the IOAS from inside the kernel. None of the mdev samples does;
 * this one reads and writes (vfio_dma_rw) and pins (vfio_pin_pages) on request,
 * and gives its pins up when it is told that they are unmapped.
 */
#include <linux/device/faux.h>
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio_emulated.h"

/**
 * struct emulated - the device
 * @vdev: what VFIO knows of it
 * @lock: protects the rest; taken in the unmap callback
 * @iova: of the pinned range
 * @npages: pages of it, 0 when nothing is pinned
 * @pages: the pages
 * @unmaps: callbacks so far
 */
struct emulated {
	struct vfio_device vdev;
	struct mutex lock; /* the rest */
	u64 iova;
	int npages;
	struct page *pages[EMULATED_MAX_PAGES];
	struct emulated_unmaps unmaps;
};

static struct emulated *to_emulated(struct vfio_device *vdev)
{
	return container_of(vdev, struct emulated, vdev);
}

static void emulated_unpin(struct emulated *emu)
{
	lockdep_assert_held(&emu->lock);

	if (emu->npages)
		vfio_unpin_pages(&emu->vdev, emu->iova, emu->npages);
	emu->npages = 0;
}

static int emulated_pin(struct emulated *emu, struct emulated_pin *pin)
{
	int rc;

	lockdep_assert_held(&emu->lock);

	if (emu->npages)
		return -EBUSY;
	if (pin->npages > EMULATED_MAX_PAGES)
		return -E2BIG;
	rc = vfio_pin_pages(&emu->vdev, pin->iova, pin->npages,
			    IOMMU_READ | (pin->writable ? IOMMU_WRITE : 0),
			    emu->pages);
	if (rc < 0)
		return rc;
	emu->iova = pin->iova;
	emu->npages = rc;
	return 0;
}

static void emulated_fill(struct emulated *emu, int byte)
{
	int i;

	for (i = 0; i != emu->npages; i++) {
		void *va = kmap_local_page(emu->pages[i]);

		memset(va, byte, PAGE_SIZE);
		kunmap_local(va);
	}
}

static long emulated_ioctl(struct vfio_device *vdev, unsigned int cmd,
			   unsigned long arg)
{
	struct emulated *emu = to_emulated(vdev);
	struct emulated_pin pin;

	/* Pinning may have to read user memory in, so that goes first */
	if (cmd == EMULATED_PIN &&
	    copy_from_user(&pin, (void __user *)arg, sizeof(pin)))
		return -EFAULT;

	guard(mutex)(&emu->lock);
	switch (cmd) {
	case EMULATED_PIN:
		return emulated_pin(emu, &pin);
	case EMULATED_UNPIN:
		emulated_unpin(emu);
		return 0;
	case EMULATED_FILL:
		emulated_fill(emu, arg);
		return 0;
	case EMULATED_UNMAPS:
		return copy_to_user((void __user *)arg, &emu->unmaps,
				    sizeof(emu->unmaps)) ? -EFAULT : 0;
	default:
		return -ENOTTY;
	}
}

static ssize_t emulated_read(struct vfio_device *vdev, char __user *buf,
			     size_t count, loff_t *ppos)
{
	void *data __free(kvfree) = kvzalloc(count, GFP_KERNEL_ACCOUNT);
	int rc;

	if (!data)
		return -ENOMEM;
	rc = vfio_dma_rw(vdev, *ppos, data, count, false);
	if (rc)
		return rc;
	return copy_to_user(buf, data, count) ? -EFAULT : count;
}

static ssize_t emulated_write(struct vfio_device *vdev, const char __user *buf,
			      size_t count, loff_t *ppos)
{
	void *data __free(kvfree) = vmemdup_user(buf, count);
	int rc;

	if (IS_ERR(data))
		return PTR_ERR(no_free_ptr(data));
	rc = vfio_dma_rw(vdev, *ppos, data, count, true);
	return rc ?: count;
}

static void emulated_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct emulated *emu = to_emulated(vdev);
	u64 last = iova + length - 1;

	guard(mutex)(&emu->lock);
	emu->unmaps.count++;
	emu->unmaps.iova = iova;
	emu->unmaps.length = length;
	if (emu->npages && emu->iova <= last &&
	    iova < emu->iova + (u64)emu->npages * PAGE_SIZE)
		emulated_unpin(emu);
}

static int emulated_init(struct vfio_device *vdev)
{
	mutex_init(&to_emulated(vdev)->lock);
	return 0;
}

static void emulated_release(struct vfio_device *vdev)
{
	mutex_destroy(&to_emulated(vdev)->lock);
}

static int emulated_open(struct vfio_device *vdev)
{
	to_emulated(vdev)->unmaps = (struct emulated_unmaps){};
	return 0;
}

static void emulated_close(struct vfio_device *vdev)
{
	struct emulated *emu = to_emulated(vdev);

	guard(mutex)(&emu->lock);
	emulated_unpin(emu);
}

static const struct vfio_device_ops emulated_ops = {
	.name = "vfio-emulated",
	.init = emulated_init,
	.release = emulated_release,
	.bind_iommufd = vfio_iommufd_emulated_bind,
	.unbind_iommufd = vfio_iommufd_emulated_unbind,
	.attach_ioas = vfio_iommufd_emulated_attach_ioas,
	.detach_ioas = vfio_iommufd_emulated_detach_ioas,
	.open_device = emulated_open,
	.close_device = emulated_close,
	.read = emulated_read,
	.write = emulated_write,
	.ioctl = emulated_ioctl,
	.dma_unmap = emulated_dma_unmap,
};

static int emulated_probe(struct faux_device *fdev)
{
	struct emulated *emu;
	int rc;

	emu = vfio_alloc_device(emulated, vdev, &fdev->dev, &emulated_ops);
	if (IS_ERR(emu))
		return PTR_ERR(emu);
	rc = vfio_register_emulated_iommu_dev(&emu->vdev);
	if (rc) {
		vfio_put_device(&emu->vdev);
		return rc;
	}
	faux_device_set_drvdata(fdev, emu);
	return 0;
}

static void emulated_remove(struct faux_device *fdev)
{
	struct emulated *emu = faux_device_get_drvdata(fdev);

	vfio_unregister_group_dev(&emu->vdev);
	vfio_put_device(&emu->vdev);
}

static const struct faux_device_ops emulated_faux_ops = {
	.probe = emulated_probe,
	.remove = emulated_remove,
};

static struct faux_device *emulated_device;

static int __init emulated_module_init(void)
{
	emulated_device = faux_device_create("vfio_emulated", NULL,
					     &emulated_faux_ops);
	return emulated_device ? 0 : -ENODEV;
}
module_init(emulated_module_init);

static void __exit emulated_module_exit(void)
{
	faux_device_destroy(emulated_device);
}
module_exit(emulated_module_exit);

MODULE_DESCRIPTION("Emulated VFIO device that uses its IOAS on request");
MODULE_LICENSE("GPL");
