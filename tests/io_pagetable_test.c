// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit test of IOVA spaces and their areas: random operations on two of them,
 * with domains and users that come and go, against a model that keeps plain
 * arrays and knows the rules, not how they are kept.
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/xarray.h>

#include "../area.h"
#include "../io_pagetable.h"
#include "../iopt_domains.h"
#include "../iopt_map.h"
#include "../iopt_unmap.h"
#include "../iopt_user.h"
#include "user_memory.h"

/* The smallest page of a domain, half a page of memory, and the largest one */
#define UNIT (PAGE_SIZE / 2)
#define LARGE (4 * PAGE_SIZE)
/* In an xarray of them: is part of a large one */
#define MARK_LARGE XA_MARK_0
#define MEM_PAGES 32UL
#define MEM_BYTES (MEM_PAGES * PAGE_SIZE)
/* The IOVA that is played with */
#define BASE ((unsigned long)SZ_16M)
#define WINDOW (4 * MEM_BYTES)

#define NSPACES 2
#define NDOMAINS 2
#define MAX_AREAS 32
#define MAX_PINS 12
#define MAX_RANGES 3
#define STEPS 4800
#define PHASE 100

static const struct iopt_map_policy test_map_policy = {
	.account_mode = IOMMUFD_ACCOUNT_USER,
	.max_areas = ULONG_MAX,
};

/**
 * struct fake_domain - a domain whose page table is an xarray
 * @domain: the domain
 * @idom: its link to the space
 * @ptes: IOVA / UNIT to the number of the unit of physical memory
 * @stale: units that were mapped, until the IOTLB is flushed
 * @test: test to fail
 * @fail_in: this many units from now mapping fails; 0 is never
 * @failed: it did
 * @nlarge: large pages that are mapped
 * @linked: a space mirrors into it
 */
struct fake_domain {
	struct iommu_domain domain;
	struct iopt_domain idom;
	struct xarray ptes;
	struct xarray stale;
	struct kunit *test;
	unsigned int fail_in;
	bool failed;
	unsigned int nlarge;
	bool linked;
};

struct model_area {
	bool used;
	struct model_space *space;
	unsigned long iova;
	unsigned long last;
	unsigned int backing;
	unsigned long offset; /* of the first byte in the memory */
	int prot;
};

struct model_pin {
	bool used;
	struct model_space *space;
	unsigned long iova;
	unsigned long length;
};

struct model_range {
	unsigned long start;
	unsigned long last;
	bool used;
};

/* What the random operations came to */
enum {
	DONE_MAP,
	DONE_COPY,
	DONE_UNMAP,
	DONE_CUT,
	DONE_SPLIT,
	DONE_PIN,
	DONE_RW,
	DONE_UNDO,
	NDONE,
};

/* One space, and what it should be like */
struct model_space {
	struct model *m;
	struct io_pagetable iopt;
	struct fake_domain domains[NDOMAINS];
	struct iopt_user user;
	u32 user_id;
	bool has_user;
	bool small_pages;
	bool can_cut;
	struct model_range reserved[MAX_RANGES];
	struct model_range allowed[MAX_RANGES];
};

struct model {
	struct kunit *test;
	unsigned long uaddr;
	u8 *shadow;
	u8 *buf;
	struct rnd_state rnd;
	unsigned int step;
	unsigned long granule;
	struct model_space spaces[NSPACES];
	struct model_area areas[MAX_AREAS];
	bool writable[MAX_AREAS]; /* by backing */
	struct model_pin pins[MAX_PINS];
	unsigned int done[NDONE];
};

#define expect(m, got, want)                                             \
	KUNIT_ASSERT_EQ_MSG((m)->test, got, want, "in step %u", (m)->step)

static unsigned long pick(struct model *m, unsigned long n)
{
	return test_pick(&m->rnd, n);
}

static struct model_space *pick_space(struct model *m)
{
	return &m->spaces[pick(m, NSPACES)];
}

/*
 * The fake domain
 */

static struct fake_domain *to_fake(struct iommu_domain *domain)
{
	return container_of(domain, struct fake_domain, domain);
}

static int fake_map_unit(struct fake_domain *fake, unsigned long iova,
			 phys_addr_t phys)
{
	if (fake->fail_in && !--fake->fail_in) {
		fake->failed = true;
		return -ENOMEM;
	}
	KUNIT_EXPECT_PTR_EQ(fake->test, xa_load(&fake->ptes, iova / UNIT),
			    NULL);
	return xa_err(xa_store(&fake->ptes, iova / UNIT,
			       xa_mk_value(phys / UNIT), GFP_KERNEL));
}

static int fake_map_pages(struct iommu_domain *domain, unsigned long iova,
			  phys_addr_t phys, size_t pgsize, size_t pgcount,
			  int prot, gfp_t gfp, size_t *mapped)
{
	size_t length = pgsize * pgcount, done;
	int rc;

	for (done = 0; done != length; done += UNIT) {
		rc = fake_map_unit(to_fake(domain), iova + done, phys + done);
		if (rc) {
			/* Whole pages of what was asked for */
			*mapped = done / pgsize * pgsize;
			for (; done > *mapped; done -= UNIT)
				xa_erase(&to_fake(domain)->ptes,
					 (iova + done) / UNIT - 1);
			return rc;
		}
	}
	*mapped = length;
	for (done = 0; pgsize == LARGE && done != length; done += UNIT) {
		xa_set_mark(&to_fake(domain)->ptes, (iova + done) / UNIT,
			    MARK_LARGE);
		to_fake(domain)->nlarge += !(done % LARGE);
	}
	return 0;
}

/* A driver cannot unmap a part of it */
static void fake_unmap_large(struct fake_domain *fake, unsigned long iova,
			     size_t pgsize)
{
	if (!xa_get_mark(&fake->ptes, iova / UNIT, MARK_LARGE))
		return;
	KUNIT_EXPECT_EQ(fake->test, pgsize, LARGE);
	fake->nlarge -= !(iova % LARGE);
}

