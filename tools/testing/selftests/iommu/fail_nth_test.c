// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walk of all injected failures. Each case prepares a context, then does one
 * thing with the nth possible failure armed, for n = 1, 2, ... until the thing
 * has fewer. After a failure the context has to be as before: nothing pinned
 * or charged more, no ID used up, and the same thing again without injection
 * does what a first attempt does.
 *
 * /proc/self/task/TID/fail-nth counts slab and page allocations and the places
 * that iommufd itself marks. Some walks are done a second time with no memory left
 * after the nth failure, as an xarray, among others, tries twice.
 */
#include <linux/memfd.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "fail_nth.h"
#include "vfio_utils.h"

#define NR 32
#define BASE ((__u64)MOCK_APERTURE_START)
#define MAX_NTH 2000
/* How often to walk, see walk() */
#define WALKS_MAX 8

struct ctx {
	int fd;
	__u32 ioas, ioas2, hwpt, nested, viommu;
	struct mock_dev dev;
	int access, file, dmabuf, q;
	void *bar_va;
	__u32 item;
	/* Outputs, 0 unless the thing was done */
	__u32 out;
	int out_fd;
	__u8 *buf;
	__u64 offset, length, bits;
};

/* A huge page, for those who need one */
static __u8 *large_buf;

/* @op returns 0 or errno; the others 0 or a line number */
struct walk {
	const char *name;
	unsigned int limit;		/* of scratch memory */
	int (*setup)(struct ctx *c);
	int (*op)(struct ctx *c);
	int (*check)(struct ctx *c);	/* after op succeeded */
	bool always;	/* fails for want of an object or its copy only */
	/*
	 * The number of places that iommufd itself marks, or 1 if there is none
	 * of those: as many at least make it fail. How many allocations do, too,
	 * differs from run to run with what the allocators have at hand. That
	 * also moves the places that follow, so that one may be passed over:
	 * where much is allocated it is less than that number. If the operation
	 * makes up for every failure, the least number of places. With neither
	 * of both it must not have any.
	 */
	unsigned int fails, places;
};

#define TRY(expr)                                                              \
	do {                                                                   \
		if (expr)                                                      \
			return __LINE__;                                       \
	} while (0)

/*
 * What is compared before and after a failure.
 */
struct state {
	long pinned, locked;
	__u32 next_id;
	unsigned int fds;
};

static int look(struct ctx *c, struct state *s)
{
	int fd = dup(c->fd);

	*s = (struct state){ .pinned = vm_pin(0), .locked = vm_lck(0) };
	if (fd < 0)
		return __LINE__;
	s->fds = fd;
	close(fd);
	TRY(ioas_alloc(c->fd, &s->next_id));
	TRY(iommu_destroy(c->fd, s->next_id));
	return 0;
}

/* Setups, each on top of another */
static int with_ioas(struct ctx *c)
{
	TRY(ioas_alloc(c->fd, &c->ioas));
	TRY(ioas_alloc(c->fd, &c->ioas2));
	return 0;
}

static int with_nothing(struct ctx *c)
{
	return c->fd < 0;
}

static int with_device(struct ctx *c)
{
	TRY(with_ioas(c));
	TRY(mock_attach(c->fd, c->ioas, MOCK_FLAGS_DEVICE_PASID, &c->dev));
	return 0;
}

static int with_two_domains(struct ctx *c)
{
	TRY(with_device(c));
	TRY(hwpt_alloc(c->fd, c->dev.idev, c->ioas, 0, &c->hwpt));
	return 0;
}

static int with_mapping(struct ctx *c)
{
	TRY(with_ioas(c));
	TRY(ioas_map_at(c->fd, c->ioas, c->buf, NR * PAGE, BASE));
	return 0;
}

static int with_small_mappings(struct ctx *c)
{
	TRY(with_ioas(c));
	/* Backwards in memory, so that nothing is contiguous */
	for (int i = 0; i < NR; i += 4)
		TRY(ioas_map_at(c->fd, c->ioas,
				c->buf + (NR - 4 - i) * PAGE, 4 * PAGE,
				BASE + i * PAGE));
	return 0;
}

static int with_mapped_domain(struct ctx *c)
{
	TRY(with_small_mappings(c));
	TRY(mock_attach(c->fd, c->ioas, MOCK_FLAGS_DEVICE_PASID, &c->dev));
	return 0;
}

static int with_pinner(struct ctx *c)
{
	TRY(with_small_mappings(c));
	TRY(access_create(c->fd, c->ioas,
			  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
			  &c->access));
	return 0;
}

static int with_pinner_and_domain(struct ctx *c)
{
	TRY(with_mapped_domain(c));
	TRY(access_create(c->fd, c->ioas,
			  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
			  &c->access));
	return 0;
}

static int with_pins(struct ctx *c)
{
	TRY(with_pinner(c));
	TRY(access_pin(c->fd, c->access, BASE + PAGE, (NR - 2) * PAGE, NULL,
		       0, &c->item));
	return 0;
}

static int with_memfd(struct ctx *c)
{
	TRY(with_device(c));
	c->file = memfd_of(NR * PAGE, 0);
	TRY(c->file < 0);
	return 0;
}

static int with_parent(struct ctx *c)
{
	TRY(with_mapped_domain(c));
	TRY(hwpt_alloc(c->fd, c->dev.idev, c->ioas,
		       IOMMU_HWPT_ALLOC_NEST_PARENT | IOMMU_HWPT_ALLOC_PASID,
		       &c->hwpt));
	return 0;
}

static int with_viommu(struct ctx *c)
{
	TRY(with_parent(c));
	TRY(viommu_alloc(c->fd, c->dev.idev, c->hwpt,
			 IOMMU_VIOMMU_TYPE_SELFTEST, NULL, 0, &c->viommu));
	return 0;
}

static int with_vdevice(struct ctx *c)
{
	TRY(with_viommu(c));
	TRY(hwpt_alloc_nested(c->fd, c->dev.idev, c->viommu, 0, 0, 0,
			      &c->nested));
	TRY(vdevice_alloc(c->fd, c->viommu, c->dev.idev, 9, NULL));
	return 0;
}

static int with_dirty_hwpt(struct ctx *c)
{
	TRY(with_mapped_domain(c));
	TRY(hwpt_alloc(c->fd, c->dev.idev, c->ioas,
		       IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &c->hwpt));
	return 0;
}

static int with_tracking(struct ctx *c)
{
	__u8 all[8] = { 0xff, 0xff, 0xff, 0xff };

	TRY(with_dirty_hwpt(c));
	TRY(hwpt_set_dirty(c->fd, c->hwpt, true));
	TRY(mock_dirty(c->fd, c->hwpt, BASE, NR * PAGE, PAGE, all, NULL));
	return 0;
}

static int with_fault_hwpt(struct ctx *c)
{
	__u32 id;
	int rc;

	TRY(with_parent(c));
	TRY(fault_alloc(c->fd, &id, &c->q));
	TRY(hwpt_alloc_nested(c->fd, c->dev.idev, c->hwpt,
			      IOMMU_HWPT_FAULT_ID_VALID, id, 0, &c->nested));
	rc = mock_replace(c->fd, c->dev.stdev, &(__u32){ c->nested });
	TRY(rc);
	TRY(mock_iopf(c->fd, c->dev.idev, 0, 1, 1, 0x1000));
	return 0;
}

static int with_dmabuf(struct ctx *c)
{
	TRY(with_device(c));
	c->dmabuf = mock_dmabuf_get(c->fd, 4 * PAGE);
	TRY(c->dmabuf <= 0);
	return 0;
}

/* The BAR stays mapped in the process */
static int with_bar(struct ctx *c)
{
	static void *va;

	TRY(with_ioas(c));
	TRY(mock_attach(c->fd, c->ioas, 0, &c->dev));
	if (!va) {
		int bar = bar_open(4 * PAGE);

		TRY(bar < 0);
		va = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			  bar, 0);
		close(bar);
		TRY(va == MAP_FAILED);
	}
	c->bar_va = va;
	return 0;
}

