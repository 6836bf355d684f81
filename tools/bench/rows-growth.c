// SPDX-License-Identifier: GPL-2.0-only
/*
 * How what a call costs grows with what there is already: areas, domains, devices,
 * accesses, spaces.
 */
#include "rows.h"
#include "clock.h"
#include "floor-client.h"
#include "growth.h"
#include "iommu_utils.h"
#include "kernel-memory.h"
#include "memory.h"
#include "report.h"
#include "vfio_utils.h"

#include <linux/iommufd.h>
#include <string.h>
#include <sys/ioctl.h>

/* So many calls instead of CALLS where one takes long */
#define LONG_CALLS 4
#define MANY 100000

/* Memory for areas, which use it over and over */
#define AREA_PAGES 2048

#define MAX_DOMAINS 16
#define MAX_SPACES 1000
/* As many as the VM has, but for the others and the one that comes and goes */
#define MAX_DEVICES 64
/* Those before are what the other rows use */
#define SPARE_DEVICES 4

void report_point(const struct point *point, const char *what,
		  const struct sample *sample, double per, const char *unit)
{
	char kind[64];

	snprintf(kind, sizeof(kind), "%s %lu", point->of, point->number);
	report_insns("growth", kind, "iommufd", what, sample, per, unit);
}

static void report_bytes(const struct point *point, const char *what,
			 double bytes)
{
	char kind[64];

	snprintf(kind, sizeof(kind), "%s %lu", point->of, point->number);
	report_value("growth", kind, "iommufd", what, bytes, bytes, "bytes");
}

void report_rc(const struct point *point, const char *what, int rc)
{
	char kind[64];

	if (!rc)
		return;
	snprintf(kind, sizeof(kind), "%s %lu", point->of, point->number);
	report_missing("growth", kind, "iommufd", "%s: %s", what,
		       strerror(rc));
}

/* One page, mapped and unmapped at a place that depends on the turn */
void measure_page(const struct point *point, struct iommufd_space *space,
		  void *page,
		  uint64_t (*place)(const struct point *point,
				    unsigned int turn))
{
	struct sample map = {}, unmap = {};
	unsigned int i, turn;
	int rc = 0;

	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		uint64_t mapped = 0, unmapped = 0;

		for (turn = 0; !rc && turn != CALLS; turn++) {
			uint64_t iova = place(point, turn);
			uint64_t start = ticks(), middle;

			rc = iommufd_map_user(space, iova, page, BENCH_PAGE);
			middle = ticks();
			if (!rc)
				rc = iommufd_unmap(space, iova, BENCH_PAGE);
			unmapped += ticks() - middle;
			mapped += middle - start;
		}
		sample_add(&map, mapped);
		sample_add(&unmap, unmapped);
	}
	report_rc(point, "map, unmap", rc);
	if (rc)
		return;
	report_point(point, "map", &map, CALLS, "insn/call");
	report_point(point, "unmap", &unmap, CALLS, "insn/call");
}

/*
 * Areas: two pages mapped, two not. A hole begins at an odd page, so it is no place
 * for two pages that are to be aligned.
 */

static uint64_t area_iova(unsigned long nr)
{
	return BENCH_IOVA + (nr / 2 * 4 + 3 + nr % 2) * BENCH_PAGE;
}

static uint64_t hole_iova(const struct point *point, unsigned int turn)
{
	unsigned long hole = point->number * turn / CALLS / 2;

	return BENCH_IOVA + (hole * 4 + 1) * BENCH_PAGE;
}

static int add_areas(struct iommufd_space *space, const struct memory *memory,
		     unsigned long from, unsigned long to)
{
	int rc = 0;

	for (; !rc && from != to; from++)
		rc = iommufd_map_user(space, area_iova(from),
				      (char *)memory->start +
					      from % AREA_PAGES * BENCH_PAGE,
				      BENCH_PAGE);
	return rc;
}

/* The kernel chooses the IOVA, in the holes between areas and beyond */
static void measure_anywhere(const struct point *point,
			     struct iommufd_space *space, const char *what,
			     void *start, size_t bytes, unsigned int calls)
{
	struct iommu_iova_range range = {
		.start = BENCH_IOVA + 3 * BENCH_PAGE,
		.last = BENCH_IOVA + (1ull << 40) - 1,
	};
	struct sample map = {};
	unsigned int i, turn;
	int rc;

	rc = ioas_allow(space->iommu, space->ioas_id, &range, 1);
	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		uint64_t mapped = 0;

		for (turn = 0; !rc && turn != calls; turn++) {
			uint64_t begin = ticks();
			__u64 iova = 0;

			rc = ioas_map(space->iommu, space->ioas_id, start,
				      bytes, MAP_RW, &iova);
			mapped += ticks() - begin;
			if (!rc)
				rc = iommufd_unmap(space, iova, bytes);
		}
		sample_add(&map, mapped);
	}
	if (!rc)
		rc = ioas_allow(space->iommu, space->ioas_id, NULL, 0);
	report_rc(point, what, rc);
	if (!rc)
		report_point(point, what, &map, calls, "insn/call");
}

