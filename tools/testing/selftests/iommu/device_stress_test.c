// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices in groups, everything at once for some seconds: threads make and
 * destroy them, attach, replace and detach their RIDs and PASIDs, give them
 * vDEVICEs, let them fault and report events, answer those, and meanwhile map,
 * unmap, make page tables and destroy whatever there is.
 *
 * No call may take long or give an answer that makes no sense. When nobody is
 * attached any more no automatic page table is left, so that address spaces can
 * be destroyed; and nothing is pinned.
 *
 *	TEST_SECONDS	how long (10)
 *	TEST_THREADS	how many threads (6)
 *	TEST_SEED	to choose alike again; races will not repeat
 */
#include <pthread.h>
#include <time.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define BASE ((__u64)MOCK_APERTURE_START)
#define NR 32
#define NIOAS 2
#define NQUEUES 2
#define MAX_ID 64
#define MAX_THREADS 32
/* A wait that went wrong gives up after a minute only */
#define LONG_CALL 25

/* IDs lately made, whether or not they still are */
enum kind { STDEV, IDEV, HWPT, PARENT, VIOMMU, NESTED, VDEV, NKINDS };

#define PER_KIND 6

struct shared {
	int fd;
	__u32 ioas[NIOAS];
	__u32 fault[NQUEUES];
	int queue[NQUEUES];
	time_t end;
	bool failed;
	unsigned long calls[32], done[32];
	__u32 ids[NKINDS][PER_KIND];
};

struct worker {
	pthread_t thread;
	struct shared *sh;
	__u64 seed, base;
	__u8 *buf;
	char msg[200];
};

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static unsigned int pick(struct worker *w, unsigned int n)
{
	return rnd(&w->seed) % n;
}

static __u32 any_ioas(struct worker *w)
{
	return w->sh->ioas[pick(w, NIOAS)];
}

static __u32 an_id(struct worker *w, enum kind kind)
{
	return __atomic_load_n(&w->sh->ids[kind][pick(w, PER_KIND)],
			       __ATOMIC_RELAXED);
}

/* The one that has to make room for it goes, if nobody needs it */
static void keep_id(struct worker *w, enum kind kind, __u32 id)
{
	__u32 old = __atomic_exchange_n(&w->sh->ids[kind][pick(w, PER_KIND)],
					id, __ATOMIC_RELAXED);

	/* Devices are few, and what is on them would be for nothing */
	if (old && old != id && kind != IDEV)
		iommu_destroy(w->sh->fd, old);
}

static __u32 any_pt(struct worker *w)
{
	static const enum kind kinds[] = { HWPT, PARENT, NESTED };

	return pick(w, 3) ? an_id(w, kinds[pick(w, 3)]) : any_ioas(w);
}

static int do_device(struct worker *w)
{
	struct mock_config config = {
		.flags = pick(w, 4) ? MOCK_FLAGS_DEVICE_PASID :
				      MOCK_FLAGS_DEVICE_NO_DIRTY,
		.sibling = pick(w, 4) ? an_id(w, STDEV) : 0,
		.resv = pick(w, 2) ? MOCK_RESV_RESERVED : MOCK_RESV_NONE,
		.start = BASE + (1 << 20) + pick(w, 4) * page_size,
		.length = page_size,
	};
	struct mock_dev dev;
	int rc;

	rc = mock_device(w->sh->fd, pick(w, 2) ? any_pt(w) : 0, &config, &dev);
	if (rc)
		return rc;
	keep_id(w, STDEV, dev.stdev);
	keep_id(w, IDEV, dev.idev);
	return 0;
}

static int do_device_destroy(struct worker *w)
{
	return iommu_destroy(w->sh->fd, an_id(w, STDEV));
}

/* PASID 0 is the RID */
static __u32 any_pasid(struct worker *w)
{
	return pick(w, 2) ? 0 : pick(w, 4);
}

static int do_attach(struct worker *w)
{
	__u32 pt = any_pt(w);

	return mock_pasid_attach(w->sh->fd, an_id(w, STDEV), any_pasid(w),
				 &pt);
}

static int do_replace(struct worker *w)
{
	__u32 pt = any_pt(w);

	return mock_pasid_replace(w->sh->fd, an_id(w, STDEV), any_pasid(w),
				  &pt);
}