/* Parts of a file that belong to a process that is no more */
static int with_foreign_file(struct ctx *c)
{
	__u64 iova = BASE;
	int status;
	pid_t pid;

	TRY(with_memfd(c));
	pid = fork();
	TRY(pid < 0);
	if (!pid) {
		for (int i = 0; i < 4; i++, iova += PAGE)
			if (ioas_map_file(c->fd, c->ioas, c->file, i * PAGE,
					  PAGE, MAP_FIX_RW, &iova))
				_exit(1);
		_exit(0);
	}
	TRY(waitpid(pid, &status, 0) != pid);
	TRY(status);
	return 0;
}

static int with_mapped_dmabuf(struct ctx *c)
{
	__u64 iova = BASE;

	TRY(with_ioas(c));
	c->dmabuf = mock_dmabuf_get(c->fd, 4 * PAGE);
	TRY(c->dmabuf <= 0);
	TRY(ioas_map_file(c->fd, c->ioas, c->dmabuf, 0, 4 * PAGE, MAP_FIX_RW,
			  &iova));
	return 0;
}

/* A few pins of one mapping, with room between them */
static int with_pins_apart(struct ctx *c)
{
	TRY(with_mapping(c));
	TRY(access_create(c->fd, c->ioas,
			  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
			  &c->access));
	for (int page = 2; page < 16; page += 4)
		TRY(access_pin(c->fd, c->access, BASE + page * PAGE, PAGE,
			       NULL, 0, NULL));
	return 0;
}

static int with_moved_pinner(struct ctx *c)
{
	TRY(with_pins(c));
	TRY(access_pin(c->fd, c->access, BASE + 4 * PAGE, PAGE, NULL, 0,
		       NULL));
	return 0;
}

static int with_file_reader(struct ctx *c)
{
	__u64 iova = BASE;

	TRY(with_ioas(c));
	c->file = memfd_of(NR * PAGE, 0);
	TRY(c->file < 0);
	TRY(ioas_map_file(c->fd, c->ioas, c->file, 0, NR * PAGE, MAP_FIX_RW,
			  &iova));
	TRY(access_create(c->fd, c->ioas, 0, &c->access));
	return 0;
}

static int with_nested(struct ctx *c)
{
	TRY(with_parent(c));
	TRY(hwpt_alloc_nested(c->fd, c->dev.idev, c->hwpt,
			      IOMMU_HWPT_ALLOC_PASID, 0, 7, &c->nested));
	return 0;
}

static int with_pasid(struct ctx *c)
{
	TRY(with_nested(c));
	TRY(mock_replace(c->fd, c->dev.stdev, &(__u32){ c->hwpt }));
	TRY(mock_pasid_attach(c->fd, c->dev.stdev, 5, &(__u32){ c->hwpt }));
	return 0;
}

static int with_events(struct ctx *c)
{
	__u32 id;

	TRY(with_vdevice(c));
	TRY(mock_replace(c->fd, c->dev.stdev, &(__u32){ c->nested }));
	TRY(veventq_alloc(c->fd, c->viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 4,
			  &id, &c->q));
	return 0;
}

static int with_event(struct ctx *c)
{
	TRY(with_events(c));
	TRY(mock_vevent(c->fd, c->dev.idev));
	return 0;
}

static int with_viommu_region(struct ctx *c)
{
	struct iommu_viommu_selftest data = { .in_data = 1 };

	TRY(with_parent(c));
	TRY(viommu_alloc(c->fd, c->dev.idev, c->hwpt,
			 IOMMU_VIOMMU_TYPE_SELFTEST, &data, sizeof(data),
			 &c->viommu));
	c->offset = data.out_mmap_offset;
	c->length = data.out_mmap_length;
	return 0;
}

static int with_queue(struct ctx *c)
{
	TRY(with_viommu(c));
	TRY(hw_queue_alloc(c->fd, c->viommu, IOMMU_HW_QUEUE_TYPE_SELFTEST, 0,
			   BASE, PAGE, &c->out));
	return 0;
}

/* A VFIO container with a device on a page table that tracks writes */
static int with_container(struct ctx *c)
{
	TRY(with_ioas(c));
	TRY(container_ioas(c->fd, IOMMU_VFIO_IOAS_SET, &c->ioas));
	TRY(mock_attach(c->fd, c->ioas2, 0, &c->dev));
	TRY(hwpt_alloc(c->fd, c->dev.idev, c->ioas,
		       IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &c->hwpt));
	return 0;
}

static int dma_map(struct ctx *c)
{
	return container_map(c->fd, c->buf, BASE, NR * PAGE, DMA_RW);
}

static int dirty_pages(struct ctx *c, __u32 flags)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} cmd = {
		.dirty = { .argsz = sizeof(cmd), .flags = flags },
		.get = {
			.iova = BASE,
			.size = NR * PAGE,
			.bitmap = {
				.pgsize = PAGE,
				.size = sizeof(c->bits),
				.data = (void *)&c->bits,
			},
		},
	};

	return iommu_cmd(c->fd, VFIO_IOMMU_DIRTY_PAGES, &cmd);
}

static int with_container_mapping(struct ctx *c)
{
	TRY(with_container(c));
	TRY(dma_map(c));
	return 0;
}

/* Mapped by a process that is no more, and without an address */
static int with_invalid_vaddr(struct ctx *c)
{
	__u64 len = NR * PAGE;
	int status;
	pid_t pid;

	TRY(with_container(c));
	pid = fork();
	TRY(pid < 0);
	if (!pid)
		_exit(dma_map(c) ||
		      container_unmap_flags(c->fd, BASE, &len,
					    VFIO_DMA_UNMAP_FLAG_VADDR));
	TRY(waitpid(pid, &status, 0) != pid || status);
	return 0;
}

/* A group of two, both attached */
static int with_group(struct ctx *c)
{
	struct mock_config config = {};
	struct mock_dev dev;

	TRY(with_mapped_domain(c));
	config.sibling = c->dev.stdev;
	TRY(mock_device(c->fd, c->ioas, &config, &dev));
	return 0;
}

static int with_free_hwpt(struct ctx *c)
{
	TRY(with_mapped_domain(c));
	TRY(hwpt_alloc(c->fd, c->dev.idev, c->ioas, 0, &c->hwpt));
	return 0;
}

