// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two devices do DMA, and every byte of it is looked at, while mappings come and go,
 * devices are moved between page tables, reset, and taken away and brought back,
 * processes that have mapped memory die, and memory runs out. Nothing may be left
 * of it at the end.
 *
 * The devices are two of QEMU's "edu" behind an IOMMU. Where there are none, a
 * kernel access and a mock device stand in for each: the access reads and writes,
 * and the page table of the mock device has to agree with it.
 *
 * For SOAK_SECONDS of the environment, or 20. TEST_SEED repeats the random choices.
 */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "edu.h"
#include "fail_nth.h"
#include "stress.h"

#define DEVS	2
#define CHURNS	2
/* What the devices work on, and what the others map; edu has 28 bits of address */
#define DMA_AT(i)	(EDU_IOVA + (__u64)(i) * (4 << 20))
#define CHURN_AT(i)	(EDU_IOVA + (32ULL << 20) + (__u64)(i) * (32 << 20))
#define CHURN_SLOTS	16
#define CHURN_BYTES	(16 * PAGE)
#define CGROUP	"/sys/fs/cgroup"

struct soak;

/* Something that does DMA */
struct device {
	struct soak *soak;
	unsigned int nr;
	pthread_mutex_t lock;	/* held while it does, and while it changes */
	bool attached;
	unsigned int where;	/* index of its IOAS */
	struct edu edu;
	__u32 devid;
	struct mock_dev mock;
	int access;		/* that stands in for it, or -1 */
	unsigned long transfers, changes;
};

struct churn {
	struct soak *soak;
	unsigned int nr;
	__u64 seed;
	bool mapped[2][CHURN_SLOTS];
	char *buf;
	unsigned long maps, failures;
};

struct soak {
	int fd;
	bool real;
	__u32 ioas[2];
	struct device dev[DEVS];
	struct churn churn[CHURNS];
	time_t end;
	bool attached;		/* all devices, for the first time */
	bool failed, pressure;
	char msg[200];		/* of the first failure */
	unsigned long exits;	/* of processes that had mapped memory */
	unsigned long greedy;	/* that asked for more than there was */
};

static void __attribute__((format(printf, 2, 3)))
soak_fail(struct soak *s, const char *fmt, ...)
{
	va_list args;

	if (__atomic_exchange_n(&s->failed, true, __ATOMIC_RELAXED))
		return;
	va_start(args, fmt);
	vsnprintf(s->msg, sizeof(s->msg), fmt, args);
	va_end(args);
}

static bool soak_on(struct soak *s)
{
	return now() < s->end && !__atomic_load_n(&s->failed, __ATOMIC_RELAXED);
}

/*
 * Devices
 */

static int device_attach(struct device *d, unsigned int where)
{
	struct soak *s = d->soak;
	__u32 pt = s->ioas[where];
	int rc;

	if (s->real) {
		rc = vfio_attach(d->edu.dev, &pt);
	} else {
		if (d->attached) {
			rc = mock_replace(s->fd, d->mock.stdev, &pt);
			if (!rc)
				d->mock.hwpt = pt;
		} else {
			rc = mock_attach(s->fd, pt, 0, &d->mock);
		}
		if (!rc)
			rc = access_replace(s->fd, d->access, s->ioas[where]);
	}
	if (!rc) {
		d->attached = true;
		d->where = where;
	}
	return rc;
}

static int device_detach(struct device *d)
{
	int rc;

	if (!d->attached)
		return 0;
	rc = d->soak->real ? vfio_detach(d->edu.dev) :
			     iommu_destroy(d->soak->fd, d->mock.stdev);
	d->attached = rc;
	return rc;
}

static int device_open(struct device *d)
{
	struct soak *s = d->soak;
	int rc;

	d->access = -1;
	if (!s->real)
		return access_create(s->fd, s->ioas[0], 0, &d->access);
	rc = edu_open(&d->edu, d->nr);
	if (!rc)
		rc = edu_bind(&d->edu, s->fd, &d->devid);
	return rc ?: edu_start(&d->edu);
}