static size_t fake_unmap_pages(struct iommu_domain *domain, unsigned long iova,
			       size_t pgsize, size_t pgcount,
			       struct iommu_iotlb_gather *gather)
{
	struct fake_domain *fake = to_fake(domain);
	size_t length = pgsize * pgcount, done;
	void *unit;

	for (done = 0; done != length; done += UNIT) {
		fake_unmap_large(fake, iova + done, pgsize);
		unit = xa_erase(&fake->ptes, (iova + done) / UNIT);
		if (!unit)
			break;
		xa_store(&fake->stale, xa_to_value(unit), unit,
			 GFP_KERNEL | __GFP_NOFAIL);
	}
	iommu_iotlb_gather_add_range(gather, iova, done);
	return done;
}

/* Until here devices reach the memory, so it has to be pinned */
static void fake_iotlb_sync(struct iommu_domain *domain,
			    struct iommu_iotlb_gather *gather)
{
	struct fake_domain *fake = to_fake(domain);
	unsigned long unit;
	struct page *page;
	void *entry;

	xa_for_each(&fake->stale, unit, entry) {
		page = pfn_to_page(PHYS_PFN((phys_addr_t)unit * UNIT));
		KUNIT_EXPECT_FALSE_MSG(fake->test,
				       !PageCompound(page) &&
					       test_page_has_pins(page, 0),
				       "unpinned before the flush");
	}
	xa_destroy(&fake->stale);
}

static phys_addr_t fake_iova_to_phys(struct iommu_domain *domain,
				     dma_addr_t iova)
{
	void *unit = xa_load(&to_fake(domain)->ptes, iova / UNIT);

	return unit ? (phys_addr_t)xa_to_value(unit) * UNIT + iova % UNIT : 0;
}

static const struct iommu_domain_ops fake_ops = {
	.map_pages = fake_map_pages,
	.unmap_pages = fake_unmap_pages,
	.iotlb_sync = fake_iotlb_sync,
	.iova_to_phys = fake_iova_to_phys,
};

static void fake_init(struct fake_domain *fake, struct kunit *test,
		      bool small_aperture)
{
	fake->test = test;
	fake->domain.type = IOMMU_DOMAIN_UNMANAGED;
	fake->domain.ops = &fake_ops;
	fake->domain.pgsize_bitmap = UNIT | PAGE_SIZE | LARGE;
	fake->domain.geometry.aperture_end = ULONG_MAX;
	if (small_aperture) {
		fake->domain.geometry.aperture_start = BASE;
		fake->domain.geometry.aperture_end = BASE + WINDOW - 1;
	}
	fake->idom.domain = &fake->domain;
	xa_init(&fake->ptes);
	xa_init(&fake->stale);
}

/*
 * The model: what should be
 */

static bool meet(unsigned long a_start, unsigned long a_last,
		 unsigned long b_start, unsigned long b_last)
{
	return a_start <= b_last && a_last >= b_start;
}

static bool has_domain(struct model_space *s)
{
	return s->domains[0].linked || s->domains[1].linked;
}

static unsigned long alignment(struct model_space *s)
{
	if (s->can_cut || s->has_user)
		return PAGE_SIZE;
	return has_domain(s) ? UNIT : 1;
}

static struct model_area *area_at(struct model_space *s, unsigned long iova)
{
	struct model_area *a;

	for (a = s->m->areas; a != s->m->areas + MAX_AREAS; a++)
		if (a->used && a->space == s && a->iova <= iova &&
		    a->last >= iova)
			return a;
	return NULL;
}

static bool meets_area(struct model_space *s, unsigned long start,
		       unsigned long last)
{
	struct model_area *a;

	for (a = s->m->areas; a != s->m->areas + MAX_AREAS; a++)
		if (a->used && a->space == s &&
		    meet(a->iova, a->last, start, last))
			return true;
	return false;
}

static bool meets_range(const struct model_range *ranges, unsigned long start,
			unsigned long last)
{
	unsigned int i;

	for (i = 0; i != MAX_RANGES; i++)
		if (ranges[i].used &&
		    meet(ranges[i].start, ranges[i].last, start, last))
			return true;
	return false;
}

static bool meets_reserved(struct model_space *s, unsigned long start,
			   unsigned long last)
{
	/* Outside of the one aperture that has an outside */
	if (s->domains[1].linked && (start < BASE || last > BASE + WINDOW - 1))
		return true;
	return meets_range(s->reserved, start, last);
}

static bool is_confined(struct model_space *s)
{
	unsigned int i;

	for (i = 0; i != MAX_RANGES; i++)
		if (s->allowed[i].used)
			return true;
	return s->domains[1].linked;
}

static struct model_area *new_area(struct model *m)
{
	unsigned int i;

	for (i = 0; i != MAX_AREAS; i++)
		if (!m->areas[i].used)
			return &m->areas[i];
	return NULL;
}

static unsigned int count_free_areas(struct model *m)
{
	unsigned int i, nr = 0;

	for (i = 0; i != MAX_AREAS; i++)
		nr += !m->areas[i].used;
	return nr;
}

static unsigned int new_backing(struct model *m)
{
	unsigned int backing, i;

	/* There are no more of them than areas, and one area is free */
	for (backing = 0;; backing++) {
		for (i = 0; i != MAX_AREAS; i++)
			if (m->areas[i].used && m->areas[i].backing == backing)
				break;
		if (i == MAX_AREAS)
			return backing;
	}
}

static bool area_conforms(const struct model_area *a, unsigned long align)
{
	return !((a->iova | (a->last + 1) | a->offset) % align);
}

