// SPDX-License-Identifier: GPL-2.0-only
/*
 * The command "iommufd" tells what the test made: in a VM, with the mock devices.
 */
#include <ctype.h>
#include <linux/capability.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "iommu_utils.h"

/* 128 KiB */
#define NR ((128 << 10) / PAGE)
#define BASE ((__u64)MOCK_APERTURE_START)
#define UNSAFE "/sys/module/iommufd/parameters/allow_unsafe_interrupts"
#define TEST_UID 60221

FIXTURE(tool)
{
	int fd;
	__u32 ioas;
	__u8 *buf;
	struct mock_dev dev;
	unsigned long long context;
	char text[1 << 16];
};

FIXTURE_SETUP(tool)
{
	OPEN_MOCK_OR_SKIP(self->fd);
	/* Where to be found, busybox of the VM does not say */
	ASSERT_EQ(0, setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin", 1));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, mock_attach(self->fd, self->ioas, 0, &self->dev));
	self->buf = buf_alloc(NR * PAGE);
	ASSERT_NE(NULL, self->buf);
	memset(self->buf, 1, NR * PAGE);
	ASSERT_EQ(0, ioas_map_at(self->fd, self->ioas, self->buf, NR * PAGE,
				 BASE));
	self->context = fdinfo_number(self->fd, "iommufd-context");
}

FIXTURE_TEARDOWN(tool)
{
	EXPECT_EQ(0, close(self->fd));
}

/* Returns the exit status, or -1 */
static int run(char *text, size_t size, const char *command, ...)
{
	char line[256];
	va_list args;
	size_t len;
	FILE *f;
	int rc;

	va_start(args, command);
	vsnprintf(line, sizeof(line), command, args);
	va_end(args);
	f = popen(line, "r");
	if (!f)
		return -1;
	len = fread(text, 1, size - 1, f);
	text[len] = 0;
	rc = pclose(f);
	return WIFEXITED(rc) ? WEXITSTATUS(rc) : -1;
}

#define RUN(...) run(self->text, sizeof(self->text), __VA_ARGS__)

/*
 * Just enough of JSON to know that it is some
 */

static const char *json_skip(const char *s)
{
	return s + strspn(s, " \t\n");
}

static const char *json_string(const char *s)
{
	if (*s++ != '"')
		return NULL;
	for (; *s && *s != '"'; s++) {
		if ((unsigned char)*s < ' ')
			return NULL;
		if (*s == '\\' && !strchr("\"\\u", *++s))
			return NULL;
	}
	return *s == '"' ? s + 1 : NULL;
}

/* Behind a value, or NULL */
static const char *json_any(const char *s)
{
	char bracket;

	s = json_skip(s);
	if (*s == '"')
		return json_string(s);
	if (isdigit(*s))
		return s + strspn(s, "0123456789");
	if (*s != '{' && *s != '[')
		return NULL;
	bracket = *s;
	s = json_skip(s + 1);
	if (*s == (bracket == '{' ? '}' : ']'))
		return s + 1;
	for (;;) {
		if (bracket == '{') {
			s = json_string(json_skip(s));
			if (!s || *s++ != ':')
				return NULL;
		}
		s = json_any(s);
		if (!s)
			return NULL;
		s = json_skip(s);
		if (*s == (bracket == '{' ? '}' : ']'))
			return s + 1;
		if (*s++ != ',')
			return NULL;
	}
}

static bool is_json(const char *text)
{
	const char *end = json_any(text);

	return end && !*json_skip(end);
}

/* The member of an object that comes first after some text. 0 or an errno. */
static int member(const char *text, const char *after, const char *name,
		  char *val, size_t size)
{
	char want[64];

	text = strstr(text, after);
	snprintf(want, sizeof(want), "\"%s\": ", name);
	text = text ? strstr(text, want) : NULL;
	if (!text)
		return ENOENT;
	text += strlen(want);
	text += *text == '"';
	snprintf(val, size, "%.*s", (int)strcspn(text, "\",\n"), text);
	return 0;
}

/* A member of our context, the first of that name */
#define EXPECT_OWN(name, ...)                                                  \
	do {                                                                   \
		char __val[64] = "", __want[64], __at[64];                     \
		snprintf(__at, sizeof(__at), "\"context\": %llu,",             \
			 self->context);                                       \
		EXPECT_EQ(0, member(self->text, __at, name, __val,             \
				    sizeof(__val)));                           \
		snprintf(__want, sizeof(__want), __VA_ARGS__);                 \
		EXPECT_STREQ(__want, __val);                                   \
	} while (0)

/* The same of an object in it */
#define EXPECT_MEMBER(kind, object, name, ...)                                 \
	do {                                                                   \
		char __val[64] = "", __want[64], __at[64];                     \
		const char *__c;                                               \
		snprintf(__at, sizeof(__at), "\"context\": %llu,",             \
			 self->context);                                       \
		__c = strstr(self->text, __at);                                \
		__c = __c ? strstr(__c, "\"" kind "\": [") : NULL;             \
		ASSERT_NE(NULL, __c);                                          \
		snprintf(__at, sizeof(__at), "\"id\": %u", object);            \
		EXPECT_EQ(0, member(__c, __at, name, __val, sizeof(__val)));   \
		snprintf(__want, sizeof(__want), __VA_ARGS__);                 \
		EXPECT_STREQ(__want, __val);                                   \
	} while (0)

TEST_F(tool, json)
{
	char name[64] = "";

	ASSERT_EQ(0, fdinfo_get(self->fd, name, sizeof(name),
				"iommufd-device-%u-name", self->dev.idev));
	ASSERT_EQ(0, RUN("iommufd --json list"));
	EXPECT_TRUE(is_json(self->text));
	EXPECT_OWN("pinned", "%zu", NR * PAGE);
	EXPECT_OWN("accounting", "user");
	EXPECT_OWN("pid", "%d", getpid());
	EXPECT_MEMBER("ioas", self->ioas, "mapped", "%zu", NR * PAGE);
	EXPECT_MEMBER("ioas", self->ioas, "pinned", "%zu", NR * PAGE);
	EXPECT_MEMBER("ioas", self->ioas, "areas", "1");
	EXPECT_MEMBER("ioas", self->ioas, "payer-pid", "%d", getpid());
	EXPECT_MEMBER("hwpt", self->dev.hwpt, "ioas", "%u", self->ioas);
	EXPECT_MEMBER("hwpt", self->dev.hwpt, "type", "paging");
	EXPECT_MEMBER("device", self->dev.idev, "name", "%s", name);
	EXPECT_MEMBER("device", self->dev.idev, "hwpt", "%u", self->dev.hwpt);
}

/* The process has it twice, and a child; it is one context */
TEST_F(tool, shared)
{
	char context[64], want[64];
	int copy = dup(self->fd), other = iommu_open();
	pid_t child = fork();
	char *at;

	ASSERT_LE(0, copy);
	ASSERT_LE(0, other);
	ASSERT_LE(0, child);
	if (!child) {
		pause();
		_exit(0);
	}
	snprintf(context, sizeof(context), "\"context\": %llu,", self->context);
	ASSERT_EQ(0, RUN("iommufd --json list"));
	EXPECT_TRUE(is_json(self->text));
	at = strstr(self->text, context);
	ASSERT_NE(NULL, at);
	EXPECT_EQ(NULL, strstr(at + 1, context));
	snprintf(want, sizeof(want), "\"pid\": %d,\n          \"fd\": %d", child,
		 self->fd);
	EXPECT_NE(NULL, strstr(at, want));
	snprintf(want, sizeof(want), "\"pid\": %d,\n          \"fd\": %d",
		 getpid(), copy);
	EXPECT_NE(NULL, strstr(at, want));

	/* Of one process there is what it has; of this one both contexts */
	ASSERT_EQ(0, RUN("iommufd --json show %d", getpid()));
	EXPECT_TRUE(is_json(self->text));
	EXPECT_NE(NULL, strstr(self->text, context));
	snprintf(want, sizeof(want), "\"context\": %llu,",
		 (unsigned long long)fdinfo_number(other, "iommufd-context"));
	EXPECT_NE(NULL, strstr(self->text, want));
	snprintf(want, sizeof(want), "\"pid\": %d", child);
	EXPECT_EQ(NULL, strstr(self->text, want));
	EXPECT_EQ(0, kill(child, SIGKILL));
	EXPECT_EQ(child, waitpid(child, NULL, 0));
	EXPECT_EQ(1, RUN("iommufd show 1 2> /dev/null"));
	EXPECT_EQ(0, close(copy));
	EXPECT_EQ(0, close(other));
}

/* What is in the tree is under what it belongs to */
TEST_F(tool, tree)
{
	char want[128], name[64] = "";
	char *context, *ioas, *hwpt, *device;

	ASSERT_EQ(0, fdinfo_get(self->fd, name, sizeof(name),
				"iommufd-device-%u-name", self->dev.idev));
	ASSERT_EQ(0, RUN("iommufd list"));
	snprintf(want, sizeof(want), "context %llu: pinned 128.0 KiB,",
		 self->context);
	context = strstr(self->text, want);
	ASSERT_NE(NULL, context);
	snprintf(want, sizeof(want), "\n  process %d tool_test: descriptor %d of /dev/iommu\n",
		 getpid(), self->fd);
	EXPECT_NE(NULL, strstr(context, want));
	snprintf(want, sizeof(want),
		 "\n  ioas %u: mapped 128.0 KiB, pinned 128.0 KiB, 1 areas, 1 domains,",
		 self->ioas);
	ioas = strstr(context, want);
	ASSERT_NE(NULL, ioas);
	snprintf(want, sizeof(want), "\n    hwpt %u: paging, automatic\n",
		 self->dev.hwpt);
	hwpt = strstr(ioas, want);
	ASSERT_NE(NULL, hwpt);
	snprintf(want, sizeof(want), "\n      device %u: %s, group ",
		 self->dev.idev, name);
	device = strstr(hwpt, want);
	EXPECT_NE(NULL, device);
}

/* The largest comes first, and -n 1 comes to an end */
TEST_F(tool, top)
{
	char *first, *second;
	char small[32], large[32];
	int other = iommu_open();
	__u32 ioas;

	ASSERT_LE(0, other);
	ASSERT_EQ(0, ioas_alloc(other, &ioas));
	ASSERT_EQ(0, mock_attach(other, ioas, 0, NULL));
	ASSERT_EQ(0, ioas_map_at(other, ioas, self->buf, PAGE, BASE));
	ASSERT_EQ(0, RUN("iommufd -n 1 top"));
	EXPECT_EQ(0, strncmp(self->text, "    PINNED     MAPPED", 21));
	snprintf(large, sizeof(large), " %llu %8d tool_test\n", self->context,
		 getpid());
	snprintf(small, sizeof(small), " %llu %8d tool_test\n",
		 (unsigned long long)fdinfo_number(other, "iommufd-context"),
		 getpid());
	first = strstr(self->text, large);
	second = strstr(self->text, small);
	ASSERT_NE(NULL, first);
	ASSERT_NE(NULL, second);
	EXPECT_LT(first, second);
	EXPECT_NE(NULL, strstr(self->text, "\n 128.0 KiB  128.0 KiB "));

	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	ASSERT_EQ(0, RUN("iommufd -n 2 -d 0 top"));
	first = strstr(self->text, large);
	second = strstr(self->text, small);
	ASSERT_NE(NULL, first);
	ASSERT_NE(NULL, second);
	EXPECT_LT(second, first);
	/* Two rounds */
	EXPECT_NE(NULL, strstr(first, "PINNED"));
	EXPECT_EQ(0, close(other));
}

/* A name that would be part of the output is not */
TEST_F(tool, names)
{
	FILE *f = fopen("/proc/self/comm", "w");

	ASSERT_NE(NULL, f);
	ASSERT_LE(0, fputs("a\"\\\033[1m", f));
	ASSERT_EQ(0, fclose(f));
	ASSERT_EQ(0, RUN("iommufd --json list"));
	EXPECT_TRUE(is_json(self->text));
	EXPECT_NE(NULL, strstr(self->text, "\"a\\\"\\\\\\u001b[1m\""));
	ASSERT_EQ(0, RUN("iommufd list"));
	EXPECT_EQ(NULL, strchr(self->text, '\033'));
	EXPECT_NE(NULL, strstr(self->text, " a\"\\?[1m: "));
}

static int set_unsafe(const char *value)
{
	int fd = open(UNSAFE, O_WRONLY | O_CLOEXEC);
	int rc;

	if (fd < 0)
		return errno;
	rc = write(fd, value, 1) == 1 ? 0 : errno;
	close(fd);
	return rc;
}

#define EXPECT_VERDICT(want, check)                                            \
	do {                                                                   \
		char __val[64] = "";                                           \
		EXPECT_EQ(0, member(self->text, "\"check\": \"" check "\"",    \
				    "verdict", __val, sizeof(__val)));         \
		EXPECT_STREQ(want, __val);                                     \
	} while (0)

TEST_F(tool, doctor)
{
	char val[64];
	int status;

	if (geteuid())
		SKIP(return, "has to be root to change what it looks at");
	status = RUN("iommufd --json doctor");
	EXPECT_TRUE(is_json(self->text));
	EXPECT_VERDICT("ok", "iommufd");
	/* The mock's is one */
	EXPECT_VERDICT("ok", "iommu");
	EXPECT_VERDICT("ok", "groups");
	EXPECT_VERDICT("ok", "interrupts");
	EXPECT_VERDICT("ok", "memlock");
	ASSERT_EQ(0, member(self->text, "]", "ready", val, sizeof(val)));
	EXPECT_STREQ(status ? "no" : "yes", val);

	ASSERT_EQ(0, set_unsafe("Y"));
	EXPECT_EQ(status, RUN("iommufd --json doctor"));
	ASSERT_EQ(0, set_unsafe("N"));
	EXPECT_VERDICT("note", "interrupts");

	/* A user with the limit that distributions give */
	ASSERT_EQ(0, memlock_limit_set(65536));
	ASSERT_EQ(0, setresuid(TEST_UID, TEST_UID, TEST_UID));
	EXPECT_EQ(1, RUN("iommufd --json doctor"));
	EXPECT_TRUE(is_json(self->text));
	EXPECT_VERDICT("bad", "memlock");
	EXPECT_NE(NULL, strstr(self->text, "64.0 KiB of locked memory"));
	EXPECT_NE(NULL, strstr(self->text, "\"ready\": \"no\""));
	EXPECT_EQ(1, RUN("iommufd doctor"));
	EXPECT_NE(NULL, strstr(self->text, "[bad ] memlock: 64.0 KiB"));

	/* Nor does such a user see processes of others */
	EXPECT_EQ(0, RUN("iommufd --json list 2> /dev/null"));
	EXPECT_TRUE(is_json(self->text));
	EXPECT_EQ(NULL, strstr(self->text, "\"hidden-processes\": 0,"));
}

TEST_F(tool, usage)
{
	EXPECT_EQ(2, RUN("iommufd nonsense 2> /dev/null"));
	EXPECT_EQ(2, RUN("iommufd show 2> /dev/null"));
	EXPECT_EQ(2, RUN("iommufd show x 2> /dev/null"));
	EXPECT_EQ(2, RUN("iommufd -n x top 2> /dev/null"));
	EXPECT_EQ(2, RUN("iommufd list more 2> /dev/null"));
	EXPECT_EQ(0, RUN("iommufd --help"));
	EXPECT_EQ(0, strncmp(self->text, "usage: ", 7));
}

TEST_HARNESS_MAIN
