// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <linux/capability.h>
#include <linux/kernel-page-flags.h>
#include <stdarg.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include "iommu_utils.h"

size_t page_size;
size_t huge_size;
size_t thp_size;

void *bad_ptr(void)
{
	return (void *)8;
}

/* The number after @key, or "", at the beginning of a line of a file; 0 if none */
static size_t number_in(const char *path, const char *key)
{
	FILE *f = fopen(path, "re");
	size_t number = 0;
	char line[256];

	while (f && !number && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)))
			number = strtoull(line + strlen(key), NULL, 10);
	if (f)
		fclose(f);
	return number;
}

static void __attribute__((constructor)) init_sizes(void)
{
	page_size = sysconf(_SC_PAGESIZE);
	huge_size = number_in("/proc/meminfo", "Hugepagesize:") * 1024;
	thp_size = number_in("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size",
			     "");
	/* Without hugetlb, tests that only want a large size have that one */
	if (!huge_size)
		huge_size = thp_size;
}

int iommu_open(void)
{
	return open("/dev/iommu", O_RDWR | O_CLOEXEC);
}

int iommu_cmd(int fd, unsigned int cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? errno : 0;
}

static int test_cmd(int fd, __u32 op, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return iommu_cmd(fd, IOMMU_TEST_CMD, cmd);
}

bool has_mock(int fd)
{
	struct iommu_test_cmd cmd = {};

	return test_cmd(fd, 0, &cmd) == EOPNOTSUPP;
}

int iommu_destroy(int fd, __u32 id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return iommu_cmd(fd, IOMMU_DESTROY, &cmd);
}

int ioas_alloc(int fd, __u32 *id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = iommu_cmd(fd, IOMMU_IOAS_ALLOC, &cmd);

	if (!rc && id)
		*id = cmd.out_ioas_id;
	return rc;
}

int ioas_map(int fd, __u32 ioas, const void *va, __u64 length, __u32 flags,
	     __u64 *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = flags & MAP_FIX ? *iova : 0,
	};
	int rc = iommu_cmd(fd, IOMMU_IOAS_MAP, &cmd);

	if (!rc && iova)
		*iova = cmd.iova;
	return rc;
}

int ioas_map_at(int fd, __u32 ioas, const void *va, __u64 length, __u64 iova)
{
	return ioas_map(fd, ioas, va, length, MAP_FIX_RW, &iova);
}

int ioas_map_file(int fd, __u32 ioas, int file, __u64 start, __u64 length,
		  __u32 flags, __u64 *iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.fd = file,
		.start = start,
		.length = length,
		.iova = flags & MAP_FIX ? *iova : 0,
	};
	int rc = iommu_cmd(fd, IOMMU_IOAS_MAP_FILE, &cmd);

	if (!rc && iova)
		*iova = cmd.iova;
	return rc;
}

int ioas_copy(int fd, __u32 dst_ioas, __u32 src_ioas, __u64 src_iova,
	      __u64 length, __u32 flags, __u64 *dst_iova)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst_ioas,
		.src_ioas_id = src_ioas,
		.length = length,
		.dst_iova = flags & MAP_FIX ? *dst_iova : 0,
		.src_iova = src_iova,
	};
	int rc = iommu_cmd(fd, IOMMU_IOAS_COPY, &cmd);

	if (!rc && dst_iova)
		*dst_iova = cmd.dst_iova;
	return rc;
}

int ioas_unmap(int fd, __u32 ioas, __u64 iova, __u64 length, __u64 *unmapped)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};
	int rc = iommu_cmd(fd, IOMMU_IOAS_UNMAP, &cmd);

	if (!rc && unmapped)
		*unmapped = cmd.length;
	return rc;
}

int ioas_unmap_all(int fd, __u32 ioas, __u64 *unmapped)
{
	return ioas_unmap(fd, ioas, 0, UINT64_MAX, unmapped);
}

