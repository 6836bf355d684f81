// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the fuzzer can do: all kinds of operations, and doing one.
 */
#include <sys/wait.h>
#include <time.h>

#include "fuzz_parts.h"

#define BIT(field) (1U << F_##field)

#define NO_NEED T_FREE, T_FREE

const struct fuzz_kind fuzz_kinds[] = {
	{ "check", 0, 35, NO_NEED, gen_none, run_check },
	{ "ioas", BIT(TO), 25, NO_NEED, gen_ioas, run_ioas },
	{ "destroy", BIT(OBJ), 30, NO_NEED, gen_destroy, run_destroy },
	{ "map", BIT(OBJ) | BIT(MEM) | BIT(OFF) | BIT(LEN) | BIT(IOVA) |
	  BIT(FLAGS), 150, T_IOAS, T_FREE, gen_map, run_map },
	{ "map_file", BIT(OBJ) | BIT(OFF) | BIT(LEN) | BIT(IOVA) | BIT(FLAGS),
	  60, T_IOAS, T_FREE, gen_map_file, run_map_file },
	{ "copy", BIT(OBJ) | BIT(WITH) | BIT(SRC) | BIT(LEN) | BIT(IOVA) |
	  BIT(FLAGS), 110, T_IOAS, T_FREE, gen_copy, run_copy },
	{ "unmap", BIT(OBJ) | BIT(IOVA) | BIT(LEN), 160, T_IOAS, T_FREE,
	  gen_unmap, run_unmap },
	{ "allow", BIT(OBJ) | BIT(IOVA) | BIT(LEN) | BIT(SRC) | BIT(NUM), 10,
	  T_IOAS, T_FREE, gen_allow, run_allow },
	{ "reserve", BIT(OBJ) | BIT(IOVA) | BIT(LEN), 3, T_IOAS, T_FREE,
	  gen_reserve, run_reserve },
	{ "huge_pages", BIT(OBJ) | BIT(NUM), 6, T_IOAS, T_FREE, gen_huge,
	  run_huge },
	{ "rlimit_mode", BIT(NUM), 3, NO_NEED, gen_none, run_rlimit_mode },
	{ "change_process", 0, 6, NO_NEED, gen_none, run_change_process },
	{ "device", BIT(TO) | BIT(WITH) | BIT(FLAGS), 40, T_IOAS, T_FREE,
	  gen_device, run_device },
	{ "replace", BIT(OBJ) | BIT(WITH), 40, T_STDEV, T_FREE, gen_replace,
	  run_replace },
	{ "pasid_attach", BIT(OBJ) | BIT(WITH) | BIT(NUM), 25, T_STDEV,
	  T_FREE, gen_pasid, run_pasid_attach },
	{ "pasid_replace", BIT(OBJ) | BIT(WITH) | BIT(NUM), 10, T_STDEV,
	  T_FREE, gen_pasid, run_pasid_replace },
	{ "pasid_detach", BIT(OBJ) | BIT(NUM), 20, T_STDEV, T_FREE, gen_pasid,
	  run_pasid_detach },
	{ "hwpt", BIT(OBJ) | BIT(WITH) | BIT(TO) | BIT(FLAGS) | BIT(SRC) |
	  BIT(NUM), 60, T_STDEV, T_FREE, gen_hwpt, run_hwpt },
	{ "nested", BIT(OBJ) | BIT(WITH) | BIT(TO) | BIT(FLAGS) | BIT(SRC) |
	  BIT(NUM), 30, T_STDEV, T_PAGING, gen_nested, run_nested },
	{ "set_dirty", BIT(OBJ) | BIT(NUM), 20, T_PAGING, T_FREE,
	  gen_set_dirty, run_set_dirty },
	{ "dirty", BIT(OBJ) | BIT(MEM) | BIT(NUM), 25, T_PAGING, T_FREE,
	  gen_dirty, run_dirty },
	{ "invalidate", BIT(OBJ) | BIT(FLAGS) | BIT(NUM), 8, T_NESTED, T_FREE,
	  gen_invalidate, run_invalidate },
	{ "iopf", BIT(OBJ) | BIT(NUM) | BIT(LEN) | BIT(IOVA), 20, T_STDEV,
	  T_FAULT, gen_iopf, run_iopf },
	{ "faults", BIT(OBJ), 10, T_FAULT, T_FREE, gen_faults, run_faults },
	{ "viommu", BIT(OBJ) | BIT(WITH) | BIT(TO), 30, T_STDEV, T_PAGING,
	  gen_viommu, run_viommu },
	{ "vdevice", BIT(OBJ) | BIT(WITH) | BIT(TO) | BIT(NUM), 30, T_STDEV,
	  T_VIOMMU, gen_vdevice, run_vdevice },
	{ "veventq", BIT(WITH) | BIT(TO) | BIT(NUM), 10, T_VIOMMU, T_FREE,
	  gen_veventq, run_veventq },
	{ "vevent", BIT(OBJ), 30, T_STDEV, T_VDEVICE, gen_vevent, run_vevent
	  },
	{ "events", BIT(OBJ), 8, T_VEVENTQ, T_FREE, gen_events, run_events },
	{ "hw_queue", BIT(OBJ) | BIT(TO) | BIT(IOVA) | BIT(LEN) | BIT(NUM),
	  15, T_VIOMMU, T_FREE, gen_hw_queue, run_hw_queue },
	{ "cache", BIT(OBJ) | BIT(FLAGS) | BIT(SRC) | BIT(NUM), 8, T_VIOMMU,
	  T_FREE, gen_cache, run_cache },
	{ "vfio_ioas", BIT(OBJ) | BIT(NUM), 8, T_IOAS, T_FREE, gen_vfio_ioas,
	  run_vfio_ioas },
	{ "vfio_type", BIT(NUM), 6, NO_NEED, gen_none, run_vfio_type },
	{ "vfio_map", BIT(MEM) | BIT(OFF) | BIT(LEN) | BIT(IOVA) | BIT(FLAGS),
	  40, T_IOAS, T_FREE, gen_vfio_map, run_vfio_map },
	{ "vfio_unmap", BIT(IOVA) | BIT(LEN) | BIT(FLAGS), 50, T_IOAS, T_FREE,
	  gen_vfio_unmap, run_vfio_unmap },
	{ "senseless", BIT(MEM) | BIT(NUM) | BIT(LEN), 15, NO_NEED,
	  gen_senseless, run_senseless },
	{ "access", BIT(OBJ) | BIT(TO) | BIT(FLAGS), 25, T_IOAS, T_FREE,
	  gen_access, run_access },
	{ "access_replace", BIT(OBJ) | BIT(WITH), 8, T_ACCESS, T_FREE,
	  gen_access_replace, run_access_replace },
	{ "pin", BIT(OBJ) | BIT(IOVA) | BIT(LEN) | BIT(FLAGS), 80, T_ACCESS,
	  T_FREE, gen_access_use, run_pin },
	{ "unpin", BIT(OBJ) | BIT(NUM), 40, T_ACCESS, T_FREE, gen_unpin,
	  run_unpin },
	{ "rw", BIT(OBJ) | BIT(IOVA) | BIT(LEN) | BIT(FLAGS) | BIT(NUM), 60,
	  T_ACCESS, T_FREE, gen_access_rw, run_rw },
	{ "fault", BIT(TO), 8, NO_NEED, gen_ioas, run_fault },
	{ "close", BIT(OBJ), 15, NO_NEED, gen_close, run_close },
	{ "remap", BIT(MEM) | BIT(OFF) | BIT(LEN) | BIT(FLAGS), 15, NO_NEED,
	  gen_remap, run_remap },
	{ "privilege", BIT(NUM), 8, NO_NEED, gen_privilege, run_privilege },
	{ "limit", BIT(NUM), 8, NO_NEED, gen_limit, run_limit },
	{ "fork", 0, 3, NO_NEED, gen_none, run_fork },
	{ "exit", 0, 12, NO_NEED, gen_none, run_exit },
	{ "child_map", BIT(OBJ) | BIT(MEM) | BIT(OFF) | BIT(LEN) | BIT(IOVA) |
	  BIT(FLAGS), 25, T_IOAS, T_FREE, gen_map, run_child_map },
};

