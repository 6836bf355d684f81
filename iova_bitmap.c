// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty bitmaps in user memory, for IOMMU and VFIO drivers.
 *
 * iova_bitmap_for_each() pins the part of the bitmap that its callback is going
 * to write before it calls it. The callback makes the hardware forget which
 * pages are dirty, so whether the user can be told has to be certain by then.
 * iova_bitmap_set() then only writes to memory and cannot fail.
 *
 * The bitmap is an array of u64 at any byte address. Bit i is the value bit
 * i % 64 of element i / 64, so on big endian machines the bytes of an element
 * run backwards. Everything here works on bytes, which no alignment can split.
 */
#include <linux/bits.h>
#include <linux/highmem.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define BITS_PER_WORD	BITS_PER_TYPE(u64)

/*
 * Most bitmap pages pinned at a time: 64 GiB of 4 KiB pages, and an array of
 * page pointers that is a page itself.
 */
#define WINDOW_PAGES	512UL

/* Bits that any window can hold, wherever in its first page it starts */
#define WINDOW_BITS	(WINDOW_PAGES / 2 * PAGE_SIZE * BITS_PER_BYTE)

/**
 * struct iova_bitmap - a bitmap in user memory
 * @iova: what bit 0 stands for
 * @length: bytes of IOVA; what lies outside is not recorded
 * @pgshift: log2 of the bytes of IOVA that a bit stands for
 * @error: first failure to write a bit outside of the window, or 0
 * @data: the user's array
 * @size: bytes of @data that hold bits
 * @win_start: first byte of @data in the window
 * @win_size: bytes of @data in the window; 0 when nothing is pinned
 * @max_pages: entries of @pages
 * @num_pages: pinned pages
 * @pages: the pages of the window
 */
struct iova_bitmap {
	unsigned long iova;
	size_t length;
	unsigned int pgshift;
	int error;
	u8 __user *data;
	unsigned long size;

	unsigned long win_start;
	unsigned long win_size;
	unsigned long max_pages;
	unsigned long num_pages;
	struct page *pages[] __counted_by(max_pages);
};

/* Where the byte with bits 8 * index and up is */
static unsigned long byte_offset(unsigned long index)
{
	if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		return index ^ (sizeof(u64) - 1);
	return index;
}

/* Bytes that the bits up to @last lie in */
static unsigned long bytes_to(unsigned long last)
{
	if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN))
		return (last / BITS_PER_WORD + 1) * sizeof(u64);
	return last / BITS_PER_BYTE + 1;
}

/**
 * iova_bitmap_alloc() - describe a bitmap in user memory
 * @iova: what bit 0 stands for
 * @length: bytes of IOVA
 * @page_size: bytes of IOVA that a bit stands for, a power of two
 * @data: the user's array, at any byte address; not looked at yet
 *
 * Return: the bitmap, ERR_PTR(-ENOMEM), or ERR_PTR(-EINVAL) when @page_size is
 * not a power of two. iova_bitmap_free() frees it.
 */