static void device_close(struct device *d)
{
	device_detach(d);
	if (d->soak->real)
		edu_close(&d->edu);
	else
		close(d->access);
	d->attached = false;
}

/* The device goes from the bus, and is found there again */
static int device_replug(struct device *d)
{
	char path[600], bdf[256];

	if (!d->soak->real) {
		device_close(d);
		return device_open(d);
	}
	snprintf(bdf, sizeof(bdf), "%s", d->edu.bdf);
	device_close(d);
	snprintf(path, sizeof(path), PCI "/devices/%s/remove", bdf);
	return write_text(path, "1") ?: write_text(PCI "/rescan", "1") ?:
	       device_open(d);
}

static int device_reset(struct device *d)
{
	if (!d->soak->real)
		return 0;
	munmap(d->edu.bar, d->edu.bar_len);
	d->edu.bar = NULL;
	return edu_start(&d->edu);
}

/* From one IOVA to another, through what the device is attached to */
static bool device_copy(struct device *d, __u64 from, __u64 to)
{
	static __thread __u8 data[EDU_LEN];
	struct soak *s = d->soak;

	if (s->real)
		return edu_copy(&d->edu, from, to, EDU_LEN);
	return !access_rw(s->fd, d->access, from, data, EDU_LEN,
			  MOCK_ACCESS_RW_SLOW_PATH) &&
	       !access_rw(s->fd, d->access, to, data, EDU_LEN,
			  MOCK_ACCESS_RW_SLOW_PATH | MOCK_ACCESS_RW_WRITE);
}

/* Only a real device can be seen not to reach what is unmapped */
static void device_blocked(struct device *d, __u64 from, __u64 to)
{
	struct soak *s = d->soak;

	if (s->real) {
		if (!edu_copy(&d->edu, from, to, EDU_LEN))
			soak_fail(s, "a transfer that is stopped does not end");
	} else if (access_rw(s->fd, d->access, to, &from, 8,
			     MOCK_ACCESS_RW_WRITE) != ENOENT) {
		soak_fail(s, "memory is reached that is unmapped");
	}
}

/*
 * What devices write and read
 */

static void fill(__u8 *buf, size_t len, __u64 *seed)
{
	for (size_t i = 0; i < len; i += 8) {
		__u64 val = rnd(seed);

		memcpy(buf + i, &val, 8);
	}
}

/* Nothing but the bytes from @len on of one page has changed */
static bool only(const __u8 *page, const __u8 *want, const __u8 *before)
{
	return !memcmp(page, want, EDU_LEN) &&
	       !memcmp(page + EDU_LEN, before + EDU_LEN, PAGE - EDU_LEN);
}

/* One transfer, into memory that is mapped just for it, in both address spaces */
static void transfer_one(struct device *d, __u8 *buf, __u8 *before, __u64 *seed)
{
	__u64 from = DMA_AT(d->nr), to = from + (2 << 20);
	struct soak *s = d->soak;
	__u8 *src = buf, *dst = buf + PAGE;
	int rc = 0;

	fill(src, EDU_LEN, seed);
	fill(dst, PAGE, seed);
	memcpy(before, dst, PAGE);
	for (int i = 0; i < 2; i++)
		rc = rc ?: ioas_map_at(s->fd, s->ioas[i], dst, PAGE, to);
	if (rc) {
		soak_fail(s, "map: %s", strerror(rc));
		return;
	}
	if (!s->real && mock_check_map(s->fd, d->mock.hwpt, to, dst, PAGE))
		soak_fail(s, "the mock has another page at %#llx", to);
	if (!device_copy(d, from, to) || !only(dst, src, before))
		soak_fail(s, "device %u: transfer %lu went wrong", d->nr,
			  d->transfers);
	for (int i = 0; i < 2; i++)
		rc = rc ?: ioas_unmap(s->fd, s->ioas[i], to, PAGE, NULL);
	if (rc)
		soak_fail(s, "unmap: %s", strerror(rc));
	memcpy(before, dst, PAGE);
	fill(src, EDU_LEN, seed);
	device_blocked(d, from, to);
	if (memcmp(dst, before, PAGE))
		soak_fail(s, "device %u wrote to memory that is unmapped",
			  d->nr);
	d->transfers++;
}