int ioas_ranges(int fd, __u32 ioas, struct iommu_iova_range *ranges,
		__u32 *num, __u64 *alignment)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = *num,
		.allowed_iovas = (uintptr_t)ranges,
	};
	int rc = iommu_cmd(fd, IOMMU_IOAS_IOVA_RANGES, &cmd);

	if (!rc || rc == EMSGSIZE) {
		*num = cmd.num_iovas;
		if (alignment)
			*alignment = cmd.out_iova_alignment;
	}
	return rc;
}

int ioas_allow(int fd, __u32 ioas, const struct iommu_iova_range *ranges,
	       __u32 num)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = num,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return iommu_cmd(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

int ioas_change_process(int fd)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	return iommu_cmd(fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

static int option(int fd, __u32 id, __u16 op, __u32 object, __u64 *val)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = id,
		.op = op,
		.object_id = object,
		.val64 = *val,
	};
	int rc = iommu_cmd(fd, IOMMU_OPTION, &cmd);

	if (!rc)
		*val = cmd.val64;
	return rc;
}

int option_get(int fd, __u32 id, __u32 object, __u64 *val)
{
	/* The answer has to replace this */
	*val = 0xdead;
	return option(fd, id, IOMMU_OPTION_OP_GET, object, val);
}

int option_set(int fd, __u32 id, __u32 object, __u64 val)
{
	return option(fd, id, IOMMU_OPTION_OP_SET, object, &val);
}

int hwpt_alloc_data(int fd, __u32 dev, __u32 pt, __u32 flags, __u32 fault,
		    __u32 data_type, const void *data, __u32 data_len,
		    __u32 *hwpt)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dev_id = dev,
		.pt_id = pt,
		.data_type = data_type,
		.data_len = data_len,
		.data_uptr = (uintptr_t)data,
		.fault_id = fault,
	};
	int rc = iommu_cmd(fd, IOMMU_HWPT_ALLOC, &cmd);

	if (!rc && hwpt)
		*hwpt = cmd.out_hwpt_id;
	return rc;
}

int hwpt_alloc(int fd, __u32 dev, __u32 pt, __u32 flags, __u32 *hwpt)
{
	return hwpt_alloc_data(fd, dev, pt, flags, 0, IOMMU_HWPT_DATA_NONE,
			       NULL, 0, hwpt);
}

int hwpt_alloc_nested(int fd, __u32 dev, __u32 pt, __u32 flags, __u32 fault,
		      __u32 iotlb, __u32 *hwpt)
{
	struct iommu_hwpt_selftest data = { .iotlb = iotlb };

	return hwpt_alloc_data(fd, dev, pt, flags, fault,
			       IOMMU_HWPT_DATA_SELFTEST, &data, sizeof(data),
			       hwpt);
}

int hwpt_alloc_huge(int fd, __u32 dev, __u32 pt, __u32 flags, __u32 *hwpt)
{
	struct iommu_hwpt_selftest data = {
		.pagetable_type = MOCK_IOMMUPT_HUGE,
	};

	return hwpt_alloc_data(fd, dev, pt, flags, 0, IOMMU_HWPT_DATA_SELFTEST,
			       &data, sizeof(data), hwpt);
}

int hwpt_invalidate(int fd, __u32 id, __u32 type, const void *entries,
		    __u32 entry_len, __u32 *entry_num)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd),
		.hwpt_id = id,
		.data_uptr = (uintptr_t)entries,
		.data_type = type,
		.entry_len = entry_len,
		.entry_num = *entry_num,
	};
	int rc = iommu_cmd(fd, IOMMU_HWPT_INVALIDATE, &cmd);

	*entry_num = cmd.entry_num;
	return rc;
}

int hwpt_set_dirty(int fd, __u32 hwpt, bool enable)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = sizeof(cmd),
		.flags = enable ? IOMMU_HWPT_DIRTY_TRACKING_ENABLE : 0,
		.hwpt_id = hwpt,
	};

	return iommu_cmd(fd, IOMMU_HWPT_SET_DIRTY_TRACKING, &cmd);
}

