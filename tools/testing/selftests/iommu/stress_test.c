// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once, for some seconds: threads map memory, files and dma-bufs,
 * unmap, copy, attach, replace and detach devices and PASIDs, pin, read, write,
 * fork, munmap, truncate, revoke and close against each other in shared contexts,
 * which are VFIO containers at the same time, choosing IDs at random.
 *
 * Each thread has a slice of IOVA where only it maps, and only memory filled
 * with its mark. So whatever it reads there through an access is its mark, or
 * the call fails. No call may take long or give an answer that makes no sense.
 * Afterwards nothing is pinned or charged.
 *
 *	TEST_SECONDS	how long (10)
 *	TEST_THREADS	how many threads (6)
 *	TEST_SEED	to choose alike again; races will not repeat
 */
#include <linux/capability.h>
#include <linux/memfd.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define BASE ((__u64)MOCK_APERTURE_START)
#define SLICE (1ULL << 24)
#define NR 64
#define NCTX 2
#define NIOAS 3
#define MAX_ID 48
#define MAX_THREADS 32
/* A wait that went wrong gives up after a minute only */
#define LONG_CALL 25

/* IDs lately made, whether or not they still are */
enum kind { STDEV, IDEV, HWPT, PARENT, VIOMMU, NESTED, NKINDS };

struct shared {
	int fd[NCTX];
	time_t end;
	bool failed;
	unsigned long calls[64], done[64];
	__u32 ids[NCTX][NKINDS][4];
};

