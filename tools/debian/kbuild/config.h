/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The options of a kernel that has iommufd as a module, for a kernel that was
 * configured without. Comes after the kernel's own autoconf.h in every file.
 */
#ifndef __IOMMUFD_DEBIAN_CONFIG_H
#define __IOMMUFD_DEBIAN_CONFIG_H

#define CONFIG_IOMMUFD_MODULE 1
#define CONFIG_IOMMUFD_DRIVER_CORE 1
#ifndef CONFIG_IOMMUFD_DRIVER
#define CONFIG_IOMMUFD_DRIVER 1
#endif
#define CONFIG_VFIO_DEVICE_CDEV 1

/*
 * Options change what struct vfio_device looks like, and this kernel has no
 * symbol versions that would keep modules apart which differ in that. Whoever
 * knows the structure calls one of these functions, so they have other names:
 * neither do the kernel's own drivers load on top of our vfio.ko, nor ours on top
 * of the kernel's. tools/debian/build checks that this is so.
 */
#define _vfio_alloc_device		iommufd_vfio_alloc_device
#define vfio_register_group_dev		iommufd_vfio_register_group_dev
#define vfio_register_emulated_iommu_dev iommufd_vfio_register_emulated_dev
#define vfio_register_iommu_driver	iommufd_vfio_register_iommu_driver

#endif
