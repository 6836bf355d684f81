// SPDX-License-Identifier: GPL-2.0-only
/*
 * The examples that Documentation/userspace-api/iommufd.rst shows do what they say,
 * with QEMU's "edu" behind an IOMMU.
 */
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "edu.h"

/* Each is a program of its own, and all have this */
#define call driver_call
#define main driver_main
#include "examples/driver.c"
#undef call
#undef main
#define call vmm_call
#define main vmm_main
#include "examples/vmm.c"
#undef call
#undef main
#define call container_call
#define main container_main
#include "examples/container.c"
#undef call
#undef main

FIXTURE(examples)
{
	struct edu edu;
	char device[600], group[40];
};

/* The examples open the device by themselves */
FIXTURE_SETUP(examples)
{
	char path[600];

	EDU_OPEN_OR_SKIP(&self->edu, 0);
	snprintf(path, sizeof(path), PCI "/devices/%s", self->edu.bdf);
	ASSERT_TRUE(vfio_node(path, self->device, sizeof(self->device)));
	snprintf(self->group, sizeof(self->group), "/dev/vfio/%d",
		 self->edu.group);
	close(self->edu.dev);
	/* Where MSIs are not isolated, such as behind virtio-iommu */
	ASSERT_EQ(0, write_text(UNSAFE_MSI, "Y"));
}

FIXTURE_TEARDOWN(examples)
{
	write_text(UNSAFE_MSI, "N");
}

/*
 * Runs one with its arguments in a process of its own; its exit status, and what it
 * printed
 */
static int run_example(int (*program)(int argc, char **argv), char *device,
		       char *more, char *out, size_t size)
{
	char **argv = (char *[]){ "example", device, more, NULL };
	int pipefd[2], status;
	ssize_t len;
	pid_t pid;

	if (pipe(pipefd))
		return -1;
	fflush(NULL);
	pid = fork();
	if (!pid) {
		dup2(pipefd[1], STDOUT_FILENO);
		exit(program(more ? 3 : 2, argv));
	}
	close(pipefd[1]);
	waitpid(pid, &status, 0);
	len = read(pipefd[0], out, size - 1);
	close(pipefd[0]);
	out[len > 0 ? len : 0] = '\0';
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(examples, driver)
{
	char out[200];

	ASSERT_EQ(0, run_example(driver_main, self->device, NULL, out,
				 sizeof(out)));
	ASSERT_STREQ("There and back again\n", out);
}

TEST_F(examples, vmm)
{
	char out[200];

	ASSERT_EQ(0, run_example(vmm_main, self->device, NULL, out,
				 sizeof(out)));
	ASSERT_STREQ("33554432 bytes unplugged\n", out);
}

TEST_F(examples, container)
{
	char out[200];

	ASSERT_EQ(0, run_example(container_main, self->group, self->edu.bdf,
				 out, sizeof(out)));
	ASSERT_STREQ("pages of 4096 bytes: yes\n2097152 bytes unmapped\n", out);
}

/* It says so, and what is wrong, when there is no such device */
TEST_F(examples, no_device)
{
	char out[200];

	ASSERT_EQ(1, run_example(driver_main, "/dev/vfio/devices/none", NULL,
				 out, sizeof(out)));
	ASSERT_STREQ("", out);
}

TEST_HARNESS_MAIN
