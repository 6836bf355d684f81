// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything at once, for some seconds: threads map memory, files and dma-bufs,
 * unmap, copy, attach, replace and detach devices and PASIDs, pin, read, write,
 * fork, munmap, truncate, revoke and close against each other in shared contexts,
 * which are VFIO containers at the same time, choosing IDs at random.
 *
 * Each thread has a slice of IOVA where only it maps, and only memory filled
 * with its mark. So whatever it reads there through an access is its mark, or
 * the call fails. No call may take long or give an answer that makes no sense,
 * and each kind of call has to succeed sometimes. Afterwards nothing is pinned
 * or charged.
 *
 *	TEST_SECONDS	how long (10), or until everything has succeeded once
 *	TEST_THREADS	how many threads (6)
 *	TEST_SEED	to choose alike again; races will not repeat
 */
#include <linux/capability.h>
#include <linux/memfd.h>
#include <linux/vfio.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "stress.h"

#define BASE ((__u64)MOCK_APERTURE_START)
#define SLICE (1ULL << 24)
#define NR 64
#define NCTX 2
#define NIOAS 3
#define MAX_ID 48
#define MAX_THREADS 32

/* IDs lately made, whether or not they still are */
enum kind { STDEV, IDEV, HWPT, PASID, PARENT, VIOMMU, NESTED, VDEVICE, NKINDS };

#define PER_KIND 4

struct shared {
	struct stress stress;
	int fd[NCTX];
	/* Both IDs of a device are in the same place of their kinds */
	__u32 ids[NCTX][NKINDS][PER_KIND];
};

struct worker {
	pthread_t thread;
	struct shared *sh;
	unsigned int nr, ctx;
	__u64 seed;
	__u8 mark;
	__u8 *buf;
	int file, dmabuf;
	int access[4];		/* -1: none */
	int access_ctx[4];
	__u8 tmp[8192];
};

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

/* Most often what is there, in the context of any_fd() */
static __u32 id_at(struct worker *w, enum kind what, unsigned int at)
{
	__u32 id = w->sh->ids[w->ctx][what][at];

	return id && pick(w, 8) ? id : any_id(w);
}

static __u32 an_id(struct worker *w, enum kind what)
{
	return id_at(w, what, pick(w, PER_KIND));
}

/* Something to attach to */
static __u32 any_pt(struct worker *w)
{
	static const enum kind kinds[] = { HWPT, PASID, PARENT, NESTED };

	return pick(w, 4) ? an_id(w, kinds[pick(w, 4)]) : any_ioas(w);
}

/* That most likely goes with PASIDs */
static __u32 any_pasid_pt(struct worker *w)
{
	static const enum kind kinds[] = { PASID, PARENT, NESTED };

	return an_id(w, kinds[pick(w, 3)]);
}

/* No more than IDs that can be met by chance */
static void keep_id(struct worker *w, enum kind what, __u32 id)
{
	if (id > MAX_ID)
		iommu_destroy(w->sh->fd[w->ctx], id);
	else
		w->sh->ids[w->ctx][what][pick(w, PER_KIND)] = id;
}

static void keep_device(struct worker *w, const struct mock_dev *dev)
{
	unsigned int at = pick(w, PER_KIND);

	if (dev->stdev > MAX_ID || dev->idev > MAX_ID) {
		iommu_destroy(w->sh->fd[w->ctx], dev->stdev);
		return;
	}
	w->sh->ids[w->ctx][STDEV][at] = dev->stdev;
	w->sh->ids[w->ctx][IDEV][at] = dev->idev;
}

static struct mock_dev a_device(struct worker *w)
{
	unsigned int at = pick(w, PER_KIND);

	return (struct mock_dev){
		.stdev = id_at(w, STDEV, at),
		.idev = id_at(w, IDEV, at),
	};
}

static __u64 any_iova(struct worker *w)
{
	return BASE + w->nr * SLICE + pick(w, 2 * NR) * page_size;
}

static void fill(struct worker *w)
{
	memset(w->buf, w->mark, NR * page_size);
}