static int do_detach(struct worker *w)
{
	return mock_pasid_detach(w->sh->fd, an_id(w, STDEV), any_pasid(w));
}

/* By the ID that an attach has told, which may go at any time */
static int do_automatic(struct worker *w)
{
	__u32 pt = any_ioas(w);
	int rc;

	rc = mock_pasid_attach(w->sh->fd, an_id(w, STDEV), 0, &pt);
	if (rc)
		return rc;
	mock_pasid_attach(w->sh->fd, an_id(w, STDEV), 0, &pt);
	hwpt_set_dirty(w->sh->fd, pt, true);
	return mock_pasid_detach(w->sh->fd, an_id(w, STDEV), 0);
}

static int do_hwpt(struct worker *w)
{
	__u32 flags = pick(w, 2) ? IOMMU_HWPT_ALLOC_PASID : 0, id;
	enum kind kind = HWPT;
	int rc;

	switch (pick(w, 4)) {
	case 0:
		flags |= IOMMU_HWPT_ALLOC_NEST_PARENT;
		kind = PARENT;
		break;
	case 1:
		flags |= IOMMU_HWPT_ALLOC_DIRTY_TRACKING;
		break;
	default:
		flags |= IOMMU_HWPT_FAULT_ID_VALID;
	}
	rc = hwpt_alloc_data(w->sh->fd, an_id(w, IDEV), any_ioas(w), flags,
			     w->sh->fault[pick(w, NQUEUES)],
			     IOMMU_HWPT_DATA_NONE, NULL, 0, &id);
	if (!rc)
		keep_id(w, kind, id);
	return rc;
}

static int do_nested(struct worker *w)
{
	__u32 flags = pick(w, 4) ? IOMMU_HWPT_FAULT_ID_VALID : 0, id;
	int rc;

	if (pick(w, 2))
		flags |= IOMMU_HWPT_ALLOC_PASID;
	rc = hwpt_alloc_nested(w->sh->fd, an_id(w, IDEV),
			       an_id(w, pick(w, 2) ? PARENT : VIOMMU), flags,
			       w->sh->fault[pick(w, NQUEUES)], 0, &id);
	if (!rc)
		keep_id(w, NESTED, id);
	return rc;
}

static int do_destroy(struct worker *w)
{
	return iommu_destroy(w->sh->fd, an_id(w, HWPT + pick(w, NKINDS - HWPT)));
}

static int do_viommu(struct worker *w)
{
	__u32 id;
	int rc;

	rc = viommu_alloc(w->sh->fd, an_id(w, IDEV), an_id(w, PARENT),
			  IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0, &id);
	if (!rc)
		keep_id(w, VIOMMU, id);
	return rc;
}

static int do_vdevice(struct worker *w)
{
	__u32 id;
	int rc;

	rc = vdevice_alloc(w->sh->fd, an_id(w, VIOMMU), an_id(w, IDEV),
			   1 + pick(w, 6), &id);
	if (!rc)
		keep_id(w, VDEV, id);
	return rc;
}

/* Guest IDs for all members of a group, and what takes them there */
static int do_guest(struct worker *w)
{
	__u32 viommu = an_id(w, VIOMMU), id;
	int rc;

	for (__u32 i = 0; i < PER_KIND; i++)
		if (!vdevice_alloc(w->sh->fd, viommu, w->sh->ids[IDEV][i],
				   1 + i, &id))
			keep_id(w, VDEV, id);
	rc = hwpt_alloc_nested(w->sh->fd, an_id(w, IDEV), viommu,
			       IOMMU_HWPT_FAULT_ID_VALID,
			       w->sh->fault[pick(w, NQUEUES)], 0, &id);
	if (rc)
		return rc;
	mock_replace(w->sh->fd, an_id(w, STDEV), &(__u32){ id });
	keep_id(w, NESTED, id);
	return 0;
}

static int do_events(struct worker *w)
{
	__u32 buf[64], id;
	int q, rc;

	rc = veventq_alloc(w->sh->fd, an_id(w, VIOMMU),
			   IOMMU_VEVENTQ_TYPE_SELFTEST, 2, &id, &q);
	for (int i = 0; i < 4; i++)
		mock_vevent(w->sh->fd, an_id(w, IDEV));
	if (rc)
		return rc;
	if (read(q, buf, sizeof(buf)) < 0)
		rc = errno;
	close(q);
	iommu_destroy(w->sh->fd, id);
	return rc;
}