static bool all_conform(struct model_space *s, unsigned long align)
{
	struct model_area *a;

	for (a = s->m->areas; a != s->m->areas + MAX_AREAS; a++)
		if (a->used && a->space == s && !area_conforms(a, align))
			return false;
	return true;
}

/*
 * Comparison
 */

static void check_areas(struct model_space *s)
{
	unsigned int in_model = 0, in_space = 0, i;
	struct model *m = s->m;
	struct iopt_area *area;
	struct model_area *a;

	for (i = 0; i != MAX_AREAS; i++)
		in_model += m->areas[i].used && m->areas[i].space == s;
	/* Nobody else is here, and a failure must not leave a lock behind */
	iopt_for_each_area(&s->iopt, area, 0, ULONG_MAX) {
		in_space++;
		a = area_at(s, area->node.iova);
		KUNIT_ASSERT_NOT_NULL(m->test, a);
		expect(m, area->node.iova, a->iova);
		expect(m, area->node.last, a->last);
		expect(m, area->prot & ~IOMMU_CACHE, a->prot);
		expect(m, area->pinned, has_domain(s));
		expect(m, (int)area->state, (int)AREA_LIVE);
		expect(m, (m->uaddr + a->offset),
		       area->pages->start + area->offset);
	}
	expect(m, in_space, in_model);
	expect(m, s->iopt.iova_alignment, alignment(s));
}

/* Each byte of the areas and nothing else */
static void check_domain(struct model_space *s, struct fake_domain *fake,
			 struct page **pages)
{
	unsigned long at, index, units = 0, mapped = 0;
	struct model *m = s->m;
	struct model_area *a;
	phys_addr_t want;
	void *entry;

	xa_for_each(&fake->ptes, index, entry)
		mapped++;
	for (a = m->areas; a != m->areas + MAX_AREAS; a++) {
		if (!a->used || a->space != s || !fake->linked)
			continue;
		for (at = 0; at <= a->last - a->iova; at += UNIT, units++) {
			want = page_to_phys(pages[(a->offset + at) / PAGE_SIZE]) +
			       offset_in_page(a->offset + at);
			expect(m, iommu_iova_to_phys(&fake->domain,
						     a->iova + at), want);
		}
	}
	expect(m, mapped, units);
	expect(m, xa_empty(&fake->stale), true);
}

static void mark_pages(unsigned long *bitmap, unsigned long offset,
		       unsigned long length)
{
	unsigned long first = offset / PAGE_SIZE;

	bitmap_set(bitmap, first,
		   (offset + length - 1) / PAGE_SIZE - first + 1);
}

/* The pages of a backing that somebody needs */
static void backing_pages(struct model *m, unsigned int backing,
			  unsigned long *bitmap)
{
	unsigned long start, last;
	struct model_area *a;
	struct model_pin *p;

	bitmap_zero(bitmap, MEM_PAGES);
	for (a = m->areas; a != m->areas + MAX_AREAS; a++) {
		if (!a->used || a->backing != backing)
			continue;
		if (has_domain(a->space))
			mark_pages(bitmap, a->offset, a->last - a->iova + 1);
		for (p = m->pins; p != m->pins + MAX_PINS; p++) {
			if (!p->used || p->space != a->space ||
			    !meet(p->iova, p->iova + p->length - 1, a->iova,
				  a->last))
				continue;
			start = max(p->iova, a->iova);
			last = min(p->iova + p->length - 1, a->last);
			mark_pages(bitmap, a->offset + (start - a->iova),
				   last - start + 1);
		}
	}
}

static void check_pins(struct model *m, struct page **pages)
{
	DECLARE_BITMAP(bitmap, MEM_PAGES);
	unsigned int pins[MEM_PAGES] = {};
	unsigned long i, total = 0;
	unsigned int backing;

	for (backing = 0; backing != MAX_AREAS; backing++) {
		backing_pages(m, backing, bitmap);
		for_each_set_bit(i, bitmap, MEM_PAGES)
			pins[i]++;
		total += bitmap_weight(bitmap, MEM_PAGES);
	}
	expect(m, test_pinned_vm(), total);
	for (i = 0; i != MEM_PAGES; i++)
		KUNIT_ASSERT_TRUE_MSG(m->test,
				      test_page_has_pins(pages[i], pins[i]),
				      "page %lu in step %u", i, m->step);
}

static void check(struct model *m)
{
	struct page *pages[MEM_PAGES];
	unsigned int s, d;
	unsigned long i;

	for (i = 0; i != MEM_PAGES; i++)
		pages[i] = test_page_at(m->test, m->uaddr + i * PAGE_SIZE);
	check_pins(m, pages);
	for (s = 0; s != NSPACES; s++) {
		check_areas(&m->spaces[s]);
		for (d = 0; d != NDOMAINS; d++)
			check_domain(&m->spaces[s], &m->spaces[s].domains[d],
				     pages);
	}
}

/*
 * Operations
 */

/* Mostly that of the time, or one odd mapping would keep all users away */
static unsigned long pick_granule(struct model *m)
{
	return pick(m, 64) ? m->granule : UNIT;
}

static unsigned long pick_up_to(struct model *m, unsigned long max,
				unsigned long granule)
{
	return max > granule ? pick(m, max / granule) * granule : 0;
}

static unsigned long pick_iova(struct model *m)
{
	return BASE + pick_up_to(m, WINDOW, pick_granule(m));
}

static int pick_prot(struct model *m)
{
	return pick(m, 2) ? IOMMU_READ | IOMMU_WRITE : 1 + pick(m, 3);
}

/* One that is there, if there is any */
static struct model_area *pick_area(struct model *m)
{
	unsigned int i, start = pick(m, MAX_AREAS);

	for (i = 0; i != MAX_AREAS; i++)
		if (m->areas[(start + i) % MAX_AREAS].used)
			return &m->areas[(start + i) % MAX_AREAS];
	return &m->areas[0];
}

