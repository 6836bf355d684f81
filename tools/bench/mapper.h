/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who maps pages, one by one: native VFIO or iommufd.
 */
#ifndef BENCH_MAPPER_H
#define BENCH_MAPPER_H

#include <stddef.h>
#include <stdint.h>

struct iommufd_space;
struct type1;

/**
 * struct mapper - who maps a page
 * @subject: struct type1 or struct iommufd_space
 * @map: a page of memory
 * @unmap: all that is mapped in a range
 *
 * They return 0 or an errno.
 */
struct mapper {
	void *subject;
	int (*map)(void *subject, uint64_t iova, void *start);
	int (*unmap)(void *subject, uint64_t iova, size_t bytes);
};

struct mapper mapper_type1(struct type1 *type1);
struct mapper mapper_iommufd(struct iommufd_space *space);

#endif
