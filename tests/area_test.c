// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of filling a domain, which ends half way: somebody is killed who
 * fills it from memory that is pinned already, or there is no page table for a
 * source that has its addresses back. And of what goes with a VFIO container,
 * and of what a cut keeps.
 */
#include <linux/bitmap.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>

#include "../area.h"
#include "../dirty_log.h"
#include "../io_pagetable.h"
#include "../iopt_domains.h"
#include "../iopt_map.h"
#include "../iopt_unmap.h"
#include "../revocable.h"
#include "../test_hooks.h"
#include "user_memory.h"

/* Many times what is mapped without a look at signals under a small limit */
#define NPAGES 256UL
#define NBYTES (NPAGES * PAGE_SIZE)
#define LIMIT 64
/* So many pages of the file lie between two that follow each other in memory */
#define STRIDE 101
#define BASE ((unsigned long)SZ_1G)

static const struct iopt_map_policy test_map_policy = {
	.account_mode = IOMMUFD_ACCOUNT_USER,
	.max_areas = ULONG_MAX,
};

/**
 * struct counting_domain - a domain that knows how much is mapped, not what
 * @domain: the domain
 * @idom: its link to the space
 * @mapped: bytes
 * @most: bytes that were ever mapped at a time
 * @kill_at: kill the caller when so much is mapped; 0 is never
 * @full: there is no memory for page tables
 */
struct counting_domain {
	struct iommu_domain domain;
	struct iopt_domain idom;
	unsigned long mapped;
	unsigned long most;
	unsigned long kill_at;
	bool full;
};

struct area_ctx {
	struct io_pagetable iopt;
	struct counting_domain first, second;
	struct file *file;
	unsigned long uaddr;
	size_t limit;
};

static struct counting_domain *to_counting(struct iommu_domain *domain)
{
	return container_of(domain, struct counting_domain, domain);
}

static int counting_map(struct iommu_domain *domain, unsigned long iova,
			phys_addr_t phys, size_t pgsize, size_t pgcount,
			int prot, gfp_t gfp, size_t *mapped)
{
	struct counting_domain *counting = to_counting(domain);

	if (counting->full)
		return -ENOMEM;
	*mapped = pgsize * pgcount;
	counting->mapped += *mapped;
	counting->most = max(counting->most, counting->mapped);
	if (counting->kill_at && counting->mapped >= counting->kill_at) {
		counting->kill_at = 0;
		test_kill();
	}
	return 0;
}

static size_t counting_unmap(struct iommu_domain *domain, unsigned long iova,
			     size_t pgsize, size_t pgcount,
			     struct iommu_iotlb_gather *gather)
{
	to_counting(domain)->mapped -= pgsize * pgcount;
	return pgsize * pgcount;
}

static const struct iommu_domain_ops counting_ops = {
	.map_pages = counting_map,
	.unmap_pages = counting_unmap,
};

static void counting_init(struct counting_domain *counting)
{
	counting->domain.type = IOMMU_DOMAIN_UNMANAGED;
	counting->domain.ops = &counting_ops;
	counting->domain.pgsize_bitmap = PAGE_SIZE;
	counting->domain.geometry.aperture_end = ULONG_MAX;
	counting->idom.domain = &counting->domain;
}

/* Memory of which no two pages in a row are contiguous, but by accident */
static void scatter(struct kunit *test, struct area_ctx *ctx)
{
	unsigned long i, addr;

	/* They may well be contiguous in the order in which they are allocated */
	for (i = 0; i != NPAGES; i++)
		test_page_at(test, ctx->uaddr + i * PAGE_SIZE);
	for (i = 0; i != NPAGES; i++) {
		addr = vm_mmap(ctx->file, ctx->uaddr + i * PAGE_SIZE, PAGE_SIZE,
			       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			       i * STRIDE % NPAGES * PAGE_SIZE);
		KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	}
}

static size_t set_limit(size_t limit)
{
	size_t old = iommufd_test_memory_limit();

#ifdef CONFIG_IOMMUFD_TEST
	WRITE_ONCE(iommufd_test_memory_max, limit);
#endif
	return old;
}