/* Have a domain fail some units from now, if there is one */
static void arm(struct model_space *s)
{
	struct fake_domain *fake = &s->domains[pick(s->m, NDOMAINS)];

	fake->failed = false;
	fake->fail_in = pick(s->m, 6) ? 0 : 1 + pick(s->m, 24);
}

static bool disarm(struct model_space *s)
{
	bool failed = false;
	unsigned int d;

	for (d = 0; d != NDOMAINS; d++) {
		failed |= s->domains[d].failed;
		s->domains[d].failed = false;
		s->domains[d].fail_in = 0;
	}
	s->m->done[DONE_UNDO] += failed;
	return failed;
}

/* What the space says to a new mapping at a fixed place */
static int want_place(struct model_space *s, unsigned long iova,
		      unsigned long length)
{
	if ((iova | length) % alignment(s))
		return -EINVAL;
	if (meets_reserved(s, iova, iova + length - 1))
		return -EINVAL;
	if (meets_area(s, iova, iova + length - 1))
		return -EEXIST;
	return 0;
}

/* The place that the space has chosen */
static void check_place(struct model_space *s, unsigned long iova,
			unsigned long length)
{
	unsigned long last = iova + length - 1;
	struct model *m = s->m;
	unsigned long at;
	bool confined = false;
	unsigned int i;

	expect(m, meets_area(s, iova, last), false);
	expect(m, meets_reserved(s, iova, last), false);
	expect(m, iova % alignment(s), 0UL);
	expect(m, iova >= PAGE_SIZE, true);
	for (i = 0; i != MAX_RANGES; i++)
		confined |= s->allowed[i].used;
	/* Ranges may touch, but do so at page boundaries */
	for (at = iova; confined && at <= last;
	     at = round_down(at, PAGE_SIZE) + PAGE_SIZE)
		expect(m, meets_range(s->allowed, at, at), true);
}

static void add_area(struct model_space *s, unsigned long iova,
		     unsigned long length, unsigned int backing,
		     unsigned long offset, int prot)
{
	struct model_area *a = new_area(s->m);

	KUNIT_ASSERT_NOT_NULL(s->m->test, a);
	*a = (struct model_area){
		.used = true,
		.space = s,
		.iova = iova,
		.last = iova + length - 1,
		.backing = backing,
		.offset = offset,
		.prot = prot,
	};
}

static int want_auto(struct model_space *s, unsigned long offset,
		     unsigned long length)
{
	unsigned long align = min(roundup_pow_of_two(length),
				  1UL << __ffs(s->m->uaddr + offset));

	if (length % alignment(s) || align < alignment(s))
		return -EINVAL;
	return 0;
}

static void do_map(struct model *m)
{
	unsigned long granule = pick_granule(m);
	unsigned long offset = pick_up_to(m, MEM_BYTES, granule);
	unsigned long length = granule +
		pick_up_to(m, min(MEM_BYTES - offset, 8 * PAGE_SIZE), granule);
	struct model_space *s = pick_space(m);
	unsigned long iova = pick_iova(m);
	bool fixed = pick(m, 4);
	int prot = pick_prot(m);
	unsigned int backing;
	int rc, want;

	if (!count_free_areas(m))
		return;
	if (fixed)
		want = want_place(s, iova, length);
	else
		want = want_auto(s, offset, length);
	if (!want && offset % alignment(s))
		want = -EINVAL;

	arm(s);
	rc = iopt_map_user(&s->iopt, &iova, (void __user *)(m->uaddr + offset),
			   length, prot, fixed, &test_map_policy);
	if (disarm(s))
		want = -ENOMEM;
	if (!fixed && rc == -ENOSPC && is_confined(s))
		return;
	expect(m, rc, want);
	if (rc)
		return;
	if (!fixed)
		check_place(s, iova, length);
	backing = new_backing(m);
	m->writable[backing] = prot & IOMMU_WRITE;
	m->done[DONE_MAP]++;
	add_area(s, iova, length, backing, offset, prot);
}

/* Pieces of the source that abut, as what COPY makes of them */
static int want_copy(struct model_space *dst, unsigned long iova,
		     struct model_space *src, unsigned long src_iova,
		     unsigned long length, int prot, unsigned int *pieces)
{
	unsigned long at, end, align = alignment(dst);
	int bad_piece = 0, bad_prot = 0, rc;
	struct model_area *a;

	*pieces = 0;
	for (at = 0; at != length; at = end) {
		a = area_at(src, src_iova + at);
		if (!a)
			return -ENOENT;
		end = min(length, a->last - src_iova + 1);
		if ((at | end | (a->offset + src_iova + at - a->iova)) % align)
			bad_piece = -EINVAL;
		if (prot & IOMMU_WRITE && !dst->m->writable[a->backing])
			bad_prot = -EPERM;
		++*pieces;
	}
	rc = want_place(dst, iova, length);
	return rc ?: bad_piece ?: bad_prot;
}

static void add_copies(struct model_space *dst, unsigned long iova,
		       struct model_space *src, unsigned long src_iova,
		       unsigned long length, int prot)
{
	struct model_area *a;
	unsigned long at, end;

	for (at = 0; at != length; at = end) {
		a = area_at(src, src_iova + at);
		end = min(length, a->last - src_iova + 1);
		add_area(dst, iova + at, end - at, a->backing,
			 a->offset + src_iova + at - a->iova, prot);
	}
}

