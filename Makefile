# SPDX-License-Identifier: GPL-2.0-only
#
# Two uses: in a kernel tree Kbuild reads this, and it always sets $(obj).
# Anywhere else it offers the targets of tools/targets.mk; "make help" lists
# them.
ifneq ($(obj),)

iommufd-y := \
	access.o \
	accounting.o \
	area.o \
	attach.o \
	auto_hwpt.o \
	change_process.o \
	ctx.o \
	device.o \
	dirty.o \
	dirty_log.o \
	eventq.o \
	fault.o \
	file_memory.o \
	group.o \
	hw_pagetable.o \
	hw_queue.o \
	io_pagetable.o \
	ioas.o \
	iopt_domains.o \
	iopt_map.o \
	iopt_unmap.o \
	iopt_user.o \
	iopt_vaddr.o \
	iova_space.o \
	main.o \
	object.o \
	pages.o \
	pages_map.o \
	pages_rw.o \
	pages_walk.o \
	pfn_runs.o \
	pfnmap.o \
	pinning.o \
	refusal.o \
	revocable.o \
	trace.o \
	user_memory.o \
	vdevice.o \
	veventq.o \
	vfio_compat.o \
	vfio_dirty.o \
	vfio_vaddr.o \
	viommu.o
iommufd-$(CONFIG_DMA_SHARED_BUFFER) += dmabuf.o
iommufd-$(CONFIG_PROC_FS) += fdinfo.o
iommufd-$(CONFIG_IOMMUFD_NOIOMMU) += noiommu.o
iommufd-$(CONFIG_IOMMUFD_TEST) += \
	selftest.o \
	test_hooks.o \
	mock/access.o \
	mock/device.o \
	mock/dmabuf.o \
	mock/domain.o \
	mock/iommu.o \
	mock/viommu.o

iommufd-$(CONFIG_IOMMUFD_KUNIT_TEST) += \
	tests/area_test.o \
	tests/fault_test.o \
	tests/io_pagetable_test.o \
	tests/iova_bitmap_test.o \
	tests/iova_space_test.o \
	tests/pages_test.o \
	tests/pfn_runs_test.o \
	tests/veventq_test.o

# Called by built-in code, so built in even when IOMMUFD is a module. It may not
# refer to anything above.
iommufd_driver-y := driver.o
iommufd_driver-$(CONFIG_IRQ_MSI_IOMMU) += sw_msi.o

obj-$(CONFIG_IOMMUFD) += iommufd.o
obj-$(CONFIG_IOMMUFD_DRIVER_CORE) += iommufd_driver.o
obj-$(CONFIG_IOMMUFD_DRIVER) += iova_bitmap.o

else
include $(dir $(realpath $(firstword $(MAKEFILE_LIST))))tools/targets.mk
endif
