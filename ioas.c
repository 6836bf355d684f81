// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of an IOAS: user structures in, user structures out.
 */
#include <linux/iommu.h>
#include <linux/uaccess.h>

#include "change_process.h"
#include "ioas.h"
#include "iopt_map.h"
#include "iopt_unmap.h"
#include "pages.h"

void iommufd_ioas_destroy(struct iommufd_object *obj)
{
	struct iommufd_ioas *ioas = container_of(obj, struct iommufd_ioas, obj);

	iopt_destroy(&ioas->iopt);
	mutex_destroy(&ioas->mutex);
}

/**
 * iommufd_ioas_init() - make a new object an empty IOAS
 * @ioas: the object; finalized with iommufd_ctx.ioas_creation_lock held
 * @ictx: its context
 */
void iommufd_ioas_init(struct iommufd_ioas *ioas, struct iommufd_ctx *ictx)
{
	mutex_init(&ioas->mutex);
	INIT_LIST_HEAD(&ioas->hwpt_list);
	ioas->iopt.context = ictx->serial;
	ioas->iopt.id = ioas->obj.id;
	iopt_init(&ioas->iopt);
}

/* IOMMU_IOAS_ALLOC */
int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_alloc *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->flags)
		return -EOPNOTSUPP;

	ioas = iommufd_object_alloc_ucmd(ucmd, ioas, IOMMUFD_OBJ_IOAS, obj);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	iommufd_ioas_init(ioas, ucmd->ictx);
	cmd->out_ioas_id = ioas->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (!rc)
		rc = down_read_killable(&ucmd->ictx->ioas_creation_lock);
	if (rc)
		return rc;
	iommufd_object_finalize_ucmd(ucmd);
	up_read(&ucmd->ictx->ioas_creation_lock);
	return 0;
}

/* The most ranges collected at a time while the space is locked */
#define IOVA_RANGES_BATCH 32

/*
 * User memory is not touched with the space locked, where a page fault could
 * stall everybody else; so the ranges leave in batches. When reserved ranges
 * change between two of them, the result is as if seen before or after.
 */
static int ioas_copy_ranges(struct io_pagetable *iopt,
			    struct iommu_iova_range __user *uranges, u32 max,
			    u32 *total)
{
	struct iommu_iova_range batch[IOVA_RANGES_BATCH];
	struct iova_range range;
	unsigned int skip = 0, nr;
	u32 count;

	do {
		nr = 0;
		count = 0;
		scoped_guard(mutex, &iopt->iova_mutex) {
			iova_space_for_each_usable(&iopt->space, &range) {
				if (count >= skip && count < max &&
				    nr != ARRAY_SIZE(batch)) {
					batch[nr].start = range.start;
					batch[nr++].last = range.last;
				}
				count++;
			}
		}
		if (copy_to_user(uranges + skip, batch, nr * sizeof(*batch)))
			return -EFAULT;
		skip += nr;
	} while (nr == ARRAY_SIZE(batch));
	*total = count;
	return 0;
}

/* IOMMU_IOAS_IOVA_RANGES */
int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_iova_ranges *cmd = ucmd->cmd;
	u32 max = cmd->num_iovas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = ioas_copy_ranges(&ioas->iopt, u64_to_user_ptr(cmd->allowed_iovas),
			      max, &cmd->num_iovas);
	if (rc)
		return rc;
	cmd->out_iova_alignment = READ_ONCE(ioas->iopt.iova_alignment);
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		return rc;
	return cmd->num_iovas > max ? -EMSGSIZE : 0;
}

/*
 * The most entries of a list of allowed ranges. Placing a mapping may look at
 * each of them.
 */
#define IOAS_ALLOWED_MAX 65536