static void do_copy(struct model *m)
{
	struct model_space *src = pick_space(m), *dst = pick_space(m);
	struct model_area *a = pick_area(m);
	unsigned long granule = pick_granule(m);
	unsigned long src_iova = pick_iova(m), iova = pick_iova(m);
	unsigned long length = granule + pick_up_to(m, 8 * PAGE_SIZE, granule);
	int prot = pick_prot(m), rc, want;
	unsigned int pieces;

	/* At random there is rarely anything */
	if (a->used && pick(m, 4)) {
		src = a->space;
		src_iova = a->iova + round_down(pick(m, a->last - a->iova + 1),
						granule);
		length = min(length, a->last - src_iova + 1);
	}
	want = want_copy(dst, iova, src, src_iova, length, prot, &pieces);
	if (pieces > count_free_areas(m))
		return;
	arm(dst);
	rc = iopt_copy(&dst->iopt, &iova, &src->iopt, src_iova, length, prot,
		       true);
	if (disarm(dst))
		want = -ENOMEM;
	expect(m, rc, want);
	if (rc)
		return;
	m->done[DONE_COPY]++;
	add_copies(dst, iova, src, src_iova, length, prot);
}

static void do_unmap(struct model *m)
{
	struct model_area *a = pick_area(m);
	unsigned long iova = pick_iova(m), length, last;
	unsigned long unmapped = 0, want_unmapped = 0;
	struct model_space *s = pick_space(m);
	int want = -ENOENT;
	bool bisected = false;

	length = 1 + pick(m, WINDOW / 4);
	if (a->used && pick(m, 4)) {
		s = a->space;
		iova = a->iova;
		length = a->last - a->iova + 1;
	}
	last = iova + length - 1;
	for (a = m->areas; a != m->areas + MAX_AREAS; a++) {
		if (!a->used || a->space != s ||
		    !meet(a->iova, a->last, iova, last))
			continue;
		bisected |= a->iova < iova || a->last > last;
		want_unmapped += a->last - a->iova + 1;
		want = 0;
	}
	if (bisected) {
		want = -ENOENT;
		want_unmapped = 0;
	}
	expect(m, iopt_unmap(&s->iopt, iova, length, &unmapped), want);
	expect(m, unmapped, want_unmapped);
	m->done[DONE_UNMAP] += !want;
	for (a = m->areas; !want && a != m->areas + MAX_AREAS; a++)
		if (a->used && a->space == s &&
		    meet(a->iova, a->last, iova, last))
			a->used = false;
}

static int want_cut(struct model_space *s, unsigned long iova)
{
	struct model_area *a = area_at(s, iova);
	struct model_pin *p;

	if (!a || a->iova == iova)
		return 0;
	if (!s->can_cut)
		return -EOPNOTSUPP;
	if ((iova | (a->offset + iova - a->iova)) % alignment(s))
		return -EINVAL;
	for (p = s->m->pins; p != s->m->pins + MAX_PINS; p++)
		if (p->used && p->space == s &&
		    meet(p->iova, p->iova + p->length - 1, a->iova, a->last))
			return -EINVAL;
	return 0;
}

static unsigned int count_large(struct model_space *s)
{
	return s->domains[0].nlarge + s->domains[1].nlarge;
}

static void do_cut(struct model *m)
{
	struct model_area *a = pick_area(m), left;
	struct model_space *s = pick_space(m);
	unsigned long iova = pick_iova(m);
	unsigned int nlarge;
	int rc, want;

	if (!count_free_areas(m))
		return;
	if (a->used && pick(m, 4)) {
		s = a->space;
		iova = a->iova + pick_up_to(m, a->last - a->iova + 1,
					    m->granule);
	}
	want = want_cut(s, iova);
	nlarge = count_large(s);
	arm(s);
	rc = iopt_cut(&s->iopt, &iova, 1);
	if (disarm(s))
		want = -ENOMEM;
	expect(m, rc, want);
	a = area_at(s, iova);
	if (rc || !a || a->iova == iova)
		return;
	m->done[DONE_SPLIT] += nlarge != count_large(s);
	m->done[DONE_CUT]++;
	left = *a;
	a->last = iova - 1;
	add_area(s, iova, left.last - iova + 1, left.backing,
		 left.offset + iova - left.iova, left.prot);
}

static void do_domain(struct model *m)
{
	struct model_space *s = pick_space(m);
	unsigned int d = pick(m, NDOMAINS);
	struct fake_domain *fake = &s->domains[d];
	int rc, want = 0;

	if (fake->linked) {
		iopt_remove_domain(&s->iopt, &fake->idom);
		fake->linked = false;
		return;
	}
	if (!all_conform(s, UNIT))
		want = -EADDRINUSE;
	if (d == 1 && (meets_area(s, 0, BASE - 1) ||
		       meets_area(s, BASE + WINDOW, ULONG_MAX) ||
		       meets_range(s->allowed, 0, BASE - 1) ||
		       meets_range(s->allowed, BASE + WINDOW, ULONG_MAX)))
		want = -EADDRINUSE;
	arm(s);
	rc = iopt_add_domain(&s->iopt, &fake->idom);
	if (disarm(s))
		want = -ENOMEM;
	expect(m, rc, want);
	fake->linked = !rc;
}

/* The user does what it is told */
static void user_unmap(struct iopt_user *user, unsigned long iova,
		       unsigned long length)
{
	struct model_space *s = container_of(user, struct model_space, user);
	struct model_pin *p;

	for (p = s->m->pins; p != s->m->pins + MAX_PINS; p++) {
		if (!p->used || p->space != s ||
		    !meet(p->iova, p->iova + p->length - 1, iova,
			  iova + length - 1))
			continue;
		iopt_unpin_pages(&s->iopt, p->iova, p->length, false);
		p->used = false;
	}
}

static const struct iopt_user_ops user_ops = {
	.unmap = user_unmap,
};

static void do_user(struct model *m)
{
	struct model_space *s = pick_space(m);
	int want;

	if (s->has_user) {
		if (pick(m, 4))
			return;
		user_unmap(&s->user, 0, ULONG_MAX);
		iopt_remove_user(&s->iopt, &s->user, s->user_id);
		s->has_user = false;
		return;
	}
	want = all_conform(s, PAGE_SIZE) ? 0 : -EADDRINUSE;
	expect(m, iopt_add_user(&s->iopt, &s->user, &s->user_id), want);
	s->has_user = !want;
}