struct iova_bitmap *iova_bitmap_alloc(unsigned long iova, size_t length,
				      unsigned long page_size,
				      u64 __user *data)
{
	struct iova_bitmap *bitmap;
	unsigned long size, max_pages;

	if (!is_power_of_2(page_size))
		return ERR_PTR(-EINVAL);

	size = length ? bytes_to((length - 1) >> ilog2(page_size)) : 0;
	max_pages = min(WINDOW_PAGES,
			size / PAGE_SIZE + !!(size % PAGE_SIZE) + 1);

	bitmap = kzalloc_flex(*bitmap, pages, max_pages, GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return ERR_PTR(-ENOMEM);

	bitmap->max_pages = max_pages;
	bitmap->iova = iova;
	bitmap->length = length;
	bitmap->pgshift = ilog2(page_size);
	bitmap->data = (u8 __user *)data;
	bitmap->size = size;
	return bitmap;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_alloc, "IOMMUFD");

/**
 * iova_bitmap_free() - end of iova_bitmap_alloc()
 * @bitmap: the bitmap
 */
void iova_bitmap_free(struct iova_bitmap *bitmap)
{
	kfree(bitmap);
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_free, "IOMMUFD");

static void window_unpin(struct iova_bitmap *bitmap)
{
	unpin_user_pages_dirty_lock(bitmap->pages, bitmap->num_pages, true);
	bitmap->num_pages = 0;
	bitmap->win_size = 0;
}

static int window_pin(struct iova_bitmap *bitmap, unsigned long start,
		      unsigned long size)
{
	unsigned long addr = (unsigned long)bitmap->data + start;
	unsigned long num = DIV_ROUND_UP(offset_in_page(addr) + size,
					 PAGE_SIZE);

	while (bitmap->num_pages != num) {
		unsigned long done = bitmap->num_pages;
		long rc = pin_user_pages_fast((addr & PAGE_MASK) +
						      done * PAGE_SIZE,
					      num - done, FOLL_WRITE,
					      bitmap->pages + done);

		if (rc <= 0) {
			window_unpin(bitmap);
			return rc ?: -EFAULT;
		}
		bitmap->num_pages += rc;
	}
	bitmap->win_start = start;
	bitmap->win_size = size;
	return 0;
}

/*
 * How many bits from @first on to do at once. Several windows meet at an IOVA
 * that huge pages are aligned to, so that one call of the driver reports all of
 * such a page; and at the start of an element, as drivers may keep a bitmap of
 * their own in units of that.
 */
static unsigned long window_bits(const struct iova_bitmap *bitmap,
				 unsigned long first)
{
	unsigned long last = (bitmap->length - 1) >> bitmap->pgshift;
	unsigned long addr = (unsigned long)bitmap->data +
			     first / BITS_PER_BYTE;
	unsigned long room = bitmap->max_pages * PAGE_SIZE -
			     offset_in_page(addr);
	unsigned long bits, next;

	if (bitmap->size - first / BITS_PER_BYTE <= room)
		return last - first + 1;

	bits = round_down(room, sizeof(u64)) * BITS_PER_BYTE;
	if (ilog2(WINDOW_BITS) + bitmap->pgshift < BITS_PER_LONG) {
		next = bitmap->iova + ((first + bits) << bitmap->pgshift);
		next = round_down(next, WINDOW_BITS << bitmap->pgshift);
		next = (next - bitmap->iova) >> bitmap->pgshift;
		bits = round_down(next - first, BITS_PER_WORD);
	}
	return bits;
}

/**
 * iova_bitmap_for_each() - call a function that fills the bitmap
 * @bitmap: the bitmap
 * @opaque: passed to @fn
 * @fn: reports what is dirty in a range with iova_bitmap_set(); called for
 *	ascending ranges that make up the whole, mostly just one
 *
 * The user memory that a call reports to is pinned meanwhile, so reports of
 * what is inside the range of the call cannot be lost.
 *
 * Context: process context of the owner of the user memory, may sleep.
 *
 * Return: what @fn returns if that is not 0, which ends the walk, or -EFAULT
 * when the bitmap is not in writable memory.
 */
int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque,
			 iova_bitmap_fn_t fn)
{
	unsigned long first = 0, bits;
	size_t done = 0, length;
	int rc;

	if (!bitmap->length)
		return fn(bitmap, bitmap->iova, 0, opaque);
	if (!access_ok(bitmap->data, bitmap->size))
		return -EFAULT;

	do {
		bits = window_bits(bitmap, first);
		rc = window_pin(bitmap, first / BITS_PER_BYTE,
				bytes_to(first + bits - 1) -
					first / BITS_PER_BYTE);
		if (rc)
			return rc;

		/* The last bit may stand for less than the others */
		length = bitmap->length - done;
		if (bits <= (length - 1) >> bitmap->pgshift)
			length = bits << bitmap->pgshift;
		rc = fn(bitmap, bitmap->iova + done, length, opaque);
		window_unpin(bitmap);
		if (rc)
			return rc;
		first += bits;
		done += length;
	} while (done != bitmap->length && !bitmap->error);
	return bitmap->error;
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_for_each, "IOMMUFD");

/* A pinned byte, and how many follow it in the page; to be unmapped */
static u8 *window_map(struct iova_bitmap *bitmap, unsigned long offset,
		      unsigned long *len)
{
	unsigned long pos =
		offset_in_page((unsigned long)bitmap->data + bitmap->win_start) +
		offset - bitmap->win_start;

	*len = min(*len, PAGE_SIZE - offset_in_page(pos));
	return kmap_local_page(bitmap->pages[pos / PAGE_SIZE]) +
	       offset_in_page(pos);
}

static bool in_window(struct iova_bitmap *bitmap, unsigned long offset,
		      unsigned long len)
{
	return offset >= bitmap->win_start &&
	       offset - bitmap->win_start < bitmap->win_size &&
	       len <= bitmap->win_size - (offset - bitmap->win_start);
}