static int with_dirty_container(struct ctx *c)
{
	__u64 all = ~0ULL;

	TRY(with_container_mapping(c));
	TRY(dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	TRY(mock_dirty(c->fd, c->hwpt, BASE, NR * PAGE, PAGE, &all, NULL));
	return 0;
}

/* The dirty log runs, and has nothing yet */
static int with_logged_access(struct ctx *c)
{
	TRY(with_ioas(c));
	TRY(container_ioas(c->fd, IOMMU_VFIO_IOAS_SET, &c->ioas));
	TRY(dma_map(c));
	TRY(dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	TRY(access_create(c->fd, c->ioas, 0, &c->access));
	return 0;
}

/* Where the dirty log is read in two parts: they meet here */
#define PARTS_MEET 0x10000000000ULL
#define APART (PARTS_MEET - NR / 2 * PAGE)

/* The first part has a page that was written */
static int with_log_apart(struct ctx *c)
{
	__u8 byte = 1;

	TRY(with_ioas(c));
	TRY(container_ioas(c->fd, IOMMU_VFIO_IOAS_SET, &c->ioas));
	TRY(container_map(c->fd, c->buf, APART, NR * PAGE, DMA_RW));
	TRY(dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	TRY(access_create(c->fd, c->ioas, 0, &c->access));
	TRY(access_rw(c->fd, c->access, APART + PAGE, &byte, 1,
		      MOCK_ACCESS_RW_WRITE));
	return 0;
}

/* Type 1, where an unmap may cut */
static int with_type1(struct ctx *c)
{
	TRY(with_container(c));
	TRY(iommu_cmd(c->fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	TRY(dma_map(c));
	return 0;
}

/* The same with an IOPTE that has to be split, in each of two domains */
static int with_type1_large(struct ctx *c)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = BASE,
		.size = MOCK_HUGE_PAGE_SIZE,
	};

	TRY(with_container(c));
	TRY(hwpt_alloc_huge(c->fd, c->dev.idev, c->ioas, 0, &c->nested));
	TRY(iommu_cmd(c->fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU));
	if (!large_buf)
		large_buf = buf_alloc_hugetlb(MOCK_HUGE_PAGE_SIZE);
	TRY(!large_buf);
	map.vaddr = (uintptr_t)large_buf;
	TRY(iommu_cmd(c->fd, VFIO_IOMMU_MAP_DMA, &map));
	return 0;
}

/* Operations */
static int op_ioas_alloc(struct ctx *c)
{
	return ioas_alloc(c->fd, &c->out);
}

static int op_ranges(struct ctx *c)
{
	struct iommu_iova_range r[4];
	__u32 num = 4;

	return ioas_ranges(c->fd, c->ioas, r, &num, NULL);
}

static int op_allow(struct ctx *c)
{
	struct iommu_iova_range r[3] = {
		{ BASE, BASE + PAGE - 1 },
		{ BASE + 2 * PAGE, BASE + 3 * PAGE - 1 },
		{ BASE + 4 * PAGE, BASE + 5 * PAGE - 1 },
	};

	return ioas_allow(c->fd, c->ioas, r, 3);
}

static int check_allow(struct ctx *c)
{
	__u64 iova;

	for (int i = 0; i < 3; i++) {
		TRY(ioas_map(c->fd, c->ioas, c->buf, PAGE, MAP_RW, &iova));
		TRY(iova != BASE + 2 * i * PAGE);
	}
	TRY(ioas_map(c->fd, c->ioas, c->buf, PAGE, MAP_RW, &iova) != ENOSPC);
	return 0;
}

static int op_map(struct ctx *c)
{
	return ioas_map_at(c->fd, c->ioas, c->buf, NR * PAGE, BASE);
}

#define SCATTERED 64
/* The first table of the domain that it needs is not the last one */
#define BOUNDARY (BASE + 4 * 1024 * 1024)
#define CROSSING (BOUNDARY - SCATTERED / 2 * PAGE)
#define CONTIGUOUS (256 * 1024)

/* One page over and over, where nothing is contiguous */
static __u8 *scattered(void)
{
	static __u8 *va;

	if (!va)
		va = buf_alloc_scattered(SCATTERED * PAGE);
	return va;
}

static int op_map_scattered(struct ctx *c)
{
	return ioas_map_at(c->fd, c->ioas, scattered(), SCATTERED * PAGE,
			   CROSSING);
}

static int check_scattered(struct ctx *c)
{
	TRY(mock_check_pins(c->fd, scattered(), PAGE, SCATTERED));
	TRY(mock_check_map(c->fd, c->dev.hwpt, CROSSING, scattered(),
			   SCATTERED * PAGE));
	return 0;
}

static int with_small_entries(struct ctx *c)
{
	TRY(with_ioas(c));
	TRY(option_set(c->fd, IOMMU_OPTION_HUGE_PAGES, c->ioas, 0));
	TRY(mock_attach(c->fd, c->ioas, 0, &c->dev));
	if (!large_buf)
		large_buf = buf_alloc_hugetlb(MOCK_HUGE_PAGE_SIZE);
	TRY(!large_buf);
	return 0;
}

/* What is contiguous is mapped page by page, in two tables */
static int op_map_small_entries(struct ctx *c)
{
	return ioas_map_at(c->fd, c->ioas, large_buf, CONTIGUOUS,
			   BOUNDARY - CONTIGUOUS / 2);
}

static int check_small_entries(struct ctx *c)
{
	TRY(mock_check_map(c->fd, c->dev.hwpt, BOUNDARY - CONTIGUOUS / 2,
			   large_buf, CONTIGUOUS));
	return 0;
}

static int op_map_small(struct ctx *c)
{
	return ioas_map_at(c->fd, c->ioas, c->buf, PAGE, BASE);
}

static int op_map_auto(struct ctx *c)
{
	__u64 iova;

	return ioas_map(c->fd, c->ioas, c->buf, NR * PAGE, MAP_RW, &iova);
}

static int check_mapped(struct ctx *c)
{
	TRY(mock_check_pins(c->fd, c->buf, NR * PAGE, 1));
	TRY(mock_check_map(c->fd, c->dev.hwpt, BASE, c->buf, NR * PAGE));
	if (c->hwpt)
		TRY(mock_check_map(c->fd, c->hwpt, BASE, c->buf, NR * PAGE));
	TRY(vm_pin(0) != NR);
	return 0;
}

static int op_map_file(struct ctx *c)
{
	__u64 iova = BASE;

	return ioas_map_file(c->fd, c->ioas, c->file, 0, NR * PAGE, MAP_FIX_RW,
			     &iova);
}

static int check_map_file(struct ctx *c)
{
	void *va = mmap(NULL, NR * PAGE, PROT_READ, MAP_SHARED, c->file, 0);

	TRY(va == MAP_FAILED);
	TRY(mock_check_pins(c->fd, va, NR * PAGE, 1));
	TRY(mock_check_map(c->fd, c->dev.hwpt, BASE, va, NR * PAGE));
	munmap(va, NR * PAGE);
	return 0;
}

static int op_map_dmabuf(struct ctx *c)
{
	__u64 iova = BASE;

	return ioas_map_file(c->fd, c->ioas, c->dmabuf, 0, 4 * PAGE,
			     MAP_FIX_RW, &iova);
}

static int op_map_pfnmap(struct ctx *c)
{
	return ioas_map_at(c->fd, c->ioas, c->bar_va, 4 * PAGE, BASE);
}

static int op_update_vaddr(struct ctx *c)
{
	return container_map(c->fd, c->buf, BASE, NR * PAGE,
			     VFIO_DMA_MAP_FLAG_VADDR);
}

static int check_update_vaddr(struct ctx *c)
{
	TRY(vm_pin(0) != NR || vm_lck(0) != NR);
	TRY(mock_check_map(c->fd, c->hwpt, BASE, c->buf, NR * PAGE));
	return 0;
}

static int with_invalid_bar(struct ctx *c)
{
	__u64 len = 4 * PAGE;

	TRY(with_bar(c));
	TRY(container_ioas(c->fd, IOMMU_VFIO_IOAS_SET, &c->ioas));
	TRY(op_map_pfnmap(c));
	TRY(container_unmap_flags(c->fd, BASE, &len,
				  VFIO_DMA_UNMAP_FLAG_VADDR));
	return 0;
}

static int op_update_bar(struct ctx *c)
{
	return container_map(c->fd, c->bar_va, BASE, 4 * PAGE,
			     VFIO_DMA_MAP_FLAG_VADDR);
}

static int op_copy(struct ctx *c)
{
	__u64 iova = BASE + 256 * PAGE;

	return ioas_copy(c->fd, c->ioas2, c->ioas, BASE + PAGE,
			 (NR - 2) * PAGE, MAP_FIX_RW, &iova);
}

static int op_copy_same(struct ctx *c)
{
	__u64 iova = BASE + 256 * PAGE;

	return ioas_copy(c->fd, c->ioas, c->ioas, BASE + PAGE,
			 (NR - 2) * PAGE, MAP_FIX_RW, &iova);
}

static int check_copy(struct ctx *c)
{
	__u64 unmapped;

	TRY(ioas_unmap_all(c->fd, c->ioas2, &unmapped));
	TRY(unmapped != (NR - 2) * PAGE);
	return 0;
}

static int op_unmap(struct ctx *c)
{
	return ioas_unmap(c->fd, c->ioas, BASE, NR * PAGE, NULL);
}

static int check_unmapped(struct ctx *c)
{
	TRY(mock_check_pins(c->fd, c->buf, NR * PAGE, 0));
	TRY(vm_pin(0));
	return 0;
}

static int op_destroy_ioas(struct ctx *c)
{
	return iommu_destroy(c->fd, c->ioas);
}

static int op_destroy_device(struct ctx *c)
{
	return iommu_destroy(c->fd, c->dev.stdev);
}

static int op_huge_pages(struct ctx *c)
{
	return option_set(c->fd, IOMMU_OPTION_HUGE_PAGES, c->ioas2, 0);
}

static int op_change_process(struct ctx *c)
{
	return ioas_change_process(c->fd);
}

static int check_owner(struct ctx *c)
{
	TRY(vm_pin(0) != 4);
	TRY(ioas_unmap_all(c->fd, c->ioas, NULL));
	TRY(vm_pin(0));
	return 0;
}

static int op_attach(struct ctx *c)
{
	struct mock_dev dev;
	int rc = mock_attach(c->fd, c->ioas, 0, &dev);

	if (!rc)
		c->dev = dev;
	return rc;
}

static int check_attached(struct ctx *c)
{
	for (int i = 0; i < NR; i += 4)
		TRY(mock_check_map(c->fd, c->dev.hwpt, BASE + i * PAGE,
				   c->buf + (NR - 4 - i) * PAGE, 4 * PAGE));
	TRY(mock_check_pins(c->fd, c->buf, NR * PAGE, 1));
	return 0;
}

/* A device of the same group, which keeps IOVA for itself */
static int op_join(struct ctx *c)
{
	struct mock_config config = {
		.sibling = c->dev.stdev,
		.resv = MOCK_RESV_RESERVED,
		.start = BASE + (1ULL << 30),
		.length = PAGE,
	};
	struct mock_dev dev;
	int rc = mock_device(c->fd, c->ioas, &config, &dev);

	if (!rc)
		c->out = dev.hwpt;
	return rc;
}

/*
 * Not that the IOVA is kept: a driver has no way to say that there was no memory
 * to list its reserved regions.
 */
static int check_joined(struct ctx *c)
{
	TRY(c->out != c->dev.hwpt);
	TRY(check_attached(c));
	return 0;
}

static int op_attach_hwpt(struct ctx *c)
{
	struct mock_dev dev;
	int rc = mock_attach(c->fd, c->hwpt, 0, &dev);

	if (!rc)
		c->dev = dev;
	return rc;
}

static int op_noiommu(struct ctx *c)
{
	static const struct mock_config config = {
		.flags = MOCK_FLAGS_DEVICE_NOIOMMU,
	};

	return mock_device(c->fd, c->ioas, &config, &c->dev);
}

static int check_pinned_once(struct ctx *c)
{
	TRY(mock_check_pins(c->fd, c->buf, NR * PAGE, 1));
	return 0;
}

static int op_replace(struct ctx *c)
{
	return mock_replace(c->fd, c->dev.stdev, &(__u32){ c->ioas2 });
}

static int op_replace_nested(struct ctx *c)
{
	return mock_replace(c->fd, c->dev.stdev, &(__u32){ c->nested });
}

static int check_nested(struct ctx *c)
{
	TRY(mock_pasid_check(c->fd, c->dev.stdev, 0, c->nested));
	return 0;
}

static int op_pasid(struct ctx *c)
{
	return mock_pasid_attach(c->fd, c->dev.stdev, 5,
				 &(__u32){ c->hwpt });
}

static int setup_pasid(struct ctx *c)
{
	TRY(with_parent(c));
	TRY(mock_replace(c->fd, c->dev.stdev, &(__u32){ c->hwpt }));
	return 0;
}

static int check_pasid(struct ctx *c)
{
	TRY(mock_pasid_check(c->fd, c->dev.stdev, 5, c->hwpt));
	TRY(mock_pasid_detach(c->fd, c->dev.stdev, 5));
	return 0;
}

static int op_hw_info(struct ctx *c)
{
	struct iommu_test_hw_info info;
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = c->dev.idev,
		.data_len = sizeof(info),
		.data_uptr = (uintptr_t)&info,
	};

	return iommu_cmd(c->fd, IOMMU_GET_HW_INFO, &cmd);
}

static int op_hwpt(struct ctx *c)
{
	return hwpt_alloc(c->fd, c->dev.idev, c->ioas, 0, &c->out);
}

static int op_hwpt_nested(struct ctx *c)
{
	return hwpt_alloc_nested(c->fd, c->dev.idev, c->hwpt, 0, 0, 7,
				 &c->out);
}

static int check_hwpt_nested(struct ctx *c)
{
	TRY(mock_check_iotlb_all(c->fd, c->out, 7));
	TRY(iommu_destroy(c->fd, c->out));
	return 0;
}

static int check_destroy_out(struct ctx *c)
{
	TRY(iommu_destroy(c->fd, c->out));
	return 0;
}

static int check_close_out(struct ctx *c)
{
	TRY(iommu_destroy(c->fd, c->out) != EBUSY);
	close(c->out_fd);
	c->out_fd = -1;
	TRY(iommu_destroy(c->fd, c->out));
	return 0;
}

static int op_invalidate(struct ctx *c)
{
	struct iommu_viommu_invalidate_selftest e[2] = {
		{ .vdev_id = 9, .cache_id = 0 },
		{ .vdev_id = 9, .cache_id = 3 },
	};
	__u32 n = 2;

	return hwpt_invalidate(c->fd, c->viommu,
			       IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, e,
			       sizeof(e[0]), &n);
}

static int op_fault_queue(struct ctx *c)
{
	return fault_alloc(c->fd, &c->out, &c->out_fd);
}

static int op_read_fault(struct ctx *c)
{
	struct iommu_hwpt_pgfault f;
	ssize_t n = read(c->q, &f, sizeof(f));

	if (n < 0)
		return errno;
	c->out = f.cookie;
	return n == sizeof(f) ? 0 : ENODATA;
}

static int check_respond(struct ctx *c)
{
	struct iommu_hwpt_page_response r = { .cookie = c->out };

	TRY(write(c->q, &r, sizeof(r)) != sizeof(r));
	return 0;
}

static int op_viommu(struct ctx *c)
{
	struct iommu_viommu_selftest data = { .in_data = 1 };

	return viommu_alloc(c->fd, c->dev.idev, c->hwpt,
			    IOMMU_VIOMMU_TYPE_SELFTEST, &data, sizeof(data),
			    &c->out);
}

static int op_vdevice(struct ctx *c)
{
	return vdevice_alloc(c->fd, c->viommu, c->dev.idev, 1, &c->out);
}

static int op_veventq(struct ctx *c)
{
	return veventq_alloc(c->fd, c->viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 4,
			     &c->out, &c->out_fd);
}

static int op_hw_queue(struct ctx *c)
{
	return hw_queue_alloc(c->fd, c->viommu, IOMMU_HW_QUEUE_TYPE_SELFTEST,
			      0, BASE, PAGE, &c->out);
}

static int op_set_dirty(struct ctx *c)
{
	return hwpt_set_dirty(c->fd, c->hwpt, true);
}

static int op_get_dirty(struct ctx *c)
{
	__u8 map[8] = {};
	int rc = hwpt_get_dirty(c->fd, c->hwpt, 0, BASE, NR * PAGE, PAGE, map);

	c->out |= map[0] | map[1] << 8 | map[2] << 16 | (__u32)map[3] << 24;
	return rc;
}

/* In one of the answers each page has been reported */
static int check_get_dirty(struct ctx *c)
{
	TRY(c->out != 0xffffffff);
	return 0;
}

static int op_access(struct ctx *c)
{
	return access_create(c->fd, c->ioas, 0, &c->out_fd);
}

static int op_access_replace(struct ctx *c)
{
	return access_replace(c->fd, c->access, c->ioas2);
}

static int op_pin(struct ctx *c)
{
	return access_pin(c->fd, c->access, BASE + PAGE, (NR - 2) * PAGE, NULL,
			  0, &c->item);
}

/* What is pinned again is so once, and stays when this pin goes */
static int check_pins_apart(struct ctx *c)
{
	TRY(mock_check_pins(c->fd, c->buf + PAGE, (NR - 2) * PAGE, 1));
	TRY(access_unpin(c->fd, c->access, c->item));
	for (int page = 0; page < NR; page++)
		TRY(mock_check_pins(c->fd, c->buf + page * PAGE, PAGE,
				    page < 16 && page % 4 == 2));
	return 0;
}

static int check_pins(struct ctx *c)
{
	/*
	 * Memory is mapped backwards in fours: all but the first and last page
	 * of IOVA, and all of it if there is a domain.
	 */
	for (int page = 0; page < NR; page++) {
		bool out = !c->dev.stdev && (page == NR - 4 || page == 3);

		TRY(mock_check_pins(c->fd, c->buf + page * PAGE, PAGE, !out));
	}
	TRY(access_unpin(c->fd, c->access, c->item));
	return 0;
}

static int op_unpin(struct ctx *c)
{
	return access_unpin(c->fd, c->access, c->item);
}

static int op_read(struct ctx *c)
{
	static __u8 tmp[4 << 16];

	return access_rw(c->fd, c->access, BASE + 3, tmp, 3 * PAGE, 0);
}

static int op_read_slow(struct ctx *c)
{
	static __u8 tmp[4 << 16];

	return access_rw(c->fd, c->access, BASE + 3, tmp, 3 * PAGE,
			 MOCK_ACCESS_RW_SLOW_PATH);
}

static int op_write_slow_byte(struct ctx *c)
{
	__u8 byte = 1;

	return access_rw(c->fd, c->access, BASE + 3, &byte, 1,
			 MOCK_ACCESS_RW_SLOW_PATH | MOCK_ACCESS_RW_WRITE);
}

static int op_copy_dmabuf(struct ctx *c)
{
	return ioas_copy(c->fd, c->ioas2, c->ioas, BASE + PAGE, PAGE,
			 MAP_FIX_RW, &(__u64){ BASE });
}

static int op_attach_only(struct ctx *c)
{
	return mock_attach(c->fd, c->ioas, 0, &c->dev);
}

static int op_revoke(struct ctx *c)
{
	return mock_dmabuf_revoke(c->fd, c->dmabuf, true);
}

static int check_revoked(struct ctx *c)
{
	__u64 iova = BASE + 64 * PAGE;

	TRY(ioas_map_file(c->fd, c->ioas, c->dmabuf, 0, PAGE, MAP_FIX_RW,
			  &iova) != ENODEV);
	return 0;
}

static int op_reserve(struct ctx *c)
{
	return mock_reserve(c->fd, c->ioas2, BASE, PAGE);
}

static int op_close_access(struct ctx *c)
{
	close(c->access);
	c->access = -1;
	return 0;
}

static int op_pasid_replace(struct ctx *c)
{
	return mock_pasid_replace(c->fd, c->dev.stdev, 5,
				  &(__u32){ c->nested });
}

static int check_pasid_nested(struct ctx *c)
{
	TRY(mock_pasid_check(c->fd, c->dev.stdev, 5, c->nested));
	return 0;
}

static int op_pasid_detach(struct ctx *c)
{
	return mock_pasid_detach(c->fd, c->dev.stdev, 5);
}

static int check_pasid_gone(struct ctx *c)
{
	TRY(mock_pasid_check(c->fd, c->dev.stdev, 5, 0));
	return 0;
}

static int op_nested_invalidate(struct ctx *c)
{
	struct iommu_hwpt_invalidate_selftest e = {
		.flags = IOMMU_TEST_INVALIDATE_FLAG_ALL,
	};

	return hwpt_invalidate(c->fd, c->nested,
			       IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, &e,
			       sizeof(e), &(__u32){ 1 });
}

static int check_invalidated(struct ctx *c)
{
	TRY(mock_check_iotlb_all(c->fd, c->nested, 0));
	return 0;
}

static int op_destroy_hwpt(struct ctx *c)
{
	return iommu_destroy(c->fd, c->hwpt);
}

static int op_destroy_nested(struct ctx *c)
{
	return iommu_destroy(c->fd, c->nested);
}

static int op_destroy_viommu(struct ctx *c)
{
	return iommu_destroy(c->fd, c->viommu);
}

static int op_destroy_queue(struct ctx *c)
{
	return iommu_destroy(c->fd, c->out);
}

/* Without memory for it, an event is lost and its queue full */
static int op_event(struct ctx *c)
{
	return mock_vevent(c->fd, c->dev.idev);
}

static int check_event(struct ctx *c)
{
	__u8 e[64];

	TRY(read(c->q, e, sizeof(e)) < 0);
	return 0;
}

static int op_read_event(struct ctx *c)
{
	__u8 e[64];
	ssize_t n = read(c->q, e, sizeof(e));

	if (n < 0)
		return errno;
	return n ? 0 : ENODATA;
}

static int op_iopf(struct ctx *c)
{
	return mock_iopf(c->fd, c->dev.idev, 0, 2, 1, 0x2000);
}

/* No more than the one before is sure to be there */
static int check_iopf(struct ctx *c)
{
	struct iommu_hwpt_pgfault f[2];

	TRY(read(c->q, f, sizeof(f)) < (ssize_t)sizeof(f[0]));
	return 0;
}

static int op_mmap(struct ctx *c)
{
	void *va = mmap(NULL, c->length, PROT_READ | PROT_WRITE, MAP_SHARED,
			c->fd, c->offset);

	if (va == MAP_FAILED)
		return errno;
	return munmap(va, c->length) ? errno : 0;
}

static int check_mmap(struct ctx *c)
{
	/* Not mapped any more */
	TRY(iommu_destroy(c->fd, c->viommu));
	return 0;
}

static int op_dma_map(struct ctx *c)
{
	return dma_map(c);
}

static int op_dma_unmap(struct ctx *c)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = BASE,
		.size = NR * PAGE,
	};

	return iommu_cmd(c->fd, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

/* From the middle; what was cut already stays so */
static int op_dma_cut(struct ctx *c)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = BASE + 5 * PAGE,
		.size = 3 * PAGE,
	};

	return iommu_cmd(c->fd, VFIO_IOMMU_UNMAP_DMA, &unmap);
}