static int want_use(struct model_area *a, int prot)
{
	if (!a)
		return -ENOENT;
	if (!(a->prot & prot))
		return -EPERM;
	if (prot == IOMMU_WRITE && !a->space->m->writable[a->backing])
		return -EPERM;
	return 0;
}

static int want_pin(struct model_space *s, unsigned long iova,
		    unsigned long length, int prot)
{
	unsigned long at, end, offset;
	struct model_area *a;
	int rc;

	for (at = 0; at != length; at = end) {
		a = area_at(s, iova + at);
		rc = want_use(a, prot);
		if (rc)
			return rc;
		end = min(length, a->last - iova + 1);
		offset = a->offset + (iova + at - a->iova);
		if (offset_in_page(offset) ||
		    (end != length && offset_in_page(offset + end - at)))
			return -EINVAL;
	}
	return 0;
}

/* The pages of the pieces, in order */
static void check_pinned_pages(struct model_space *s, unsigned long iova,
			       unsigned long length, struct page **pages)
{
	struct model *m = s->m;
	struct model_area *a;
	unsigned long at;
	struct page *page;

	for (at = 0; at < length; at += PAGE_SIZE) {
		a = area_at(s, iova + at);
		page = test_page_at(m->test, m->uaddr + a->offset +
						     (iova + at - a->iova));
		KUNIT_ASSERT_PTR_EQ_MSG(m->test, *pages++, page, "in step %u",
					m->step);
	}
}

static void do_pin(struct model *m)
{
	struct model_pin *p = &m->pins[pick(m, MAX_PINS)];
	struct model_area *a = pick_area(m);
	struct page *pages[MEM_PAGES] = {};
	bool write = pick(m, 2);
	struct model_space *s;
	unsigned long iova, n;
	int want;

	if (p->used) {
		iopt_unpin_pages(&p->space->iopt, p->iova, p->length, false);
		p->used = false;
		return;
	}
	if (!a->used || !a->space->has_user)
		return;
	s = a->space;
	n = (a->last - a->iova + 1) / PAGE_SIZE;
	iova = a->iova + pick(m, n) * PAGE_SIZE;
	/* Now and then beyond the area, or with half a page at the end */
	n = (1 + pick(m, n + 2)) * PAGE_SIZE - pick(m, 2) * UNIT;
	want = want_pin(s, iova, n, write ? IOMMU_WRITE : IOMMU_READ);
	expect(m, iopt_pin_pages(&s->iopt, iova, n, pages, write, false),
	       want);
	if (want)
		return;
	m->done[DONE_PIN]++;
	check_pinned_pages(s, iova, n, pages);
	*p = (struct model_pin){
		.used = true, .space = s, .iova = iova, .length = n,
	};
}

/* Byte by byte in the model; what comes before a failure counts */
static int copy_in_model(struct model_space *s, unsigned long iova,
			 unsigned long length, bool write)
{
	unsigned long at, end, offset;
	struct model *m = s->m;
	struct model_area *a;
	int rc;

	for (at = 0; at != length; at = end) {
		a = area_at(s, iova + at);
		rc = want_use(a, write ? IOMMU_WRITE : IOMMU_READ);
		if (rc)
			return rc;
		end = min(length, a->last - iova + 1);
		offset = a->offset + (iova + at - a->iova);
		if (write)
			memcpy(m->shadow + offset, m->buf + at, end - at);
		else
			KUNIT_ASSERT_MEMEQ_MSG(m->test, m->buf + at,
					       m->shadow + offset, end - at,
					       "in step %u", m->step);
	}
	return 0;
}

static void do_rw(struct model *m)
{
	struct model_area *a = pick_area(m);
	unsigned long length = 1 + pick(m, 6 * PAGE_SIZE);
	struct model_space *s = pick_space(m);
	unsigned long iova = pick_iova(m);
	bool write = pick(m, 2);
	unsigned int flags = 0;
	int rc;

	if (a->used && pick(m, 8)) {
		s = a->space;
		iova = a->iova + pick(m, a->last - a->iova + 1);
		length = min(length, a->last - iova + 1 + pick(m, 2));
	}
	if (pick(m, 4) == 0)
		flags |= __IOMMUFD_ACCESS_RW_SLOW_PATH;
	if (write) {
		flags |= IOMMUFD_ACCESS_RW_WRITE;
		prandom_bytes_state(&m->rnd, m->buf, length);
	}
	rc = iopt_rw(&s->iopt, iova, m->buf, length, flags);
	expect(m, copy_in_model(s, iova, length, write), rc);
	m->done[DONE_RW] += !rc;
}

static void do_reserve(struct model *m)
{
	struct model_space *s = pick_space(m);
	struct model_range *r = &s->reserved[pick(m, MAX_RANGES)];
	unsigned long start = pick_iova(m), last;
	int want = 0;

	if (r->used) {
		iopt_unreserve(&s->iopt, r);
		r->used = false;
		return;
	}
	last = start + pick(m, 4 * PAGE_SIZE);
	if (meets_area(s, start, last) || meets_range(s->allowed, start, last))
		want = -EADDRINUSE;
	expect(m, iopt_reserve(&s->iopt, start, last, r), want);
	if (!want)
		*r = (struct model_range){ start, last, true };
}

