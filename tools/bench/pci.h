/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The devices whose I/O page tables get filled: QEMU's "edu", which does
 * nothing by itself. Each is in an IOMMU group of its own.
 */
#ifndef BENCH_PCI_H
#define BENCH_PCI_H

#include <stddef.h>

/* A name such as 0000:00:03.0 */
#define PCI_NAME 13

/* Returns NULL, or why there is no device of that number, 0 the first */
const char *pci_find(unsigned int number, char name[PCI_NAME]);
/* Gives the device to a driver. Returns NULL, or why not */
const char *pci_bind(const char *name, const char *driver);
/* The number of its IOMMU group, or -1 */
int pci_group(const char *name);
/* The path of its VFIO character device; returns NULL, or why there is none */
const char *pci_vfio_node(const char *name, char *path, size_t size);

#endif
