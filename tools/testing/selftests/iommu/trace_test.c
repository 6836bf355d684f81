// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints tell what the test did; and what the documentation has to be
 * typed is right about the events and their fields.
 */
#include <ctype.h>
#include <linux/capability.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"
#include "tracefs.h"

#define NR 8
#define BASE ((__u64)MOCK_APERTURE_START)
#define TEST_UID 60219
#define LIMIT 4

/* The documentation, as it was when this was built */
asm(".pushsection .rodata\n\t"
	".global documentation\n"
	"documentation:\n\t"
	".incbin \"Documentation/userspace-api/iommufd.rst\"\n\t"
	".byte 0\n\t"
	".popsection\n");

FIXTURE(trace)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
	unsigned long long context;
};

FIXTURE_SETUP(trace)
{
	int rc;

	OPEN_MOCK_OR_SKIP(self->fd);
	rc = trace_start();
	if (rc == ENOENT || rc == ENODEV || rc == EPERM)
		SKIP(return, "cannot trace: %s", strerror(rc));
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->context = fdinfo_number(self->fd, "iommufd-context");
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	memset(self->buf, 1, NR * PAGE);
}

FIXTURE_TEARDOWN(trace)
{
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, trace_stop());
}

TEST_F(trace, map_unmap)
{
	__u64 iova = BASE + NR * PAGE;

	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	EXPECT_TRACED("iommufd_map",
		      "context=%llu ioas=%u iova=0x%llx length=%zu prot=3 rc=0",
		      self->context, self->ioas, BASE, NR * PAGE);
	EXPECT_EQ(EEXIST, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      BASE));
	EXPECT_TRACED("iommufd_map", "iova=0x%llx length=%zu prot=3 rc=-17",
		      BASE, PAGE);
	ASSERT_EQ(0, ioas_copy(self->fd, self->ioas, self->ioas, BASE, PAGE,
			       MAP_FIX | MAP_R, &iova));
	EXPECT_TRACED("iommufd_map", "iova=0x%llx length=%zu prot=1 rc=0",
		      iova, PAGE);

	EXPECT_EQ(ENOENT, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_TRACED("iommufd_unmap",
		      "context=%llu ioas=%u iova=0x%llx length=%zu unmapped=0 rc=-2",
		      self->context, self->ioas, BASE, PAGE);
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, (NR + 1) * PAGE,
				NULL));
	EXPECT_TRACED("iommufd_unmap",
		      "ioas=%u iova=0x%llx length=%zu unmapped=%zu rc=0",
		      self->ioas, BASE, (NR + 1) * PAGE, (NR + 1) * PAGE);

	/* What goes with the IOAS */
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, 2 * PAGE,
				 BASE));
	ASSERT_EQ(0, iommu_destroy(self->fd, self->ioas));
	EXPECT_TRACED("iommufd_unmap", "ioas=%u iova=0x0 length=%lu unmapped=%zu rc=0",
		      self->ioas, ULONG_MAX, 2 * PAGE);
}

TEST_F(trace, pin)
{
	int file = memfd_of(NR * PAGE, 0);
	__u64 iova = BASE + PAGE;
	char line[256];

	ASSERT_LE(0, file);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	EXPECT_EQ(0, trace_find("iommufd_pin", NULL, line, sizeof(line)));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf + PAGE, PAGE,
				 BASE));
	EXPECT_TRACED("iommufd_pin",
		      "payer=%d start=0x%lx length=%zu file=0 rc=0", getpid(),
		      (unsigned long)self->buf + PAGE, PAGE);
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, file, 2 * PAGE,
				   3 * PAGE, MAP_FIX_RW, &iova));
	EXPECT_TRACED("iommufd_pin",
		      "payer=%d start=0x%zx length=%zu file=1 rc=0", getpid(),
		      2 * PAGE, 3 * PAGE);
	ASSERT_EQ(0, munmap(self->buf, PAGE));
	EXPECT_EQ(EFAULT, ioas_map_at(self->fd, self->ioas, self->buf, PAGE,
				      BASE + 8 * PAGE));
	EXPECT_TRACED("iommufd_pin", "start=0x%lx length=%zu file=0 rc=-14",
		      (unsigned long)self->buf, PAGE);
	EXPECT_EQ(0, close(file));
}