static void measure_copy(const struct point *point, struct subjects *subjects)
{
	struct sample copy = {};
	unsigned int i, turn;
	int rc = 0;

	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		uint64_t copied = 0;

		for (turn = 0; !rc && turn != CALLS; turn++) {
			uint64_t iova = area_iova(point->number * turn / CALLS);
			uint64_t start = ticks();

			rc = iommufd_copy(&subjects->other, &subjects->space,
					  iova, BENCH_PAGE);
			copied += ticks() - start;
			if (!rc)
				rc = iommufd_unmap(&subjects->other, iova,
						   BENCH_PAGE);
		}
		sample_add(&copy, copied);
	}
	report_rc(point, "copy", rc);
	if (!rc)
		report_point(point, "copy", &copy, CALLS, "insn/call");
}

/* One more I/O page table with everything that is mapped */
static void measure_domain(const struct point *point,
			   struct iommufd_space *space, unsigned long areas)
{
	unsigned int repeat = areas < MANY ? BENCH_REPEAT : 1, i;
	struct sample attach = {}, destroy = {};
	int rc = 0;

	for (i = 0; !rc && i != repeat; i++) {
		uint64_t start = ticks();
		uint32_t id;

		rc = iommufd_hwpt_alloc(space, 0, &id);
		if (rc)
			break;
		sample_add(&attach, ticks() - start);
		start = ticks();
		rc = iommufd_destroy(space, id);
		sample_add(&destroy, ticks() - start);
	}
	report_rc(point, "attach", rc);
	if (rc)
		return;
	report_point(point, "attach, per area", &attach, areas, "insn/area");
	report_point(point, "detach, per area", &destroy, areas, "insn/area");
}

static void measure_unmap_all(const struct point *point,
			      struct iommufd_space *space)
{
	struct sample sample = {};
	uint64_t start = ticks();
	int rc = ioas_unmap_all(space->iommu, space->ioas_id, NULL);

	sample_add(&sample, ticks() - start);
	report_rc(point, "unmap all", rc);
	if (!rc)
		report_point(point, "unmap all, per area", &sample,
			     point->number, "insn/area");
}

static void rows_areas(struct subjects *subjects, const struct memory *memory)
{
	static const unsigned long numbers[] = { 1, 10, 100, 1000, 10000,
						 100000, 1000000 };
	struct iommufd_space *space = &subjects->space;
	char *start = memory->start;
	struct kernel_memory before, after;
	size_t i;
	int rc;

	for (i = 0; i != ARRAY_SIZE(numbers); i++) {
		struct point point = { "areas", numbers[i] };
		unsigned int calls = numbers[i] < MANY ? CALLS : LONG_CALLS;

		kernel_memory_read(&before);
		rc = add_areas(space, memory, 0, numbers[i]);
		report_rc(&point, "add areas", rc);
		if (!rc) {
			kernel_memory_read(&after);
			if (numbers[i] >= MANY) {
				report_bytes(&point, "memory per area",
					     (double)(after.objects -
						      before.objects) /
						     numbers[i]);
				report_bytes(&point, "tables per area",
					     (double)(after.tables -
						      before.tables) /
						     numbers[i]);
			}
			measure_page(&point, space, start, hole_iova);
			measure_anywhere(&point, space, "map, IOVA chosen",
					 start, 4 * BENCH_PAGE, CALLS);
			measure_anywhere(&point, space,
					 "map, IOVA chosen, crooked holes",
					 start, 2 * BENCH_PAGE, calls);
			measure_copy(&point, subjects);
			measure_domain(&point, space, numbers[i]);
		}
		measure_unmap_all(&point, space);
		if (rc)
			return;
	}
}

/* Domains: I/O page tables that mirror a space with areas */

#define DOMAIN_AREAS 1000

