// SPDX-License-Identifier: GPL-2.0-only
#include "kmsg.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * How the drivers put it: a text that must be in the line, and what stands
 * before the faulting address.
 *
 *   DMAR: [DMA Write NO_PASID] Request device [0000:00:03.0] fault addr
 *     0x100000000 [fault reason 0x05] PTE Write access is not set
 *   vfio-pci 0000:00:03.0: AMD-Vi: Event logged [IO_PAGE_FAULT domain=0x0002
 *     address=0x100000000 flags=0x0020]
 *   arm-smmu-v3 arm-smmu-v3.0.auto: event: F_TRANSLATION client: 0000:00:02.0
 *     sid: 0x10 ssid: 0x0 iova: 0x100000000 ipa: 0x0
 *   virtio_iommu virtio0: page fault from EP 24 at 0x100000000 [W]
 *   riscv,iommu 3010000.iommu: Fault 15 devid: 0x10 iotval: 100000000
 *     iotval2: 100000000
 */
static const struct {
	const char *text, *before_address;
} report[] = {
	[IOMMU_KIND_VTD] = { "[DMA Write", "fault addr " },
	[IOMMU_KIND_AMD] = { "IO_PAGE_FAULT", "address=" },
	[IOMMU_KIND_SMMUV3] = { "F_TRANSLATION", "iova: " },
	[IOMMU_KIND_VIRTIO] = { "fault from EP", " at " },
	[IOMMU_KIND_RISCV] = { "Fault ", "iotval: " },
};

int kmsg_open_at_end(void)
{
	static const struct errno_note notes[] = {
		{ ENOENT,
		  "There is no kernel log to read: the kernel needs CONFIG_PRINTK." },
		{ EPERM,
		  "Only root may read the kernel's log." },
		{ 0 }
	};
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
		die_errno(notes, "open(\"/dev/kmsg\")");
	return fd;
}

static bool is_fault(const char *line, enum iommu_kind kind, uint64_t iova,
		     size_t len)
{
	const char *before = report[kind].before_address;
	const char *address;
	uint64_t fault;

	if (kind == IOMMU_KIND_UNKNOWN || !strstr(line, report[kind].text))
		return false;
	address = strstr(line, before);
	if (!address)
		return false;
	fault = strtoull(address + strlen(before), NULL, 16);
	return fault >= iova && fault - iova < len;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

bool kmsg_wait_for_fault(int kmsg, enum iommu_kind kind, uint64_t iova,
			 size_t len, double seconds, char *line, size_t size)
{
	double end = now() + seconds;
	char record[2048];

	while (now() < end) {
		/* One record per read: "priority,sequence,...;text\n". */
		ssize_t n = read(kmsg, record, sizeof(record) - 1);
		char *text;

		if (n < 0 && errno == EAGAIN) {
			usleep(20000);
			continue;
		}
		if (n < 0 && errno == EPIPE)	/* overwritten; read on */
			continue;
		if (n <= 0)
			return false;
		record[n] = 0;
		text = strchr(record, ';');
		if (!text)
			continue;
		text++;
		text[strcspn(text, "\n")] = 0;
		if (is_fault(text, kind, iova, len)) {
			snprintf(line, size, "%s", text);
			return true;
		}
	}
	return false;
}