static int check_dma_cut(struct ctx *c)
{
	TRY(mock_check_pins(c->fd, c->buf, 5 * PAGE, 1));
	TRY(mock_check_pins(c->fd, c->buf + 5 * PAGE, 3 * PAGE, 0));
	TRY(mock_check_pins(c->fd, c->buf + 8 * PAGE, (NR - 8) * PAGE, 1));
	TRY(mock_check_map(c->fd, c->hwpt, BASE, c->buf, 5 * PAGE));
	TRY(mock_check_map(c->fd, c->hwpt, BASE + 8 * PAGE,
			   c->buf + 8 * PAGE, (NR - 8) * PAGE));
	return 0;
}

/* 0 if both domains map an interval of pages */
static int large_is_mapped(struct ctx *c, __u64 first, __u64 end)
{
	__u64 start = first * PAGE, length = (end - first) * PAGE;

	return mock_check_map(c->fd, c->hwpt, BASE + start, large_buf + start,
			      length) ?:
	       mock_check_map(c->fd, c->nested, BASE + start,
			      large_buf + start, length);
}

/* Two cuts of one IOPTE; all is there when it fails */
static int op_dma_cut_large(struct ctx *c)
{
	int rc = op_dma_cut(c);

	if (rc && large_is_mapped(c, 0, MOCK_HUGE_PAGE_SIZE / PAGE))
		c->bits = 1;
	return rc;
}