static void rows_domains(struct subjects *subjects, const struct memory *memory)
{
	struct iommufd_space *space = &subjects->space;
	uint32_t ids[MAX_DOMAINS];
	unsigned int nr = 1, want;
	int rc;

	rc = add_areas(space, memory, 0, DOMAIN_AREAS);
	for (want = 1; want <= MAX_DOMAINS; want *= 2) {
		struct point point = { "domains", want };
		struct point areas = { "domains", DOMAIN_AREAS };

		/* The device's own is the first */
		for (; !rc && nr != want; nr++)
			rc = iommufd_hwpt_alloc(space, 0, &ids[nr]);
		report_rc(&point, "set up", rc);
		if (rc)
			break;
		areas.number = want;
		measure_page(&point, space, memory->start, hole_iova);
		measure_domain(&areas, space, DOMAIN_AREAS);
	}
	while (--nr)
		iommufd_destroy(space, ids[nr]);
	ioas_unmap_all(space->iommu, space->ioas_id, NULL);
}

/* Devices, each in an IOMMU group of its own */

static uint64_t bench_iova(const struct point *point, unsigned int turn)
{
	(void)point;
	return BENCH_IOVA + turn * 2 * BENCH_PAGE;
}

/* Returns a file descriptor, or -1 */
static int bind_device(struct iommufd_space *space, unsigned int nr)
{
	char name[256];
	__u32 id;
	int file;

	if (!find_edu(nr, name, sizeof(name)))
		return -1;
	file = open_pci_cdev(name);
	if (file >= 0 && vfio_bind(file, space->iommu, &id)) {
		close(file);
		file = -1;
	}
	return file;
}

/* One more device comes and goes */
static void measure_device(const struct point *point,
			   struct iommufd_space *space, int file)
{
	struct sample attach = {}, detach = {};
	unsigned int i, turn;
	int rc = 0;

	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		uint64_t attached = 0, detached = 0;

		for (turn = 0; !rc && turn != CALLS; turn++) {
			__u32 pt = space->ioas_id;
			uint64_t start = ticks(), middle;

			rc = vfio_attach(file, &pt);
			middle = ticks();
			if (!rc)
				rc = vfio_detach(file);
			detached += ticks() - middle;
			attached += middle - start;
		}
		sample_add(&attach, attached);
		sample_add(&detach, detached);
	}
	report_rc(point, "attach, detach", rc);
	if (rc)
		return;
	report_point(point, "attach", &attach, CALLS, "insn/call");
	report_point(point, "detach", &detach, CALLS, "insn/call");
}

static void rows_devices(struct subjects *subjects, const struct memory *memory)
{
	static const unsigned int numbers[] = { 1, 4, 16, MAX_DEVICES };
	struct iommufd_space *space = &subjects->space;
	int files[MAX_DEVICES], one, rc = 0;
	/* One is the space's already */
	unsigned int nr = 1;
	size_t i;

	one = bind_device(space, SPARE_DEVICES);
	for (i = 0; i != ARRAY_SIZE(numbers); i++) {
		struct point point = { "devices", numbers[i] };

		for (; !rc && nr != numbers[i]; nr++) {
			__u32 pt = space->ioas_id;

			files[nr] = bind_device(space, SPARE_DEVICES + nr);
			rc = files[nr] < 0 ? ENODEV :
					     vfio_attach(files[nr], &pt);
		}
		report_rc(&point, "set up", one < 0 ? ENODEV : rc);
		if (one < 0 || rc)
			break;
		measure_device(&point, space, one);
		measure_page(&point, space, memory->start, bench_iova);
	}
	close(one);
	while (--nr)
		close(files[nr]);
}

/* Accesses, of the module */

static int set_users(struct subjects *subjects, unsigned long number,
		     uint64_t *ticks)
{
	struct bench_users users = {
		.iommufd = subjects->space.iommu,
		.ioas_id = subjects->space.ioas_id,
		.number = number,
	};

	if (ioctl(subjects->floor, BENCH_USERS, &users))
		return errno;
	*ticks = users.ticks;
	return 0;
}

static void measure_access(const struct point *point, struct subjects *subjects)
{
	struct sample made = {}, closed = {};
	uint64_t attach = 0, detach = 0;
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		rc = set_users(subjects, point->number + CALLS, &attach);
		if (!rc)
			rc = set_users(subjects, point->number, &detach);
		sample_add(&made, attach);
		sample_add(&closed, detach);
	}
	report_rc(point, "attach, detach", rc);
	if (rc)
		return;
	report_point(point, "attach", &made, CALLS, "insn/call");
	report_point(point, "detach", &closed, CALLS, "insn/call");
}