static int area_test_init(struct kunit *test)
{
	struct area_ctx *ctx = kunit_kzalloc(test, sizeof(*ctx), GFP_KERNEL);

	if (!IS_ENABLED(CONFIG_IOMMUFD_TEST))
		kunit_skip(test, "needs CONFIG_IOMMUFD_TEST for small steps");
	KUNIT_ASSERT_NOT_NULL(test, ctx);
	test->priv = ctx;
	ctx->limit = set_limit(LIMIT);
	iopt_init(&ctx->iopt);
	counting_init(&ctx->first);
	counting_init(&ctx->second);
	ctx->file = shmem_file_setup("iommufd_kunit", NBYTES, EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, ctx->file);
	ctx->uaddr = test_user_memory(test, ctx->file, NBYTES);
	return 0;
}

static void area_test_exit(struct kunit *test)
{
	struct area_ctx *ctx = test->priv;

	if (!ctx)
		return;
	set_limit(ctx->limit);
	iopt_destroy(&ctx->iopt);
	if (!IS_ERR_OR_NULL(ctx->file))
		fput(ctx->file);
}

static void map_part(struct kunit *test, unsigned long offset,
		     unsigned long length, const struct iopt_map_policy *policy)
{
	struct area_ctx *ctx = test->priv;
	unsigned long iova = BASE + offset;

	KUNIT_ASSERT_EQ(test,
			iopt_map_user(&ctx->iopt, &iova,
				      (void __user *)(ctx->uaddr + offset),
				      length, IOMMU_READ | IOMMU_WRITE, true,
				      policy), 0);
}

static void map_all(struct kunit *test)
{
	struct area_ctx *ctx = test->priv;

	KUNIT_ASSERT_EQ(test, iopt_add_domain(&ctx->iopt, &ctx->first.idom), 0);
	map_part(test, 0, NBYTES, &test_map_policy);
	KUNIT_ASSERT_EQ(test, ctx->first.mapped, NBYTES);
}

/* The next domain is to be filled, until the caller is killed */
static void fill_killed(struct kunit *test)
{
	struct area_ctx *ctx = test->priv;
	struct counting_domain *second = &ctx->second;
	int rc;

	map_all(test);
	second->kill_at = NBYTES / 4;
	rc = iopt_add_domain(&ctx->iopt, &second->idom);
	test_revive();
	KUNIT_EXPECT_EQ(test, rc, -EINTR);
	KUNIT_EXPECT_GE(test, second->most, NBYTES / 4);
	KUNIT_EXPECT_LT(test, second->most, NBYTES / 2);
	KUNIT_EXPECT_EQ(test, second->mapped, rc ? 0 : NBYTES);
	if (!rc)
		iopt_remove_domain(&ctx->iopt, &second->idom);

	/* Whoever was killed before has not begun */
	second->most = 0;
	test_kill();
	rc = iopt_add_domain(&ctx->iopt, &second->idom);
	test_revive();
	KUNIT_EXPECT_EQ(test, rc, -EINTR);
	KUNIT_EXPECT_EQ(test, second->most, 0);
	if (!rc)
		iopt_remove_domain(&ctx->iopt, &second->idom);

	/* Nothing is lost for others */
	KUNIT_EXPECT_EQ(test, ctx->first.mapped, NBYTES);
	KUNIT_EXPECT_EQ(test, test_pinned_vm(), NPAGES);
	KUNIT_ASSERT_EQ(test, iopt_add_domain(&ctx->iopt, &second->idom), 0);
	KUNIT_EXPECT_EQ(test, second->mapped, NBYTES);
	iopt_remove_domain(&ctx->iopt, &second->idom);
	KUNIT_EXPECT_EQ(test, second->mapped, 0);
	iopt_remove_domain(&ctx->iopt, &ctx->first.idom);
	KUNIT_EXPECT_EQ(test, ctx->first.mapped, 0);
	KUNIT_EXPECT_EQ(test, test_pinned_vm(), 0);
}

