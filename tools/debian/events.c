// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel is to trace while tools/debian/trace-test looks: maps, unmaps,
 * attachments of a real device, and some of each that are refused. Needs QEMU's
 * "edu", and root.
 */
#include <sys/wait.h>

#include "edu.h"

#define LARGE 0x40000000ULL
#define SOME_UID 60219
#define LIMIT 4

#define check(what) check_that(!!(what), #what, __LINE__)

static void check_that(bool good, const char *what, int line)
{
	if (good)
		return;
	fprintf(stderr, "events: %d: not so: %s (%s)\n", line, what,
		strerror(errno));
	exit(1);
}

/* Nothing is attached to this IOAS, so nothing of it is pinned */
static void map_large(int fd, __u32 ioas)
{
	void *memory = mmap(NULL, LARGE, PROT_READ, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	__u64 iova = LARGE;

	check(memory != MAP_FAILED);
	check(!ioas_map(fd, ioas, memory, LARGE, MAP_FIX | MAP_R, &iova));
	check(ioas_unmap(fd, ioas, 4 * LARGE, LARGE, NULL) == ENOENT);
	check(!ioas_unmap(fd, ioas, LARGE, LARGE, NULL));
}

/* A process with a name and a limit of its own maps what it may, and then more */
static void map_too_much(int fd, __u32 ioas, __u8 *buf)
{
	pid_t child = fork();
	int status;

	check(child >= 0);
	if (!child) {
		check(!write_text("/proc/self/comm", "hungry"));
		check(!memlock_limit_set(LIMIT * PAGE));
		check(!setresuid(SOME_UID, SOME_UID, SOME_UID));
		check(!ioas_map_at(fd, ioas, buf, 3 * PAGE, 2 * EDU_IOVA));
		check(ioas_map_at(fd, ioas, buf + 3 * PAGE, 2 * PAGE,
				  3 * EDU_IOVA) == ENOMEM);
		exit(0);
	}
	check(waitpid(child, &status, 0) == child && !status);
}

/* The device's registers go while it does not decode their address */
static void map_registers(int fd, __u32 ioas, struct edu *edu)
{
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	__u16 command;

	check(!iommu_cmd(edu->dev, VFIO_DEVICE_GET_REGION_INFO, &info));
	check(!ioas_map_at(fd, ioas, edu->bar, edu->bar_len, 4 * EDU_IOVA));
	for (int on = 0; on < 2; on++) {
		command = PCI_COMMAND_MASTER | on * PCI_COMMAND_MEMORY;
		check(pwrite(edu->dev, &command, 2, info.offset + PCI_COMMAND) == 2);
	}
	check(!ioas_unmap(fd, ioas, 4 * EDU_IOVA, edu->bar_len, NULL));
}

static void attach(int fd, __u32 first, __u32 second)
{
	__u8 *buf = buf_alloc(8 * PAGE);
	struct edu edu;
	__u32 id;

	check(buf);
	check(!edu_open(&edu, 0) && !edu_bind(&edu, fd, &id));
	check(vfio_attach(edu.dev, &(__u32){ id }) == EINVAL);
	check(!vfio_attach(edu.dev, &(__u32){ first }));
	check(!vfio_attach(edu.dev, &(__u32){ second }));
	check(!edu_start(&edu));

	memset(buf, 0x5a, PAGE);
	check(!ioas_map_at(fd, second, buf, 2 * PAGE, EDU_IOVA));
	check(ioas_map_at(fd, second, buf, PAGE, EDU_IOVA) == EEXIST);
	check(edu_copy(&edu, EDU_IOVA, EDU_IOVA + PAGE, EDU_LEN));
	check(!memcmp(buf, buf + PAGE, EDU_LEN));
	check(ioas_unmap(fd, second, 4 * LARGE, LARGE, NULL) == ENOENT);
	map_registers(fd, second, &edu);
	map_too_much(fd, second, buf + 2 * PAGE);

	check(!vfio_detach(edu.dev));
	edu_close(&edu);
}

int main(void)
{
	int fd = iommu_open();
	__u32 first, second;

	check(fd >= 0);
	check(!ioas_alloc(fd, &first) && !ioas_alloc(fd, &second));
	/* The documentation's example is about this one */
	check(first == 1);
	map_large(fd, first);
	attach(fd, first, second);
	check(!close(fd));
	return 0;
}
