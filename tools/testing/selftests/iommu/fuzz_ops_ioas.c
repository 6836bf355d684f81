// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on address spaces and on the VFIO container, and those without sense.
 */
#include <linux/vfio.h>

#include "fuzz_parts.h"

/*
 * IOAS
 */

void gen_ioas(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->to = pick_empty(f, rng);
}

void run_ioas(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 want = 0, got = 0;

	if (!can_keep(f, op) || count(f, T_IOAS) == MODEL_IOAS)
		return;
	if (agree(f, model_ioas_alloc(&f->model, &want),
		  KERNEL(f, ioas_alloc(f->fd, &got))))
		keep(f, op, want, got, -1);
}

void gen_destroy(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = chance(rng, 10) ? FUZZ_RID_OF + pick(f, rng, T_STDEV) :
				    rnd(rng) % FUZZ_SLOTS;
}

void run_destroy(struct fuzz *f, const struct fuzz_op *op)
{
	__u32 id = id_of(f, op->obj);

	/* A driver takes PASIDs off before it lets go of a device */
	if (model_has_pasids(&f->model, id))
		return;
	if (agree(f, model_destroy(&f->model, id),
		  KERNEL(f, iommu_destroy(f->fd, id)))) {
		for (int i = 0; i < FUZZ_SLOTS; i++)
			if (f->slot[i].id == id)
				f->slot[i].id = 0;
	}
}

void gen_map(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_IOAS);
	op->mem = rnd(rng) % MODEL_REGIONS;
	op->off = pick_off(rng);
	op->len = pick_len(rng);
	if (op->len < 1 << 20 && chance(rng, 80))
		op->off %= REGION_BYTES + PAGE -
			   (op->len < REGION_BYTES ? op->len : REGION_BYTES);
	op->flags = pick_map_flags(rng, chance(rng, 60));
	if (op->mem == REGION_READONLY && chance(rng, 80))
		op->flags &= ~(__u64)MAP_W;
	if (op->flags & MAP_FIX)
		op->iova = pick_iova(f, rng, op->obj);
}

__u64 va_of(const struct fuzz_op *op)
{
	return region_start(op->mem % MODEL_REGIONS) + op->off;
}

/* Only what is asked for by fixed address is an input */
static int kernel_map(struct fuzz *f, __u32 ioas, const struct fuzz_op *op,
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
	int rc = KERNEL(f, iommu_cmd(f->fd, IOMMU_IOAS_MAP, &cmd));

	*iova = cmd.iova;
	return rc;
}

bool has_area_room(struct fuzz *f, const struct fuzz_op *op)
{
	struct model_ioas *ioas = ioas_of(f, op->obj);

	return model_has_room(&f->model, 0, 0) &&
	       (!ioas || ioas->nareas < MODEL_AREAS);
}

void run_map(struct fuzz *f, const struct fuzz_op *op)
{
	__u64 want = op->iova, got = op->iova;
	__u32 ioas = id_of(f, op->obj);

	if (!has_area_room(f, op))
		return;
	if (agree(f, model_map(&f->model, 0, ioas, va_of(op), op->len,
			       op->flags, &want),
		  kernel_map(f, ioas, op, &got)))
		same(f, "IOVA", want, got);
}

void gen_map_file(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	gen_map(f, op, rng);
}

static int kernel_map_file(struct fuzz *f, __u32 ioas,
			   const struct fuzz_op *op, __u64 *iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = op->flags,
		.ioas_id = ioas,
		.fd = f->memfd,
		.start = op->off,
		.length = op->len,
		.iova = *iova,
	};
	int rc = KERNEL(f, iommu_cmd(f->fd, IOMMU_IOAS_MAP_FILE, &cmd));

	*iova = cmd.iova;
	return rc;
}

void run_map_file(struct fuzz *f, const struct fuzz_op *op)
{
	__u64 want = op->iova, got = op->iova;
	__u32 ioas = id_of(f, op->obj);

	if (!has_area_room(f, op))
		return;
	if (agree(f, model_map_file(&f->model, ioas, op->off, op->len,
				    op->flags, &want),
		  kernel_map_file(f, ioas, op, &got)))
		same(f, "IOVA", want, got);
}

void gen_copy(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_IOAS);
	op->with = pick(f, rng, T_IOAS);
	op->src = pick_iova(f, rng, op->with);
	op->len = pick_area_len(f, rng, op->with, op->src);
	op->flags = pick_map_flags(rng, chance(rng, 60));
	if (op->flags & MAP_FIX)
		op->iova = pick_iova(f, rng, op->obj);
}

