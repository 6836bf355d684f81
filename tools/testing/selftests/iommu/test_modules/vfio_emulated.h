/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the device of vfio_emulated.c does. The offset of read() and write() on
 * its cdev is an IOVA; it keeps at most one range of pages pinned.
 */
#ifndef __VFIO_EMULATED_H
#define __VFIO_EMULATED_H

#include <linux/types.h>
#include <linux/vfio.h>

#define EMULATED_DEVICE "/sys/devices/faux/vfio_emulated"
#define EMULATED_MAX_PAGES 16

struct emulated_pin {
	__u64 iova;
	__u32 npages;
	__u32 writable;
};

struct emulated_unmaps {
	__u64 count;	/* calls of dma_unmap so far */
	__u64 iova;	/* and the arguments of the last one */
	__u64 length;
};

#define EMULATED_PIN _IO(VFIO_TYPE, 200)	/* struct emulated_pin * */
#define EMULATED_UNPIN _IO(VFIO_TYPE, 201)
/* Set each byte of the pinned pages, through the kernel's mapping */
#define EMULATED_FILL _IO(VFIO_TYPE, 202)	/* the byte */
#define EMULATED_UNMAPS _IO(VFIO_TYPE, 203)	/* struct emulated_unmaps * */

#endif