static void *do_dma(void *arg)
{
	struct device *d = arg;
	struct soak *s = d->soak;
	__u64 seed = rnd_seed() + d->nr + 1;
	__u8 *buf = buf_alloc(2 * PAGE), *before = malloc(PAGE);
	int rc = 0;

	for (int i = 0; i < 2; i++)
		rc = rc ?: ioas_map_at(s->fd, s->ioas[i], buf, PAGE,
				       DMA_AT(d->nr));
	if (rc)
		soak_fail(s, "map: %s", strerror(rc));
	while (soak_on(s)) {
		pthread_mutex_lock(&d->lock);
		if (d->attached)
			transfer_one(d, buf, before, &seed);
		pthread_mutex_unlock(&d->lock);
		usleep(1000);
	}
	free(before);
	return NULL;
}

/*
 * Devices are moved
 */

static int change(struct device *d, __u64 *seed)
{
	switch (rnd(seed) % 16) {
	case 0:
		return device_replug(d);
	case 1:
	case 2:
		return device_reset(d);
	case 3:
	case 4:
		return device_detach(d);
	default:
		return device_attach(d, rnd(seed) % 2);
	}
}

static void *do_changes(void *arg)
{
	struct soak *s = arg;
	__u64 seed = rnd_seed() + 11;

	while (soak_on(s)) {
		struct device *d = &s->dev[rnd(&seed) % DEVS];
		int rc;

		pthread_mutex_lock(&d->lock);
		rc = change(d, &seed);
		if (!rc && !d->attached && rnd(&seed) % 4)
			rc = device_attach(d, rnd(&seed) % 2);
		/*
		 * An address space without a domain has to pin what a dead
		 * process mapped in it. Then the device stays where it was.
		 */
		if (rc && rc != EFAULT)
			soak_fail(s, "device %u: %s", d->nr, strerror(rc));
		d->changes += !rc;
		pthread_mutex_unlock(&d->lock);
		usleep(rnd(&seed) % 200000);
	}
	return NULL;
}

/*
 * Mappings come and go
 */

/* From now on some allocations of this thread fail; only it is to blame for that */
static bool starve(bool on)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%ld/make-it-fail",
		 syscall(SYS_gettid));
	return !write_text(path, on ? "1" : "0");
}

static int churn_map(struct churn *c, unsigned int where, unsigned int slot)
{
	struct soak *s = c->soak;
	__u64 iova = CHURN_AT(c->nr) + slot * CHURN_BYTES;
	bool copy = c->mapped[!where][slot] && rnd(&c->seed) % 2;

	if (copy)
		return ioas_copy(s->fd, s->ioas[where], s->ioas[!where], iova,
				 CHURN_BYTES, MAP_FIX_RW, &iova);
	return ioas_map_at(s->fd, s->ioas[where], c->buf + slot * CHURN_BYTES,
			   CHURN_BYTES, iova);
}

static void churn_one(struct churn *c)
{
	unsigned int where = rnd(&c->seed) % 2;
	unsigned int slot = rnd(&c->seed) % CHURN_SLOTS;
	__u64 iova = CHURN_AT(c->nr) + slot * CHURN_BYTES, bytes = 0;
	bool *mapped = &c->mapped[where][slot];
	struct soak *s = c->soak;
	int rc;

	if (*mapped) {
		rc = ioas_unmap(s->fd, s->ioas[where], iova, CHURN_BYTES,
				&bytes);
		/* Looking an ID up is a place where failures are injected */
		if (rc == ENOENT && s->pressure)
			return;
		if (rc || bytes != CHURN_BYTES)
			soak_fail(s, "unmap: %s", strerror(rc));
		*mapped = false;
		return;
	}
	rc = churn_map(c, where, slot);
	*mapped = !rc;
	c->maps += !rc;
	c->failures += !!rc;
	if (rc && !s->pressure)
		soak_fail(s, "map: %s", strerror(rc));
	else if (rc && rc != ENOMEM && rc != EFAULT && rc != ENOENT)
		soak_fail(s, "map without memory: %s", strerror(rc));
}

