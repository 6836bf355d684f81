// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping memory into an IOVA space: of the caller, of a file, or what is mapped
 * already. ctx.h lists the locks.
 */
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <trace/events/iommufd.h>

#include "area.h"
#include "dmabuf.h"
#include "file_memory.h"
#include "iopt_domains.h"
#include "iopt_map.h"
#include "pages_walk.h"
#include "pfnmap.h"
#include "refusal.h"
#include "user_memory.h"

/*
 * An IOVA that the kernel chooses is aligned to this at most, which allows large
 * IOPTEs. Some architectures do not define HPAGE_SIZE without huge pages.
 */
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
#define IOVA_ALIGN_MAX HPAGE_SIZE
#else
#define IOVA_ALIGN_MAX PAGE_SIZE
#endif

static uint pfnmap_maps = 2;
module_param(pfnmap_maps, uint, 0644);
MODULE_PARM_DESC(pfnmap_maps,
		 "Map memory of devices by address: 0 no, 1 in the VFIO container, 2 everywhere (default)");

/**
 * struct iopt_map - a mapping under construction
 * @iopt: where
 * @areas: struct iopt_area.item in ascending order; more than one for a copy of
 *	abutting mappings, and for memory that is of devices in part
 * @length: bytes in total
 * @addr: address in the source of the first byte, for automatic placement
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @guess: whether it is memory at all is left to pinning, so there must be a
 *	domain for which that is done
 * @policy: of the caller
 */
struct iopt_map {
	struct io_pagetable *iopt;
	struct list_head areas;
	unsigned long length;
	unsigned long addr;
	int prot;
	bool guess;
	const struct iopt_map_policy *policy;
};

/* For copies, which do not make a backing */
static const struct iopt_map_policy iopt_map_any = { .max_areas = ULONG_MAX };

static __always_inline void
iopt_map_init(struct iopt_map *map, struct io_pagetable *iopt,
	      unsigned long addr, int prot,
	      const struct iopt_map_policy *policy)
{
	*map = (struct iopt_map) {
		.iopt = iopt,
		.areas = LIST_HEAD_INIT(map->areas),
		.addr = addr,
		.prot = prot,
		.policy = policy,
	};
}

static void iopt_map_add(struct iopt_map *map, struct iopt_area *area,
			 unsigned long length)
{
	/* Relative, until the address is known */
	area->node.iova = map->length;
	area->node.last = map->length + length - 1;
	map->length += length;
	list_add_tail(&area->item, &map->areas);
}

static void iopt_map_free(struct iopt_map *map)
{
	struct iopt_area *area, *next;

	list_for_each_entry_safe(area, next, &map->areas, item)
		iopt_area_free(area);
}

static int iopt_find_iova(struct iopt_map *map, unsigned long *iova)
{
	unsigned long align;

	align = min(IOVA_ALIGN_MAX, roundup_pow_of_two(map->length));
	if (map->addr)
		align = min(align, 1UL << __ffs(map->addr));
	if (align < map->iopt->iova_alignment)
		return -EINVAL;
	return iova_space_find(&map->iopt->space, map->length, align,
			       offset_in_page(map->addr), iova);
}

static int iopt_check_iova(struct iopt_map *map, unsigned long iova,
			   struct iova_slot *slot)
{
	unsigned long last;

	if (iova & (map->iopt->iova_alignment - 1))
		return -EINVAL;
	if (check_add_overflow(iova, map->length - 1, &last))
		return -EOVERFLOW;
	return iova_space_find_slot(&map->iopt->space, iova, last, slot);
}

/* Each piece has to be mappable by itself, and then, writable if asked for */
static int iopt_check_pieces(struct iopt_map *map)
{
	struct iopt_area *area;
	int rc = 0;

	list_for_each_entry(area, &map->areas, item) {
		if (!area_is_aligned(area, map->iopt->iova_alignment))
			return -EINVAL;
		if ((map->prot & IOMMU_WRITE) && !area->pages->writable)
			rc = -EPERM;
	}
	return rc;
}

