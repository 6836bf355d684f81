// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices in groups, everything at once for some seconds: threads make and
 * destroy them, attach, replace and detach their RIDs and PASIDs, give them
 * vDEVICEs, let them fault and report events, answer those, and meanwhile map,
 * unmap, make page tables and destroy whatever there is.
 *
 * No call may take long or give an answer that makes no sense, and each kind of
 * call has to succeed sometimes. When nobody is attached any more no automatic
 * page table is left, so that address spaces can be destroyed; and nothing is
 * pinned.
 *
 *	TEST_SECONDS	how long (10), or until everything has succeeded once
 *	TEST_THREADS	how many threads (6)
 *	TEST_SEED	to choose alike again; races will not repeat
 */
#include <pthread.h>

#include "stress.h"

#define BASE ((__u64)MOCK_APERTURE_START)
#define NR 32
#define NIOAS 2
#define NQUEUES 2
#define MAX_ID 64
#define MAX_THREADS 32

/* IDs lately made, whether or not they still are */
enum kind { STDEV, IDEV, HWPT, PARENT, VIOMMU, NESTED, VDEV, NKINDS };

#define PER_KIND 6

struct shared {
	struct stress stress;
	int fd;
	__u32 ioas[NIOAS];
	__u32 fault[NQUEUES];
	int queue[NQUEUES];
	__u32 ids[NKINDS][PER_KIND];
};

struct worker {
	pthread_t thread;
	struct shared *sh;
	__u64 seed, base;
	__u8 *buf;
};

static unsigned int pick(struct worker *w, unsigned int n)
{
	return rnd(&w->seed) % n;
}

static __u32 any_ioas(struct worker *w)
{
	return w->sh->ioas[pick(w, NIOAS)];
}

static __u32 id_at(struct worker *w, enum kind what, unsigned int at)
{
	return __atomic_load_n(&w->sh->ids[what][at], __ATOMIC_RELAXED);
}

static __u32 keep_at(struct worker *w, enum kind what, unsigned int at,
		     __u32 id)
{
	return __atomic_exchange_n(&w->sh->ids[what][at], id, __ATOMIC_RELAXED);
}

/* One that somebody has made, rather than none */
static __u32 an_id(struct worker *w, enum kind what)
{
	unsigned int from = pick(w, PER_KIND);
	__u32 id = 0;

	for (unsigned int i = 0; !id && i < PER_KIND; i++)
		id = id_at(w, what, (from + i) % PER_KIND);
	return id;
}

/* The one that has to make room for it goes, if nobody needs it */
static void keep_id(struct worker *w, enum kind what, __u32 id)
{
	__u32 old = keep_at(w, what, pick(w, PER_KIND), id);

	if (old && old != id)
		iommu_destroy(w->sh->fd, old);
}

/* Both IDs of a device are in the same place of their kinds */
static void keep_device(struct worker *w, const struct mock_dev *dev)
{
	unsigned int at = pick(w, PER_KIND);
	__u32 old = keep_at(w, STDEV, at, dev->stdev);

	keep_at(w, IDEV, at, dev->idev);
	if (old && old != dev->stdev)
		iommu_destroy(w->sh->fd, old);
}

static struct mock_dev a_device(struct worker *w)
{
	unsigned int at = pick(w, PER_KIND);

	return (struct mock_dev){
		.stdev = id_at(w, STDEV, at),
		.idev = id_at(w, IDEV, at),
	};
}