static int do_fault(struct worker *w)
{
	return mock_iopf(w->sh->fd, an_id(w, IDEV), any_pasid(w), pick(w, 16),
			 IOMMU_PGFAULT_PERM_READ, 0x1000);
}

static int do_answer(struct worker *w)
{
	int q = w->sh->queue[pick(w, NQUEUES)];
	struct iommu_hwpt_pgfault f[4];
	ssize_t n;

	n = read(q, f, sizeof(f));
	if (n < 0)
		return errno;
	for (size_t i = 0; i < n / sizeof(f[0]); i++) {
		struct iommu_hwpt_page_response r = {
			.cookie = f[i].cookie,
			.code = pick(w, 2),
		};

		/* Some are left, and some expire before that */
		if (pick(w, 4) && write(q, &r, sizeof(r)) < 0 &&
		    errno != EINVAL)
			return errno;
	}
	return 0;
}

static int do_map(struct worker *w)
{
	__u32 ioas = any_ioas(w);
	__u64 iova = w->base + pick(w, NR) * page_size;

	if (pick(w, 2))
		return ioas_map_at(w->sh->fd, ioas, w->buf,
				   (1 + pick(w, NR)) * page_size, iova);
	return ioas_unmap(w->sh->fd, ioas, w->base, 2 * NR * page_size, NULL);
}

/* Where the reserved regions are, against their owners */
static int do_map_reserved(struct worker *w)
{
	__u64 iova = BASE + (1 << 20) + pick(w, 4) * page_size;
	__u32 ioas = any_ioas(w);

	ioas_map_at(w->sh->fd, ioas, w->buf, page_size, iova);
	return ioas_unmap(w->sh->fd, ioas, iova, page_size, NULL);
}

static int do_queries(struct worker *w)
{
	struct iommu_hwpt_invalidate_selftest inv = {};
	struct iommu_hw_info info = {
		.size = sizeof(info), .dev_id = an_id(w, IDEV),
	};
	__u32 num = 1;
	__u8 map[64];

	hwpt_invalidate(w->sh->fd, an_id(w, NESTED),
			IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, &inv, sizeof(inv),
			&num);
	hwpt_set_dirty(w->sh->fd, an_id(w, HWPT), pick(w, 2));
	hwpt_get_dirty(w->sh->fd, an_id(w, HWPT), 0, w->base, NR * page_size,
		       page_size, map);
	mock_bind_again(w->sh->fd, an_id(w, STDEV));
	return iommu_cmd(w->sh->fd, IOMMU_GET_HW_INFO, &info);
}

static const struct {
	const char *name;
	int (*fn)(struct worker *w);
	unsigned int weight;
} ops[] = {
	{ "device", do_device, 4 },
	{ "device_destroy", do_device_destroy, 2 },
	{ "attach", do_attach, 8 },
	{ "replace", do_replace, 8 },
	{ "detach", do_detach, 6 },
	{ "automatic", do_automatic, 4 },
	{ "hwpt", do_hwpt, 4 },
	{ "nested", do_nested, 4 },
	{ "destroy", do_destroy, 3 },
	{ "viommu", do_viommu, 2 },
	{ "vdevice", do_vdevice, 4 },
	{ "guest", do_guest, 2 },
	{ "events", do_events, 2 },
	{ "fault", do_fault, 8 },
	{ "answer", do_answer, 6 },
	{ "map", do_map, 6 },
	{ "map_reserved", do_map_reserved, 2 },
	{ "queries", do_queries, 2 },
};

static bool makes_sense(int rc)
{
	switch (rc) {
	case 0:
	case ENOENT:
	case EEXIST:
	case EBUSY:
	case EINVAL:
	case EADDRINUSE:
	case EOPNOTSUPP:
	case ENODEV:	/* no IOPF, or no place in the group */
		return true;
	}
	return false;
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned int total = 0;

	for (unsigned int i = 0; i < ARRAY_LEN(ops); i++)
		total += ops[i].weight;
	while (now() < w->sh->end && !w->sh->failed) {
		unsigned int i = 0, k = pick(w, total);
		time_t start = now();
		int rc;

		while (k >= ops[i].weight)
			k -= ops[i++].weight;
		rc = ops[i].fn(w);
		__atomic_add_fetch(&w->sh->calls[i], 1, __ATOMIC_RELAXED);
		if (!rc)
			__atomic_add_fetch(&w->sh->done[i], 1,
					   __ATOMIC_RELAXED);
		if (!makes_sense(rc))
			snprintf(w->msg, sizeof(w->msg), "%s: %s", ops[i].name,
				 strerror(rc));
		if (now() - start > LONG_CALL)
			snprintf(w->msg, sizeof(w->msg), "%s took %ld s",
				 ops[i].name, (long)(now() - start));
		if (w->msg[0])
			w->sh->failed = true;
	}
	return NULL;
}

