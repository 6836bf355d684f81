// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the SMMUv3 driver that all DMA of a PCI device is coherent, no-snoop
 * requests included. The driver offers a vIOMMU only then, or if the SMMU has
 * S2FWB. Firmware says so with a flag of the root complex in ACPI's IORT; a
 * device tree, which is what QEMU's "virt" machine boots Linux with, has no
 * word for it. It is true there: QEMU has no caches that could be incoherent.
 *
 * Only devices on root buses are told, so that there are some of both kinds, unless
 * the parameter "all" says otherwise.
 */
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/pci.h>

static bool all;
module_param(all, bool, 0444);
MODULE_PARM_DESC(all, "Devices that are not on a root bus, too");

static void set_canwbs(struct pci_dev *pdev)
{
	struct iommu_fwspec *fwspec = dev_iommu_fwspec_get(&pdev->dev);

	if (fwspec && (all || pci_is_root_bus(pdev->bus)))
		fwspec->flags |= IOMMU_FWSPEC_PCI_RC_CANWBS;
}

/* A device that was plugged in later is behind an IOMMU when it gets a driver */
static int smmu_canwbs_notify(struct notifier_block *nb, unsigned long action,
			      void *data)
{
	if (action == BUS_NOTIFY_BIND_DRIVER)
		set_canwbs(to_pci_dev(data));
	return NOTIFY_DONE;
}

static struct notifier_block smmu_canwbs_nb = {
	.notifier_call = smmu_canwbs_notify,
};

static int __init smmu_canwbs_init(void)
{
	struct pci_dev *pdev = NULL;

	for_each_pci_dev(pdev)
		set_canwbs(pdev);
	return bus_register_notifier(&pci_bus_type, &smmu_canwbs_nb);
}
module_init(smmu_canwbs_init);

static void __exit smmu_canwbs_exit(void)
{
	bus_unregister_notifier(&pci_bus_type, &smmu_canwbs_nb);
}
module_exit(smmu_canwbs_exit);

MODULE_DESCRIPTION("Coherent PCI devices behind QEMU's SMMUv3");
MODULE_LICENSE("GPL");
