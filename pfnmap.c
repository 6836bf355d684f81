// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a device that a driver has mapped into a process, as a backing: a
 * BAR that vfio-pci lets its user mmap, which other devices may then reach
 * (peer-to-peer). There are no struct pages, nothing can be pinned, and the driver
 * takes the memory back whenever it has to, such as for a reset.
 *
 * A device may reach a page frame only while there is a page table entry for it
 * in the process. The driver has to see to it that removing those entries is
 * enough for its own safety, and an MMU notifier runs before it goes on. So this
 * needs to know nothing about the driver. Nobody tells when the memory is back:
 * a work looks for new entries, without faulting at first, since a fault could
 * sleep through a whole reset with the mmap_lock held.
 *
 * The lock of this revocable source is taken in the notifier, which may run below
 * the mmap_lock, locks of the driver, and in reclaim. Whoever holds it must not
 * take any of those, nor allocate memory in a way that waits for reclaim. It is
 * inside io_pagetable.domains_rwsem.
 *
 * What VFIO does not unmap for, such as the recovery from PCI errors, ends DMA as
 * little as it ends the CPU's access.
 */
#include <linux/iommu.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/pageblock-flags.h>
#include <linux/pgtable.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "pfnmap.h"
#include "revocable.h"

/* How often an entry may go again right after a fault brought it */
#define PFNMAP_TRIES 100
/* How often the work looks without a fault, a millisecond apart */
#define PFNMAP_PASSIVE 100
/* Most milliseconds between two looks */
#define PFNMAP_DELAY_MAX 1000
/* How many entries are read before others get a turn at the mmap_lock */
#define PFNMAP_SLICE 1024

static struct workqueue_struct *pfnmap_wq;

/**
 * struct iopt_pfnmap - memory of a device in a process
 * @revocable: its addresses
 * @lock: the lock of the source
 * @notifier: hears of entries that are removed
 * @mm: the process' address space, grabbed
 * @uaddr: address of page 0, untagged
 * @npages: size in pages
 * @write: entries have to be writable
 * @cached: the CPU maps it cacheable
 * @mapping: what the VMAs there map, to be compared only: they keep it, and this
 *	does not, since an inode of VFIO must not outlive its last device
 * @pgoff: offset in it of page 0, in pages
 * @freed: the backing is gone; under @lock
 * @gone: the VMAs are gone, so nothing returns; under @lock
 * @looks: how often @restore_work has looked; changed under @lock. The work reads
 *	it without: a look too early or too late does no harm.
 * @restore_work: looks whether the memory is back
 * @free_work: frees this; whoever frees the backing does not wait for a look
 */
struct iopt_pfnmap {
	struct iopt_revocable revocable;
	struct mutex lock; /* the lock of the source */
	struct mmu_interval_notifier notifier;
	struct mm_struct *mm;
	unsigned long uaddr;
	unsigned long npages;
	bool write;
	bool cached;
	const struct address_space *mapping;
	unsigned long pgoff;
	bool freed;
	bool gone;
	unsigned int looks;
	struct delayed_work restore_work;
	struct work_struct free_work;
};

static struct iopt_pfnmap *to_pfnmap(struct iopt_pages *pages)
{
	return container_of(pages->revocable, struct iopt_pfnmap, revocable);
}

/*
 * What is mapped in the process
 */

static bool vma_is_cached(const struct vm_area_struct *vma)
{
	pgprot_t prot = vma->vm_page_prot;

	return pgprot_val(prot) != pgprot_val(pgprot_noncached(prot)) &&
	       pgprot_val(prot) != pgprot_val(pgprot_writecombine(prot));
}

static unsigned long vma_pgoff_at(const struct vm_area_struct *vma,
				  unsigned long addr)
{
	return vma->vm_pgoff + ((addr - vma->vm_start) >> PAGE_SHIFT);
}

static bool vma_is_pfnmap(const struct vm_area_struct *vma)
{
	return (vma->vm_flags & VM_PFNMAP) && (vma->vm_flags & VM_SHARED) &&
	       vma->vm_file;
}