static int check_dma_cut_large(struct ctx *c)
{
	TRY(c->bits);
	TRY(large_is_mapped(c, 0, 5));
	TRY(large_is_mapped(c, 5, 6) != EINVAL);
	TRY(large_is_mapped(c, 7, 8) != EINVAL);
	TRY(large_is_mapped(c, 8, MOCK_HUGE_PAGE_SIZE / PAGE));
	TRY(vm_pin(0) != MOCK_HUGE_PAGE_SIZE / PAGE - 3);
	return 0;
}

static int dma_unmap_dirty(struct ctx *c, __u64 iova)
{
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} cmd = {
		.unmap = {
			.argsz = sizeof(cmd),
			.flags = VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
			.iova = iova,
			.size = NR * PAGE,
		},
		.bitmap = {
			.pgsize = PAGE,
			.size = sizeof(c->bits),
			.data = (void *)&c->bits,
		},
	};
	int rc = iommu_cmd(c->fd, VFIO_IOMMU_UNMAP_DMA, &cmd);

	/* Nobody looks at what a call wrote that failed */
	if (rc)
		c->bits = 0;
	return rc;
}

static int op_dma_unmap_dirty(struct ctx *c)
{
	return dma_unmap_dirty(c, BASE);
}

static int op_dma_unmap_apart(struct ctx *c)
{
	return dma_unmap_dirty(c, APART);
}

static int check_dirty_bits(struct ctx *c)
{
	TRY(c->bits != (1ULL << NR) - 1);
	return 0;
}

static int check_dirty_apart(struct ctx *c)
{
	TRY(c->bits != 1 << 1);
	return 0;
}

static int op_dirty_start(struct ctx *c)
{
	return dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
}

static int op_dirty_stop(struct ctx *c)
{
	return dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
}

static int op_dirty_get(struct ctx *c)
{
	return dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP);
}

static int op_logged_write(struct ctx *c)
{
	__u8 byte = 1;

	return access_rw(c->fd, c->access, BASE + 3 * PAGE, &byte, 1,
			 MOCK_ACCESS_RW_WRITE);
}