static int kernel_copy(struct fuzz *f, __u32 dst, __u32 src,
		       const struct fuzz_op *op, __u64 *iova)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = op->flags,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = op->len,
		.src_iova = op->src,
		.dst_iova = *iova,
	};
	int rc = KERNEL(f, iommu_cmd(f->fd, IOMMU_IOAS_COPY, &cmd));

	*iova = cmd.dst_iova;
	return rc;
}

void run_copy(struct fuzz *f, const struct fuzz_op *op)
{
	struct model_ioas *from = ioas_of(f, op->with), *to = ioas_of(f, op->obj);
	__u64 want = op->iova, got = op->iova;
	__u32 dst = id_of(f, op->obj), src = id_of(f, op->with);

	if (from && to && from->nareas + to->nareas > MODEL_AREAS)
		return;
	if (agree(f, model_copy(&f->model, dst, src, op->src, op->len,
				op->flags, &want),
		  kernel_copy(f, dst, src, op, &got)))
		same(f, "IOVA", want, got);
}

void gen_unmap(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_IOAS);
	op->iova = pick_iova(f, rng, op->obj);
	op->len = pick_area_len(f, rng, op->obj, op->iova);
	if (chance(rng, 3)) {
		op->iova = 0;
		op->len = ~0ULL;
	}
}

void run_unmap(struct fuzz *f, const struct fuzz_op *op)
{
	__u64 want = 0, got = 0;
	__u32 ioas = id_of(f, op->obj);

	if (agree(f, model_unmap(&f->model, ioas, op->iova, op->len, &want),
		  KERNEL(f, ioas_unmap(f->fd, ioas, op->iova, op->len, &got))))
		same(f, "bytes unmapped", want, got);
}

void gen_allow(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_IOAS);
	op->iova = pick_iova(f, rng, op->obj);
	op->len = PAGE * (rnd(rng) % 64);
	op->num = chance(rng, 30) ? 0 : 1 + rnd(rng) % 3;
	op->src = chance(rng, 80) ? PAGE * (rnd(rng) % 128) : rnd(rng) % 3;
}

/* So many ranges of @len bytes, @src apart */
void run_allow(struct fuzz *f, const struct fuzz_op *op)
{
	struct iommu_iova_range ranges[4];
	struct model_range want[4];
	unsigned int num = op->num % 4;
	__u32 ioas = id_of(f, op->obj);

	for (unsigned int i = 0; i < num; i++) {
		want[i].start = op->iova + i * (op->len + op->src);
		want[i].last = want[i].start + op->len - 1;
		want[i].owner = 0;
		ranges[i].start = want[i].start;
		ranges[i].last = want[i].last;
	}
	agree(f, model_allow(&f->model, ioas, want, num),
	      KERNEL(f, ioas_allow(f->fd, ioas, ranges, num)));
}

void gen_reserve(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_IOAS);
	op->iova = pick_iova(f, rng, op->obj);
	op->len = pick_len(rng);
}

void run_reserve(struct fuzz *f, const struct fuzz_op *op)
{
	struct model_ioas *ioas = ioas_of(f, op->obj);
	__u32 id = id_of(f, op->obj);

	if (ioas && ioas->nreserved > MODEL_RANGES / 4)
		return;
	agree(f, model_reserve(&f->model, id, op->iova, op->len),
	      KERNEL(f, mock_reserve(f->fd, id, op->iova, op->len)));
}

void gen_huge(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_IOAS);
	op->num = rnd(rng) % 10 ? rnd(rng) % 2 : rnd(rng) % 4;
}

void run_huge(struct fuzz *f, const struct fuzz_op *op)
{
	__u64 want = 0, got = 0;
	__u32 ioas = id_of(f, op->obj);

	agree(f, model_huge_pages(&f->model, ioas, op->num),
	      KERNEL(f, option_set(f->fd, IOMMU_OPTION_HUGE_PAGES, ioas,
				   op->num)));
	if (model_get_huge_pages(&f->model, ioas, &want) ||
	    option_get(f->fd, IOMMU_OPTION_HUGE_PAGES, ioas, &got))
		return;
	same(f, "option", want, got);
}

void gen_none(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	(void)f;
	op->num = rnd(rng) % 3;
}

void run_rlimit_mode(struct fuzz *f, const struct fuzz_op *op)
{
	agree(f, model_rlimit_mode(&f->model, op->num),
	      KERNEL(f, option_set(f->fd, IOMMU_OPTION_RLIMIT_MODE, 0,
				   op->num)));
}