/* Whether a VMA maps at an address what the source is */
static bool pfnmap_is_at(const struct iopt_pfnmap *map,
			 const struct vm_area_struct *vma, unsigned long addr)
{
	return vma && vma_is_pfnmap(vma) &&
	       (vma->vm_flags & (map->write ? VM_WRITE : VM_READ)) &&
	       vma->vm_file->f_mapping == map->mapping &&
	       vma_pgoff_at(vma, addr) ==
		       map->pgoff + ((addr - map->uaddr) >> PAGE_SHIFT) &&
	       vma_is_cached(vma) == map->cached;
}

/* Memory that has struct pages is pinned, or not mapped at all */
static bool frames_are_memory(unsigned long pfn, unsigned long npages)
{
	unsigned long end = pfn + npages;

	while (pfn < end) {
		if (!pfn_valid(pfn)) {
			pfn = round_up(pfn + 1, pageblock_nr_pages);
			continue;
		}
		if (!PageReserved(pfn_to_page(pfn)))
			return true;
		pfn++;
	}
	return false;
}

/* The frames from an address on. When a fault may help, -EAGAIN or -EACCES. */
static int pfnmap_follow(const struct iopt_pfnmap *map,
			 struct vm_area_struct *vma, unsigned long addr,
			 unsigned long *pfn, unsigned long *npages)
{
	struct follow_pfnmap_args args = { .vma = vma, .address = addr };
	unsigned long end;
	bool writable;

	if (follow_pfnmap_start(&args))
		return -EAGAIN;
	end = (addr | ~args.addr_mask) + 1;
	*pfn = args.pfn;
	writable = args.writable;
	follow_pfnmap_end(&args);

	*npages = (min(end, vma->vm_end) - addr) >> PAGE_SHIFT;
	return map->write && !writable ? -EACCES : 0;
}

static int pfnmap_fault(const struct iopt_pfnmap *map, unsigned long addr)
{
	unsigned int flags = FAULT_FLAG_REMOTE;
	bool unlocked;

	if (fatal_signal_pending(current))
		return -EINTR;
	if (map->write)
		flags |= FAULT_FLAG_WRITE;
	return fixup_user_fault(map->mm, addr, flags, &unlocked);
}

/* Read some more entries. With the mmap_lock held, also if it was dropped. */
static int pfnmap_read_slice(const struct iopt_pfnmap *map,
			     struct pfn_runs *runs, bool fault)
{
	unsigned long addr, pfn, npages;
	struct vm_area_struct *vma;
	unsigned int i, faults = 0;
	int rc;

	for (i = 0; i != PFNMAP_SLICE && runs->npages != map->npages; i++) {
		addr = map->uaddr + runs->npages * PAGE_SIZE;
		vma = vma_lookup(map->mm, addr);
		if (!pfnmap_is_at(map, vma, addr))
			return -EFAULT;
		rc = pfnmap_follow(map, vma, addr, &pfn, &npages);
		if (rc) {
			/* A fault for writing did not make it writable */
			if (rc == -EACCES && faults)
				return -EFAULT;
			if (!fault || faults++ == PFNMAP_TRIES)
				return -EAGAIN;
			rc = pfnmap_fault(map, addr);
			if (rc)
				return rc;
			continue;
		}
		faults = 0;
		npages = min(npages, map->npages - runs->npages);
		if (frames_are_memory(pfn, npages))
			return -EFAULT;
		rc = pfn_runs_append_range(runs, pfn, npages);
		if (rc)
			return rc;
	}
	return 0;
}

/* -EAGAIN when a part is not there right now */
static int pfnmap_read(const struct iopt_pfnmap *map, struct pfn_runs *runs,
		       bool fault)
{
	int rc = 0;

	while (!rc && runs->npages != map->npages) {
		if (!fault) {
			if (!mmap_read_trylock(map->mm))
				return -EAGAIN;
		} else if (mmap_read_lock_killable(map->mm)) {
			return -EINTR;
		}
		rc = pfnmap_read_slice(map, runs, fault);
		mmap_read_unlock(map->mm);
		cond_resched();
	}
	return rc;
}

/*
 * The source
 */

static void pfnmap_freeze(struct iopt_pages *pages)
{
	mutex_lock(&to_pfnmap(pages)->lock);
}

