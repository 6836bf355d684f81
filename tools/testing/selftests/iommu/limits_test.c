// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is charged for pinned memory and against what limit; and what fork, exec,
 * exit and IOAS_CHANGE_PROCESS make of it.
 *
 * Tests of a limit run as a user of their own, so that nobody else's locked
 * memory counts, and without CAP_IPC_LOCK.
 */
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

#define LIMIT 8
#define NR 32
#define BASE ((__u64)MOCK_APERTURE_START)
#define TEST_UID 60217

enum mode { NONE, USER, PROCESS };

FIXTURE(limits)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
	struct mock_dev dev;
};

FIXTURE_VARIANT(limits)
{
	enum mode mode;
};

FIXTURE_VARIANT_ADD(limits, none) { .mode = NONE };
FIXTURE_VARIANT_ADD(limits, user) { .mode = USER };
FIXTURE_VARIANT_ADD(limits, process) { .mode = PROCESS };

FIXTURE_SETUP(limits)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	if (geteuid())
		SKIP(return, "has to start as root to change what it may");
	if (variant->mode == PROCESS)
		ASSERT_EQ(0, option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0,
					1));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	/* No faults that the limit could meet later */
	memset(self->buf, 1, NR * PAGE);
	ASSERT_EQ(0, memlock_limit_set(LIMIT * PAGE));
	if (variant->mode != NONE)
		ASSERT_EQ(0, setresuid(TEST_UID, TEST_UID, TEST_UID));
	ASSERT_EQ(variant->mode == NONE, cap_have(CAP_IPC_LOCK));
}

FIXTURE_TEARDOWN(limits)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, vm_pin(0));
	EXPECT_EQ(0, vm_lck(0));
}

/* Whoever may lock any amount */
FIXTURE_LIKE(limits_privileged, limits)

FIXTURE_VARIANT_ADD(limits_privileged, none) { .mode = NONE };

/* Whose limit is their own, not that of the user */
FIXTURE_LIKE(limits_process, limits)

FIXTURE_VARIANT_ADD(limits_process, process) { .mode = PROCESS };

#define EXPECT_CHARGE(n)                                                       \
	do {                                                                   \
		EXPECT_EQ(n, vm_pin(0));                                       \
		EXPECT_EQ(variant->mode == PROCESS ? (n) : 0, vm_lck(0));      \
	} while (0)
#define OVER_LIMIT (variant->mode == NONE ? 0 : ENOMEM)
#define MAP(page, n) \
	ioas_map_at(self->fd, self->ioas, self->buf + (page) * PAGE, \
		    (n) * PAGE, BASE + (page) * PAGE)
#define UNMAP(page, n) \
	ioas_unmap(self->fd, self->ioas, BASE + (page) * PAGE, (n) * PAGE, \
		   NULL)
#define ATTACH() mock_attach(self->fd, self->ioas, 0, &self->dev)
#define EXPECT_PINS(want, page, n) \
	EXPECT_EQ(0, mock_check_pins(self->fd, self->buf + (page) * PAGE, \
				     (n) * PAGE, want))

TEST_F(limits, reached_exactly)
{
	ASSERT_EQ(0, ATTACH());
	ASSERT_EQ(0, MAP(0, LIMIT - 1));
	ASSERT_EQ(0, MAP(LIMIT - 1, 1));
	EXPECT_CHARGE(LIMIT);
	EXPECT_EQ(OVER_LIMIT, MAP(LIMIT, 1));
	if (variant->mode == NONE)
		ASSERT_EQ(0, UNMAP(LIMIT, 1));
	EXPECT_CHARGE(LIMIT);
	EXPECT_PINS(0, LIMIT, 1);
	ASSERT_EQ(0, UNMAP(0, LIMIT - 1));
	EXPECT_CHARGE(1);
	ASSERT_EQ(0, MAP(0, LIMIT - 1));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_CHARGE(0);
}

/* Refused as a whole, and before a device could see any of it */
TEST_F(limits, exceeded_by_one)
{
	ASSERT_EQ(0, ATTACH());
	EXPECT_EQ(OVER_LIMIT, MAP(0, LIMIT + 1));
	if (variant->mode == NONE) {
		EXPECT_CHARGE(LIMIT + 1);
		return;
	}
	EXPECT_CHARGE(0);
	EXPECT_PINS(0, 0, NR);
	EXPECT_EQ(EINVAL, mock_check_map(self->fd, self->dev.hwpt, BASE,
					 self->buf, PAGE));
	EXPECT_EQ(ENOENT, UNMAP(0, LIMIT + 1));
	EXPECT_EQ(0, MAP(0, LIMIT));
}

