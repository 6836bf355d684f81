/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The IOAS object: an IOVA space that user space fills and HWPTs mirror.
 */
#ifndef __IOMMUFD_IOAS_H
#define __IOMMUFD_IOAS_H

#include "io_pagetable.h"
#include "object.h"

/**
 * struct iommufd_ioas - IOMMUFD_OBJ_IOAS
 * @obj: in the ID table; each HWPT_PAGING and each attached access is a user
 * @iopt: the IOVA space
 * @mutex: serialises choice and creation of automatic HWPTs on this IOAS
 * @hwpt_list: struct iommufd_hwpt_paging.hwpt_item of automatic HWPTs in order
 *	of creation, under @mutex
 * @vfio_type1: a VFIO container chose type 1, which has no dirty log; set once,
 *	under @mutex
 * @change_item: for iommufd_change_process(), under the write side of
 *	iommufd_ctx.ioas_creation_lock
 */
struct iommufd_ioas {
	struct iommufd_object obj;
	struct io_pagetable iopt;
	struct mutex mutex; /* hwpt_list */
	struct list_head hwpt_list;
	bool vfio_type1;
	struct list_head change_item;
};

static inline struct iommufd_ioas *iommufd_get_ioas(struct iommufd_ctx *ictx,
						    u32 id)
{
	struct iommufd_object *obj =
		iommufd_get_object(ictx, id, IOMMUFD_OBJ_IOAS);

	return container_of_const(obj, struct iommufd_ioas, obj);
}

void iommufd_ioas_init(struct iommufd_ioas *ioas, struct iommufd_ctx *ictx);
void iommufd_ioas_destroy(struct iommufd_object *obj);

int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd);
int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd);
int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map(struct iommufd_ucmd *ucmd);
int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd);
int iommufd_ioas_copy(struct iommufd_ucmd *ucmd);
int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd);
int iommufd_ioas_change_process(struct iommufd_ucmd *ucmd);
int iommufd_ioas_noiommu_get_pa(struct iommufd_ucmd *ucmd);
int iommufd_option(struct iommufd_ucmd *ucmd);

#endif
