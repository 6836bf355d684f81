// SPDX-License-Identifier: GPL-2.0-only
#include "iommu.h"
#include "say.h"
#include "sysfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/iommufd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int iommu_open(void)
{
	static const struct errno_note notes[] = {
		{ ENOENT,
		  "There is no /dev/iommu: the kernel needs CONFIG_IOMMUFD (or modprobe iommufd),\n"
		  "and devtmpfs must be mounted on /dev." },
		{ ENXIO,
		  "The node exists, but no driver is behind it: modprobe iommufd." },
		{ ENODEV,
		  "The node exists, but no driver is behind it: modprobe iommufd." },
		{ EACCES,
		  "The node's mode is 0660 root:root; run as root or change its owner." },
		{ ENOMEM,
		  "No memory for a new context." },
		{ 0 }
	};
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die_errno(notes, "open(\"/dev/iommu\")");
	return fd;
}

uint32_t iommu_ioas_alloc(int iommu)
{
	static const struct errno_note notes[] = {
		{ ENOTTY,
		  "This file is not an iommufd." },
		{ EOPNOTSUPP,
		  "A flag was set that this kernel does not know; the demo sets none." },
		{ ENOMEM,
		  "No memory for the IOAS (or the memory cgroup is at its limit)." },
		{ EBUSY,
		  "All object IDs of this context are in use." },
		{ 0 }
	};
	/* Every command starts with its own size: that is how it can grow. */
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	if (ioctl(iommu, IOMMU_IOAS_ALLOC, &cmd))
		die_errno(notes, "IOMMU_IOAS_ALLOC");
	return cmd.out_ioas_id;
}

void iommu_destroy(int iommu, uint32_t id, const char *what)
{
	static const struct errno_note notes[] = {
		{ ENOENT,
		  "No object has this ID (any more)." },
		{ EBUSY,
		  "Another object, or an attached device, still uses it." },
		{ 0 }
	};
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	if (ioctl(iommu, IOMMU_DESTROY, &cmd))
		die_errno(notes, "IOMMU_DESTROY(%s %u)", what, id);
}

void iommu_iova_ranges(int iommu, uint32_t ioas, struct iova_ranges *out)
{
	static const struct errno_note notes[] = {
		{ ENOENT,
		  "The ID is not the ID of an IOAS." },
		{ EMSGSIZE,
		  "There are more ranges than the array has room for; num_iovas tells how many." },
		{ EFAULT,
		  "The array cannot be written." },
		{ 0 }
	};
	struct iommu_iova_range array[IOMMU_MAX_RANGES];
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = IOMMU_MAX_RANGES,
		.allowed_iovas = (uintptr_t)array,
	};
	unsigned int i;

	if (ioctl(iommu, IOMMU_IOAS_IOVA_RANGES, &cmd))
		die_errno(notes, "IOMMU_IOAS_IOVA_RANGES(IOAS %u, %u entries)",
			  ioas, IOMMU_MAX_RANGES);

	out->count = cmd.num_iovas;
	out->alignment = cmd.out_iova_alignment;
	for (i = 0; i < out->count; i++) {
		out->range[i].start = array[i].start;
		out->range[i].last = array[i].last;
	}
}

uint64_t iommu_map(int iommu, uint32_t ioas, void *va, size_t len,
		   uint64_t iova, unsigned int access)
{
	static const struct errno_note notes[] = {
		{ ENOENT,
		  "The ID is not the ID of an IOAS." },
		{ EINVAL,
		  "Address or length is not aligned to the IOAS's alignment, the length is 0,\n"
		  "or the fixed IOVA is in a reserved range (see IOMMU_IOAS_IOVA_RANGES)." },
		{ EEXIST,
		  "Something is mapped at this IOVA already; a mapping is never replaced." },
		{ ENOSPC,
		  "No hole in the IOVA space is large enough." },
		{ EOVERFLOW,
		  "The range wraps around the end of the address space." },
		{ EFAULT,
		  "Some of this memory is not mapped in the process, or cannot be pinned\n"
		  "(device memory), or is read-only and the device was to write it." },
		{ ENOMEM,
		  "Pinning would exceed RLIMIT_MEMLOCK (ulimit -l; CAP_IPC_LOCK lifts it),\n"
		  "or there is no memory for the page tables." },
		{ EOPNOTSUPP,
		  "A flag that this kernel does not know, or memory of a DAX file system." },
		{ 0 }
	};
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = len,
	};

	if (access & DMA_READ)
		cmd.flags |= IOMMU_IOAS_MAP_READABLE;
	if (access & DMA_WRITE)
		cmd.flags |= IOMMU_IOAS_MAP_WRITEABLE;
	if (iova != IOVA_ANY) {
		cmd.flags |= IOMMU_IOAS_MAP_FIXED_IOVA;
		cmd.iova = iova;
	}

	if (ioctl(iommu, IOMMU_IOAS_MAP, &cmd))
		die_errno(notes, "IOMMU_IOAS_MAP(%p, %s, %s 0x%lx)",
			  va, size_str(len),
			  iova == IOVA_ANY ? "any IOVA" : "IOVA",
			  (uint64_t)cmd.iova);
	return cmd.iova;
}

uint64_t iommu_unmap(int iommu, uint32_t ioas, uint64_t iova, size_t len)
{
	static const struct errno_note notes[] = {
		{ ENOENT,
		  "Nothing is mapped there, or the range would cut a mapping in two,\n"
		  "or the ID is not the ID of an IOAS." },
		{ EINVAL,
		  "The length is 0." },
		{ EBUSY,
		  "A mapping in the range is still being made by another thread." },
		{ EOVERFLOW,
		  "The range wraps around the end of the address space." },
		{ EDEADLOCK,
		  "A kernel driver that pinned this memory does not let go of it." },
		{ 0 }
	};
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = len,
	};

	if (ioctl(iommu, IOMMU_IOAS_UNMAP, &cmd))
		die_errno(notes, "IOMMU_IOAS_UNMAP(IOVA 0x%lx, %s)",
			  iova, size_str(len));
	return cmd.length;
}