struct worker {
	pthread_t thread;
	struct shared *sh;
	unsigned int nr, ctx;
	__u64 seed;
	__u8 mark;
	__u8 *buf;
	int file, dmabuf;	/* -1: could not be had */
	int access[4];
	int access_ctx[4];
	__u8 tmp[8192];
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

/* A context for the calls to come, in w->ctx too */
static int any_fd(struct worker *w)
{
	w->ctx = pick(w, NCTX);
	return w->sh->fd[w->ctx];
}

/* The first IDs are IOAS, until somebody destroys them */
static __u32 any_ioas(struct worker *w)
{
	return 1 + pick(w, NIOAS);
}

static __u32 any_id(struct worker *w)
{
	return 1 + pick(w, MAX_ID);
}

/* Most often one of the kind asked for, in the context of any_fd() */
static __u32 an_id(struct worker *w, enum kind kind)
{
	__u32 id = w->sh->ids[w->ctx][kind][pick(w, 4)];

	return id && pick(w, 8) ? id : any_id(w);
}

/* No more than IDs that can be met by chance */
static void keep_id(struct worker *w, enum kind kind, __u32 id)
{
	if (id > MAX_ID)
		iommu_destroy(w->sh->fd[w->ctx], id);
	else
		w->sh->ids[w->ctx][kind][pick(w, 4)] = id;
}

static __u64 any_iova(struct worker *w)
{
	return BASE + w->nr * SLICE + pick(w, 2 * NR) * page_size;
}

static void fill(struct worker *w)
{
	memset(w->buf, w->mark, NR * page_size);
}

/* The file of the worker, from nothing */
static int fill_file(struct worker *w)
{
	__u8 page[4096];

	memset(page, w->mark, sizeof(page));
	if (ftruncate(w->file, 0))
		return -1;
	for (size_t at = 0; at < NR * page_size; at += sizeof(page))
		if (pwrite(w->file, page, sizeof(page), at) != sizeof(page))
			return -1;
	return 0;
}

static int do_map(struct worker *w)
{
	unsigned int from = pick(w, NR);
	size_t len = (1 + pick(w, NR - from)) * page_size;
	__u64 iova = any_iova(w);
	__u32 flags = pick(w, 4) ? MAP_RW : MAP_R;

	return ioas_map(any_fd(w), any_ioas(w), w->buf + from * page_size, len,
			flags | MAP_FIX, &iova);
}

static int do_map_file(struct worker *w)
{
	unsigned int from = pick(w, NR);
	__u64 iova = any_iova(w);

	return ioas_map_file(any_fd(w), any_ioas(w), w->file, from * page_size,
			     (1 + pick(w, NR - from)) * page_size,
			     (pick(w, 4) ? MAP_RW : MAP_R) | MAP_FIX, &iova);
}

/* What is pinned stays with who pinned it */
static int do_truncate(struct worker *w)
{
	return fill_file(w);
}

static int do_dmabuf(struct worker *w)
{
	int fd = any_fd(w);
	__u64 iova = any_iova(w);

	if (w->dmabuf < 0)
		return 0;
	if (!pick(w, 4))
		return mock_dmabuf_revoke(fd, w->dmabuf, pick(w, 2));
	return ioas_map_file(fd, any_ioas(w), w->dmabuf, 0, 4 * page_size,
			     MAP_FIX_RW, &iova);
}

static int do_allow(struct worker *w)
{
	struct iommu_iova_range r[2] = {
		{ BASE, BASE + SLICE }, { BASE + 4 * SLICE, BASE + 5 * SLICE },
	};

	return ioas_allow(any_fd(w), any_ioas(w), r, pick(w, 3));
}

static int do_unmap(struct worker *w)
{
	return ioas_unmap(any_fd(w), any_ioas(w), BASE + w->nr * SLICE, SLICE,
			  NULL);
}

static int do_unmap_one(struct worker *w)
{
	return ioas_unmap(any_fd(w), any_ioas(w), any_iova(w),
			  (1 + pick(w, NR)) * page_size, NULL);
}

static int do_unmap_all(struct worker *w)
{
	return pick(w, 4) ? 0 : ioas_unmap_all(any_fd(w), any_ioas(w), NULL);
}

static int do_copy(struct worker *w)
{
	__u64 iova = any_iova(w);

	return ioas_copy(any_fd(w), any_ioas(w), any_ioas(w), any_iova(w),
			 (1 + pick(w, 8)) * page_size, MAP_FIX_RW, &iova);
}

static int do_attach(struct worker *w)
{
	int fd = any_fd(w);
	struct mock_dev dev;
	int rc = mock_attach(fd, pick(w, 2) ? any_ioas(w) : an_id(w, HWPT),
			     pick(w, 2) ? MOCK_FLAGS_DEVICE_PASID : 0, &dev);

	if (!rc) {
		keep_id(w, IDEV, dev.idev);
		keep_id(w, STDEV, dev.stdev);
	}
	return rc;
}

static int do_replace(struct worker *w)
{
	static const enum kind kinds[] = { HWPT, PARENT, NESTED };
	int fd = any_fd(w);
	__u32 pt = pick(w, 3) ? an_id(w, kinds[pick(w, 3)]) : any_ioas(w);

	return mock_replace(fd, an_id(w, STDEV), &pt);
}

static int do_destroy(struct worker *w)
{
	int fd = any_fd(w);
	__u32 id = pick(w, 2) ? any_id(w) : an_id(w, pick(w, NKINDS));

	/* IOAS are needed more than they are in the way */
	if (id <= NIOAS && pick(w, 8))
		return 0;
	return iommu_destroy(fd, id);
}

static int do_ioas(struct worker *w)
{
	int fd = any_fd(w);
	__u32 id;
	int rc = ioas_alloc(fd, &id);

	if (!rc && id > NIOAS)
		iommu_destroy(fd, id);
	return rc;
}

static int do_hwpt(struct worker *w)
{
	static const __u32 flags[] = {
		0, IOMMU_HWPT_ALLOC_DIRTY_TRACKING, IOMMU_HWPT_ALLOC_PASID,
		IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID,
	};
	int fd = any_fd(w);
	unsigned int f = pick(w, 4);
	__u32 id;
	int rc = hwpt_alloc(fd, an_id(w, IDEV), any_ioas(w), flags[f], &id);

	if (!rc)
		keep_id(w, f == 3 ? PARENT : HWPT, id);
	return rc;
}

static int do_nested(struct worker *w)
{
	int fd = any_fd(w);
	__u32 id;
	int rc = hwpt_alloc_nested(fd, an_id(w, IDEV),
				   an_id(w, pick(w, 2) ? PARENT : VIOMMU),
				   pick(w, 2) ? IOMMU_HWPT_ALLOC_PASID : 0, 0,
				   0, &id);

	if (!rc)
		keep_id(w, NESTED, id);
	return rc;
}

/* Some with memory to map, which keeps the vIOMMU for that time */
static int do_viommu(struct worker *w)
{
	struct iommu_viommu_selftest data = { .in_data = w->mark };
	bool region = pick(w, 2);
	int fd = any_fd(w);
	__u32 id, *va;
	int rc = viommu_alloc(fd, an_id(w, IDEV), an_id(w, PARENT),
			      IOMMU_VIOMMU_TYPE_SELFTEST,
			      region ? &data : NULL,
			      region ? sizeof(data) : 0, &id);

	if (rc)
		return rc;
	keep_id(w, VIOMMU, id);
	if (!region)
		return 0;
	va = mmap(NULL, data.out_mmap_length, PROT_READ, MAP_SHARED, fd,
		  data.out_mmap_offset);
	/* Gone already, and perhaps somebody else's by now */
	if (va == MAP_FAILED)
		return 0;
	if (!*va) {
		snprintf(w->msg, sizeof(w->msg), "a region of zeroes");
		rc = -1;
	}
	munmap(va, data.out_mmap_length);
	return rc;
}

static int do_pasid(struct worker *w)
{
	__u32 pasid = 1 + pick(w, 3), pt;
	int fd = any_fd(w);

	pt = an_id(w, pick(w, 2) ? HWPT : NESTED);
	switch (pick(w, 3)) {
	case 0:
		return mock_pasid_attach(fd, an_id(w, STDEV), pasid, &pt);
	case 1:
		return mock_pasid_replace(fd, an_id(w, STDEV), pasid, &pt);
	default:
		return mock_pasid_detach(fd, an_id(w, STDEV), pasid);
	}
}

static int do_vdevice(struct worker *w)
{
	int fd = any_fd(w);
	__u32 id;
	int rc = vdevice_alloc(fd, an_id(w, VIOMMU), an_id(w, IDEV),
			       pick(w, 8), &id);

	if (!rc && id > MAX_ID)
		iommu_destroy(fd, id);
	return rc;
}

static int do_hw_queue(struct worker *w)
{
	int fd = any_fd(w);
	__u32 id;
	int rc = hw_queue_alloc(fd, an_id(w, VIOMMU),
				IOMMU_HW_QUEUE_TYPE_SELFTEST, pick(w, 2),
				any_iova(w), page_size, &id);

	/* Or it would hold against the unmaps of others for good */
	if (!rc)
		iommu_destroy(fd, id);
	return rc;
}

/* Events with and without a queue, and who reads them */
static int do_events(struct worker *w)
{
	int fd = any_fd(w), q, rc;
	__u8 buf[256];
	__u32 id;

	rc = veventq_alloc(fd, an_id(w, VIOMMU), IOMMU_VEVENTQ_TYPE_SELFTEST,
			   4, &id, &q);
	for (int i = 0; i < 6; i++)
		mock_vevent(fd, an_id(w, IDEV));
	if (rc)
		return rc;
	if (read(q, buf, sizeof(buf)) < 0)
		rc = errno;
	close(q);
	iommu_destroy(fd, id);
	return rc;
}

/* The same of page faults, through a nested page table of one's own */
static int do_faults(struct worker *w)
{
	__u32 id, hwpt, stdev, idev;
	int fd = any_fd(w), q, rc;
	struct iommu_hwpt_pgfault f[4];

	rc = fault_alloc(fd, &id, &q);
	if (rc)
		return rc;
	stdev = an_id(w, STDEV);
	/* The device is the object made right after its owner */
	idev = stdev + 1;
	rc = hwpt_alloc_nested(fd, idev, an_id(w, PARENT),
			       IOMMU_HWPT_FAULT_ID_VALID, id, 0, &hwpt);
	if (!rc) {
		rc = mock_replace(fd, stdev, &(__u32){ hwpt });
		mock_iopf(fd, idev, 0, 1, 1, 0x1000);
		mock_iopf(fd, idev, 0, 2, 1, 0x1000);
		if (read(q, f, sizeof(f)) > 0) {
			struct iommu_hwpt_page_response r = {
				.cookie = f[0].cookie,
			};

			if (write(q, &r, sizeof(r)) < 0 && errno != EINVAL)
				rc = errno;
		}
		mock_replace(fd, stdev, &(__u32){ any_ioas(w) });
		iommu_destroy(fd, hwpt);
	}
	close(q);
	iommu_destroy(fd, id);
	return rc;
}

static int do_access(struct worker *w)
{
	unsigned int i = pick(w, 4), c = pick(w, NCTX);

	if (w->access[i] >= 0) {
		close(w->access[i]);
		w->access[i] = -1;
		return 0;
	}
	w->access_ctx[i] = c;
	return access_create(w->sh->fd[c], any_ioas(w),
			     pick(w, 2) ? 0 :
			     MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
			     &w->access[i]);
}

static int do_pin(struct worker *w)
{
	unsigned int i = pick(w, 4);
	int fd = w->sh->fd[w->access_ctx[i]];
	__u32 item;
	int rc;

	if (w->access[i] < 0)
		return 0;
	rc = access_pin(fd, w->access[i], any_iova(w),
			(1 + pick(w, 8)) * page_size, NULL, pick(w, 2), &item);
	/* Some are left to the unmap callback */
	if (!rc && pick(w, 3))
		access_unpin(fd, w->access[i], item);
	return rc;
}

static int do_rw(struct worker *w)
{
	unsigned int i = pick(w, 4), len = 1 + pick(w, sizeof(w->tmp) - 1);
	__u32 slow = pick(w, 2) ? MOCK_ACCESS_RW_SLOW_PATH : 0;
	int fd = w->sh->fd[w->access_ctx[i]];
	__u64 iova = any_iova(w) + pick(w, page_size);
	int rc;

	if (w->access[i] < 0)
		return 0;
	if (pick(w, 2)) {
		memset(w->tmp, w->mark, len);
		return access_rw(fd, w->access[i], iova, w->tmp, len,
				 slow | MOCK_ACCESS_RW_WRITE);
	}
	memset(w->tmp, ~w->mark, len);
	rc = access_rw(fd, w->access[i], iova, w->tmp, len, slow);
	for (unsigned int k = 0; !rc && k < len; k++) {
		if (w->tmp[k] == w->mark)
			continue;
		snprintf(w->msg, sizeof(w->msg),
			 "read %#x at %#llx, not %#x", w->tmp[k], iova + k,
			 w->mark);
		return -1;
	}
	return rc;
}

static int do_access_replace(struct worker *w)
{
	unsigned int i = pick(w, 4);

	if (w->access[i] < 0)
		return 0;
	return access_replace(w->sh->fd[w->access_ctx[i]], w->access[i],
			      any_ioas(w));
}

static int do_queries(struct worker *w)
{
	struct iommu_iova_range r[4];
	__u32 num = 4;
	__u64 val;

	ioas_ranges(any_fd(w), any_ioas(w), r, &num, NULL);
	option_get(any_fd(w), IOMMU_OPTION_HUGE_PAGES, any_ioas(w), &val);
	option_set(any_fd(w), IOMMU_OPTION_HUGE_PAGES, any_ioas(w),
		   pick(w, 2));
	return ioas_change_process(any_fd(w));
}

static int do_dirty(struct worker *w)
{
	__u8 map[16];
	int fd = any_fd(w);
	__u32 id = an_id(w, HWPT);

	if (pick(w, 2))
		return hwpt_set_dirty(fd, id, pick(w, 2));
	return hwpt_get_dirty(fd, id, pick(w, 2), any_iova(w),
			      (1 + pick(w, NR)) * page_size, page_size, map);
}

static int dirty_log(struct worker *w, int fd)
{
	__u64 bits[2] = {};
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} cmd = {
		.dirty = { .argsz = sizeof(cmd), .flags = 1 << pick(w, 3) },
		.get = {
			.iova = BASE + w->nr * SLICE,
			.size = 2 * NR * page_size,
			.bitmap = {
				.pgsize = page_size,
				.size = sizeof(bits),
				.data = (void *)bits,
			},
		},
	};

