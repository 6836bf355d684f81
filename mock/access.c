// SPDX-License-Identifier: GPL-2.0-only
/*
 * Access files: each stands for an in-kernel driver that works on the memory
 * of an IOAS, and does what the test tells it.
 */
#include <linux/anon_inodes.h>
#include <linux/delay.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "../access.h"
#include "../area.h"
#include "../ioas.h"
#include "../selftest.h"
#include "mock.h"

#define ACCESS_MAX_LENGTH SZ_16M
#define ACCESS_SLOW_UNMAP_MS 500

/**
 * struct test_access - the driver behind an access file
 * @access: owned
 * @pins: made with needs_pin_pages
 * @slow: made with MOCK_FLAGS_ACCESS_CREATE_SLOW_UNMAP
 * @slow_next: the next unmap callback is the slow one
 * @lock: protects @items and @next_item_id, and keeps a pin and its item
 *	together for the unmap callback
 * @items: struct test_access_item
 * @next_item_id: ID of the next item
 */
struct test_access {
	struct iommufd_access *access;
	bool pins;
	bool slow;
	bool slow_next;
	struct mutex lock; /* @items, @next_item_id */
	struct list_head items;
	u32 next_item_id;
};

/**
 * struct test_access_item - a range that is pinned
 * @node: on test_access.items
 * @id: what user space calls it
 * @iova: first byte
 * @last: last byte
 */
struct test_access_item {
	struct list_head node;
	u32 id;
	unsigned long iova;
	unsigned long last;
};

static void test_access_drop(struct test_access *ta,
			     struct test_access_item *item)
{
	lockdep_assert_held(&ta->lock);
	iommufd_access_unpin_pages(ta->access, item->iova,
				   item->last - item->iova + 1);
	list_del(&item->node);
	kfree(item);
}

static void test_access_drop_range(struct test_access *ta, unsigned long iova,
				   unsigned long last)
{
	struct test_access_item *item, *next;

	guard(mutex)(&ta->lock);
	list_for_each_entry_safe(item, next, &ta->items, node)
		if (item->iova <= last && item->last >= iova)
			test_access_drop(ta, item);
}

static void test_access_unmap(void *data, unsigned long iova,
			      unsigned long length)
{
	struct test_access *ta = data;

	if (xchg(&ta->slow_next, false))
		msleep(ACCESS_SLOW_UNMAP_MS);
	test_access_drop_range(ta, iova, iova + length - 1);
}

static const struct iommufd_access_ops test_access_pin_ops = {
	.needs_pin_pages = 1,
	.unmap = test_access_unmap,
};

static const struct iommufd_access_ops test_access_rw_ops = {
	.unmap = test_access_unmap,
};

static void test_access_free(struct test_access *ta)
{
	if (!ta->slow)
		test_access_drop_range(ta, 0, ULONG_MAX);
	iommufd_access_destroy(ta->access);
	kfree(ta);
}

static struct test_access *test_access_alloc(struct iommufd_ctx *ictx,
					     u32 flags)
{
	const struct iommufd_access_ops *ops;
	struct iommufd_access *access;
	struct test_access *ta;
	u32 unused_id;

	ta = kzalloc_obj(*ta, GFP_KERNEL_ACCOUNT);
	if (!ta)
		return ERR_PTR(-ENOMEM);
	ta->pins = flags & MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES;
	ta->slow = flags & MOCK_FLAGS_ACCESS_CREATE_SLOW_UNMAP;
	ta->slow_next = ta->slow;
	mutex_init(&ta->lock);
	INIT_LIST_HEAD(&ta->items);

	ops = ta->pins ? &test_access_pin_ops : &test_access_rw_ops;
	access = iommufd_access_create(ictx, ops, ta, &unused_id);
	if (IS_ERR(access)) {
		kfree(ta);
		return ERR_CAST(access);
	}
	ta->access = access;
	return ta;
}

static int test_access_release(struct inode *inode, struct file *filp)
{
	test_access_free(filp->private_data);
	return 0;
}

static const struct file_operations test_access_fops = {
	.owner = THIS_MODULE,
	.release = test_access_release,
};

/* NULL when the descriptor is not open, or not of an access file */
static struct test_access *test_access_from(struct fd f)
{
	if (fd_empty(f) || fd_file(f)->f_op != &test_access_fops)
		return NULL;
	return fd_file(f)->private_data;
}