/* If that could not be noted, all counts as dirty */
static int check_logged(struct ctx *c)
{
	TRY(dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP));
	TRY(c->bits != 1 << 3 && c->bits != (1ULL << NR) - 1);
	/* It was told, and is clean again */
	c->bits = 0;
	TRY(dirty_pages(c, VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP));
	TRY(c->bits);
	return 0;
}

static int op_vfio_info(struct ctx *c)
{
	union {
		struct vfio_iommu_type1_info info;
		__u8 space[256];
	} cmd = { .info.argsz = sizeof(cmd) };
	int rc = iommu_cmd(c->fd, VFIO_IOMMU_GET_INFO, &cmd);

	return rc ?: cmd.info.cap_offset ? 0 : ENODATA;
}

static int op_set_iommu(struct ctx *c)
{
	return iommu_cmd(c->fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1_IOMMU);
}

static int op_vfio_ioas(struct ctx *c)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_VFIO_IOAS_SET,
		.ioas_id = c->ioas,
	};

	return iommu_cmd(c->fd, IOMMU_VFIO_IOAS, &cmd);
}

static const struct walk walks[] = {
	{ "ioas_alloc", .setup = with_ioas, .op = op_ioas_alloc,
	  .check = check_destroy_out, .fails = 1 },
	{ "first_alloc", .setup = with_nothing, .op = op_ioas_alloc,
	  .check = check_destroy_out, .fails = 1 },
	{ "iova_ranges", .setup = with_device, .op = op_ranges, .fails = 1 },
	{ "allow_iovas", .setup = with_ioas, .op = op_allow,
	  .check = check_allow, .fails = 1 },
	{ "map", .setup = with_ioas, .op = op_map, .fails = 1 },
	{ "map_auto", .setup = with_ioas, .op = op_map_auto, .fails = 1 },
	{ "map_domain", .setup = with_device, .op = op_map,
	  .check = check_mapped, .fails = 5 },
	{ "map_domain_small", .setup = with_device, .op = op_map_small,
	  .fails = 3 },
	{ "map_scattered", .setup = with_device, .op = op_map_scattered,
	  .check = check_scattered, .fails = 5 },
	{ "map_small_entries", .setup = with_small_entries,
	  .op = op_map_small_entries, .check = check_small_entries,
	  .fails = 5 },
	{ "map_domain_limit", 32, .setup = with_device, .op = op_map,
	  .check = check_mapped, .fails = 12 },
	{ "map_two_domains", .setup = with_two_domains, .op = op_map,
	  .check = check_mapped, .fails = 5 },
	{ "map_two_domains_limit", 32, .setup = with_two_domains,
	  .op = op_map, .check = check_mapped, .fails = 12 },
	{ "map_file", .setup = with_memfd, .op = op_map_file,
	  .check = check_map_file, .fails = 4 },
	{ "map_file_limit", 32, .setup = with_memfd, .op = op_map_file,
	  .check = check_map_file, .fails = 11 },
	{ "map_dmabuf", .setup = with_dmabuf, .op = op_map_dmabuf, .fails = 1 },
	{ "map_pfnmap", .setup = with_bar, .op = op_map_pfnmap, .fails = 1 },
	{ "copy", .setup = with_small_mappings, .op = op_copy,
	  .check = check_copy, .fails = 2 },
	{ "copy_domain", .setup = with_mapped_domain, .op = op_copy_same,
	  .fails = 2 },
	{ "unmap", .setup = with_small_mappings, .op = op_unmap,
	  .check = check_unmapped, .always = true, .fails = 1 },
	{ "unmap_domain", .setup = with_mapped_domain, .op = op_unmap,
	  .check = check_unmapped, .always = true, .fails = 1 },
	{ "unmap_domain_limit", 32, .setup = with_mapped_domain,
	  .op = op_unmap, .check = check_unmapped, .always = true, .fails = 1 },
	{ "unmap_pins", 32, .setup = with_pins, .op = op_unmap,
	  .check = check_unmapped, .always = true, .fails = 1 },
	{ "destroy_ioas", .setup = with_mapping, .op = op_destroy_ioas,
	  .check = check_unmapped, .always = true, .fails = 1 },
	{ "destroy_device", 32, .setup = with_mapped_domain,
	  .op = op_destroy_device, .check = check_unmapped, .always = true,
	  .fails = 1 },
	{ "huge_pages", .setup = with_mapping, .op = op_huge_pages,
	  .fails = 1 },
	{ "change_process", .setup = with_foreign_file,
	  .op = op_change_process, .check = check_owner, .fails = 1 },
	{ "attach", .setup = with_small_mappings, .op = op_attach,
	  .check = check_attached, .fails = 18 },
	{ "attach_limit", 32, .setup = with_small_mappings, .op = op_attach,
	  .check = check_attached, .fails = 18 },
	{ "attach_second", .setup = with_mapped_domain, .op = op_attach,
	  .check = check_attached, .fails = 1 },
	{ "attach_hwpt", .setup = with_free_hwpt, .op = op_attach_hwpt,
	  .check = check_attached, .fails = 2 },
	{ "attach_container", .setup = with_container_mapping,
	  .op = op_attach, .check = check_pinned_once, .fails = 1 },
	{ "join", .setup = with_mapped_domain, .op = op_join,
	  .check = check_joined, .fails = 3 },
	{ "noiommu", .setup = with_small_mappings, .op = op_noiommu,
	  .check = check_pinned_once, .fails = 17 },
	{ "replace", .setup = with_mapped_domain, .op = op_replace,
	  .check = check_unmapped, .fails = 3 },
	{ "replace_group", .setup = with_group, .op = op_replace,
	  .check = check_unmapped, .fails = 4 },
	{ "replace_nested", .setup = with_vdevice, .op = op_replace_nested,
	  .check = check_nested, .fails = 2 },
	{ "pasid_attach", .setup = setup_pasid, .op = op_pasid,
	  .check = check_pasid, .fails = 2 },
	{ "hw_info", .setup = with_device, .op = op_hw_info, .fails = 1 },
	{ "hwpt", .setup = with_mapped_domain, .op = op_hwpt,
	  .check = check_destroy_out, .fails = 2 },
	{ "hwpt_limit", 32, .setup = with_mapped_domain, .op = op_hwpt,
	  .check = check_destroy_out, .fails = 2 },
	{ "hwpt_nested", .setup = with_parent, .op = op_hwpt_nested,
	  .check = check_hwpt_nested, .fails = 2 },
	{ "invalidate", .setup = with_vdevice, .op = op_invalidate,
	  .fails = 1 },
	{ "fault_queue", .setup = with_ioas, .op = op_fault_queue,
	  .check = check_close_out, .fails = 1 },
	{ "read_fault", .setup = with_fault_hwpt, .op = op_read_fault,
	  .check = check_respond, .fails = 1 },
	{ "viommu", .setup = with_parent, .op = op_viommu,
	  .check = check_destroy_out, .fails = 2 },
	{ "vdevice", .setup = with_viommu, .op = op_vdevice,
	  .check = check_destroy_out, .fails = 3 },
	{ "veventq", .setup = with_viommu, .op = op_veventq,
	  .check = check_close_out, .fails = 1 },
	{ "hw_queue", .setup = with_viommu, .op = op_hw_queue,
	  .check = check_destroy_out, .fails = 1 },
	{ "set_dirty", .setup = with_dirty_hwpt, .op = op_set_dirty,
	  .fails = 1 },
	{ "get_dirty", .setup = with_tracking, .op = op_get_dirty,
	  .check = check_get_dirty, .fails = 1 },
	{ "access_create", .setup = with_mapping, .op = op_access, .fails = 1 },
	{ "access_replace", .setup = with_pinner, .op = op_access_replace,
	  .fails = 1 },
	{ "pin", .setup = with_pinner, .op = op_pin,
	  .check = check_pins, .fails = 16 },
	{ "pin_limit", 32, .setup = with_pinner, .op = op_pin,
	  .check = check_pins, .fails = 16 },
	{ "pin_domain", 32, .setup = with_pinner_and_domain, .op = op_pin,
	  .check = check_pins, .fails = 1 },
	{ "pin_across", 32, .setup = with_pins_apart, .op = op_pin,
	  .check = check_pins_apart, .fails = 5 },
	{ "unpin", 32, .setup = with_pins, .op = op_unpin,
	  .check = check_unmapped, .always = true },
	{ "read", .setup = with_pinner, .op = op_read, .places = 1 },
	{ "read_domain", .setup = with_pinner_and_domain, .op = op_read,
	  .places = 1 },
	{ "read_slow", 32, .setup = with_pinner, .op = op_read_slow,
	  .places = 1 },
	{ "read_slow_domain", 32, .setup = with_pinner_and_domain,
	  .op = op_read_slow, .places = 1 },
	{ "write_slow_byte", .setup = with_pinner, .op = op_write_slow_byte,
	  .fails = 1 },
	{ "read_file", .setup = with_file_reader, .op = op_read, .fails = 4 },
	{ "read_file_slow", .setup = with_file_reader, .op = op_read_slow,
	  .fails = 4 },
	{ "reserve", .setup = with_ioas, .op = op_reserve, .fails = 1 },
	{ "copy_dmabuf", .setup = with_mapped_dmabuf, .op = op_copy_dmabuf,
	  .fails = 2 },
	{ "attach_dmabuf", .setup = with_mapped_dmabuf,
	  .op = op_attach_only, .fails = 2 },
	{ "revoke", .setup = with_mapped_dmabuf, .op = op_revoke,
	  .check = check_revoked, .always = true },
	{ "close_access", 32, .setup = with_moved_pinner,
	  .op = op_close_access, .check = check_unmapped, .always = true },
	{ "pasid_replace", .setup = with_pasid, .op = op_pasid_replace,
	  .check = check_pasid_nested, .fails = 2 },
	{ "pasid_detach", .setup = with_pasid, .op = op_pasid_detach,
	  .check = check_pasid_gone, .always = true, .fails = 1 },
	{ "nested_invalidate", .setup = with_nested,
	  .op = op_nested_invalidate, .check = check_invalidated,
	  .always = true, .fails = 1 },
	{ "destroy_hwpt", 32, .setup = with_parent, .op = op_destroy_hwpt,
	  .check = check_attached, .always = true, .fails = 1 },
	{ "destroy_nested", .setup = with_nested, .op = op_destroy_nested,
	  .always = true, .fails = 1 },
	{ "destroy_viommu", .setup = with_viommu, .op = op_destroy_viommu,
	  .always = true, .fails = 1 },
	{ "destroy_queue", .setup = with_queue, .op = op_destroy_queue,
	  .always = true, .fails = 1 },
	{ "event", .setup = with_events, .op = op_event,
	  .check = check_event, .fails = 1 },
	{ "read_event", .setup = with_event, .op = op_read_event },
	{ "iopf", .setup = with_fault_hwpt, .op = op_iopf,
	  .check = check_iopf, .fails = 1 },
	{ "mmap", .setup = with_viommu_region, .op = op_mmap,
	  .check = check_mmap, .fails = 1 },
	{ "vfio_ioas", .setup = with_ioas, .op = op_vfio_ioas,
	  .always = true, .fails = 1 },
	{ "vfio_info", .setup = with_container, .op = op_vfio_info,
	  .fails = 1 },
	{ "vfio_set_iommu", .setup = with_container, .op = op_set_iommu,
	  .always = true },
	{ "vfio_map", 32, .setup = with_container, .op = op_dma_map,
	  .fails = 11 },
	{ "vfio_unmap", 32, .setup = with_container_mapping,
	  .op = op_dma_unmap, .check = check_unmapped, .always = true },
	{ "vfio_cut", .setup = with_type1, .op = op_dma_cut,
	  .check = check_dma_cut, .fails = 1 },
	{ "vfio_cut_large", .setup = with_type1_large, .op = op_dma_cut_large,
	  .check = check_dma_cut_large, .fails = 2 },
	{ "vfio_vaddr", .setup = with_invalid_vaddr, .op = op_update_vaddr,
	  .check = check_update_vaddr, .fails = 1 },
	{ "vfio_vaddr_bar", .setup = with_invalid_bar, .op = op_update_bar,
	  .fails = 1 },
	{ "vfio_dirty_start", .setup = with_container_mapping,
	  .op = op_dirty_start },
	{ "vfio_dirty_get", .setup = with_dirty_container, .op = op_dirty_get,
	  .check = check_dirty_bits, .fails = 1 },
	{ "vfio_dirty_unmap", .setup = with_dirty_container,
	  .op = op_dma_unmap_dirty, .check = check_dirty_bits, .fails = 1 },
	/* Twice for each part: a look at the bitmap, and the report */
	{ "vfio_dirty_unmap_apart", .setup = with_log_apart,
	  .op = op_dma_unmap_apart, .check = check_dirty_apart, .fails = 4 },
	{ "vfio_dirty_write", .setup = with_logged_access,
	  .op = op_logged_write, .check = check_logged, .places = 1 },
	{ "vfio_dirty_stop", .setup = with_dirty_container,
	  .op = op_dirty_stop, .always = true },
};