int hwpt_get_dirty(int fd, __u32 hwpt, __u32 flags, __u64 iova, __u64 length,
		   __u64 unit, void *bitmap)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = sizeof(cmd),
		.hwpt_id = hwpt,
		.flags = flags,
		.iova = iova,
		.length = length,
		.page_size = unit,
		.data = (uintptr_t)bitmap,
	};

	return iommu_cmd(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd);
}

int fault_alloc(int fd, __u32 *id, int *file)
{
	struct iommu_fault_alloc cmd = { .size = sizeof(cmd) };
	int rc = iommu_cmd(fd, IOMMU_FAULT_QUEUE_ALLOC, &cmd);

	if (!rc) {
		*id = cmd.out_fault_id;
		*file = cmd.out_fault_fd;
	}
	return rc;
}

int viommu_alloc(int fd, __u32 dev, __u32 hwpt, __u32 type, void *data,
		 __u32 data_len, __u32 *id)
{
	struct iommu_viommu_alloc cmd = {
		.size = sizeof(cmd),
		.type = type,
		.dev_id = dev,
		.hwpt_id = hwpt,
		.data_len = data_len,
		.data_uptr = (uintptr_t)data,
	};
	int rc = iommu_cmd(fd, IOMMU_VIOMMU_ALLOC, &cmd);

	if (!rc && id)
		*id = cmd.out_viommu_id;
	return rc;
}

int vdevice_alloc(int fd, __u32 viommu, __u32 dev, __u64 virt_id, __u32 *id)
{
	struct iommu_vdevice_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.dev_id = dev,
		.virt_id = virt_id,
	};
	int rc = iommu_cmd(fd, IOMMU_VDEVICE_ALLOC, &cmd);

	if (!rc && id)
		*id = cmd.out_vdevice_id;
	return rc;
}

int veventq_alloc(int fd, __u32 viommu, __u32 type, __u32 depth, __u32 *id,
		  int *file)
{
	struct iommu_veventq_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = type,
		.veventq_depth = depth,
	};
	int rc = iommu_cmd(fd, IOMMU_VEVENTQ_ALLOC, &cmd);

	if (!rc) {
		*id = cmd.out_veventq_id;
		*file = cmd.out_veventq_fd;
	}
	return rc;
}

int hw_queue_alloc(int fd, __u32 viommu, __u32 type, __u32 index, __u64 iova,
		   __u64 length, __u32 *id)
{
	struct iommu_hw_queue_alloc cmd = {
		.size = sizeof(cmd),
		.viommu_id = viommu,
		.type = type,
		.index = index,
		.nesting_parent_iova = iova,
		.length = length,
	};
	int rc = iommu_cmd(fd, IOMMU_HW_QUEUE_ALLOC, &cmd);

	if (!rc && id)
		*id = cmd.out_hw_queue_id;
	return rc;
}

int mock_attach(int fd, __u32 pt, __u32 dev_flags, struct mock_dev *dev)
{
	struct iommu_test_cmd cmd = {
		.id = pt,
		.mock_domain_flags.dev_flags = dev_flags,
	};
	int rc = test_cmd(fd, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, &cmd);

	if (!rc && dev) {
		dev->stdev = cmd.mock_domain_flags.out_stdev_id;
		dev->hwpt = cmd.mock_domain_flags.out_hwpt_id;
		dev->idev = cmd.mock_domain_flags.out_idev_id;
	}
	return rc;
}

int mock_device(int fd, __u32 pt, const struct mock_config *config,
		struct mock_dev *dev)
{
	struct iommu_test_cmd cmd = {
		.id = pt,
		.mock_device = {
			.dev_flags = config->flags,
			.sibling_id = config->sibling,
			.resv_type = config->resv,
			.resv_start = config->start,
			.resv_length = config->length,
		},
	};
	int rc = test_cmd(fd, IOMMU_TEST_OP_MOCK_DEVICE, &cmd);