/* The file of the worker, from nothing; 0 or an errno */
static int fill_file(struct worker *w)
{
	__u8 page[4096];

	memset(page, w->mark, sizeof(page));
	if (ftruncate(w->file, 0))
		return errno;
	for (size_t at = 0; at < NR * page_size; at += sizeof(page))
		if (pwrite(w->file, page, sizeof(page), at) != sizeof(page))
			return errno ?: ENOSPC;
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
	__u64 iova = any_iova(w);

	return ioas_map_file(any_fd(w), any_ioas(w), w->dmabuf, 0,
			     4 * page_size, MAP_FIX_RW, &iova);
}

static int do_revoke(struct worker *w)
{
	return mock_dmabuf_revoke(any_fd(w), w->dmabuf, pick(w, 2));
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
	return ioas_unmap_all(any_fd(w), any_ioas(w), NULL);
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
	int rc = mock_attach(fd, pick(w, 2) ? any_ioas(w) : any_pt(w),
			     pick(w, 4) ? MOCK_FLAGS_DEVICE_PASID : 0, &dev);

	if (!rc)
		keep_device(w, &dev);
	return rc;
}

static int do_replace(struct worker *w)
{
	int fd = any_fd(w);
	__u32 pt = any_pt(w);

	return mock_replace(fd, an_id(w, STDEV), &pt);
}