static void pfnmap_thaw(struct iopt_pages *pages)
{
	mutex_unlock(&to_pfnmap(pages)->lock);
}

/* Unless what was read is outdated already */
static int pfnmap_arm(struct iopt_pfnmap *map, struct pfn_runs *runs,
		      unsigned long seq)
{
	guard(mutex)(&map->lock);
	if (map->freed || map->gone)
		return -EFAULT;
	if (mmu_interval_read_retry(&map->notifier, seq))
		return -EAGAIN;
	return iopt_revocable_arm(&map->revocable, runs);
}

/* With users of the address space */
static int pfnmap_restore(struct iopt_pfnmap *map, bool fault)
{
	struct pfn_runs runs;
	unsigned long seq;
	int rc;

	pfn_runs_init(&runs);
	seq = mmu_interval_read_begin(&map->notifier);
	rc = pfnmap_read(map, &runs, fault);
	if (!rc)
		rc = pfnmap_arm(map, &runs, seq);
	if (rc)
		pfn_runs_free(&runs);
	return rc;
}

static void pfnmap_look_later(struct iopt_pfnmap *map)
{
	unsigned int delay = 1;

	lockdep_assert_held(&map->lock);

	/* Nobody on the CPU's side may ever touch it, so a fault has to */
	if (map->looks > PFNMAP_PASSIVE)
		delay = min(1U << min(map->looks - PFNMAP_PASSIVE, 16U),
			    PFNMAP_DELAY_MAX);
	queue_delayed_work(pfnmap_wq, &map->restore_work,
			   msecs_to_jiffies(delay));
}

/* Page tables are charged to the memory cgroup of the process */
static void pfnmap_restore_work(struct work_struct *work)
{
	struct iopt_pfnmap *map = container_of(work, struct iopt_pfnmap,
					       restore_work.work);
	struct mem_cgroup *memcg, *old;
	int rc;

	/* If nobody uses it any more, the notifier hears of that, or has */
	if (!mmget_not_zero(map->mm))
		return;
	memcg = get_mem_cgroup_from_mm(map->mm);
	old = set_active_memcg(memcg);
	rc = pfnmap_restore(map, READ_ONCE(map->looks) > PFNMAP_PASSIVE);
	set_active_memcg(old);
	mem_cgroup_put(memcg);
	/* Freeing the address space from here would wait for the notifier */
	mmput_async(map->mm);

	guard(mutex)(&map->lock);
	if (rc && !map->freed && !map->gone) {
		WRITE_ONCE(map->looks, map->looks + 1);
		pfnmap_look_later(map);
	}
}

static void pfnmap_revoke(struct iopt_pfnmap *map, bool gone)
{
	lockdep_assert_held(&map->lock);

	map->gone |= gone;
	if (map->freed || !iopt_revocable_revoke(&map->revocable) || map->gone)
		return;
	WRITE_ONCE(map->looks, 0);
	pfnmap_look_later(map);
}

/* No device reaches the memory any more when this returns */
static bool pfnmap_invalidate(struct mmu_interval_notifier *notifier,
			      const struct mmu_notifier_range *range,
			      unsigned long cur_seq)
{
	struct iopt_pfnmap *map = container_of(notifier, struct iopt_pfnmap,
					       notifier);
	bool gone = range->event == MMU_NOTIFY_UNMAP ||
		    range->event == MMU_NOTIFY_RELEASE;

	if (mmu_notifier_range_blockable(range))
		mutex_lock(&map->lock);
	else if (!mutex_trylock(&map->lock))
		return false;
	mmu_interval_set_seq(notifier, cur_seq);
	if (range->event != MMU_NOTIFY_SOFT_DIRTY)
		pfnmap_revoke(map, gone);
	mutex_unlock(&map->lock);
	return true;
}

static const struct mmu_interval_notifier_ops pfnmap_notifier_ops = {
	.invalidate = pfnmap_invalidate,
};

/* Have reclaim make some room for page tables, which are allocated without it */
static int pfnmap_make_room(void)
{
	struct page *pages[32];
	unsigned int nr, i;

	for (nr = 0; nr != ARRAY_SIZE(pages); nr++) {
		pages[nr] = alloc_page(GFP_KERNEL_ACCOUNT);
		if (!pages[nr])
			break;
	}
	for (i = 0; i != nr; i++)
		__free_page(pages[i]);
	return nr ? 0 : -ENOMEM;
}