	if (!rc && dev) {
		dev->stdev = cmd.mock_device.out_stdev_id;
		dev->hwpt = cmd.mock_device.out_hwpt_id;
		dev->idev = cmd.mock_device.out_idev_id;
	}
	return rc;
}

int mock_bind_again(int fd, __u32 stdev)
{
	struct iommu_test_cmd cmd = { .id = stdev };

	return test_cmd(fd, IOMMU_TEST_OP_BIND_AGAIN, &cmd);
}

int mock_replace(int fd, __u32 stdev, __u32 *pt)
{
	struct iommu_test_cmd cmd = {
		.id = stdev,
		.mock_domain_replace.pt_id = *pt,
	};
	int rc = test_cmd(fd, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, &cmd);

	if (!rc)
		*pt = cmd.mock_domain_replace.pt_id;
	return rc;
}

int mock_pasid_attach(int fd, __u32 stdev, __u32 pasid, __u32 *pt)
{
	struct iommu_test_cmd cmd = {
		.id = stdev,
		.pasid_attach = { .pasid = pasid, .pt_id = *pt },
	};
	int rc = test_cmd(fd, IOMMU_TEST_OP_PASID_ATTACH, &cmd);

	if (!rc)
		*pt = cmd.pasid_attach.pt_id;
	return rc;
}

int mock_pasid_replace(int fd, __u32 stdev, __u32 pasid, __u32 *pt)
{
	struct iommu_test_cmd cmd = {
		.id = stdev,
		.pasid_replace = { .pasid = pasid, .pt_id = *pt },
	};
	int rc = test_cmd(fd, IOMMU_TEST_OP_PASID_REPLACE, &cmd);

	if (!rc)
		*pt = cmd.pasid_replace.pt_id;
	return rc;
}

int mock_pasid_detach(int fd, __u32 stdev, __u32 pasid)
{
	struct iommu_test_cmd cmd = {
		.id = stdev,
		.pasid_detach.pasid = pasid,
	};

	return test_cmd(fd, IOMMU_TEST_OP_PASID_DETACH, &cmd);
}

int mock_pasid_check(int fd, __u32 stdev, __u32 pasid, __u32 hwpt)
{
	struct iommu_test_cmd cmd = {
		.id = stdev,
		.pasid_check = { .pasid = pasid, .hwpt_id = hwpt },
	};

	return test_cmd(fd, IOMMU_TEST_OP_PASID_CHECK_HWPT, &cmd);
}

int mock_reserve(int fd, __u32 ioas, __u64 start, __u64 length)
{
	struct iommu_test_cmd cmd = {
		.id = ioas,
		.add_reserved = { .start = start, .length = length },
	};

	return test_cmd(fd, IOMMU_TEST_OP_ADD_RESERVED, &cmd);
}

int mock_check_map(int fd, __u32 hwpt, __u64 iova, const void *va,
		   __u64 length)
{
	struct iommu_test_cmd cmd = {
		.id = hwpt,
		.check_map = {
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)va,
		},
	};

	return test_cmd(fd, IOMMU_TEST_OP_MD_CHECK_MAP, &cmd);
}

int mock_check_pins(int fd, const void *va, __u64 length, __u32 pins)
{
	struct iommu_test_cmd cmd = {
		.check_refs = {
			.length = length,
			.uptr = (uintptr_t)va,
			.refs = pins,
		},
	};

	return test_cmd(fd, IOMMU_TEST_OP_MD_CHECK_REFS, &cmd);
}

int mock_memory_limit(int fd, __u32 limit)
{
	struct iommu_test_cmd cmd = { .memory_limit.limit = limit };

	return test_cmd(fd, IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, &cmd);
}

