/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What iommufd promises, as a program that can be asked: a model of one iommufd and
 * of the memory that it maps, which does no system call and shares no code with the
 * kernel. fuzz_ops.c does the same to both, and compares.
 *
 * Each function stands for a call, and returns what the call has to return: 0, when
 * the model has changed with it, or an errno, when it has not. Where the contract
 * leaves a choice, because several things are wrong at once, the other errnos that
 * are right are in model.also.
 *
 * The model describes what is, not how it comes about. Which pages are pinned, for
 * example, is not counted up and down, but follows from what is mapped where.
 */
#ifndef __FUZZ_MODEL_H
#define __FUZZ_MODEL_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

/* Sizes of the model. An operation that would exceed one is not done. */
#define MODEL_IDS	96
#define MODEL_IOAS	4
#define MODEL_AREAS	40
#define MODEL_BACKINGS	64
#define MODEL_RANGES	32
#define MODEL_ITEMS	24
#define MODEL_FRAMES	512
#define MODEL_PASIDS	3
#define MODEL_EVENTS	4
#define MODEL_FAULTS	4

/* Memory: regions of so many pages, with nothing behind them */
#define MODEL_REGIONS	5
#define REGION_PAGES	24
#define REGION_BYTES	((__u64)REGION_PAGES * model_page_size)
/* No mapping that can be pinned has more pages */
#define BACKING_PAGES	64

/* Processes: the program itself, and a child with memory of its own */
#define MODEL_PROCS	2
/* Stands for all children that have exited; nobody can look at it */
#define MODEL_GONE	MODEL_PROCS

#define NO_FRAME	-1

enum model_region {
	REGION_SHARED,		/* anonymous, shared with the child */
	REGION_PRIVATE,		/* anonymous */
	REGION_READONLY,	/* anonymous, private; must not be written */
	REGION_FILE,		/* of the memfd, whole and in order */
	REGION_SAME,		/* of the memfd, its first page over and over */
};

enum model_type {
	T_FREE, T_IOAS, T_PAGING, T_NESTED, T_STDEV, T_DEVICE, T_ACCESS,
	T_FAULT, T_VIOMMU, T_VDEVICE, T_VEVENTQ, T_HWQ, T_TOMBSTONE,
};

/* Who is charged for a backing, and compared with the limit */
enum model_charge { CHARGE_NONE, CHARGE_USER, CHARGE_MM, CHARGE_TYPE1 };

struct model_attach {
	__u32 pasid;
	__u32 hwpt;	/* 0 for none */
};

struct model_event {
	__u32 sequence, virt_id;
};

/* A page fault that nobody has read yet */
struct model_fault {
	__u32 stdev, attach;	/* the attachment it came by, by its PASID or 0 */
	__u32 dev, pasid, group;
	__u64 addr;
};

/* An object; what is not of its type is 0. References are IDs. */
struct model_obj {
	__u8 type;
	bool file;		/* event queues: its descriptor is open */
	/* of what: IOAS of HWPT and access, parent, vIOMMU */
	__u32 of;
	/* IOAS: index into model.ioas */
	__u32 index;
	/* HWPT */
	__u32 flags, fault;
	bool automatic, dirty_on, huge;
	__u32 iotlb[4];
	/* STDEV: its device, attachments of the RID and of PASIDs */
	__u32 dev, dev_flags, rid;
	__u32 vdev;		/* DEVICE: its vDEVICE */
	__u32 cache[4];
	bool reserved_fails;	/* STDEV: PASID 1024 fails next */
	struct model_attach pasid[MODEL_PASIDS];
	/* ACCESS */
	bool pins;
	__u32 next_item;
	/* vDEVICE */
	__u64 virt_id;
	/* hardware queue: its memory, in the IOAS @index */
	__u64 iova, last;
	/* vEVENTQ, and the number of a hardware queue */
	__u32 depth, stored, sequence;
	bool lost;
	struct model_event event[MODEL_EVENTS], marker;
	/* FAULT: the first @stored of them */
	struct model_fault faults[MODEL_FAULTS];
	/* STDEV: the vIOMMU it is behind, and its name (virt_id) there */
	__u32 behind;
	/* made later than all with a smaller one */
	__u64 age;
};

