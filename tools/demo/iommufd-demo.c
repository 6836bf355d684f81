// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device does DMA through /dev/iommu, and is stopped by it.
 *
 * This program takes an NVMe controller away from the kernel, drives it from
 * user space, and reads its whole disk into memory of its own. What the
 * controller can reach is decided by mappings made through /dev/iommu, and by
 * nothing else: the last part shows that by taking one away.
 *
 * Read main() first; it is the story. The calls that make it up are in
 *
 *   iommu.c    the ioctls of /dev/iommu
 *   vfio.c     the ioctls of the device's VFIO character device
 *   nvme.c     a small NVMe driver that uses them
 *
 * and the rest serves the demo: pci.c (sysfs), memory.c (base pages,
 * hugepages), kmsg.c (fault reports in the kernel's log), say.c (output).
 */
#include "iommu.h"
#include "kmsg.h"
#include "memory.h"
#include "nvme.h"
#include "pci.h"
#include "say.h"
#include "sha256.h"
#include "sysfs.h"
#include "vfio.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Each of the two parts of the data buffer. */
#define PART_SIZE ((size_t)16 << 20)

/* Where the demo would like the hugepage part: a round number, above 4 GiB. */
#define FAVOURITE_IOVA (UINT64_C(1) << 32)

/* How long a fault may take to appear in the kernel's log, in seconds. */
#define FAULT_WAIT 10

/* What memory looks like where no DMA has arrived. */
#define CANARY 0xa5

/* Memory that the device may use: here in the process, there on the bus. */
struct buffer {
	void *va;
	uint64_t iova;
	size_t len;
};

struct demo {
	char bdf[PCI_BDF_SIZE];
	const char *expected;		/* SHA-256 of the disk */
	bool virtual;			/* another IOMMU reports faults */
	int iommu;			/* /dev/iommu */
	uint32_t ioas;
	struct vfio_device dev;
	struct iommu_description hw;
	struct nvme nvme;
	struct buffer queues;		/* rings and lists of nvme.c */
	struct buffer small;		/* data, in base pages */
	struct buffer huge;		/* data, in hugepages */
	uint64_t mapped;		/* bytes, of all three */
	uint64_t pinned_before;		/* bytes, by others than the demo */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* ---- 1, 2: the device -------------------------------------------------- */

static void choose_device(struct demo *d, const char *wanted)
{
	char busy[PCI_BDF_SIZE];

	if (wanted) {
		if (strlen(wanted) >= sizeof(d->bdf) ||
		    !pci_has_class(wanted, PCI_CLASS_NVME))
			die("%s is not an NVMe controller", wanted);
		strcpy(d->bdf, wanted);
		return;
	}
	if (pci_find_free(PCI_CLASS_NVME, d->bdf, busy))
		return;
	if (busy[0])
		die("the NVMe controller %s has a driver and may be in use.\n"
		    "To take it away from it, name it: --device %s",
		    busy, busy);
	die("there is no NVMe controller (PCI class %06x) here",
	    PCI_CLASS_NVME);
}

static void take_device(struct demo *d, const char *wanted)
{
	char before[64], node[64];
	int group;

	step("Take an NVMe controller");
	choose_device(d, wanted);
	say("device", "%s, ID %04lx:%04lx", d->bdf,
	    pci_number(d->bdf, "vendor"), pci_number(d->bdf, "device"));
	group = pci_group(d->bdf);
	if (group < 0)
		die("no IOMMU stands in front of %s: without one there is nothing to show", d->bdf);
	say("IOMMU group", "%d", group);

	pci_link(d->bdf, "driver", before, sizeof(before));
	pci_bind_vfio(d->bdf);
	say("driver", "vfio-pci, through driver_override (before: %s)",
	    before[0] ? before : "none");
	pci_vfio_node(d->bdf, node, sizeof(node));
	vfio_open(&d->dev, node);
	say("opened", "%s", node);
}

/* ---- 3, 4: the context, the IOAS, the attachment ------------------------ */

static void bind_device(struct demo *d)
{
	uint32_t id;

	step("Bind it to /dev/iommu");
	d->iommu = iommu_open();
	say("opened", "/dev/iommu: a new, empty context");
	id = vfio_bind_iommufd(&d->dev, d->iommu);
	say("bound", "the device is object %u here; all its DMA is blocked now", id);

	iommu_describe(d->iommu, id, d->bdf, &d->hw);
	say("IOMMU", "%s%s%s%s", d->hw.name, d->hw.instance[0] ? " (" : "",
	    d->hw.instance, d->hw.instance[0] ? ")" : "");
	if (d->hw.registers[0])
		say("", "%s", d->hw.registers);
	else
		say("", "(its driver reports no registers; the name is from sysfs)");
	check(d->hw.kind != IOMMU_KIND_UNKNOWN, "the IOMMU has a known name");
}

static void print_ranges(const struct iova_ranges *ranges)
{
	unsigned int i;

	for (i = 0; i < ranges->count; i++) {
		uint64_t start = ranges->range[i].start;
		uint64_t last = ranges->range[i].last;
		/* The whole 64-bit space has a size that no u64 can hold. */
		const char *size = last - start == UINT64_MAX ?
				   "16 EiB" : size_str(last - start + 1);

		say(i ? "" : "usable IOVAs", "0x%016lx - 0x%016lx  %s", start, last, size);
	}
}

static void attach_ioas(struct demo *d, struct iova_ranges *ranges)
{
	uint32_t hwpt;

	step("Make an I/O address space and attach the device to it");
	d->ioas = iommu_ioas_alloc(d->iommu);
	say("IOAS", "object %u", d->ioas);
	hwpt = vfio_attach_ioas(&d->dev, d->ioas);
	say("attached", "through page table %u, which the kernel made for it",
	    hwpt);
	iommu_iova_ranges(d->iommu, d->ioas, ranges);
	print_ranges(ranges);
	say("alignment", "%s", size_str(ranges->alignment));
	check(ranges->count > 0, "there are usable IOVAs");
}

/* ---- 5: the memory ------------------------------------------------------ */

/* The first aligned place for @len bytes at or above @from, if there is one. */
static uint64_t find_iova(const struct iova_ranges *ranges, uint64_t from,
			  size_t len, uint64_t align)
{
	unsigned int i;

	for (i = 0; i < ranges->count; i++) {
		uint64_t start = ranges->range[i].start;
		uint64_t last = ranges->range[i].last;

		if (start < from)
			start = from;
		if (start % align)
			start += align - start % align;
		if (start >= ranges->range[i].start && start <= last &&
		    last - start >= len - 1)
			return start;
	}
	return IOVA_ANY;
}

/* Pages must be pinned exactly once each, or the device could lose them. */
static void check_pinned(struct demo *d)
{
	uint64_t pinned = pinned_bytes() - d->pinned_before;

	check(pinned == d->mapped, "%s mapped, %s pinned",
	      size_str(d->mapped), size_str(pinned));
}

static void map_buffer(struct demo *d, struct buffer *b, const char *name,
		       const char *pages, uint64_t iova, unsigned int access)
{
	b->iova = iommu_map(d->iommu, d->ioas, b->va, b->len, iova, access);
	d->mapped += b->len;
	say(name, "%s in %s: VA 0x%lx at IOVA 0x%lx, %s",
	    size_str(b->len), pages, (uintptr_t)b->va, b->iova,
	    iova == IOVA_ANY ? "chosen by the kernel" : "chosen by us");
}

static void map_memory(struct demo *d, const struct iova_ranges *ranges)
{
	char base[32];

	step("Map memory for the device");
	snprintf(base, sizeof(base), "%s pages", size_str(page_size()));
	d->pinned_before = pinned_bytes();

	d->queues.len = nvme_memory_size();
	d->queues.va = alloc_pages(d->queues.len);
	map_buffer(d, &d->queues, "queues", base, IOVA_ANY,
		   DMA_READ | DMA_WRITE);
	check_pinned(d);

	/* The device will fill the data buffers, never read them. */
	d->small.len = PART_SIZE;
	d->small.va = alloc_pages(d->small.len);
	map_buffer(d, &d->small, "data, part 1", base, IOVA_ANY, DMA_WRITE);
	check_pinned(d);

	d->huge.len = PART_SIZE;
	d->huge.va = alloc_hugepages(d->huge.len);
	map_buffer(d, &d->huge, "data, part 2", "2 MiB hugepages",
		   find_iova(ranges, FAVOURITE_IOVA, d->huge.len,
			     HUGE_PAGE_SIZE), DMA_WRITE);
	check_pinned(d);
}

/* ---- 6, 7: the controller, and reading the disk ------------------------- */

static void start_controller(struct demo *d)
{
	struct nvme_dma mem = { d->queues.va, d->queues.iova };

	nvme_start(&d->nvme, &d->dev, mem);
}

static void drive_controller(struct demo *d)
{
	struct nvme *n = &d->nvme;

	step("Drive the controller from user space");
	vfio_find_regions(&d->dev);
	say("registers", "BAR 0, %s, %s", size_str(d->dev.bar0_size),
	    d->dev.regs ? "mapped" : "through read() and write()");
	vfio_enable(&d->dev, true, true);
	start_controller(d);
	say("reset", "done, enabled, one admin queue");
	say("identify", "%s, serial %s, firmware %s, NVMe %u.%u", n->model,
	    n->serial, n->firmware, n->version >> 16, n->version >> 8 & 0xff);
	say("namespace 1", "%s: %lu blocks of %s",
	    size_str(n->blocks * n->block), n->blocks, size_str(n->block));
	say("I/O queue", "made: up to %u commands in flight, %s each",
	    n->io.entries - 1, size_str(n->max_transfer));
}

/* Hashes the next part of the disk as it has arrived in @b. */
static size_t read_part(struct demo *d, struct buffer *b, uint64_t offset,
			struct sha256 *sha)
{
	uint64_t left = d->nvme.blocks * d->nvme.block - offset;
	size_t len = left < b->len ? left : b->len;
	int result = nvme_read(&d->nvme, offset, len, b->iova);

	if (result != NVME_OK)
		die("reading %s from byte %lu to IOVA 0x%lx: %s", size_str(len), offset, b->iova,
		    nvme_result_str(result));
	sha256_update(sha, b->va, len);
	return len;
}

static void read_disk(struct demo *d)
{
	uint64_t size = d->nvme.blocks * d->nvme.block, offset = 0;
	char hex[SHA256_HEX_SIZE];
	struct sha256 sha;
	double start = now();
	unsigned int i;

	step("Read the whole disk by DMA");
	sha256_init(&sha);
	for (i = 0; offset < size; i++)
		offset += read_part(d, i % 2 ? &d->huge : &d->small, offset,
				    &sha);
	sha256_final_hex(&sha, hex);
	say("read", "%s in %u pieces, by turns into part 1 and part 2, in %.1f s",
	    size_str(offset), i, now() - start);
	say("SHA-256", "%s", hex);
	check(!strcmp(hex, d->expected), "it is the SHA-256 of the disk%s%s",
	      strcmp(hex, d->expected) ? "; expected " : "",
	      strcmp(hex, d->expected) ? d->expected : "");
}

/* ---- 8, 9: isolation ---------------------------------------------------- */

static bool is_canary(const void *va, size_t len)
{
	const uint8_t *p = va;

	return p[0] == CANARY && !memcmp(p, p + 1, len - 1);
}

/*
 * QEMU's AMD-Vi refuses an access without a mapping, but its walk of the page
 * table gives up silently at an entry that is zero, and so an unmapped page
 * never gets into the event log (seen with QEMU 7.2).
 */
static bool fault_may_be_silent(struct demo *d)
{
	return d->hw.kind == IOMMU_KIND_AMD &&
	       !strncmp(d->nvme.model, "QEMU", 4);
}

/* The fault is the proof that it was the IOMMU which stopped the access. */
static void check_fault_report(struct demo *d, int kmsg, size_t len)
{
	int wait = d->virtual ? 0 : FAULT_WAIT;
	char line[512];

	if (kmsg_wait_for_fault(kmsg, d->hw.kind, d->small.iova, len, wait,
				line, sizeof(line))) {
		say("kernel log", "%s", line);
		check(true, "the IOMMU reported the fault");
	} else if (fault_may_be_silent(d)) {
		check_impossible("no fault report: QEMU's AMD-Vi refuses in silence");
	} else if (d->virtual) {
		check_impossible("no fault report: it is the host that has one");
	} else {
		check(false, "the IOMMU reported no fault within %d s",
		      FAULT_WAIT);
	}
}

/* The first piece of the disk once more, to the start of buffer part 1. */
static int read_again(struct demo *d, size_t len)
{
	return nvme_read(&d->nvme, 0, len, d->small.iova);
}

static void show_isolation(struct demo *d, size_t len)
{
	int kmsg = kmsg_open_at_end(), result;
	uint64_t unmapped;

	step("Unmap part 1 of the buffer, and let the device try again");
	memset(d->small.va, CANARY, d->small.len);
	unmapped = iommu_unmap(d->iommu, d->ioas, d->small.iova, d->small.len);
	d->mapped -= unmapped;
	say("unmapped", "%s at IOVA 0x%lx", size_str(unmapped),
	    d->small.iova);
	say("memory", "still ours, and filled with 0x%02x", CANARY);
	check(unmapped == d->small.len, "all of it was unmapped");
	check_pinned(d);

	result = read_again(d, len);
	say("command", "read %s from byte 0 to IOVA 0x%lx", size_str(len),
	    d->small.iova);
	say("controller", "%s; CSTS 0x%x%s", nvme_result_str(result),
	    nvme_status(&d->nvme),
	    nvme_fatal(&d->nvme) ? " (controller fatal status)" : "");
	if (result == NVME_OK)
		remark("It does not know better: a write on the bus has no answer, so the\n"
		       "controller need not notice that nobody took its data");
	check(is_canary(d->small.va, d->small.len),
	      "not one byte has arrived: all %s are as before",
	      size_str(d->small.len));
	check_fault_report(d, kmsg, len);

	/* The controller may be past helping after such a thing. */
	if (result == NVME_NO_ANSWER || nvme_fatal(&d->nvme)) {
		start_controller(d);
		say("controller", "reset and started again");
	}
}

/* Without this, a controller that just ignores us would pass the test. */
static void show_control(struct demo *d, size_t len)
{
	uint8_t *before;
	int result;

	step("Map it again, and repeat the very same command");
	before = d->huge.va;	/* a copy of the data, by the other mapping */
	result = nvme_read(&d->nvme, 0, len, d->huge.iova);
	check(result == NVME_OK, "read to IOVA 0x%lx (mapped all along): %s",
	      d->huge.iova, nvme_result_str(result));

	map_buffer(d, &d->small, "part 1 again", "the same pages",
		   d->small.iova, DMA_WRITE);
	check_pinned(d);
	result = read_again(d, len);
	check(result == NVME_OK, "read to IOVA 0x%lx (mapped again): %s",
	      d->small.iova, nvme_result_str(result));
	check(!memcmp(d->small.va, before, len) && !is_canary(before, len),
	      "now the data has arrived");
	check(is_canary((uint8_t *)d->small.va + len, d->small.len - len),
	      "and nothing behind it was touched");
}

/* ---- 10: the end -------------------------------------------------------- */

static void take_down(struct demo *d)
{
	step("Take everything down");
	nvme_stop(&d->nvme);
	vfio_enable(&d->dev, false, false);
	say("controller", "shut down, no bus master any more");
	vfio_detach_ioas(&d->dev);
	say("detached", "its page table is gone, and the pins with it");
	d->mapped = 0;
	check_pinned(d);
	iommu_destroy(d->iommu, d->ioas, "IOAS");
	say("destroyed", "IOAS %u, with the mappings that were left",
	    d->ioas);
	vfio_close(&d->dev);
	free_memory(d->queues.va, d->queues.len);
	free_memory(d->small.va, d->small.len);
	free_memory(d->huge.va, d->huge.len);
	restore_hugepage_pool();
}

/* ------------------------------------------------------------------------- */

static void print_help(FILE *f)
{
	fputs("usage: iommufd-demo --sha256 HEX [--device DDDD:BB:DD.F] [--virtual]\n"
	      "\n"
	      "Drives an NVMe controller from user space through /dev/iommu: reads the\n"
	      "whole disk (and never writes to it), compares its SHA-256 with HEX, and\n"
	      "shows that unmapped memory is out of the device's reach. Run as root.\n"
	      "Without --device it takes a controller that no kernel driver uses.\n"
	      "With --virtual this is a VM that was given the controller, and its IOMMU is\n"
	      "emulated: the one that stops the controller is the host's, which reports it.\n"
	      "\n"
	      "Exit status: 0 if all was as it should be, 1 if not, 2 for wrong usage.\n",
	      f);
}

static const char *parse_options(struct demo *d, int argc, char **argv)
{
	static const struct option options[] = {
		{ "sha256", required_argument, NULL, 's' },
		{ "device", required_argument, NULL, 'd' },
		{ "virtual", no_argument, NULL, 'v' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	const char *device = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "s:d:vh", options, NULL)) != -1) {
		if (c == 's') {
			d->expected = optarg;
		} else if (c == 'd') {
			device = optarg;
		} else if (c == 'v') {
			d->virtual = true;
		} else {
			print_help(c == 'h' ? stdout : stderr);
			exit(c == 'h' ? 0 : 2);
		}
	}
	if (optind != argc || !d->expected ||
	    strspn(d->expected, "0123456789abcdef") != SHA256_HEX_SIZE - 1 ||
	    d->expected[SHA256_HEX_SIZE - 1]) {
		print_help(stderr);
		exit(2);
	}
	return device;
}

int main(int argc, char **argv)
{
	static struct demo d;
	const char *device = parse_options(&d, argc, argv);
	struct iova_ranges ranges;
	size_t len;

	puts("A device reads a disk into memory mapped through /dev/iommu, and is stopped by it.");

	take_device(&d, device);
	bind_device(&d);
	attach_ioas(&d, &ranges);
	map_memory(&d, &ranges);
	drive_controller(&d);
	read_disk(&d);

	/* One page of the controller is enough to prove the rest. */
	len = d.nvme.page > d.nvme.block ? d.nvme.page : d.nvme.block;
	show_isolation(&d, len);
	show_control(&d, len);
	take_down(&d);

	if (checks_failed()) {
		printf("\n%u of %u checks did NOT hold.\n", checks_failed(),
		       checks_made());
		return 1;
	}
	printf("\nAll %u checks held on %s", checks_made(), d.hw.name);
	if (checks_impossible())
		printf("; %u could not be made", checks_impossible());
	puts(".");
	return 0;
}