static void or_byte(struct iova_bitmap *bitmap, unsigned long index, u8 mask)
{
	unsigned long offset = byte_offset(index);
	unsigned long len = 1;
	u8 *p, byte;

	if (in_window(bitmap, offset, len)) {
		p = window_map(bitmap, offset, &len);
		*p |= mask;
		kunmap_local(p);
		return;
	}
	if (get_user(byte, bitmap->data + offset) ||
	    put_user((u8)(byte | mask), bitmap->data + offset))
		bitmap->error = -EFAULT;
}

static void fill_user(struct iova_bitmap *bitmap, unsigned long offset,
		      unsigned long len)
{
	u8 ones[64];

	memset(ones, 0xff, sizeof(ones));
	while (len && !bitmap->error) {
		unsigned long n = min(len, sizeof(ones));

		if (copy_to_user(bitmap->data + offset, ones, n))
			bitmap->error = -EFAULT;
		offset += n;
		len -= n;
	}
}

/* Memory that is contiguous, not necessarily bits that are */
static void fill_memory(struct iova_bitmap *bitmap, unsigned long offset,
			unsigned long len)
{
	unsigned long win_end = bitmap->win_start + bitmap->win_size;
	unsigned long n;

	for (; len; offset += n, len -= n) {
		n = len;
		if (in_window(bitmap, offset, 1)) {
			u8 *p;

			n = min(n, win_end - offset);
			p = window_map(bitmap, offset, &n);
			memset(p, 0xff, n);
			kunmap_local(p);
			continue;
		}
		if (offset < bitmap->win_start && bitmap->win_size)
			n = min(n, bitmap->win_start - offset);
		fill_user(bitmap, offset, n);
	}
}

static void fill_bytes(struct iova_bitmap *bitmap, unsigned long index,
		       unsigned long num)
{
	if (IS_ENABLED(CONFIG_CPU_BIG_ENDIAN)) {
		/* Only whole elements are contiguous */
		for (; num && index % sizeof(u64); index++, num--)
			or_byte(bitmap, index, 0xff);
		for (; num % sizeof(u64); num--)
			or_byte(bitmap, index + num - 1, 0xff);
	}
	fill_memory(bitmap, index, num);
}

static void set_range(struct iova_bitmap *bitmap, unsigned long first,
		      unsigned long last)
{
	unsigned long first_byte = first / BITS_PER_BYTE;
	unsigned long last_byte = last / BITS_PER_BYTE;
	u8 head = 0xff << (first % BITS_PER_BYTE);
	u8 tail = 0xff >> (BITS_PER_BYTE - 1 - last % BITS_PER_BYTE);

	if (first_byte == last_byte) {
		or_byte(bitmap, first_byte, head & tail);
		return;
	}
	or_byte(bitmap, first_byte, head);
	fill_bytes(bitmap, first_byte + 1, last_byte - first_byte - 1);
	or_byte(bitmap, last_byte, tail);
}

/**
 * iova_bitmap_set() - report a dirty range
 * @bitmap: the bitmap
 * @iova: start of the range, of any alignment
 * @length: bytes
 *
 * Sets the bit of everything that the range touches. The range may begin before
 * the bitmap does or end behind it, as a huge page can; what is outside is
 * ignored.
 *
 * Inside the range of the running call from iova_bitmap_for_each() this is a
 * mere write to memory. Elsewhere in the bitmap it may have to fault in user
 * memory, and if that fails iova_bitmap_for_each() is going to return -EFAULT.
 *
 * Context: as for iova_bitmap_for_each(); one thread at a time per bitmap.
 */
void iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
		     size_t length)
{
	unsigned long last, bitmap_last;

	if (!length || !bitmap->length)
		return;
	if (check_add_overflow(iova, length - 1, &last))
		last = ULONG_MAX;
	bitmap_last = bitmap->iova + (bitmap->length - 1);
	if (last < bitmap->iova || iova > bitmap_last)
		return;

	iova = max(iova, bitmap->iova);
	last = min(last, bitmap_last);
	set_range(bitmap, (iova - bitmap->iova) >> bitmap->pgshift,
		  (last - bitmap->iova) >> bitmap->pgshift);
}
EXPORT_SYMBOL_NS_GPL(iova_bitmap_set, "IOMMUFD");