/* What one map call made */
struct model_backing {
	__u32 areas;		/* that share it; 0 for a free one */
	bool file, writable;
	__u8 proc, charge;
	__u64 start;		/* address, or bytes into the file */
	__u64 length;
	__s16 frame[BACKING_PAGES];	/* what is pinned, or NO_FRAME */
};

struct model_area {
	__u64 iova, last;
	__u32 backing;
	__u64 offset;		/* bytes from the page that start is in */
	__u32 prot;
	bool container;
};

struct model_range {
	__u64 start, last;
	__u32 owner;		/* ID of a HWPT; 0 for none */
};

struct model_ioas {
	bool can_cut, type1;
	unsigned int nareas, nreserved, nallowed;
	struct model_area area[MODEL_AREAS];	/* in order of IOVA */
	struct model_range reserved[MODEL_RANGES];
	struct model_range allowed[MODEL_RANGES];
};

/* A range that an access has pinned */
struct model_item {
	__u32 access;		/* 0 for a free one */
	__u32 id;
	__u64 iova, last;
};

struct model_proc {
	bool alive;
	bool ipc_lock;		/* it may exceed the limit */
	__s16 page[MODEL_REGIONS][REGION_PAGES];	/* frame or NO_FRAME */
	__u64 pinned, locked;	/* VmPin and VmLck in pages */
};

struct model {
	struct model_obj obj[MODEL_IDS];
	struct model_ioas ioas[MODEL_IOAS];
	struct model_backing backing[MODEL_BACKINGS];
	struct model_item item[MODEL_ITEMS];
	struct model_proc proc[MODEL_PROCS + 1];
	__s16 file[REGION_PAGES];	/* frames of the memfd */
	bool frame_used[MODEL_FRAMES];
	__u64 user_locked;	/* pages */
	__u64 limit;		/* pages; of all processes */
	__u8 default_charge;
	__u32 compat;		/* ID of the container's IOAS, 0 for none */
	__u64 age;
	int also[4];		/* other results that are right, too */
	const char *broken;	/* the rule that is wrong on purpose, or NULL */
};

extern __u64 model_page_size;

/*
 * Where each region begins in every process. A mapping can be much longer than the
 * memory it begins in, and the model takes what lies behind for nothing. So no two
 * regions are as far apart as IOVAs are that operations use: powers of two, and
 * those near the start of the mock's aperture.
 */
static inline __u64 region_start(unsigned int region)
{
	return 0x100000000ULL + region * 0x5700000ULL;
}

void model_init(struct model *m, bool container);
bool model_accepts(const struct model *m, int want, int got);
struct model_obj *model_get(struct model *m, __u32 id, enum model_type type);
/* A HWPT of either kind */
struct model_obj *model_any_hwpt(struct model *m, __u32 id);
struct model_ioas *model_ioas(struct model *m, __u32 id);
unsigned int model_users(struct model *m, __u32 id);
bool model_has_domain(struct model *m, __u32 ioas);
__u64 model_alignment(struct model *m, __u32 ioas);
/* How often a frame is pinned */
unsigned int model_frame_pins(const struct model *m, int frame);
/* The lowest free frame, or NO_FRAME */
int model_frame_new(struct model *m);
/* Whether an operation that makes so many of each still fits */
bool model_has_room(struct model *m, unsigned int ids, unsigned int areas);
/* What a page of a backing is now: pinned, or where it would be taken from */
int model_page_of(struct model *m, const struct model_backing *b,
		  unsigned int index, bool write);

/* The ioctls */
int model_destroy(struct model *m, __u32 id);
int model_ioas_alloc(struct model *m, __u32 *id);
int model_map(struct model *m, unsigned int proc, __u32 ioas, __u64 va,
	      __u64 length, __u32 flags, __u64 *iova);
int model_map_file(struct model *m, __u32 ioas, __u64 start, __u64 length,
		   __u32 flags, __u64 *iova);
int model_copy(struct model *m, __u32 dst, __u32 src, __u64 src_iova,
	       __u64 length, __u32 flags, __u64 *iova);
int model_unmap(struct model *m, __u32 ioas, __u64 iova, __u64 length,
		__u64 *unmapped);
