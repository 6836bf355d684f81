// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a device that is mapped by the address where the process has it
 * mapped. Any BAR will do, through its file in sysfs; nobody reads or writes it
 * here.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/capability.h>
#include <linux/perf_event.h>
#include <linux/vfio.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"
#include "stall.h"

#define BASE		(1ull << 30)
#define MAP_RO		(IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_FIXED_IOVA)
#define PARAM		"/sys/module/iommufd/parameters/pfnmap_maps"

FIXTURE(pfnmap)
{
	int fd, bar;
	__u32 ioas, hwpt;
	struct mock_dev dev;
	void *va;
	size_t len;
};

FIXTURE_VARIANT(pfnmap)
{
	bool domain;	/* there is one when it is mapped, and not only later */
};

FIXTURE_VARIANT_ADD(pfnmap, domain)
{
	.domain = true,
};

FIXTURE_VARIANT_ADD(pfnmap, domain_later)
{
};

static int add_domain(FIXTURE_DATA(pfnmap) *self)
{
	return hwpt_alloc(self->fd, self->dev.idev, self->ioas,
			  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &self->hwpt) ?:
	       hwpt_set_dirty(self->fd, self->hwpt, true);
}

FIXTURE_SETUP(pfnmap)
{
	__u32 other;

	OPEN_MOCK_OR_SKIP(self->fd);
	self->len = 4 * PAGE;
	self->bar = bar_open(self->len);
	if (self->bar < 0)
		SKIP(return, "no BAR of %zu bytes that can be mapped",
		     self->len);
	self->va = mmap(NULL, self->len, PROT_READ | PROT_WRITE, MAP_SHARED,
			self->bar, 0);
	ASSERT_NE(MAP_FAILED, self->va);
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, other, 0, &self->dev));
	if (variant->domain)
		ASSERT_EQ(0, add_domain(self));
}

FIXTURE_TEARDOWN(pfnmap)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
	close(self->bar);
}

static int map_bar(FIXTURE_DATA(pfnmap) *self, const void *va, size_t len,
		   __u64 iova)
{
	return ioas_map_at(self->fd, self->ioas, va, len, iova);
}

#define ENSURE_DOMAIN()                                                        \
	do {                                                                   \
		if (!variant->domain)                                          \
			ASSERT_EQ(0, add_domain(self));                        \
	} while (0)

TEST_F(pfnmap, maps)
{
	__u64 unmapped;

	ASSERT_EQ(0, map_bar(self, self->va, self->len, BASE));
	EXPECT_EQ(EEXIST, map_bar(self, self->va, PAGE, BASE));
	ENSURE_DOMAIN();
	EXPECT_UNITS(self->len, self->hwpt, BASE, 2 * self->len);
	/* It is no memory */
	EXPECT_EQ(0, vm_pin(0));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len,
				&unmapped));
	EXPECT_EQ(self->len, unmapped);
	EXPECT_UNITS(0, self->hwpt, BASE, 2 * self->len);
}

TEST_F(pfnmap, any_part)
{
	const size_t skip = PAGE + MOCK_PAGE_SIZE, len = PAGE;

	ASSERT_EQ(0, map_bar(self, self->va + skip, len, BASE));
	ENSURE_DOMAIN();
	EXPECT_UNITS(len, self->hwpt, BASE, self->len);
}

TEST_F(pfnmap, not_charged)
{
	pid_t pid = fork();
	int status;

	ASSERT_LE(0, pid);
	if (!pid) {
		if (memlock_limit_set(PAGE) || cap_drop(CAP_IPC_LOCK))
			_exit(1);
		_exit(map_bar(self, self->va, self->len, BASE) ? 2 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* Several VMAs are one mapping if together they map one part of a BAR */
TEST_F(pfnmap, adjacent)
{
	__u64 iova = BASE;
	void *va;

	/* The middle has another permission, which splits the VMA */
	ASSERT_EQ(0, mprotect(self->va + PAGE, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, map_bar(self, self->va, self->len, BASE));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->va, self->len, MAP_RO,
			      &iova));
	ENSURE_DOMAIN();
	EXPECT_UNITS(self->len, self->hwpt, BASE, self->len);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));

	/* And in another order they are one each */
	va = mmap(self->va, PAGE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_FIXED, self->bar, 3 * PAGE);
	ASSERT_EQ(self->va, va);
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->va, self->len, MAP_RO,
			      &iova));
	EXPECT_UNITS(self->len, self->hwpt, BASE, self->len);
}