static const char *kind_name(enum iommu_kind kind)
{
	switch (kind) {
	case IOMMU_KIND_VTD:
		return "Intel VT-d";
	case IOMMU_KIND_AMD:
		return "AMD-Vi";
	case IOMMU_KIND_SMMUV3:
		return "Arm SMMUv3";
	case IOMMU_KIND_VIRTIO:
		return "virtio-iommu";
	case IOMMU_KIND_RISCV:
		return "RISC-V IOMMU";
	default:
		return "an IOMMU this demo has no name for";
	}
}

/*
 * Each PCI device behind an IOMMU has a link "iommu" to it in /sys/class/iommu:
 * dmar0, ivhd0, smmu3.0x0000000009050000, riscv-iommu@3010000.iommu; virtio-iommu
 * has the name of a PCI function there, but a driver that tells.
 */
static enum iommu_kind kind_from_sysfs(const char *bdf, const char *instance)
{
	char driver[64];

	if (!strncmp(instance, "dmar", 4))
		return IOMMU_KIND_VTD;
	if (!strncmp(instance, "ivhd", 4))
		return IOMMU_KIND_AMD;
	if (!strncmp(instance, "smmu3", 5))
		return IOMMU_KIND_SMMUV3;
	if (!strncmp(instance, "riscv-iommu", 11))
		return IOMMU_KIND_RISCV;
	if (pci_link(bdf, "iommu/device/driver", driver, sizeof(driver)) &&
	    !strcmp(driver, "virtio_iommu"))
		return IOMMU_KIND_VIRTIO;
	return IOMMU_KIND_UNKNOWN;
}

/* A few fields of the ID registers, named as in the vendors' manuals. */
static void describe_vtd(const struct iommu_hw_info_vtd *info, char *out,
			 size_t size)
{
	unsigned int mgaw = ((info->cap_reg >> 16) & 0x3f) + 1;
	unsigned int sllps = (info->cap_reg >> 34) & 0xf;

	snprintf(out, size,
		 "CAP 0x%llx, ECAP 0x%llx: %u-bit IOVAs, pages of 4 KiB%s%s",
		 (unsigned long long)info->cap_reg,
		 (unsigned long long)info->ecap_reg, mgaw,
		 sllps & 1 ? ", 2 MiB" : "", sllps & 2 ? ", 1 GiB" : "");
}

static void describe_amd(const struct iommu_hw_info_amd *info, char *out,
			 size_t size)
{
	snprintf(out, size, "EFR 0x%llx, EFR2 0x%llx",
		 (unsigned long long)info->efr, (unsigned long long)info->efr2);
}

static void describe_smmuv3(const struct iommu_hw_info_arm_smmuv3 *info,
			    char *out, size_t size)
{
	snprintf(out, size,
		 "IDR0 0x%x, IDR1 0x%x, IDR5 0x%x: stage 1 %s, stage 2 %s",
		 info->idr[0], info->idr[1], info->idr[5],
		 info->idr[0] & 2 ? "yes" : "no",
		 info->idr[0] & 1 ? "yes" : "no");
}

void iommu_describe(int iommu, uint32_t dev_id, const char *bdf,
		    struct iommu_description *out)
{
	static const struct errno_note notes[] = {
		{ ENOENT,
		  "The ID is not the ID of a bound device." },
		{ EOPNOTSUPP,
		  "A flag this kernel does not know, or the device has no IOMMU at all." },
		{ EFAULT,
		  "The buffer cannot be written." },
		{ 0 }
	};
	/* Larger than any of them: the kernel zeroes what it does not use. */
	union {
		struct iommu_hw_info_vtd vtd;
		struct iommu_hw_info_amd amd;
		struct iommu_hw_info_arm_smmuv3 smmuv3;
	} data;
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = dev_id,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};

	if (ioctl(iommu, IOMMU_GET_HW_INFO, &cmd))
		die_errno(notes, "IOMMU_GET_HW_INFO(device %u)", dev_id);

	memset(out, 0, sizeof(*out));
	out->capabilities = cmd.out_capabilities;
	pci_link(bdf, "iommu", out->instance, sizeof(out->instance));
	switch (cmd.out_data_type) {
	case IOMMU_HW_INFO_TYPE_INTEL_VTD:
		out->kind = IOMMU_KIND_VTD;
		describe_vtd(&data.vtd, out->registers,
			     sizeof(out->registers));
		break;
	case IOMMU_HW_INFO_TYPE_AMD:
		out->kind = IOMMU_KIND_AMD;
		describe_amd(&data.amd, out->registers,
			     sizeof(out->registers));
		break;
	case IOMMU_HW_INFO_TYPE_ARM_SMMUV3:
		out->kind = IOMMU_KIND_SMMUV3;
		describe_smmuv3(&data.smmuv3, out->registers,
				sizeof(out->registers));
		break;
	default:
		/*
		 * Not every IOMMU driver reports registers: virtio-iommu has
		 * none, RISC-V's says nothing of them, and AMD-Vi only with
		 * CONFIG_AMD_IOMMU_IOMMUFD.
		 */
		out->kind = kind_from_sysfs(bdf, out->instance);
	}
	out->name = kind_name(out->kind);
}