TEST_F(trace, attach_replace_detach)
{
	char name[64] = "";
	struct mock_dev dev;
	__u32 second, pt;

	ASSERT_EQ(0, ioas_alloc(self->fd, &second));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, fdinfo_get(self->fd, name, sizeof(name),
				"iommufd-device-%u-name", dev.idev));
	EXPECT_TRACED("iommufd_attach",
		      "context=%llu id=%u dev=%s pasid=0 pt=%u hwpt=%u rc=0",
		      self->context, dev.idev, name, self->ioas, dev.hwpt);
	pt = second;
	ASSERT_EQ(0, mock_replace(self->fd, dev.stdev, &pt));
	EXPECT_TRACED("iommufd_replace",
		      "context=%llu id=%u dev=%s pasid=0 pt=%u hwpt=%u rc=0",
		      self->context, dev.idev, name, second, pt);
	EXPECT_EQ(EINVAL, mock_replace(self->fd, dev.stdev,
				       &(__u32){ dev.idev }));
	EXPECT_TRACED("iommufd_replace",
		      "id=%u dev=%s pasid=0 pt=%u hwpt=0 rc=-22", dev.idev,
		      name, dev.idev);
	ASSERT_EQ(0, iommu_destroy(self->fd, dev.stdev));
	EXPECT_TRACED("iommufd_detach",
		      "context=%llu id=%u dev=%s pasid=0 hwpt=%u",
		      self->context, dev.idev, name, pt);
}

TEST_F(trace, faults)
{
	struct iommu_hwpt_page_response resp = {
		.code = IOMMUFD_PAGE_RESP_INVALID,
	};
	struct iommu_hwpt_pgfault fault;
	__u32 parent, queue, hwpt;
	char name[64] = "";
	struct mock_dev dev;
	int file, rc;

	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &dev));
	ASSERT_EQ(0, fdinfo_get(self->fd, name, sizeof(name),
				"iommufd-device-%u-name", dev.idev));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas,
				IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, fault_alloc(self->fd, &queue, &file));
	ASSERT_EQ(0, hwpt_alloc_nested(self->fd, dev.idev, parent,
				       IOMMU_HWPT_FAULT_ID_VALID, queue,
				       IOMMU_TEST_IOTLB_DEFAULT, &hwpt));
	ASSERT_EQ(0, mock_replace(self->fd, dev.stdev, &hwpt));
	rc = mock_iopf(self->fd, dev.idev, 0, 5, IOMMU_PGFAULT_PERM_WRITE,
		       0x7000);
	if (rc == ENODEV)
		SKIP(return, "kernel without CONFIG_IOMMU_IOPF");
	ASSERT_EQ(0, rc);
	EXPECT_TRACED("iommufd_fault",
		      "queue=%u dev=%s pasid=0 grpid=5 perm=0x%x addr=0x7000 count=1",
		      queue, name, IOMMU_PGFAULT_PERM_WRITE);
	ASSERT_EQ(sizeof(fault), read(file, &fault, sizeof(fault)));
	resp.cookie = fault.cookie;
	ASSERT_EQ(sizeof(resp), write(file, &resp, sizeof(resp)));
	EXPECT_TRACED("iommufd_fault_response",
		      "dev=%s pasid=0 grpid=5 cookie=%u code=%u", name,
		      fault.cookie, resp.code);
	EXPECT_EQ(0, close(file));
}

TEST_F(trace, revoke_rearm)
{
	int buf = mock_dmabuf_get(self->fd, NR * PAGE);
	__u64 iova = BASE;
	char line[256];

	if (buf < 0 && errno == EOPNOTSUPP)
		SKIP(return, "kernel without CONFIG_DMA_SHARED_BUFFER");
	ASSERT_LE(0, buf);
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	ASSERT_EQ(0, ioas_map_file(self->fd, self->ioas, buf, PAGE, 2 * PAGE,
				   MAP_FIX_RW, &iova));
	EXPECT_TRACED("iommufd_rearm", "payer=%d start=0x%zx length=%zu rc=0",
		      getpid(), PAGE, 2 * PAGE);
	EXPECT_EQ(0, trace_find("iommufd_revoke", NULL, line, sizeof(line)));
	ASSERT_EQ(0, trace_clear());
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, buf, true));
	EXPECT_TRACED("iommufd_revoke", "payer=%d start=0x%zx length=%zu",
		      getpid(), PAGE, 2 * PAGE);
	EXPECT_EQ(0, trace_find("iommufd_rearm", NULL, line, sizeof(line)));
	ASSERT_EQ(0, mock_dmabuf_revoke(self->fd, buf, false));
	/* A work does it */
	for (int i = 0; i < 1000; i++) {
		if (trace_find("iommufd_rearm", NULL, line, sizeof(line)))
			break;
		usleep(10000);
	}
	EXPECT_TRACED("iommufd_rearm", "payer=%d start=0x%zx length=%zu rc=0",
		      getpid(), PAGE, 2 * PAGE);
	EXPECT_EQ(0, close(buf));
}

