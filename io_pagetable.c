// SPDX-License-Identifier: GPL-2.0-only
/*
 * The IOVA space of an IOAS.
 *
 * Locks, which ctx.h lists with all others:
 *
 *   domains_rwsem       Held for reading by everything that makes an area come
 *                       or go, from when it takes its IOVA up until all domains
 *                       agree. Whoever holds it for writing sees no area under
 *                       construction, and no domain changes under it.
 *     iova_rwsem        The IOVA space and the state of areas. Held for moments,
 *                       and never together with what follows.
 *     iopt_pages.mutex  What is pinned of a backing. Held while pinning.
 *       mmap_lock
 *     dma_resv          Instead of the former for dma-bufs.
 *
 * Operations on the content of an area, such as pinning pages for an access,
 * hold none of them. They mark the area busy, which keeps it where it is: an
 * unmap first makes the area refuse new ones, and then waits.
 *
 * Pinning waits for user memory, and that may take for ever. So whoever waits
 * for domains_rwsem, iopt_pages.mutex or a busy area on behalf of an ioctl can
 * be killed there, with nothing changed.
 */
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/magic.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "area.h"
#include "dirty_log.h"
#include "dmabuf.h"
#include "io_pagetable.h"
#include "iopt_user.h"
#include "pages.h"
#include "selftest.h"

/* An unmap gives accesses this many chances to drop their pins */
#define UNMAP_MAX_ROUNDS 100

/*
 * An IOVA that the kernel chooses is aligned to this at most, which allows large
 * IOPTEs. Some architectures do not define HPAGE_SIZE without huge pages.
 */
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
#define IOVA_ALIGN_MAX HPAGE_SIZE
#else
#define IOVA_ALIGN_MAX PAGE_SIZE
#endif

/**
 * iopt_init() - make an empty IOVA space
 * @iopt: the space
 */
void iopt_init(struct io_pagetable *iopt)
{
	init_rwsem(&iopt->domains_rwsem);
	init_rwsem(&iopt->iova_rwsem);
	INIT_LIST_HEAD(&iopt->domains);
	iova_space_init(&iopt->space);
	iopt->iova_alignment = 1;
	xa_init_flags(&iopt->accesses, XA_FLAGS_ALLOC | XA_FLAGS_ACCOUNT);
	xa_init_flags(&iopt->log_written, XA_FLAGS_ACCOUNT);
}

/*
 * Alignment
 */

static bool area_is_aligned(const struct iopt_area *area,
			    unsigned long alignment)
{
	return !((area->node.iova | area_length(area) | area->offset) &
		 (alignment - 1));
}

/**
 * iopt_check_alignment() - can the alignment be raised
 * @iopt: the space
 * @alignment: bytes
 *
 * Returns -EADDRINUSE when an area contradicts it.
 */
int iopt_check_alignment(struct io_pagetable *iopt, unsigned long alignment)
{
	struct iopt_area *area;

	lockdep_assert_held(&iopt->iova_rwsem);

	if (alignment <= iopt->iova_alignment)
		return 0;
	iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
		if (!area_is_aligned(area, alignment))
			return -EADDRINUSE;
	}
	return 0;
}

/**
 * iopt_update_alignment() - have the alignment follow a change of mirrors
 * @iopt: the space
 */
void iopt_update_alignment(struct io_pagetable *iopt)
{
	unsigned long alignment = iopt->disable_large_pages ? PAGE_SIZE : 1;
	struct iopt_domain *idom;
	struct iopt_user *user;
	unsigned long index;

	lockdep_assert_held(&iopt->domains_rwsem);
	lockdep_assert_held_write(&iopt->iova_rwsem);

	list_for_each_entry(idom, &iopt->domains, item)
		alignment = max(alignment, iopt_domain_alignment(idom));
	xa_for_each(&iopt->accesses, index, user)
		alignment = max(alignment, user->alignment);
	iopt->iova_alignment = alignment;
}

/*
 * Mapping
 */

/**
 * struct iopt_map - a mapping under construction
 * @iopt: where
 * @areas: struct iopt_area.item in ascending order; more than one for a copy of
 *	abutting mappings
 * @length: bytes in total
 * @addr: address in the source of the first byte, for automatic placement
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @policy: of the caller
 */
struct iopt_map {
	struct io_pagetable *iopt;
	struct list_head areas;
	unsigned long length;
	unsigned long addr;
	int prot;
	const struct iopt_map_policy *policy;
};

/* For copies, which do not make a backing */
static const struct iopt_map_policy iopt_map_any = { .max_areas = ULONG_MAX };

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
		area_free(area);
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

static int iopt_check_iova(struct iopt_map *map, unsigned long iova)
{
	unsigned long last;

	if (iova & (map->iopt->iova_alignment - 1))
		return -EINVAL;
	if (check_add_overflow(iova, map->length - 1, &last))
		return -EOVERFLOW;
	return iova_space_check(&map->iopt->space, iova, last);
}

