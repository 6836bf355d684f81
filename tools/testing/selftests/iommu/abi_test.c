// SPDX-License-Identifier: GPL-2.0-only
/*
 * The frame around every ioctl: sizes, unknown commands, copies from and to
 * the caller, object IDs, and what a descriptor of /dev/iommu is good for.
 */
#include <linux/vfio.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "abi_layout.h"
#include "iommu_utils.h"

#define STRUCT_END(type, last) \
	(offsetof(type, last) + sizeof(((type *)0)->last))
#define CMD(number, type, last) \
	{ #number, number, STRUCT_END(type, last), sizeof(type) }

static const struct cmd {
	const char *name;
	unsigned int cmd;
	unsigned int min;
	unsigned int size;
} cmds[] = {
	CMD(IOMMU_DESTROY, struct iommu_destroy, id),
	CMD(IOMMU_IOAS_ALLOC, struct iommu_ioas_alloc, out_ioas_id),
	CMD(IOMMU_IOAS_ALLOW_IOVAS, struct iommu_ioas_allow_iovas,
	    allowed_iovas),
	CMD(IOMMU_IOAS_COPY, struct iommu_ioas_copy, src_iova),
	CMD(IOMMU_IOAS_IOVA_RANGES, struct iommu_ioas_iova_ranges,
	    out_iova_alignment),
	CMD(IOMMU_IOAS_MAP, struct iommu_ioas_map, iova),
	CMD(IOMMU_IOAS_UNMAP, struct iommu_ioas_unmap, length),
	CMD(IOMMU_OPTION, struct iommu_option, val64),
	CMD(IOMMU_VFIO_IOAS, struct iommu_vfio_ioas, __reserved),
	CMD(IOMMU_HWPT_ALLOC, struct iommu_hwpt_alloc, __reserved),
	CMD(IOMMU_GET_HW_INFO, struct iommu_hw_info, __reserved),
	CMD(IOMMU_HWPT_SET_DIRTY_TRACKING,
	    struct iommu_hwpt_set_dirty_tracking, __reserved),
	CMD(IOMMU_HWPT_GET_DIRTY_BITMAP, struct iommu_hwpt_get_dirty_bitmap,
	    data),
	CMD(IOMMU_HWPT_INVALIDATE, struct iommu_hwpt_invalidate, __reserved),
	CMD(IOMMU_FAULT_QUEUE_ALLOC, struct iommu_fault_alloc, out_fault_fd),
	CMD(IOMMU_IOAS_MAP_FILE, struct iommu_ioas_map_file, iova),
	CMD(IOMMU_VIOMMU_ALLOC, struct iommu_viommu_alloc, out_viommu_id),
	CMD(IOMMU_VDEVICE_ALLOC, struct iommu_vdevice_alloc, virt_id),
	CMD(IOMMU_IOAS_CHANGE_PROCESS, struct iommu_ioas_change_process,
	    __reserved),
	CMD(IOMMU_VEVENTQ_ALLOC, struct iommu_veventq_alloc, out_veventq_fd),
	CMD(IOMMU_HW_QUEUE_ALLOC, struct iommu_hw_queue_alloc, length),
	CMD(IOMMU_IOAS_NOIOMMU_GET_PA, struct iommu_ioas_noiommu_get_pa,
	    out_phys),
};

/* One readable and writable page, and behind it one that faults */
FIXTURE(abi)
{
	int fd;
	__u8 *page;
	__u8 *end;
};

FIXTURE_SETUP(abi)
{
	OPEN_OR_SKIP(self->fd);
	self->page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->page);
	ASSERT_EQ(0, mprotect(self->page + PAGE, PAGE, PROT_NONE));
	self->end = self->page + PAGE;
}

FIXTURE_TEARDOWN(abi)
{
	EXPECT_EQ(0, close(self->fd));
	munmap(self->page, 2 * PAGE);
}

/*
 * The answer to an all-zero structure of that size word, in a context that has
 * no objects, nor has it any afterwards; -1 if that cannot be had.
 */