static void close_all(struct ctx *c)
{
	int *fds[] = { &c->access, &c->file, &c->dmabuf, &c->q, &c->out_fd,
		       &c->fd };

	for (unsigned int i = 0; i < ARRAY_LEN(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

FIXTURE(fail_nth)
{
	__u8 *buf;
};

FIXTURE_SETUP(fail_nth)
{
	const char *why;
	int fd;

	OPEN_MOCK_OR_SKIP(fd);
	close(fd);
	why = injection_setup();
	if (why)
		SKIP(return, "%s", why);
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	memset(self->buf, 1, NR * PAGE);
}

FIXTURE_TEARDOWN(fail_nth)
{
	int fd = iommu_open();

	EXPECT_EQ(0, mock_memory_limit(fd, 65536));
	EXPECT_EQ(0, injection_of_rest(false));
	close(fd);
}

/*
 * One case for one n; true when it had that many places to fail. @failed counts
 * those that made it fail.
 */
static bool walk_step(struct __test_metadata *_metadata,
		      const struct walk *w, struct ctx *c, unsigned int n,
		      unsigned int *failed)
{
	struct state before, after;
	bool injected;
	int rc;

	ASSERT_LE(0, (c->fd = iommu_open()));
	ASSERT_EQ(0, w->setup(c))
		TH_LOG("%s: setup", w->name);
	ASSERT_EQ(0, mock_memory_limit(c->fd, w->limit ?: 65536));
	ASSERT_EQ(0, look(c, &before));
	arm(n);
	rc = w->op(c);
	injected = disarm();
	if (!injected) {
		ASSERT_EQ(0, rc)
			TH_LOG("%s: fails without a failure at n %u", w->name,
			       n);
	}
	if (rc) {
		++*failed;
		/* A release may be refused, but for no want of memory */
		if (w->always) {
			ASSERT_EQ(ENOENT, rc)
				TH_LOG("%s: n %u", w->name, n);
		}
		ASSERT_EQ(0, look(c, &after));
		ASSERT_EQ(before.pinned, after.pinned)
			TH_LOG("%s: pages left pinned, n %u rc %d", w->name, n,
			       rc);
		ASSERT_EQ(before.locked, after.locked)
			TH_LOG("%s: n %u rc %d", w->name, n, rc);
		ASSERT_EQ(before.next_id, after.next_id)
			TH_LOG("%s: an ID is left, n %u rc %d", w->name, n,
			       rc);
		ASSERT_EQ(before.fds, after.fds)
			TH_LOG("%s: a descriptor is left, n %u rc %d", w->name,
			       n, rc);
		rc = w->op(c);
		ASSERT_EQ(0, rc)
			TH_LOG("%s: second attempt after n %u", w->name, n);
	}
	if (w->check) {
		ASSERT_EQ(0, w->check(c))
			TH_LOG("%s: check after n %u", w->name, n);
	}
	return injected;
}

/* A walk without failures would have tested nothing */
static void check_places(struct __test_metadata *_metadata,
			 const struct walk *w, unsigned int places,
			 unsigned int failed)
{
	TH_LOG("%s: %u places, %u of them make it fail", w->name, places,
	       failed);
	EXPECT_LE(w->fails, failed)
		TH_LOG("%s: too few places make it fail", w->name);
	EXPECT_LE(w->places, places)
		TH_LOG("%s: too few places", w->name);
	if (!w->fails && !w->places)
		EXPECT_EQ(0, places)
			TH_LOG("%s: has places to fail now", w->name);
}

static bool enough_places(const struct walk *w, unsigned int places,
			  unsigned int failed)
{
	return w->fails <= failed && w->places <= places;
}

/* One walk from the first place to the last; how many there are */
static unsigned int walk_once(struct __test_metadata *_metadata, __u8 *buf,
			      const struct walk *w, unsigned int *failed)
{
	*failed = 0;
	for (unsigned int n = 1;; n++) {
		struct ctx c = {
			.fd = -1, .access = -1, .file = -1, .dmabuf = -1,
			.q = -1, .out_fd = -1, .buf = buf,
		};
		bool more = walk_step(_metadata, w, &c, n, failed);

		close_all(&c);
		ASSERT_EQ(0, check_unpinned(buf, NR * PAGE))
			TH_LOG("%s: pins after close, n %u", w->name, n);
		ASSERT_EQ(0, vm_pin(0))
			TH_LOG("%s: charges after close, n %u", w->name, n);
		if (!more)
			return n - 1;
		ASSERT_GT(MAX_NTH, n);
	}
}

/*
 * The slab allocator is a place of its own when it needs a page, which is now and
 * then. All places after that one are one further than the last time, and the walk
 * steps over the one that comes next. So it may have to be done again.
 */
static void walk(struct __test_metadata *_metadata, __u8 *buf,
		 const struct walk *w)
{
	unsigned int places, failed, tries = WALKS_MAX;

	do {
		places = walk_once(_metadata, buf, w, &failed);
	} while (--tries && !enough_places(w, places, failed));
	check_places(_metadata, w, places, failed);
}

static void walk_named(struct __test_metadata *_metadata, __u8 *buf,
		       const char *const *names)
{
	for (; *names; names++) {
		unsigned int i;

		for (i = 0; i < ARRAY_LEN(walks); i++)
			if (!strcmp(walks[i].name, *names))
				break;
		ASSERT_NE(ARRAY_LEN(walks), i)
			TH_LOG("no walk %s", *names);
		walk(_metadata, buf, &walks[i]);
	}
}

TEST_F_TIMEOUT(fail_nth, noiommu, 200)
{
	static const char *const names[] = { "noiommu", NULL };
	struct ctx c = {};
	int rc;

	c.fd = iommu_open();
	ASSERT_EQ(0, with_ioas(&c));
	rc = op_noiommu(&c);
	close(c.fd);
	if (rc == EINVAL)
		SKIP(return, "kernel without CONFIG_IOMMUFD_NOIOMMU");
	walk_named(_metadata, self->buf, names);
}

#define WALKS_OF(test, ...)                                                    \
	TEST_F_TIMEOUT(fail_nth, test, 200)                                    \
	{                                                                      \
		static const char *const names[] = { __VA_ARGS__, NULL };      \
		walk_named(_metadata, self->buf, names);                       \
	}

WALKS_OF(ioas, "ioas_alloc", "first_alloc", "iova_ranges", "allow_iovas",
	 "huge_pages", "change_process")
WALKS_OF(map, "map", "map_auto", "map_domain", "map_domain_small",
	 "map_scattered", "map_small_entries", "map_domain_limit")
WALKS_OF(map_two_domains, "map_two_domains", "map_two_domains_limit")
WALKS_OF(map_file, "map_file", "map_file_limit", "map_dmabuf", "map_pfnmap")
WALKS_OF(copy, "copy", "copy_domain")
WALKS_OF(unmap, "unmap", "unmap_domain", "unmap_domain_limit", "unmap_pins",
	 "destroy_ioas", "destroy_device")
WALKS_OF(attach, "attach", "attach_limit", "attach_second")
WALKS_OF(attach_more, "attach_hwpt", "attach_container", "join")
WALKS_OF(replace, "replace", "replace_group", "replace_nested", "pasid_attach")
WALKS_OF(hwpt, "hw_info", "hwpt", "hwpt_limit", "hwpt_nested", "invalidate")
WALKS_OF(dirty, "set_dirty", "get_dirty")
WALKS_OF(fault, "fault_queue", "read_fault")
WALKS_OF(viommu, "viommu", "vdevice", "veventq", "hw_queue")
WALKS_OF(access, "access_create", "access_replace", "pin", "pin_limit",
	 "pin_domain", "pin_across", "unpin")
WALKS_OF(access_rw, "read", "read_domain", "read_slow", "read_slow_domain",
	 "write_slow_byte", "read_file", "read_file_slow")
WALKS_OF(dmabuf, "copy_dmabuf", "attach_dmabuf", "revoke")
WALKS_OF(pasid, "pasid_replace", "pasid_detach")
WALKS_OF(destroy, "destroy_hwpt", "destroy_nested", "destroy_viommu",
	 "destroy_queue", "close_access", "reserve")
WALKS_OF(events, "event", "read_event", "iopf", "mmap", "nested_invalidate")
WALKS_OF(vfio, "vfio_ioas", "vfio_info", "vfio_set_iommu", "vfio_map",
	 "vfio_unmap", "vfio_cut", "vfio_cut_large")
WALKS_OF(vfio_vaddr, "vfio_vaddr", "vfio_vaddr_bar")
WALKS_OF(vfio_dirty, "vfio_dirty_start", "vfio_dirty_get", "vfio_dirty_unmap",
	 "vfio_dirty_unmap_apart", "vfio_dirty_write", "vfio_dirty_stop")

/* With no memory left */
#define WALKS_OF_REST(test, ...)                                               \
	TEST_F_TIMEOUT(fail_nth, test##_rest, 200)                             \
	{                                                                      \
		static const char *const names[] = { __VA_ARGS__, NULL };      \
		ASSERT_EQ(0, injection_of_rest(true));                         \
		walk_named(_metadata, self->buf, names);                       \
	}

WALKS_OF_REST(ioas, "first_alloc", "allow_iovas", "reserve", "change_process")
WALKS_OF_REST(map, "map_domain_small", "map_file", "copy_domain")
WALKS_OF_REST(unmap, "unmap", "unmap_domain", "unmap_pins", "destroy_ioas",
	      "destroy_device")
WALKS_OF_REST(attach, "replace", "replace_group", "pasid_attach",
	      "pasid_replace", "pasid_detach")
WALKS_OF_REST(hwpt, "hwpt", "hwpt_nested", "set_dirty", "get_dirty")
WALKS_OF_REST(fault, "fault_queue", "read_fault", "iopf")
WALKS_OF_REST(viommu, "viommu", "vdevice", "veventq", "hw_queue", "event",
	      "read_event")
WALKS_OF_REST(access, "access_create", "access_replace", "read_file")
WALKS_OF_REST(destroy, "destroy_hwpt", "destroy_nested", "destroy_viommu",
	      "destroy_queue", "close_access")
WALKS_OF_REST(vfio, "vfio_ioas", "vfio_info", "vfio_unmap", "vfio_cut",
	      "vfio_vaddr")
WALKS_OF_REST(vfio_dirty, "vfio_dirty_get", "vfio_dirty_unmap",
	      "vfio_dirty_write", "vfio_dirty_stop")

/* Opening and closing a context that has everything in it */
TEST_F_TIMEOUT(fail_nth, open_and_close, 100)
{
	unsigned int n, failed = 0;

	for (n = 1; n < MAX_NTH; n++) {
		struct ctx c = {
			.fd = -1, .access = -1, .file = -1, .dmabuf = -1,
			.q = -1, .out_fd = -1, .buf = self->buf,
		};
		bool injected;

		arm(n);
		c.fd = iommu_open();
		injected = disarm();
		if (c.fd < 0) {
			ASSERT_EQ(ENOMEM, errno);
			ASSERT_TRUE(injected);
			failed++;
			continue;
		}
		ASSERT_EQ(0, with_vdevice(&c));
		ASSERT_EQ(0, mock_replace(c.fd, c.dev.stdev,
					  &(__u32){ c.nested }));
		ASSERT_EQ(0, op_hw_queue(&c));
		arm(n);
		close(c.fd);
		c.fd = -1;
		injected |= disarm();
		close_all(&c);
		ASSERT_EQ(0, check_unpinned(self->buf, NR * PAGE))
			TH_LOG("n %u", n);
		ASSERT_EQ(0, vm_pin(0));
		if (!injected)
			break;
	}
	TH_LOG("%u places, %u of them make open() fail", n - 1, failed);
	ASSERT_GT(MAX_NTH, n);
	EXPECT_LT(0, failed);
}

TEST_HARNESS_MAIN