const unsigned int fuzz_nkinds = ARRAY_LEN(fuzz_kinds);

static unsigned int fuzz_kind_named(const char *name)
{
	unsigned int kind = 0;

	while (kind < fuzz_nkinds && strcmp(name, fuzz_kinds[kind].name))
		kind++;
	return kind;
}

static unsigned int pick_kind(__u64 *rng)
{
	unsigned int total = 0, kind = 0, k;

	for (unsigned int i = 0; i < fuzz_nkinds; i++)
		total += fuzz_kinds[i].weight;
	k = rnd(rng) % total;
	while (k >= fuzz_kinds[kind].weight)
		k -= fuzz_kinds[kind++].weight;
	return kind;
}

/* Most of what can only fail is not worth the time */
static bool is_of_use(struct fuzz *f, const struct fuzz_kind *kind)
{
	bool container = kind->run == run_vfio_map ||
			 kind->run == run_vfio_unmap ||
			 kind->run == run_vfio_type;

	if (container && !f->model.compat)
		return false;
	if ((kind->run == run_exit || kind->run == run_child_map) && !f->child)
		return false;
	return (!kind->needs || count(f, kind->needs)) &&
	       (!kind->needs2 || count(f, kind->needs2));
}

void fuzz_generate(struct fuzz *f, struct fuzz_op *op, __u64 *rng, bool fail)
{
	*op = (struct fuzz_op) {};
	do {
		op->kind = pick_kind(rng);
	} while (!is_of_use(f, &fuzz_kinds[op->kind]) && !chance(rng, 2));
	/* Address spaces without a device would get in each other's way */
	if (!count(f, T_IOAS) && chance(rng, 90))
		op->kind = fuzz_kind_named(chance(rng, 10) ? "rlimit_mode" :
							     "ioas");
	else if (!count(f, T_STDEV) && chance(rng, 60))
		op->kind = fuzz_kind_named("device");
	fuzz_kinds[op->kind].generate(f, op, rng);
	if (fail && chance(rng, 30))
		op->fail = 1 + rnd(rng) % (chance(rng, 60) ? 8 : 60);
}