static int zero_call(int *fd, const struct cmd *c, __u8 *page, __u32 size)
{
	int rc;

	memset(page, 0, PAGE);
	memcpy(page, &size, sizeof(size));
	rc = iommu_cmd(*fd, c->cmd, page);
	close(*fd);
	*fd = iommu_open();
	return *fd < 0 ? -1 : rc;
}

TEST_F(abi, size_below_minimum)
{
	for (const struct cmd *c = cmds; c < cmds + ARRAY_LEN(cmds); c++) {
		EXPECT_EQ(EINVAL, zero_call(&self->fd, c, self->page,
					    c->min - 1))
			TH_LOG("%s", c->name);
		EXPECT_EQ(EINVAL, zero_call(&self->fd, c, self->page, 4))
			TH_LOG("%s", c->name);
		EXPECT_EQ(EINVAL, zero_call(&self->fd, c, self->page, 0))
			TH_LOG("%s", c->name);
	}
}

/* A shorter, or longer and zero structure means what the full one means */
TEST_F(abi, size_tail_zero)
{
	for (const struct cmd *c = cmds; c < cmds + ARRAY_LEN(cmds); c++) {
		int want = zero_call(&self->fd, c, self->page, c->size);

		ASSERT_LE(0, want);
		EXPECT_NE(ENOTTY, want)
			TH_LOG("%s", c->name);
		for (unsigned int size = c->min; size <= c->size; size++) {
			EXPECT_EQ(want, zero_call(&self->fd, c, self->page,
						  size))
				TH_LOG("%s size %u", c->name, size);
		}
		EXPECT_EQ(want, zero_call(&self->fd, c, self->page,
					  c->size + 1))
			TH_LOG("%s", c->name);
		EXPECT_EQ(want, zero_call(&self->fd, c, self->page, PAGE))
			TH_LOG("%s", c->name);
	}
}

TEST_F(abi, size_tail_nonzero)
{
	for (const struct cmd *c = cmds; c < cmds + ARRAY_LEN(cmds); c++) {
		__u32 size = c->size + 1;

		memset(self->page, 0, PAGE);
		memcpy(self->page, &size, sizeof(size));
		self->page[c->size] = 1;
		EXPECT_EQ(E2BIG, iommu_cmd(self->fd, c->cmd, self->page))
			TH_LOG("%s", c->name);

		/* Any byte of the tail counts, not only the nearest */
		size = PAGE;
		memset(self->page, 0, PAGE);
		memcpy(self->page, &size, sizeof(size));
		self->page[PAGE - 1] = 0x80;
		EXPECT_EQ(E2BIG, iommu_cmd(self->fd, c->cmd, self->page))
			TH_LOG("%s", c->name);

		/* The tail is looked at before the structure is */
		memset(self->page, 0xff, PAGE);
		memcpy(self->page, &size, sizeof(size));
		EXPECT_EQ(E2BIG, iommu_cmd(self->fd, c->cmd, self->page))
			TH_LOG("%s", c->name);
	}
}

TEST_F(abi, unreadable)
{
	for (const struct cmd *c = cmds; c < cmds + ARRAY_LEN(cmds); c++) {
		__u32 size = c->size;
		__u8 *at;

		EXPECT_EQ(EFAULT, iommu_cmd(self->fd, c->cmd, NULL))
			TH_LOG("%s", c->name);
		EXPECT_EQ(EFAULT, iommu_cmd(self->fd, c->cmd, self->end))
			TH_LOG("%s", c->name);
		/* Half of the size word */
		EXPECT_EQ(EFAULT, iommu_cmd(self->fd, c->cmd, self->end - 2))
			TH_LOG("%s", c->name);
		/* The size word, not the last byte */
		at = self->end - c->size + 1;
		memset(at, 0, c->size - 1);
		memcpy(at, &size, sizeof(size));
		EXPECT_EQ(EFAULT, iommu_cmd(self->fd, c->cmd, at))
			TH_LOG("%s", c->name);
		/* The structure, not what the caller says is behind it */
		at = self->end - c->size;
		memset(at, 0, c->size);
		size = c->size + 1;
		memcpy(at, &size, sizeof(size));
		EXPECT_EQ(EFAULT, iommu_cmd(self->fd, c->cmd, at))
			TH_LOG("%s", c->name);
		/* A size below the minimum is refused without reading on */
		size = c->min - 1;
		memcpy(self->end - 4, &size, sizeof(size));
		EXPECT_EQ(EINVAL, iommu_cmd(self->fd, c->cmd, self->end - 4))
			TH_LOG("%s", c->name);
	}
}