int mock_check_iotlb(int fd, __u32 hwpt, __u32 index, __u32 val)
{
	struct iommu_test_cmd cmd = {
		.id = hwpt,
		.check_iotlb = { .id = index, .iotlb = val },
	};

	return test_cmd(fd, IOMMU_TEST_OP_MD_CHECK_IOTLB, &cmd);
}

int mock_check_iotlb_all(int fd, __u32 hwpt, __u32 val)
{
	int rc = 0;

	for (int i = 0; !rc && i < MOCK_NESTED_DOMAIN_IOTLB_NUM; i++)
		rc = mock_check_iotlb(fd, hwpt, i, val);
	return rc;
}

int mock_check_cache(int fd, __u32 idev, __u32 index, __u32 val)
{
	struct iommu_test_cmd cmd = {
		.id = idev,
		.check_dev_cache = { .id = index, .cache = val },
	};

	return test_cmd(fd, IOMMU_TEST_OP_DEV_CHECK_CACHE, &cmd);
}

int mock_check_cache_all(int fd, __u32 idev, __u32 val)
{
	int rc = 0;

	for (int i = 0; !rc && i < MOCK_DEV_CACHE_NUM; i++)
		rc = mock_check_cache(fd, idev, i, val);
	return rc;
}

int mock_dirty(int fd, __u32 hwpt, __u64 iova, __u64 length, __u64 unit,
	       const void *bitmap, __u64 *nr)
{
	struct iommu_test_cmd cmd = {
		.id = hwpt,
		.dirty = {
			.iova = iova,
			.length = length,
			.page_size = unit,
			.uptr = (uintptr_t)bitmap,
		},
	};
	int rc = test_cmd(fd, IOMMU_TEST_OP_DIRTY, &cmd);

	if (!rc && nr)
		*nr = cmd.dirty.out_nr_dirty;
	return rc;
}

/*
 * The mock marks what is mapped and passes over what is not, so dirtying it all
 * and reading the bitmap back shows which IOVA the page table translates.
 */
int mock_count_mapped(int fd, __u32 hwpt, __u64 iova, __u64 length,
		      unsigned int *units)
{
	size_t bits = length / MOCK_PAGE_SIZE;
	__u8 *map = malloc(bits / 8 + 8);
	int rc;

	*units = 0;
	if (!map)
		return ENOMEM;
	memset(map, 0xff, bits / 8 + 8);
	rc = mock_dirty(fd, hwpt, iova, length, MOCK_PAGE_SIZE, map, NULL);
	memset(map, 0, bits / 8 + 8);
	if (!rc)
		rc = hwpt_get_dirty(fd, hwpt, 0, iova, length, MOCK_PAGE_SIZE,
				    map);
	for (size_t i = 0; i < bits; i++)
		*units += bit_get(map, i);
	free(map);
	return rc;
}

int mock_iopf(int fd, __u32 idev, __u32 pasid, __u32 grpid, __u32 perm,
	      __u64 addr)
{
	struct iommu_test_cmd cmd = {
		.trigger_iopf = {
			.dev_id = idev,
			.pasid = pasid,
			.grpid = grpid,
			.perm = perm,
			.addr = addr,
		},
	};

	return test_cmd(fd, IOMMU_TEST_OP_TRIGGER_IOPF, &cmd);
}

int mock_vevent(int fd, __u32 idev)
{
	struct iommu_test_cmd cmd = { .trigger_vevent.dev_id = idev };

	return test_cmd(fd, IOMMU_TEST_OP_TRIGGER_VEVENT, &cmd);
}

int mock_dmabuf_get(int fd, __u32 length)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_DMABUF_GET,
		.dmabuf_get = { .length = length, .open_flags = O_CLOEXEC },
	};

	return ioctl(fd, IOMMU_TEST_CMD, &cmd);
}