static void do_allow(struct model *m)
{
	unsigned long start = BASE - PAGE_SIZE +
			      pick_up_to(m, WINDOW / 2, PAGE_SIZE);
	struct model_range ranges[MAX_RANGES] = {};
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	struct model_space *s = pick_space(m);
	unsigned int i, nr = pick(m, MAX_RANGES + 1);
	int want = 0;

	if (pick(m, 2))
		nr = 0;
	for (i = 0; i != nr; i++) {
		ranges[i] = (struct model_range){
			.start = start,
			.last = start + WINDOW / 8 - 1,
			.used = true,
		};
		expect(m, iova_allowed_add(&allowed, start, ranges[i].last), 0);
		if (meets_reserved(s, start, ranges[i].last))
			want = -EADDRINUSE;
		start += WINDOW / 8 + pick(m, 3) * PAGE_SIZE;
	}
	expect(m, iopt_set_allowed(&s->iopt, &allowed), want);
	iova_allowed_free(&allowed);
	if (!want)
		memcpy(s->allowed, ranges, sizeof(ranges));
}

/* Unless mappings can be cut already */
static int want_cuts(struct model_space *s)
{
	if (s->can_cut)
		return 0;
	if (has_domain(s) && meets_area(s, 0, ULONG_MAX))
		return -EINVAL;
	return all_conform(s, PAGE_SIZE) ? 0 : -EADDRINUSE;
}

static void do_huge_pages(struct model *m)
{
	struct model_space *s = pick_space(m);
	bool enable = pick(m, 4) == 0;
	int want = enable ? 0 : want_cuts(s);

	expect(m, iopt_set_huge_pages(&s->iopt, enable), want);
	if (!want) {
		s->small_pages = !enable;
		s->can_cut = !enable;
	}
}

static void do_cuts(struct model *m)
{
	struct model_space *s = pick_space(m);
	int want = want_cuts(s);

	if (pick(m, 4) == 0) {
		iopt_forbid_cuts(&s->iopt);
		s->can_cut = s->small_pages;
		return;
	}
	expect(m, iopt_allow_cuts(&s->iopt), want);
	if (!want)
		s->can_cut = true;
}

static void (*const operations[])(struct model *m) = {
	do_map, do_map, do_map, do_map, do_map, do_copy, do_copy, do_copy,
	do_unmap, do_unmap, do_unmap, do_cut, do_cut, do_domain, do_pin, do_pin,
	do_pin, do_pin, do_rw, do_rw, do_user, do_reserve, do_allow,
	do_huge_pages, do_cuts,
};

/* From time to time all is empty, and the next mappings are of another kind */
static void new_phase(struct model *m)
{
	static const unsigned long granules[] = { PAGE_SIZE, UNIT, PAGE_SIZE,
						  UNIT, PAGE_SIZE, 1 };
	unsigned long unmapped;
	unsigned int i;

	m->granule = granules[m->step / PHASE % ARRAY_SIZE(granules)];
	for (i = 0; i != NSPACES; i++)
		expect(m, iopt_unmap_all(&m->spaces[i].iopt, &unmapped), 0);
	for (i = 0; i != MAX_AREAS; i++)
		m->areas[i].used = false;
	do_huge_pages(m);
	do_cuts(m);
}

/* Has the test met what it is about? */
static void report(struct model *m)
{
	kunit_info(m->test,
		   "%u mapped, %u copied, %u unmapped, %u cut, %u of them large, %u pinned, %u read or written, %u undone\n",
		   m->done[DONE_MAP], m->done[DONE_COPY], m->done[DONE_UNMAP],
		   m->done[DONE_CUT], m->done[DONE_SPLIT], m->done[DONE_PIN],
		   m->done[DONE_RW], m->done[DONE_UNDO]);
}

static void space_destroy(struct model_space *s)
{
	unsigned int d;

	if (s->has_user) {
		user_unmap(&s->user, 0, ULONG_MAX);
		iopt_remove_user(&s->iopt, &s->user, s->user_id);
	}
	for (d = 0; d != NDOMAINS; d++) {
		if (s->domains[d].linked)
			iopt_remove_domain(&s->iopt, &s->domains[d].idom);
		KUNIT_EXPECT_TRUE(s->m->test, xa_empty(&s->domains[d].ptes));
		xa_destroy(&s->domains[d].ptes);
		xa_destroy(&s->domains[d].stale);
	}
	for (d = 0; d != MAX_RANGES; d++)
		iopt_unreserve(&s->iopt, &s->reserved[d]);
	/* With what is still mapped */
	iopt_destroy(&s->iopt);
}

static void dismantle(struct model *m)
{
	unsigned int i;

	for (i = 0; i != NSPACES; i++) {
		if (m->spaces[i].m)
			space_destroy(&m->spaces[i]);
		m->spaces[i].m = NULL;
	}
}

static void space_init(struct model_space *s, struct model *m)
{
	unsigned int d;

	s->m = m;
	iopt_init(&s->iopt);
	for (d = 0; d != NDOMAINS; d++)
		fake_init(&s->domains[d], m->test, d == 1);
	s->user.ops = &user_ops;
	s->user.alignment = PAGE_SIZE;
}

/* Half of it is contiguous and goes into large pages, and nothing of the rest */
static int memory_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct page *memory = file->private_data;
	unsigned long i, at;
	int rc = 0;

	for (i = 0; !rc && i != MEM_PAGES; i++) {
		at = i < MEM_PAGES / 2 ? i : MEM_PAGES * 3 / 2 - 1 - i;
		rc = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
				    memory + at);
	}
	return rc;
}

static int memory_release(struct inode *inode, struct file *file)
{
	struct page *memory = file->private_data;
	unsigned long i;

	for (i = 0; i != MEM_PAGES; i++)
		__free_page(memory + i);
	return 0;
}

static const struct file_operations memory_fops = {
	.mmap = memory_mmap,
	.release = memory_release,
};