TEST_F(abi, unknown_command)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	unsigned int nr = _IOC_NR(IOMMU_IOAS_ALLOC);

	/* Below and above the range the argument is not looked at */
	EXPECT_EQ(ENOTTY, iommu_cmd(self->fd, _IO(';', 0x7f), NULL));
	EXPECT_EQ(ENOTTY, iommu_cmd(self->fd, _IO(';', 0xff), NULL));
	/* Inside, the number alone decides where it goes */
	EXPECT_EQ(ENOTTY, iommu_cmd(self->fd, _IO('<', nr), &cmd));
	EXPECT_EQ(ENOTTY, iommu_cmd(self->fd, _IOWR(';', nr, cmd), &cmd));
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, _IO('<', nr), NULL));
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, _IOR(';', nr, cmd), NULL));
	/* Free numbers */
	EXPECT_EQ(ENOTTY, iommu_cmd(self->fd, _IO(';', 0x96), &cmd));
	EXPECT_EQ(ENOTTY, iommu_cmd(self->fd, _IO(';', 0x9f), &cmd));
	EXPECT_EQ(0, iommu_cmd(self->fd, IOMMU_IOAS_ALLOC, &cmd));
	EXPECT_EQ(1, cmd.out_ioas_id);
}

/* Unknown flags and reserved fields come before the IDs, which are all bad */
#define BAD_FIELD(cmd_nr, type, ...)                                           \
	do {                                                                   \
		type cmd = { .size = sizeof(cmd), __VA_ARGS__ };               \
		EXPECT_EQ(EOPNOTSUPP, iommu_cmd(self->fd, cmd_nr, &cmd))       \
			TH_LOG("%s: %s", #cmd_nr, #__VA_ARGS__);               \
	} while (0)

TEST_F(abi, reserved_fields)
{
	BAD_FIELD(IOMMU_IOAS_ALLOC, struct iommu_ioas_alloc, .flags = 1);
	BAD_FIELD(IOMMU_IOAS_IOVA_RANGES, struct iommu_ioas_iova_ranges,
		  .__reserved = 1);
	BAD_FIELD(IOMMU_IOAS_ALLOW_IOVAS, struct iommu_ioas_allow_iovas,
		  .__reserved = 1);
	BAD_FIELD(IOMMU_IOAS_MAP, struct iommu_ioas_map, .__reserved = 1);
	BAD_FIELD(IOMMU_IOAS_MAP, struct iommu_ioas_map, .flags = 8);
	BAD_FIELD(IOMMU_IOAS_MAP, struct iommu_ioas_map, .flags = 1U << 31);
	BAD_FIELD(IOMMU_IOAS_MAP_FILE, struct iommu_ioas_map_file, .flags = 8);
	BAD_FIELD(IOMMU_IOAS_COPY, struct iommu_ioas_copy, .flags = 8);
	BAD_FIELD(IOMMU_OPTION, struct iommu_option,
		  .option_id = IOMMU_OPTION_HUGE_PAGES, .__reserved = 1);
	BAD_FIELD(IOMMU_OPTION, struct iommu_option, .option_id = 2);
	BAD_FIELD(IOMMU_VFIO_IOAS, struct iommu_vfio_ioas, .__reserved = 1);
	BAD_FIELD(IOMMU_VFIO_IOAS, struct iommu_vfio_ioas, .op = 3);
	BAD_FIELD(IOMMU_IOAS_CHANGE_PROCESS, struct iommu_ioas_change_process,
		  .__reserved = 1);
	BAD_FIELD(IOMMU_HWPT_ALLOC, struct iommu_hwpt_alloc, .__reserved = 1);
	BAD_FIELD(IOMMU_GET_HW_INFO, struct iommu_hw_info, .flags = 2);
	BAD_FIELD(IOMMU_GET_HW_INFO, struct iommu_hw_info, .__reserved[0] = 1);
	BAD_FIELD(IOMMU_GET_HW_INFO, struct iommu_hw_info, .__reserved[2] = 1);
	BAD_FIELD(IOMMU_HWPT_SET_DIRTY_TRACKING,
		  struct iommu_hwpt_set_dirty_tracking, .flags = 2);
	BAD_FIELD(IOMMU_HWPT_GET_DIRTY_BITMAP,
		  struct iommu_hwpt_get_dirty_bitmap, .flags = 2);
	BAD_FIELD(IOMMU_HWPT_GET_DIRTY_BITMAP,
		  struct iommu_hwpt_get_dirty_bitmap, .__reserved = 1);
	BAD_FIELD(IOMMU_HWPT_INVALIDATE, struct iommu_hwpt_invalidate,
		  .__reserved = 1);
	BAD_FIELD(IOMMU_FAULT_QUEUE_ALLOC, struct iommu_fault_alloc,
		  .flags = 1);
	BAD_FIELD(IOMMU_VIOMMU_ALLOC, struct iommu_viommu_alloc, .flags = 1,
		  .type = 1);
	BAD_FIELD(IOMMU_VIOMMU_ALLOC, struct iommu_viommu_alloc, .type = 0);
	BAD_FIELD(IOMMU_VEVENTQ_ALLOC, struct iommu_veventq_alloc, .flags = 1,
		  .type = 1, .veventq_depth = 1);
	BAD_FIELD(IOMMU_VEVENTQ_ALLOC, struct iommu_veventq_alloc,
		  .__reserved = 1, .type = 1, .veventq_depth = 1);
	BAD_FIELD(IOMMU_VEVENTQ_ALLOC, struct iommu_veventq_alloc,
		  .veventq_depth = 1);
	BAD_FIELD(IOMMU_HW_QUEUE_ALLOC, struct iommu_hw_queue_alloc,
		  .flags = 1, .type = 1, .length = 1);
	BAD_FIELD(IOMMU_HW_QUEUE_ALLOC, struct iommu_hw_queue_alloc,
		  .length = 1);
}

/* Nothing past the caller's size is written, nor past ours */
TEST_F(abi, reply_bounds)
{
	struct iommu_ioas_alloc *cmd = (void *)self->page;

	memset(self->page, 0, PAGE);
	cmd->size = 64;
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_IOAS_ALLOC, cmd));
	EXPECT_EQ(64, cmd->size);
	EXPECT_EQ(1, cmd->out_ioas_id);
	for (int i = sizeof(*cmd); i < 64; i++)
		EXPECT_EQ(0, self->page[i]);

	/* The smallest structure right at the end of memory */
	cmd = (void *)(self->end - sizeof(*cmd));
	*cmd = (struct iommu_ioas_alloc){ .size = sizeof(*cmd) };
	ASSERT_EQ(0, iommu_cmd(self->fd, IOMMU_IOAS_ALLOC, cmd));
	EXPECT_EQ(2, cmd->out_ioas_id);
}

