// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of a VFIO type1 container.
 *
 * A context has at most one IOAS that they act on, the compat IOAS. VFIO makes
 * one when the first group is added; user space may also name one with
 * IOMMU_VFIO_IOAS. What type1 does at VFIO_SET_IOMMU (claim the devices, make
 * the domain, pin what is mapped) happens here when VFIO opens a device.
 *
 * A check that needs no IOAS comes before the -ENODEV of a missing one, and
 * nothing is changed or written back by a call that fails.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "accounting.h"
#include "dirty_log.h"
#include "ioas.h"
#include "iopt_map.h"
#include "iopt_unmap.h"
#include "vfio_compat.h"
#include "vfio_dirty.h"
#include "vfio_vaddr.h"

static unsigned int dma_entry_limit = U32_MAX;
module_param(dma_entry_limit, uint, 0644);
MODULE_PARM_DESC(dma_entry_limit,
		 "Most mappings a VFIO container may have (default: no limit)");

/*
 * The compat IOAS
 */

/* Returns the IOAS with the references of a running operation, or -ENODEV */
static struct iommufd_ioas *vfio_get_ioas(struct iommufd_ctx *ictx)
{
	guard(spinlock)(&ictx->objects.xa_lock);
	if (!ictx->vfio_ioas || !iommufd_lock_obj(&ictx->vfio_ioas->obj))
		return ERR_PTR(-ENODEV);
	return ictx->vfio_ioas;
}

/*
 * A designation is no reference; destroying the IOAS ends it. What user space
 * designates is its own business from then on.
 */
static int vfio_designate(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas)
{
	guard(spinlock)(&ictx->objects.xa_lock);
	if (ioas && ictx->no_iommu_mode)
		return -EINVAL;
	WRITE_ONCE(ictx->vfio_ioas, ioas);
	ictx->vfio_auto = false;
	return 0;
}

int iommufd_vfio_compat_ioas_get_id(struct iommufd_ctx *ictx, u32 *out_ioas_id)
{
	guard(spinlock)(&ictx->objects.xa_lock);
	if (!ictx->vfio_ioas)
		return -ENODEV;
	*out_ioas_id = ictx->vfio_ioas->obj.id;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_get_id, "IOMMUFD_VFIO");

int iommufd_vfio_compat_set_no_iommu(struct iommufd_ctx *ictx)
{
	int rc;

	/* An IOAS that is being made is about to be designated */
	rc = down_read_killable(&ictx->ioas_creation_lock);
	if (rc)
		return rc;
	scoped_guard(spinlock, &ictx->objects.xa_lock) {
		if (ictx->vfio_ioas) {
			rc = -EINVAL;
		} else {
			WRITE_ONCE(ictx->no_iommu_mode, true);
			WRITE_ONCE(ictx->vfio_joined, true);
		}
	}
	up_read(&ictx->ioas_creation_lock);
	return rc;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_set_no_iommu, "IOMMUFD_VFIO");

