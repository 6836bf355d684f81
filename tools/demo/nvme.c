// SPDX-License-Identifier: GPL-2.0-only
#include "nvme.h"
#include "memory.h"
#include "say.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Controller registers in BAR 0, NVMe base 3.1. */
enum {
	REG_CAP_LOW	= 0x00,
	REG_CAP_HIGH	= 0x04,
	REG_VS		= 0x08,
	REG_INTMS	= 0x0c,
	REG_CC		= 0x14,
	REG_CSTS	= 0x1c,
	REG_AQA		= 0x24,
	REG_ASQ		= 0x28,
	REG_ACQ		= 0x30,
	REG_DOORBELLS	= 0x1000,
};

#define CC_ENABLE	0x1
#define CC_SHUTDOWN	0x4000
#define CC_SHN_MASK	0xc000
#define CC_IOSQES	(6u << 16)	/* log2 of sizeof(nvme_command) */
#define CC_IOCQES	(4u << 20)	/* log2 of sizeof(nvme_completion) */

#define CSTS_READY	0x1
#define CSTS_FATAL	0x2
#define CSTS_SHST_MASK	0xc
#define CSTS_SHST_DONE	0x8

enum {
	ADMIN_CREATE_SQ		= 0x01,
	ADMIN_CREATE_CQ		= 0x05,
	ADMIN_IDENTIFY		= 0x06,
	ADMIN_SET_FEATURES	= 0x09,
	IO_READ			= 0x02,
};

#define IDENTIFY_NAMESPACE	0
#define IDENTIFY_CONTROLLER	1
#define FEATURE_QUEUES		7
#define NAMESPACE		1
#define ADMIN_ENTRIES		16

struct nvme_command {
	uint8_t opcode;
	uint8_t flags;
	uint16_t id;
	uint32_t nsid;
	uint64_t reserved;
	uint64_t metadata;
	uint64_t prp1, prp2;	/* where the data is, as IOVAs */
	uint32_t dw10, dw11, dw12, dw13, dw14, dw15;
};

struct nvme_completion {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t id;		/* of the command */
	uint16_t status;	/* bit 0 is the phase */
};

static_assert(sizeof(struct nvme_command) == 64, "fixed by the standard");
static_assert(sizeof(struct nvme_completion) == 16, "fixed by the standard");

/* The shared memory, one base page each. */
enum {
	MEM_ADMIN_SQ,
	MEM_ADMIN_CQ,
	MEM_IO_SQ,
	MEM_IO_CQ,
	MEM_IDENTIFY,
	MEM_PRP_LISTS,		/* one for each command in flight */
	MEM_PAGES = MEM_PRP_LISTS + NVME_DEPTH,
};

size_t nvme_memory_size(void)
{
	return MEM_PAGES * page_size();
}

static void *mem_va(struct nvme *nvme, unsigned int index)
{
	return (char *)nvme->mem.va + index * page_size();
}

static uint64_t mem_iova(struct nvme *nvme, unsigned int index)
{
	return nvme->mem.iova + index * page_size();
}

/*
 * DMA is coherent, but a CPU may reorder. Before a doorbell rings, the command
 * must be visible to the device; after a phase bit has been seen, the rest of
 * the completion must not be taken from before.
 */
static void write_barrier(void)
{
#if defined(__aarch64__)
	__asm__ volatile("dmb oshst" ::: "memory");
#else
	__sync_synchronize();
#endif
}