void run_change_process(struct fuzz *f, const struct fuzz_op *op)
{
	(void)op;
	agree(f, model_change_process(&f->model, 0),
	      KERNEL(f, ioas_change_process(f->fd)));
}

/*
 * The container
 */

void gen_vfio_ioas(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	op->obj = pick(f, rng, T_IOAS);
	op->num = chance(rng, 90);
}

/* Clears it for @num 0 */
void run_vfio_ioas(struct fuzz *f, const struct fuzz_op *op)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.op = op->num & 1 ? IOMMU_VFIO_IOAS_SET : IOMMU_VFIO_IOAS_CLEAR,
		.ioas_id = id_of(f, op->obj),
	};
	__u32 want;
	int rc = 0;

	if (op->num & 1)
		rc = model_vfio_set(&f->model, cmd.ioas_id);
	else
		model_vfio_clear(&f->model);
	agree(f, rc, KERNEL(f, iommu_cmd(f->fd, IOMMU_VFIO_IOAS, &cmd)));
	cmd.op = IOMMU_VFIO_IOAS_GET;
	rc = model_vfio_get(&f->model, &want);
	if (rc != iommu_cmd(f->fd, IOMMU_VFIO_IOAS, &cmd))
		disagree(f, "IOAS of the container: model says %s", err(rc));
	if (!rc)
		same(f, "IOAS of the container", want, cmd.ioas_id);
}

void run_vfio_type(struct fuzz *f, const struct fuzz_op *op)
{
	static const __u32 types[] = {
		VFIO_TYPE1_IOMMU, VFIO_TYPE1v2_IOMMU, VFIO_SPAPR_TCE_IOMMU,
	};
	__u32 type = types[op->num % ARRAY_LEN(types)];

	agree(f, model_vfio_type(&f->model, type),
	      KERNEL(f, ioctl(f->fd, VFIO_SET_IOMMU, (unsigned long)type) ?
			errno : 0));
}

/* The container's IOAS, wherever that is */
static __u64 compat_slot(struct fuzz *f)
{
	for (unsigned int i = 0; i < FUZZ_SLOTS; i++)
		if (f->slot[i].id && f->slot[i].id == f->model.compat)
			return i;
	return 0;
}

void gen_vfio_map(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	gen_map(f, op, rng);
	/* New addresses, 4, are left to vfio_vaddr_test; 8 means nothing */
	op->flags = chance(rng, 90) ? 3 : rnd(rng) % 4 | rnd(rng) % 2 << 3;
	op->iova = pick_iova(f, rng, compat_slot(f));
}

void run_vfio_map(struct fuzz *f, const struct fuzz_op *op)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = op->flags,
		.vaddr = va_of(op),
		.iova = op->iova,
		.size = op->len,
	};
	struct model_ioas *ioas = model_ioas(&f->model, f->model.compat);

	if (!model_has_room(&f->model, 0, 0) ||
	    (ioas && ioas->nareas == MODEL_AREAS))
		return;
	agree(f, model_vfio_map(&f->model, va_of(op), op->len, op->flags,
				op->iova),
	      KERNEL(f, iommu_cmd(f->fd, VFIO_IOMMU_MAP_DMA, &cmd)));
}

void gen_vfio_unmap(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	__u64 slot = compat_slot(f);

	op->iova = pick_iova(f, rng, slot);
	op->len = pick_area_len(f, rng, slot, op->iova);
	if (chance(rng, 30) && op->len > 2 * PAGE && op->len < 1 << 20)
		op->len -= PAGE;
	if (chance(rng, 30))
		op->iova += PAGE;
	op->flags = 0;
	if (chance(rng, 4)) {
		op->flags = VFIO_DMA_UNMAP_FLAG_ALL;
		op->len = 0;
		op->iova = chance(rng, 10);
	}
}

void run_vfio_unmap(struct fuzz *f, const struct fuzz_op *op)
{
	bool all = op->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd),
		.flags = all ? VFIO_DMA_UNMAP_FLAG_ALL : 0,
		.iova = op->iova,
		.size = op->len,
	};
	struct model_ioas *ioas = model_ioas(&f->model, f->model.compat);
	__u64 want = 0;

	if (ioas && ioas->nareas + 2 > MODEL_AREAS)
		return;
	if (agree(f, model_vfio_unmap(&f->model, op->iova, op->len, all, &want),
		  KERNEL(f, iommu_cmd(f->fd, VFIO_IOMMU_UNMAP_DMA, &cmd))))
		same(f, "bytes unmapped", want, cmd.size);
}

/*
 * Calls that make no sense
 */