int iommufd_vfio_compat_ioas_create(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;
	int rc;

	/* For writing, as two callers must not make two IOASes */
	ACQUIRE(rwsem_write_kill, lock)(&ictx->ioas_creation_lock);
	rc = ACQUIRE_ERR(rwsem_write_kill, &lock);
	if (rc)
		return rc;
	scoped_guard(spinlock, &ictx->objects.xa_lock) {
		if (ictx->no_iommu_mode)
			return -EINVAL;
		if (ictx->vfio_ioas) {
			WRITE_ONCE(ictx->vfio_joined, true);
			return 0;
		}
	}

	ioas = iommufd_object_alloc(ictx, ioas, IOMMUFD_OBJ_IOAS, obj);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	iommufd_ioas_init(ioas, ictx);
	/* Once visible, the IOAS could be destroyed before it is designated */
	iommufd_lock_obj(&ioas->obj);
	iommufd_object_finalize(ictx, &ioas->obj);
	/* The lock excludes no-IOMMU mode, and another compat IOAS */
	scoped_guard(spinlock, &ictx->objects.xa_lock) {
		WRITE_ONCE(ictx->vfio_ioas, ioas);
		ictx->vfio_auto = true;
		WRITE_ONCE(ictx->vfio_joined, true);
	}
	iommufd_put_object(&ioas->obj);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(iommufd_vfio_compat_ioas_create, "IOMMUFD_VFIO");

/* An IOAS made for groups is as it was before the first of them */
static void vfio_reset_ioas(struct iommufd_ioas *ioas)
{
	guard(mutex)(&ioas->mutex);
	WRITE_ONCE(ioas->vfio_type1, false);
	iopt_log_end(&ioas->iopt);
	iopt_unmap_container(&ioas->iopt);
	iopt_forbid_cuts(&ioas->iopt);
}

/**
 * iommufd_vfio_left() - no driver holds a context any more
 * @ictx: the context
 *
 * If VFIO groups did, all of them have left, and every device with them. Like
 * type1 the container then forgets what it mapped, and of what kind it was. It
 * keeps what native ioctls mapped. An IOAS that user space designated is left
 * alone.
 */
void iommufd_vfio_left(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas = NULL;

	if (!READ_ONCE(ictx->vfio_joined))
		return;
	/* A group that is added meanwhile was so before, or waits */
	guard(rwsem_write)(&ictx->ioas_creation_lock);
	scoped_guard(spinlock, &ictx->objects.xa_lock) {
		if (atomic_read(&ictx->holders) || !ictx->vfio_joined)
			return;
		WRITE_ONCE(ictx->vfio_joined, false);
		WRITE_ONCE(ictx->no_iommu_mode, false);
		if (ictx->vfio_ioas && ictx->vfio_auto &&
		    iommufd_lock_obj(&ictx->vfio_ioas->obj))
			ioas = ictx->vfio_ioas;
	}
	if (!ioas)
		return;
	vfio_reset_ioas(ioas);
	iommufd_put_object(&ioas->obj);
}

static int vfio_ioas_get(struct iommufd_ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = ucmd->cmd;
	int rc;

	rc = iommufd_vfio_compat_ioas_get_id(ucmd->ictx, &cmd->ioas_id);
	return rc ?: iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}

static int vfio_ioas_set(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		iommufd_get_ioas(ictx, id);
	int rc;

	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = down_read_killable(&ictx->ioas_creation_lock);
	if (rc)
		return rc;
	rc = vfio_designate(ictx, ioas);
	up_read(&ictx->ioas_creation_lock);
	return rc;
}

/* IOMMU_VFIO_IOAS */
int iommufd_vfio_ioas(struct iommufd_ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = ucmd->cmd;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		return vfio_ioas_get(ucmd);
	case IOMMU_VFIO_IOAS_SET:
		return vfio_ioas_set(ucmd->ictx, cmd->ioas_id);
	case IOMMU_VFIO_IOAS_CLEAR:
		return vfio_designate(ucmd->ictx, NULL);
	default:
		return -EOPNOTSUPP;
	}
}

/*
 * VFIO_CHECK_EXTENSION, VFIO_SET_IOMMU
 */

/* Do the IOMMUs override the no-snoop attribute of every device? */
static int vfio_is_dma_coherent(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		vfio_get_ioas(ictx);

	/* A container without a group promises nothing */
	if (IS_ERR(ioas))
		return 0;
	return iopt_is_coherent(&ioas->iopt);
}

static int vfio_can_update_vaddr(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		vfio_get_ioas(ictx);

	if (IS_ERR(ioas))
		return 0;
	return iommufd_vfio_has_update_vaddr(ioas);
}

static int vfio_check_extension(struct iommufd_ctx *ictx, unsigned long type)
{
	switch (type) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return !READ_ONCE(ictx->no_iommu_mode);
	case VFIO_NOIOMMU_IOMMU:
		return IS_ENABLED(CONFIG_VFIO_NOIOMMU);
	case VFIO_DMA_CC_IOMMU:
		return vfio_is_dma_coherent(ictx);
	case VFIO_UPDATE_VADDR:
		return vfio_can_update_vaddr(ictx);
	default:
		return 0;
	}
}

/*
 * Type 1 promises that a mapping can be unmapped in parts. It has no dirty log,
 * and no way to stop one that type 1v2 started. A caller that is killed half way
 * has done what is harmless by itself.
 */
