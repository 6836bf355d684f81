/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Queues of what a vIOMMU has to tell its guest.
 */
#ifndef __IOMMUFD_VEVENTQ_H
#define __IOMMUFD_VEVENTQ_H

#include "eventq.h"

struct mem_cgroup;

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

int iommufd_veventq_alloc(struct iommufd_ucmd *ucmd);
void iommufd_veventq_destroy(struct iommufd_object *obj);

#endif