/* An answer that cannot be given is a call that did not happen */
TEST_F(abi, reply_unwritable)
{
	struct iommu_ioas_alloc *cmd = (void *)self->page;
	__u32 id;

	cmd->size = sizeof(*cmd);
	ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, IOMMU_IOAS_ALLOC, cmd));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, 1));
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(1, id);
}

TEST_F(abi, reply_unwritable_fault_queue)
{
	struct iommu_fault_alloc *cmd = (void *)self->page;
	int before, after, file;
	__u32 id;

	before = dup(self->fd);
	ASSERT_LE(0, before);
	close(before);
	memset(cmd, 0, sizeof(*cmd));
	cmd->size = sizeof(*cmd);
	ASSERT_EQ(0, mprotect(self->page, PAGE, PROT_READ));
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, IOMMU_FAULT_QUEUE_ALLOC, cmd));
	/* Neither the ID nor a descriptor is used up */
	after = dup(self->fd);
	EXPECT_EQ(before, after);
	close(after);
	ASSERT_EQ(0, fault_alloc(self->fd, &id, &file));
	EXPECT_EQ(1, id);
	close(file);
}

TEST_F(abi, ids_lowest_free)
{
	__u32 id;

	for (__u32 want = 1; want <= 5; want++) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &id));
		EXPECT_EQ(want, id);
	}
	EXPECT_EQ(0, iommu_destroy(self->fd, 4));
	EXPECT_EQ(0, iommu_destroy(self->fd, 2));
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(2, id);
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(4, id);
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(6, id);
}