/* A process with a name, a user and a limit of its own maps more than it may */
static int over_the_limit(int fd, __u32 ioas, __u8 *buf)
{
	FILE *f = fopen("/proc/self/comm", "w");

	if (!f || fputs("hungry", f) < 0 || fclose(f))
		return 100;
	if (memlock_limit_set(LIMIT * PAGE) ||
	    setresuid(TEST_UID, TEST_UID, TEST_UID))
		return 101;
	if (ioas_map_at(fd, ioas, buf, 3 * PAGE, BASE))
		return 102;
	return ioas_map_at(fd, ioas, buf + 3 * PAGE, 2 * PAGE, BASE + 3 * PAGE);
}

TEST_F(trace, account_failed)
{
	pid_t child;
	int status;

	if (geteuid())
		SKIP(return, "has to start as root to change what it may");
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, NULL));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(over_the_limit(self->fd, self->ioas, self->buf));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(ENOMEM, WEXITSTATUS(status));
	EXPECT_TRACED("iommufd_account_failed",
		      "mode=user payer=%d comm=hungry uid=%u charged=%zu length=%zu limit=%zu",
		      child, TEST_UID, 3 * PAGE, 2 * PAGE, LIMIT * PAGE);
}

TEST_F(trace, off)
{
	char line[256];

	ASSERT_EQ(0, trace_write(TRACE_EVENTS "/enable", "0"));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	EXPECT_EQ(0, trace_find("iommufd_map", NULL, line, sizeof(line)));
	ASSERT_EQ(0, trace_write(TRACE_EVENTS "/iommufd_map/enable", "1"));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, PAGE, BASE));
	EXPECT_EQ(1, trace_find("iommufd_map", NULL, line, sizeof(line)));
	EXPECT_EQ(0, trace_find("iommufd_unmap", NULL, line, sizeof(line)));
}

/*
 * What the documentation has to be typed
 */

/* Up to the end of a word of an event or a field */
static size_t word(const char *s)
{
	size_t n = 0;

	while (isalnum(s[n]) || s[n] == '_')
		n++;
	return n;
}

static bool has_field(const char *event, const char *field, size_t len)
{
	char path[256], line[256], want[64];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), TRACE_EVENTS "/%s/format", event);
	snprintf(want, sizeof(want), " %.*s;", (int)len, field);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f))
		found |= strstr(line, "field:") && strstr(line, want);
	fclose(f);
	return found;
}

/* A filter of perf or trace-cmd; the kernel looks at its fields */
static int try_filter(const char *event, const char *filter)
{
	char path[256], text[128];
	int rc;

	snprintf(path, sizeof(path), TRACE_EVENTS "/%s/filter", event);
	snprintf(text, sizeof(text), "%.*s", (int)strcspn(filter, "'"), filter);
	rc = trace_write(path, text);
	return rc ?: trace_write(path, "0");
}

/* The next line of the block of shell commands, without its indentation */
static const char *next_line(const char **rest, char *line, size_t len)
{
	size_t n = strcspn(*rest, "\n");

	if (!**rest)
		return NULL;
	snprintf(line, len, "%.*s", (int)n, *rest);
	*rest += n + ((*rest)[n] == '\n');
	return line + strspn(line, " ");
}

/* The block of commands after the table of events */
static const char *commands(void)
{
	const char *at = strstr(documentation, "\nTracepoints\n-");

	at = at ? strstr(at, ".. code-block:: sh\n\n") : NULL;
	return at ? strchr(at, '\n') + 2 : NULL;
}