/* Why it could not be taken up; of what has other causes the errno tells */
static noinline int iopt_map_refused(struct iopt_map *map, unsigned long iova,
				     int rc)
{
	enum iommufd_cause cause;

	switch (rc) {
	case -EINVAL:
		cause = REFUSED_IOVA_ALIGNMENT;
		if (!((iova | map->length) & (map->iopt->iova_alignment - 1)) &&
		    iopt_check_pieces(map) != -EINVAL)
			cause = REFUSED_IOVA_RESERVED;
		break;
	case -EEXIST:
		cause = REFUSED_IOVA_TAKEN;
		break;
	case -EPERM:
		cause = REFUSED_READ_ONLY;
		break;
	case -ENOSPC:
		cause = REFUSED_IOVA_NO_ROOM;
		if (map->iopt->space.nr_nodes >= map->policy->max_areas)
			cause = REFUSED_AREA_LIMIT;
		break;
	default:
		return rc;
	}
	return iommufd_refuse_iova(rc, cause, iova, iova + map->length - 1);
}

/* Take the IOVA up, with areas that nobody can use yet */
static int iopt_map_insert(struct iopt_map *map, unsigned long *iova,
			   bool fixed)
{
	struct io_pagetable *iopt = map->iopt;
	unsigned long start = *iova;
	struct iopt_area *area;
	struct iova_slot slot;
	int rc;

	/* Fits nowhere, whatever the alignment is at the moment */
	if (!fixed && map->length >= ULONG_MAX / 2)
		return -EOVERFLOW;

	guard(mutex)(&iopt->iova_mutex);
	if (map->length & (iopt->iova_alignment - 1))
		return iopt_map_refused(map, start, -EINVAL);
	if (fixed)
		rc = iopt_check_iova(map, start, &slot);
	else
		rc = iopt_find_iova(map, &start);
	if (!rc)
		rc = iopt_check_pieces(map);
	if (!rc && iopt->space.nr_nodes >= map->policy->max_areas)
		rc = -ENOSPC;
	if (unlikely(rc))
		return iopt_map_refused(map, start, rc);

	list_for_each_entry(area, &map->areas, item) {
		area->node.iova += start;
		area->node.last += start;
		if (fixed) {
			iova_space_insert_at(&iopt->space, &slot, &area->node);
			fixed = false;
		} else {
			iova_space_insert(&iopt->space, &area->node);
		}
	}
	*iova = start;
	return 0;
}

static noinline void iopt_map_remove(struct iopt_map *map)
{
	struct io_pagetable *iopt = map->iopt;
	struct iopt_area *area;

	guard(mutex)(&iopt->iova_mutex);
	list_for_each_entry(area, &map->areas, item)
		iova_space_erase(&iopt->space, &area->node);
}

/* Consumes the areas. -EAGAIN when a guess has not been looked into. */
static int iopt_map_finish(struct iopt_map *map, unsigned long *iova,
			   bool fixed)
{
	struct io_pagetable *iopt = map->iopt;
	struct iopt_area *area, *next;
	int rc;

	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		goto out_free;
	if (unlikely(map->guess && list_empty(&iopt->domains))) {
		rc = -EAGAIN;
		goto out_unlock;
	}
	rc = iopt_map_insert(map, iova, fixed);
	if (rc)
		goto out_unlock;

	rc = iopt_fill(iopt, &map->areas);
	if (rc) {
		iopt_map_remove(map);
		goto out_unlock;
	}
	/* Others may unmap each of them from then on */
	list_for_each_entry_safe(area, next, &map->areas, item)
		area_set_live(area);
out_unlock:
	up_read(&iopt->domains_rwsem);
out_free:
	trace_iommufd_map(iopt->context, iopt->id, *iova, map->length,
			  map->prot, rc);
	if (rc)
		iopt_map_free(map);
	return rc;
}

/* The mapping is not to be freed by the caller any more */
static __always_inline void iopt_map_add_mapping(struct iopt_map *map,
						 struct iopt_mapping *mapping,
						 unsigned long start,
						 unsigned long length)
{
	iopt_area_init(&mapping->area, map->iopt, &mapping->pages,
		       offset_in_page(start), map->prot);
	mapping->area.container = map->policy->container;
	mapping->pages.shared = map->policy->shared;
	iopt_map_add(map, &mapping->area, length);
}

/* With the physical address known, choose an IOVA that is as aligned as that */
static void iopt_map_align_to(struct iopt_map *map, struct iopt_pages *pages)
{
	u64 length = 1, phys;

	iopt_pages_freeze(pages);
	if (!iopt_pages_phys(pages, offset_in_page(map->addr), &length, &phys))
		map->addr = phys;
	iopt_pages_thaw(pages);
}