/* A file that owns an access which is attached to the IOAS */
static struct file *test_access_open(struct iommufd_ctx *ictx, u32 ioas_id,
				     u32 flags)
{
	struct test_access *ta;
	struct file *filp;
	int rc;

	ta = test_access_alloc(ictx, flags);
	if (IS_ERR(ta))
		return ERR_CAST(ta);

	rc = iommufd_access_attach(ta->access, ioas_id);
	if (rc) {
		test_access_free(ta);
		return ERR_PTR(rc);
	}
	filp = anon_inode_getfile("[iommufd_test_staccess]", &test_access_fops,
				  ta, O_RDWR);
	if (IS_ERR(filp))
		test_access_free(ta);
	return filp;
}

int iommufd_test_create_access(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 flags = cmd->create_access.flags;
	struct file *filp;
	int rc;

	if (flags & ~(MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES |
		      MOCK_FLAGS_ACCESS_CREATE_SLOW_UNMAP))
		return -EOPNOTSUPP;

	CLASS(get_unused_fd, fd)(O_CLOEXEC);
	if (fd < 0)
		return -ENOMEM;
	filp = test_access_open(ucmd->ictx, cmd->id, flags);
	if (IS_ERR(filp))
		return PTR_ERR(filp);

	cmd->create_access.out_access_fd = fd;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		fput(filp);
		return rc;
	}
	fd_install(take_fd(fd), filp);
	return 0;
}

int iommufd_test_access_replace_ioas(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct test_access *ta;

	CLASS(fd, f)(cmd->id);
	ta = test_access_from(f);
	if (!ta)
		return -EBADFD;
	return iommufd_access_replace(ta->access,
				      cmd->access_replace_ioas.ioas_id);
}

/* Is what was pinned what the caller has at @uptr? */
static int check_pages(unsigned long uptr, struct page **pages, size_t npages)
{
	struct page *page;
	size_t i;
	int rc;

	for (i = 0; i != npages; i++, uptr += PAGE_SIZE) {
		rc = get_user_pages_fast(uptr, 1, 0, &page);
		if (rc < 0)
			return rc;
		if (!rc)
			return -EFAULT;
		put_page(page);
		if (page != pages[i])
			return -EBADE;
	}
	return 0;
}

static int test_access_pin(struct test_access *ta, unsigned long iova,
			   unsigned long length, unsigned long uptr, bool write)
{
	size_t npages = DIV_ROUND_UP(offset_in_page(iova) + length, PAGE_SIZE);
	struct page **pages __free(kvfree) = NULL;
	int rc;

	pages = kvcalloc(npages, sizeof(*pages), GFP_KERNEL_ACCOUNT);
	if (!pages)
		return -ENOMEM;
	rc = iommufd_access_pin_pages(ta->access, iova, length, pages,
				      write ? IOMMUFD_ACCESS_RW_WRITE :
					      IOMMUFD_ACCESS_RW_READ);
	if (rc || !uptr)
		return rc;

	rc = check_pages(uptr - offset_in_page(iova), pages, npages);
	if (rc)
		iommufd_access_unpin_pages(ta->access, iova, length);
	return rc;
}

/* Start of the nth area by IOVA, false if there is none */
static bool nth_area_iova(struct io_pagetable *iopt, unsigned int nth,
			  unsigned long *iova)
{
	struct iopt_area *area;

	guard(mutex)(&iopt->iova_mutex);
	iopt_for_each_area(iopt, area, 0, ULONG_MAX) {
		if (nth--)
			continue;
		*iova = area->node.iova;
		return true;
	}
	return false;
}

static unsigned long syz_to_iova(struct io_pagetable *iopt, u64 syz_iova)
{
	struct {
		u32 nth_area;
		u32 offset;
	} syz;
	unsigned long start;

	static_assert(sizeof(syz) == sizeof(syz_iova));
	memcpy(&syz, &syz_iova, sizeof(syz));
	if (!nth_area_iova(iopt, syz.nth_area, &start))
		return 0;
	return start + syz.offset;
}

/**
 * iommufd_test_ioas_copy() - IOMMU_IOAS_COPY, which also takes syzkaller's form
 * @ucmd: the call; with MOCK_FLAGS_ACCESS_SYZ its source is not an IOVA but the
 *	number of a mapping and an offset. It is left alone if there is no such
 *	IOAS, and 0 if there is no such mapping.
 *
 * Return: as iommufd_ioas_copy().
 */
int iommufd_test_ioas_copy(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_copy *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;

	if (cmd->flags & MOCK_FLAGS_ACCESS_SYZ) {
		cmd->flags &= ~(u32)MOCK_FLAGS_ACCESS_SYZ;
		ioas = iommufd_get_ioas(ucmd->ictx, cmd->src_ioas_id);
		if (!IS_ERR(ioas)) {
			cmd->src_iova = syz_to_iova(&ioas->iopt, cmd->src_iova);
			iommufd_put_object(&ioas->obj);
		}
	}
	return iommufd_ioas_copy(ucmd);
}

