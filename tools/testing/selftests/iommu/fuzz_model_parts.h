/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the model need of each other.
 */
#ifndef __FUZZ_MODEL_PARTS_H
#define __FUZZ_MODEL_PARTS_H

#include <errno.h>
#include <string.h>

#include <linux/iommufd.h>
#include "iommufd_test.h"
#include "fuzz_model.h"

#define ALL_ONES (~(__u64)0)

/* Do something to the model whole or not at all */
#define ATOMICALLY(m, expr)                                                    \
	({                                                                     \
		static struct model __before;                                  \
		int __rc;                                                      \
		__before = *(m);                                               \
		__rc = (expr);                                                 \
		if (__rc) {                                                    \
			memcpy(__before.also, (m)->also,                       \
			       sizeof(__before.also));                         \
			*(m) = __before;                                       \
		}                                                              \
		__rc;                                                          \
	})

/* fuzz_model.c */
__u64 offset_in_page(__u64 addr);
bool breaks(const struct model *m, const char *rule);
void also(struct model *m, int rc);
__u32 obj_new(struct model *m, enum model_type type);
void obj_free(struct model *m, __u32 id);
__u64 page_bits(__u64 offset, __u64 last);
struct model_area *area_at(struct model_ioas *ioas, __u64 iova);
bool charge(struct model *m, const struct model_backing *b, int npages);
int pin_wanted(struct model *m, __u32 backing, __u64 want);
int settle(struct model *m);

/* fuzz_model_ioas.c */
__u64 hwpt_alignment(const struct model_obj *hwpt);
bool all_fit(struct model_ioas *ioas, __u64 align);
int reserve(struct model *m, __u32 id, __u64 start, __u64 last, __u32 owner);
void unreserve(struct model_ioas *ioas, __u32 owner);
void ioas_destroy(struct model *m, __u32 id);

/* fuzz_model_device.c */
void paging_free(struct model *m, __u32 hwpt);
void stdev_destroy(struct model *m, __u32 stdev);

/* fuzz_model_access.c */
int pin_pieces(struct model *m, __u32 id, __u64 iova, __u64 last,
	       bool write);

#endif
