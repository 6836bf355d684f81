// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a process as a backing.
 */
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "pages_rw.h"
#include "pinning.h"
#include "user_memory.h"

/*
 * Pages of hugetlbfs that are pinned without a look at signals: allocating and
 * zeroing them takes a fraction of a second.
 */
#define HUGETLB_STEP_PAGES (SZ_256M >> PAGE_SHIFT)

/*
 * Pinning
 */

/* In an address space that is not the caller's */
static long pin_remote(struct mm_struct *mm, unsigned long uaddr,
		       unsigned long npages, unsigned int gup_flags,
		       struct page **array)
{
	int locked = 1;
	long nr;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	if (mmap_read_lock_killable(mm)) {
		mmput(mm);
		return -EINTR;
	}
	nr = pin_user_pages_remote(mm, uaddr, npages, gup_flags, array,
				   &locked);
	if (locked)
		mmap_read_unlock(mm);
	mmput(mm);
	return nr;
}

/* Returns how many pages were pinned, at least 1, or an errno */
static __always_inline long pin_some(struct iopt_pages *pages,
				     unsigned long uaddr, unsigned long npages,
				     struct page **array)
{
	unsigned int gup_flags = FOLL_LONGTERM;
	long nr;

	if (pages->writable)
		gup_flags |= FOLL_WRITE;
	if (likely(pages->owner.mm == current->mm))
		nr = pin_user_pages_fast(uaddr, npages, gup_flags, array);
	else
		nr = pin_remote(pages->owner.mm, uaddr, npages, gup_flags,
				array);
	return likely(nr) ? nr : -EFAULT;
}

/*
 * hugetlbfs maps whole huge pages only, so one pinned page tells where the rest
 * of its huge page is. That is tried as long as it is true.
 */
static int pin_hugetlb(struct pages_pin *pin, unsigned long uaddr,
		       unsigned long npages)
{
	struct page **array = (struct page **)pin->array;
	unsigned long left = min(npages, HUGETLB_STEP_PAGES);
	unsigned long index, part;
	struct folio *folio;
	long nr;
	int rc;

	do {
		nr = pin_some(pin->pages, uaddr, 1, array);
		if (nr < 0)
			return nr;
		folio = page_folio(array[0]);
		if (!folio_test_hugetlb(folio)) {
			pin->hugetlb = false;
			return pages_pin_append(pin, array, 1);
		}
		index = folio_page_idx(folio, array[0]);
		part = min(left, folio_nr_pages(folio) - index);
		rc = pages_pin_append_folio(pin, folio, index, part);
		uaddr += part * PAGE_SIZE;
		left -= part;
	} while (!rc && left);
	return rc;
}

static int user_pin(struct pages_pin *pin, unsigned long first,
		    unsigned long npages)
{
	struct page **array = (struct page **)pin->array;
	unsigned long uaddr = pin->pages->start + first * PAGE_SIZE;
	long nr;

	if (pin->hugetlb)
		return pin_hugetlb(pin, uaddr, npages);
	nr = pin_some(pin->pages, uaddr, min(npages, pin->max), array);
	if (unlikely(nr < 0))
		return nr;
	/* There is no next look for which to tell */
	if (nr != npages)
		pin->hugetlb = folio_test_hugetlb(page_folio(array[nr - 1]));
	return pages_pin_append(pin, array, nr);
}

static bool vma_can_be_pinned(const struct vm_area_struct *vma, bool write)
{
	return (vma->vm_flags & (write ? VM_WRITE : VM_READ)) &&
	       !(vma->vm_flags & (VM_IO | VM_PFNMAP));
}

static bool user_can_be_pinned(struct iopt_pages *pages, unsigned long first,
			       unsigned long npages)
{
	struct mm_struct *mm = pages->owner.mm;
	/* That of page 0 alone need not be an address, see iopt_update_vaddr() */
	unsigned long addr = untagged_addr_remote(mm, pages->start +
						      first * PAGE_SIZE);
	unsigned long last = addr + npages * PAGE_SIZE - 1;
	struct vm_area_struct *vma;
	struct vma_iterator vmi;

	mmap_assert_locked(mm);

	vma_iter_init(&vmi, mm, addr);
	for_each_vma_range(vmi, vma, last + 1) {
		if (vma->vm_start > addr ||
		    !vma_can_be_pinned(vma, pages->writable) ||
		    fatal_signal_pending(current))
			return false;
		if (vma->vm_end > last)
			return true;
		addr = vma->vm_end;
	}
	return false;
}

/*
 * Whether an address is bad counts before whether the limit is reached. This
 * tells after the fact, from what is mapped with which permission: pinning would
 * tell more, such as that a file ends, but the limit is there to forbid that.
 */
static int user_refused(struct iopt_pages *pages, unsigned long first,
			unsigned long npages)
{
	struct mm_struct *mm = pages->owner.mm;
	int rc = -ENOMEM;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	if (mmap_read_lock_killable(mm)) {
		rc = -EINTR;
	} else {
		if (!user_can_be_pinned(pages, first, npages))
			rc = -EFAULT;
		mmap_read_unlock(mm);
	}
	mmput(mm);
	return rc;
}

/*
 * Copying
 */

/* Through the address space that is current */
static int copy_current(struct pages_copy *copy)
{
	void __user *uptr = (void __user *)(copy->pages->start + copy->start);
	unsigned long left;

	if (copy->flags & IOMMUFD_ACCESS_RW_WRITE)
		left = copy_to_user(uptr, copy->data, copy->length);
	else
		left = copy_from_user(copy->data, uptr, copy->length);
	return left ? -EFAULT : 0;
}

static int copy_kthread(struct pages_copy *copy)
{
	struct mm_struct *mm = copy->pages->owner.mm;
	int rc;

	if (!mmget_not_zero(mm))
		return -EFAULT;
	kthread_use_mm(mm);
	rc = copy_current(copy);
	kthread_unuse_mm(mm);
	mmput(mm);
	return rc;
}

static long user_pin_few(struct iopt_pages *pages, unsigned long index,
			 unsigned long npages, bool write, struct page **array)
{
	return pin_remote(pages->owner.mm, pages->start + index * PAGE_SIZE,
			  npages, write ? FOLL_WRITE : 0, array);
}

static int user_copy(struct pages_copy *copy)
{
	if (!(copy->flags & __IOMMUFD_ACCESS_RW_SLOW_PATH)) {
		if (current->mm == copy->pages->owner.mm)
			return copy_current(copy);
		if ((copy->flags & IOMMUFD_ACCESS_RW_KTHREAD) &&
		    (current->flags & PF_KTHREAD) && !current->mm)
			return copy_kthread(copy);
	}
	return pages_copy_by_pin(copy, user_pin_few);
}

static const struct iopt_pages_ops user_memory_ops = {
	.prot = IOMMU_CACHE,
	.pin = user_pin,
	.refused = user_refused,
	.copy = user_copy,
};

/**
 * iopt_user_memory_init() - make a backing of the caller's memory
 * @pages: the backing, with any content
 * @mode: where its pages are counted, see pages_owner_init()
 * @uaddr: address of the first byte; does not have to be mapped yet
 * @length: bytes, more than 0; @uaddr + @length does not wrap
 * @writable: whether it may ever be written through a mapping
 *
 * Return: 0 with one reference, or -EOVERFLOW.
 */
int iopt_user_memory_init(struct iopt_pages *pages,
			  enum iommufd_account_mode mode, unsigned long uaddr,
			  unsigned long length, bool writable)
{
	return iopt_pages_init(pages, &user_memory_ops, mode, uaddr, length,
			       writable);
}