int model_ranges(struct model *m, __u32 ioas, struct model_range *ranges,
		 unsigned int *num, __u64 *alignment);
int model_allow(struct model *m, __u32 ioas, const struct model_range *ranges,
		unsigned int num);
int model_reserve(struct model *m, __u32 ioas, __u64 start, __u64 length);
int model_huge_pages(struct model *m, __u32 ioas, __u64 val);
int model_get_huge_pages(struct model *m, __u32 ioas, __u64 *val);
int model_rlimit_mode(struct model *m, __u64 val);
int model_change_process(struct model *m, unsigned int proc);

/* HWPTs and devices */
int model_hwpt_alloc(struct model *m, __u32 dev, __u32 pt, __u32 flags,
		     __u32 fault, bool huge, __u32 *id);
int model_nested_alloc(struct model *m, __u32 dev, __u32 pt, __u32 flags,
		       __u32 fault, __u32 word, __u32 *id);
int model_device(struct model *m, __u32 pt, __u32 dev_flags, __u32 *stdev,
		 __u32 *hwpt, __u32 *idev);
int model_replace(struct model *m, __u32 stdev, __u32 *pt);
int model_pasid_attach(struct model *m, __u32 stdev, __u32 pasid, __u32 *pt);
int model_pasid_replace(struct model *m, __u32 stdev, __u32 pasid, __u32 *pt);
int model_pasid_detach(struct model *m, __u32 stdev, __u32 pasid);
bool model_has_pasids(struct model *m, __u32 stdev);
int model_set_dirty(struct model *m, __u32 hwpt, bool on);
int model_iotlb_invalidate(struct model *m, __u32 hwpt, __u32 flags,
			   __u32 word);

/* Virtual IOMMUs and queues */
int model_fault_alloc(struct model *m, __u32 *id);
/* ENOSPC if the model cannot hold it */
int model_iopf(struct model *m, __u32 idev, __u32 pasid, __u32 group,
	       __u64 addr);
unsigned int model_faults_read(struct model *m, __u32 fault,
			       struct model_fault *faults);
int model_viommu_alloc(struct model *m, __u32 dev, __u32 hwpt, __u32 *id);
int model_vdevice_alloc(struct model *m, __u32 viommu, __u32 dev,
			__u64 virt_id, __u32 *id);
int model_veventq_alloc(struct model *m, __u32 viommu, __u32 depth, __u32 *id);
int model_vevent(struct model *m, __u32 idev);
/* All that is in it; the number of events, of which the last may be a marker */
unsigned int model_veventq_read(struct model *m, __u32 veventq,
				struct model_event *events, bool *marker);
int model_hw_queue_alloc(struct model *m, __u32 viommu, __u32 index,
			 __u64 iova, __u64 length, __u32 *id);
int model_cache_invalidate(struct model *m, __u32 viommu, __u32 flags,
			   __u32 virt_id, __u32 word);

/* Accesses; 0 stands for a descriptor that is none */
int model_access_create(struct model *m, __u32 ioas, bool pins, __u32 *id);
void model_access_close(struct model *m, __u32 access);
int model_access_replace(struct model *m, __u32 access, __u32 ioas);
int model_access_pin(struct model *m, __u32 access, __u64 iova, __u64 length,
		     bool write, __u32 *item);
int model_access_unpin(struct model *m, __u32 access, __u32 item);
int model_access_rw(struct model *m, __u32 access, __u64 iova, __u64 length,
		    bool write);
/* The frame that a byte of an IOVA space is in, or NO_FRAME */
int model_translate(struct model *m, __u32 ioas, __u64 iova, __u64 *offset);

/* The container */
int model_vfio_set(struct model *m, __u32 ioas);
void model_vfio_clear(struct model *m);
int model_vfio_get(struct model *m, __u32 *ioas);
int model_vfio_type(struct model *m, __u32 type);
int model_vfio_map(struct model *m, __u64 va, __u64 length, __u32 flags,
		   __u64 iova);
int model_vfio_unmap(struct model *m, __u64 iova, __u64 length, bool all,
		     __u64 *unmapped);

/* Memory */
void model_remap(struct model *m, unsigned int region, unsigned int first,
		 unsigned int npages, bool present);
void model_fork(struct model *m);
void model_exit(struct model *m);

#endif