	return iommu_cmd(fd, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

/* The container that each context is as well */
static int do_vfio(struct worker *w)
{
	unsigned int from = pick(w, NR);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)w->buf + from * page_size,
		.size = (1 + pick(w, NR - from)) * page_size,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.size = (1 + pick(w, NR)) * page_size,
	};
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct iommu_vfio_ioas ioas = {
		.size = sizeof(ioas),
		.op = IOMMU_VFIO_IOAS_SET,
	};
	int fd = any_fd(w);

	switch (pick(w, 8)) {
	case 0:
		ioas.ioas_id = any_ioas(w);
		return iommu_cmd(fd, IOMMU_VFIO_IOAS, &ioas);
	case 1:
		return iommu_cmd(fd, VFIO_IOMMU_GET_INFO, &info);
	case 2:
		return iommu_cmd(fd, VFIO_SET_IOMMU,
				 (void *)(pick(w, 8) ? VFIO_TYPE1v2_IOMMU :
						       VFIO_TYPE1_IOMMU));
	case 3:
		return dirty_log(w, fd);
	case 4 ... 5:
		unmap.iova = any_iova(w);
		return iommu_cmd(fd, VFIO_IOMMU_UNMAP_DMA, &unmap);
	default:
		map.iova = any_iova(w);
		return iommu_cmd(fd, VFIO_IOMMU_MAP_DMA, &map);
	}
}