TEST_F(abi, ids_per_context)
{
	int fd2 = iommu_open();
	__u32 id;

	ASSERT_LE(0, fd2);
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(1, id);
	EXPECT_EQ(ENOENT, iommu_destroy(fd2, id));
	ASSERT_EQ(0, ioas_alloc(fd2, &id));
	EXPECT_EQ(1, id);
	EXPECT_EQ(0, iommu_destroy(self->fd, id));
	EXPECT_EQ(0, iommu_destroy(fd2, id));
	close(fd2);
}

TEST_F(abi, destroy)
{
	__u32 ioas;

	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, 0));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, 1));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, 0x7fffffff));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, 0x80000000));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, 0xffffffff));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	EXPECT_EQ(0, iommu_destroy(self->fd, ioas));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, ioas));
}

TEST_F(abi, destroy_in_use)
{
	struct mock_dev dev;
	__u32 ioas, id;
	int access;

	if (!has_mock(self->fd))
		SKIP(return, "kernel without CONFIG_IOMMUFD_TEST");
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_attach(self->fd, ioas, 0, &dev));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, ioas));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, dev.idev));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, dev.hwpt));
	/* All types share one number space */
	EXPECT_EQ(1, ioas);
	EXPECT_EQ(2, dev.stdev);
	EXPECT_EQ(3, dev.idev);
	EXPECT_EQ(4, dev.hwpt);
	EXPECT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, dev.idev));
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, dev.hwpt));

	ASSERT_EQ(0, access_create(self->fd, ioas, 0, &access));
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, ioas));
	/* The access is an object that user space cannot destroy */
	EXPECT_EQ(EBUSY, iommu_destroy(self->fd, 2));
	close(access);
	EXPECT_EQ(ENOENT, iommu_destroy(self->fd, 2));
	EXPECT_EQ(0, iommu_destroy(self->fd, ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(1, id);
}

/* IDs where another type is wanted */
TEST_F(abi, wrong_type)
{
	struct mock_dev dev;
	__u64 iova = 0, val;
	__u32 ioas, num = 0;

	if (!has_mock(self->fd))
		SKIP(return, "kernel without CONFIG_IOMMUFD_TEST");
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, mock_attach(self->fd, ioas, 0, &dev));
	EXPECT_EQ(ENOENT, ioas_map(self->fd, dev.hwpt, self->page, PAGE,
				   MAP_RW, &iova));
	EXPECT_EQ(ENOENT, ioas_unmap_all(self->fd, dev.idev, NULL));
	EXPECT_EQ(ENOENT, ioas_ranges(self->fd, dev.stdev, NULL, &num, NULL));
	EXPECT_EQ(ENOENT, ioas_allow(self->fd, dev.hwpt, NULL, 0));
	EXPECT_EQ(ENOENT, option_get(self->fd, IOMMU_OPTION_HUGE_PAGES,
				     dev.hwpt, &val));
	EXPECT_EQ(ENOENT, hwpt_alloc(self->fd, ioas, ioas, 0, NULL));
	EXPECT_EQ(ENOENT, hwpt_set_dirty(self->fd, ioas, true));
	EXPECT_EQ(ENOENT, mock_attach(self->fd, BAD_ID, 0, NULL));
	/* Attach takes several types and says so */
	EXPECT_EQ(EINVAL, mock_attach(self->fd, dev.idev, 0, NULL));
}