/* What is wrong with the memory counts before what there is too much of */
TEST_F(limits, bad_address_comes_first)
{
	const size_t len = (LIMIT + 2) * PAGE;
	const struct {
		size_t page, n;
		int prot;	/* of these pages; -1: not mapped at all */
	} t[] = {
		{ 0, 1, -1 },
		{ 3, 1, -1 },
		{ LIMIT + 1, 1, -1 },
		{ 0, LIMIT + 2, -1 },
		{ 0, 1, PROT_NONE },
		{ 5, 2, PROT_READ },
		{ LIMIT + 1, 1, PROT_READ },
	};
	__u64 iova = BASE;
	__u8 *va;

	ASSERT_EQ(0, ATTACH());
	for (unsigned int i = 0; i < ARRAY_LEN(t); i++) {
		va = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		ASSERT_NE(MAP_FAILED, va);
		/* Any number of mappings that are fine */
		ASSERT_EQ(0, madvise(va + 2 * PAGE, PAGE, MADV_DONTFORK));
		EXPECT_EQ(OVER_LIMIT, ioas_map_at(self->fd, self->ioas, va, len,
						  BASE));
		if (!OVER_LIMIT)
			EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas,
						    NULL));
		if (t[i].prot < 0) {
			ASSERT_EQ(0, munmap(va + t[i].page * PAGE,
					    t[i].n * PAGE));
		} else {
			ASSERT_EQ(0, mprotect(va + t[i].page * PAGE,
					      t[i].n * PAGE, t[i].prot));
		}
		EXPECT_EQ(EFAULT, ioas_map_at(self->fd, self->ioas, va, len,
					      BASE))
			TH_LOG("entry %u", i);
		EXPECT_CHARGE(0);
		munmap(va, len);
	}
	EXPECT_EQ(EFAULT, ioas_map_at(self->fd, self->ioas, NULL, len, BASE));
	EXPECT_EQ(EFAULT, ioas_map_at(self->fd, self->ioas,
				      (void *)-(2 * len), len, BASE));
	/* To only read is to ask for less */
	va = mmap(NULL, len, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, va);
	EXPECT_EQ(EFAULT, ioas_map_at(self->fd, self->ioas, va, len, BASE));
	EXPECT_EQ(OVER_LIMIT, ioas_map(self->fd, self->ioas, va, len,
				       MAP_FIX | MAP_R, &iova));
	ioas_unmap_all(self->fd, self->ioas, NULL);
	EXPECT_CHARGE(0);
	munmap(va, len);
}

/* Half a page costs one, and each backing its own */
TEST_F(limits, units)
{
	ASSERT_EQ(0, ATTACH());
	for (int i = 0; i < LIMIT; i++)
		ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf,
					 MOCK_PAGE_SIZE, BASE + i * PAGE));
	EXPECT_CHARGE(LIMIT);
	EXPECT_EQ(OVER_LIMIT, ioas_map_at(self->fd, self->ioas, self->buf,
					  MOCK_PAGE_SIZE, BASE + NR * PAGE));
	EXPECT_PINS(LIMIT + !OVER_LIMIT, 0, 1);
}

/* The limit is asked when pages get pinned */
TEST_F(limits, charged_when_pinned)
{
	ASSERT_EQ(0, MAP(0, LIMIT));
	ASSERT_EQ(0, MAP(LIMIT, LIMIT));
	EXPECT_CHARGE(0);
	EXPECT_EQ(OVER_LIMIT, ATTACH());
	if (variant->mode != NONE) {
		EXPECT_CHARGE(0);
		EXPECT_PINS(0, 0, 2 * LIMIT);
		ASSERT_EQ(0, UNMAP(0, LIMIT));
		ASSERT_EQ(0, ATTACH());
		EXPECT_CHARGE(LIMIT);
		EXPECT_EQ(0, mock_check_map(self->fd, self->dev.hwpt,
					    BASE + LIMIT * PAGE,
					    self->buf + LIMIT * PAGE,
					    LIMIT * PAGE));
	}
	ASSERT_EQ(0, iommu_destroy(self->fd, self->dev.stdev));
	EXPECT_CHARGE(0);
}

