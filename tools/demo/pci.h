/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding a PCI device in sysfs and giving it to the vfio-pci driver. */
#ifndef DEMO_PCI_H
#define DEMO_PCI_H

#include <stdbool.h>

#define PCI_BDF_SIZE 16		/* "0000:00:03.0" and a zero, rounded up */

/* Class code of an NVM Express I/O controller: mass storage, NVM, NVMe. */
#define PCI_CLASS_NVME 0x010802

/*
 * Finds a device of this class that no driver of the host uses, so that the
 * demo never takes a disk away that is in use. Returns false if there is none;
 * *@busy then tells whether there is one with a driver.
 */
bool pci_find_free(unsigned int class, char bdf[PCI_BDF_SIZE],
		   char busy[PCI_BDF_SIZE]);

/* True if @bdf is present and has this class. */
bool pci_has_class(const char *bdf, unsigned int class);

/* Makes vfio-pci the driver of the device, unbinding another one first. */
void pci_bind_vfio(const char *bdf);

/* The path of its VFIO character device: /dev/vfio/devices/vfioN. */
void pci_vfio_node(const char *bdf, char *out, int size);

#endif