TEST_F(abi, file_operations)
{
	struct pollfd p = { .fd = self->fd, .events = POLLIN };
	char c = 0;

	EXPECT_EQ(-1, read(self->fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &c, 1));
	EXPECT_EQ(EINVAL, errno);
	/* A file without poll is always ready */
	EXPECT_EQ(1, poll(&p, 1, 0));
}

TEST_F(abi, mmap_nothing)
{
	errno = 0;
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE,
				   self->fd, PAGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_EXEC,
				   MAP_SHARED, self->fd, PAGE));
	EXPECT_EQ(EPERM, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED,
				   self->fd, PAGE));
	EXPECT_EQ(ENXIO, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED,
				   self->fd, 0));
	EXPECT_EQ(ENXIO, errno);
}

TEST_F(abi, dup_and_fork)
{
	int fd2 = dup(self->fd);
	int status;
	__u32 ioas;
	pid_t pid;

	ASSERT_LE(0, fd2);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	close(self->fd);
	/* Not the last descriptor: everything is still there */
	EXPECT_EQ(0, ioas_map_at(fd2, ioas, self->page, PAGE, PAGE));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		__u32 id;

		if (ioas_alloc(fd2, &id) || id != 2)
			_exit(1);
		_exit(ioas_unmap(fd2, ioas, PAGE, PAGE, NULL) ? 2 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(ENOENT, ioas_unmap(fd2, ioas, PAGE, PAGE, NULL));
	EXPECT_EQ(0, iommu_destroy(fd2, 2));
	self->fd = fd2;
}

TEST_F(abi, rlimit_mode)
{
	__u64 val;
	__u32 id;

	if (!cap_have(24 /* CAP_SYS_RESOURCE */))
		SKIP(return, "needs CAP_SYS_RESOURCE");
	ASSERT_EQ(0, option_get(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val));
	EXPECT_EQ(0, val);
	EXPECT_EQ(EOPNOTSUPP, option_get(self->fd, IOMMU_OPTION_RLIMIT_MODE, 1,
					 &val));
	EXPECT_EQ(EOPNOTSUPP, option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 1,
					 1));
	EXPECT_EQ(EINVAL, option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, 2));
	EXPECT_EQ(0, option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	ASSERT_EQ(0, option_get(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val));
	EXPECT_EQ(1, val);
	/* Any object decides the matter */
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(EBUSY, option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, 0));
	EXPECT_EQ(EBUSY, option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, 2));
	ASSERT_EQ(0, iommu_destroy(self->fd, id));
	EXPECT_EQ(0, option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, 0));

	ASSERT_EQ(0, cap_drop(24));
	EXPECT_EQ(EPERM, option_set(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, 1));
	EXPECT_EQ(0, option_get(self->fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val));
	EXPECT_EQ(0, val);
}

TEST_F(abi, option_operations)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_RLIMIT_MODE,
		.op = 2,
	};
	__u32 ioas;

	EXPECT_EQ(EOPNOTSUPP, iommu_cmd(self->fd, IOMMU_OPTION, &cmd));
	/* The object of HUGE_PAGES is looked up before the operation */
	cmd.option_id = IOMMU_OPTION_HUGE_PAGES;
	EXPECT_EQ(ENOENT, iommu_cmd(self->fd, IOMMU_OPTION, &cmd));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	cmd.object_id = ioas;
	EXPECT_EQ(EOPNOTSUPP, iommu_cmd(self->fd, IOMMU_OPTION, &cmd));
}

static int vfio_ioas(int fd, __u16 op, __u32 *ioas)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.op = op,
		.ioas_id = *ioas,
	};
	int rc = iommu_cmd(fd, IOMMU_VFIO_IOAS, &cmd);

	*ioas = cmd.ioas_id;
	return rc;
}