static int ioas_read_allowed(struct rb_root_cached *allowed,
			     const struct iommu_iova_range __user *uranges,
			     u32 num)
{
	struct iommu_iova_range range;
	u32 i;
	int rc;

	for (i = 0; i != num; i++) {
		if (i == IOAS_ALLOWED_MAX)
			return -ENOMEM;
		if (copy_from_user(&range, uranges + i, sizeof(range)))
			return -EFAULT;
		if (range.start >= range.last)
			return -EINVAL;
		if (range.last > ULONG_MAX)
			return -EOVERFLOW;
		rc = iova_allowed_add(allowed, range.start, range.last);
		if (rc)
			return rc;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* IOMMU_IOAS_ALLOW_IOVAS */
int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_allow_iovas *cmd = ucmd->cmd;
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = ioas_read_allowed(&allowed, u64_to_user_ptr(cmd->allowed_iovas),
			       cmd->num_iovas);
	if (!rc)
		rc = iopt_set_allowed(&ioas->iopt, &allowed);
	iova_allowed_free(&allowed);
	return rc;
}

static int map_prot(u32 flags)
{
	int prot = 0;

	if (flags & IOMMU_IOAS_MAP_WRITEABLE)
		prot |= IOMMU_WRITE;
	if (flags & IOMMU_IOAS_MAP_READABLE)
		prot |= IOMMU_READ;
	return prot;
}

#define IOAS_MAP_FLAGS                                          \
	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | \
	 IOMMU_IOAS_MAP_READABLE)

/*
 * The calls that map and unmap reply with one field, and only write that: they
 * come by the million.
 */

static __always_inline struct iommufd_ioas *
ioas_get(struct iommufd_ucmd *ucmd, u32 id)
{
	struct iommufd_object *obj =
		iommufd_get_object_inline(ucmd->ictx, id, IOMMUFD_OBJ_IOAS);

	return container_of(obj, struct iommufd_ioas, obj);
}

/* IOMMU_IOAS_MAP */
int iommufd_ioas_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map __user *ucmd_map = ucmd->ubuffer;
	struct iommu_ioas_map *cmd = ucmd->cmd;
	unsigned long iova = cmd->iova;
	int rc;

	if ((cmd->flags & ~IOAS_MAP_FLAGS) || cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->iova >= ULONG_MAX || cmd->length >= ULONG_MAX ||
	    cmd->user_va > ULONG_MAX)
		return -EOVERFLOW;
	if (!map_prot(cmd->flags))
		return -EINVAL;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		ioas_get(ucmd, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iopt_map_user(&ioas->iopt, &iova, u64_to_user_ptr(cmd->user_va),
			   cmd->length, map_prot(cmd->flags),
			   cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA,
			   &ucmd->ictx->map_policy);
	if (rc)
		return rc;
	return put_user_inline(iova, &ucmd_map->iova);
}

/* IOMMU_IOAS_MAP_FILE */
int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map_file __user *ucmd_map = ucmd->ubuffer;
	struct iommu_ioas_map_file *cmd = ucmd->cmd;
	unsigned long iova = cmd->iova;
	int rc;

	if (cmd->flags & ~IOAS_MAP_FLAGS)
		return -EOPNOTSUPP;
	if (cmd->iova >= ULONG_MAX || cmd->length >= ULONG_MAX ||
	    cmd->start > ULONG_MAX)
		return -EOVERFLOW;
	if (!map_prot(cmd->flags))
		return -EINVAL;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iopt_map_file(&ioas->iopt, &iova, cmd->fd, cmd->start, cmd->length,
			   map_prot(cmd->flags),
			   cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA,
			   &ucmd->ictx->map_policy);
	if (rc)
		return rc;
	return put_user(iova, &ucmd_map->iova);
}

