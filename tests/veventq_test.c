// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of how events of a vIOMMU are numbered, stored and lost.
 */
#include <kunit/test.h>
#include <linux/iommufd.h>
#include <linux/slab.h>

#include "../veventq.h"

#define TYPE 0x77

/**
 * struct veventq_fixture - a queue on a vIOMMU that nobody else knows
 * @viommu: only as far as report_event needs it
 * @veventq: its queue of type TYPE; last, for what is at its end
 */
struct veventq_fixture {
	struct iommufd_viommu viommu;
	struct iommufd_veventq veventq;
};

static struct veventq_fixture *veventq_make(struct kunit *test, u32 depth,
					    u32 sequence)
{
	struct veventq_fixture *fix = kunit_kzalloc(test, sizeof(*fix),
						    GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fix);
	INIT_LIST_HEAD(&fix->viommu.veventqs);
	init_rwsem(&fix->viommu.veventqs_rwsem);
	spin_lock_init(&fix->veventq.common.lock);
	INIT_LIST_HEAD(&fix->veventq.common.deliver);
	init_waitqueue_head(&fix->veventq.common.wait_queue);
	INIT_LIST_HEAD(&fix->veventq.lost_events.node);
	fix->veventq.type = TYPE;
	fix->veventq.depth = depth;
	fix->veventq.sequence = sequence;
	list_add(&fix->veventq.node, &fix->viommu.veventqs);
	return fix;
}

static int veventq_report(struct veventq_fixture *fix, u32 payload)
{
	return iommufd_viommu_report_event(&fix->viommu, TYPE, &payload,
					   sizeof(payload));
}

/* Take the first record as a reader would; false if there is none */
static bool veventq_take(struct kunit *test, struct veventq_fixture *fix,
			 struct iommufd_vevent_header *header, u32 *payload)
{
	struct iommufd_vevent *vevent =
		list_first_entry_or_null(&fix->veventq.common.deliver,
					 struct iommufd_vevent, node);

	if (!vevent)
		return false;
	list_del_init(&vevent->node);
	*header = vevent->header;
	if (vevent == &fix->veventq.lost_events) {
		KUNIT_EXPECT_EQ(test, vevent->data_len, 0);
		return true;
	}
	fix->veventq.num_events--;
	KUNIT_EXPECT_EQ(test, vevent->data_len, sizeof(*payload));
	memcpy(payload, vevent->data, sizeof(*payload));
	kfree(vevent);
	return true;
}

static void expect_event(struct kunit *test, struct veventq_fixture *fix,
			 u32 sequence, u32 payload)
{
	struct iommufd_vevent_header header;
	u32 got = 0;

	KUNIT_ASSERT_TRUE(test, veventq_take(test, fix, &header, &got));
	KUNIT_EXPECT_EQ(test, header.flags, 0);
	KUNIT_EXPECT_EQ(test, header.sequence, sequence);
	KUNIT_EXPECT_EQ(test, got, payload);
}

static void expect_lost(struct kunit *test, struct veventq_fixture *fix,
			u32 sequence)
{
	struct iommufd_vevent_header header;
	u32 got;

	KUNIT_ASSERT_TRUE(test, veventq_take(test, fix, &header, &got));
	KUNIT_EXPECT_EQ(test, header.flags, IOMMU_VEVENTQ_FLAG_LOST_EVENTS);
	KUNIT_EXPECT_EQ(test, header.sequence, sequence);
}

static void expect_none(struct kunit *test, struct veventq_fixture *fix)
{
	KUNIT_EXPECT_TRUE(test, list_empty(&fix->veventq.common.deliver));
	KUNIT_EXPECT_EQ(test, fix->veventq.num_events, 0);
}

/* A queue gets events of its own type only */
static void veventq_types(struct kunit *test)
{
	struct veventq_fixture *fix = veventq_make(test, 2, 0);
	u32 payload = 1;

	KUNIT_EXPECT_EQ(test,
			iommufd_viommu_report_event(&fix->viommu, TYPE + 1,
						    &payload, sizeof(payload)),
			-EOPNOTSUPP);
	expect_none(test, fix);
	KUNIT_EXPECT_EQ(test, veventq_report(fix, 5), 0);
	expect_event(test, fix, 0, 5);
}

/* 0, 1, ..., INT_MAX, 0, ... */
static void veventq_wrap(struct kunit *test)
{
	struct veventq_fixture *fix = veventq_make(test, 4, INT_MAX - 1);
	u32 i;

	for (i = 0; i != 4; i++)
		KUNIT_EXPECT_EQ(test, veventq_report(fix, i), 0);
	expect_event(test, fix, INT_MAX - 1, 0);
	expect_event(test, fix, INT_MAX, 1);
	expect_event(test, fix, 0, 2);
	expect_event(test, fix, 1, 3);
	expect_none(test, fix);
}

/* The marker has the latest of those lost, also beyond the wrap */
static void veventq_wrap_lost(struct kunit *test)
{
	struct veventq_fixture *fix = veventq_make(test, 1, INT_MAX);
	u32 i;

	for (i = 0; i != 3; i++)
		KUNIT_EXPECT_EQ(test, veventq_report(fix, i), 0);
	expect_event(test, fix, INT_MAX, 0);
	expect_lost(test, fix, 1);
	expect_none(test, fix);
}

/* One marker at most, at the end, and only until an event is stored again */
static void veventq_marker(struct kunit *test)
{
	struct veventq_fixture *fix = veventq_make(test, 2, 0);
	u32 i;

	for (i = 0; i != 6; i++)
		KUNIT_EXPECT_EQ(test, veventq_report(fix, i), 0);
	KUNIT_EXPECT_EQ(test, fix->veventq.num_events, 2);
	KUNIT_EXPECT_EQ(test,
			list_count_nodes(&fix->veventq.common.deliver), 3);
	expect_event(test, fix, 0, 0);
	/* Room for one: the marker becomes a gap */
	KUNIT_EXPECT_EQ(test, veventq_report(fix, 6), 0);
	KUNIT_EXPECT_EQ(test, veventq_report(fix, 7), 0);
	expect_event(test, fix, 1, 1);
	expect_event(test, fix, 6, 6);
	expect_lost(test, fix, 7);
	KUNIT_EXPECT_EQ(test, veventq_report(fix, 8), 0);
	expect_event(test, fix, 8, 8);
	expect_none(test, fix);
}

static struct kunit_case veventq_cases[] = {
	KUNIT_CASE(veventq_types),
	KUNIT_CASE(veventq_wrap),
	KUNIT_CASE(veventq_wrap_lost),
	KUNIT_CASE(veventq_marker),
	{}
};

static struct kunit_suite veventq_suite = {
	.name = "iommufd_veventq",
	.test_cases = veventq_cases,
};

kunit_test_suite(veventq_suite);