static __always_inline int iopt_map_add_user(struct iopt_map *map,
					     unsigned long uaddr,
					     unsigned long length,
					     const bool pfnmap)
{
	bool writable = map->prot & IOMMU_WRITE;
	struct iopt_mapping *mapping;
	int rc;

	/* Setting what it has to begin with costs less than zeroing all of it */
	mapping = kmalloc_obj(*mapping, GFP_KERNEL_ACCOUNT);
	if (!mapping)
		return -ENOMEM;
	if (pfnmap)
		rc = iopt_pfnmap_init(&mapping->pages, uaddr, length, writable);
	else
		rc = iopt_user_memory_init(&mapping->pages,
					   map->policy->account_mode, uaddr,
					   length, writable);
	if (rc) {
		kfree(mapping);
		return rc;
	}
	if (pfnmap && !map->length)
		iopt_map_align_to(map, &mapping->pages);
	iopt_map_add_mapping(map, mapping, uaddr, length);
	return 0;
}

/* One area for each part that is of one kind */
static int iopt_map_add_parts(struct iopt_map *map, unsigned long uaddr,
			      unsigned long length)
{
	struct iopt_area *area;
	unsigned long part;
	int found, rc;

	for (; length; uaddr += part, length -= part) {
		found = iopt_pfnmap_find(uaddr, length, &part);
		if (found < 0)
			return found;
		if (found)
			rc = iopt_map_add_user(map, uaddr, part, true);
		else
			rc = iopt_map_add_user(map, uaddr, part, false);
		if (rc)
			return rc;
		area = list_last_entry(&map->areas, struct iopt_area, item);
		area->joined = !list_is_singular(&map->areas);
	}
	return 0;
}

/* Of the kind that shows where it is mapped in the process */
static noinline int iopt_map_by_kind(struct iopt_map *map, unsigned long *iova,
				     unsigned long uaddr, unsigned long length,
				     bool fixed)
{
	int rc;

	rc = iopt_map_add_parts(map, uaddr, length);
	if (!rc)
		return iopt_map_finish(map, iova, fixed);
	iopt_map_free(map);
	return rc;
}

/**
 * iopt_map_user() - map what the caller has at an address
 * @iopt: the space
 * @iova: where, or where it ended up unless @fixed
 * @uptr: first byte
 * @length: bytes
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @fixed: map at *@iova
 * @policy: what else the caller imposes
 *
 * Memory is the rule. That a part of it belongs to a device shows when pinning
 * fails, so memory pays nothing for the question; without a domain nothing is
 * pinned, and a look at the address space tells. Whether there is a domain is seen
 * without a lock, and decides only what is tried first: to go by kind is always
 * right, and the guess that it is memory is dropped if the last domain went.
 *
 * Return: 0 or an errno as of IOMMU_IOAS_MAP; -ENOSPC also, after all that can
 * be wrong with the IOVA, when the space has as many areas as @policy permits.
 */
int iopt_map_user(struct io_pagetable *iopt, unsigned long *iova,
		  void __user *uptr, unsigned long length, int prot, bool fixed,
		  const struct iopt_map_policy *policy)
{
	bool pfnmaps = READ_ONCE(pfnmap_maps) >= policy->pfnmaps;
	unsigned long uaddr = (unsigned long)uptr;
	unsigned long where = *iova, part;
	struct iopt_map map;
	int found, rc;

	/* The end address is used as well, so it must not wrap to 0 */
	if (uaddr + length < uaddr)
		return -EOVERFLOW;
	if (!length || length > SIZE_MAX - PAGE_SIZE)
		return -EINVAL;

	iopt_map_init(&map, iopt, uaddr, prot, policy);
	if (pfnmaps && list_empty(&iopt->domains))
		return iopt_map_by_kind(&map, iova, uaddr, length, fixed);
	map.guess = pfnmaps;
	rc = iopt_map_add_user(&map, uaddr, length, false);
	if (!rc)
		rc = iopt_map_finish(&map, iova, fixed);
	if (likely(rc != -EFAULT && rc != -EAGAIN) || !pfnmaps)
		return rc;

	if (rc == -EFAULT) {
		found = iopt_pfnmap_find(uaddr, length, &part);
		if (found < 0)
			return found;
		/* It is all of one kind, and has just been tried */
		if (!found && part == length)
			return rc;
	}
	/* The area that failed is gone */
	iopt_map_init(&map, iopt, uaddr, prot, policy);
	*iova = where;
	return iopt_map_by_kind(&map, iova, uaddr, length, fixed);
}