/* Each piece has to be mappable by itself */
static int iopt_check_pieces(struct iopt_map *map)
{
	unsigned long mask = map->iopt->iova_alignment - 1;
	struct iopt_area *area;

	list_for_each_entry(area, &map->areas, item) {
		if ((area->node.iova | area_length(area) | area->offset) & mask)
			return -EINVAL;
	}
	return 0;
}

static int iopt_check_writable(struct iopt_map *map)
{
	struct iopt_area *area;

	if (!(map->prot & IOMMU_WRITE))
		return 0;
	list_for_each_entry(area, &map->areas, item) {
		if (!area->pages->writable)
			return -EPERM;
	}
	return 0;
}

/* Take the IOVA up, with areas that nobody can use yet */
static int iopt_map_insert(struct iopt_map *map, unsigned long *iova,
			   bool fixed)
{
	struct io_pagetable *iopt = map->iopt;
	unsigned long start = *iova;
	struct iopt_area *area;
	int rc;

	/* Fits nowhere, whatever the alignment is at the moment */
	if (!fixed && map->length >= ULONG_MAX / 2)
		return -EOVERFLOW;

	guard(rwsem_write)(&iopt->iova_rwsem);
	if (map->length & (iopt->iova_alignment - 1))
		return -EINVAL;
	if (fixed)
		rc = iopt_check_iova(map, start);
	else
		rc = iopt_find_iova(map, &start);
	if (!rc)
		rc = iopt_check_pieces(map);
	if (!rc)
		rc = iopt_check_writable(map);
	if (!rc && iopt->space.nr_nodes >= map->policy->max_areas)
		rc = -ENOSPC;
	if (rc)
		return rc;

	list_for_each_entry(area, &map->areas, item) {
		area->node.iova += start;
		area->node.last += start;
		iova_space_insert(&iopt->space, &area->node);
	}
	*iova = start;
	return 0;
}

/* Take areas out of all domains, flush, and only then unpin */
static void iopt_unfill(struct io_pagetable *iopt, struct list_head *areas)
{
	struct iommu_iotlb_gather gather __uninitialized;
	struct iopt_domain *idom;
	struct iopt_area *area;

	list_for_each_entry(idom, &iopt->domains, item) {
		iommu_iotlb_gather_init(&gather);
		list_for_each_entry(area, areas, item) {
			area_unmap_domain(area, idom->domain, &gather);
			cond_resched();
		}
		iommu_iotlb_sync(idom->domain, &gather);
	}
	list_for_each_entry(area, areas, item)
		area_unpin(area);
}

static int iopt_map_fill(struct iopt_map *map)
{
	LIST_HEAD(filled);
	struct iopt_area *area;
	int rc;

	list_for_each_entry(area, &map->areas, item) {
		rc = area_fill(area);
		if (rc) {
			list_cut_before(&filled, &map->areas, &area->item);
			iopt_unfill(map->iopt, &filled);
			list_splice(&filled, &map->areas);
			return rc;
		}
	}
	return 0;
}

/* Consumes the areas */
static int iopt_map_finish(struct iopt_map *map, unsigned long *iova,
			   bool fixed)
{
	struct io_pagetable *iopt = map->iopt;
	struct iopt_area *area;
	int rc;

	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		goto out_free;
	rc = iopt_map_insert(map, iova, fixed);
	if (rc)
		goto out_unlock;

	rc = iopt_map_fill(map);

	down_write(&iopt->iova_rwsem);
	list_for_each_entry(area, &map->areas, item) {
		if (rc)
			iova_space_erase(&iopt->space, &area->node);
		else
			area->state = AREA_LIVE;
	}
	up_write(&iopt->iova_rwsem);
out_unlock:
	up_read(&iopt->domains_rwsem);
out_free:
	if (rc)
		iopt_map_free(map);
	return rc;
}

static int iopt_map_pages(struct io_pagetable *iopt, struct iopt_pages *pages,
			  unsigned long *iova, unsigned long start,
			  unsigned long length, int prot, bool fixed,
			  const struct iopt_map_policy *policy)
{
	struct iopt_map map = {
		.iopt = iopt,
		.areas = LIST_HEAD_INIT(map.areas),
		.addr = start,
		.prot = prot,
		.policy = policy,
	};

	/* From here on the area holds the backing */
	iopt_map_add(&map, area_first(iopt, pages, offset_in_page(start), prot),
		     length);
	return iopt_map_finish(&map, iova, fixed);
}

/**
 * iopt_map_user() - map memory of the caller
 * @iopt: the space
 * @iova: where, or where it ended up unless @fixed
 * @uptr: first byte
 * @length: bytes
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @fixed: map at *@iova
 * @policy: what else the caller imposes
 *
 * Returns 0 or an errno as of IOMMU_IOAS_MAP; -ENOSPC also, after all that can
 * be wrong with the IOVA, when the space has as many areas as @policy permits.
 */