/* Each page is a run of its own */
static void area_fill_killed_runs(struct kunit *test)
{
	scatter(test, test->priv);
	fill_killed(test);
}

/* A run may be long, but what maps it page by page looks at signals as well */
static void area_fill_killed_small(struct kunit *test)
{
	struct area_ctx *ctx = test->priv;

	KUNIT_ASSERT_EQ(test, iopt_set_huge_pages(&ctx->iopt, false), 0);
	fill_killed(test);
}

/* The last group of a container takes along what the container mapped, no more */
static void area_container_goes(struct kunit *test)
{
	struct iopt_map_policy container = test_map_policy;
	struct area_ctx *ctx = test->priv;
	unsigned long unmapped;

	container.container = true;
	KUNIT_ASSERT_EQ(test, iopt_add_domain(&ctx->iopt, &ctx->first.idom), 0);
	map_part(test, 0, NBYTES / 4, &container);
	map_part(test, NBYTES / 4, NBYTES / 4, &test_map_policy);
	map_part(test, NBYTES / 2, NBYTES / 2, &container);
	KUNIT_EXPECT_EQ(test, ctx->first.mapped, NBYTES);

	iopt_unmap_container(&ctx->iopt);
	KUNIT_EXPECT_EQ(test, ctx->first.mapped, NBYTES / 4);
	KUNIT_EXPECT_EQ(test, test_pinned_vm(), NPAGES / 4);
	KUNIT_EXPECT_EQ(test,
			iopt_unmap(&ctx->iopt, BASE + NBYTES / 4, NBYTES / 4,
				   &unmapped), 0);
	KUNIT_EXPECT_EQ(test, ctx->first.mapped, 0);
	iopt_remove_domain(&ctx->iopt, &ctx->first.idom);
}

static void expect_dirty(struct kunit *test, unsigned long want)
{
	struct area_ctx *ctx = test->priv;
	DECLARE_BITMAP(bits, NPAGES) = {};
	void __user *data = (void __user *)ctx->uaddr;

	KUNIT_ASSERT_EQ(test, copy_to_user(data, bits, sizeof(bits)), 0);
	KUNIT_ASSERT_EQ(test, iopt_log_read(&ctx->iopt, BASE, NBYTES, data), 0);
	KUNIT_ASSERT_EQ(test, copy_from_user(bits, data, sizeof(bits)), 0);
	KUNIT_EXPECT_EQ(test, bitmap_weight(bits, NPAGES), want);
}

/* Where all was dirty, both parts are, and once */
static void area_cut_while_dirty(struct kunit *test)
{
	struct area_ctx *ctx = test->priv;
	unsigned long middle = BASE + NBYTES / 4;

	map_part(test, 0, NBYTES, &test_map_policy);
	KUNIT_ASSERT_EQ(test, iopt_log_start(&ctx->iopt), 0);
	scoped_guard(rwsem_write, &ctx->iopt.domains_rwsem)
		iopt_log_forget(&ctx->iopt);
	KUNIT_ASSERT_EQ(test, iopt_allow_cuts(&ctx->iopt), 0);
	KUNIT_ASSERT_EQ(test, iopt_cut(&ctx->iopt, &middle, 1), 0);
	expect_dirty(test, NPAGES);
	expect_dirty(test, 0);
	KUNIT_EXPECT_EQ(test, iopt_log_stop(&ctx->iopt), 0);
}

/* A source whose lock nobody else takes */
static const struct iopt_pages_ops source_ops = {
	.prot = IOMMU_MMIO,
	.map = iopt_revocable_map,
	.unmap = iopt_revocable_unmap,
};

static int source_map(struct iopt_pages *pages,
		      struct counting_domain *counting, struct list_head *list)
{
	struct pages_window window = {
		.domain = &counting->domain,
		.iova = BASE,
		.length = NBYTES,
		.prot = IOMMU_READ | IOMMU_MMIO,
		.large = true,
	};

