// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has the driver of the RISC-V IOMMU say that DMA of PCI devices is coherent. In
 * Linux 7.3 that driver says nothing about what it is capable of, and VFIO refuses
 * each device of which nobody says so. It is true in QEMU, which has no caches. A
 * driver that said it would have one function more, riscv_iommu_capable() below, and
 * none of the rest.
 */
#include <linux/dma-map-ops.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>

static bool riscv_iommu_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY && dev_is_dma_coherent(dev);
}

/* What the driver has is constant, so the IOMMU gets a copy with that function */
static struct iommu_ops coherent_ops;

static int __init riscv_coherent_init(void)
{
	const struct iommu_ops *driver_ops = NULL;
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		struct dev_iommu *param = pdev->dev.iommu;

		if (!param || !param->iommu_dev)
			continue;
		if (!driver_ops) {
			driver_ops = param->iommu_dev->ops;
			coherent_ops = *driver_ops;
			coherent_ops.capable = riscv_iommu_capable;
		}
		/* A driver that says something itself is left alone */
		if (!driver_ops->capable &&
		    param->iommu_dev->ops == driver_ops)
			param->iommu_dev->ops = &coherent_ops;
	}
	return driver_ops && !driver_ops->capable ? 0 : -ENODEV;
}

/* Without a module_exit() it stays loaded, as the IOMMU uses what is in it */
module_init(riscv_coherent_init);

MODULE_DESCRIPTION("Coherent PCI devices behind QEMU's RISC-V IOMMU");
MODULE_LICENSE("GPL");