/* The mapping keeps the file */
static unsigned long map_memory(struct kunit *test)
{
	unsigned int order = get_order(MEM_BYTES);
	unsigned long uaddr;
	struct page *memory;
	struct file *file;

	memory = alloc_pages(GFP_KERNEL | __GFP_ZERO, order);
	KUNIT_ASSERT_NOT_NULL(test, memory);
	split_page(memory, order);
	file = anon_inode_getfile("iommufd_kunit", &memory_fops, memory,
				  O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	uaddr = test_user_memory(test, file, MEM_BYTES);
	fput(file);
	return uaddr;
}

static int io_pagetable_test_init(struct kunit *test)
{
	struct model *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->test = test;
	test->priv = m;
	m->shadow = kunit_kzalloc(test, MEM_BYTES, GFP_KERNEL);
	m->buf = kunit_kzalloc(test, MEM_BYTES, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, m->shadow);
	KUNIT_ASSERT_NOT_NULL(test, m->buf);
	m->uaddr = map_memory(test);
	for (i = 0; i != NSPACES; i++)
		space_init(&m->spaces[i], m);
	test_seed(test, &m->rnd);
	return 0;
}

static void io_pagetable_test_exit(struct kunit *test)
{
	if (test->priv)
		dismantle(test->priv);
}

static void io_pagetable_random(struct kunit *test)
{
	struct model *m = test->priv;

	for (m->step = 0; m->step != STEPS; m->step++) {
		if (m->step % PHASE == 0)
			new_phase(m);
		operations[pick(m, ARRAY_SIZE(operations))](m);
		if (m->step % 4 == 0)
			check(m);
	}
	check(m);
	report(m);
	KUNIT_ASSERT_EQ(test, copy_from_user(m->buf, (void __user *)m->uaddr,
					     MEM_BYTES), 0);
	KUNIT_EXPECT_MEMEQ(test, m->buf, m->shadow, MEM_BYTES);
	dismantle(m);
	KUNIT_EXPECT_EQ(test, test_pinned_vm(), 0);
}

static void expect_pages_mapped(struct model *m, struct fake_domain *fake,
				unsigned long first, unsigned long end)
{
	phys_addr_t phys;

	for (; first != end; first++) {
		phys = page_to_phys(test_page_at(m->test, m->uaddr +
						 first * PAGE_SIZE));
		KUNIT_EXPECT_EQ(m->test,
				fake_iova_to_phys(&fake->domain,
						  BASE + first * PAGE_SIZE),
				phys);
	}
}

/* With each unit of memory failing to be mapped on the way, until none does */
static void cut_failing(struct model *m, struct model_space *s,
			const unsigned long *iovas)
{
	struct fake_domain *fake = &s->domains[0];
	unsigned int n, nlarge = fake->nlarge;
	int rc;

	for (n = 1;; n++) {
		fake->fail_in = n;
		fake->failed = false;
		rc = iopt_cut(&s->iopt, iovas, 2);
		fake->fail_in = 0;
		if (!fake->failed)
			break;
		KUNIT_EXPECT_EQ(m->test, rc, -ENOMEM);
		/* What is split stays so, but all is there */
		KUNIT_EXPECT_GE(m->test, fake->nlarge, nlarge - 1);
		expect_pages_mapped(m, fake, 0, MEM_PAGES / 2);
	}
	KUNIT_EXPECT_EQ(m->test, rc, 0);
	KUNIT_EXPECT_GT(m->test, n, LARGE / UNIT);
}

/* Any two cuts of a large page, or one and one behind it */
static void io_pagetable_cut_large(struct kunit *test)
{
	const unsigned long pages = MEM_PAGES / 2;
	const unsigned long nlarge = pages * PAGE_SIZE / LARGE;
	struct model *m = test->priv;
	struct model_space *s = &m->spaces[0];
	struct fake_domain *fake = &s->domains[0];
	unsigned long i, j, iova, unmapped;

	KUNIT_ASSERT_EQ(test, iopt_allow_cuts(&s->iopt), 0);
	KUNIT_ASSERT_EQ(test, iopt_add_domain(&s->iopt, &fake->idom), 0);
	fake->linked = true;
	for (i = 1; i != LARGE / PAGE_SIZE; i++) {
		for (j = i + 1; j <= LARGE / PAGE_SIZE; j++) {
			const unsigned long iovas[] = {
				BASE + i * PAGE_SIZE, BASE + j * PAGE_SIZE,
			};

			iova = BASE;
			KUNIT_ASSERT_EQ(test,
					iopt_map_user(&s->iopt, &iova,
						      (void __user *)m->uaddr,
						      pages * PAGE_SIZE,
						      IOMMU_READ, true,
						      &test_map_policy), 0);
			KUNIT_ASSERT_EQ(test, fake->nlarge, nlarge);
			cut_failing(m, s, iovas);
			KUNIT_EXPECT_EQ(test, fake->nlarge, nlarge - 1);
			expect_pages_mapped(m, fake, 0, pages);
			KUNIT_EXPECT_EQ(test,
					iopt_unmap(&s->iopt, iovas[0],
						   iovas[1] - iovas[0],
						   &unmapped), 0);
			KUNIT_EXPECT_EQ(test, unmapped, iovas[1] - iovas[0]);
			KUNIT_EXPECT_EQ(test, test_pinned_vm(),
					pages - (j - i));
			expect_pages_mapped(m, fake, 0, i);
			expect_pages_mapped(m, fake, j, pages);
			KUNIT_EXPECT_EQ(test,
					iopt_unmap_all(&s->iopt, &unmapped),
					0);
			KUNIT_EXPECT_TRUE(test, xa_empty(&fake->ptes));
		}
	}
}

static struct kunit_case io_pagetable_cases[] = {
	KUNIT_CASE_SLOW(io_pagetable_random),
	KUNIT_CASE(io_pagetable_cut_large),
	{}
};

static struct kunit_suite io_pagetable_suite = {
	.name = "iommufd_io_pagetable",
	.init = io_pagetable_test_init,
	.exit = io_pagetable_test_exit,
	.test_cases = io_pagetable_cases,
};

kunit_test_suite(io_pagetable_suite);