static int do_limit(struct worker *w)
{
	static const __u32 limits[] = { 16, 32, 256, 65536 };

	return mock_memory_limit(any_fd(w), limits[pick(w, 4)]);
}

/* New pages at the old address; pinned ones are kept by who pinned them */
static int do_munmap(struct worker *w)
{
	unsigned int from = pick(w, NR);
	__u8 *at = w->buf + from * page_size;
	size_t len = (1 + pick(w, NR - from)) * page_size;

	/* Nothing there for a moment, and no room for anybody else's */
	if (pick(w, 2) &&
	    mmap(at, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) != at)
		return -1;
	if (mmap(at, len, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		return -1;
	madvise(at, len, MADV_NOHUGEPAGE);
	fill(w);
	return 0;
}

/* A process that uses the context and exits, or is killed in the middle */
static int do_fork(struct worker *w)
{
	bool die = pick(w, 2);
	pid_t pid;

	if (pick(w, 8))
		return 0;
	pid = fork();
	if (pid < 0)
		return 0;
	if (!pid) {
		do {
			do_map(w);
			do_copy(w);
			do_unmap_one(w);
		} while (die);
		_exit(0);
	}
	if (die) {
		usleep(pick(w, 20000));
		kill(pid, SIGKILL);
	}
	waitpid(pid, NULL, 0);
	return 0;
}

/* Close under the feet of all others */
static int do_reopen(struct worker *w)
{
	unsigned int c = pick(w, NCTX);
	int fd;

	if (pick(w, 64))
		return 0;
	fd = iommu_open();
	if (fd < 0)
		return errno;
	for (int i = 0; i < NIOAS; i++)
		ioas_alloc(fd, NULL);
	/* The number stays the same, so that nobody meets a foreign file */
	dup3(fd, w->sh->fd[c], O_CLOEXEC);
	close(fd);
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(struct worker *w);
	unsigned int weight;
} ops[] = {
	{ "map", do_map, 12 },
	{ "map_file", do_map_file, 6 },
	{ "truncate", do_truncate, 1 },
	{ "dmabuf", do_dmabuf, 4 },
	{ "allow", do_allow, 1 },
	{ "unmap", do_unmap, 3 },
	{ "unmap_one", do_unmap_one, 6 },
	{ "unmap_all", do_unmap_all, 1 },
	{ "copy", do_copy, 6 },
	{ "attach", do_attach, 3 },
	{ "replace", do_replace, 4 },
	{ "destroy", do_destroy, 6 },
	{ "ioas", do_ioas, 2 },
	{ "hwpt", do_hwpt, 3 },
	{ "nested", do_nested, 2 },
	{ "viommu", do_viommu, 3 },
	{ "pasid", do_pasid, 5 },
	{ "vfio", do_vfio, 6 },
	{ "vdevice", do_vdevice, 3 },
	{ "hw_queue", do_hw_queue, 2 },
	{ "events", do_events, 2 },
	{ "faults", do_faults, 2 },
	{ "access", do_access, 3 },
	{ "pin", do_pin, 6 },
	{ "rw", do_rw, 8 },
	{ "access_replace", do_access_replace, 2 },
	{ "queries", do_queries, 1 },
	{ "dirty", do_dirty, 2 },
	{ "limit", do_limit, 1 },
	{ "munmap", do_munmap, 2 },
	{ "fork", do_fork, 1 },
	{ "reopen", do_reopen, 2 },
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
	case EPERM:
	case EACCES:	/* a dirty log of type 1 */
	case EFAULT:
	case EOPNOTSUPP:
	case EIO:	/* a queue without its predecessor */
	case ENODEV:	/* no IOPF, a revoked dma-buf, no container */
	case ENOMEM:
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
		if (rc >= 0 && !makes_sense(rc))
			snprintf(w->msg, sizeof(w->msg), "%s: %s", ops[i].name,
				 strerror(rc));
		if (now() - start > LONG_CALL)
			snprintf(w->msg, sizeof(w->msg), "%s took %ld s",
				 ops[i].name, (long)(now() - start));
		if (w->msg[0]) {
			w->sh->failed = true;
			break;
		}
	}
	for (int i = 0; i < 4; i++)
		if (w->access[i] >= 0)
			close(w->access[i]);
	return NULL;
}

static unsigned int env_num(const char *name, unsigned int def)
{
	const char *val = getenv(name);

	return val ? strtoul(val, NULL, 0) : def;
}

TEST(everything)
{
	unsigned int seconds = env_num("TEST_SECONDS", 10);
	unsigned int threads = env_num("TEST_THREADS", 6);
	static struct worker w[MAX_THREADS];
	static struct shared sh;
	__u64 seed = rnd_seed();
	int fd;

	OPEN_MOCK_OR_SKIP(fd);
	close(fd);
	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	TH_LOG("TEST_SEED=%llu TEST_SECONDS=%u TEST_THREADS=%u", seed, seconds,
	       threads);
	for (int c = 0; c < NCTX; c++) {
		sh.fd[c] = iommu_open();
		ASSERT_LE(0, sh.fd[c]);
		for (int i = 0; i < NIOAS; i++)
			ASSERT_EQ(0, ioas_alloc(sh.fd[c], NULL));
	}
	sh.end = now() + seconds;
	for (unsigned int t = 0; t < threads; t++) {
		w[t].sh = &sh;
		w[t].nr = t;
		w[t].seed = seed + t * 0x9e3779b97f4a7c15ULL;
		w[t].mark = 0x41 + t;
		w[t].buf = buf_alloc(NR * PAGE);
		ASSERT_NE(NULL, w[t].buf);
		fill(&w[t]);
		w[t].file = memfd_of(NR * PAGE, 0);
		ASSERT_LE(0, w[t].file);
		ASSERT_EQ(0, fill_file(&w[t]));
		w[t].dmabuf = mock_dmabuf_get(sh.fd[0], 4 * PAGE);
		for (int i = 0; i < 4; i++)
			w[t].access[i] = -1;
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
	EXPECT_EQ(0, mock_memory_limit(sh.fd[0], 65536));
	for (int c = 0; c < NCTX; c++)
		EXPECT_EQ(0, close(sh.fd[c]));
	for (unsigned int t = 0; t < threads; t++) {
		EXPECT_EQ(0, check_unpinned(w[t].buf, NR * PAGE));
		close(w[t].file);
		close(w[t].dmabuf);
	}
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, vm_lck(0));
}

/*
 * A dma-buf taken back and given again, against everybody who walks the page
 * tables that it is in. Large enough that whole tables come and go with it.
 */
#define BUF_LEN (2ULL << 20)
/* Not aligned as the memory is, so that it takes small IOPTEs, and tables */
#define BUF_IOVA (BASE + PAGE)

struct revoker {
	int fd, buf;
	__u32 ioas, idev, hwpt;
	time_t end;
	unsigned long rounds[4];
	int rc[4];
};

static void *take_back(void *arg)
{
	struct revoker *r = arg;

	for (; now() < r->end && !r->rc[0]; r->rounds[0]++) {
		r->rc[0] = mock_dmabuf_revoke(r->fd, r->buf, true);
		if (!r->rc[0])
			r->rc[0] = mock_dmabuf_revoke(r->fd, r->buf, false);
		if (r->rounds[0] % 4 == 0)
			sched_yield();
	}
	return NULL;
}

static void *map_again(void *arg)
{
	struct revoker *r = arg;

	for (; now() < r->end && !r->rc[1]; r->rounds[1]++) {
		__u64 iova = BUF_IOVA;
		int rc = ioas_map_file(r->fd, r->ioas, r->buf, 0, BUF_LEN,
				       MAP_FIX_RW, &iova);

		if (rc == ENODEV)
			continue;
		if (!rc)
			rc = ioas_unmap(r->fd, r->ioas, BUF_IOVA, BUF_LEN, NULL);
		r->rc[1] = rc;
	}
	return NULL;
}

static void *read_dirty(void *arg)
{
	struct revoker *r = arg;
	static __u8 map[BUF_LEN / MOCK_PAGE_SIZE / 8];

	for (; now() < r->end && !r->rc[2]; r->rounds[2]++) {
		r->rc[2] = hwpt_get_dirty(r->fd, r->hwpt, 0, BUF_IOVA, BUF_LEN,
					  MOCK_PAGE_SIZE, map);
		/* A hole, if that is said */
		if (r->rc[2] == ENOENT)
			r->rc[2] = 0;
	}
	return NULL;
}

static void *more_tables(void *arg)
{
	struct revoker *r = arg;
	__u32 hwpt;

	for (; now() < r->end && !r->rc[3]; r->rounds[3]++) {
		r->rc[3] = hwpt_alloc(r->fd, r->idev, r->ioas, 0, &hwpt);
		if (!r->rc[3])
			r->rc[3] = iommu_destroy(r->fd, hwpt);
	}
	return NULL;
}

TEST(dmabuf_revocation)
{
	void *(*fns[])(void *) = { take_back, map_again, read_dirty, more_tables };
	pthread_t threads[ARRAY_LEN(fns)];
	struct revoker r = {};
	struct mock_dev dev;
	__u32 other;

	OPEN_MOCK_OR_SKIP(r.fd);
	ASSERT_EQ(0, ioas_alloc(r.fd, &other));
	ASSERT_EQ(0, ioas_alloc(r.fd, &r.ioas));
	ASSERT_EQ(0, mock_attach(r.fd, other, 0, &dev));
	r.idev = dev.idev;
	ASSERT_EQ(0, hwpt_alloc(r.fd, r.idev, r.ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &r.hwpt));
	ASSERT_EQ(0, hwpt_set_dirty(r.fd, r.hwpt, true));
	r.buf = mock_dmabuf_get(r.fd, BUF_LEN);
	if (r.buf < 0)
		SKIP(return, "%llu contiguous bytes needed: %s",
		     BUF_LEN, strerror(errno));
	r.end = now() + env_num("TEST_SECONDS", 10) / 3;
	for (unsigned int i = 0; i < ARRAY_LEN(fns); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, fns[i], &r));
	for (unsigned int i = 0; i < ARRAY_LEN(fns); i++) {
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_EQ(0, r.rc[i])
			TH_LOG("thread %u after %lu rounds", i, r.rounds[i]);
	}
	TH_LOG("%lu revocations, %lu mappings, %lu bitmaps, %lu page tables",
	       r.rounds[0], r.rounds[1], r.rounds[2], r.rounds[3]);
	EXPECT_EQ(0, close(r.fd));
	EXPECT_EQ(0, close(r.buf));
}

int main(int argc, char **argv)
{
	for (struct __test_metadata *t = __fixture_list->tests; t; t = t->next)
		t->timeout = env_num("TEST_SECONDS", 10) + 90;
	return test_harness_run(argc, argv);
}
