// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page cache of a memfd as a backing: shmem or hugetlbfs.
 */
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/iommu.h>
#include <linux/magic.h>
#include <linux/memfd.h>
#include <linux/mm.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>

#include "file_memory.h"
#include "pages_rw.h"
#include "pinning.h"

/*
 * Pages that are pinned without a look at signals, whatever their size is:
 * allocating and zeroing them takes a fraction of a second.
 */
#define FILE_STEP_PAGES (SZ_256M >> PAGE_SHIFT)

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

/* The page frame of a folio of one page, for pfn_runs_append_apart() */
static unsigned long small_folio_pfn(const void *folio)
{
	return folio_test_large(folio) ? ULONG_MAX : folio_pfn(folio);
}

static int file_pin(struct pages_pin *pin, unsigned long first,
		    unsigned long npages)
{
	struct iopt_pages *pages = pin->pages;
	loff_t start = (loff_t)pages->start + (loff_t)first * PAGE_SIZE;
	struct folio **array = (struct folio **)pin->array;
	pgoff_t offset = 0;
	unsigned long part;
	long i = 0, nr;
	int rc = 0;

	npages = min(npages, FILE_STEP_PAGES);
	nr = memfd_pin_folios(pages->file, start,
			      start + (loff_t)npages * PAGE_SIZE - 1, array,
			      pin->max, &offset);
	if (nr <= 0)
		return nr ?: -EINVAL;

	offset >>= PAGE_SHIFT;
	while (i != nr) {
		part = pfn_runs_append_apart(pin->runs, small_folio_pfn,
					     pin->array + i, nr - i);
		if (part) {
			i += part;
			npages -= part;
			continue;
		}
		part = 1;
		if (folio_test_large(array[i]))
			part = min(npages, folio_nr_pages(array[i]) - offset);
		rc = pages_pin_append_folio(pin, array[i], offset, part);
		if (rc) {
			unpin_folios(array + i + 1, nr - i - 1);
			break;
		}
		i++;
		npages -= part;
		offset = 0;
	}
	return rc;
}

/* One page is enough, and the same folio for the rest of a huge one */
static long file_pin_few(struct iopt_pages *pages, unsigned long index,
			 unsigned long npages, bool write, struct page **array)
{
	loff_t start = (loff_t)pages->start + (loff_t)index * PAGE_SIZE;
	struct folio *folio;
	pgoff_t offset;
	long nr;

	nr = memfd_pin_folios(pages->file, start, start + PAGE_SIZE - 1, &folio,
			      1, &offset);
	if (nr <= 0)
		return nr ?: -EINVAL;
	array[0] = folio_page(folio, offset >> PAGE_SHIFT);
	return 1;
}

static int file_copy(struct pages_copy *copy)
{
	return pages_copy_by_pin(copy, file_pin_few);
}

static void file_free(struct iopt_pages *pages)
{
	if (pages->writable)
		mapping_unmap_writable(pages->file->f_mapping);
	fput(pages->file);
}

static const struct iopt_pages_ops file_memory_ops = {
	.prot = IOMMU_CACHE,
	.any_owner = true,
	.free = file_free,
	.pin = file_pin,
	.copy = file_copy,
};

/**
 * iopt_file_memory_init() - make a backing of a memfd
 * @pages: the backing, with any content
 * @mode: where its pages are counted, see pages_owner_init()
 * @file: the file; a reference is taken
 * @start: offset in the file of the first byte
 * @length: bytes, more than 0; @start + @length does not wrap
 * @writable: whether it may ever be written through a mapping
 *
 * The mapping counts as a writable one of the file, like a shared mmap does: a
 * file sealed against writing is refused, and sealing it later as well.
 *
 * Return: 0 with one reference, -EINVAL for another kind of file, -EACCES when
 * it is not open for this, -EPERM when it is sealed against writing, or
 * -EOVERFLOW.
 */
int iopt_file_memory_init(struct iopt_pages *pages,
			  enum iommufd_account_mode mode, struct file *file,
			  unsigned long start, unsigned long length,
			  bool writable)
{
	int rc;

	if (!file_is_memfd(file))
		return -EINVAL;
	if (!file_may_map(file, writable))
		return -EACCES;
	if (writable) {
		if (file_is_sealed(file))
			return -EPERM;
		rc = mapping_map_writable(file->f_mapping);
		if (rc)
			return rc;
	}
	rc = iopt_pages_init(pages, &file_memory_ops, mode, start, length,
			     writable);
	if (rc) {
		if (writable)
			mapping_unmap_writable(file->f_mapping);
		return rc;
	}
	pages->file = get_file(file);
	return 0;
}