static __u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void count_result(struct fuzz *f, const struct fuzz_op *op, __u64 start)
{
	if (!f->stats || f->result < 0 || f->result >= FUZZ_ERRNOS)
		return;
	f->stats->results[op->kind][f->result]++;
	f->stats->injected[op->kind] += f->injected;
	f->stats->ns[op->kind] += now_ns() - start;
}

bool fuzz_run(struct fuzz *f, const struct fuzz_op *op)
{
	__u64 start = now_ns();

	f->result = -1;
	if (op->fail)
		f->before = f->model;
	f->nth = op->fail;
	f->injected = false;
	memset(f->model.also, 0, sizeof(f->model.also));
	fuzz_kinds[op->kind].run(f, op);
	f->nth = 0;
	count_result(f, op, start);
	return !f->why[0];
}

/*
 * Beginning and end
 */

static bool make_memory(struct fuzz *f)
{
	char *va = (char *)region_start(REGION_FILE);

	f->memfd = memfd_of(REGION_BYTES, 0);
	if (f->memfd < 0 || !map_region(REGION_FILE, 0, REGION_PAGES, f->memfd))
		return false;
	for (int i = 0; i < REGION_PAGES; i++) {
		f->model.file[i] = model_frame_new(&f->model);
		f->model.proc[0].page[REGION_FILE][i] = f->model.file[i];
		fill_frame(f, f->model.file[i], va + i * PAGE);
	}
	/* Its first page */
	for (int i = 0; i < REGION_PAGES; i++) {
		if (!map_region(REGION_SAME, i, 1, f->memfd))
			return false;
		f->model.proc[0].page[REGION_SAME][i] = f->model.file[0];
	}
	return renew_region(f, REGION_SHARED, 0, REGION_PAGES) &&
	       renew_region(f, REGION_PRIVATE, 0, REGION_PAGES) &&
	       renew_region(f, REGION_READONLY, 0, REGION_PAGES);
}

bool fuzz_begin(struct fuzz *f, const char *node, const char *broken,
		struct fuzz_stats *stats)
{
	__u8 *shadow = f->shadow;

