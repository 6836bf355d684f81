/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of a process for KUnit tests, and the seed of the random ones.
 */
#ifndef __IOMMUFD_TESTS_USER_MEMORY_H
#define __IOMMUFD_TESTS_USER_MEMORY_H

#include <kunit/test.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/prandom.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

/* Set by iommufd.kunit_seed to repeat a failure, 0 for another each time */
extern unsigned long iommufd_kunit_seed;

static inline void test_seed(struct kunit *test, struct rnd_state *rnd)
{
	unsigned long seed = iommufd_kunit_seed ?: get_random_u32();

	kunit_info(test, "iommufd.kunit_seed=%lu", seed);
	prandom_seed_state(rnd, seed);
}

static inline unsigned long test_pick(struct rnd_state *rnd, unsigned long n)
{
	return prandom_u32_state(rnd) % n;
}

/* Shared memory, of @file or anonymous, in an address space of the test's own */
static inline unsigned long test_user_memory(struct kunit *test,
					     struct file *file,
					     unsigned long length)
{
	unsigned long uaddr;

	uaddr = kunit_vm_mmap(test, file, 0, length, PROT_READ | PROT_WRITE,
			      file ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS,
			      0);
	KUNIT_ASSERT_NE(test, uaddr, 0UL);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(uaddr));
	return uaddr;
}

/* The page that is at an address now, which the mapping keeps */
static inline struct page *test_page_at(struct kunit *test, unsigned long uaddr)
{
	struct page *page;

	KUNIT_ASSERT_EQ(test, get_user_pages_fast(uaddr, 1, FOLL_WRITE, &page),
			1);
	put_page(page);
	return page;
}

/* As far as its reference count tells; of a compound page it does not */
static inline bool test_page_has_pins(struct page *page, unsigned int pins)
{
	return PageCompound(page) ||
	       page_ref_count(page) / GUP_PIN_COUNTING_BIAS == pins;
}

/* Pages that the address space of the test is charged for */
static inline unsigned long test_pinned_vm(void)
{
	return atomic64_read(&current->mm->pinned_vm);
}

/* From now on the test is like a process that was killed and is not gone yet */
static inline void test_kill(void)
{
	allow_signal(SIGKILL);
	send_sig(SIGKILL, current, 1);
}

static inline void test_revive(void)
{
	disallow_signal(SIGKILL);
	flush_signals(current);
}

#endif