/* One of them has the page pinned, and all are told when it is unmapped */
static void measure_pinned(const struct point *point, struct subjects *subjects,
			   void *page)
{
	struct iommufd_space *space = &subjects->space;
	struct bench_user_pin pin = { .iova = BENCH_IOVA };
	struct sample pins = {}, unmap = {};
	unsigned int i, turn;
	int rc = 0;

	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		uint64_t pinned = 0, unmapped = 0, start;

		for (turn = 0; !rc && turn != CALLS; turn++) {
			rc = iommufd_map_user(space, BENCH_IOVA, page,
					      BENCH_PAGE);
			if (!rc && ioctl(subjects->floor, BENCH_USER_PIN, &pin))
				rc = errno;
			pinned += pin.ticks;
			start = ticks();
			if (!rc)
				rc = iommufd_unmap(space, BENCH_IOVA,
						   BENCH_PAGE);
			unmapped += ticks() - start;
		}
		sample_add(&pins, pinned);
		sample_add(&unmap, unmapped);
	}
	report_rc(point, "pin, unmap", rc);
	if (rc)
		return;
	report_point(point, "pin", &pins, CALLS, "insn/call");
	report_point(point, "unmap of what one has pinned", &unmap, CALLS,
		     "insn/call");
}

static void rows_accesses(struct subjects *subjects,
			  const struct memory *memory)
{
	static const unsigned int numbers[] = { 1, 4, 16, 64, 256 };
	uint64_t ticks;
	size_t i;
	int rc;

	for (i = 0; i != ARRAY_SIZE(numbers); i++) {
		struct point point = { "accesses", numbers[i] };

		rc = set_users(subjects, numbers[i], &ticks);
		report_rc(&point, "set up", rc);
		if (rc)
			return;
		measure_access(&point, subjects);
		measure_page(&point, &subjects->space, memory->start,
			     bench_iova);
		measure_pinned(&point, subjects, memory->start);
	}
	rc = set_users(subjects, 0, &ticks);
	report_rc(&(struct point){ "accesses", 0 }, "detach", rc);
}

/* Spaces of a context */

static void measure_space(const struct point *point, int fd)
{
	struct sample made = {}, destroyed = {};
	unsigned int i, nr, done;
	uint32_t ids[CALLS];
	uint64_t start;
	int rc = 0;

	for (i = 0; !rc && i != BENCH_REPEAT; i++) {
		start = ticks();
		for (nr = 0; nr != ARRAY_SIZE(ids); nr++) {
			rc = ioas_alloc(fd, &ids[nr]);
			if (rc)
				break;
		}
		sample_add(&made, ticks() - start);
		start = ticks();
		for (done = 0; done != nr; done++)
			iommu_destroy(fd, ids[done]);
		sample_add(&destroyed, ticks() - start);
	}
	report_rc(point, "allocate", rc);
	if (rc)
		return;
	report_point(point, "allocate", &made, ARRAY_SIZE(ids), "insn/call");
	report_point(point, "destroy", &destroyed, ARRAY_SIZE(ids),
		     "insn/call");
}

static void rows_spaces(struct subjects *subjects, const struct memory *memory)
{
	static const unsigned int numbers[] = { 1, 10, 100, MAX_SPACES };
	struct iommufd_space *space = &subjects->space;
	struct kernel_memory before, after;
	uint32_t ids[MAX_SPACES];
	unsigned int nr = 0;
	size_t i;
	int rc = 0;

	kernel_memory_read(&before);
	for (i = 0; i != ARRAY_SIZE(numbers); i++) {
		struct point point = { "spaces", numbers[i] };

		/* Those of the devices do not matter */
		for (; !rc && nr != numbers[i]; nr++) {
			rc = ioas_alloc(space->iommu, &ids[nr]);
			if (rc)
				break;
		}
		report_rc(&point, "set up", rc);
		if (rc)
			break;
		if (nr == MAX_SPACES) {
			kernel_memory_read(&after);
			report_bytes(&point, "memory per space",
				     (double)(after.objects - before.objects) /
					     nr);
		}
		measure_space(&point, space->iommu);
		measure_page(&point, space, memory->start, bench_iova);
	}
	while (nr--)
		iommu_destroy(space->iommu, ids[nr]);
}

void rows_growth(struct subjects *subjects)
{
	struct memory memory;
	const char *error;

	if (!subjects->have_iommufd)
		return;
	error = memory_alloc(&memory, MEMORY_ANON, AREA_PAGES * BENCH_PAGE, 0);
	if (error) {
		report_missing("growth", "all", "iommufd", "%s", error);
		return;
	}
	rows_areas(subjects, &memory);
	rows_domains(subjects, &memory);
	rows_devices(subjects, &memory);
	if (subjects->have_floor)
		rows_accesses(subjects, &memory);
	else
		report_missing("growth", "accesses 1", "iommufd",
			       "needs the module bench_floor");
	rows_spaces(subjects, &memory);
	memory_free(&memory);
}
