// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the SMMUv3 driver that all DMA of a PCI device is coherent, no-snoop
 * requests included. The driver offers a vIOMMU only then, or if the SMMU has
 * S2FWB. Firmware says so with a flag of the root complex in ACPI's IORT; a
 * device tree, which is what QEMU's "virt" machine boots Linux with, has no
 * word for it. It is true there: QEMU has no caches that could be incoherent.
 *
 * Only devices on root buses are told, so that there are some of both kinds.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>

static int __init smmu_canwbs_init(void)
{
	struct iommu_fwspec *fwspec;
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev) {
		fwspec = dev_iommu_fwspec_get(&pdev->dev);
		if (fwspec && pci_is_root_bus(pdev->bus))
			fwspec->flags |= IOMMU_FWSPEC_PCI_RC_CANWBS;
	}
	return 0;
}
module_init(smmu_canwbs_init);

MODULE_DESCRIPTION("Coherent PCI devices behind QEMU's SMMUv3");
MODULE_LICENSE("GPL");
