/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event queues that user space reads: page faults of devices, and what a
 * vIOMMU has to tell its guest.
 */
#ifndef __IOMMUFD_EVENTQ_H
#define __IOMMUFD_EVENTQ_H

#include <linux/iommu.h>
#include <linux/poll.h>

#include "object.h"

struct iommufd_attach_handle;
struct iommufd_hw_pagetable;

/**
 * struct iommufd_eventq - what both kinds of queue share
 * @obj: in the ID table; the open file is a user
 * @ictx: the context, referenced by the open file
 * @filep: the queue's only file
 * @lock: protects @deliver; may be taken from IRQ threads
 * @deliver: records that wait for a reader
 * @wait_queue: woken when @deliver gets a record
 */
struct iommufd_eventq {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct file *filep;
	spinlock_t lock;
	struct list_head deliver;
	struct wait_queue_head wait_queue;
};

/**
 * struct iommufd_fault - IOMMUFD_OBJ_FAULT, page faults of its HWPTs
 * @common: shared part, at offset 0
 * @mutex: serialises readers, writers and the flush of an attachment;
 *	protects @response
 * @response: cookie to struct iopf_group that user space has to answer
 * @next_cookie: where the search for a free cookie starts
 */
struct iommufd_fault {
	struct iommufd_eventq common;
	struct mutex mutex;
	struct xarray response;
	u32 next_cookie;
};

/**
 * struct iommufd_veventq - IOMMUFD_OBJ_VEVENTQ, events of one vIOMMU
 * @common: shared part, at offset 0
 * @viommu: the vIOMMU; a user of it
 * @node: on iommufd_viommu.veventqs, under its veventqs_rwsem
 * @lost_events_header: the marker that follows a drop; on @common.deliver
 *	while events are missing at its tail
 * @type: kind of events
 * @depth: most events stored at a time
 * @num_events: events stored, without the marker; under @common.lock
 * @sequence: of the next event; under @common.lock
 * @read_mutex: serialises readers
 */
struct iommufd_vevent;
struct iommufd_veventq {
	struct iommufd_eventq common;
	struct iommufd_viommu *viommu;
	struct list_head node;
	struct iommufd_vevent *lost_events;
	enum iommu_veventq_type type;
	unsigned int depth;
	unsigned int num_events;
	u32 sequence;
	struct mutex read_mutex;
};

/**
 * struct iommufd_vevent - an event, or the marker of lost ones
 * @node: on iommufd_eventq.deliver, or empty
 * @header: what the reader gets first
 * @data_len: bytes of @data; 0 for the marker
 * @data: the driver's payload
 */
struct iommufd_vevent {
	struct list_head node;
	struct iommufd_vevent_header header;
	size_t data_len;
	u8 data[] __counted_by(data_len);
};

static inline struct iommufd_fault *iommufd_get_fault(struct iommufd_ctx *ictx,
						      u32 id)
{
	return container_of_const(
		iommufd_get_object(ictx, id, IOMMUFD_OBJ_FAULT),
		struct iommufd_fault, common.obj);
}

int iommufd_fault_alloc(struct iommufd_ucmd *ucmd);
void iommufd_fault_destroy(struct iommufd_object *obj);
int iommufd_fault_iopf_handler(struct iopf_group *group);
void iommufd_fault_flush(struct iommufd_hw_pagetable *hwpt,
			 struct iommufd_attach_handle *handle);

int iommufd_veventq_alloc(struct iommufd_ucmd *ucmd);
void iommufd_veventq_destroy(struct iommufd_object *obj);
void iommufd_veventq_abort(struct iommufd_object *obj);

#endif