TEST_F(trace, documented_shell)
{
	const char *rest = commands(), *line;
	char buf[512], command[640];
	int ran = 0;

	ASSERT_NE(NULL, rest);
	while ((line = next_line(&rest, buf, sizeof(buf)))) {
		if (strncmp(line, "echo ", 5) && strncmp(line, "cat ", 4))
			continue;
		snprintf(command, sizeof(command), "cd " TRACEFS " && %s > /dev/null",
			 line);
		if (strchr(line, '>'))
			command[strlen(command) - strlen(" > /dev/null")] = 0;
		EXPECT_EQ(0, system(command)) {
			TH_LOG("%s", line);
		}
		ran++;
		/* The filter lets pass what fails, and only that */
		if (!strcmp(line, "echo 1 > events/iommufd/enable")) {
			EXPECT_EQ(0, ioas_map_at(self->fd, self->ioas,
						 self->buf, PAGE, BASE));
			EXPECT_EQ(EEXIST, ioas_map_at(self->fd, self->ioas,
						      self->buf, PAGE, BASE));
			EXPECT_EQ(0, system("grep -q 'iommufd_map: .*rc=-17' "
					    TRACEFS "/trace"));
			EXPECT_EQ(1, WEXITSTATUS(system("grep -q 'iommufd_map: .*rc=0' "
							TRACEFS "/trace")));
		}
	}
	EXPECT_EQ(5, ran);
	EXPECT_EQ(0, trace_write(TRACEFS "/trace", "\n"));
}

/* Every line that names our events: they exist, and so do the fields */
TEST_F(trace, documented_tools)
{
	int events = 0, filters = 0, fields = 0;
	const char *rest = commands(), *line;
	char buf[512], event[64], path[256];

	ASSERT_NE(NULL, rest);
	while ((line = next_line(&rest, buf, sizeof(buf)))) {
		const char *at = line, *filter;

		if (!*line && strncmp(rest, "   ", 3))
			break;
		while ((at = strstr(at, "iommufd:"))) {
			const char *end;

			at += strlen("iommufd:");
			if (*at == '*')
				continue;
			snprintf(event, sizeof(event), "%.*s", (int)word(at), at);
			snprintf(path, sizeof(path), TRACE_EVENTS "/%s/format",
				 event);
			EXPECT_EQ(0, access(path, R_OK)) {
				TH_LOG("%s", event);
			}
			events++;
			/* Fields up to the next event of the same line */
			end = strstr(at, "iommufd:") ?: at + strlen(at);
			for (const char *arg = at;
			     (arg = strstr(arg, "args.")) && arg < end;) {
				arg += strlen("args.");
				EXPECT_TRUE(has_field(event, arg, word(arg))) {
					TH_LOG("%s: %s", event, arg);
				}
				fields++;
			}
		}
		filter = strstr(line, "--filter '") ?: strstr(line, " -f '");
		if (!filter)
			continue;
		EXPECT_EQ(0, try_filter(event, strchr(filter, '\'') + 1)) {
			TH_LOG("%s: %s", event, filter);
		}
		filters++;
	}
	EXPECT_LE(7, events);
	EXPECT_LE(3, filters);
	EXPECT_LE(8, fields);
	/* This would tell of a field that is not there */
	EXPECT_FALSE(has_field("iommufd_map", "nonsense", 8));
	EXPECT_EQ(EINVAL, try_filter("iommufd_map", "nonsense == 1'"));
}

/* Each event of the kernel is in the table */
TEST_F(trace, documented_events)
{
	static const char * const names[] = {
		"iommufd_map", "iommufd_unmap", "iommufd_pin",
		"iommufd_attach", "iommufd_replace", "iommufd_detach",
		"iommufd_fault", "iommufd_fault_response", "iommufd_revoke",
		"iommufd_rearm", "iommufd_account_failed",
		"iommufd_refused",
	};
	char path[256], want[64];

	for (int i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), TRACE_EVENTS "/%s/format", names[i]);
		EXPECT_EQ(0, access(path, R_OK)) {
			TH_LOG("%s", names[i]);
		}
		snprintf(want, sizeof(want), "``%s``", names[i]);
		EXPECT_NE(NULL, strstr(documentation, want));
	}
}

TEST_HARNESS_MAIN
