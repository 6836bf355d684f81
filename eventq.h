/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Event queues that user space reads: page faults of devices, and what a
 * vIOMMU has to tell its guest.
 */
#ifndef __IOMMUFD_EVENTQ_H
#define __IOMMUFD_EVENTQ_H

#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "object.h"

struct iommufd_attach_handle;
struct iommufd_hw_pagetable;
struct mem_cgroup;

/**
 * struct iommufd_eventq - what both kinds of queue share
 * @obj: in the ID table; the open file is a user
 * @ictx: the context, referenced by the open file
 * @io_mutex: serialises read and write of the file. Held while user memory is
 *	copied, so nothing but read and write may take it. Outermost.
 * @lock: protects @deliver. Innermost; process context and IRQ threads.
 * @deliver: records that wait for a reader
 * @wait_queue: woken when @deliver gets a record
 */
struct iommufd_eventq {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct mutex io_mutex; /* readers and writers */
	spinlock_t lock; /* deliver */
	struct list_head deliver;
	wait_queue_head_t wait_queue;
};

/**
 * struct iommufd_fault - IOMMUFD_OBJ_FAULT, page faults of its HWPTs
 * @common: shared part, at offset 0; @common.deliver has iopf_group.node
 * @mutex: protects all below, and removal from @common.deliver. A group is
 *	answered under it, so whoever holds it knows that no answer is under
 *	way. Inside iommufd_group.lock and @common.io_mutex.
 * @response: cookie to the struct iopf_group that user space has to answer
 * @next_cookie: where the search for a free cookie starts, so that a number is
 *	reissued as late as possible
 */
struct iommufd_fault {
	struct iommufd_eventq common;
	struct mutex mutex; /* response */
	struct xarray response;
	u32 next_cookie;
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

/**
 * struct iommufd_veventq - IOMMUFD_OBJ_VEVENTQ, events of one vIOMMU
 * @common: shared part, at offset 0; @common.deliver has iommufd_vevent.node.
 *	Producers append there, and only readers remove events: one that was
 *	seen under @common.io_mutex stays.
 * @viommu: the vIOMMU; a user of it
 * @node: on iommufd_viommu.veventqs, under its veventqs_rwsem; the producer
 *	holds that for reading as long as it uses the queue
 * @memcg: who pays for events (set_active_memcg() and __GFP_ACCOUNT): the
 *	creator, while a guest's doing makes them grow. NULL without memcg.
 * @type: kind of events
 * @depth: most events stored at a time
 * @num_events: events stored, without the marker, under @common.lock
 * @sequence: of the next event, 0..INT_MAX, under @common.lock; every reported
 *	event takes one, stored or not
 * @lost_events: the marker. On @common.deliver, always as the last record,
 *	from a drop until it was read or the next event is stored, which is to
 *	remove it with list_del_init(). A further drop only updates the
 *	sequence in its header. Under @common.lock. Last, for its data[].
 */
struct iommufd_veventq {
	struct iommufd_eventq common;
	struct iommufd_viommu *viommu;
	struct list_head node;
	struct mem_cgroup *memcg;
	enum iommu_veventq_type type;
	u32 depth;
	u32 num_events;
	u32 sequence;
	struct iommufd_vevent lost_events;
};

static inline struct iommufd_fault *iommufd_get_fault(struct iommufd_ctx *ictx,
						      u32 id)
{
	struct iommufd_object *obj =
		iommufd_get_object(ictx, id, IOMMUFD_OBJ_FAULT);

	return container_of_const(obj, struct iommufd_fault, common.obj);
}

int iommufd_fault_alloc(struct iommufd_ucmd *ucmd);
void iommufd_fault_destroy(struct iommufd_object *obj);
int iommufd_fault_iopf_handler(struct iopf_group *group);
void iommufd_fault_flush(struct iommufd_hw_pagetable *hwpt,
			 struct iommufd_attach_handle *handle,
			 struct device *dev);

int iommufd_veventq_alloc(struct iommufd_ucmd *ucmd);
void iommufd_veventq_destroy(struct iommufd_object *obj);

#endif