TEST_F(pfnmap, refused)
{
	void *va;

	/* A hole */
	ASSERT_EQ(0, munmap(self->va + PAGE, PAGE));
	/* Without a domain it shows as late as with any other memory */
	EXPECT_EQ(variant->domain ? EFAULT : 0,
		  map_bar(self, self->va, self->len, BASE));
	if (!variant->domain) {
		EXPECT_EQ(EFAULT, add_domain(self));
		ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
		ASSERT_EQ(0, add_domain(self));
	}
	/* Nothing that was mapped of it has remained */
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
	/* Not writable, or not readable */
	va = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->bar, 0);
	ASSERT_NE(MAP_FAILED, va);
	EXPECT_EQ(EFAULT, map_bar(self, va, PAGE, BASE));
	ASSERT_EQ(0, mprotect(va, PAGE, PROT_NONE));
	EXPECT_EQ(EFAULT, map_bar(self, va, PAGE, BASE));
	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
}

/*
 * The ring buffer of perf is memory that is mapped like that of a device, and freed
 * when perf likes. It cannot be pinned, so no device may have it.
 */
TEST_F(pfnmap, memory_of_the_kernel)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_DUMMY,
	};
	int perf = syscall(SYS_perf_event_open, &attr, 0, -1, -1,
			   PERF_FLAG_FD_CLOEXEC);
	__u64 iova = BASE;
	void *va;

	ASSERT_LE(0, perf);
	va = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, perf, 0);
	ASSERT_NE(MAP_FAILED, va);
	EXPECT_EQ(EFAULT, map_bar(self, va, PAGE, BASE));
	EXPECT_EQ(EFAULT, ioas_map(self->fd, self->ioas, va, 2 * PAGE, MAP_RO,
				   &iova));
	ENSURE_DOMAIN();
	EXPECT_UNITS(0, self->hwpt, BASE, 2 * PAGE);
	EXPECT_EQ(0, munmap(va, 2 * PAGE));
	close(perf);
}

TEST_F(pfnmap, read_only_stays_so)
{
	__u64 iova = BASE, copy = BASE + PAGE;

	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, self->va, PAGE, MAP_RO,
			      &iova));
	EXPECT_EQ(EPERM, ioas_copy(self->fd, self->ioas, self->ioas, BASE, PAGE,
				   MAP_FIX_RW, &copy));
	EXPECT_EQ(0, ioas_copy(self->fd, self->ioas, self->ioas, BASE, PAGE,
			       MAP_RO, &copy));
	ENSURE_DOMAIN();
	EXPECT_UNITS(2 * PAGE, self->hwpt, BASE, 2 * PAGE);
	EXPECT_EQ(0, munmap(self->va, PAGE));
	EXPECT_UNITS(0, self->hwpt, BASE, 2 * PAGE);
}

/* Memory and a BAR in one call: one mapping each, and all or nothing */
TEST_F(pfnmap, mixed)
{
	const size_t len = 6 * PAGE;
	__u64 unmapped;
	__u8 *va = buf_alloc(len);

	ASSERT_NE(NULL, va);
	ASSERT_EQ(va + 2 * PAGE,
		  mmap(va + 2 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_FIXED, self->bar, 0));
	ASSERT_EQ(0, map_bar(self, va, len, BASE));
	ENSURE_DOMAIN();
	EXPECT_UNITS(len, self->hwpt, BASE, len);
	EXPECT_EQ(4, vm_pin(0));
	EXPECT_EQ(0, mock_check_map(self->fd, self->hwpt, BASE, va, 2 * PAGE));
	EXPECT_EQ(0, mock_check_map(self->fd, self->hwpt, BASE + 4 * PAGE,
				    va + 4 * PAGE, 2 * PAGE));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, len, &unmapped));
	EXPECT_EQ(len, unmapped);
	EXPECT_EQ(0, vm_pin(0));

	ASSERT_EQ(0, mprotect(va + 5 * PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(EFAULT, map_bar(self, va, len, BASE));
	EXPECT_UNITS(0, self->hwpt, BASE, len);
	EXPECT_EQ(0, vm_pin(0));
	munmap(va, len);
}

TEST_F(pfnmap, not_memory)
{
	__u64 iova = BASE;
	__u32 item;
	char data[8];
	int access;

	ASSERT_EQ(0, map_bar(self, self->va, self->len, BASE));
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &access));
	EXPECT_EQ(EINVAL, access_pin(self->fd, access, iova, PAGE, self->va, 0,
				     &item));
	EXPECT_EQ(EINVAL, access_rw(self->fd, access, iova, data, sizeof(data),
				    0));
	EXPECT_EQ(EINVAL, ioas_change_process(self->fd));
	close(access);
}