static void *do_churn(void *arg)
{
	struct churn *c = arg;
	struct soak *s = c->soak;

	if (s->pressure && !starve(true))
		soak_fail(s, "no failures can be injected");
	while (soak_on(s))
		churn_one(c);
	if (s->pressure)
		starve(false);
	for (unsigned int i = 0; i < 2 * CHURN_SLOTS; i++) {
		__u64 iova = CHURN_AT(c->nr) + i / 2 * CHURN_BYTES;
		__u64 bytes = 0;

		if (c->mapped[i % 2][i / 2] &&
		    (ioas_unmap(s->fd, s->ioas[i % 2], iova, CHURN_BYTES,
				&bytes) || bytes != CHURN_BYTES))
			soak_fail(s, "the last unmap");
	}
	return NULL;
}

/*
 * Processes die
 */

/* In a child: into a control group with less memory than it asks for */
static void enter_cgroup(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	write_text(CGROUP "/soak/cgroup.procs", pid);
}

static void child(struct soak *s, __u64 iova, bool greedy)
{
	char *buf = buf_alloc_private(64 * PAGE);

	if (greedy)
		enter_cgroup();
	memset(buf, 1, 64 * PAGE);
	ioas_map_at(s->fd, s->ioas[0], buf, 64 * PAGE, iova);
	/* Until somebody ends it, or there is no memory left */
	for (size_t i = 0; greedy && i < 1 << 14; i++) {
		char *more = buf_alloc_private(16 * PAGE);

		if (more)
			memset(more, 1, 16 * PAGE);
	}
	kill(getpid(), SIGKILL);
}

static void do_exits(struct soak *s)
{
	__u64 seed = rnd_seed() + 23;

	/* What a dead process mapped would keep a device from its first domain */
	while (soak_on(s) && !__atomic_load_n(&s->attached, __ATOMIC_ACQUIRE))
		usleep(1000);
	while (soak_on(s)) {
		__u64 iova = CHURN_AT(CHURNS) + rnd(&seed) % 16 * 64 * PAGE;
		bool greedy = rnd(&seed) % 4 == 0;
		pid_t pid = fork();
		int rc;

		if (!pid)
			child(s, iova, greedy);
		waitpid(pid, NULL, 0);
		/* What it mapped is there still, unless it died before */
		rc = ioas_unmap(s->fd, s->ioas[0], iova, 64 * PAGE, NULL);
		if (rc && rc != ENOENT)
			soak_fail(s, "unmap of a dead process: %s",
				  strerror(rc));
		s->exits += !rc;
		s->greedy += greedy;
		usleep(rnd(&seed) % 50000);
	}
}

/*
 * A fork makes the stacks of all threads copy-on-write. A thread whose allocations
 * fail may then lack the page for the reply of a map: the mapping is there, and the
 * call says EFAULT. So a process without such threads does all the forking. It
 * starts before there are devices, whose files it would keep open.
 */
static pid_t exits_start(struct soak *s)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	do_exits(s);
	_exit(0);
}

/*
 * What is left
 */

struct counts {
	int rc;
	unsigned long acquired, released, tables;
	long pinned, locked;
};

static struct counts counts_now(void)
{
	struct counts counts = { .pinned = vm_pin(0), .locked = vm_lck(0) };