static int pfnmap_map(struct iopt_pages *pages,
		      const struct pages_window *window, struct list_head *list)
{
	unsigned int tries = 0;
	int rc;

	while ((rc = iopt_revocable_map(pages, window, list)) == -ENOMEM) {
		if (tries++ == 8 || pfnmap_make_room())
			break;
	}
	return rc;
}

static void pfnmap_destroy(struct iopt_pfnmap *map)
{
	mmu_interval_notifier_remove(&map->notifier);
	disable_delayed_work_sync(&map->restore_work);
	iopt_revocable_free(&map->revocable);
	mutex_destroy(&map->lock);
	mmdrop(map->mm);
	kfree(map);
}

static void pfnmap_free_work(struct work_struct *work)
{
	pfnmap_destroy(container_of(work, struct iopt_pfnmap, free_work));
}

static void pfnmap_free(struct iopt_pages *pages)
{
	struct iopt_pfnmap *map = to_pfnmap(pages);

	scoped_guard(mutex, &map->lock)
		map->freed = true;
	queue_work(pfnmap_wq, &map->free_work);
}

/* Of the two, only the source that has been used is known to anybody else */
static void pfnmap_exchange(struct iopt_pages *pages, struct iopt_pages *fresh)
{
	struct iopt_pfnmap *old = to_pfnmap(pages);
	struct iopt_pfnmap *new = to_pfnmap(fresh);

	mutex_lock(&old->lock);
	mutex_lock_nested(&new->lock, SINGLE_DEPTH_NESTING);
	/* What went meanwhile, or finds no page tables, is as if it went later */
	if (iopt_revocable_exchange(pages, fresh) && !new->gone)
		pfnmap_look_later(new);
	mutex_unlock(&new->lock);
	mutex_unlock(&old->lock);
	swap(pages->start, fresh->start);
	swap(pages->owner, fresh->owner);
}

/* To a device the memory is as cacheable as it is to the CPU */
static const struct iopt_pages_ops pfnmap_ops = {
	.prot = IOMMU_MMIO,
	.free = pfnmap_free,
	.map = pfnmap_map,
	.unmap = iopt_revocable_unmap,
	.freeze = pfnmap_freeze,
	.thaw = pfnmap_thaw,
	.exchange = pfnmap_exchange,
};

static const struct iopt_pages_ops pfnmap_cached_ops = {
	.prot = IOMMU_CACHE,
	.free = pfnmap_free,
	.map = pfnmap_map,
	.unmap = iopt_revocable_unmap,
	.freeze = pfnmap_freeze,
	.thaw = pfnmap_thaw,
	.exchange = pfnmap_exchange,
};

/*
 * Making one
 */

/**
 * iopt_pfnmap_find() - tell memory of devices from other memory
 * @uaddr: an address of the caller
 * @length: bytes, more than 0, without overflow
 * @part: how many of them, from @uaddr on, are of the same kind, and if it is
 *	memory of a device, all of the same mapping
 *
 * Return: 1 for what iopt_pfnmap_init() is for, 0 for anything else, or -EINTR
 * when the caller is killed.
 */
int iopt_pfnmap_find(unsigned long uaddr, unsigned long length,
		     unsigned long *part)
{
	unsigned long addr = untagged_addr(uaddr), end = addr + length;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma, *next;
	struct vma_iterator vmi;
	int found = 0;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma_iter_init(&vmi, mm, addr);
	vma = vma_next(&vmi);
	if (vma && vma->vm_start <= addr && vma_is_pfnmap(vma)) {
		found = 1;
		while (vma->vm_end < end) {
			next = vma_next(&vmi);
			if (!next || next->vm_start != vma->vm_end ||
			    !vma_is_pfnmap(next) ||
			    next->vm_file->f_mapping != vma->vm_file->f_mapping ||
			    next->vm_pgoff != vma_pgoff_at(vma, vma->vm_end) ||
			    vma_is_cached(next) != vma_is_cached(vma))
				break;
			vma = next;
		}
		end = min(end, vma->vm_end);
	} else {
		while (vma && vma->vm_start < end && !vma_is_pfnmap(vma))
			vma = vma_next(&vmi);
		if (vma)
			end = min(end, vma->vm_start);
	}
	mmap_read_unlock(mm);
	*part = end - addr;
	return found;
}