static int iopt_file_init(struct iopt_pages *pages, int fd, unsigned long start,
			  unsigned long length, bool writable,
			  const struct iopt_map_policy *policy)
{
	struct dma_buf *buf;
	struct file *file;
	int rc;

	if (IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)) {
		buf = dma_buf_get(fd);
		if (!IS_ERR(buf)) {
			rc = iopt_dmabuf_init(pages, policy->dev, buf, start,
					      length, writable);
			dma_buf_put(buf);
			return rc;
		}
	}

	file = fget(fd);
	if (!file)
		return -EBADF;
	if (length > SIZE_MAX - PAGE_SIZE)
		rc = -EINVAL;
	else
		rc = iopt_file_memory_init(pages, policy->account_mode, file,
					   start, length, writable);
	fput(file);
	return rc;
}

/**
 * iopt_map_file() - map a memfd or dma-buf
 * @iopt: the space
 * @iova: where, or where it ended up unless @fixed
 * @fd: file descriptor of the caller
 * @start: bytes from the start of the file
 * @length: bytes
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @fixed: map at *@iova
 * @policy: what else the caller imposes
 *
 * Return: 0 or an errno as of IOMMU_IOAS_MAP_FILE.
 */
int iopt_map_file(struct io_pagetable *iopt, unsigned long *iova, int fd,
		  unsigned long start, unsigned long length, int prot,
		  bool fixed, const struct iopt_map_policy *policy)
{
	struct iopt_mapping *mapping;
	struct iopt_map map;
	unsigned long last;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;

	mapping = kmalloc_obj(*mapping, GFP_KERNEL_ACCOUNT);
	if (!mapping)
		return -ENOMEM;
	rc = iopt_file_init(&mapping->pages, fd, start, length,
			    prot & IOMMU_WRITE, policy);
	if (rc) {
		kfree(mapping);
		return rc;
	}
	iopt_map_init(&map, iopt, start, prot, policy);
	iopt_map_add_mapping(&map, mapping, start, length);
	return iopt_map_finish(&map, iova, fixed);
}

/* Describe what is at the source as areas of the destination */
static int iopt_copy_source(struct iopt_map *map, struct io_pagetable *src,
			    unsigned long iova, unsigned long last)
{
	struct iopt_area *area;
	struct iopt_area *copy;
	unsigned long end;

	guard(mutex)(&src->iova_mutex);
	for (;;) {
		area = to_area(iova_space_first(&src->space, iova, iova));
		if (!area || !area_is_live(area))
			return -ENOENT;
		if (area->vaddr != AREA_VADDR_VALID)
			return -EBUSY;
		end = min(last, area->node.last);
		if (!map->length)
			map->addr = area->pages->start +
				    area_offset(area, iova);
		copy = iopt_area_alloc(map->iopt, area->pages,
				       area_offset(area, iova), map->prot);
		if (!copy)
			return -ENOMEM;
		iopt_map_add(map, copy, end - iova + 1);
		if (end == last)
			return 0;
		iova = end + 1;
	}
}

/**
 * iopt_copy() - map what is mapped already, sharing its backing
 * @dst: the space to map in; NULL if there is none, which is wrong, but may not be
 *	the first thing that is
 * @dst_iova: where, or where it ended up unless @fixed
 * @src: the space to copy from; may be @dst
 * @src_iova: first byte there
 * @length: bytes
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @fixed: map at *@dst_iova
 *
 * The source is looked at first; what happens to it afterwards does not matter.
 *
 * Return: 0 or an errno as of IOMMU_IOAS_COPY.
 */
int iopt_copy(struct io_pagetable *dst, unsigned long *dst_iova,
	      struct io_pagetable *src, unsigned long src_iova,
	      unsigned long length, int prot, bool fixed)
{
	struct iopt_map map;
	unsigned long last;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(src_iova, length - 1, &last))
		return -EOVERFLOW;

	iopt_map_init(&map, dst, 0, prot, &iopt_map_any);
	rc = iopt_copy_source(&map, src, src_iova, last);
	if (!rc && !dst)
		rc = -ENOENT;
	if (rc) {
		iopt_map_free(&map);
		return rc;
	}
	return iopt_map_finish(&map, dst_iova, fixed);
}