	return iopt_revocable_map(pages, &window, list);
}

static int source_arm(struct iopt_revocable *source)
{
	struct pfn_runs runs;
	int rc;

	pfn_runs_init(&runs);
	rc = pfn_runs_append_range(&runs, PHYS_PFN(SZ_1G), NPAGES);
	if (!rc)
		rc = iopt_revocable_arm(source, &runs);
	if (rc)
		pfn_runs_free(&runs);
	return rc;
}

/* One domain cannot have it, so the other one does not either */
static void expect_arm_fails(struct kunit *test, struct iopt_revocable *source,
			     struct counting_domain *counting)
{
	struct area_ctx *ctx = test->priv;

	counting->full = true;
	KUNIT_EXPECT_EQ(test, source_arm(source), -ENOMEM);
	KUNIT_EXPECT_EQ(test, ctx->first.mapped, 0);
	KUNIT_EXPECT_EQ(test, ctx->second.mapped, 0);
	KUNIT_EXPECT_TRUE(test, iopt_pages_revoked(source->pages));
	counting->full = false;
}

/* A source is in two domains, and there is no memory to put it back into one */
static void rearm_fails(struct kunit *test, struct iopt_revocable *source)
{
	struct area_ctx *ctx = test->priv;
	struct iopt_pages *pages = source->pages;
	LIST_HEAD(list);

	KUNIT_EXPECT_EQ(test, source_map(pages, &ctx->first, &list), 0);
	KUNIT_EXPECT_EQ(test, source_map(pages, &ctx->second, &list), 0);
	KUNIT_EXPECT_EQ(test, ctx->first.most, 0);
	KUNIT_EXPECT_EQ(test, ctx->second.most, 0);
	expect_arm_fails(test, source, &ctx->first);
	expect_arm_fails(test, source, &ctx->second);

	KUNIT_EXPECT_EQ(test, source_arm(source), 0);
	KUNIT_EXPECT_EQ(test, ctx->first.mapped, NBYTES);
	KUNIT_EXPECT_EQ(test, ctx->second.mapped, NBYTES);
	KUNIT_EXPECT_TRUE(test, iopt_revocable_revoke(source));
	KUNIT_EXPECT_FALSE(test, iopt_revocable_revoke(source));
	expect_arm_fails(test, source, &ctx->first);
	expect_arm_fails(test, source, &ctx->second);
	KUNIT_EXPECT_EQ(test, source_arm(source), 0);

	iopt_revocable_unmap(pages, &ctx->first.domain, &list);
	KUNIT_EXPECT_EQ(test, ctx->first.mapped, 0);
	KUNIT_EXPECT_EQ(test, ctx->second.mapped, NBYTES);
	iopt_revocable_unmap(pages, &ctx->second.domain, &list);
	KUNIT_EXPECT_EQ(test, ctx->second.mapped, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&list));
}

static void area_rearm_fails(struct kunit *test)
{
	struct iopt_pages *pages = kzalloc_obj(*pages);
	struct iopt_revocable source;
	int rc;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	rc = iopt_pages_init(pages, &source_ops, IOMMUFD_ACCOUNT_NONE, 0,
			     NBYTES, true);
	if (rc)
		kfree(pages);
	KUNIT_ASSERT_EQ(test, rc, 0);
	iopt_revocable_init(&source, pages, NULL, GFP_KERNEL);
	rearm_fails(test, &source);
	iopt_revocable_free(&source);
	iopt_pages_put(pages);
}

static struct kunit_case area_cases[] = {
	KUNIT_CASE(area_fill_killed_runs),
	KUNIT_CASE(area_fill_killed_small),
	KUNIT_CASE(area_container_goes),
	KUNIT_CASE(area_cut_while_dirty),
	KUNIT_CASE(area_rearm_fails),
	{}
};

static struct kunit_suite area_suite = {
	.name = "iommufd_area",
	.init = area_test_init,
	.exit = area_test_exit,
	.test_cases = area_cases,
};

kunit_test_suite(area_suite);