int mock_dmabuf_revoke(int fd, int dmabuf, bool revoked)
{
	struct iommu_test_cmd cmd = {
		.dmabuf_revoke = { .dmabuf_fd = dmabuf, .revoked = revoked },
	};

	return test_cmd(fd, IOMMU_TEST_OP_DMABUF_REVOKE, &cmd);
}

int access_create(int fd, __u32 ioas, __u32 flags, int *file)
{
	struct iommu_test_cmd cmd = {
		.id = ioas,
		.create_access.flags = flags,
	};
	int rc = test_cmd(fd, IOMMU_TEST_OP_CREATE_ACCESS, &cmd);

	if (!rc)
		*file = cmd.create_access.out_access_fd;
	return rc;
}

int access_pin(int fd, int access, __u64 iova, __u64 length, const void *va,
	       __u32 flags, __u32 *item)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.access_pages = {
			.flags = flags,
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)va,
		},
	};
	int rc = test_cmd(fd, IOMMU_TEST_OP_ACCESS_PAGES, &cmd);

	if (!rc && item)
		*item = cmd.access_pages.out_access_pages_id;
	return rc;
}

int access_unpin(int fd, int access, __u32 item)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.destroy_access_pages.access_pages_id = item,
	};

	return test_cmd(fd, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, &cmd);
}

int access_rw(int fd, int access, __u64 iova, void *va, __u64 length,
	      __u32 flags)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.access_rw = {
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)va,
			.flags = flags,
		},
	};

	return test_cmd(fd, IOMMU_TEST_OP_ACCESS_RW, &cmd);
}

int access_replace(int fd, int access, __u32 ioas)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.access_replace_ioas.ioas_id = ioas,
	};

	return test_cmd(fd, IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, &cmd);
}

static void *buf_of(size_t length, int flags)
{
	void *va = mmap(NULL, length, PROT_READ | PROT_WRITE,
			flags | MAP_ANONYMOUS, -1, 0);

	if (va == MAP_FAILED)
		return NULL;
	/* Fails only on a kernel that has no huge pages to avoid */
	madvise(va, length, MADV_NOHUGEPAGE);
	return va;
}

void *buf_alloc(size_t length)
{
	return buf_of(length, MAP_SHARED);
}

void *buf_alloc_private(size_t length)
{
	return buf_of(length, MAP_PRIVATE);
}

void *buf_alloc_scattered(size_t length)
{
	char *va = buf_of(length, MAP_SHARED);
	int file = memfd_of(PAGE, 0);
	size_t i;

	for (i = 0; va && i < length; i += PAGE) {
		if (mmap(va + i, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) {
			munmap(va, length);
			va = NULL;
		}
	}
	close(file);
	return va;
}

void *buf_alloc_hugetlb(size_t length)
{
	void *va = mmap(NULL, length, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	return va == MAP_FAILED ? NULL : va;
}

size_t huge_mapped(const void *va)
{
	unsigned long start = 0, end = 0, kib;
	FILE *f = fopen("/proc/self/smaps", "re");
	size_t bytes = 0;
	char line[512];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			continue;
		if ((uintptr_t)va < start || (uintptr_t)va >= end)
			continue;
		if (sscanf(line, "AnonHugePages: %lu", &kib) == 1 ||
		    sscanf(line, "ShmemPmdMapped: %lu", &kib) == 1)
			bytes += kib * 1024;
	}
	if (f)
		fclose(f);
	return bytes;
}

int read_number(const char *path, unsigned long *val)
{
	FILE *f = fopen(path, "re");
	int n;

	if (!f)
		return errno;
	n = fscanf(f, "%lu", val);
	fclose(f);
	return n == 1 ? 0 : EINVAL;
}

int vmstat_read(const char *name, unsigned long *val)
{
	FILE *f;
	char line[128], key[64];
	int rc = ENOENT;

	/* Each CPU has a part of it that is not in the sum yet */
	f = fopen("/proc/sys/vm/stat_refresh", "we");
	if (!f)
		return errno;
	fputs("1\n", f);
	fclose(f);
	f = fopen("/proc/vmstat", "re");
	if (!f)
		return errno;
	while (rc && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %lu", key, val) == 2 &&
		    !strcmp(key, name))
			rc = 0;
	}
	fclose(f);
	return rc;
}