/* IOMMU_IOAS_COPY */
int iommufd_ioas_copy(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_copy *cmd = ucmd->cmd;
	unsigned long iova;
	int rc;

	if (cmd->flags & ~IOAS_MAP_FLAGS)
		return -EOPNOTSUPP;
	if (cmd->length >= ULONG_MAX || cmd->src_iova >= ULONG_MAX ||
	    cmd->dst_iova >= ULONG_MAX)
		return -EOVERFLOW;
	if (!map_prot(cmd->flags))
		return -EINVAL;

	struct iommufd_ioas *src __free(iommufd_put_object) =
		iommufd_get_ioas(ucmd->ictx, cmd->src_ioas_id);
	if (IS_ERR(src))
		return PTR_ERR(src);
	struct iommufd_ioas *dst __free(iommufd_put_object) =
		iommufd_get_ioas(ucmd->ictx, cmd->dst_ioas_id);

	/* What is wrong with the source comes before a wrong destination */
	iova = cmd->dst_iova;
	rc = iopt_copy(IS_ERR(dst) ? NULL : &dst->iopt, &iova, &src->iopt,
		       cmd->src_iova, cmd->length, map_prot(cmd->flags),
		       cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA);
	if (rc)
		return rc;
	cmd->dst_iova = iova;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

/* IOMMU_IOAS_UNMAP */
int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_unmap __user *ucmd_unmap = ucmd->ubuffer;
	struct iommu_ioas_unmap *cmd = ucmd->cmd;
	unsigned long unmapped;
	int rc;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		ioas_get(ucmd, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	if (!cmd->iova && cmd->length == U64_MAX)
		rc = iopt_unmap_all(&ioas->iopt, &unmapped);
	else if (cmd->iova >= ULONG_MAX || cmd->length >= ULONG_MAX)
		rc = -EOVERFLOW;
	else
		rc = iopt_unmap(&ioas->iopt, cmd->iova, cmd->length, &unmapped);
	if (rc)
		return rc;
	return put_user_inline(unmapped, &ucmd_unmap->length);
}

/* IOMMU_IOAS_CHANGE_PROCESS */
int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_change_process *cmd = ucmd->cmd;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	return iommufd_change_process(ucmd->ictx);
}

/* IOMMU_IOAS_NOIOMMU_GET_PA */
int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_noiommu_get_pa *cmd = ucmd->cmd;
	u64 phys;
	int rc;

	if (!IS_ENABLED(CONFIG_IOMMUFD_NOIOMMU))
		return -EOPNOTSUPP;
	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	if (cmd->flags || cmd->__reserved)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (cmd->iova >= ULONG_MAX)
		return -EOVERFLOW;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = iopt_noiommu_get_pa(&ioas->iopt, cmd->iova, &cmd->length, &phys);
	if (rc)
		return rc;
	cmd->out_phys = phys;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

static int option_set_rlimit_mode(struct iommufd_ctx *ictx, u64 val)
{
	if (!capable(CAP_SYS_RESOURCE))
		return -EPERM;

	/* Mappings keep the mode they were made with, so there must be none */
	guard(spinlock)(&ictx->objects.xa_lock);
	if (!xa_empty(&ictx->objects))
		return -EBUSY;
	if (val > 1)
		return -EINVAL;
	ictx->map_policy.account_mode = val ? IOMMUFD_ACCOUNT_MM :
					      IOMMUFD_ACCOUNT_USER;
	return 0;
}

static int option_rlimit_mode(struct iommufd_ctx *ictx, struct iommu_option *cmd)
{
	if (cmd->object_id)
		return -EOPNOTSUPP;

	switch (cmd->op) {
	case IOMMU_OPTION_OP_GET:
		cmd->val64 = ictx->map_policy.account_mode ==
			     IOMMUFD_ACCOUNT_MM;
		return 0;
	case IOMMU_OPTION_OP_SET:
		return option_set_rlimit_mode(ictx, cmd->val64);
	default:
		return -EOPNOTSUPP;
	}
}

static int option_huge_pages(struct iommufd_ctx *ictx, struct iommu_option *cmd)
{
	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		iommufd_get_ioas(ictx, cmd->object_id);

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	switch (cmd->op) {
	case IOMMU_OPTION_OP_GET:
		/* Type 1 can cut, too, and has always said so here */
		cmd->val64 = !READ_ONCE(ioas->iopt.can_cut);
		return 0;
	case IOMMU_OPTION_OP_SET:
		if (cmd->val64 > 1)
			return -EINVAL;
		return iopt_set_huge_pages(&ioas->iopt, cmd->val64);
	default:
		return -EOPNOTSUPP;
	}
}

/* IOMMU_OPTION */
int iommufd_option(struct iommufd_ucmd *ucmd)
{
	struct iommu_option __user *ucmd_option = ucmd->ubuffer;
	struct iommu_option *cmd = ucmd->cmd;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	switch (cmd->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		rc = option_rlimit_mode(ucmd->ictx, cmd);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		rc = option_huge_pages(ucmd->ictx, cmd);
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (rc)
		return rc;
	return put_user(cmd->val64, &ucmd_option->val64);
}