/* What the process does not map any more, no device reaches */
TEST_F(pfnmap, munmap_ends_it)
{
	__u64 unmapped;

	ASSERT_EQ(0, map_bar(self, self->va, self->len, BASE));
	ENSURE_DOMAIN();
	ASSERT_EQ(0, munmap(self->va, self->len));
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
	/* The mapping is there, if empty, and what comes there later is another */
	ASSERT_EQ(self->va, mmap(self->va, self->len, PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_FIXED, self->bar, 0));
	usleep(300000);
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
	EXPECT_EQ(EEXIST, map_bar(self, self->va, PAGE, BASE + PAGE));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len,
				&unmapped));
	EXPECT_EQ(self->len, unmapped);
	ASSERT_EQ(0, map_bar(self, self->va, self->len, BASE));
	EXPECT_UNITS(self->len, self->hwpt, BASE, self->len);
}

TEST_F(pfnmap, mremap_ends_it)
{
	void *to = mmap(NULL, self->len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	ASSERT_NE(MAP_FAILED, to);
	ASSERT_EQ(0, map_bar(self, self->va, self->len, BASE));
	ENSURE_DOMAIN();
	/* Those of sysfs do not move, which is as good */
	if (mremap(self->va, self->len, self->len,
		   MREMAP_MAYMOVE | MREMAP_FIXED, to) == MAP_FAILED)
		ASSERT_EQ(0, munmap(self->va, self->len));
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
}

/* A permission that is taken away comes back, and so do all mappings */
TEST_F(pfnmap, mprotect_and_back)
{
	__u64 copy = BASE + self->len;
	__u32 hwpt2;

	ASSERT_EQ(0, map_bar(self, self->va, self->len, BASE));
	ENSURE_DOMAIN();
	ASSERT_EQ(0, mprotect(self->va + PAGE, PAGE, PROT_READ));
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
	/* Copies and domains that come meanwhile are as empty */
	ASSERT_EQ(0, ioas_copy(self->fd, self->ioas, self->ioas, BASE, PAGE,
			       MAP_FIX_RW, &copy));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &hwpt2));
	ASSERT_EQ(0, hwpt_set_dirty(self->fd, hwpt2, true));
	EXPECT_UNITS(0, hwpt2, BASE, 2 * self->len);
	/* Not half of it */
	usleep(300000);
	EXPECT_UNITS(0, self->hwpt, BASE, 2 * self->len);

	ASSERT_EQ(0, mprotect(self->va + PAGE, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_UNITS_SOON(self->len + PAGE, self->hwpt, BASE, 2 * self->len);
	EXPECT_UNITS_SOON(self->len + PAGE, hwpt2, BASE, 2 * self->len);
}

TEST_F(pfnmap, fork_and_exit)
{
	int status, go[2];
	pid_t pid;
	char c;

	/* A child that maps, and what it leaves behind */
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		status = map_bar(self, self->va, self->len, BASE);
		if (write(go[1], "", 1) != 1)
			_exit(100);
		pause();
		_exit(status);
	}
	ASSERT_EQ(1, read(go[0], &c, 1));
	ENSURE_DOMAIN();
	EXPECT_UNITS(self->len, self->hwpt, BASE, self->len);
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	/* The address space goes with the last who looks at it */
	EXPECT_UNITS_SOON(0, self->hwpt, BASE, self->len);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));

	/* A child that exits takes nothing of its parent's */
	ASSERT_EQ(0, map_bar(self, self->va, self->len, BASE));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(0);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_UNITS_SOON(self->len, self->hwpt, BASE, self->len);
}

