/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What programs that are compiled already rely on: the layout of every
 * structure and the value of every name in the user header and in the test
 * header. Including this file is the test. It was generated once, from the
 * layout of Linux 7.3; a change of a line that is here breaks programs, new
 * lines are added by hand.
 */
#ifndef __SELFTEST_IOMMU_ABI_LAYOUT_H
#define __SELFTEST_IOMMU_ABI_LAYOUT_H

#include <stddef.h>
#include <linux/iommufd.h>

#define LAYOUT(type, size, align)                                   \
	_Static_assert(sizeof(type) == (size) &&                    \
		       _Alignof(type) == (align), #type)
#define FIELD(type, field, offset, size)                            \
	_Static_assert(offsetof(type, field) == (offset) &&         \
		       sizeof(((type *)0)->field) == (size),        \
		       #type "." #field)
/* The last field that a caller has to know, and where it ends */
#define LAST(type, field, end)                                      \
	_Static_assert(offsetof(type, field) +                      \
			       sizeof(((type *)0)->field) == (end), \
		       #type "." #field)
#define VALUE(name, value) _Static_assert((name) == (value), #name)

LAYOUT(struct iommu_destroy, 8, 4);
FIELD(struct iommu_destroy, size, 0, 4);
FIELD(struct iommu_destroy, id, 4, 4);

LAYOUT(struct iommu_ioas_alloc, 12, 4);
FIELD(struct iommu_ioas_alloc, size, 0, 4);
FIELD(struct iommu_ioas_alloc, flags, 4, 4);
FIELD(struct iommu_ioas_alloc, out_ioas_id, 8, 4);

LAYOUT(struct iommu_iova_range, 16, 8);
FIELD(struct iommu_iova_range, start, 0, 8);
FIELD(struct iommu_iova_range, last, 8, 8);

LAYOUT(struct iommu_ioas_iova_ranges, 32, 8);
FIELD(struct iommu_ioas_iova_ranges, size, 0, 4);
FIELD(struct iommu_ioas_iova_ranges, ioas_id, 4, 4);
FIELD(struct iommu_ioas_iova_ranges, num_iovas, 8, 4);
FIELD(struct iommu_ioas_iova_ranges, __reserved, 12, 4);
FIELD(struct iommu_ioas_iova_ranges, allowed_iovas, 16, 8);
FIELD(struct iommu_ioas_iova_ranges, out_iova_alignment, 24, 8);

LAYOUT(struct iommu_ioas_allow_iovas, 24, 8);
FIELD(struct iommu_ioas_allow_iovas, size, 0, 4);
FIELD(struct iommu_ioas_allow_iovas, ioas_id, 4, 4);
FIELD(struct iommu_ioas_allow_iovas, num_iovas, 8, 4);
FIELD(struct iommu_ioas_allow_iovas, __reserved, 12, 4);
FIELD(struct iommu_ioas_allow_iovas, allowed_iovas, 16, 8);

LAYOUT(struct iommu_ioas_map, 40, 8);
FIELD(struct iommu_ioas_map, size, 0, 4);
FIELD(struct iommu_ioas_map, flags, 4, 4);
FIELD(struct iommu_ioas_map, ioas_id, 8, 4);
FIELD(struct iommu_ioas_map, __reserved, 12, 4);
FIELD(struct iommu_ioas_map, user_va, 16, 8);
FIELD(struct iommu_ioas_map, length, 24, 8);
FIELD(struct iommu_ioas_map, iova, 32, 8);

LAYOUT(struct iommu_ioas_noiommu_get_pa, 40, 8);
FIELD(struct iommu_ioas_noiommu_get_pa, size, 0, 4);
FIELD(struct iommu_ioas_noiommu_get_pa, flags, 4, 4);
FIELD(struct iommu_ioas_noiommu_get_pa, ioas_id, 8, 4);
FIELD(struct iommu_ioas_noiommu_get_pa, __reserved, 12, 4);
FIELD(struct iommu_ioas_noiommu_get_pa, iova, 16, 8);
FIELD(struct iommu_ioas_noiommu_get_pa, length, 24, 8);
FIELD(struct iommu_ioas_noiommu_get_pa, out_phys, 32, 8);

LAYOUT(struct iommu_ioas_map_file, 40, 8);
FIELD(struct iommu_ioas_map_file, size, 0, 4);
FIELD(struct iommu_ioas_map_file, flags, 4, 4);
FIELD(struct iommu_ioas_map_file, ioas_id, 8, 4);
FIELD(struct iommu_ioas_map_file, fd, 12, 4);
FIELD(struct iommu_ioas_map_file, start, 16, 8);
FIELD(struct iommu_ioas_map_file, length, 24, 8);
FIELD(struct iommu_ioas_map_file, iova, 32, 8);

LAYOUT(struct iommu_ioas_copy, 40, 8);
FIELD(struct iommu_ioas_copy, size, 0, 4);
FIELD(struct iommu_ioas_copy, flags, 4, 4);
FIELD(struct iommu_ioas_copy, dst_ioas_id, 8, 4);
FIELD(struct iommu_ioas_copy, src_ioas_id, 12, 4);
FIELD(struct iommu_ioas_copy, length, 16, 8);
FIELD(struct iommu_ioas_copy, dst_iova, 24, 8);
FIELD(struct iommu_ioas_copy, src_iova, 32, 8);

LAYOUT(struct iommu_ioas_unmap, 24, 8);
FIELD(struct iommu_ioas_unmap, size, 0, 4);
FIELD(struct iommu_ioas_unmap, ioas_id, 4, 4);
FIELD(struct iommu_ioas_unmap, iova, 8, 8);
FIELD(struct iommu_ioas_unmap, length, 16, 8);

LAYOUT(struct iommu_option, 24, 8);
FIELD(struct iommu_option, size, 0, 4);
FIELD(struct iommu_option, option_id, 4, 4);
FIELD(struct iommu_option, op, 8, 2);
FIELD(struct iommu_option, __reserved, 10, 2);
FIELD(struct iommu_option, object_id, 12, 4);
FIELD(struct iommu_option, val64, 16, 8);

LAYOUT(struct iommu_vfio_ioas, 12, 4);
FIELD(struct iommu_vfio_ioas, size, 0, 4);
FIELD(struct iommu_vfio_ioas, ioas_id, 4, 4);
FIELD(struct iommu_vfio_ioas, op, 8, 2);
FIELD(struct iommu_vfio_ioas, __reserved, 10, 2);

LAYOUT(struct iommu_hwpt_vtd_s1, 24, 8);
FIELD(struct iommu_hwpt_vtd_s1, flags, 0, 8);
FIELD(struct iommu_hwpt_vtd_s1, pgtbl_addr, 8, 8);
FIELD(struct iommu_hwpt_vtd_s1, addr_width, 16, 4);
FIELD(struct iommu_hwpt_vtd_s1, __reserved, 20, 4);

LAYOUT(struct iommu_hwpt_arm_smmuv3, 16, 8);
FIELD(struct iommu_hwpt_arm_smmuv3, ste, 0, 16);

LAYOUT(struct iommu_hwpt_amd_guest, 32, 8);
FIELD(struct iommu_hwpt_amd_guest, dte, 0, 32);

LAYOUT(struct iommu_hwpt_alloc, 48, 8);
FIELD(struct iommu_hwpt_alloc, size, 0, 4);
FIELD(struct iommu_hwpt_alloc, flags, 4, 4);
FIELD(struct iommu_hwpt_alloc, dev_id, 8, 4);
FIELD(struct iommu_hwpt_alloc, pt_id, 12, 4);
FIELD(struct iommu_hwpt_alloc, out_hwpt_id, 16, 4);
FIELD(struct iommu_hwpt_alloc, __reserved, 20, 4);
FIELD(struct iommu_hwpt_alloc, data_type, 24, 4);
FIELD(struct iommu_hwpt_alloc, data_len, 28, 4);
FIELD(struct iommu_hwpt_alloc, data_uptr, 32, 8);
FIELD(struct iommu_hwpt_alloc, fault_id, 40, 4);
FIELD(struct iommu_hwpt_alloc, __reserved2, 44, 4);

LAYOUT(struct iommu_hw_info_vtd, 24, 8);
FIELD(struct iommu_hw_info_vtd, flags, 0, 4);
FIELD(struct iommu_hw_info_vtd, __reserved, 4, 4);
FIELD(struct iommu_hw_info_vtd, cap_reg, 8, 8);
FIELD(struct iommu_hw_info_vtd, ecap_reg, 16, 8);

LAYOUT(struct iommu_hw_info_arm_smmuv3, 40, 4);
FIELD(struct iommu_hw_info_arm_smmuv3, flags, 0, 4);
FIELD(struct iommu_hw_info_arm_smmuv3, __reserved, 4, 4);
FIELD(struct iommu_hw_info_arm_smmuv3, idr, 8, 24);
FIELD(struct iommu_hw_info_arm_smmuv3, iidr, 32, 4);
FIELD(struct iommu_hw_info_arm_smmuv3, aidr, 36, 4);

LAYOUT(struct iommu_hw_info_tegra241_cmdqv, 8, 4);
FIELD(struct iommu_hw_info_tegra241_cmdqv, flags, 0, 4);
FIELD(struct iommu_hw_info_tegra241_cmdqv, version, 4, 1);
FIELD(struct iommu_hw_info_tegra241_cmdqv, log2vcmdqs, 5, 1);
FIELD(struct iommu_hw_info_tegra241_cmdqv, log2vsids, 6, 1);
FIELD(struct iommu_hw_info_tegra241_cmdqv, __reserved, 7, 1);

LAYOUT(struct iommu_hw_info_amd, 16, 8);
FIELD(struct iommu_hw_info_amd, efr, 0, 8);
FIELD(struct iommu_hw_info_amd, efr2, 8, 8);

LAYOUT(struct iommu_hw_info, 40, 8);
FIELD(struct iommu_hw_info, size, 0, 4);
FIELD(struct iommu_hw_info, flags, 4, 4);
FIELD(struct iommu_hw_info, dev_id, 8, 4);
FIELD(struct iommu_hw_info, data_len, 12, 4);
FIELD(struct iommu_hw_info, data_uptr, 16, 8);
FIELD(struct iommu_hw_info, in_data_type, 24, 4);
FIELD(struct iommu_hw_info, out_data_type, 24, 4);
FIELD(struct iommu_hw_info, out_max_pasid_log2, 28, 1);
FIELD(struct iommu_hw_info, __reserved, 29, 3);
FIELD(struct iommu_hw_info, out_capabilities, 32, 8);

LAYOUT(struct iommu_hwpt_set_dirty_tracking, 16, 4);
FIELD(struct iommu_hwpt_set_dirty_tracking, size, 0, 4);
FIELD(struct iommu_hwpt_set_dirty_tracking, flags, 4, 4);
FIELD(struct iommu_hwpt_set_dirty_tracking, hwpt_id, 8, 4);
FIELD(struct iommu_hwpt_set_dirty_tracking, __reserved, 12, 4);

LAYOUT(struct iommu_hwpt_get_dirty_bitmap, 48, 8);
FIELD(struct iommu_hwpt_get_dirty_bitmap, size, 0, 4);
FIELD(struct iommu_hwpt_get_dirty_bitmap, hwpt_id, 4, 4);
FIELD(struct iommu_hwpt_get_dirty_bitmap, flags, 8, 4);
FIELD(struct iommu_hwpt_get_dirty_bitmap, __reserved, 12, 4);
FIELD(struct iommu_hwpt_get_dirty_bitmap, iova, 16, 8);
FIELD(struct iommu_hwpt_get_dirty_bitmap, length, 24, 8);
FIELD(struct iommu_hwpt_get_dirty_bitmap, page_size, 32, 8);
FIELD(struct iommu_hwpt_get_dirty_bitmap, data, 40, 8);

LAYOUT(struct iommu_hwpt_vtd_s1_invalidate, 24, 8);
FIELD(struct iommu_hwpt_vtd_s1_invalidate, addr, 0, 8);
FIELD(struct iommu_hwpt_vtd_s1_invalidate, npages, 8, 8);
FIELD(struct iommu_hwpt_vtd_s1_invalidate, flags, 16, 4);
FIELD(struct iommu_hwpt_vtd_s1_invalidate, __reserved, 20, 4);

LAYOUT(struct iommu_viommu_arm_smmuv3_invalidate, 16, 8);
FIELD(struct iommu_viommu_arm_smmuv3_invalidate, cmd, 0, 16);

LAYOUT(struct iommu_hwpt_invalidate, 32, 8);
FIELD(struct iommu_hwpt_invalidate, size, 0, 4);
FIELD(struct iommu_hwpt_invalidate, hwpt_id, 4, 4);
FIELD(struct iommu_hwpt_invalidate, data_uptr, 8, 8);
FIELD(struct iommu_hwpt_invalidate, data_type, 16, 4);
FIELD(struct iommu_hwpt_invalidate, entry_len, 20, 4);
FIELD(struct iommu_hwpt_invalidate, entry_num, 24, 4);
FIELD(struct iommu_hwpt_invalidate, __reserved, 28, 4);

LAYOUT(struct iommu_hwpt_pgfault, 40, 8);
FIELD(struct iommu_hwpt_pgfault, flags, 0, 4);
FIELD(struct iommu_hwpt_pgfault, dev_id, 4, 4);
FIELD(struct iommu_hwpt_pgfault, pasid, 8, 4);
FIELD(struct iommu_hwpt_pgfault, grpid, 12, 4);
FIELD(struct iommu_hwpt_pgfault, perm, 16, 4);
FIELD(struct iommu_hwpt_pgfault, __reserved, 20, 4);
FIELD(struct iommu_hwpt_pgfault, addr, 24, 8);
FIELD(struct iommu_hwpt_pgfault, length, 32, 4);
FIELD(struct iommu_hwpt_pgfault, cookie, 36, 4);

LAYOUT(struct iommu_hwpt_page_response, 8, 4);
FIELD(struct iommu_hwpt_page_response, cookie, 0, 4);
FIELD(struct iommu_hwpt_page_response, code, 4, 4);

LAYOUT(struct iommu_fault_alloc, 16, 4);
FIELD(struct iommu_fault_alloc, size, 0, 4);
FIELD(struct iommu_fault_alloc, flags, 4, 4);
FIELD(struct iommu_fault_alloc, out_fault_id, 8, 4);
FIELD(struct iommu_fault_alloc, out_fault_fd, 12, 4);

LAYOUT(struct iommu_viommu_tegra241_cmdqv, 16, 8);
FIELD(struct iommu_viommu_tegra241_cmdqv, out_vintf_mmap_offset, 0, 8);
FIELD(struct iommu_viommu_tegra241_cmdqv, out_vintf_mmap_length, 8, 8);

LAYOUT(struct iommu_viommu_alloc, 40, 8);
FIELD(struct iommu_viommu_alloc, size, 0, 4);
FIELD(struct iommu_viommu_alloc, flags, 4, 4);
FIELD(struct iommu_viommu_alloc, type, 8, 4);
FIELD(struct iommu_viommu_alloc, dev_id, 12, 4);
FIELD(struct iommu_viommu_alloc, hwpt_id, 16, 4);
FIELD(struct iommu_viommu_alloc, out_viommu_id, 20, 4);
FIELD(struct iommu_viommu_alloc, data_len, 24, 4);
FIELD(struct iommu_viommu_alloc, __reserved, 28, 4);
FIELD(struct iommu_viommu_alloc, data_uptr, 32, 8);

LAYOUT(struct iommu_vdevice_alloc, 24, 8);
FIELD(struct iommu_vdevice_alloc, size, 0, 4);
FIELD(struct iommu_vdevice_alloc, viommu_id, 4, 4);
FIELD(struct iommu_vdevice_alloc, dev_id, 8, 4);
FIELD(struct iommu_vdevice_alloc, out_vdevice_id, 12, 4);
FIELD(struct iommu_vdevice_alloc, virt_id, 16, 8);

LAYOUT(struct iommu_ioas_change_process, 8, 4);
FIELD(struct iommu_ioas_change_process, size, 0, 4);
FIELD(struct iommu_ioas_change_process, __reserved, 4, 4);

LAYOUT(struct iommufd_vevent_header, 8, 4);
FIELD(struct iommufd_vevent_header, flags, 0, 4);
FIELD(struct iommufd_vevent_header, sequence, 4, 4);

LAYOUT(struct iommu_vevent_arm_smmuv3, 32, 8);
FIELD(struct iommu_vevent_arm_smmuv3, evt, 0, 32);

LAYOUT(struct iommu_vevent_tegra241_cmdqv, 16, 8);
FIELD(struct iommu_vevent_tegra241_cmdqv, lvcmdq_err_map, 0, 16);

LAYOUT(struct iommu_veventq_alloc, 32, 4);
FIELD(struct iommu_veventq_alloc, size, 0, 4);
FIELD(struct iommu_veventq_alloc, flags, 4, 4);
FIELD(struct iommu_veventq_alloc, viommu_id, 8, 4);
FIELD(struct iommu_veventq_alloc, type, 12, 4);
FIELD(struct iommu_veventq_alloc, veventq_depth, 16, 4);
FIELD(struct iommu_veventq_alloc, out_veventq_id, 20, 4);
FIELD(struct iommu_veventq_alloc, out_veventq_fd, 24, 4);
FIELD(struct iommu_veventq_alloc, __reserved, 28, 4);

LAYOUT(struct iommu_hw_queue_alloc, 40, 8);
FIELD(struct iommu_hw_queue_alloc, size, 0, 4);
FIELD(struct iommu_hw_queue_alloc, flags, 4, 4);
FIELD(struct iommu_hw_queue_alloc, viommu_id, 8, 4);
FIELD(struct iommu_hw_queue_alloc, type, 12, 4);
FIELD(struct iommu_hw_queue_alloc, index, 16, 4);
FIELD(struct iommu_hw_queue_alloc, out_hw_queue_id, 20, 4);
FIELD(struct iommu_hw_queue_alloc, nesting_parent_iova, 24, 8);
FIELD(struct iommu_hw_queue_alloc, length, 32, 8);

VALUE(IOMMUFD_CMD_BASE, 0x80);
VALUE(IOMMUFD_CMD_DESTROY, 0x80);
VALUE(IOMMUFD_CMD_IOAS_ALLOC, 0x81);
VALUE(IOMMUFD_CMD_IOAS_ALLOW_IOVAS, 0x82);
VALUE(IOMMUFD_CMD_IOAS_COPY, 0x83);
VALUE(IOMMUFD_CMD_IOAS_IOVA_RANGES, 0x84);
VALUE(IOMMUFD_CMD_IOAS_MAP, 0x85);
VALUE(IOMMUFD_CMD_IOAS_UNMAP, 0x86);
VALUE(IOMMUFD_CMD_OPTION, 0x87);
VALUE(IOMMUFD_CMD_VFIO_IOAS, 0x88);
VALUE(IOMMUFD_CMD_HWPT_ALLOC, 0x89);
VALUE(IOMMUFD_CMD_GET_HW_INFO, 0x8a);
VALUE(IOMMUFD_CMD_HWPT_SET_DIRTY_TRACKING, 0x8b);
VALUE(IOMMUFD_CMD_HWPT_GET_DIRTY_BITMAP, 0x8c);
VALUE(IOMMUFD_CMD_HWPT_INVALIDATE, 0x8d);
VALUE(IOMMUFD_CMD_FAULT_QUEUE_ALLOC, 0x8e);
VALUE(IOMMUFD_CMD_IOAS_MAP_FILE, 0x8f);
VALUE(IOMMUFD_CMD_VIOMMU_ALLOC, 0x90);
VALUE(IOMMUFD_CMD_VDEVICE_ALLOC, 0x91);
VALUE(IOMMUFD_CMD_IOAS_CHANGE_PROCESS, 0x92);
VALUE(IOMMUFD_CMD_VEVENTQ_ALLOC, 0x93);
VALUE(IOMMUFD_CMD_HW_QUEUE_ALLOC, 0x94);
VALUE(IOMMUFD_CMD_IOAS_NOIOMMU_GET_PA, 0x95);

LAYOUT(enum iommufd_ioas_map_flags, 4, 4);
VALUE(IOMMU_IOAS_MAP_FIXED_IOVA, 0x1);
VALUE(IOMMU_IOAS_MAP_WRITEABLE, 0x2);
VALUE(IOMMU_IOAS_MAP_READABLE, 0x4);

LAYOUT(enum iommufd_option, 4, 4);
VALUE(IOMMU_OPTION_RLIMIT_MODE, 0x0);
VALUE(IOMMU_OPTION_HUGE_PAGES, 0x1);

LAYOUT(enum iommufd_option_ops, 4, 4);
VALUE(IOMMU_OPTION_OP_SET, 0x0);
VALUE(IOMMU_OPTION_OP_GET, 0x1);

LAYOUT(enum iommufd_vfio_ioas_op, 4, 4);
VALUE(IOMMU_VFIO_IOAS_GET, 0x0);
VALUE(IOMMU_VFIO_IOAS_SET, 0x1);
VALUE(IOMMU_VFIO_IOAS_CLEAR, 0x2);

LAYOUT(enum iommufd_hwpt_alloc_flags, 4, 4);
VALUE(IOMMU_HWPT_ALLOC_NEST_PARENT, 0x1);
VALUE(IOMMU_HWPT_ALLOC_DIRTY_TRACKING, 0x2);
VALUE(IOMMU_HWPT_FAULT_ID_VALID, 0x4);
VALUE(IOMMU_HWPT_ALLOC_PASID, 0x8);

LAYOUT(enum iommu_hwpt_vtd_s1_flags, 4, 4);
VALUE(IOMMU_VTD_S1_SRE, 0x1);
VALUE(IOMMU_VTD_S1_EAFE, 0x2);
VALUE(IOMMU_VTD_S1_WPE, 0x4);

LAYOUT(enum iommu_hwpt_data_type, 4, 4);
VALUE(IOMMU_HWPT_DATA_NONE, 0x0);
VALUE(IOMMU_HWPT_DATA_VTD_S1, 0x1);
VALUE(IOMMU_HWPT_DATA_ARM_SMMUV3, 0x2);
VALUE(IOMMU_HWPT_DATA_AMD_GUEST, 0x3);

LAYOUT(enum iommu_hw_info_vtd_flags, 4, 4);
VALUE(IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17, 0x1);

LAYOUT(enum iommu_hw_info_arm_smmuv3_flags, 4, 4);
VALUE(IOMMU_HW_INFO_ARM_SMMUV3_ERRATA_REPEAT_TLBI_CFGI, 0x1);

LAYOUT(enum iommu_hw_info_type, 4, 4);
VALUE(IOMMU_HW_INFO_TYPE_NONE, 0x0);
VALUE(IOMMU_HW_INFO_TYPE_DEFAULT, 0x0);
VALUE(IOMMU_HW_INFO_TYPE_INTEL_VTD, 0x1);
VALUE(IOMMU_HW_INFO_TYPE_ARM_SMMUV3, 0x2);
VALUE(IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, 0x3);
VALUE(IOMMU_HW_INFO_TYPE_AMD, 0x4);

LAYOUT(enum iommufd_hw_capabilities, 4, 4);
VALUE(IOMMU_HW_CAP_DIRTY_TRACKING, 0x1);
VALUE(IOMMU_HW_CAP_PCI_PASID_EXEC, 0x2);
VALUE(IOMMU_HW_CAP_PCI_PASID_PRIV, 0x4);
VALUE(IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED, 0x8);

LAYOUT(enum iommufd_hw_info_flags, 4, 4);
VALUE(IOMMU_HW_INFO_FLAG_INPUT_TYPE, 0x1);

LAYOUT(enum iommufd_hwpt_set_dirty_tracking_flags, 4, 4);
VALUE(IOMMU_HWPT_DIRTY_TRACKING_ENABLE, 0x1);

LAYOUT(enum iommufd_hwpt_get_dirty_bitmap_flags, 4, 4);
VALUE(IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, 0x1);

LAYOUT(enum iommu_hwpt_invalidate_data_type, 4, 4);
VALUE(IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, 0x0);
VALUE(IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, 0x1);

LAYOUT(enum iommu_hwpt_vtd_s1_invalidate_flags, 4, 4);
VALUE(IOMMU_VTD_INV_FLAGS_LEAF, 0x1);

LAYOUT(enum iommu_hwpt_pgfault_flags, 4, 4);
VALUE(IOMMU_PGFAULT_FLAGS_PASID_VALID, 0x1);
VALUE(IOMMU_PGFAULT_FLAGS_LAST_PAGE, 0x2);

LAYOUT(enum iommu_hwpt_pgfault_perm, 4, 4);
VALUE(IOMMU_PGFAULT_PERM_READ, 0x1);
VALUE(IOMMU_PGFAULT_PERM_WRITE, 0x2);
VALUE(IOMMU_PGFAULT_PERM_EXEC, 0x4);
VALUE(IOMMU_PGFAULT_PERM_PRIV, 0x8);

LAYOUT(enum iommufd_page_response_code, 4, 4);
VALUE(IOMMUFD_PAGE_RESP_SUCCESS, 0x0);
VALUE(IOMMUFD_PAGE_RESP_INVALID, 0x1);

LAYOUT(enum iommu_viommu_type, 4, 4);
VALUE(IOMMU_VIOMMU_TYPE_DEFAULT, 0x0);
VALUE(IOMMU_VIOMMU_TYPE_ARM_SMMUV3, 0x1);
VALUE(IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, 0x2);

LAYOUT(enum iommu_veventq_flag, 4, 4);
VALUE(IOMMU_VEVENTQ_FLAG_LOST_EVENTS, 0x1);

LAYOUT(enum iommu_veventq_type, 4, 4);
VALUE(IOMMU_VEVENTQ_TYPE_DEFAULT, 0x0);
VALUE(IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, 0x1);
VALUE(IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, 0x2);

LAYOUT(enum iommu_hw_queue_type, 4, 4);
VALUE(IOMMU_HW_QUEUE_TYPE_DEFAULT, 0x0);
VALUE(IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, 0x1);
VALUE(IOMMUFD_TYPE, 0x3b);

VALUE(IOMMU_DESTROY, 0x3b80);
LAST(struct iommu_destroy, id, 8);

VALUE(IOMMU_IOAS_ALLOC, 0x3b81);
LAST(struct iommu_ioas_alloc, out_ioas_id, 12);

VALUE(IOMMU_IOAS_IOVA_RANGES, 0x3b84);
LAST(struct iommu_ioas_iova_ranges, out_iova_alignment, 32);

VALUE(IOMMU_IOAS_ALLOW_IOVAS, 0x3b82);
LAST(struct iommu_ioas_allow_iovas, allowed_iovas, 24);

VALUE(IOMMU_IOAS_MAP, 0x3b85);
LAST(struct iommu_ioas_map, iova, 40);

VALUE(IOMMU_IOAS_NOIOMMU_GET_PA, 0x3b95);
LAST(struct iommu_ioas_noiommu_get_pa, out_phys, 40);

VALUE(IOMMU_IOAS_MAP_FILE, 0x3b8f);
LAST(struct iommu_ioas_map_file, iova, 40);

VALUE(IOMMU_IOAS_COPY, 0x3b83);
LAST(struct iommu_ioas_copy, src_iova, 40);

VALUE(IOMMU_IOAS_UNMAP, 0x3b86);
LAST(struct iommu_ioas_unmap, length, 24);

VALUE(IOMMU_OPTION, 0x3b87);
LAST(struct iommu_option, val64, 24);

VALUE(IOMMU_VFIO_IOAS, 0x3b88);
LAST(struct iommu_vfio_ioas, __reserved, 12);

VALUE(IOMMU_HWPT_ALLOC, 0x3b89);
LAST(struct iommu_hwpt_alloc, __reserved, 24);

VALUE(IOMMU_GET_HW_INFO, 0x3b8a);
LAST(struct iommu_hw_info, __reserved, 32);

VALUE(IOMMU_HWPT_SET_DIRTY_TRACKING, 0x3b8b);
LAST(struct iommu_hwpt_set_dirty_tracking, __reserved, 16);

VALUE(IOMMU_HWPT_GET_DIRTY_BITMAP, 0x3b8c);
LAST(struct iommu_hwpt_get_dirty_bitmap, data, 48);

VALUE(IOMMU_HWPT_INVALIDATE, 0x3b8d);
LAST(struct iommu_hwpt_invalidate, __reserved, 32);

VALUE(IOMMU_FAULT_QUEUE_ALLOC, 0x3b8e);
LAST(struct iommu_fault_alloc, out_fault_fd, 16);

VALUE(IOMMU_VIOMMU_ALLOC, 0x3b90);
LAST(struct iommu_viommu_alloc, out_viommu_id, 24);

VALUE(IOMMU_VDEVICE_ALLOC, 0x3b91);
LAST(struct iommu_vdevice_alloc, virt_id, 24);

VALUE(IOMMU_IOAS_CHANGE_PROCESS, 0x3b92);
LAST(struct iommu_ioas_change_process, __reserved, 8);

VALUE(IOMMU_VEVENTQ_ALLOC, 0x3b93);
LAST(struct iommu_veventq_alloc, out_veventq_fd, 28);

VALUE(IOMMU_HW_QUEUE_ALLOC, 0x3b94);
LAST(struct iommu_hw_queue_alloc, length, 40);

/* The ioctl of the self test */
#include "iommufd_test.h"

LAYOUT(struct iommu_test_cmd, 72, 8);
FIELD(struct iommu_test_cmd, size, 0, 4);
FIELD(struct iommu_test_cmd, op, 4, 4);
FIELD(struct iommu_test_cmd, id, 8, 4);
FIELD(struct iommu_test_cmd, __reserved, 12, 4);
FIELD(struct iommu_test_cmd, add_reserved, 16, 16);
FIELD(struct iommu_test_cmd, add_reserved.start, 16, 8);
FIELD(struct iommu_test_cmd, add_reserved.length, 24, 8);
FIELD(struct iommu_test_cmd, mock_domain, 16, 12);
FIELD(struct iommu_test_cmd, mock_domain.out_stdev_id, 16, 4);
FIELD(struct iommu_test_cmd, mock_domain.out_hwpt_id, 20, 4);
FIELD(struct iommu_test_cmd, mock_domain.out_idev_id, 24, 4);
FIELD(struct iommu_test_cmd, mock_domain_flags, 16, 16);
FIELD(struct iommu_test_cmd, mock_domain_flags.out_stdev_id, 16, 4);
FIELD(struct iommu_test_cmd, mock_domain_flags.out_hwpt_id, 20, 4);
FIELD(struct iommu_test_cmd, mock_domain_flags.out_idev_id, 24, 4);
FIELD(struct iommu_test_cmd, mock_domain_flags.dev_flags, 28, 4);
FIELD(struct iommu_test_cmd, mock_domain_replace, 16, 4);
FIELD(struct iommu_test_cmd, mock_domain_replace.pt_id, 16, 4);
FIELD(struct iommu_test_cmd, check_map, 16, 24);
FIELD(struct iommu_test_cmd, check_map.iova, 16, 8);
FIELD(struct iommu_test_cmd, check_map.length, 24, 8);
FIELD(struct iommu_test_cmd, check_map.uptr, 32, 8);
FIELD(struct iommu_test_cmd, check_refs, 16, 24);
FIELD(struct iommu_test_cmd, check_refs.length, 16, 8);
FIELD(struct iommu_test_cmd, check_refs.uptr, 24, 8);
FIELD(struct iommu_test_cmd, check_refs.refs, 32, 4);
FIELD(struct iommu_test_cmd, create_access, 16, 8);
FIELD(struct iommu_test_cmd, create_access.out_access_fd, 16, 4);
FIELD(struct iommu_test_cmd, create_access.flags, 20, 4);
FIELD(struct iommu_test_cmd, destroy_access_pages, 16, 4);
FIELD(struct iommu_test_cmd, destroy_access_pages.access_pages_id, 16, 4);
FIELD(struct iommu_test_cmd, access_pages, 16, 32);
FIELD(struct iommu_test_cmd, access_pages.flags, 16, 4);
FIELD(struct iommu_test_cmd, access_pages.out_access_pages_id, 20, 4);
FIELD(struct iommu_test_cmd, access_pages.iova, 24, 8);
FIELD(struct iommu_test_cmd, access_pages.length, 32, 8);
FIELD(struct iommu_test_cmd, access_pages.uptr, 40, 8);
FIELD(struct iommu_test_cmd, access_rw, 16, 32);
FIELD(struct iommu_test_cmd, access_rw.iova, 16, 8);
FIELD(struct iommu_test_cmd, access_rw.length, 24, 8);
FIELD(struct iommu_test_cmd, access_rw.uptr, 32, 8);
FIELD(struct iommu_test_cmd, access_rw.flags, 40, 4);
FIELD(struct iommu_test_cmd, memory_limit, 16, 4);
FIELD(struct iommu_test_cmd, memory_limit.limit, 16, 4);
FIELD(struct iommu_test_cmd, access_replace_ioas, 16, 4);
FIELD(struct iommu_test_cmd, access_replace_ioas.ioas_id, 16, 4);
FIELD(struct iommu_test_cmd, dirty, 16, 48);
FIELD(struct iommu_test_cmd, dirty.flags, 16, 4);
FIELD(struct iommu_test_cmd, dirty.iova, 24, 8);
FIELD(struct iommu_test_cmd, dirty.length, 32, 8);
FIELD(struct iommu_test_cmd, dirty.page_size, 40, 8);
FIELD(struct iommu_test_cmd, dirty.uptr, 48, 8);
FIELD(struct iommu_test_cmd, dirty.out_nr_dirty, 56, 8);
FIELD(struct iommu_test_cmd, check_iotlb, 16, 8);
FIELD(struct iommu_test_cmd, check_iotlb.id, 16, 4);
FIELD(struct iommu_test_cmd, check_iotlb.iotlb, 20, 4);
FIELD(struct iommu_test_cmd, trigger_iopf, 16, 24);
FIELD(struct iommu_test_cmd, trigger_iopf.dev_id, 16, 4);
FIELD(struct iommu_test_cmd, trigger_iopf.pasid, 20, 4);
FIELD(struct iommu_test_cmd, trigger_iopf.grpid, 24, 4);
FIELD(struct iommu_test_cmd, trigger_iopf.perm, 28, 4);
FIELD(struct iommu_test_cmd, trigger_iopf.addr, 32, 8);
FIELD(struct iommu_test_cmd, check_dev_cache, 16, 8);
FIELD(struct iommu_test_cmd, check_dev_cache.id, 16, 4);
FIELD(struct iommu_test_cmd, check_dev_cache.cache, 20, 4);
FIELD(struct iommu_test_cmd, trigger_vevent, 16, 4);
FIELD(struct iommu_test_cmd, trigger_vevent.dev_id, 16, 4);
FIELD(struct iommu_test_cmd, pasid_attach, 16, 8);
FIELD(struct iommu_test_cmd, pasid_attach.pasid, 16, 4);
FIELD(struct iommu_test_cmd, pasid_attach.pt_id, 20, 4);
FIELD(struct iommu_test_cmd, pasid_replace, 16, 8);
FIELD(struct iommu_test_cmd, pasid_replace.pasid, 16, 4);
FIELD(struct iommu_test_cmd, pasid_replace.pt_id, 20, 4);
FIELD(struct iommu_test_cmd, pasid_detach, 16, 4);
FIELD(struct iommu_test_cmd, pasid_detach.pasid, 16, 4);
FIELD(struct iommu_test_cmd, pasid_check, 16, 8);
FIELD(struct iommu_test_cmd, pasid_check.pasid, 16, 4);
FIELD(struct iommu_test_cmd, pasid_check.hwpt_id, 20, 4);
FIELD(struct iommu_test_cmd, dmabuf_get, 16, 8);
FIELD(struct iommu_test_cmd, dmabuf_get.length, 16, 4);
FIELD(struct iommu_test_cmd, dmabuf_get.open_flags, 20, 4);
FIELD(struct iommu_test_cmd, dmabuf_revoke, 16, 8);
FIELD(struct iommu_test_cmd, dmabuf_revoke.dmabuf_fd, 16, 4);
FIELD(struct iommu_test_cmd, dmabuf_revoke.revoked, 20, 4);
FIELD(struct iommu_test_cmd, last, 64, 4);

LAYOUT(struct iommu_test_hw_info, 8, 4);
FIELD(struct iommu_test_hw_info, flags, 0, 4);
FIELD(struct iommu_test_hw_info, test_reg, 4, 4);

LAYOUT(struct iommu_hwpt_selftest, 8, 4);
FIELD(struct iommu_hwpt_selftest, iotlb, 0, 4);
FIELD(struct iommu_hwpt_selftest, pagetable_type, 4, 4);

LAYOUT(struct iommu_hwpt_invalidate_selftest, 8, 4);
FIELD(struct iommu_hwpt_invalidate_selftest, flags, 0, 4);
FIELD(struct iommu_hwpt_invalidate_selftest, iotlb_id, 4, 4);

LAYOUT(struct iommu_viommu_selftest, 24, 8);
FIELD(struct iommu_viommu_selftest, in_data, 0, 4);
FIELD(struct iommu_viommu_selftest, out_data, 4, 4);
FIELD(struct iommu_viommu_selftest, out_mmap_offset, 8, 8);
FIELD(struct iommu_viommu_selftest, out_mmap_length, 16, 8);

LAYOUT(struct iommu_viommu_invalidate_selftest, 12, 4);
FIELD(struct iommu_viommu_invalidate_selftest, flags, 0, 4);
FIELD(struct iommu_viommu_invalidate_selftest, vdev_id, 4, 4);
FIELD(struct iommu_viommu_invalidate_selftest, cache_id, 8, 4);

LAYOUT(struct iommu_viommu_event_selftest, 4, 4);
FIELD(struct iommu_viommu_event_selftest, virt_id, 0, 4);

VALUE(IOMMU_TEST_OP_ADD_RESERVED, 0x1);
VALUE(IOMMU_TEST_OP_MOCK_DOMAIN, 0x2);
VALUE(IOMMU_TEST_OP_MD_CHECK_MAP, 0x3);
VALUE(IOMMU_TEST_OP_MD_CHECK_REFS, 0x4);
VALUE(IOMMU_TEST_OP_CREATE_ACCESS, 0x5);
VALUE(IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, 0x6);
VALUE(IOMMU_TEST_OP_ACCESS_PAGES, 0x7);
VALUE(IOMMU_TEST_OP_ACCESS_RW, 0x8);
VALUE(IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, 0x9);
VALUE(IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, 0xa);
VALUE(IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, 0xb);
VALUE(IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, 0xc);
VALUE(IOMMU_TEST_OP_DIRTY, 0xd);
VALUE(IOMMU_TEST_OP_MD_CHECK_IOTLB, 0xe);
VALUE(IOMMU_TEST_OP_TRIGGER_IOPF, 0xf);
VALUE(IOMMU_TEST_OP_DEV_CHECK_CACHE, 0x10);
VALUE(IOMMU_TEST_OP_TRIGGER_VEVENT, 0x11);
VALUE(IOMMU_TEST_OP_PASID_ATTACH, 0x12);
VALUE(IOMMU_TEST_OP_PASID_REPLACE, 0x13);
VALUE(IOMMU_TEST_OP_PASID_DETACH, 0x14);
VALUE(IOMMU_TEST_OP_PASID_CHECK_HWPT, 0x15);
VALUE(IOMMU_TEST_OP_DMABUF_GET, 0x16);
VALUE(IOMMU_TEST_OP_DMABUF_REVOKE, 0x17);

VALUE(MOCK_IOMMUPT_DEFAULT, 0x0);
VALUE(MOCK_IOMMUPT_HUGE, 0x1);

VALUE(MOCK_APERTURE_START, 0x1000000);
VALUE(MOCK_APERTURE_LAST, 0x7fffffff);
VALUE(MOCK_PAGE_SIZE, 0x800);
VALUE(MOCK_HUGE_PAGE_SIZE, 0x100000);

VALUE(MOCK_FLAGS_ACCESS_WRITE, 0x1);
VALUE(MOCK_FLAGS_ACCESS_SYZ, 0x10000);

VALUE(MOCK_ACCESS_RW_WRITE, 0x1);
VALUE(MOCK_ACCESS_RW_SLOW_PATH, 0x4);

VALUE(MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES, 0x1);

VALUE(MOCK_FLAGS_DEVICE_NO_DIRTY, 0x1);
VALUE(MOCK_FLAGS_DEVICE_PASID, 0x4);

VALUE(MOCK_NESTED_DOMAIN_IOTLB_ID_MAX, 0x3);
VALUE(MOCK_NESTED_DOMAIN_IOTLB_NUM, 0x4);

VALUE(MOCK_DEV_CACHE_ID_MAX, 0x3);
VALUE(MOCK_DEV_CACHE_NUM, 0x4);
VALUE(IOMMU_TEST_PASID_RESERVED, 0x400);
VALUE(MOCK_PASID_WIDTH, 0x14);
VALUE(IOMMU_HW_INFO_TYPE_SELFTEST, 0xfeedbeef);
VALUE(IOMMU_HW_INFO_SELFTEST_REGVAL, 0xdeadbeef);
VALUE(IOMMU_HWPT_DATA_SELFTEST, 0xdead);
VALUE(IOMMU_TEST_IOTLB_DEFAULT, 0xbadbeef);
VALUE(IOMMU_TEST_DEV_CACHE_DEFAULT, 0xbaddad);
VALUE(IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, 0xdeadbeef);
VALUE(IOMMU_HWPT_INVALIDATE_DATA_SELFTEST_INVALID, 0xdadbeef);
VALUE(IOMMU_TEST_INVALIDATE_FLAG_ALL, 0x1);
VALUE(IOMMU_VIOMMU_TYPE_SELFTEST, 0xdeadbeef);
VALUE(IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, 0xdeadbeef);
VALUE(IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST_INVALID, 0xdadbeef);
VALUE(IOMMU_VEVENTQ_TYPE_SELFTEST, 0xbeefbeef);
VALUE(IOMMU_HW_QUEUE_TYPE_SELFTEST, 0xdeadbeef);
VALUE(IOMMU_TEST_HW_QUEUE_MAX, 0x2);

VALUE(IOMMU_TEST_CMD, 0x3ba0);
LAST(struct iommu_test_cmd, last, 68);

#undef LAYOUT
#undef FIELD
#undef LAST
#undef VALUE
#endif
