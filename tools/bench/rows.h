/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What gets measured. Each function is about some rows of the report.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "iommufd.h"
#include "type1.h"

#include <stdbool.h>

/**
 * struct subjects - who gets measured; each has a device of its own
 * @type1: native VFIO
 * @space: iommufd, the space that gets mapped
 * @other: iommufd, the space that gets copied to
 * @floor: file descriptor of the module bench_floor
 * @have_type1: @type1 can be used
 * @have_iommufd: @space and @other can be used
 * @have_floor: @floor can be used
 */
struct subjects {
	struct type1 type1;
	struct iommufd_space space;
	struct iommufd_space other;
	int floor;
	bool have_type1;
	bool have_iommufd;
	bool have_floor;
};

/* Instructions per page, counted: rows.c, rows-iommufd.c */
void rows_map(struct subjects *subjects);
void rows_small(struct subjects *subjects);
void rows_second(struct subjects *subjects);
void rows_access(struct subjects *subjects);
void rows_dirty(struct subjects *subjects);
void rows_scale(struct subjects *subjects);
void rows_memory(struct subjects *subjects);
/* Instructions per call, as a guest with an IOMMU has QEMU map: rows-viommu.c */
void rows_viommu(struct subjects *subjects);

/* Instructions per call, by how much there is already: rows-growth.c */
void rows_growth(struct subjects *subjects);
/* The same by the number of mock devices, which need no subjects: rows-mock.c */
void rows_mock(struct subjects *subjects);

/* Wall time, two CPUs: threads.c */
void rows_threads(struct subjects *subjects);

/* Marks for the plugin that counts instructions by function: profile.c */
void rows_profile(struct subjects *subjects);

/* Where everything is mapped: away from what platforms reserve */
#define BENCH_IOVA (1ull << 32)
#define BENCH_REPEAT 3

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#endif