TEST_F(pfnmap, module_parameter)
{
	struct iommu_vfio_ioas set = {
		.size = sizeof(set),
		.ioas_id = self->ioas,
		.op = IOMMU_VFIO_IOAS_SET,
	};
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)self->va,
		.iova = BASE,
		.size = self->len,
	};

	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_VFIO_IOAS, &set));
	ASSERT_EQ(0, write_text(PARAM, "0"));
	EXPECT_EQ(variant->domain ? EFAULT : 0,
		  map_bar(self, self->va, self->len, BASE));
	ioas_unmap_all(self->fd, self->ioas, NULL);
	EXPECT_EQ(variant->domain ? EFAULT : 0,
		  iommu_cmd(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	ioas_unmap_all(self->fd, self->ioas, NULL);

	ENSURE_DOMAIN();
	ASSERT_EQ(0, write_text(PARAM, "1"));
	EXPECT_EQ(EFAULT, map_bar(self, self->va, self->len, BASE));
	EXPECT_EQ(0, iommu_cmd(self->fd, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_UNITS(self->len, self->hwpt, BASE, self->len);
	ASSERT_EQ(0, write_text(PARAM, "2"));
}

/* Takes the permission away and gives it back until it is told to stop */
static void *toggler(void *arg)
{
	FIXTURE_DATA(pfnmap) *self = arg;
	static const int prot[] = { PROT_READ, PROT_READ | PROT_WRITE };
	unsigned int i;

	for (i = 0; self->va; i++)
		mprotect(__atomic_load_n(&self->va, __ATOMIC_RELAXED),
			 self->len, prot[i % 2]);
	return NULL;
}

/* Maps and unmaps against revocation; in the end nothing is left */
TEST_F_TIMEOUT(pfnmap, races, 120)
{
	void *va = self->va;
	unsigned int mapped = 0;
	pthread_t thread;
	int rc;

	ENSURE_DOMAIN();
	ASSERT_EQ(0, pthread_create(&thread, NULL, toggler, self));
	for (unsigned int i = 0; i < 2000; i++) {
		rc = map_bar(self, va, self->len, BASE);
		if (rc) {
			ASSERT_EQ(EFAULT, rc);
			continue;
		}
		mapped++;
		ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, self->len,
					NULL));
	}
	__atomic_store_n(&self->va, NULL, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	EXPECT_LT(0, mapped);
	EXPECT_UNITS(0, self->hwpt, BASE, self->len);
}

FIXTURE_LIKE(pfnmap_stall, pfnmap)

FIXTURE_VARIANT_ADD(pfnmap_stall, domain)
{
	.domain = true,
};

/*
 * The last domain is about to go when the memory is mapped, and is gone when it
 * would be pinned, which alone shows whose memory it is.
 */
TEST_F(pfnmap_stall, last_domain_goes)
{
	FIXTURE_DATA(pfnmap) *pfnmap = (void *)self;
	struct iommu_destroy destroy = {
		.size = sizeof(destroy),
		.id = self->hwpt,
	};
	struct iommu_ioas_map map[] = {
		{ .iova = BASE, .length = PAGE },
		{ .iova = BASE + PAGE, .length = PAGE },
	};
	struct stall stall = {};
	struct call calls[3];
	int rc;

	rc = stall_init(&stall, false, NULL, 0);
	if (rc)
		SKIP(return, "no userfaultfd: %s", strerror(rc));
	for (unsigned int i = 0; i < ARRAY_LEN(map); i++) {
		map[i].size = sizeof(map[i]);
		map[i].flags = MAP_FIX_RW;
		map[i].ioas_id = self->ioas;
		map[i].user_va = (uintptr_t)(i ? self->va : stall.page);
	}
	/* One that keeps the domain from going, and one that waits behind that */
	ASSERT_EQ(0, call_start(&calls[0], __NR_ioctl, self->fd, IOMMU_IOAS_MAP,
				(long)&map[0]));
	ASSERT_EQ(0, stall_wait(&stall));
	ASSERT_EQ(0, call_start(&calls[1], __NR_ioctl, self->fd, IOMMU_DESTROY,
				(long)&destroy));
	usleep(300000);
	ASSERT_EQ(0, call_start(&calls[2], __NR_ioctl, self->fd, IOMMU_IOAS_MAP,
				(long)&map[1]));
	usleep(300000);
	ASSERT_EQ(0, stall_release(&stall, "", 1));
	for (unsigned int i = 0; i < ARRAY_LEN(calls); i++) {
		call_join(&calls[i]);
		EXPECT_EQ(0, calls[i].err)
			TH_LOG("call %u", i);
	}
	ASSERT_EQ(0, add_domain(pfnmap));
	EXPECT_UNITS(2 * PAGE, self->hwpt, BASE, 2 * PAGE);
	EXPECT_EQ(1, vm_pin(0));
	close(stall.uffd);
}

TEST_HARNESS_MAIN