static int do_destroy(struct worker *w)
{
	int fd = any_fd(w), rc;
	__u32 *kept = &w->sh->ids[w->ctx][pick(w, NKINDS)][pick(w, PER_KIND)];
	__u32 id = pick(w, 2) ? any_id(w) : *kept;

	/* IOAS are needed more than they are in the way */
	if (!id || (id <= NIOAS && pick(w, 8)))
		return NOT_NOW;
	rc = iommu_destroy(fd, id);
	/* It is left there now and then, for others to meet what has gone */
	if (!rc && *kept == id && pick(w, 4))
		*kept = 0;
	return rc;
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

static int alloc_hwpt(struct worker *w, enum kind what, __u32 flags)
{
	int fd = any_fd(w);
	__u32 id;
	int rc = hwpt_alloc(fd, an_id(w, IDEV), any_ioas(w), flags, &id);

	if (!rc)
		keep_id(w, what, id);
	return rc;
}

static int do_hwpt(struct worker *w)
{
	return alloc_hwpt(w, HWPT, 0);
}

static int do_hwpt_dirty(struct worker *w)
{
	return alloc_hwpt(w, HWPT, IOMMU_HWPT_ALLOC_DIRTY_TRACKING);
}

static int do_hwpt_pasid(struct worker *w)
{
	return alloc_hwpt(w, PASID, IOMMU_HWPT_ALLOC_PASID);
}

static int do_hwpt_parent(struct worker *w)
{
	return alloc_hwpt(w, PARENT, IOMMU_HWPT_ALLOC_NEST_PARENT |
				     IOMMU_HWPT_ALLOC_PASID);
}

static int alloc_nested(struct worker *w, enum kind below)
{
	int fd = any_fd(w);
	__u32 id;
	int rc = hwpt_alloc_nested(fd, an_id(w, IDEV), an_id(w, below),
				   pick(w, 4) ? IOMMU_HWPT_ALLOC_PASID : 0, 0,
				   0, &id);

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

static int do_viommu(struct worker *w)
{
	int fd = any_fd(w);
	__u32 id;
	int rc = viommu_alloc(fd, an_id(w, IDEV), an_id(w, PARENT),
			      IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0, &id);

	if (!rc)
		keep_id(w, VIOMMU, id);
	return rc;
}

/* With memory to map, which keeps the vIOMMU for that time */
static int do_viommu_region(struct worker *w)
{
	struct iommu_viommu_selftest data = { .in_data = w->mark };
	int fd = any_fd(w);
	__u32 id, *va;
	int rc = viommu_alloc(fd, an_id(w, IDEV), an_id(w, PARENT),
			      IOMMU_VIOMMU_TYPE_SELFTEST, &data, sizeof(data),
			      &id);

	if (rc)
		return rc;
	keep_id(w, VIOMMU, id);
	va = mmap(NULL, data.out_mmap_length, PROT_READ, MAP_SHARED, fd,
		  data.out_mmap_offset);
	/* Gone already, and perhaps somebody else's by now */
	if (va == MAP_FAILED)
		return NOT_NOW;
	if (!*va)
		stress_fail(&w->sh->stress, "a region of zeroes");
	munmap(va, data.out_mmap_length);
	return 0;
}

static __u32 any_pasid(struct worker *w)
{
	return 1 + pick(w, 3);
}

/* The RID may have to move first to where it goes with PASIDs */
static int do_pasid_attach(struct worker *w)
{
	int fd = any_fd(w);
	__u32 stdev = an_id(w, STDEV), pt = any_pasid_pt(w);

	mock_replace(fd, stdev, &(__u32){ pt });
	return mock_pasid_attach(fd, stdev, any_pasid(w), &pt);
}

/* What may not be attached yet */
static int do_pasid_replace(struct worker *w)
{
	int fd = any_fd(w);
	__u32 stdev = an_id(w, STDEV), pasid = any_pasid(w);
	__u32 pt = any_pasid_pt(w);

	mock_replace(fd, stdev, &(__u32){ pt });
	mock_pasid_attach(fd, stdev, pasid, &(__u32){ pt });
	pt = any_pasid_pt(w);
	return mock_pasid_replace(fd, stdev, pasid, &pt);
}

static int do_pasid_detach(struct worker *w)
{
	int fd = any_fd(w);

	return mock_pasid_detach(fd, an_id(w, STDEV), any_pasid(w));
}

static int do_vdevice(struct worker *w)
{
	int fd = any_fd(w);
	__u32 id;
	int rc = vdevice_alloc(fd, an_id(w, VIOMMU), an_id(w, IDEV),
			       pick(w, 8), &id);

	if (!rc)
		keep_id(w, VDEVICE, id);
	return rc;
}

static int do_hw_queue(struct worker *w)
{
	__u64 iova = any_iova(w);
	int fd = any_fd(w), rc;
	__u32 id;

	for (__u32 ioas = 1; ioas <= NIOAS; ioas++)
		ioas_map_at(fd, ioas, w->buf, page_size, iova);
	rc = hw_queue_alloc(fd, an_id(w, VIOMMU), IOMMU_HW_QUEUE_TYPE_SELFTEST,
			    pick(w, 2), iova, page_size, &id);
	/* Or it would hold against the unmaps of others for good */
	if (!rc)
		iommu_destroy(fd, id);
	return rc;
}

/* A device on a nested page table of the vIOMMU, and what it reports there */
static int report_event(struct worker *w, int fd, __u32 viommu, int q)
{
	struct mock_dev dev = a_device(w);
	__u8 buf[256];
	ssize_t len;
	__u32 hwpt;
	int rc;

	/* It may be there already */
	if (!vdevice_alloc(fd, viommu, dev.idev, 1 + pick(w, 7), &hwpt))
		keep_id(w, VDEVICE, hwpt);
	rc = hwpt_alloc_nested(fd, dev.idev, viommu, 0, 0, 0, &hwpt);
	if (rc)
		return rc;
	rc = mock_replace(fd, dev.stdev, &(__u32){ hwpt });
	if (!rc)
		rc = mock_vevent(fd, dev.idev);
	if (!rc) {
		len = read(q, buf, sizeof(buf));
		if (len <= 0)
			rc = len ? errno : NOT_NOW;
	}
	mock_replace(fd, dev.stdev, &(__u32){ any_ioas(w) });
	iommu_destroy(fd, hwpt);
	return rc;
}

static int do_events(struct worker *w)
{
	int fd = any_fd(w), q, rc;
	__u32 viommu = an_id(w, VIOMMU), id;

	rc = veventq_alloc(fd, viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 4, &id, &q);
	if (rc)
		return rc;
	rc = report_event(w, fd, viommu, q);
	close(q);
	iommu_destroy(fd, id);
	return rc;
}

/* Have page faults reported, some of which are answered */
static int report_faults(struct worker *w, int fd, __u32 fault, int q)
{
	struct mock_dev dev = a_device(w);
	struct iommu_hwpt_page_response r = {};
	struct iommu_hwpt_pgfault f[4];
	__u32 hwpt;
	int rc;

	rc = hwpt_alloc_nested(fd, dev.idev, an_id(w, PARENT),
			       IOMMU_HWPT_FAULT_ID_VALID, fault, 0, &hwpt);
	if (rc)
		return rc;
	rc = mock_replace(fd, dev.stdev, &(__u32){ hwpt });
	for (__u32 group = 1; !rc && group <= 2; group++)
		rc = mock_iopf(fd, dev.idev, 0, group, 1, 0x1000);
	if (!rc) {
		rc = NOT_NOW;
		if (read(q, f, sizeof(f)) > 0) {
			r.cookie = f[0].cookie;
			/* Expired, if the device is elsewhere by now */
			rc = write(q, &r, sizeof(r)) < 0 ? errno : 0;
		}
	}
	mock_replace(fd, dev.stdev, &(__u32){ any_ioas(w) });
	iommu_destroy(fd, hwpt);
	return rc;
}

static int do_faults(struct worker *w)
{
	int fd = any_fd(w), q, rc;
	__u32 id;

	rc = fault_alloc(fd, &id, &q);
	if (rc)
		return rc;
	rc = report_faults(w, fd, id, q);
	close(q);
	iommu_destroy(fd, id);
	return rc;
}

static int do_access(struct worker *w)
{
	unsigned int i = pick(w, 4), c = pick(w, NCTX);

	if (w->access[i] >= 0)
		return NOT_NOW;
	w->access_ctx[i] = c;
	return access_create(w->sh->fd[c], any_ioas(w),
			     pick(w, 2) ? 0 :
			     MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
			     &w->access[i]);
}

static int do_access_close(struct worker *w)
{
	unsigned int i = pick(w, 4);
	int rc;

	if (w->access[i] < 0)
		return NOT_NOW;
	rc = close(w->access[i]) ? errno : 0;
	w->access[i] = -1;
	return rc;
}

static int do_pin(struct worker *w)
{
	unsigned int i = pick(w, 4);
	int fd = w->sh->fd[w->access_ctx[i]];
	__u32 item;
	int rc;

	if (w->access[i] < 0)
		return NOT_NOW;
	rc = access_pin(fd, w->access[i], any_iova(w),
			(1 + pick(w, 8)) * page_size, NULL, pick(w, 2), &item);
	/* Some are left to the unmap callback */
	if (!rc && pick(w, 3))
		rc = access_unpin(fd, w->access[i], item);
	return rc;
}

static __u32 any_path(struct worker *w)
{
	return pick(w, 2) ? MOCK_ACCESS_RW_SLOW_PATH : 0;
}

static int do_write(struct worker *w)
{
	unsigned int i = pick(w, 4), len = 1 + pick(w, sizeof(w->tmp) - 1);
	__u64 iova = any_iova(w) + pick(w, page_size);

	if (w->access[i] < 0)
		return NOT_NOW;
	memset(w->tmp, w->mark, len);
	return access_rw(w->sh->fd[w->access_ctx[i]], w->access[i], iova,
			 w->tmp, len, any_path(w) | MOCK_ACCESS_RW_WRITE);
}

static int do_read(struct worker *w)
{
	unsigned int i = pick(w, 4), len = 1 + pick(w, sizeof(w->tmp) - 1);
	__u64 iova = any_iova(w) + pick(w, page_size);
	int rc;

	if (w->access[i] < 0)
		return NOT_NOW;
	memset(w->tmp, ~w->mark, len);
	rc = access_rw(w->sh->fd[w->access_ctx[i]], w->access[i], iova,
		       w->tmp, len, any_path(w));
	for (unsigned int k = 0; !rc && k < len; k++) {
		if (w->tmp[k] == w->mark)
			continue;
		stress_fail(&w->sh->stress, "read %#x at %#llx, not %#x",
			    w->tmp[k], iova + k, w->mark);
		break;
	}
	return rc;
}

static int do_access_replace(struct worker *w)
{
	unsigned int i = pick(w, 4);

	if (w->access[i] < 0)
		return NOT_NOW;
	return access_replace(w->sh->fd[w->access_ctx[i]], w->access[i],
			      any_ioas(w));
}

static int do_ranges(struct worker *w)
{
	struct iommu_iova_range r[4];
	__u32 num = 4;

	return ioas_ranges(any_fd(w), any_ioas(w), r, &num, NULL);
}

static int do_option_get(struct worker *w)
{
	__u64 val;

	return option_get(any_fd(w), IOMMU_OPTION_HUGE_PAGES, any_ioas(w),
			  &val);
}

static int do_option_set(struct worker *w)
{
	return option_set(any_fd(w), IOMMU_OPTION_HUGE_PAGES, any_ioas(w),
			  pick(w, 2));
}

/* What is not of a file is in the way */
static int do_change_process(struct worker *w)
{
	int fd = any_fd(w);

	for (__u32 ioas = 1; ioas <= NIOAS; ioas++)
		ioas_unmap_all(fd, ioas, NULL);
	return ioas_change_process(fd);
}

static int do_dirty_set(struct worker *w)
{
	int fd = any_fd(w);

	return hwpt_set_dirty(fd, an_id(w, HWPT), pick(w, 2));
}

static int do_dirty_get(struct worker *w)
{
	int fd = any_fd(w);
	__u8 map[16];

	return hwpt_get_dirty(fd, an_id(w, HWPT), pick(w, 2), any_iova(w),
			      (1 + pick(w, NR)) * page_size, page_size, map);
}

/* The container that each context is as well */
static int do_vfio_ioas(struct worker *w)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_VFIO_IOAS_SET,
		.ioas_id = any_ioas(w),
	};

	return iommu_cmd(any_fd(w), IOMMU_VFIO_IOAS, &cmd);
}

