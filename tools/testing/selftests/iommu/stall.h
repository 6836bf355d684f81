/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * User memory that stops whoever touches it, for as long as a test wants, and
 * system calls that may be stopped.
 */
#ifndef __STALL_H
#define __STALL_H

#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "iommu_utils.h"

/*
 * One page of memory that stalls whoever touches it, until it is released, and
 * three ordinary ones behind it
 */
struct stall {
	int uffd;
	void *page;	/* a test may choose one that nobody touched yet */
	bool wp;	/* it can be read, only writing stalls */
};

/* 0 or an errno */
static inline int stall_init(struct stall *s, bool wp, const void *content,
			     size_t len)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = wp ? UFFD_FEATURE_PAGEFAULT_FLAG_WP : 0,
	};
	struct uffdio_register reg = {
		.mode = wp ? UFFDIO_REGISTER_MODE_WP :
			     UFFDIO_REGISTER_MODE_MISSING,
	};
	struct uffdio_writeprotect prot = {
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};

	s->wp = wp;
	s->uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	if (s->uffd < 0)
		return errno;
	if (!s->page)
		s->page = buf_alloc_private(4 * PAGE);
	if (!s->page || ioctl(s->uffd, UFFDIO_API, &api))
		return errno;
	if (wp)
		memcpy(s->page, content, len);
	reg.range.start = (uintptr_t)s->page;
	reg.range.len = PAGE;
	prot.range = reg.range;
	if (ioctl(s->uffd, UFFDIO_REGISTER, &reg) ||
	    (wp && ioctl(s->uffd, UFFDIO_WRITEPROTECT, &prot)))
		return errno;
	return 0;
}

/* Wait until somebody is stalled; 0 or an errno */
static inline int stall_wait(struct stall *s)
{
	struct uffd_msg msg;

	if (read(s->uffd, &msg, sizeof(msg)) != sizeof(msg))
		return errno;
	return msg.event == UFFD_EVENT_PAGEFAULT ? 0 : EPROTO;
}

/* Let whoever is stalled go on, with that content if it wanted to read */
static inline int stall_release(struct stall *s, const void *content,
				size_t len)
{
	struct uffdio_writeprotect prot = {
		.range = { .start = (uintptr_t)s->page, .len = PAGE },
	};
	struct uffdio_copy copy = {
		.dst = (uintptr_t)s->page,
		.len = PAGE,
	};
	void *page;
	int rc;

	if (s->wp)
		return ioctl(s->uffd, UFFDIO_WRITEPROTECT, &prot) ? errno : 0;

	page = calloc(1, PAGE);
	if (!page)
		return errno;
	memcpy(page, content, len);
	copy.src = (uintptr_t)page;
	rc = ioctl(s->uffd, UFFDIO_COPY, &copy) ? errno : 0;
	free(page);
	return rc;
}

/*
 * Let whoever is stalled on a write find that it must not write, which fails
 * its call with EFAULT although the page could be read before
 */
static inline int stall_refuse(struct stall *s)
{
	if (mprotect(s->page, PAGE, PROT_READ))
		return errno;
	return stall_release(s, NULL, 0);
}

/* A system call in a thread of its own */
struct call {
	pthread_t thread;
	int nr;
	long arg[3];
	long ret;
	int err;
};

static inline void *call_run(void *arg)
{
	struct call *c = arg;

	c->ret = syscall(c->nr, c->arg[0], c->arg[1], c->arg[2]);
	c->err = c->ret < 0 ? errno : 0;
	return NULL;
}

static inline int call_start(struct call *c, int nr, long a, long b, long d)
{
	*c = (struct call){ .nr = nr, .arg = { a, b, d } };
	return pthread_create(&c->thread, NULL, call_run, c);
}

static inline void call_join(struct call *c)
{
	pthread_join(c->thread, NULL);
}

#endif
