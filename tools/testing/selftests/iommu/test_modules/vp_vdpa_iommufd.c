// SPDX-License-Identifier: GPL-2.0-only
/*
 * vp_vdpa, the kernel's driver for virtio devices on PCI that become vDPA devices,
 * for use with iommufd: it is the same source with one line more. A driver without
 * that line has the kernel's DMA API own the device while it is bound, and then
 * nobody else can.
 */
#include <linux/pci.h>

/* The driver registers itself, below */
#undef module_pci_driver
#define module_pci_driver(driver)

#include "vp_vdpa.c"

static int __init vp_vdpa_iommufd_init(void)
{
	/* The line */
	vp_vdpa_driver.driver_managed_dma = true;

	/* Beside the kernel's own */
	vp_vdpa_driver.name = "vp-vdpa-iommufd";
	return pci_register_driver(&vp_vdpa_driver);
}
module_init(vp_vdpa_iommufd_init);

static void __exit vp_vdpa_iommufd_exit(void)
{
	pci_unregister_driver(&vp_vdpa_driver);
}
module_exit(vp_vdpa_iommufd_exit);
