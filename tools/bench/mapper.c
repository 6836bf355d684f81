// SPDX-License-Identifier: GPL-2.0-only
#include "mapper.h"
#include "iommufd.h"
#include "memory.h"
#include "type1.h"

static int map_type1(void *subject, uint64_t iova, void *start)
{
	return type1_map(subject, iova, start, BENCH_PAGE);
}

static int unmap_type1(void *subject, uint64_t iova, size_t bytes)
{
	return type1_unmap(subject, iova, bytes);
}

struct mapper mapper_type1(struct type1 *type1)
{
	return (struct mapper){
		.subject = type1,
		.map = map_type1,
		.unmap = unmap_type1,
	};
}

static int map_iommufd(void *subject, uint64_t iova, void *start)
{
	return iommufd_map_user(subject, iova, start, BENCH_PAGE);
}

static int unmap_iommufd(void *subject, uint64_t iova, size_t bytes)
{
	return iommufd_unmap(subject, iova, bytes);
}

struct mapper mapper_iommufd(struct iommufd_space *space)
{
	return (struct mapper){
		.subject = space,
		.map = map_iommufd,
		.unmap = unmap_iommufd,
	};
}