/* What is at the start; all the rest has to be like it */
static int pfnmap_identify(struct iopt_pfnmap *map)
{
	struct vm_area_struct *vma;
	int rc = -EFAULT;

	if (mmap_read_lock_killable(map->mm))
		return -EINTR;
	vma = vma_lookup(map->mm, map->uaddr);
	if (vma && vma_is_pfnmap(vma)) {
		map->mapping = vma->vm_file->f_mapping;
		map->pgoff = vma_pgoff_at(vma, map->uaddr);
		map->cached = vma_is_cached(vma);
		rc = 0;
	}
	mmap_read_unlock(map->mm);
	return rc;
}

/* Errors are reported here, whether there is a domain yet or not */
static int pfnmap_start(struct iopt_pfnmap *map)
{
	int rc;

	rc = mmu_interval_notifier_insert(&map->notifier, map->mm, map->uaddr,
					  map->npages * PAGE_SIZE,
					  &pfnmap_notifier_ops);
	if (rc)
		return rc;
	rc = pfnmap_restore(map, true);
	/* It is all there, and on its way out: like one that goes right after */
	if (rc == -EAGAIN) {
		guard(mutex)(&map->lock);
		rc = map->gone ? -EFAULT : 0;
		if (!rc)
			pfnmap_look_later(map);
	}
	if (rc)
		mmu_interval_notifier_remove(&map->notifier);
	return rc;
}

/**
 * iopt_pfnmap_init() - make a backing of a device's memory in the caller's
 * @pages: the backing, with any content
 * @uaddr: address of the first byte
 * @length: bytes, more than 0; @uaddr + @length does not wrap
 * @writable: whether it may ever be written through a mapping
 *
 * It is not charged. Context: may sleep on the mmap_lock and in faults, so no
 * lock of an IOVA space is held.
 *
 * Return: 0 with one reference, -EOVERFLOW, -ENOMEM, -EFAULT when it is something
 * else, is not there right now, or must not be written, -EINTR when the caller is
 * killed.
 */
int iopt_pfnmap_init(struct iopt_pages *pages, unsigned long uaddr,
		     unsigned long length, bool writable)
{
	struct iopt_pfnmap *map;
	int rc;

	map = kzalloc_obj(*map, GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	mmgrab(current->mm);
	map->mm = current->mm;
	map->uaddr = untagged_addr(uaddr) & PAGE_MASK;
	map->write = writable;
	rc = pfnmap_identify(map);
	if (rc)
		goto err_free;
	rc = iopt_pages_init(pages,
			     map->cached ? &pfnmap_cached_ops : &pfnmap_ops,
			     IOMMUFD_ACCOUNT_NONE, uaddr, length, writable);
	if (rc)
		goto err_free;
	map->npages = pages->npages;
	mutex_init(&map->lock);
	INIT_DELAYED_WORK(&map->restore_work, pfnmap_restore_work);
	INIT_WORK(&map->free_work, pfnmap_free_work);
	iopt_revocable_init(&map->revocable, pages, NULL,
			    GFP_NOWAIT | __GFP_ACCOUNT);
	rc = pfnmap_start(map);
	if (!rc)
		return 0;

	pages_owner_put(&pages->owner);
err_free:
	mmdrop(map->mm);
	kfree(map);
	return rc;
}

/**
 * iopt_pfnmap_setup() - before the first iopt_pfnmap_init()
 *
 * Return: 0 or -ENOMEM.
 */
int iopt_pfnmap_setup(void)
{
	pfnmap_wq = alloc_workqueue("iommufd_pfnmap", WQ_UNBOUND, 0);
	return pfnmap_wq ? 0 : -ENOMEM;
}

/**
 * iopt_pfnmap_cleanup() - after the last backing is freed
 */
void iopt_pfnmap_cleanup(void)
{
	destroy_workqueue(pfnmap_wq);
}