static int vfio_set_type1(struct iommufd_ioas *ioas)
{
	int rc;

	ACQUIRE(mutex_kill, lock)(&ioas->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (rc)
		return rc;
	rc = iopt_allow_cuts(&ioas->iopt);
	if (!rc)
		rc = iopt_log_stop(&ioas->iopt);
	if (!rc)
		WRITE_ONCE(ioas->vfio_type1, true);
	return rc;
}

static int vfio_set_iommu(struct iommufd_ctx *ictx, unsigned long type)
{
	bool no_iommu = READ_ONCE(ictx->no_iommu_mode);

	if (type == VFIO_NOIOMMU_IOMMU && no_iommu)
		return capable(CAP_SYS_RAWIO) ? 0 : -EPERM;
	if ((type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU) ||
	    no_iommu)
		return -EINVAL;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		vfio_get_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	return type == VFIO_TYPE1_IOMMU ? vfio_set_type1(ioas) : 0;
}

/*
 * VFIO_IOMMU_GET_INFO
 */

/*
 * What the reply consists of, in this order. Every part begins at a multiple of
 * 8, also on 32-bit machines that align a u64 to 4 only.
 */
struct vfio_info_reply {
	struct vfio_iommu_type1_info info;
	struct vfio_iommu_type1_info_cap_migration migration __aligned(8);
	struct vfio_iommu_type1_info_dma_avail dma_avail __aligned(8);
	struct vfio_iommu_type1_info_cap_iova_range ranges __aligned(8);
};

static_assert(offsetof(struct vfio_info_reply, migration) ==
	      sizeof(struct vfio_iommu_type1_info));

static u32 ioas_dma_avail(struct iommufd_ioas *ioas)
{
	u32 limit = READ_ONCE(dma_entry_limit);

	guard(mutex)(&ioas->iopt.iova_mutex);
	return limit - min(limit, ioas->iopt.space.nr_nodes);
}

/*
 * Stores the first max ranges, and returns how many there are. Programs such as
 * QEMU compute the address after a range, which must not wrap to 0: where no
 * hardware sets a limit, the last page goes unmentioned.
 */
static u32 ioas_usable_ranges(struct iommufd_ioas *ioas,
			      struct vfio_iova_range *ranges, u32 max)
{
	struct iova_range range;
	u32 nr = 0;

	guard(mutex)(&ioas->iopt.iova_mutex);
	iova_space_for_each_usable(&ioas->iopt.space, &range) {
		if (nr < max) {
			ranges[nr].start = range.start;
			ranges[nr].end = range.last;
			if (ranges[nr].end == U64_MAX)
				ranges[nr].end -= PAGE_SIZE;
		}
		nr++;
	}
	return nr;
}

/* Nothing is allocated with the space locked, so the number may change */
static struct vfio_info_reply *vfio_info_alloc(struct iommufd_ioas *ioas)
{
	struct vfio_info_reply *reply;
	u32 max, nr = 1;

	for (;;) {
		max = nr;
		reply = kvzalloc(struct_size(reply, ranges.iova_ranges, max),
				 GFP_KERNEL_ACCOUNT);
		if (!reply)
			return ERR_PTR(-ENOMEM);
		nr = ioas_usable_ranges(ioas, reply->ranges.iova_ranges, max);
		if (nr <= max)
			break;
		kvfree(reply);
		if (fatal_signal_pending(current))
			return ERR_PTR(-EINTR);
	}
	reply->ranges.nr_iovas = nr;
	return reply;
}

static void vfio_info_fill(struct vfio_info_reply *reply,
			   struct iommufd_ioas *ioas, u64 page_sizes)
{
	reply->info.argsz = struct_size(reply, ranges.iova_ranges,
					reply->ranges.nr_iovas);
	reply->info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	reply->info.iova_pgsizes = page_sizes;
	reply->info.cap_offset = offsetof(struct vfio_info_reply, migration);

	reply->migration.header = (struct vfio_info_cap_header) {
		.id = VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION,
		.version = 1,
		.next = offsetof(struct vfio_info_reply, dma_avail),
	};
	reply->migration.pgsize_bitmap = PAGE_SIZE;
	reply->migration.max_dirty_bitmap_size = VFIO_BITMAP_SIZE_MAX;
	if (!iommufd_vfio_has_dirty_log())
		reply->info.cap_offset = reply->migration.header.next;

	reply->dma_avail.header = (struct vfio_info_cap_header) {
		.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
		.version = 1,
		.next = offsetof(struct vfio_info_reply, ranges),
	};
	reply->dma_avail.avail = ioas_dma_avail(ioas);

	reply->ranges.header = (struct vfio_info_cap_header) {
		.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
		.version = 1,
	};
}

static int vfio_info_reply(struct iommufd_ioas *ioas, void __user *uinfo,
			   u32 argsz)
{
	struct vfio_info_reply *reply;
	u64 page_sizes;
	size_t size;
	int rc;

	rc = iopt_page_sizes(&ioas->iopt, &page_sizes);
	if (rc)
		return rc;
	reply = vfio_info_alloc(ioas);
	if (IS_ERR(reply))
		return PTR_ERR(reply);
	vfio_info_fill(reply, ioas, page_sizes);
	size = reply->info.argsz;
	/* The capabilities are of use only together */
	if (argsz < size) {
		reply->info.cap_offset = 0;
		size = min_t(size_t, argsz, sizeof(reply->info));
	}
	if (copy_to_user(uinfo, reply, size))
		rc = -EFAULT;
	kvfree(reply);
	return rc;
}

static int vfio_iommu_get_info(struct iommufd_ctx *ictx, void __user *uinfo)
{
	size_t minsz = offsetofend(struct vfio_iommu_type1_info, iova_pgsizes);
	struct vfio_iommu_type1_info info;

	if (copy_from_user(&info, uinfo, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		vfio_get_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	return vfio_info_reply(ioas, uinfo, info.argsz);
}

/*
 * VFIO_IOMMU_MAP_DMA
 */

/*
 * Whole CPU pages are required. An IOAS without a domain would take anything, but
 * then no device could be attached to it. When several things are wrong, what is
 * wrong with the IOVA comes before the rest.
 */
static int vfio_map_check(struct iommufd_ioas *ioas,
			  const struct vfio_iommu_type1_dma_map *map)
{
	unsigned long last;
	int rc;

	if (!map->size || !IS_ALIGNED(map->iova | map->size, PAGE_SIZE))
		return -EINVAL;
	if (map->iova > ULONG_MAX || map->size > ULONG_MAX ||
	    check_add_overflow((unsigned long)map->iova,
			       (unsigned long)map->size - 1, &last))
		return -EOVERFLOW;
	if (PAGE_ALIGNED(map->vaddr))
		return 0;

	scoped_guard(mutex, &ioas->iopt.iova_mutex)
		rc = iova_space_check(&ioas->iopt.space, map->iova, last);
	return rc ?: -EINVAL;
}

static int vfio_map(struct iommufd_ctx *ictx, struct iommufd_ioas *ioas,
		    const struct vfio_iommu_type1_dma_map *map)
{
	struct iopt_map_policy policy = ictx->map_policy;
	unsigned long iova = map->iova;
	int prot = 0;
	int rc;

	if (map->flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOMMU_READ;
	if (map->flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOMMU_WRITE;
	if (!prot)
		return -EINVAL;
	if (map->vaddr > ULONG_MAX || map->vaddr + map->size < map->vaddr)
		return -EOVERFLOW;

	rc = vfio_map_check(ioas, map);
	if (rc)
		return rc;
	policy.account_mode = IOMMUFD_ACCOUNT_TYPE1;
	policy.container = true;
	policy.max_areas = READ_ONCE(dma_entry_limit);
	policy.pfnmaps = 1;
	return iopt_map_user(&ioas->iopt, &iova, u64_to_user_ptr(map->vaddr),
			     map->size, prot, true, &policy);
}

static int vfio_iommu_map_dma(struct iommufd_ctx *ictx, void __user *umap)
{
	struct vfio_iommu_type1_dma_map map;

	if (copy_from_user(&map, umap, sizeof(map)))
		return -EFAULT;
	if (map.argsz < sizeof(map) ||
	    (map.flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE |
			   VFIO_DMA_MAP_FLAG_VADDR)))
		return -EINVAL;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		vfio_get_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	if (map.flags & VFIO_DMA_MAP_FLAG_VADDR)
		return iommufd_vfio_update_vaddr(ioas, &map);
	return vfio_map(ictx, ioas, &map);
}

/*
 * VFIO_IOMMU_UNMAP_DMA
 */

/*
 * Have mappings begin and end where the interval does, to unmap it. A cut cannot
 * be undone, so it is not made for an unmap that would fail. It remains when the
 * unmap fails on what happens in between: a mapping gets locked, or an access
 * does not drop its pins. Then the halves map what the whole did, and type 1
 * unmaps them in one go; they count as two against the entry limit.
 */
static int ioas_cut_at(struct iommufd_ioas *ioas, unsigned long iova,
		       unsigned long last)
{
	unsigned long iovas[] = { iova, last + 1 };

	if (!iopt_is_bisected(&ioas->iopt, iova, last))
		return 0;
	if (iopt_is_busy(&ioas->iopt, iova, last))
		return -EBUSY;
	return iopt_cut(&ioas->iopt, iovas, last == ULONG_MAX ? 1 : 2);
}

static int vfio_unmap_range(struct iommufd_ioas *ioas, u64 iova, u64 size,
			    unsigned long *unmapped)
{
	unsigned long last;
	int rc;

	if (!size)
		return -EINVAL;
	if (iova > ULONG_MAX || size > ULONG_MAX ||
	    check_add_overflow((unsigned long)iova, (unsigned long)size - 1,
			       &last))
		return -EOVERFLOW;

	if (READ_ONCE(ioas->iopt.can_cut)) {
		rc = ioas_cut_at(ioas, iova, last);
		if (rc)
			return rc;
	}
	rc = iopt_unmap(&ioas->iopt, iova, size, unmapped);
	/* For type1, unlike for the IOAS, nothing to unmap is no error */
	if (rc == -ENOENT && !iopt_is_bisected(&ioas->iopt, iova, last))
		return 0;
	return rc;
}

static int vfio_unmap(struct iommufd_ioas *ioas,
		      const struct vfio_iommu_type1_dma_unmap *unmap,
		      const struct vfio_bitmap *bitmap, unsigned long *unmapped)
{
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP)
		return iopt_unmap_report(&ioas->iopt, unmap->iova, unmap->size,
					 bitmap->data, unmapped);
	if (unmap->flags & VFIO_DMA_UNMAP_FLAG_VADDR)
		return iommufd_vfio_invalidate_vaddr(ioas, unmap, unmapped);
	if (!(unmap->flags & VFIO_DMA_UNMAP_FLAG_ALL))
		return vfio_unmap_range(ioas, unmap->iova, unmap->size,
					unmapped);
	if (unmap->iova || unmap->size)
		return -EINVAL;
	return iopt_unmap_all(&ioas->iopt, unmapped);
}

/* Reads the bitmap's description when the flags say that there is one */
static int
vfio_unmap_check_flags(const struct vfio_iommu_type1_dma_unmap *unmap,
		       const struct vfio_iommu_type1_dma_unmap __user *uunmap,
		       struct vfio_bitmap *bitmap)
{
	if (!(unmap->flags &
	      ~(VFIO_DMA_UNMAP_FLAG_ALL | VFIO_DMA_UNMAP_FLAG_VADDR)))
		return 0;
	if (unmap->flags != VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP ||
	    !iommufd_vfio_has_dirty_log() ||
	    unmap->argsz < sizeof(*unmap) + sizeof(*bitmap))
		return -EINVAL;
	if (copy_from_user(bitmap, uunmap->data, sizeof(*bitmap)))
		return -EFAULT;
	return iommufd_vfio_bitmap_check(bitmap, unmap->iova, unmap->size);
}

static int vfio_iommu_unmap_dma(struct iommufd_ctx *ictx,
				struct vfio_iommu_type1_dma_unmap __user *uunmap)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	struct vfio_bitmap bitmap = {};
	unsigned long unmapped = 0;
	int rc;

	if (copy_from_user(&unmap, uunmap, sizeof(unmap)))
		return -EFAULT;
	if (unmap.argsz < sizeof(unmap))
		return -EINVAL;
	rc = vfio_unmap_check_flags(&unmap, uunmap, &bitmap);
	if (rc)
		return rc;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		vfio_get_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = vfio_unmap(ioas, &unmap, &bitmap, &unmapped);
	if (rc)
		return rc;
	return put_user((u64)unmapped, &uunmap->size);
}

/*
 * VFIO_IOMMU_DIRTY_PAGES
 */

static int vfio_iommu_dirty_pages(struct iommufd_ctx *ictx, void __user *udirty)
{
	if (!iommufd_vfio_has_dirty_log())
		return -ENOIOCTLCMD;

	struct iommufd_ioas *ioas __free(iommufd_put_object) =
		vfio_get_ioas(ictx);
	if (!IS_ERR(ioas) && READ_ONCE(ioas->vfio_type1))
		return -EACCES;
	return iommufd_vfio_dirty_pages(ioas, udirty);
}

/**
 * iommufd_vfio_ioctl() - every ioctl outside the range of iommufd's own
 * @ictx: context
 * @cmd: complete command number
 * @arg: an integer or a pointer to user memory, depending on @cmd
 *
 * Return: a result or errno of the ioctl, -ENOIOCTLCMD when there is no such.
 */
int iommufd_vfio_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
		       unsigned long arg)
{
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return vfio_check_extension(ictx, arg);
	case VFIO_SET_IOMMU:
		return vfio_set_iommu(ictx, arg);
	case VFIO_IOMMU_GET_INFO:
		return vfio_iommu_get_info(ictx, uarg);
	case VFIO_IOMMU_MAP_DMA:
		return vfio_iommu_map_dma(ictx, uarg);
	case VFIO_IOMMU_UNMAP_DMA:
		return vfio_iommu_unmap_dma(ictx, uarg);
	case VFIO_IOMMU_DIRTY_PAGES:
		return vfio_iommu_dirty_pages(ictx, uarg);
	default:
		return -ENOIOCTLCMD;
	}
}