/* The soft limit as it is at that time */
TEST_F(limits, limit_changes)
{
	struct rlimit lim = { LIMIT / 2 * PAGE, LIMIT * PAGE };

	ASSERT_EQ(0, ATTACH());
	ASSERT_EQ(0, MAP(0, LIMIT / 2));
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &lim));
	EXPECT_EQ(OVER_LIMIT, MAP(LIMIT / 2, 1));
	if (!OVER_LIMIT)
		ASSERT_EQ(0, UNMAP(LIMIT / 2, 1));
	lim.rlim_cur = lim.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &lim));
	EXPECT_EQ(0, MAP(LIMIT / 2, LIMIT / 2));
	/* Below what is charged already: nothing new, everything old */
	lim.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &lim));
	EXPECT_EQ(OVER_LIMIT, MAP(LIMIT, 1));
	EXPECT_EQ(0, UNMAP(0, LIMIT / 2));
	EXPECT_EQ(OVER_LIMIT, MAP(0, 1));
}

TEST_F(limits, copies_are_free)
{
	__u64 iova = BASE;
	struct mock_dev dev;
	__u32 ioas2;

	ASSERT_EQ(0, ATTACH());
	ASSERT_EQ(0, MAP(0, LIMIT));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, mock_attach(self->fd, ioas2, 0, &dev));
	ASSERT_EQ(0, ioas_copy(self->fd, ioas2, self->ioas, BASE, LIMIT * PAGE,
			       MAP_FIX_RW, &iova));
	EXPECT_CHARGE(LIMIT);
	ASSERT_EQ(0, UNMAP(0, LIMIT));
	EXPECT_CHARGE(LIMIT);
	EXPECT_EQ(OVER_LIMIT, MAP(0, 1));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, ioas2, NULL));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_CHARGE(0);
}

TEST_F(limits, files)
{
	int file = memfd_of(NR * PAGE, 0);
	__u64 iova = BASE;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ATTACH());
	EXPECT_EQ(OVER_LIMIT, ioas_map_file(self->fd, self->ioas, file, 0,
					    (LIMIT + 1) * PAGE, MAP_FIX_RW,
					    &iova));
	if (!OVER_LIMIT)
		ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_CHARGE(0);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, PAGE,
				   LIMIT * PAGE, MAP_FIX_RW, &iova));
	EXPECT_CHARGE(LIMIT);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_CHARGE(0);
	close(file);
}

TEST_F(limits, access_pins)
{
	__u32 item[2];
	int access;

	ASSERT_EQ(0, MAP(0, NR));
	ASSERT_EQ(0, access_create(self->fd, self->ioas,
				   MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
				   &access));
	ASSERT_EQ(0, access_pin(self->fd, access, BASE, LIMIT * PAGE,
				self->buf, 0, &item[0]));
	/* A second pin of the same page is free, of the next not */
	ASSERT_EQ(0, access_pin(self->fd, access, BASE + PAGE, PAGE,
				self->buf + PAGE, 0, &item[1]));
	EXPECT_CHARGE(LIMIT);
	EXPECT_EQ(0, access_unpin(self->fd, access, item[1]));
	EXPECT_EQ(OVER_LIMIT, access_pin(self->fd, access,
					 BASE + LIMIT * PAGE, PAGE, NULL, 0,
					 &item[1]));
	if (!OVER_LIMIT)
		EXPECT_EQ(0, access_unpin(self->fd, access, item[1]));
	EXPECT_CHARGE(LIMIT);
	EXPECT_EQ(0, access_unpin(self->fd, access, item[0]));
	EXPECT_CHARGE(0);
	/* Reading and writing is not charged */
	EXPECT_EQ(0, access_rw(self->fd, access, BASE, self->buf, NR * PAGE,
			       MOCK_ACCESS_RW_SLOW_PATH));
	EXPECT_CHARGE(0);
	close(access);
}