/* Its ID is left there now and then, for others to meet what has gone */
static int destroy_one(struct worker *w, enum kind what)
{
	unsigned int at = pick(w, PER_KIND);
	__u32 id = id_at(w, what, at);
	int rc = iommu_destroy(w->sh->fd, id);

	if (!rc && pick(w, 4))
		__atomic_compare_exchange_n(&w->sh->ids[what][at], &id, 0,
					    false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
	return rc;
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
	keep_device(w, &dev);
	return 0;
}

static int do_device_destroy(struct worker *w)
{
	return destroy_one(w, STDEV);
}

/* PASID 0 is the RID */
static int do_attach(struct worker *w)
{
	__u32 pt = any_pt(w);

	return mock_pasid_attach(w->sh->fd, an_id(w, STDEV), 0, &pt);
}

static int do_replace(struct worker *w)
{
	__u32 pt = any_pt(w);

	return mock_pasid_replace(w->sh->fd, an_id(w, STDEV), 0, &pt);
}

static int do_detach(struct worker *w)
{
	return mock_pasid_detach(w->sh->fd, an_id(w, STDEV), 0);
}

static __u32 any_pasid(struct worker *w)
{
	return 1 + pick(w, 3);
}

/* A page table that PASIDs may have, if it was made so */
static __u32 any_pasid_pt(struct worker *w)
{
	static const enum kind kinds[] = { HWPT, PARENT, NESTED };

	return an_id(w, kinds[pick(w, 3)]);
}

static int do_pasid_attach(struct worker *w)
{
	__u32 pt = any_pasid_pt(w);

	return mock_pasid_attach(w->sh->fd, an_id(w, STDEV), any_pasid(w),
				 &pt);
}

/* What may not be attached yet, and the RID not where it goes with PASIDs */
static int do_pasid_replace(struct worker *w)
{
	__u32 stdev = an_id(w, STDEV), pasid = any_pasid(w);
	__u32 pt = any_pasid_pt(w);

	mock_pasid_replace(w->sh->fd, stdev, 0, &(__u32){ pt });
	mock_pasid_attach(w->sh->fd, stdev, pasid, &(__u32){ pt });
	pt = any_pasid_pt(w);
	return mock_pasid_replace(w->sh->fd, stdev, pasid, &pt);
}

static int do_pasid_detach(struct worker *w)
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

static int alloc_hwpt(struct worker *w, enum kind what, __u32 flags)
{
	__u32 id;
	int rc;

	if (pick(w, 4))
		flags |= IOMMU_HWPT_ALLOC_PASID;
	rc = hwpt_alloc_data(w->sh->fd, an_id(w, IDEV), any_ioas(w), flags,
			     w->sh->fault[pick(w, NQUEUES)],
			     IOMMU_HWPT_DATA_NONE, NULL, 0, &id);
	if (!rc)
		keep_id(w, what, id);
	return rc;
}

static int do_hwpt(struct worker *w)
{
	return alloc_hwpt(w, HWPT, IOMMU_HWPT_FAULT_ID_VALID);
}

static int do_hwpt_parent(struct worker *w)
{
	return alloc_hwpt(w, PARENT, IOMMU_HWPT_ALLOC_NEST_PARENT);
}

static int do_hwpt_dirty(struct worker *w)
{
	return alloc_hwpt(w, HWPT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
}

static int alloc_nested(struct worker *w, enum kind below)
{
	__u32 flags = pick(w, 4) ? IOMMU_HWPT_FAULT_ID_VALID : 0, id;
	int rc;

	if (pick(w, 4))
		flags |= IOMMU_HWPT_ALLOC_PASID;
	rc = hwpt_alloc_nested(w->sh->fd, an_id(w, IDEV), an_id(w, below),
			       flags, w->sh->fault[pick(w, NQUEUES)], 0, &id);
	if (!rc)
		keep_id(w, NESTED, id);
	return rc;
}

static int do_nested(struct worker *w)
{
	return alloc_nested(w, PARENT);
}

static int do_nested_viommu(struct worker *w)
{
	return alloc_nested(w, VIOMMU);
}

static int do_destroy(struct worker *w)
{
	return destroy_one(w, HWPT + pick(w, NKINDS - HWPT));
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
static int go_nested(struct worker *w, __u32 viommu, const struct mock_dev *dev)
{
	__u32 id;
	int rc;

	for (__u32 i = 0; i < PER_KIND; i++)
		if (!vdevice_alloc(w->sh->fd, viommu, id_at(w, IDEV, i), 1 + i,
				   &id))
			keep_id(w, VDEV, id);
	rc = hwpt_alloc_nested(w->sh->fd, dev->idev, viommu,
			       IOMMU_HWPT_FAULT_ID_VALID,
			       w->sh->fault[pick(w, NQUEUES)], 0, &id);
	if (rc)
		return rc;
	/* Attached or not */
	rc = mock_pasid_attach(w->sh->fd, dev->stdev, 0, &(__u32){ id });
	if (rc == EBUSY)
		rc = mock_replace(w->sh->fd, dev->stdev, &(__u32){ id });
	keep_id(w, NESTED, id);
	return rc;
}

static int do_guest(struct worker *w)
{
	struct mock_dev dev = a_device(w);

	return go_nested(w, an_id(w, VIOMMU), &dev);
}

static int do_events(struct worker *w)
{
	struct mock_dev dev = a_device(w);
	__u32 viommu = an_id(w, VIOMMU), buf[64], id;
	ssize_t len;
	int q, rc;

	rc = veventq_alloc(w->sh->fd, viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 2,
			   &id, &q);
	/* Those of others get events as well */
	if (rc && rc != EEXIST)
		return rc;
	go_nested(w, viommu, &dev);
	for (unsigned int i = 0; i < PER_KIND; i++)
		mock_vevent(w->sh->fd, id_at(w, IDEV, i));
	if (rc)
		return rc;
	len = read(q, buf, sizeof(buf));
	if (len <= 0)
		rc = len ? errno : NOT_NOW;
	close(q);
	iommu_destroy(w->sh->fd, id);
	return rc;
}

static int do_fault(struct worker *w)
{
	__u32 pasid = pick(w, 2) ? 0 : any_pasid(w);

	return mock_iopf(w->sh->fd, an_id(w, IDEV), pasid, pick(w, 16),
			 IOMMU_PGFAULT_PERM_READ, 0x1000);
}

static int do_answer(struct worker *w)
{
	int q = w->sh->queue[pick(w, NQUEUES)], rc = NOT_NOW;
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
		if (!pick(w, 4))
			continue;
		rc = write(q, &r, sizeof(r)) < 0 ? errno : 0;
		if (rc && rc != EINVAL)
			return rc;
	}
	return rc;
}

static int do_map(struct worker *w)
{
	__u64 iova = w->base + pick(w, NR) * page_size;

	return ioas_map_at(w->sh->fd, any_ioas(w), w->buf,
			   (1 + pick(w, NR)) * page_size, iova);
}

static int do_unmap(struct worker *w)
{
	return ioas_unmap(w->sh->fd, any_ioas(w), w->base, 2 * NR * page_size,
			  NULL);
}

/* Where the reserved regions are, against their owners */
static int do_map_reserved(struct worker *w)
{
	__u64 iova = BASE + (1 << 20) + pick(w, 4) * page_size;
	__u32 ioas = any_ioas(w);
	int rc;

	rc = ioas_map_at(w->sh->fd, ioas, w->buf, page_size, iova);
	if (rc)
		return rc;
	return ioas_unmap(w->sh->fd, ioas, iova, page_size, NULL);
}

static int do_invalidate(struct worker *w)
{
	struct iommu_hwpt_invalidate_selftest inv = {};

	return hwpt_invalidate(w->sh->fd, an_id(w, NESTED),
			       IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, &inv,
			       sizeof(inv), &(__u32){ 1 });
}

static int do_dirty_set(struct worker *w)
{
	return hwpt_set_dirty(w->sh->fd, an_id(w, HWPT), pick(w, 2));
}

static int do_dirty_get(struct worker *w)
{
	__u8 map[64];

	return hwpt_get_dirty(w->sh->fd, an_id(w, HWPT), 0, w->base,
			      NR * page_size, page_size, map);
}

/* That a device is bound already is the answer wanted */
static int do_bind_again(struct worker *w)
{
	int rc = mock_bind_again(w->sh->fd, an_id(w, STDEV));

	if (!rc)
		return EPROTO;
	return rc == EBUSY ? 0 : rc;
}

static int do_hw_info(struct worker *w)
{
	struct iommu_hw_info info = {
		.size = sizeof(info), .dev_id = an_id(w, IDEV),
	};

	return iommu_cmd(w->sh->fd, IOMMU_GET_HW_INFO, &info);
}

static const struct op ops[] = {
	{ "device", do_device, 16 },
	{ "device_destroy", do_device_destroy, 8 },
	{ "attach", do_attach, 20 },
	{ "replace", do_replace, 20 },
	{ "detach", do_detach, 15 },
	{ "pasid_attach", do_pasid_attach, 12 },
	{ "pasid_replace", do_pasid_replace, 12 },
	{ "pasid_detach", do_pasid_detach, 9 },
	{ "automatic", do_automatic, 16 },
	{ "hwpt", do_hwpt, 8 },
	{ "hwpt_parent", do_hwpt_parent, 4 },
	{ "hwpt_dirty", do_hwpt_dirty, 4 },
	{ "nested", do_nested, 8 },
	{ "nested_viommu", do_nested_viommu, 8 },
	{ "destroy", do_destroy, 12 },
	{ "viommu", do_viommu, 8 },
	{ "vdevice", do_vdevice, 16 },
	{ "guest", do_guest, 8 },
	{ "events", do_events, 8 },
	{ "fault", do_fault, 32 },
	{ "answer", do_answer, 24 },
	{ "map", do_map, 12 },
	{ "unmap", do_unmap, 12 },
	{ "map_reserved", do_map_reserved, 8 },
	{ "invalidate", do_invalidate, 2 },
	{ "dirty_set", do_dirty_set, 2 },
	{ "dirty_get", do_dirty_get, 2 },
	{ "bind_again", do_bind_again, 2 },
	{ "hw_info", do_hw_info, 2 },
};

static const int errnos[] = {
	ENOENT, EEXIST, EBUSY, EINVAL, EOPNOTSUPP,
	EADDRINUSE,	/* something is mapped where a device keeps IOVA */
	ENODEV,		/* a device cannot join what its group is attached to */
};

static void *work(void *arg)
{
	struct worker *w = arg;

	stress_run(&w->sh->stress, w, &w->seed);
	return NULL;
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
	static struct shared sh = {
		.stress = {
			.ops = ops,
			.nops = ARRAY_LEN(ops),
			.errnos = errnos,
			.nerrnos = ARRAY_LEN(errnos),
		},
	};
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
	sh.stress.end = now() + seconds;
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
	stress_report(_metadata, &sh.stress);

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
		t->timeout = env_num("TEST_SECONDS", 10) + MORE_SECONDS + 90;
	return test_harness_run(argc, argv);
}