int iopt_map_user(struct io_pagetable *iopt, unsigned long *iova,
		  void __user *uptr, unsigned long length, int prot, bool fixed,
		  const struct iopt_map_policy *policy)
{
	unsigned long uaddr = (unsigned long)uptr;
	struct iopt_pages *pages;

	/* The end address is used as well, so it must not wrap to 0 */
	if (uaddr + length < uaddr)
		return -EOVERFLOW;
	if (!length || length > SIZE_MAX - PAGE_SIZE)
		return -EINVAL;

	pages = pages_alloc_user(policy->account_mode, uaddr, length,
				 prot & IOMMU_WRITE,
				 sizeof(struct iopt_mapping));
	if (IS_ERR(pages))
		return PTR_ERR(pages);
	return iopt_map_pages(iopt, pages, iova, uaddr, length, prot, fixed,
			      policy);
}

static bool file_is_hugetlbfs(struct file *file)
{
	return IS_ENABLED(CONFIG_HUGETLBFS) &&
	       file_inode(file)->i_sb->s_magic == HUGETLBFS_MAGIC;
}

/* Whether pages of the file can be pinned */
static bool file_is_memfd(struct file *file)
{
	return shmem_mapping(file->f_mapping) || file_is_hugetlbfs(file);
}

/*
 * As for mmap(): whatever the mapping is for, the file is read, and a file that
 * may only grow is not written to at any place.
 */
static bool file_may_map(struct file *file, bool writable)
{
	if (!(file->f_mode & FMODE_READ))
		return false;
	return !writable || ((file->f_mode & FMODE_WRITE) &&
			     !IS_APPEND(file_inode(file)));
}

static bool file_is_sealed(struct file *file)
{
	unsigned int seals = 0;

	if (shmem_mapping(file->f_mapping))
		seals = SHMEM_I(file_inode(file))->seals;
#ifdef CONFIG_HUGETLBFS
	else
		seals = HUGETLBFS_I(file_inode(file))->seals;
#endif
	return seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
}

