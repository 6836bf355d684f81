// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many calls in a row with one failure somewhere: each goes on from where the
 * failure left it. Whatever comes of it, closing the context cleans it up; and
 * without a failure all of it works. See fail_nth_test.c for single calls.
 */
#include <linux/memfd.h>

#include "kselftest_harness.h"
#include "fail_nth.h"

#define BASE ((__u64)MOCK_APERTURE_START)

struct seq {
	int fd;
	unsigned int nth;
	__u8 *buf;
	int file, access;
};

#define SEQ_BYTES (2ULL << 20)
#define DO(expr)                                                               \
	do {                                                                   \
		int __rc = (expr);                                             \
		if (__rc)                                                      \
			return __rc;                                           \
	} while (0)

static int seq_open(struct seq *s, __u32 *ioas)
{
	s->fd = iommu_open();
	if (s->fd < 0)
		return errno;
	return ioas_alloc(s->fd, ioas);
}

static int seq_basic(struct seq *s)
{
	struct iommu_iova_range allowed = {
		16 << 10, SEQ_BYTES + (16 << 10) * 600 - 1,
	}, ranges[10];
	__u32 ioas, num = ARRAY_LEN(ranges);
	__u64 iova, copy;

	arm(s->nth);
	DO(seq_open(s, &ioas));
	DO(ioas_ranges(s->fd, ioas, ranges, &num, NULL));
	DO(ioas_allow(s->fd, ioas, &allowed, 1));
	DO(ioas_map(s->fd, ioas, s->buf, SEQ_BYTES, MAP_RW, &iova));
	DO(ioas_copy(s->fd, ioas, ioas, iova, SEQ_BYTES, MAP_RW, &copy));
	DO(ioas_unmap(s->fd, ioas, iova, SEQ_BYTES, NULL));
	/* Nothing is there any more */
	return ioas_unmap(s->fd, ioas, iova, SEQ_BYTES, NULL) ? 0 : -1;
}

static int seq_domain(struct seq *s, unsigned int domains, bool file)
{
	struct mock_dev dev[2];
	__u32 ioas;
	__u64 iova;

	DO(seq_open(s, &ioas));
	DO(mock_memory_limit(s->fd, 32));
	if (file) {
		s->file = memfd_of(SEQ_BYTES, 0);
		DO(s->file < 0);
	}
	if (domains == 2)
		DO(mock_attach(s->fd, ioas, 0, &dev[1]));
	arm(s->nth);
	DO(mock_attach(s->fd, ioas, 0, &dev[0]));
	if (file)
		DO(ioas_map_file(s->fd, ioas, s->file, 0, 256 << 10, MAP_RW,
				 &iova));
	else
		DO(ioas_map(s->fd, ioas, s->buf, 256 << 10, MAP_RW, &iova));
	for (unsigned int i = 0; i < domains; i++)
		DO(iommu_destroy(s->fd, dev[i].stdev));
	for (unsigned int i = 0; i < domains; i++)
		DO(mock_attach(s->fd, ioas, 0, &dev[i]));
	return 0;
}

static int seq_map_domain(struct seq *s)
{
	return seq_domain(s, 1, false);
}

static int seq_map_file_domain(struct seq *s)
{
	return seq_domain(s, 1, true);
}

static int seq_map_two_domains(struct seq *s)
{
	return seq_domain(s, 2, false);
}

static int seq_access_rw(struct seq *s)
{
	static __u8 tmp[32 << 10];
	__u32 ioas;
	__u64 iova;

	DO(seq_open(s, &ioas));
	DO(mock_memory_limit(s->fd, 32));
	DO(ioas_map(s->fd, ioas, s->buf, 256 << 10, MAP_RW, &iova));
	arm(s->nth);
	DO(access_create(s->fd, ioas, 0, &s->access));
	for (__u32 flags = 0; flags < 8; flags++) {
		if (flags & 2)
			continue;
		DO(access_rw(s->fd, s->access, iova, tmp, 64, flags));
	}
	DO(access_rw(s->fd, s->access, iova, tmp, sizeof(tmp),
		     MOCK_ACCESS_RW_SLOW_PATH));
	close(s->access);
	s->access = -1;
	return 0;
}

static int seq_pin(struct seq *s, bool domain)
{
	struct mock_dev dev;
	__u32 ioas, item;
	__u64 iova;

	DO(seq_open(s, &ioas));
	DO(mock_memory_limit(s->fd, 32));
	if (domain)
		DO(mock_attach(s->fd, ioas, 0, &dev));
	DO(ioas_map(s->fd, ioas, s->buf, SEQ_BYTES, MAP_RW, &iova));
	DO(access_create(s->fd, ioas, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
			 &s->access));
	arm(s->nth);
	DO(access_pin(s->fd, s->access, iova, SEQ_BYTES, s->buf, 0, &item));
	DO(access_unpin(s->fd, s->access, item));
	close(s->access);
	s->access = -1;
	return domain ? iommu_destroy(s->fd, dev.stdev) : 0;
}

static int seq_access_pin(struct seq *s)
{
	return seq_pin(s, false);
}

static int seq_access_pin_domain(struct seq *s)
{
	return seq_pin(s, true);
}