	counts.rc = vmstat_read("nr_foll_pin_acquired", &counts.acquired) ?:
		    vmstat_read("nr_foll_pin_released", &counts.released) ?:
		    vmstat_read("nr_sec_page_table_pages", &counts.tables);
	return counts;
}

static bool counts_same(const struct counts *a, const struct counts *b)
{
	return a->acquired - a->released == b->acquired - b->released &&
	       a->tables == b->tables && a->pinned == b->pinned &&
	       a->locked == b->locked;
}

/* Page tables are freed a little later than they are given up */
static struct counts counts_wait(const struct counts *want, unsigned int tries)
{
	struct counts last = counts_now(), counts;

	while (tries--) {
		usleep(500000);
		counts = counts_now();
		if (counts_same(&counts, want ?: &last))
			break;
		last = counts;
	}
	return counts;
}

static int soak_open(struct soak *s)
{
	int rc = 0;

	s->fd = iommu_open();
	if (s->fd < 0)
		return errno;
	for (int i = 0; i < 2; i++)
		rc = rc ?: ioas_alloc(s->fd, &s->ioas[i]);
	return rc;
}

static int soak_open_devices(struct soak *s)
{
	int rc = 0;

	for (unsigned int i = 0; i < DEVS && !rc; i++) {
		s->dev[i].soak = s;
		s->dev[i].nr = i;
		s->dev[i].attached = false;
		pthread_mutex_init(&s->dev[i].lock, NULL);
		rc = device_open(&s->dev[i]) ?: device_attach(&s->dev[i], i % 2);
	}
	return rc;
}

static void soak_close(struct soak *s)
{
	for (unsigned int i = 0; i < DEVS; i++)
		device_close(&s->dev[i]);
	close(s->fd);
}

/* Some of the failures that the churning threads are to see; false if none can be */
static bool pressure_on(void)
{
	static const char *const attrs[][2] = {
		{ DEBUGFS "/failslab/task-filter", "Y" },
		{ DEBUGFS "/failslab/times", "-1" },
		{ DEBUGFS "/failslab/probability", "3" },
		{ DEBUGFS "/fail_page_alloc/task-filter", "Y" },
		{ DEBUGFS "/fail_page_alloc/times", "-1" },
		{ DEBUGFS "/fail_page_alloc/probability", "3" },
	};

	if (access(DEBUGFS "/failslab", F_OK) || injection_unlimited() ||
	    injection_quiet())
		return false;
	for (unsigned int i = 0; i < ARRAY_LEN(attrs); i++)
		if (write_text(attrs[i][0], attrs[i][1]))
			return false;
	return true;
}

static void pressure_off(void)
{
	write_text(DEBUGFS "/failslab/probability", "0");
	write_text(DEBUGFS "/failslab/task-filter", "N");
	write_text(DEBUGFS "/fail_page_alloc/probability", "0");
	write_text(DEBUGFS "/fail_page_alloc/task-filter", "N");
}

/* A control group with 4 MiB of memory. 0 or an errno. */
static int cgroup_make(void)
{
	mount("cgroup2", CGROUP, "cgroup2", 0, NULL);
	write_text(CGROUP "/cgroup.subtree_control", "+memory");
	mkdir(CGROUP "/soak", 0755);
	return write_text(CGROUP "/soak/memory.max", "4194304");
}

/* How many processes died in it because that was not enough */
static unsigned long cgroup_kills(void)
{
	FILE *f = fopen(CGROUP "/soak/memory.events", "re");
	unsigned long kills = 0;
	char line[100];

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "oom_kill %lu", &kills);
	if (f)
		fclose(f);
	return kills;
}

static void run_threads(struct soak *s)
{
	pthread_t thread[DEVS + CHURNS + 1];
	unsigned int n = 0;

	for (unsigned int i = 0; i < DEVS; i++)
		pthread_create(&thread[n++], NULL, do_dma, &s->dev[i]);
	for (unsigned int i = 0; i < CHURNS; i++)
		pthread_create(&thread[n++], NULL, do_churn, &s->churn[i]);
	pthread_create(&thread[n++], NULL, do_changes, s);
	while (n)
		pthread_join(thread[--n], NULL);
}