static unsigned int env_num(const char *name, unsigned int def)
{
	const char *val = getenv(name);

	return val ? strtoul(val, NULL, 0) : def;
}

/* Leaf first; whatever is then in the way of an IOAS is left over */
static void destroy_all(struct shared *sh)
{
	static const enum kind kinds[] = {
		STDEV, VDEV, NESTED, VIOMMU, HWPT, PARENT,
	};

	for (unsigned int i = 0; i < ARRAY_LEN(kinds); i++)
		for (int k = 0; k < PER_KIND; k++)
			iommu_destroy(sh->fd, sh->ids[kinds[i]][k]);
}

TEST(everything)
{
	unsigned int seconds = env_num("TEST_SECONDS", 10);
	unsigned int threads = env_num("TEST_THREADS", 6);
	static struct worker w[MAX_THREADS];
	static struct shared sh;
	__u64 seed = rnd_seed();
	unsigned int destroyed;

	OPEN_MOCK_OR_SKIP(sh.fd);
	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	TH_LOG("TEST_SEED=%llu TEST_SECONDS=%u TEST_THREADS=%u", seed, seconds,
	       threads);
	for (int i = 0; i < NIOAS; i++)
		ASSERT_EQ(0, ioas_alloc(sh.fd, &sh.ioas[i]));
	for (int i = 0; i < NQUEUES; i++)
		ASSERT_EQ(0, fault_alloc(sh.fd, &sh.fault[i], &sh.queue[i]));
	sh.end = now() + seconds;
	for (unsigned int t = 0; t < threads; t++) {
		w[t].sh = &sh;
		w[t].seed = seed + t * 0x9e3779b97f4a7c15ULL;
		w[t].base = BASE + (t + 1) * (16ULL << 20);
		w[t].buf = buf_alloc(NR * PAGE);
		ASSERT_NE(NULL, w[t].buf);
	}
	for (unsigned int t = 0; t < threads; t++)
		ASSERT_EQ(0, pthread_create(&w[t].thread, NULL, work, &w[t]));
	for (unsigned int t = 0; t < threads; t++)
		ASSERT_EQ(0, pthread_join(w[t].thread, NULL));
	for (unsigned int i = 0; i < ARRAY_LEN(ops); i++)
		TH_LOG("%-16s %6lu calls, %6lu succeeded", ops[i].name,
		       sh.calls[i], sh.done[i]);
	for (unsigned int t = 0; t < threads; t++)
		EXPECT_STREQ("", w[t].msg);

	/* IDs may name something else meanwhile, so not all is found at once */
	for (int i = 0; i < 3; i++)
		destroy_all(&sh);
	/* Nor in the order in which one keeps the other */
	do {
		destroyed = 0;
		for (__u32 id = 1; id < 4096; id++)
			destroyed += !iommu_destroy(sh.fd, id);
	} while (destroyed);
	for (int i = 0; i < NIOAS; i++)
		EXPECT_EQ(ENOENT, iommu_destroy(sh.fd, sh.ioas[i]));
	for (int i = 0; i < NQUEUES; i++)
		close(sh.queue[i]);
	EXPECT_EQ(0, close(sh.fd));
	for (unsigned int t = 0; t < threads; t++)
		EXPECT_EQ(0, check_unpinned(w[t].buf, NR * PAGE));
	EXPECT_EQ(0, vm_pin(0));
}

int main(int argc, char **argv)
{
	/* The harness' own limit is too short */
	for (struct __test_metadata *t = __fixture_list->tests; t; t = t->next)
		t->timeout = env_num("TEST_SECONDS", 10) + 120;
	return test_harness_run(argc, argv);
}
