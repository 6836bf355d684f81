/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small driver for an NVMe controller, in user space: one admin queue and
 * one I/O queue, no interrupts. All addresses it gives to the controller are
 * IOVAs; it does not know where the memory physically is, and neither does
 * the controller.
 *
 * "NVMe base" in comments means the NVM Express Base Specification 1.4.
 */
#ifndef DEMO_NVME_H
#define DEMO_NVME_H

#include "vfio.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Commands in flight at most; the I/O queue has one entry more. */
#define NVME_DEPTH 16

/* A piece of memory that process and controller share. */
struct nvme_dma {
	void *va;
	uint64_t iova;
};

struct nvme_queue {
	struct nvme_command *sq;	/* submission ring */
	struct nvme_completion *cq;	/* completion ring */
	uint64_t sq_iova, cq_iova;
	uint16_t id;		/* 0 is the admin queue */
	uint16_t entries;	/* of both rings */
	uint16_t sq_tail;	/* next entry to write */
	uint16_t cq_head;	/* next entry to look at */
	uint8_t phase;		/* phase bit that a new completion has */
};

struct nvme {
	struct vfio_device *dev;
	struct nvme_dma mem;	/* nvme_memory_size() bytes */
	struct nvme_queue admin, io;
	size_t page;		/* the controller's memory page, in bytes */
	uint32_t stride;	/* from one doorbell to the next, in bytes */
	double timeout;		/* for any command, and for reset; seconds */

	/* From Identify: */
	char model[41], serial[21], firmware[9];
	uint32_t version;	/* register VS */
	size_t max_transfer;	/* bytes of one command */
	size_t block;		/* bytes of a logical block of namespace 1 */
	uint64_t blocks;	/* logical blocks of namespace 1 */
};

/* What became of a command. */
#define NVME_OK		0
#define NVME_NO_ANSWER	(-1)	/* no completion in time */
/* other positive numbers: status code type << 8 | status code */

/* How much memory struct nvme.mem needs, in bytes: base pages, mapped R+W. */
size_t nvme_memory_size(void);

/*
 * Resets the controller, enables it, identifies it and namespace 1, and makes
 * the I/O queue. BAR 0 must be enabled, and bus mastering allowed. Ends the
 * program if the controller does not do as it should. May be called again
 * after a command had no answer.
 */
void nvme_start(struct nvme *nvme, struct vfio_device *dev,
		struct nvme_dma mem);

/* Tells the controller to stop; it does no DMA afterwards. */
void nvme_stop(struct nvme *nvme);

/*
 * Reads @len bytes (a multiple of the block size) from byte @offset of
 * namespace 1 into memory at @iova, a multiple of the controller's page, with
 * up to NVME_DEPTH commands in flight. Returns NVME_OK or the first other
 * result.
 */
int nvme_read(struct nvme *nvme, uint64_t offset, size_t len, uint64_t iova);

/* Text for a result of nvme_read(). */
const char *nvme_result_str(int result);

/* The controller has given up (CSTS.CFS): only a reset helps. */
bool nvme_fatal(struct nvme *nvme);

/* The status register, CSTS. */
uint32_t nvme_status(struct nvme *nvme);

#endif