static const struct {
	unsigned int min, full;
	/* of a field that has to be 0, or of which the highest bit has to be */
	unsigned int reserved;
} command_sizes[] = {
	[IOMMUFD_CMD_DESTROY - IOMMUFD_CMD_BASE] = { 8, 8, 0 },
	[IOMMUFD_CMD_IOAS_ALLOC - IOMMUFD_CMD_BASE] = { 12, 12, 4 },
	[IOMMUFD_CMD_IOAS_ALLOW_IOVAS - IOMMUFD_CMD_BASE] = { 24, 24, 12 },
	[IOMMUFD_CMD_IOAS_COPY - IOMMUFD_CMD_BASE] = { 40, 40, 4 },
	[IOMMUFD_CMD_IOAS_IOVA_RANGES - IOMMUFD_CMD_BASE] = { 32, 32, 12 },
	[IOMMUFD_CMD_IOAS_MAP - IOMMUFD_CMD_BASE] = { 40, 40, 12 },
	[IOMMUFD_CMD_IOAS_UNMAP - IOMMUFD_CMD_BASE] = { 24, 24, 0 },
	[IOMMUFD_CMD_OPTION - IOMMUFD_CMD_BASE] = { 24, 24, 4 },
	[IOMMUFD_CMD_VFIO_IOAS - IOMMUFD_CMD_BASE] = { 12, 12, 8 },
	[IOMMUFD_CMD_HWPT_ALLOC - IOMMUFD_CMD_BASE] = { 24, 48, 20 },
	[IOMMUFD_CMD_GET_HW_INFO - IOMMUFD_CMD_BASE] = { 32, 40, 4 },
	[IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING - IOMMUFD_CMD_BASE] = { 16, 16, 4 },
	[IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP - IOMMUFD_CMD_BASE] = { 48, 48, 12 },
	[IOMMUFD_CMD_HWPT_INVALIDATE - IOMMUFD_CMD_BASE] = { 32, 32, 28 },
	[IOMMUFD_CMD_FAULT_QUEUE_ALLOC - IOMMUFD_CMD_BASE] = { 16, 16, 4 },
	[IOMMUFD_CMD_IOAS_MAP_FILE - IOMMUFD_CMD_BASE] = { 40, 40, 4 },
	[IOMMUFD_CMD_VIOMMU_ALLOC - IOMMUFD_CMD_BASE] = { 24, 40, 4 },
	[IOMMUFD_CMD_VDEVICE_ALLOC - IOMMUFD_CMD_BASE] = { 24, 24, 0 },
	[IOMMUFD_CMD_IOAS_CHANGE_PROCESS - IOMMUFD_CMD_BASE] = { 8, 8, 4 },
	[IOMMUFD_CMD_VEVENTQ_ALLOC - IOMMUFD_CMD_BASE] = { 28, 32, 4 },
	[IOMMUFD_CMD_HW_QUEUE_ALLOC - IOMMUFD_CMD_BASE] = { 40, 40, 4 },
};

void gen_senseless(struct fuzz *f, struct fuzz_op *op, __u64 *rng)
{
	(void)f;
	op->mem = rnd(rng) % ARRAY_LEN(command_sizes);
	op->num = rnd(rng) % 5;
	op->len = rnd(rng);
}

/* Command number @mem, with what @num says wrong */
void run_senseless(struct fuzz *f, const struct fuzz_op *op)
{
	unsigned int nr = op->mem % ARRAY_LEN(command_sizes);
	unsigned int min = command_sizes[nr].min, at;
	__u32 cmd[64] = {};
	void *arg = cmd;
	int want;

	if (!min)
		return;
	cmd[0] = command_sizes[nr].full;
	switch (op->num) {
	case 0:
		cmd[0] = op->len % min;
		want = EINVAL;
		break;
	case 1:
		at = command_sizes[nr].full / 4 + op->len % 8;
		cmd[0] = 4 * (at + 1 + op->len % 5);
		cmd[at] = 1 << op->len % 32;
		want = E2BIG;
		break;
	case 2:
		arg = BAD_PTR;
		want = EFAULT;
		break;
	case 3:
		at = command_sizes[nr].reserved / 4;
		if (!at)
			return;
		cmd[at] = 1U << 31;
		want = EOPNOTSUPP;
		break;
	default:
		/* Of another type */
		want = ENOTTY;
		nr |= 1 << 16;
	}
	agree(f, want, KERNEL(f, iommu_cmd(f->fd, _IO(IOMMUFD_TYPE,
						      IOMMUFD_CMD_BASE) + nr,
					   arg)));
}