static struct iopt_pages *
iopt_file_pages(const struct iopt_map_policy *policy, int fd,
		unsigned long start, unsigned long length, bool writable)
{
	const size_t size = sizeof(struct iopt_mapping);
	struct iopt_pages *pages;
	struct dma_buf *buf;
	struct file *file;

	if (IS_ENABLED(CONFIG_DMA_SHARED_BUFFER)) {
		buf = dma_buf_get(fd);
		if (!IS_ERR(buf)) {
			if (start >= buf->size || length > buf->size - start)
				pages = ERR_PTR(-EINVAL);
			else
				pages = pages_alloc_dmabuf(policy->dev, buf,
							   start, length,
							   writable, size);
			dma_buf_put(buf);
			return pages;
		}
	}

	file = fget(fd);
	if (!file)
		return ERR_PTR(-EBADF);
	if (length > SIZE_MAX - PAGE_SIZE || !file_is_memfd(file))
		pages = ERR_PTR(-EINVAL);
	else if (!file_may_map(file, writable))
		pages = ERR_PTR(-EACCES);
	else if (writable && file_is_sealed(file))
		pages = ERR_PTR(-EPERM);
	else
		pages = pages_alloc_file(policy->account_mode, file, start,
					 length, writable, size);
	fput(file);
	return pages;
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
 * Returns 0 or an errno as of IOMMU_IOAS_MAP_FILE.
 */
int iopt_map_file(struct io_pagetable *iopt, unsigned long *iova, int fd,
		  unsigned long start, unsigned long length, int prot,
		  bool fixed, const struct iopt_map_policy *policy)
{
	struct iopt_pages *pages;
	unsigned long last;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;

	pages = iopt_file_pages(policy, fd, start, length, prot & IOMMU_WRITE);
	if (IS_ERR(pages))
		return PTR_ERR(pages);
	return iopt_map_pages(iopt, pages, iova, start, length, prot, fixed,
			      policy);
}

/* Describe what is at the source as areas of the destination */
static int iopt_copy_source(struct iopt_map *map, struct io_pagetable *src,
			    unsigned long iova, unsigned long last)
{
	struct iopt_area *area;
	struct iopt_area *copy;
	unsigned long end;

	guard(rwsem_read)(&src->iova_rwsem);
	for (;;) {
		area = to_area(iova_space_first(&src->space, iova, iova));
		if (!area || area->state != AREA_LIVE)
			return -ENOENT;
		end = min(last, area->node.last);
		if (!map->length)
			map->addr = area->pages->start +
				    area_offset(area, iova);
		copy = area_alloc(map->iopt, area->pages,
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
 * @dst: the space to map in
 * @dst_iova: where, or where it ended up unless @fixed
 * @src: the space to copy from; may be @dst
 * @src_iova: first byte there
 * @length: bytes
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @fixed: map at *@dst_iova
 *
 * The source is looked at first; what happens to it afterwards does not matter.
 *
 * Returns 0 or an errno as of IOMMU_IOAS_COPY.
 */
int iopt_copy(struct io_pagetable *dst, unsigned long *dst_iova,
	      struct io_pagetable *src, unsigned long src_iova,
	      unsigned long length, int prot, bool fixed)
{
	struct iopt_map map = {
		.iopt = dst,
		.areas = LIST_HEAD_INIT(map.areas),
		.prot = prot,
		.policy = &iopt_map_any,
	};
	unsigned long last;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(src_iova, length - 1, &last))
		return -EOVERFLOW;

	rc = iopt_copy_source(&map, src, src_iova, last);
	if (rc) {
		iopt_map_free(&map);
		return rc;
	}
	return iopt_map_finish(&map, dst_iova, fixed);
}

/**
 * iopt_copy_check() - what iopt_copy() says about its source
 * @src: the space to copy from
 * @iova: first byte there
 * @length: bytes
 *
 * Returns -EINVAL, -EOVERFLOW, or -ENOENT when a part is not mapped.
 */
int iopt_copy_check(struct io_pagetable *src, unsigned long iova,
		    unsigned long length)
{
	struct iopt_area *area;
	unsigned long last;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;

	guard(rwsem_read)(&src->iova_rwsem);
	for (;;) {
		area = to_area(iova_space_first(&src->space, iova, iova));
		if (!area || area->state != AREA_LIVE)
			return -ENOENT;
		if (area->node.last >= last)
			return 0;
		iova = area->node.last + 1;
	}
}

/*
 * Unmapping
 */

/* Mark everything in an interval as leaving, or nothing of it */
static int iopt_unmap_begin(struct io_pagetable *iopt, unsigned long iova,
			    unsigned long last, struct list_head *areas)
{
	struct iopt_area *area;

	int rc = 0;

	guard(rwsem_write)(&iopt->iova_rwsem);
	for (area = to_area(iova_space_first(&iopt->space, iova, last)); area;
	     area = to_area(iova_space_next(&area->node, last))) {
		if (area->state != AREA_LIVE || atomic_read(&area->locks))
			rc = -EBUSY;
		else if (area->node.iova < iova || area->node.last > last)
			rc = -ENOENT;
		if (rc)
			break;
		area->state = AREA_LEAVING;
		list_add_tail(&area->item, areas);
		/* Usually it is the only one */
		if (area->node.last == last)
			break;
	}
	if (rc) {
		list_for_each_entry(area, areas, item)
			area->state = AREA_LIVE;
	}
	return rc;
}

/* Wait for those who work on the area, and have accesses drop their pins */
static int iopt_unmap_drain(struct io_pagetable *iopt, struct iopt_area *area)
{
	unsigned int rounds = 0;
	int rc;

	/* Nothing starts any more, except to unpin */
	while (!area_is_idle(area)) {
		if (wait_var_event_killable(&area->busy,
					    !atomic_read_acquire(&area->busy)))
			return -EINTR;
		if (!atomic_read(&area->pins))
			continue;
		if (WARN_ON(rounds++ == UNMAP_MAX_ROUNDS))
			return -EDEADLOCK;
		rc = iopt_notify_unmap(iopt, area->node.iova,
				       area_length(area));
		if (rc)
			return rc;
		if (rounds > 1)
			usleep_range(10, 100);
	}
	return 0;
}

/* Make areas that do not leave usable again */
static void iopt_unmap_abort(struct io_pagetable *iopt, struct list_head *areas)
{
	struct iopt_area *area;

	guard(rwsem_write)(&iopt->iova_rwsem);
	list_for_each_entry(area, areas, item)
		area->state = AREA_LIVE;
}

static void iopt_unmap_remove(struct io_pagetable *iopt,
			      struct list_head *areas)
{
	struct iopt_area *area;

	lockdep_assert_held(&iopt->domains_rwsem);

	iopt_unfill(iopt, areas);
	if (unlikely(iopt->log_on)) {
		list_for_each_entry(area, areas, item)
			iopt_log_drop(iopt, area);
	}
	down_write(&iopt->iova_rwsem);
	list_for_each_entry(area, areas, item)
		iova_space_erase(&iopt->space, &area->node);
	up_write(&iopt->iova_rwsem);
}

static unsigned long iopt_unmap_free(struct list_head *areas)
{
	unsigned long unmapped = 0;
	struct iopt_area *area, *next;

	list_for_each_entry_safe(area, next, areas, item) {
		unmapped += area_length(area);
		area_free(area);
	}
	return unmapped;
}

static int iopt_unmap_range(struct io_pagetable *iopt, unsigned long iova,
			    unsigned long last, unsigned long *unmapped)
{
	struct iopt_area *area;
	LIST_HEAD(areas);
	int rc;

	*unmapped = 0;
	rc = iopt_unmap_begin(iopt, iova, last, &areas);
	if (rc || list_empty(&areas))
		return rc;

	list_for_each_entry(area, &areas, item) {
		rc = iopt_unmap_drain(iopt, area);
		if (rc)
			goto err_abort;
	}
	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		goto err_abort;
	iopt_unmap_remove(iopt, &areas);
	up_read(&iopt->domains_rwsem);
	*unmapped = iopt_unmap_free(&areas);
	return 0;

err_abort:
	iopt_unmap_abort(iopt, &areas);
	return rc;
}

/**
 * iopt_unmap() - remove the mappings in an interval
 * @iopt: the space
 * @iova: first byte
 * @length: bytes
 * @unmapped: bytes that were mapped there and are no more
 *
 * All or nothing. When this succeeds, no device and no access reaches the pages.
 *
 * Returns -ENOENT when there is nothing or a mapping is not wholly inside,
 * -EBUSY when one is under construction or locked, -EINVAL, -EOVERFLOW,
 * -EDEADLOCK when pins remain, or -EINTR when the caller is killed while it
 * waits.
 */
int iopt_unmap(struct io_pagetable *iopt, unsigned long iova,
	       unsigned long length, unsigned long *unmapped)
{
	unsigned long last;
	int rc;

	*unmapped = 0;
	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	rc = iopt_unmap_range(iopt, iova, last, unmapped);
	if (!rc && !*unmapped)
		return -ENOENT;
	return rc;
}

static void iopt_unmap_reported(struct io_pagetable *iopt, void *areas)
{
	iopt_unmap_remove(iopt, areas);
}

/**
 * iopt_unmap_report() - iopt_unmap() that tells what is dirty
 * @iopt: the space
 * @iova: first byte, page aligned
 * @length: bytes, page aligned, more than 0, without overflow
 * @data: bitmap of user space as of iopt_log_report()
 * @unmapped: bytes that were mapped there and are no more
 *
 * All or nothing. Accesses are through with the mappings before the log is read.
 * They are not disturbed by a call that is bound to fail, but what goes wrong
 * later (somebody takes the bitmap away, or stops the log) finds their pins gone.
 *
 * Return: as of iopt_unmap() and iopt_log_read(), but 0 when there is nothing.
 */
int iopt_unmap_report(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long length, u64 __user *data,
		      unsigned long *unmapped)
{
	struct iopt_area *area;
	LIST_HEAD(areas);
	int rc;

	*unmapped = 0;
	rc = iopt_log_check(iopt, iova, length, data);
	if (rc)
		return rc;
	rc = iopt_unmap_begin(iopt, iova, iova + (length - 1), &areas);
	if (rc)
		return rc;
	list_for_each_entry(area, &areas, item) {
		rc = iopt_unmap_drain(iopt, area);
		if (rc)
			goto err_abort;
	}
	rc = iopt_log_report(iopt, iova, length, data, iopt_unmap_reported,
			     &areas);
	if (rc)
		goto err_abort;
	*unmapped = iopt_unmap_free(&areas);
	return 0;

err_abort:
	iopt_unmap_abort(iopt, &areas);
	return rc;
}

/**
 * iopt_unmap_all() - remove all mappings
 * @iopt: the space
 * @unmapped: bytes that were mapped
 *
 * Returns an errno as iopt_unmap(), and 0 when there was nothing.
 */
int iopt_unmap_all(struct io_pagetable *iopt, unsigned long *unmapped)
{
	return iopt_unmap_range(iopt, 0, ULONG_MAX, unmapped);
}

/**
 * iopt_destroy() - free what is left in a space nobody uses
 * @iopt: the space
 *
 * Nobody is left to be waited for, so that a dying process can do it.
 */
void iopt_destroy(struct io_pagetable *iopt)
{
	LIST_HEAD(areas);

	WARN_ON(!xa_empty(&iopt->accesses));
	if (!WARN_ON(iopt_unmap_begin(iopt, 0, ULONG_MAX, &areas))) {
		down_read(&iopt->domains_rwsem);
		iopt_unmap_remove(iopt, &areas);
		up_read(&iopt->domains_rwsem);
		iopt_unmap_free(&areas);
	}
	WARN_ON(!list_empty(&iopt->domains));
	/* Those without an owner, from the self test */
	iova_space_unreserve(&iopt->space, NULL);
	WARN_ON(!RB_EMPTY_ROOT(&iopt->space.reserved.rb_root));
	iova_allowed_free(&iopt->space.allowed);
	xa_destroy(&iopt->accesses);
	xa_destroy(&iopt->log_written);
}

/*
 * Cutting, for VFIO type 1
 */

/* Most places that one call cuts at */
#define IOPT_CUTS_MAX 2

/**
 * struct iopt_cut - a cut under way
 * @iova: where a mapping begins afterwards
 * @area: the area to cut, which is kept busy and so stays; NULL when there is
 *	nothing to do
 * @right: new area for what is right of @iova
 * @split: the backing is ready for both areas
 */
struct iopt_cut {
	unsigned long iova;
	struct iopt_area *area;
	struct iopt_area *right;
	bool split;
};

/* The area that an address is inside of, and not the first byte of, or NULL */
static struct iopt_area *iopt_cut_find(struct io_pagetable *iopt,
				       unsigned long iova)
{
	struct iopt_area *area;

	lockdep_assert_held(&iopt->iova_rwsem);

	area = to_area(iova_space_first(&iopt->space, iova, iova));
	return area && area->node.iova != iova ? area : NULL;
}

/* @holds: how many cuts keep the area busy */
static int iopt_cut_check(struct io_pagetable *iopt, struct iopt_area *area,
			  unsigned long iova, int holds)
{
	if (area->state != AREA_LIVE || atomic_read(&area->locks))
		return -EBUSY;
	if (area->pages->kind == PAGES_DMABUF || !iopt->disable_large_pages)
		return -EOPNOTSUPP;
	if ((iova | area_offset(area, iova)) & (iopt->iova_alignment - 1))
		return -EINVAL;
	/* Whoever is at it may be unpinning */
	if (atomic_read_acquire(&area->pins))
		return atomic_read(&area->busy) != holds ? -EAGAIN : -EINVAL;
	return atomic_read_acquire(&area->busy) != holds ? -EAGAIN : 0;
}

static int iopt_cut_holds(const struct iopt_cut *cuts, unsigned int num,
			  const struct iopt_area *area)
{
	unsigned int i;
	int holds = 0;

	for (i = 0; i != num; i++)
		holds += cuts[i].area == area;
	return holds;
}

/* Find the areas, and keep them from going */
static int iopt_cut_begin(struct io_pagetable *iopt, struct iopt_cut *cuts,
			  unsigned int num)
{
	struct iopt_area *area;
	unsigned int i;
	int rc;

	guard(rwsem_write)(&iopt->iova_rwsem);
	for (i = 0; i != num; i++) {
		area = iopt_cut_find(iopt, cuts[i].iova);
		if (!area)
			continue;
		rc = iopt_cut_check(iopt, area, cuts[i].iova,
				    iopt_cut_holds(cuts, i, area));
		if (rc)
			return rc;
		atomic_inc(&area->busy);
		cuts[i].area = area;
	}
	return 0;
}

/*
 * Get all that may fail. The areas on both sides are to release what they have
 * acquired by themselves. The mutex may be held for as long as somebody pins
 * other parts of the backing.
 */
static int iopt_cut_prepare(struct io_pagetable *iopt, struct iopt_cut *cut)
{
	struct iopt_area *area = cut->area;
	int rc;

	cut->right = area_alloc(iopt, area->pages, area_offset(area, cut->iova),
				area->prot);
	if (!cut->right)
		return -ENOMEM;
	/* Without a domain no area has acquired anything, and that stays so */
	if (list_empty(&iopt->domains))
		return 0;

	ACQUIRE(mutex_kill, lock)(&area->pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (!rc)
		rc = pages_split(area->pages, area_index(area, cut->iova));
	if (!rc)
		cut->split = true;
	return rc;
}

static void iopt_cut_area(struct iopt_area *area, struct iopt_area *right,
			  unsigned long iova)
{
	struct iova_space *space = &area->iopt->space;

	iova_space_erase(space, &area->node);
	right->state = area->state;
	right->pinned = area->pinned;
	atomic_set(&right->all_dirty, atomic_read(&area->all_dirty));
	right->node.iova = iova;
	right->node.last = area->node.last;
	area->node.last = iova - 1;
	iova_space_insert(space, &area->node);
	iova_space_insert(space, &right->node);
}

/* All or nothing */
static int iopt_cut_commit(struct io_pagetable *iopt, struct iopt_cut *cuts,
			   unsigned int num)
{
	unsigned int i;
	int rc;

	guard(rwsem_write)(&iopt->iova_rwsem);
	for (i = 0; i != num; i++) {
		if (!cuts[i].area)
			continue;
		rc = iopt_cut_check(iopt, cuts[i].area, cuts[i].iova,
				    iopt_cut_holds(cuts, num, cuts[i].area));
		if (rc)
			return rc;
	}
	for (i = 0; i != num; i++) {
		if (!cuts[i].area)
			continue;
		/* It may be to the right of another cut */
		iopt_cut_area(iopt_cut_find(iopt, cuts[i].iova), cuts[i].right,
			      cuts[i].iova);
		cuts[i].right = NULL;
	}
	return 0;
}

/* Also of a cut that was not made */
static void iopt_cut_end(struct iopt_cut *cut)
{
	struct iopt_pages *pages;

	if (!cut->area)
		return;
	if (cut->right) {
		pages = cut->area->pages;
		/*
		 * Nobody who is killed waits for somebody else's pinning here.
		 * Then the backing merely stays prepared.
		 */
		if (cut->split && !mutex_lock_killable(&pages->mutex)) {
			pages_unsplit(pages, area_index(cut->area, cut->iova));
			mutex_unlock(&pages->mutex);
		}
		area_free(cut->right);
	}
	area_end(cut->area);
}

static int iopt_cut_areas(struct io_pagetable *iopt,
			  const unsigned long *iovas, unsigned int num)
{
	struct iopt_cut cuts[IOPT_CUTS_MAX] = {};
	unsigned int i;
	int rc;

	for (i = 0; i != num; i++)
		cuts[i].iova = iovas[i];
	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		return rc;
	rc = iopt_cut_begin(iopt, cuts, num);
	for (i = 0; !rc && i != num; i++)
		if (cuts[i].area)
			rc = iopt_cut_prepare(iopt, &cuts[i]);
	if (!rc)
		rc = iopt_cut_commit(iopt, cuts, num);
	for (i = 0; i != num; i++)
		iopt_cut_end(&cuts[i]);
	up_read(&iopt->domains_rwsem);
	return rc;
}

/**
 * iopt_cut() - make mappings begin at given addresses
 * @iopt: a space that has huge pages disabled
 * @iovas: where to cut, in ascending order; where nothing is mapped, or a
 *	mapping begins already, there is nothing to do
 * @num_iovas: entries in @iovas, one or two
 *
 * Changes no pins, no charges and no domain.
 *
 * Return: 0, or an errno with nothing cut: -EBUSY for a mapping that comes or goes,
 * -EOPNOTSUPP for a dma-buf or a space with huge pages, -EINVAL where alignment
 * or pins of an access forbid it, -ENOMEM, -EINTR when the caller is killed
 * while somebody works on the mapping.
 */
int iopt_cut(struct io_pagetable *iopt, const unsigned long *iovas,
	     unsigned int num_iovas)
{
	int rc;

	if (WARN_ON(num_iovas > IOPT_CUTS_MAX))
		return -EINVAL;
	/* An access, which may need the locks, is done with an area soon */
	while ((rc = iopt_cut_areas(iopt, iovas, num_iovas)) == -EAGAIN) {
		if (fatal_signal_pending(current))
			return -EINTR;
		usleep_range(10, 100);
	}
	return rc;
}

/*
 * Reserved and allowed ranges, options
 */

/**
 * iopt_reserve() - keep an interval from being mapped
 * @iopt: the space
 * @start: first byte
 * @last: last byte
 * @owner: what iopt_unreserve() is called with
 *
 * Returns -EADDRINUSE when it is mapped or allowed, or -ENOMEM.
 */
int iopt_reserve(struct io_pagetable *iopt, unsigned long start,
		 unsigned long last, void *owner)
{
	guard(rwsem_write)(&iopt->iova_rwsem);
	return iova_space_reserve(&iopt->space, start, last, owner);
}

/**
 * iopt_unreserve() - drop the reservations of an owner
 * @iopt: the space
 * @owner: whose
 */
void iopt_unreserve(struct io_pagetable *iopt, void *owner)
{
	guard(rwsem_write)(&iopt->iova_rwsem);
	iova_space_unreserve(&iopt->space, owner);
}

/**
 * iopt_set_allowed() - replace the allowed ranges
 * @iopt: the space
 * @allowed: struct iova_allowed; gets the former ones on success
 *
 * Returns -EADDRINUSE when one meets a reserved range.
 */
int iopt_set_allowed(struct io_pagetable *iopt, struct rb_root_cached *allowed)
{
	guard(rwsem_write)(&iopt->iova_rwsem);
	return iova_space_set_allowed(&iopt->space, allowed);
}

/**
 * iopt_set_huge_pages() - allow or forbid large IOPTEs
 * @iopt: the space
 * @enable: new setting; existing IOPTEs stay as they are
 *
 * Returns -EINVAL when they are to be forbidden where a domain already has
 * some, -EADDRINUSE when a mapping is not page aligned, -EINTR.
 */
int iopt_set_huge_pages(struct io_pagetable *iopt, bool enable)
{
	int rc;

	ACQUIRE(rwsem_write_kill, domains)(&iopt->domains_rwsem);
	rc = ACQUIRE_ERR(rwsem_write_kill, &domains);
	if (rc)
		return rc;
	guard(rwsem_write)(&iopt->iova_rwsem);
	if (enable != iopt->disable_large_pages)
		return 0;
	if (!enable) {
		if (!list_empty(&iopt->domains) &&
		    iova_space_first(&iopt->space, 0, ULONG_MAX))
			return -EINVAL;
		rc = iopt_check_alignment(iopt, PAGE_SIZE);
		if (rc)
			return rc;
	}
	iopt->disable_large_pages = !enable;
	iopt_update_alignment(iopt);
	return 0;
}

/*
 * Queries
 */

/**
 * iopt_is_coherent() - can no device be incoherent
 * @iopt: the space
 *
 * Return: 1 when every domain that mirrors the space overrides the no-snoop
 * attribute of devices, also when there is none; otherwise 0; -EINTR when the
 * caller is killed while the domains change.
 */
int iopt_is_coherent(struct io_pagetable *iopt)
{
	struct iopt_domain *idom;
	int ret = 1;

	if (down_read_killable(&iopt->domains_rwsem))
		return -EINTR;
	list_for_each_entry(idom, &iopt->domains, item) {
		if (!idom->coherent)
			ret = 0;
	}
	up_read(&iopt->domains_rwsem);
	return ret;
}

/**
 * iopt_page_sizes() - page sizes that every domain can map
 * @iopt: the space
 * @sizes: gets a bit for each; PAGE_SIZE and all above it when there is no domain
 *
 * A domain with pages smaller than the CPU's has to be used in units of CPU
 * pages all the same.
 *
 * Return: 0, or -EINTR when the caller is killed while the domains change.
 */
int iopt_page_sizes(struct io_pagetable *iopt, u64 *sizes)
{
	struct iopt_domain *idom;

	*sizes = PAGE_MASK;
	if (down_read_killable(&iopt->domains_rwsem))
		return -EINTR;
	list_for_each_entry(idom, &iopt->domains, item) {
		u64 domain = idom->domain->pgsize_bitmap;

		if (domain & ~PAGE_MASK)
			domain |= PAGE_SIZE;
		*sizes &= domain;
	}
	up_read(&iopt->domains_rwsem);
	return 0;
}

static int area_phys_dmabuf(struct iopt_area *area, unsigned long iova,
			    u64 *phys)
{
	struct pages_dmabuf *import = area->pages->dmabuf;
	int rc;

	pages_dmabuf_lock(import);
	rc = pages_dmabuf_phys(import, area_offset(area, iova), phys);
	pages_dmabuf_unlock(import);
	return rc;
}

/* Contiguous memory from an IOVA of an area on, at most length bytes */
static int area_phys(struct iopt_area *area, unsigned long iova, u64 *length,
		     u64 *phys)
{
	unsigned long offset = area_offset(area, iova);
	unsigned long pfn, next, nr, npages = 0;
	struct pages_walk walk;

	int rc;

	*length = min(*length, area->node.last - iova + 1);
	if (area->pages->kind == PAGES_DMABUF)
		return area_phys_dmabuf(area, iova, phys);

	ACQUIRE(mutex_kill, lock)(&area->pages->mutex);
	rc = ACQUIRE_ERR(mutex_kill, &lock);
	if (rc)
		return rc;
	pages_walk_start(&walk, area->pages, offset >> PAGE_SHIFT,
			 (offset + *length - 1) >> PAGE_SHIFT);
	while ((nr = pages_walk_next(&walk, &next))) {
		if (!npages)
			pfn = next;
		else if (next != pfn + npages)
			break;
		npages += nr;
	}
	if (WARN_ON(!npages))
		return -EINVAL;
	*phys = PFN_PHYS(pfn) + offset_in_page(offset);
	*length = min(*length, (u64)npages * PAGE_SIZE - offset_in_page(offset));
	return 0;
}

static bool iopt_has_noiommu(struct io_pagetable *iopt)
{
	struct iopt_domain *idom;

	list_for_each_entry(idom, &iopt->domains, item) {
		if (idom->noiommu)
			return true;
	}
	return false;
}

static int area_noiommu_phys(struct iopt_area *area, unsigned long iova,
			     u64 *length, u64 *phys)
{
	lockdep_assert_held(&area->iopt->domains_rwsem);

	if (area->pages->kind == PAGES_DMABUF &&
	    pages_dmabuf_revoked(area->pages->dmabuf))
		return -EINVAL;
	if (!iopt_has_noiommu(area->iopt))
		return -EOPNOTSUPP;
	return area_phys(area, iova, length, phys);
}

/**
 * iopt_noiommu_get_pa() - tell physical addresses to drivers without an IOMMU
 * @iopt: the space
 * @iova: what to look up
 * @length: most bytes to tell about; then how many are contiguous
 * @phys: where they are
 *
 * Returns -ENOENT when it is not mapped, -EOPNOTSUPP when no software domain
 * keeps it pinned, -EINVAL for a dma-buf that was revoked, -EINTR when the
 * caller is killed while it waits.
 */
int iopt_noiommu_get_pa(struct io_pagetable *iopt, unsigned long iova,
			u64 *length, u64 *phys)
{
	struct iopt_area *area;
	int rc;

	/* No domain goes while this is held, and no area while it is busy */
	rc = down_read_killable(&iopt->domains_rwsem);
	if (rc)
		return rc;
	scoped_guard(rwsem_read, &iopt->iova_rwsem) {
		area = to_area(iova_space_first(&iopt->space, iova, iova));
		if (area && area->state == AREA_LIVE)
			atomic_inc(&area->busy);
		else
			area = NULL;
	}
	if (area) {
		rc = area_noiommu_phys(area, iova, length, phys);
		area_end(area);
	} else {
		rc = -ENOENT;
	}
	up_read(&iopt->domains_rwsem);
	return rc;
}

/**
 * iopt_is_bisected() - is there a mapping only a part of which is in an interval
 * @iopt: the space
 * @iova: first byte
 * @last: last byte
 *
 * Return: whether there is one now.
 */
bool iopt_is_bisected(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long last)
{
	struct iova_node *node;

	guard(rwsem_read)(&iopt->iova_rwsem);
	node = iova_space_first(&iopt->space, iova, iova);
	if (node && node->iova < iova)
		return true;
	node = iova_space_first(&iopt->space, last, last);
	return node && node->last > last;
}

/**
 * iopt_is_busy() - does a mapping in an interval refuse to be unmapped
 * @iopt: the space
 * @iova: first byte
 * @last: last byte
 *
 * Return: whether one does now, also one only a part of which is in there.
 */
bool iopt_is_busy(struct io_pagetable *iopt, unsigned long iova,
		  unsigned long last)
{
	struct iopt_area *area;

	guard(rwsem_read)(&iopt->iova_rwsem);
	iopt_for_each_area(iopt, area, iova, last) {
		if (area->state != AREA_LIVE || atomic_read(&area->locks))
			return true;
	}
	return false;
}

#ifdef CONFIG_IOMMUFD_TEST
bool iopt_nth_area_iova(struct io_pagetable *iopt, unsigned int nth,
			unsigned long *iova)
{
	struct iopt_area *area;

	guard(rwsem_read)(&iopt->iova_rwsem);
	iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
		if (nth--)
			continue;
		*iova = area->node.iova;
		return true;
	}
	return false;
}
#endif
