# SPDX-License-Identifier: GPL-2.0-only
#
# Two uses: inside a kernel tree this is drivers/iommu/iommufd/Makefile, read
# by Kbuild, which always sets $(obj). Anywhere else it offers the targets of
# tools/targets.mk; "make help" lists them.
ifneq ($(obj),)

iommufd-y := \
	main.o

# Called by built-in code, so built in even when IOMMUFD is a module. It may not
# refer to anything above.
iommufd_driver-y := driver.o

obj-$(CONFIG_IOMMUFD) += iommufd.o
obj-$(CONFIG_IOMMUFD_DRIVER_CORE) += iommufd_driver.o
obj-$(CONFIG_IOMMUFD_DRIVER) += iova_bitmap.o

else
include $(dir $(realpath $(firstword $(MAKEFILE_LIST))))tools/targets.mk
endif