static void report(struct __test_metadata *_metadata, const struct soak *s)
{
	for (unsigned int i = 0; i < DEVS; i++) {
		TH_LOG("device %u: %lu transfers, %lu changes", i,
		       s->dev[i].transfers, s->dev[i].changes);
		EXPECT_LT(0, s->dev[i].transfers);
		EXPECT_LT(0, s->dev[i].changes);
	}
	for (unsigned int i = 0; i < CHURNS; i++) {
		TH_LOG("thread %u: %lu maps, %lu without memory", i,
		       s->churn[i].maps, s->churn[i].failures);
		EXPECT_LT(0, s->churn[i].maps);
		if (s->pressure)
			EXPECT_LT(0, s->churn[i].failures);
	}
	TH_LOG("%lu processes that had mapped memory died, %lu for want of it",
	       s->exits, s->greedy);
	EXPECT_LT(0, s->exits);
}

FIXTURE(soak)
{
	bool real;
};

FIXTURE_SETUP(soak)
{
	char bdf[256];
	int fd;

	OPEN_OR_SKIP(fd);
	self->real = find_edu(DEVS - 1, bdf, sizeof(bdf));
	if (!self->real && !has_mock(fd))
		SKIP(return, "neither two PCI devices 1234:11e8 nor the mock");
	close(fd);
	ASSERT_EQ(0, cgroup_make());
}

FIXTURE_TEARDOWN(soak)
{
}

TEST_F_TIMEOUT(soak, nothing_is_left, 100000)
{
	/* Two processes work with it */
	struct soak *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned long kills = cgroup_kills();
	struct counts before, after;
	pid_t exits;

	ASSERT_NE(MAP_FAILED, s);
	s->real = self->real;
	/* What is made once and stays, and with each device, is made before */
	ASSERT_EQ(0, soak_open(s));
	ASSERT_EQ(0, soak_open_devices(s));
	for (unsigned int i = 0; i < DEVS; i++)
		ASSERT_EQ(0, device_replug(&s->dev[i]));
	soak_close(s);
	for (unsigned int i = 0; i < CHURNS; i++) {
		s->churn[i] = (struct churn) {
			.soak = s, .nr = i, .seed = rnd_seed() + 100 + i,
			.buf = buf_alloc(CHURN_SLOTS * CHURN_BYTES),
		};
		ASSERT_NE(NULL, s->churn[i].buf);
		memset(s->churn[i].buf, 1, CHURN_SLOTS * CHURN_BYTES);
	}
	before = counts_wait(NULL, 20);
	ASSERT_EQ(0, before.rc);

	ASSERT_EQ(0, soak_open(s));
	s->end = now() + env_num("SOAK_SECONDS", 20);
	exits = exits_start(s);
	ASSERT_LT(0, exits);
	ASSERT_EQ(0, soak_open_devices(s));
	__atomic_store_n(&s->attached, true, __ATOMIC_RELEASE);
	s->pressure = pressure_on();
	run_threads(s);
	ASSERT_EQ(exits, waitpid(exits, NULL, 0));
	if (s->pressure)
		pressure_off();
	soak_close(s);
	EXPECT_STREQ("", s->msg);
	report(_metadata, s);
	EXPECT_EQ(s->greedy, cgroup_kills() - kills);

	after = counts_wait(&before, 20);
	ASSERT_EQ(0, after.rc);
	EXPECT_EQ(before.acquired - before.released,
		  after.acquired - after.released);
	EXPECT_EQ(before.tables, after.tables);
	EXPECT_EQ(before.pinned, after.pinned);
	EXPECT_EQ(before.locked, after.locked);
	EXPECT_LT(before.acquired, after.acquired);
	munmap(s, sizeof(*s));
}

TEST_HARNESS_MAIN