static int hw_info(int fd, __u32 idev)
{
	struct iommu_test_hw_info info;
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = idev,
		.data_len = sizeof(info),
		.data_uptr = (uintptr_t)&info,
	};

	return iommu_cmd(fd, IOMMU_GET_HW_INFO, &cmd);
}

static int seq_device(struct seq *s)
{
	const __u32 pasid = IOMMU_HWPT_ALLOC_PASID;
	struct mock_dev dev;
	__u32 ioas[2], hwpt, parent, viommu, fault, q, last, pt;
	int file;

	DO(seq_open(s, &ioas[0]));
	DO(ioas_alloc(s->fd, &ioas[1]));
	for (int i = 0; i < 2; i++)
		DO(ioas_map_at(s->fd, ioas[i], s->buf, PAGE, BASE));
	arm(s->nth);
	DO(mock_attach(s->fd, ioas[0], MOCK_FLAGS_DEVICE_PASID, &dev));
	DO(hw_info(s->fd, dev.idev));
	DO(hwpt_alloc(s->fd, dev.idev, ioas[0], pasid, &hwpt));
	pt = ioas[1];
	DO(mock_replace(s->fd, dev.stdev, &pt));
	pt = hwpt;
	DO(mock_replace(s->fd, dev.stdev, &pt));
	DO(hwpt_alloc(s->fd, dev.idev, ioas[0],
		      IOMMU_HWPT_ALLOC_NEST_PARENT | pasid, &parent));
	DO(viommu_alloc(s->fd, dev.idev, parent, IOMMU_VIOMMU_TYPE_SELFTEST,
			NULL, 0, &viommu));
	DO(vdevice_alloc(s->fd, viommu, dev.idev, 0, NULL));
	DO(hw_queue_alloc(s->fd, viommu, IOMMU_HW_QUEUE_TYPE_SELFTEST, 0, BASE,
			  PAGE, &q));
	DO(fault_alloc(s->fd, &fault, &file));
	close(file);
	DO(hwpt_alloc_nested(s->fd, dev.idev, parent,
			     IOMMU_HWPT_FAULT_ID_VALID, fault, 0, &last));
	DO(veventq_alloc(s->fd, viommu, IOMMU_VEVENTQ_TYPE_SELFTEST, 2, &q,
			 &file));
	close(file);
	DO(hwpt_alloc(s->fd, dev.idev, ioas[0], pasid, &last));
	pt = parent;
	DO(mock_pasid_attach(s->fd, dev.stdev, 200, &pt));
	pt = last;
	DO(mock_pasid_replace(s->fd, dev.stdev, 200, &pt));
	return mock_pasid_detach(s->fd, dev.stdev, 200);
}

FIXTURE(sequence)
{
	const char *why;
};

FIXTURE_SETUP(sequence)
{
	int fd;

	OPEN_MOCK_OR_SKIP(fd);
	close(fd);
	self->why = injection_setup();
	if (self->why)
		SKIP(return, "%s", self->why);
}

FIXTURE_TEARDOWN(sequence)
{
	int fd = iommu_open();

	EXPECT_EQ(0, mock_memory_limit(fd, 65536));
	close(fd);
}

/*
 * iommufd itself marks @marked places that make it fail, the same in every run.
 * So does at least one allocation; how many more of them there are, and which,
 * differs from run to run with what the allocators have at hand.
 */
static void walk_seq(struct __test_metadata *_metadata,
		     int (*run)(struct seq *s), unsigned int marked)
{
	__u8 *buf = buf_alloc(SEQ_BYTES);
	unsigned int n = 0, failed = 0;
	bool injected;
	int rc;

	ASSERT_NE(NULL, buf);
	memset(buf, 1, SEQ_BYTES);
	/* Once without a failure, and then until there are no more of them */
	do {
		struct seq s = {
			.fd = -1, .nth = n, .buf = buf, .file = -1,
			.access = -1,
		};

		rc = run(&s);
		injected = disarm() && n;
		if (s.access >= 0)
			close(s.access);
		if (s.file >= 0)
			close(s.file);
		if (s.fd >= 0)
			close(s.fd);
		ASSERT_EQ(0, check_unpinned(buf, SEQ_BYTES))
			TH_LOG("n %u", n);
		ASSERT_EQ(0, vm_pin(0))
			TH_LOG("n %u", n);
		if (!n)
			ASSERT_EQ(0, rc);
		failed += !!rc;
	} while (++n < 1000 && (n == 1 || injected));
	EXPECT_EQ(0, rc);
	/* Other programs give up there */
	EXPECT_GT(1000, n);
	TH_LOG("%u places, %u of them make it fail", n - 2, failed);
	EXPECT_LT(marked, failed);
	munmap(buf, SEQ_BYTES);
}

#define SEQ(name, marked)                                                      \
	TEST_F_TIMEOUT(sequence, name, 200)                                    \
	{                                                                      \
		walk_seq(_metadata, seq_##name, marked);                       \
	}

SEQ(basic, 6)
SEQ(map_domain, 44)
SEQ(map_file_domain, 42)
SEQ(map_two_domains, 45)
SEQ(access_rw, 4)
/* A place for each four pages */
SEQ(access_pin, SEQ_BYTES / PAGE / 4 + 3)
SEQ(access_pin_domain, 1)
SEQ(device, 34)

TEST_HARNESS_MAIN