static void read_barrier(void)
{
#if defined(__aarch64__)
	__asm__ volatile("dmb oshld" ::: "memory");
#else
	__sync_synchronize();
#endif
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void write64(struct nvme *nvme, uint32_t reg, uint64_t value)
{
	vfio_write32(nvme->dev, reg, value);
	vfio_write32(nvme->dev, reg + 4, value >> 32);
}

uint32_t nvme_status(struct nvme *nvme)
{
	return vfio_read32(nvme->dev, REG_CSTS);
}

bool nvme_fatal(struct nvme *nvme)
{
	return nvme_status(nvme) & CSTS_FATAL;
}

static void wait_status(struct nvme *nvme, uint32_t mask, uint32_t value,
			const char *what)
{
	double end = now() + nvme->timeout;

	while ((nvme_status(nvme) & mask) != value) {
		if (now() > end)
			die("the controller does not %s within %.1f s (CSTS is 0x%x)",
			    what, nvme->timeout, nvme_status(nvme));
		usleep(1000);
	}
}

static void queue_init(struct nvme *nvme, struct nvme_queue *q, uint16_t id,
		       uint16_t entries, unsigned int sq, unsigned int cq)
{
	*q = (struct nvme_queue){
		.sq = mem_va(nvme, sq),
		.cq = mem_va(nvme, cq),
		.sq_iova = mem_iova(nvme, sq),
		.cq_iova = mem_iova(nvme, cq),
		.id = id,
		.entries = entries,
		.phase = 1,
	};
}

static void ring_doorbell(struct nvme *nvme, const struct nvme_queue *q,
			  bool completion, uint16_t value)
{
	uint32_t index = 2 * q->id + completion;

	vfio_write32(nvme->dev, REG_DOORBELLS + index * nvme->stride, value);
}

static void submit(struct nvme *nvme, struct nvme_queue *q,
		   const struct nvme_command *cmd)
{
	q->sq[q->sq_tail] = *cmd;
	q->sq_tail = (q->sq_tail + 1) % q->entries;
	write_barrier();
	ring_doorbell(nvme, q, false, q->sq_tail);
}

/*
 * Waits for the next completion. The controller marks new entries with a phase
 * bit that flips with every round through the ring, so nothing needs clearing.
 */
static int wait_completion(struct nvme *nvme, struct nvme_queue *q,
			   uint16_t *id)
{
	struct nvme_completion *entry = &q->cq[q->cq_head];
	double end = now() + nvme->timeout;
	uint16_t status;

	for (;;) {
		status = __atomic_load_n(&entry->status, __ATOMIC_RELAXED);
		if ((status & 1) == q->phase)
			break;
		if (now() > end)
			return NVME_NO_ANSWER;
	}
	read_barrier();
	*id = entry->id;

	q->cq_head = (q->cq_head + 1) % q->entries;
	if (!q->cq_head)
		q->phase ^= 1;
	ring_doorbell(nvme, q, true, q->cq_head);
	return status >> 1 & 0x7ff;
}

const char *nvme_result_str(int result)
{
	static char other[64];

	switch (result) {
	case NVME_OK:
		return "success";
	case NVME_NO_ANSWER:
		return "no completion within the time limit";
	case 0x004:
		return "data transfer error (0x004)";
	case 0x006:
		return "internal error (0x006)";
	case 0x281:
		return "unrecovered read error (0x281)";
	}
	snprintf(other, sizeof(other), "status code type %d, status code 0x%02x",
		 result >> 8, result & 0xff);
	return other;
}

static void admin_command(struct nvme *nvme, struct nvme_command *cmd,
			  const char *what)
{
	uint16_t id;
	int result;

	submit(nvme, &nvme->admin, cmd);
	result = wait_completion(nvme, &nvme->admin, &id);
	if (result != NVME_OK)
		die("admin command '%s': %s (CSTS is 0x%x)", what,
		    nvme_result_str(result), nvme_status(nvme));
}

/* Identify data has no more alignment than that of its 32-bit fields. */
static uint64_t le(const uint8_t *p, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | p[bytes];
	return value;
}

/* Identify strings are padded with blanks. */
static void copy_trimmed(char *out, const uint8_t *in, size_t len)
{
	while (len && in[len - 1] == ' ')
		len--;
	memcpy(out, in, len);
	out[len] = 0;
}

static const uint8_t *identify(struct nvme *nvme, uint32_t what, uint32_t nsid)
{
	struct nvme_command cmd = {
		.opcode = ADMIN_IDENTIFY,
		.nsid = nsid,
		.prp1 = mem_iova(nvme, MEM_IDENTIFY),
		.dw10 = what,
	};

	admin_command(nvme, &cmd, "identify");
	return mem_va(nvme, MEM_IDENTIFY);
}

static void identify_controller(struct nvme *nvme)
{
	const uint8_t *data = identify(nvme, IDENTIFY_CONTROLLER, 0);
	unsigned int mdts = data[77];

	copy_trimmed(nvme->serial, data + 4, 20);
	copy_trimmed(nvme->model, data + 24, 40);
	copy_trimmed(nvme->firmware, data + 64, 8);

	/* One PRP list page limits a transfer; the controller may, too. */
	nvme->max_transfer = nvme->page / sizeof(uint64_t) * nvme->page;
	if (mdts && mdts < 32 && (nvme->page << mdts) < nvme->max_transfer)
		nvme->max_transfer = nvme->page << mdts;
}

static void identify_namespace(struct nvme *nvme)
{
	const uint8_t *data = identify(nvme, IDENTIFY_NAMESPACE, NAMESPACE);
	const uint8_t *format = data + 128 + 4 * (data[26] & 0xf);
	unsigned int shift = format[2];

	nvme->blocks = le(data, 8);
	if (!nvme->blocks)
		die("the controller has no namespace %u", NAMESPACE);
	if (le(format, 2))
		die("namespace %u has metadata, which the demo does not do",
		    NAMESPACE);
	if (shift < 9 || shift > 16)
		die("namespace %u has blocks of 2^%u bytes", NAMESPACE, shift);
	nvme->block = (size_t)1 << shift;
}

static void create_io_queue(struct nvme *nvme)
{
	struct nvme_queue *q = &nvme->io;
	struct nvme_command cmd;

	/* One submission and one completion queue: zero-based zeroes. */
	cmd = (struct nvme_command){
		.opcode = ADMIN_SET_FEATURES,
		.dw10 = FEATURE_QUEUES,
	};
	admin_command(nvme, &cmd, "set number of queues");

	/* dw11 bit 0: the ring is contiguous (in IOVA space). No interrupt. */
	cmd = (struct nvme_command){
		.opcode = ADMIN_CREATE_CQ,
		.prp1 = q->cq_iova,
		.dw10 = (uint32_t)(q->entries - 1) << 16 | q->id,
		.dw11 = 1,
	};
	admin_command(nvme, &cmd, "create completion queue");

	cmd = (struct nvme_command){
		.opcode = ADMIN_CREATE_SQ,
		.prp1 = q->sq_iova,
		.dw10 = (uint32_t)(q->entries - 1) << 16 | q->id,
		.dw11 = (uint32_t)q->id << 16 | 1,
	};
	admin_command(nvme, &cmd, "create submission queue");
}

void nvme_start(struct nvme *nvme, struct vfio_device *dev,
		struct nvme_dma mem)
{
	uint32_t cap_low, cap_high, cc, max_entries;

	memset(nvme, 0, sizeof(*nvme));
	nvme->dev = dev;
	nvme->mem = mem;
	cap_low = vfio_read32(dev, REG_CAP_LOW);
	cap_high = vfio_read32(dev, REG_CAP_HIGH);
	if (cap_low == UINT32_MAX)
		die("the controller's registers read as all ones");
	nvme->version = vfio_read32(dev, REG_VS);
	nvme->timeout = 5 + (cap_low >> 24) * 0.5;
	nvme->stride = 4u << (cap_high & 0xf);
	nvme->page = (size_t)4096 << (cap_high >> 16 & 0xf);
	if (nvme->page > page_size())
		die("the controller wants pages of %s, larger than the CPU's",
		    size_str(nvme->page));
	max_entries = (cap_low & 0xffff) + 1;
	if (max_entries > NVME_DEPTH + 1)
		max_entries = NVME_DEPTH + 1;

	/* Whatever it does, it stops; and forgets all queues. */
	cc = vfio_read32(dev, REG_CC);
	vfio_write32(dev, REG_CC, cc & ~(CC_ENABLE | CC_SHN_MASK));
	wait_status(nvme, CSTS_READY, 0, "stop");

	memset(mem.va, 0, nvme_memory_size());
	queue_init(nvme, &nvme->admin, 0, ADMIN_ENTRIES, MEM_ADMIN_SQ,
		   MEM_ADMIN_CQ);
	queue_init(nvme, &nvme->io, 1, max_entries, MEM_IO_SQ, MEM_IO_CQ);
	write_barrier();

	vfio_write32(dev, REG_INTMS, UINT32_MAX);
	vfio_write32(dev, REG_AQA,
		     (ADMIN_ENTRIES - 1) << 16 | (ADMIN_ENTRIES - 1));
	write64(nvme, REG_ASQ, nvme->admin.sq_iova);
	write64(nvme, REG_ACQ, nvme->admin.cq_iova);
	cc = CC_ENABLE | CC_IOSQES | CC_IOCQES | (cap_high >> 16 & 0xf) << 7;
	vfio_write32(dev, REG_CC, cc);
	wait_status(nvme, CSTS_READY | CSTS_FATAL, CSTS_READY, "get ready");

	identify_controller(nvme);
	identify_namespace(nvme);
	create_io_queue(nvme);
}

void nvme_stop(struct nvme *nvme)
{
	uint32_t cc = vfio_read32(nvme->dev, REG_CC) & ~CC_SHN_MASK;

	vfio_write32(nvme->dev, REG_CC, cc | CC_SHUTDOWN);
	wait_status(nvme, CSTS_SHST_MASK, CSTS_SHST_DONE, "shut down");
	vfio_write32(nvme->dev, REG_CC, cc & ~CC_ENABLE);
	wait_status(nvme, CSTS_READY, 0, "stop");
}

/*
 * Says where the data goes: the first page in prp1, the second one in prp2, or
 * if there are more, prp2 points to a list of them. The IOVAs are contiguous
 * even where the physical pages are not: that is the IOMMU's work.
 */
static void set_prp(struct nvme *nvme, struct nvme_command *cmd,
		    uint64_t iova, size_t len)
{
	uint64_t *list = mem_va(nvme, MEM_PRP_LISTS + cmd->id);
	size_t pages = (len + nvme->page - 1) / nvme->page, i;

	cmd->prp1 = iova;
	if (pages == 2)
		cmd->prp2 = iova + nvme->page;
	if (pages <= 2)
		return;
	for (i = 1; i < pages; i++)
		list[i - 1] = iova + i * nvme->page;
	cmd->prp2 = mem_iova(nvme, MEM_PRP_LISTS + cmd->id);
}

static void submit_read(struct nvme *nvme, uint16_t id, uint64_t offset,
			size_t len, uint64_t iova)
{
	uint64_t block = offset / nvme->block;
	struct nvme_command cmd = {
		.opcode = IO_READ,
		.id = id,
		.nsid = NAMESPACE,
		.dw10 = block,
		.dw11 = block >> 32,
		.dw12 = len / nvme->block - 1,
	};

	set_prp(nvme, &cmd, iova, len);
	submit(nvme, &nvme->io, &cmd);
}

int nvme_read(struct nvme *nvme, uint64_t offset, size_t len, uint64_t iova)
{
	unsigned int depth = nvme->io.entries - 1, in_flight = 0;
	uint32_t busy = 0;	/* a bit for each command ID in use */
	int result, first_bad = NVME_OK;
	size_t at = 0;
	uint16_t id;

	while (at < len || in_flight) {
		while (at < len && in_flight < depth && !first_bad) {
			size_t part = len - at;

			if (part > nvme->max_transfer)
				part = nvme->max_transfer;
			id = __builtin_ctz(~busy);
			submit_read(nvme, id, offset + at, part, iova + at);
			busy |= 1u << id;
			in_flight++;
			at += part;
		}
		if (!in_flight)
			break;
		result = wait_completion(nvme, &nvme->io, &id);
		if (result == NVME_NO_ANSWER)
			return result;
		if (id >= NVME_DEPTH || !(busy & 1u << id))
			die("the controller completed command %u, which was not given to it", id);
		busy &= ~(1u << id);
		in_flight--;
		if (!first_bad)
			first_bad = result;
	}
	return first_bad;
}
