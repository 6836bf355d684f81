/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files with the fuzzer's operations need of each other.
 */
#ifndef __FUZZ_PARTS_H
#define __FUZZ_PARTS_H

#include "fuzz.h"

#define BASE ((__u64)MOCK_APERTURE_START)

/* fuzz_common.c */
void arm_failure(unsigned int nth);
bool disarm_failure(void);

/* One call into the kernel, with the failure that the operation asks for */
#define KERNEL(f, call)							\
	({								\
		int __ret;						\
		if ((f)->nth)						\
			arm_failure((f)->nth);				\
		__ret = (call);						\
		if ((f)->nth)						\
			(f)->injected |= disarm_failure();		\
		__ret;							\
	})

/* The first thing that is not as the model says */
void __attribute__((format(printf, 2, 3)))
disagree(struct fuzz *f, const char *fmt, ...);

const char *err(int rc);
bool agree(struct fuzz *f, int want, int got);
void same(struct fuzz *f, const char *what, __u64 want, __u64 got);
struct fuzz_slot *slot_at(struct fuzz *f, __u64 slot);
__u32 id_of(struct fuzz *f, __u64 slot);
__u32 idev_of(struct fuzz *f, __u64 slot);
struct model_ioas *ioas_of(struct fuzz *f, __u64 slot);
bool can_keep(struct fuzz *f, const struct fuzz_op *op);
void keep(struct fuzz *f, const struct fuzz_op *op, __u32 want, __u32 got,
	  int file);
bool chance(__u64 *rng, unsigned int percent);
enum model_type type_of(struct fuzz *f, unsigned int slot);
unsigned int count(struct fuzz *f, enum model_type type);
__u64 pick(struct fuzz *f, __u64 *rng, enum model_type type);
__u64 pick_empty(struct fuzz *f, __u64 *rng);
__u64 pick_parent(struct fuzz *f, __u64 *rng);
__u64 pick_pt(struct fuzz *f, __u64 *rng);
__u64 pick_len(__u64 *rng);
__u64 pick_off(__u64 *rng);
__u64 pick_iova(struct fuzz *f, __u64 *rng, __u64 slot);
__u64 pick_area_len(struct fuzz *f, __u64 *rng, __u64 slot, __u64 iova);
__u64 pick_map_flags(__u64 *rng, bool fixed);

/* fuzz_ops_ioas.c */
void gen_ioas(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_ioas(struct fuzz *f, const struct fuzz_op *op);
void gen_destroy(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_destroy(struct fuzz *f, const struct fuzz_op *op);
void gen_map(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
__u64 va_of(const struct fuzz_op *op);
bool has_area_room(struct fuzz *f, const struct fuzz_op *op);
void run_map(struct fuzz *f, const struct fuzz_op *op);
void gen_map_file(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_map_file(struct fuzz *f, const struct fuzz_op *op);
void gen_copy(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_copy(struct fuzz *f, const struct fuzz_op *op);
void gen_unmap(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_unmap(struct fuzz *f, const struct fuzz_op *op);
void gen_allow(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_allow(struct fuzz *f, const struct fuzz_op *op);
void gen_reserve(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_reserve(struct fuzz *f, const struct fuzz_op *op);
void gen_huge(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_huge(struct fuzz *f, const struct fuzz_op *op);
void gen_none(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_rlimit_mode(struct fuzz *f, const struct fuzz_op *op);
void run_change_process(struct fuzz *f, const struct fuzz_op *op);
void gen_vfio_ioas(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_vfio_ioas(struct fuzz *f, const struct fuzz_op *op);
void run_vfio_type(struct fuzz *f, const struct fuzz_op *op);
void gen_vfio_map(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_vfio_map(struct fuzz *f, const struct fuzz_op *op);
void gen_vfio_unmap(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_vfio_unmap(struct fuzz *f, const struct fuzz_op *op);
void gen_senseless(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_senseless(struct fuzz *f, const struct fuzz_op *op);

/* fuzz_ops_device.c */
void gen_device(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_device(struct fuzz *f, const struct fuzz_op *op);
void gen_replace(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_replace(struct fuzz *f, const struct fuzz_op *op);
void gen_pasid(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_pasid_attach(struct fuzz *f, const struct fuzz_op *op);
void run_pasid_replace(struct fuzz *f, const struct fuzz_op *op);
void run_pasid_detach(struct fuzz *f, const struct fuzz_op *op);
void gen_hwpt(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_hwpt(struct fuzz *f, const struct fuzz_op *op);
void gen_nested(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_nested(struct fuzz *f, const struct fuzz_op *op);
void gen_set_dirty(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_set_dirty(struct fuzz *f, const struct fuzz_op *op);
void gen_dirty(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_dirty(struct fuzz *f, const struct fuzz_op *op);
void gen_invalidate(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_invalidate(struct fuzz *f, const struct fuzz_op *op);
void gen_iopf(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_iopf(struct fuzz *f, const struct fuzz_op *op);
void gen_faults(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_faults(struct fuzz *f, const struct fuzz_op *op);
void gen_viommu(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_viommu(struct fuzz *f, const struct fuzz_op *op);
void gen_vdevice(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_vdevice(struct fuzz *f, const struct fuzz_op *op);
void gen_veventq(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_veventq(struct fuzz *f, const struct fuzz_op *op);
void gen_vevent(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_vevent(struct fuzz *f, const struct fuzz_op *op);
void gen_events(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_events(struct fuzz *f, const struct fuzz_op *op);
void gen_hw_queue(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_hw_queue(struct fuzz *f, const struct fuzz_op *op);
void gen_cache(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_cache(struct fuzz *f, const struct fuzz_op *op);

/* fuzz_ops_access.c */
void gen_access(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_access(struct fuzz *f, const struct fuzz_op *op);
void gen_access_use(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void gen_access_rw(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_pin(struct fuzz *f, const struct fuzz_op *op);
void gen_unpin(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_unpin(struct fuzz *f, const struct fuzz_op *op);
void run_rw(struct fuzz *f, const struct fuzz_op *op);
void run_access_replace(struct fuzz *f, const struct fuzz_op *op);
void gen_access_replace(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void gen_close(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_close(struct fuzz *f, const struct fuzz_op *op);
void run_fault(struct fuzz *f, const struct fuzz_op *op);

/* fuzz_ops_memory.c */
void fill_frame(struct fuzz *f, int frame, void *va);
bool map_region(unsigned int region, unsigned int first, unsigned int npages,
		int file);
bool renew_region(struct fuzz *f, unsigned int region, unsigned int first,
		  unsigned int npages);
void gen_remap(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_remap(struct fuzz *f, const struct fuzz_op *op);
void gen_privilege(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_privilege(struct fuzz *f, const struct fuzz_op *op);
void gen_limit(struct fuzz *f, struct fuzz_op *op, __u64 *rng);
void run_limit(struct fuzz *f, const struct fuzz_op *op);
void run_fork(struct fuzz *f, const struct fuzz_op *op);
void run_exit(struct fuzz *f, const struct fuzz_op *op);
int child_map(struct fuzz *f, __u32 ioas, const struct fuzz_op *op,
	      __u64 *iova);
void run_child_map(struct fuzz *f, const struct fuzz_op *op);

/* fuzz_check.c */
void check_pins(struct fuzz *f);
void check_charges(struct fuzz *f);
void check_memory(struct fuzz *f);
void run_check(struct fuzz *f, const struct fuzz_op *op);

#endif