int tables_left(int fd, __u32 ioas, __u64 iova, unsigned int rounds, long *left)
{
	const size_t len = 4 * 1024 * 1024;
	void *buf = buf_alloc_scattered(len);
	unsigned long before, after;
	int rc;

	if (!buf)
		return ENOMEM;
	rc = vmstat_read("nr_iommu_pages", &before);
	while (!rc && rounds--)
		rc = ioas_map_at(fd, ioas, buf, len, iova) ?:
		     ioas_unmap(fd, ioas, iova, len, NULL);
	rc = rc ?: vmstat_read("nr_iommu_pages", &after);
	munmap(buf, len);
	if (!rc)
		*left = after - before;
	return rc;
}

int page_is_dirty(const void *va, bool *dirty)
{
	int maps = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int all = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	__u64 page, flags;
	int rc = EIO;

	/* The page frame, which only a privileged process sees, has 55 bits */
	if (pread(maps, &page, sizeof(page), (uintptr_t)va / PAGE *
		  sizeof(page)) == sizeof(page)) {
		page &= (1ULL << 55) - 1;
		if (page && pread(all, &flags, sizeof(flags), page *
				  sizeof(flags)) == sizeof(flags))
			rc = 0;
	}
	if (!rc)
		*dirty = flags >> KPF_DIRTY & 1;
	close(maps);
	close(all);
	return rc;
}

bool read_choice(const char *path, char *choice, size_t len)
{
	FILE *f = fopen(path, "re");
	char line[256] = {}, *from, *to;

	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = 0;
	fclose(f);
	from = strchr(line, '[');
	to = from ? strchr(from, ']') : NULL;
	if (!to)
		return false;
	*to = 0;
	return snprintf(choice, len, "%s", from + 1) < (int)len;
}

int bar_open(size_t len)
{
	DIR *d = opendir("/sys/bus/pci/devices");
	struct dirent *e;
	char path[600];
	struct stat st;
	int fd = -1;
	void *va;

	while (d && fd < 0 && (e = readdir(d))) {
		for (int bar = 0; fd < 0 && bar < 6; bar++) {
			snprintf(path, sizeof(path),
				 "/sys/bus/pci/devices/%s/resource%d",
				 e->d_name, bar);
			fd = open(path, O_RDWR | O_SYNC | O_CLOEXEC);
			if (fd < 0)
				continue;
			va = MAP_FAILED;
			if (!fstat(fd, &st) && (size_t)st.st_size >= len)
				va = mmap(NULL, len, PROT_READ | PROT_WRITE,
					  MAP_SHARED, fd, 0);
			if (va != MAP_FAILED) {
				munmap(va, len);
				break;
			}
			close(fd);
			fd = -1;
		}
	}
	if (d)
		closedir(d);
	return fd;
}

int memfd_of(size_t length, unsigned int flags)
{
	int file = memfd_create("iommu_test", flags | MFD_CLOEXEC);

	if (file >= 0 && ftruncate(file, length)) {
		close(file);
		return -1;
	}
	return file;
}

static long status_pages(int pid, const char *key)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
	else
		snprintf(path, sizeof(path), "/proc/self/status");
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) &&
		    sscanf(line + strlen(key), ": %ld", &kib) == 1)
			break;
	fclose(f);
	return kib < 0 ? -1 : kib * 1024 / (long)page_size;
}

long vm_pin(int pid)
{
	return status_pages(pid, "VmPin");
}

long vm_lck(int pid)
{
	return status_pages(pid, "VmLck");
}