static int do_vfio_info(struct worker *w)
{
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

	return iommu_cmd(any_fd(w), VFIO_IOMMU_GET_INFO, &info);
}

static int do_vfio_type(struct worker *w)
{
	unsigned long type = pick(w, 8) ? VFIO_TYPE1v2_IOMMU :
					  VFIO_TYPE1_IOMMU;

	return iommu_cmd(any_fd(w), VFIO_SET_IOMMU, (void *)type);
}

static int do_vfio_unmap(struct worker *w)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = any_iova(w),
		.size = (1 + pick(w, NR)) * page_size,
	};

	return iommu_cmd(any_fd(w), VFIO_IOMMU_UNMAP_DMA, &unmap);
}

static int do_vfio_map(struct worker *w)
{
	unsigned int from = pick(w, NR);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)w->buf + from * page_size,
		.iova = any_iova(w),
		.size = (1 + pick(w, NR - from)) * page_size,
	};

	return iommu_cmd(any_fd(w), VFIO_IOMMU_MAP_DMA, &map);
}

static int vfio_dirty(struct worker *w, __u32 flags)
{
	__u64 bits[2] = {};
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} cmd = {
		.dirty = { .argsz = sizeof(cmd), .flags = flags },
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

	return iommu_cmd(any_fd(w), VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static int do_vfio_dirty_start(struct worker *w)
{
	return vfio_dirty(w, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
}

static int do_vfio_dirty_stop(struct worker *w)
{
	return vfio_dirty(w, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
}

static int do_vfio_dirty_get(struct worker *w)
{
	return vfio_dirty(w, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP);
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
		return errno;
	if (mmap(at, len, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != at)
		return errno;
	madvise(at, len, MADV_NOHUGEPAGE);
	fill(w);
	return 0;
}

/* A process that uses the context; its exit status is an errno, or 0 */
static pid_t fork_user(struct worker *w, bool forever)
{
	static int (*const ops[])(struct worker *w) = {
		do_map, do_copy, do_unmap_one,
	};
	pid_t pid = fork();

	if (pid)
		return pid;
	do {
		for (unsigned int i = 0; i < ARRAY_LEN(ops); i++) {
			int rc = ops[i](w);

			if (!makes_sense(&w->sh->stress, rc))
				_exit(rc);
		}
	} while (forever);
	_exit(0);
}

static int do_fork(struct worker *w)
{
	int status;
	pid_t pid = fork_user(w, false);

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return errno;
	if (!WIFEXITED(status))
		stress_fail(&w->sh->stress, "a child ends with %#x", status);
	return WEXITSTATUS(status);
}

/* Not a process that ends, but one that is killed in the middle */
static int do_fork_kill(struct worker *w)
{
	int status;
	pid_t pid = fork_user(w, true);

	if (pid < 0)
		return errno;
	usleep(pick(w, 20000));
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		return errno;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

/* Close under the feet of all others */
static int do_reopen(struct worker *w)
{
	unsigned int c = pick(w, NCTX);
	int fd, rc = 0;

	fd = iommu_open();
	if (fd < 0)
		return errno;
	for (int i = 0; !rc && i < NIOAS; i++)
		rc = ioas_alloc(fd, NULL);
	/* The number stays the same, so that nobody meets a foreign file */
	if (!rc && dup3(fd, w->sh->fd[c], O_CLOEXEC) < 0)
		rc = errno;
	if (!rc)
		memset(w->sh->ids[c], 0, sizeof(w->sh->ids[c]));
	close(fd);
	return rc;
}

static const struct op ops[] = {
	{ "map", do_map, 768 },
	{ "map_file", do_map_file, 384 },
	{ "truncate", do_truncate, 64 },
	{ "dmabuf", do_dmabuf, 192 },
	{ "revoke", do_revoke, 64 },
	{ "allow", do_allow, 64 },
	{ "unmap", do_unmap, 192 },
	{ "unmap_one", do_unmap_one, 384 },
	{ "unmap_all", do_unmap_all, 16 },
	{ "copy", do_copy, 384 },
	{ "attach", do_attach, 192 },
	{ "replace", do_replace, 256 },
	{ "destroy", do_destroy, 384 },
	{ "ioas", do_ioas, 128 },
	{ "hwpt", do_hwpt, 48 },
	{ "hwpt_dirty", do_hwpt_dirty, 48 },
	{ "hwpt_pasid", do_hwpt_pasid, 48 },
	{ "hwpt_parent", do_hwpt_parent, 48 },
	{ "nested", do_nested, 64 },
	{ "nested_viommu", do_nested_viommu, 64 },
	{ "viommu", do_viommu, 96 },
	{ "viommu_region", do_viommu_region, 96 },
	{ "pasid_attach", do_pasid_attach, 107 },
	{ "pasid_replace", do_pasid_replace, 107 },
	{ "pasid_detach", do_pasid_detach, 107 },
	{ "vfio_ioas", do_vfio_ioas, 48 },
	{ "vfio_info", do_vfio_info, 48 },
	{ "vfio_type", do_vfio_type, 48 },
	{ "vfio_map", do_vfio_map, 96 },
	{ "vfio_unmap", do_vfio_unmap, 96 },
	{ "vfio_dirty_start", do_vfio_dirty_start, 32 },
	{ "vfio_dirty_stop", do_vfio_dirty_stop, 32 },
	{ "vfio_dirty_get", do_vfio_dirty_get, 32 },
	{ "vdevice", do_vdevice, 192 },
	{ "hw_queue", do_hw_queue, 128 },
	{ "events", do_events, 128 },
	{ "faults", do_faults, 128 },
	{ "access", do_access, 128 },
	{ "access_close", do_access_close, 64 },
	{ "pin", do_pin, 384 },
	{ "read", do_read, 256 },
	{ "write", do_write, 256 },
	{ "access_replace", do_access_replace, 128 },
	{ "ranges", do_ranges, 64 },
	{ "option_get", do_option_get, 64 },
	{ "option_set", do_option_set, 64 },
	{ "change_process", do_change_process, 32 },
	{ "dirty_set", do_dirty_set, 96 },
	{ "dirty_get", do_dirty_get, 96 },
	{ "limit", do_limit, 64 },
	{ "munmap", do_munmap, 128 },
	{ "fork", do_fork, 8 },
	{ "fork_kill", do_fork_kill, 8 },
	{ "reopen", do_reopen, 3 },
};

static const int errnos[] = {
	ENOENT, EEXIST, EBUSY, EINVAL, EPERM, EOPNOTSUPP,
	EACCES,		/* a dirty log of type 1 */
	EFAULT,		/* memory to pin or to read, amid munmap */
	EIO,		/* a queue without its predecessor */
	ENODEV,		/* a revoked dma-buf, or no container after reopen */
};

static void *work(void *arg)
{
	struct worker *w = arg;

	stress_run(&w->sh->stress, w, &w->seed);
	for (int i = 0; i < 4; i++)
		if (w->access[i] >= 0)
			close(w->access[i]);
	return NULL;
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
	sh.stress.end = now() + seconds;
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
		ASSERT_LE(0, w[t].dmabuf);
		for (int i = 0; i < 4; i++)
			w[t].access[i] = -1;
	}
	for (unsigned int t = 0; t < threads; t++)
		ASSERT_EQ(0, pthread_create(&w[t].thread, NULL, work, &w[t]));
	for (unsigned int t = 0; t < threads; t++)
		ASSERT_EQ(0, pthread_join(w[t].thread, NULL));
	stress_report(_metadata, &sh.stress);
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

/* What the threads do, as places of done[] and rc[] */
enum { TAKE_BACK, MAP_AGAIN, READ_DIRTY, MORE_TABLES, NREVOKERS };

struct revoker {
	int fd, buf;
	__u32 ioas, idev, hwpt;
	time_t end;
	unsigned long done[NREVOKERS];
	int rc[NREVOKERS];
};

/* Until the time is over and everybody was there, or something went wrong */
static bool revoker_goes_on(struct revoker *r)
{
	time_t t = now();
	bool more = t < r->end;

	for (unsigned int i = 0; i < NREVOKERS; i++) {
		if (__atomic_load_n(&r->rc[i], __ATOMIC_RELAXED))
			return false;
		if (!__atomic_load_n(&r->done[i], __ATOMIC_RELAXED))
			more |= t < r->end + MORE_SECONDS;
	}
	return more;
}

static void revoker_count(struct revoker *r, unsigned int what, int rc)
{
	if (rc)
		__atomic_store_n(&r->rc[what], rc, __ATOMIC_RELAXED);
	else
		__atomic_add_fetch(&r->done[what], 1, __ATOMIC_RELAXED);
}

static void *take_back(void *arg)
{
	struct revoker *r = arg;

	while (revoker_goes_on(r)) {
		int rc = mock_dmabuf_revoke(r->fd, r->buf, true);

		if (!rc)
			rc = mock_dmabuf_revoke(r->fd, r->buf, false);
		revoker_count(r, TAKE_BACK, rc);
		if (r->done[TAKE_BACK] % 4 == 0)
			sched_yield();
	}
	return NULL;
}

static void *map_again(void *arg)
{
	struct revoker *r = arg;

	while (revoker_goes_on(r)) {
		__u64 iova = BUF_IOVA;
		int rc = ioas_map_file(r->fd, r->ioas, r->buf, 0, BUF_LEN,
				       MAP_FIX_RW, &iova);

		if (rc == ENODEV)
			continue;
		if (!rc)
			rc = ioas_unmap(r->fd, r->ioas, BUF_IOVA, BUF_LEN, NULL);
		revoker_count(r, MAP_AGAIN, rc);
	}
	return NULL;
}

static void *read_dirty(void *arg)
{
	static __u8 map[BUF_LEN / MOCK_PAGE_SIZE / 8];
	struct revoker *r = arg;

	while (revoker_goes_on(r))
		revoker_count(r, READ_DIRTY,
			      hwpt_get_dirty(r->fd, r->hwpt, 0, BUF_IOVA,
					     BUF_LEN, MOCK_PAGE_SIZE, map));
	return NULL;
}

static void *more_tables(void *arg)
{
	struct revoker *r = arg;
	__u32 hwpt;

	while (revoker_goes_on(r)) {
		int rc = hwpt_alloc(r->fd, r->idev, r->ioas, 0, &hwpt);

		if (!rc)
			rc = iommu_destroy(r->fd, hwpt);
		revoker_count(r, MORE_TABLES, rc);
	}
	return NULL;
}

TEST(dmabuf_revocation)
{
	void *(*fns[NREVOKERS])(void *) = {
		[TAKE_BACK] = take_back,
		[MAP_AGAIN] = map_again,
		[READ_DIRTY] = read_dirty,
		[MORE_TABLES] = more_tables,
	};
	pthread_t threads[NREVOKERS];
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
	for (unsigned int i = 0; i < NREVOKERS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, fns[i], &r));
	for (unsigned int i = 0; i < NREVOKERS; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	TH_LOG("%lu revocations, %lu mappings, %lu bitmaps, %lu page tables",
	       r.done[TAKE_BACK], r.done[MAP_AGAIN], r.done[READ_DIRTY],
	       r.done[MORE_TABLES]);
	for (unsigned int i = 0; i < NREVOKERS; i++) {
		EXPECT_EQ(0, r.rc[i])
			TH_LOG("thread %u after %lu rounds", i, r.done[i]);
		EXPECT_LT(0, r.done[i])
			TH_LOG("thread %u never succeeded", i);
	}
	EXPECT_EQ(0, close(r.fd));
	EXPECT_EQ(0, close(r.buf));
}

int main(int argc, char **argv)
{
	for (struct __test_metadata *t = __fixture_list->tests; t; t = t->next)
		t->timeout = env_num("TEST_SECONDS", 10) + MORE_SECONDS + 60;
	return test_harness_run(argc, argv);
}