TEST_F(abi, vfio_ioas)
{
	__u32 ioas, ioas2, id = 77;

	EXPECT_EQ(ENODEV, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_EQ(77, id);
	id = 0;
	EXPECT_EQ(ENOENT, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	EXPECT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &id));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	id = ioas;
	EXPECT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	id = ioas2;
	EXPECT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	id = 0;
	EXPECT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_EQ(ioas2, id);
	EXPECT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &id));
	EXPECT_EQ(ENODEV, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	/* It is no user of the IOAS, and goes with it */
	id = ioas;
	EXPECT_EQ(0, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	EXPECT_EQ(0, iommu_destroy(self->fd, ioas));
	EXPECT_EQ(ENODEV, vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
}

TEST_F(abi, vfio_handler)
{
	__u64 arg = 0;

	EXPECT_EQ(VFIO_API_VERSION, ioctl(self->fd, VFIO_GET_API_VERSION));
	EXPECT_EQ(1, ioctl(self->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(1, ioctl(self->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, ioctl(self->fd, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL));
	EXPECT_EQ(0, ioctl(self->fd, VFIO_CHECK_EXTENSION, 12345));
	EXPECT_EQ(ENODEV, iommu_cmd(self->fd, VFIO_SET_IOMMU,
				    (void *)VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(EINVAL, iommu_cmd(self->fd, VFIO_IOMMU_MAP_DMA, &arg));
	EXPECT_EQ(EFAULT, iommu_cmd(self->fd, VFIO_IOMMU_MAP_DMA, NULL));
}

TEST(container_node)
{
	int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	__u64 val;

	if (fd < 0)
		SKIP(return, "no /dev/vfio/vfio: %s", strerror(errno));
	if (option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val) == ENOTTY) {
		close(fd);
		SKIP(return, "/dev/vfio/vfio is the VFIO container, not ours");
	}
	/* The same contexts, with the container's accounting as default */
	EXPECT_EQ(0, option_get(fd, IOMMU_OPTION_RLIMIT_MODE, 0, &val));
	EXPECT_EQ(1, val);
	EXPECT_EQ(0, ioas_alloc(fd, NULL));
	EXPECT_EQ(VFIO_API_VERSION, ioctl(fd, VFIO_GET_API_VERSION));
	close(fd);
}

#ifdef __x86_64__
/* An ioctl as a 32-bit task makes it; 0 or errno */
static int ioctl32(int fd, unsigned int cmd, void *arg)
{
	long rc;

	asm volatile("int $0x80"
		     : "=a"(rc)
		     : "0"(54L), "b"((long)fd), "c"((long)cmd),
		       "d"((long)(uintptr_t)arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return (int)rc < 0 ? -(int)rc : 0;
}

/* 32-bit tasks have the same structures and deserve the same answers */
TEST_F(abi, compat_ioctl)
{
	struct iommu_ioas_alloc *alloc;
	struct iommu_ioas_map *map;
	int status;
	pid_t pid;
	void *low;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		ioctl32(-1, 0, NULL);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	if (status)
		SKIP(return, "kernel without CONFIG_IA32_EMULATION");

	low = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	ASSERT_NE(MAP_FAILED, low);
	alloc = low;
	alloc->size = sizeof(*alloc);
	ASSERT_EQ(0, ioctl32(self->fd, IOMMU_IOAS_ALLOC, alloc));
	EXPECT_EQ(1, alloc->out_ioas_id);
	map = low;
	*map = (struct iommu_ioas_map){
		.size = sizeof(*map),
		.flags = MAP_FIX_RW,
		.ioas_id = 1,
		.user_va = (uintptr_t)low,
		.length = PAGE,
		.iova = 1ULL << 40,
	};
	EXPECT_EQ(0, ioctl32(self->fd, IOMMU_IOAS_MAP, map));
	EXPECT_EQ(0, ioas_unmap(self->fd, 1, 1ULL << 40, PAGE, NULL));
	EXPECT_EQ(ENOTTY, ioctl32(self->fd, _IO(';', 0x7f), NULL));
	EXPECT_EQ(EFAULT, ioctl32(self->fd, IOMMU_IOAS_MAP, NULL));
}
#endif

TEST_HARNESS_MAIN