/* Two processes of one user share its limit, and have each their own */
TEST_F(limits, two_processes)
{
	int want = variant->mode == USER ? ENOMEM : 0;
	int status;
	pid_t pid;

	ASSERT_EQ(0, ATTACH());
	ASSERT_EQ(0, MAP(0, LIMIT));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (vm_pin(0) || vm_lck(0))
			_exit(1);
		if (MAP(LIMIT, LIMIT) != want)
			_exit(2);
		if (vm_pin(0) != (want ? 0 : LIMIT))
			_exit(3);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_CHARGE(LIMIT);
	/* What it mapped stays after it */
	EXPECT_PINS(want ? 0 : 1, LIMIT, LIMIT);
	EXPECT_EQ(want ? ENOENT : 0, UNMAP(LIMIT, LIMIT));
	EXPECT_PINS(0, LIMIT, LIMIT);
	EXPECT_CHARGE(LIMIT);
}

/* A user pays until the pages go, not until the process does */
TEST_F(limits, charge_outlives_process)
{
	int status;
	pid_t pid;

	ASSERT_EQ(0, ATTACH());
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(MAP(0, LIMIT));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_CHARGE(0);
	EXPECT_EQ(variant->mode == USER ? ENOMEM : 0, MAP(LIMIT, 1));
	ASSERT_EQ(0, UNMAP(0, LIMIT));
	if (variant->mode != USER)
		ASSERT_EQ(0, UNMAP(LIMIT, 1));
	EXPECT_EQ(0, MAP(LIMIT, LIMIT));
	EXPECT_CHARGE(LIMIT);
}

/* The limit is that of who mapped, not of who makes it be pinned */
TEST_F(limits, limit_of_the_owner)
{
	int go[2], done[2], status;
	struct rlimit lim = { 0, LIMIT * PAGE };
	char c = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(go));
	ASSERT_EQ(0, pipe(done));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(done[1]);
		if (MAP(0, LIMIT) || setrlimit(RLIMIT_MEMLOCK, &lim))
			_exit(1);
		if (write(go[1], &c, 1) != 1 || read(done[0], &c, 1) < 0)
			_exit(2);
		_exit(0);
	}
	ASSERT_EQ(1, read(go[0], &c, 1));
	EXPECT_EQ(OVER_LIMIT, ATTACH());
	EXPECT_CHARGE(0);
	EXPECT_EQ(OVER_LIMIT ? 0 : LIMIT, vm_pin(pid));
	EXPECT_EQ(1, write(done[1], &c, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* How a mapping is accounted is settled when it is made */
TEST_F(limits_privileged, capability_lost_later)
{
	ASSERT_EQ(0, MAP(0, LIMIT + 1));
	ASSERT_EQ(0, cap_drop(CAP_IPC_LOCK));
	ASSERT_EQ(0, memlock_limit_set(0));
	ASSERT_EQ(0, ATTACH());
	EXPECT_CHARGE(LIMIT + 1);
	EXPECT_EQ(ENOMEM, MAP(LIMIT + 1, 1));
	EXPECT_EQ(0, UNMAP(0, LIMIT + 1));
	EXPECT_CHARGE(0);
}

/*
 * The other side of an exec: the descriptor is inherited, the address space
 * that made the mappings is gone. Runs before main().
 */
static void __attribute__((constructor(101))) after_exec(void)
{
	const char *arg = getenv("IOMMU_TEST_EXEC");
	int fd, domain, failed = 0;
	__u64 unmapped;
	__u32 ioas;

	if (!arg)
		return;
	if (sscanf(arg, "%d %u %d", &fd, &ioas, &domain) != 3)
		_exit(100);
	page_size = sysconf(_SC_PAGESIZE);
	if (vm_pin(0) || vm_lck(0))
		failed |= 1;
	/* Nobody is left to pin from; what is pinned can be shared on */
	if (!domain && mock_attach(fd, ioas, 0, NULL) != EFAULT)
		failed |= 2;
	if (domain && mock_attach(fd, ioas, 0, NULL))
		failed |= 4;
	if (ioas_unmap(fd, ioas, BASE, LIMIT * page_size, &unmapped) ||
	    unmapped != LIMIT * page_size)
		failed |= 8;
	if (vm_pin(0) || vm_lck(0))
		failed |= 16;
	_exit(failed);
}

static void exec_self(int fd, __u32 ioas, int domain)
{
	char arg[64], *argv[] = { "exec", NULL }, *env[] = { arg, NULL };

	snprintf(arg, sizeof(arg), "IOMMU_TEST_EXEC=%d %u %d", fd, ioas,
		 domain);
	fcntl(fd, F_SETFD, 0);
	execve("/proc/self/exe", argv, env);
}

TEST_F(limits, exec)
{
	for (int domain = 0; domain < 2; domain++) {
		int status;
		pid_t pid;

		if (domain)
			ASSERT_EQ(0, ATTACH());
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			if (MAP(0, LIMIT))
				_exit(101);
			exec_self(self->fd, self->ioas, domain);
			_exit(102);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		EXPECT_PINS(0, 0, NR);
		/* The user's charge is gone too: the limit is free */
		if (domain)
			EXPECT_EQ(0, MAP(0, LIMIT));
	}
}

/*
 * IOAS_CHANGE_PROCESS. Only mappings of files can move.
 */
static int child_takes_over(int fd, int want, long pages, bool lck)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -1;
	if (!pid) {
		if (vm_pin(0) || vm_lck(0))
			_exit(1);
		if (ioas_change_process(fd) != want)
			_exit(2);
		if (want)
			pages = 0;
		if (vm_pin(0) != pages || vm_lck(0) != (lck ? pages : 0))
			_exit(3);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

TEST_F(limits, change_process)
{
	int file = memfd_of(NR * PAGE, 0);
	__u64 iova = BASE;

	ASSERT_LE(0, file);
	EXPECT_EQ(0, ioas_change_process(self->fd));
	ASSERT_EQ(0, ATTACH());
	EXPECT_EQ(0, ioas_change_process(self->fd));
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, 0, LIMIT * PAGE,
				   MAP_FIX_RW, &iova));
	/* One's own already */
	EXPECT_EQ(0, ioas_change_process(self->fd));
	EXPECT_CHARGE(LIMIT);
	EXPECT_EQ(0, child_takes_over(self->fd, 0, LIMIT,
				      variant->mode == PROCESS));
	EXPECT_CHARGE(0);
	/* From a process that is no more */
	EXPECT_EQ(0, ioas_change_process(self->fd));
	EXPECT_CHARGE(LIMIT);
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_CHARGE(0);
	close(file);
}

/* Anything else than files in any IOAS of the context is in the way */
TEST_F(limits, change_process_refused)
{
	int file = memfd_of(NR * PAGE, 0);
	__u64 iova = BASE;
	__u32 ioas2;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ATTACH());
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, 0, 2 * PAGE,
				   MAP_FIX_RW, &iova));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, ioas_map_at(self->fd, ioas2, self->buf, PAGE, BASE));
	EXPECT_EQ(EINVAL, ioas_change_process(self->fd));
	EXPECT_EQ(0, child_takes_over(self->fd, EINVAL, 0, false));
	EXPECT_CHARGE(2);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, ioas2, NULL));
	EXPECT_EQ(0, ioas_change_process(self->fd));
	EXPECT_CHARGE(2);
	close(file);
}

