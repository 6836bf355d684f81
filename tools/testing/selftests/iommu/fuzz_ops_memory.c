// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes to the program's own memory, privileges and children.
 */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <linux/capability.h>

#include "fuzz_parts.h"

/*
 * Memory and processes
 */

void fill_frame(struct fuzz *f, int frame, void *va)
{
	__u64 stamp = ++f->stamp * 0x9e3779b97f4a7c15ULL;

	for (size_t i = 0; i < PAGE; i += 8) {
		__u64 val = stamp + i;

		memcpy(f->shadow + frame * PAGE + i, &val, 8);
	}
	memcpy(va, f->shadow + frame * PAGE, PAGE);
}

bool map_region(unsigned int region, unsigned int first,
		unsigned int npages, int file)
{
	char *va = (char *)region_start(region) + first * PAGE;
	int flags = MAP_FIXED;

	if (file >= 0)
		flags |= MAP_SHARED;
	else
		flags |= MAP_ANONYMOUS | (region == REGION_SHARED ?
					  MAP_SHARED : MAP_PRIVATE);
	if (mmap(va, npages * PAGE, PROT_READ | PROT_WRITE, flags, file, 0) ==
	    MAP_FAILED)
		return false;
	madvise(va, npages * PAGE, MADV_NOHUGEPAGE);
	return true;
}

/* Fresh pages in a part of an anonymous region */
bool renew_region(struct fuzz *f, unsigned int region,
		  unsigned int first, unsigned int npages)
{
	char *va = (char *)region_start(region) + first * PAGE;

	if (!map_region(region, first, npages, -1))
		return false;
	model_remap(&f->model, region, first, npages, true);
	for (unsigned int i = 0; i < npages; i++)
		fill_frame(f, f->model.proc[0].page[region][first + i],
			   va + i * PAGE);
	if (region == REGION_READONLY)
		mprotect(va, npages * PAGE, PROT_READ);
	return true;
}

void gen_remap(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	(void)f;
	op->mem = rnd(rng) % 3;
	op->off = rnd(rng) % REGION_PAGES;
	op->len = 1 + rnd(rng) % 4;
	op->flags = chance(rng, 70);
}

/* In pages, of an anonymous region; with nothing in their place for @flags 0 */
void run_remap(struct fuzz *f, const struct fuzz_op *op)
{
	unsigned int region = op->mem % 3, first = op->off % REGION_PAGES;
	unsigned int npages = op->len % (REGION_PAGES - first + 1);

	if (!npages)
		return;
	f->result = 0;
	if (!(op->flags & 1)) {
		munmap((char *)region_start(region) + first * PAGE,
		       npages * PAGE);
		model_remap(&f->model, region, first, npages, false);
	} else if (!renew_region(f, region, first, npages)) {
		disagree(f, "no memory for the test itself");
	}
}

/* Drop or raise what is left of a capability, which can be had back */
static bool effective(int cap, bool on)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &hdr, data))
		return false;
	if (on)
		data[cap / 32].effective |= 1U << (cap % 32);
	else
		data[cap / 32].effective &= ~(1U << (cap % 32));
	return !syscall(SYS_capset, &hdr, data);
}

void gen_privilege(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	(void)f;
	op->num = rnd(rng) % 2;
}

void run_privilege(struct fuzz *f, const struct fuzz_op *op)
{
	f->result = 0;
	if (!effective(CAP_IPC_LOCK, op->num & 1))
		disagree(f, "the test cannot change its capabilities");
	f->model.proc[0].ipc_lock = op->num & 1;
}

void gen_limit(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	(void)f;
	op->num = chance(rng, 30) ? ~0ULL : rnd(rng) % 80;
}

/* In pages */
void run_limit(struct fuzz *f, const struct fuzz_op *op)
{
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };
	pid_t pids[] = { 0, f->child };

	f->result = 0;
	f->model.limit = op->num;
	if (op->num < 1 << 20)
		lim.rlim_cur = op->num * PAGE;
	else
		f->model.limit = ~0ULL;
	for (unsigned int i = 0; i < ARRAY_LEN(pids); i++)
		if ((!i || pids[i]) &&
		    prlimit(pids[i], RLIMIT_MEMLOCK, &lim, NULL))
			disagree(f, "the test cannot set its limit");
}

/* What the child does: map what it is told to, and answer */
static void child_main(struct fuzz *f, int from, int to)
{
	struct iommu_ioas_map cmd;
	int rc = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Only what is closed everywhere is closed */
	for (int i = 0; i < FUZZ_SLOTS; i++)
		if (f->slot[i].id && f->slot[i].file >= 0)
			close(f->slot[i].file);
	while (write(to, &rc, sizeof(rc)) == sizeof(rc) &&
	       read(from, &cmd, sizeof(cmd)) == sizeof(cmd)) {
		rc = iommu_cmd(f->fd, IOMMU_IOAS_MAP, &cmd);
		if (write(to, &cmd, sizeof(cmd)) != sizeof(cmd))
			break;
	}
	_exit(0);
}

void run_fork(struct fuzz *f, const struct fuzz_op *op)
{
	int down[2], up[2], rc;

	(void)op;
	if (f->child)
		return;
	f->result = 0;
	if (pipe2(down, O_CLOEXEC) || pipe2(up, O_CLOEXEC)) {
		disagree(f, "no pipe for the test itself");
		return;
	}
	f->child = fork();
	if (!f->child) {
		close(down[1]);
		close(up[0]);
		child_main(f, down[0], up[1]);
	}
	close(down[0]);
	close(up[1]);
	f->to_child = down[1];
	f->from_child = up[0];
	if (f->child < 0 || read(up[0], &rc, sizeof(rc)) != sizeof(rc))
		disagree(f, "no child for the test itself");
	model_fork(&f->model);
}

void run_exit(struct fuzz *f, const struct fuzz_op *op)
{
	(void)op;
	if (f->child <= 0)
		return;
	f->result = 0;
	kill(f->child, SIGKILL);
	waitpid(f->child, NULL, 0);
	close(f->to_child);
	close(f->from_child);
	f->child = 0;
	model_exit(&f->model);
}

/* Regions that the child shares, so that the model knows what it has */
static struct fuzz_op childs_view(const struct fuzz_op *op)
{
	static const unsigned int shared[] = {
		REGION_SHARED, REGION_FILE, REGION_SAME,
	};
	struct fuzz_op view = *op;

	view.mem = shared[op->mem % ARRAY_LEN(shared)];
	return view;
}

int child_map(struct fuzz *f, __u32 ioas, const struct fuzz_op *op,
	      __u64 *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = op->flags,
		.ioas_id = ioas,
		.user_va = va_of(op),
		.length = op->len,
		.iova = *iova,
	};
	int rc;

	if (write(f->to_child, &cmd, sizeof(cmd)) != sizeof(cmd) ||
	    read(f->from_child, &cmd, sizeof(cmd)) != sizeof(cmd) ||
	    read(f->from_child, &rc, sizeof(rc)) != sizeof(rc)) {
		disagree(f, "the child died");
		return 0;
	}
	*iova = cmd.iova;
	return rc;
}

void run_child_map(struct fuzz *f, const struct fuzz_op *op)
{
	struct fuzz_op view = childs_view(op);
	__u64 want = op->iova, got = op->iova;
	__u32 ioas = id_of(f, op->obj);

	if (f->child <= 0 || !has_area_room(f, op))
		return;
	if (agree(f, model_map(&f->model, 1, ioas, va_of(&view), op->len,
			       op->flags, &want),
		  child_map(f, ioas, &view, &got)))
		same(f, "IOVA", want, got);
}