	model_page_size = PAGE;
	memset(f, 0, sizeof(*f));
	f->shadow = shadow ?: malloc(MODEL_FRAMES * PAGE);
	f->fd = open(node, O_RDWR | O_CLOEXEC);
	model_init(&f->model, strcmp(node, "/dev/iommu"));
	f->model.broken = broken;
	f->stats = stats;
	for (int i = 0; i < FUZZ_SLOTS; i++)
		f->slot[i].file = -1;
	f->pinned = vm_pin(0);
	f->locked = vm_lck(0);
	return f->shadow && f->fd >= 0 && make_memory(f);
}

static void detach_pasids(struct fuzz *f)
{
	for (__u32 id = 1; id < MODEL_IDS; id++) {
		struct model_obj *dev = &f->model.obj[id];

		for (int i = 0; dev->type == T_STDEV && i < MODEL_PASIDS; i++)
			if (dev->pasid[i].hwpt)
				mock_pasid_detach(f->fd, id,
						  dev->pasid[i].pasid);
	}
}

static void close_files(struct fuzz *f)
{
	for (int i = 0; i < FUZZ_SLOTS; i++) {
		if (f->slot[i].file >= 0)
			close(f->slot[i].file);
		f->slot[i].file = -1;
	}
}

void fuzz_end(struct fuzz *f)
{
	static const struct fuzz_op none;
	bool files_first = f->stamp & 1;

	detach_pasids(f);
	if (files_first)
		close_files(f);
	close(f->fd);
	close_files(f);
	run_exit(f, &none);
	run_privilege(f, &(struct fuzz_op) { .num = 1 });
	run_limit(f, &(struct fuzz_op) { .num = ~0ULL });

	/* What is left then is left over */
	f->fd = iommu_open();
	memset(f->model.backing, 0, sizeof(f->model.backing));
	f->model.proc[0].pinned = 0;
	f->model.proc[0].locked = 0;
	check_pins(f);
	check_charges(f);
	check_memory(f);
	close(f->fd);
	close(f->memfd);
	for (unsigned int r = 0; r < MODEL_REGIONS; r++)
		munmap((void *)region_start(r), REGION_BYTES);
}

/*
 * Text
 */

static const char *const field_names[FUZZ_FIELDS] = {
	[F_OBJ] = "obj", [F_WITH] = "with", [F_TO] = "to", [F_MEM] = "mem",
	[F_OFF] = "off", [F_LEN] = "len", [F_IOVA] = "iova", [F_SRC] = "src",
	[F_FLAGS] = "flags", [F_NUM] = "num",
};

void fuzz_print(const struct fuzz_op *op, char *line, size_t size)
{
	const struct fuzz_kind *kind = &fuzz_kinds[op->kind];
	size_t len = snprintf(line, size, "%s", kind->name);

	for (int i = 0; i < FUZZ_FIELDS && len < size; i++)
		if (kind->fields >> i & 1)
			len += snprintf(line + len, size - len,
					op->field[i] < 1000 ? " %s=%llu" :
							      " %s=0x%llx",
					field_names[i], op->field[i]);
	if (op->fail && len < size)
		snprintf(line + len, size - len, " fail=%u", op->fail);
}

static bool parse_field(const char *word, struct fuzz_op *op)
{
	const char *value = strchr(word, '=');

	if (!value)
		return false;
	if (!strncmp(word, "fail=", 5)) {
		op->fail = strtoul(value + 1, NULL, 0);
		return true;
	}
	for (int i = 0; i < FUZZ_FIELDS; i++) {
		size_t len = strlen(field_names[i]);

		if (!strncmp(word, field_names[i], len) && word[len] == '=') {
			op->field[i] = strtoull(value + 1, NULL, 0);
			return true;
		}
	}
	return false;
}

bool fuzz_parse(const char *line, struct fuzz_op *op)
{
	char text[300], *word, *rest = text;

	snprintf(text, sizeof(text), "%s", line);
	word = strsep(&rest, "\n ");
	*op = (struct fuzz_op) { .kind = fuzz_kind_named(word) };
	while ((word = strsep(&rest, "\n ")))
		if (*word && !parse_field(word, op))
			return false;
	return op->kind < fuzz_nkinds;
}