int fdinfo_read(int fd, char *buf, size_t len)
{
	char path[64];
	size_t done = 0;
	ssize_t n;
	int file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return errno;
	do {
		n = read(file, buf + done, len - 1 - done);
		if (n > 0)
			done += n;
	} while (n > 0);
	close(file);
	buf[done] = 0;
	return n < 0 ? errno : done == len - 1 ? E2BIG : 0;
}

static int fdinfo_find(int fd, char *val, size_t len, const char *format,
		       va_list args)
{
	static char text[1 << 16];
	char *line, *rest = text;
	char key[128];
	int rc;

	vsnprintf(key, sizeof(key), format, args);
	rc = fdinfo_read(fd, text, sizeof(text));
	if (rc)
		return rc;
	while ((line = strsep(&rest, "\n"))) {
		char *colon = strchr(line, ':');

		if (!colon || (size_t)(colon - line) != strlen(key) ||
		    strncmp(line, key, strlen(key)))
			continue;
		colon++;
		snprintf(val, len, "%s", colon + strspn(colon, " \t"));
		return 0;
	}
	return ENOENT;
}

int fdinfo_get(int fd, char *val, size_t len, const char *key, ...)
{
	va_list args;
	int rc;

	va_start(args, key);
	rc = fdinfo_find(fd, val, len, key, args);
	va_end(args);
	return rc;
}

__u64 fdinfo_number(int fd, const char *key, ...)
{
	char val[64], *end;
	va_list args;
	__u64 n;
	int rc;

	va_start(args, key);
	rc = fdinfo_find(fd, val, sizeof(val), key, args);
	va_end(args);
	if (rc || !*val)
		return ~0ULL;
	n = strtoull(val, &end, 10);
	return *end ? ~0ULL : n;
}

bool kmsg_has(const char *text, const char *more)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	bool found = false;
	char line[4096];
	ssize_t n;

	if (fd < 0)
		return false;
	/* One read is one line; EPIPE is for those that were overwritten */
	while ((n = read(fd, line, sizeof(line) - 1)) > 0 ||
	       (n < 0 && errno == EPIPE)) {
		if (n < 0)
			continue;
		line[n] = 0;
		found |= strstr(line, text) && strstr(line, more);
	}
	close(fd);
	return found;
}

static int caps_get(struct __user_cap_data_struct data[2])
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};

	return syscall(SYS_capget, &hdr, data) ? errno : 0;
}

bool cap_have(int cap)
{
	struct __user_cap_data_struct data[2];

	return !caps_get(data) &&
	       data[cap / 32].effective & (1U << (cap % 32));
}

int cap_drop(int cap)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	int rc = caps_get(data);

	if (rc)
		return rc;
	data[cap / 32].effective &= ~(1U << (cap % 32));
	data[cap / 32].permitted &= ~(1U << (cap % 32));
	data[cap / 32].inheritable &= ~(1U << (cap % 32));
	return syscall(SYS_capset, &hdr, data) ? errno : 0;
}

int memlock_limit_set(__u64 bytes)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_MEMLOCK, &lim))
		return errno;
	lim.rlim_cur = bytes;
	if (lim.rlim_max < bytes)
		lim.rlim_max = bytes;
	return setrlimit(RLIMIT_MEMLOCK, &lim) ? errno : 0;
}

int check_unpinned(const void *va, size_t length)
{
	int fd = iommu_open();
	int rc;

	if (fd < 0)
		return errno;
	rc = mock_check_pins(fd, va, length, 0);
	close(fd);
	return rc;
}

__u64 rnd_seed(void)
{
	const char *env = getenv("TEST_SEED");
	struct timespec ts;
	__u64 seed;

	if (env) {
		seed = strtoull(env, NULL, 0);
	} else {
		clock_gettime(CLOCK_MONOTONIC, &ts);
		seed = ts.tv_sec * 1000000007ULL + ts.tv_nsec;
	}
	return seed ? seed : 1;
}