static unsigned long test_access_iova(struct test_access *ta, u64 iova,
				      u32 flags)
{
	if (!(flags & MOCK_FLAGS_ACCESS_SYZ))
		return iova;

	guard(rwsem_read)(&ta->access->lock);
	if (!ta->access->ioas)
		return 0;
	return syz_to_iova(&ta->access->ioas->iopt, iova);
}

static int test_access_pin_item(struct test_access *ta,
				struct iommufd_ucmd *ucmd)
{
	struct test_access_item *item __free(kfree) = NULL;
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long length = cmd->access_pages.length;
	u32 flags = cmd->access_pages.flags;
	int rc;

	item = kzalloc_obj(*item, GFP_KERNEL_ACCOUNT);
	if (!item)
		return -ENOMEM;
	item->iova = test_access_iova(ta, cmd->access_pages.iova, flags);
	item->last = item->iova + length - 1;

	guard(mutex)(&ta->lock);
	rc = test_access_pin(ta, item->iova, length, cmd->access_pages.uptr,
			     flags & MOCK_FLAGS_ACCESS_WRITE);
	if (rc)
		return rc;

	item->id = ta->next_item_id;
	cmd->access_pages.out_access_pages_id = item->id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc) {
		iommufd_access_unpin_pages(ta->access, item->iova, length);
		return rc;
	}
	ta->next_item_id++;
	list_add_tail(&no_free_ptr(item)->node, &ta->items);
	return 0;
}

int iommufd_test_access_pages(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct test_access *ta;

	/* Keep a fuzzer from asking for huge arrays */
	if (cmd->access_pages.length > ACCESS_MAX_LENGTH)
		return -ENOMEM;
	if (cmd->access_pages.flags &
	    ~(MOCK_FLAGS_ACCESS_WRITE | MOCK_FLAGS_ACCESS_SYZ))
		return -EOPNOTSUPP;

	CLASS(fd, f)(cmd->id);
	ta = test_access_from(f);
	if (!ta)
		return -EBADFD;
	/* iommufd takes this for a bug of the driver */
	if (!ta->pins)
		return -EOPNOTSUPP;
	return test_access_pin_item(ta, ucmd);
}

int iommufd_test_destroy_access_pages(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct test_access_item *item;
	struct test_access *ta;

	CLASS(fd, f)(cmd->id);
	ta = test_access_from(f);
	if (!ta)
		return -EBADFD;

	guard(mutex)(&ta->lock);
	list_for_each_entry(item, &ta->items, node) {
		if (item->id == cmd->destroy_access_pages.access_pages_id) {
			test_access_drop(ta, item);
			return 0;
		}
	}
	return -ENOENT;
}

static int test_access_rw(struct test_access *ta, unsigned long iova,
			  void __user *uptr, unsigned long length, u32 flags)
{
	void *buf __free(kvfree) = NULL;
	int rc;

	buf = kvzalloc(length, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;

	if (flags & MOCK_ACCESS_RW_WRITE) {
		if (copy_from_user(buf, uptr, length))
			return -EFAULT;
		return iommufd_access_rw(ta->access, iova, buf, length, flags);
	}

	rc = iommufd_access_rw(ta->access, iova, buf, length, flags);
	if (rc)
		return rc;
	return copy_to_user(uptr, buf, length) ? -EFAULT : 0;
}

int iommufd_test_access_rw(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 flags = cmd->access_rw.flags;
	struct test_access *ta;

	static_assert((int)MOCK_ACCESS_RW_WRITE ==
		      (int)IOMMUFD_ACCESS_RW_WRITE);
	static_assert((int)MOCK_ACCESS_RW_SLOW_PATH ==
		      (int)__IOMMUFD_ACCESS_RW_SLOW_PATH);

	if (cmd->access_rw.length > ACCESS_MAX_LENGTH)
		return -ENOMEM;
	if (flags & ~(MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH |
		      MOCK_FLAGS_ACCESS_SYZ))
		return -EOPNOTSUPP;

	CLASS(fd, f)(cmd->id);
	ta = test_access_from(f);
	if (!ta)
		return -EBADFD;
	return test_access_rw(ta,
			      test_access_iova(ta, cmd->access_rw.iova, flags),
			      u64_to_user_ptr(cmd->access_rw.uptr),
			      cmd->access_rw.length, flags);
}