/* No room at the new owner: all stays with the old */
TEST_F(limits_process, change_process_over_limit)
{
	int file = memfd_of(NR * PAGE, 0), status;
	struct rlimit lim = { (LIMIT - 1) * PAGE, LIMIT * PAGE };
	__u64 iova = BASE;
	pid_t pid;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ATTACH());
	for (int i = 0; i < LIMIT; i++) {
		ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file,
					   i * PAGE, PAGE, MAP_FIX_RW, &iova));
		iova += PAGE;
	}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (setrlimit(RLIMIT_MEMLOCK, &lim))
			_exit(1);
		if (ioas_change_process(self->fd) != ENOMEM)
			_exit(2);
		_exit(vm_pin(0) || vm_lck(0) ? 3 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_CHARGE(LIMIT);
	close(file);
}

/* A backing shared by copies moves once */
TEST_F(limits, change_process_shared)
{
	int file = memfd_of(NR * PAGE, 0);
	struct mock_dev dev;
	__u64 iova = BASE;
	__u32 ioas2;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, ATTACH());
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, 0, LIMIT * PAGE,
				   MAP_FIX_RW, &iova));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	ASSERT_EQ(0, mock_attach(self->fd, ioas2, 0, &dev));
	ASSERT_EQ(0, ioas_copy(self->fd, ioas2, self->ioas, BASE + PAGE, PAGE,
			       MAP_FIX_RW, &iova));
	EXPECT_CHARGE(LIMIT);
	EXPECT_EQ(0, child_takes_over(self->fd, 0, LIMIT,
				      variant->mode == PROCESS));
	EXPECT_CHARGE(0);
	close(file);
}

TEST_HARNESS_MAIN
