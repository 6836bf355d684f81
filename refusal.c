// SPDX-License-Identifier: GPL-2.0-only
/*
 * Why something was refused: to a tracepoint, to the debug messages of the kernel,
 * and to its log what only an administrator can do something about.
 *
 * Whoever is refused may be a user who tries for ever. So of each cause the log
 * has one message a minute at most.
 */
#define pr_fmt(fmt) "iommufd: " fmt

#include <linux/build_bug.h>
#include <linux/device.h>
#include <linux/errno.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <trace/events/iommufd.h>

#include "refusal.h"

#define LOG_ONCE(name)                              \
	RATELIMIT_STATE_INIT_FLAGS(name, 60 * HZ, 1, \
				   RATELIMIT_MSG_ON_RELEASE)

static struct ratelimit_state unsafe_once = LOG_ONCE(unsafe_once);
static struct ratelimit_state memory_once = LOG_ONCE(memory_once);

static const char * const cause_words[] = {
	[REFUSED_NO_CACHE_COHERENCY] = "no-cache-coherency",
	[REFUSED_UNSAFE_INTERRUPTS] = "unsafe-interrupts",
	[REFUSED_GROUP_OWNED] = "group-owned",
	[REFUSED_BOUND_ALREADY] = "bound-already",
	[REFUSED_NO_PAGE_TABLE] = "no-page-table",
	[REFUSED_ATTACHED_ALREADY] = "attached-already",
	[REFUSED_NOT_ATTACHED] = "not-attached",
	[REFUSED_OTHER_HWPT] = "group-on-other-hwpt",
	[REFUSED_NOIOMMU] = "noiommu-mismatch",
	[REFUSED_HWPT_NO_PASID] = "hwpt-not-for-pasids",
	[REFUSED_DEVICE_NO_PASID] = "device-without-pasids",
	[REFUSED_VF_PAGE_REQUESTS] = "page-requests-of-vf",
	[REFUSED_IOMMU_DRIVER] = "iommu-driver",
	[REFUSED_OTHER_IOMMU] = "domain-of-other-iommu",
	[REFUSED_PAGE_SIZE] = "page-size",
	[REFUSED_RESERVED_IN_USE] = "reserved-region-in-use",
	[REFUSED_APERTURE_IN_USE] = "aperture-in-use",
	[REFUSED_ALIGNMENT_IN_USE] = "alignment-in-use",
	[REFUSED_IOVA_RESERVED] = "iova-reserved",
	[REFUSED_IOVA_TAKEN] = "iova-taken",
	[REFUSED_IOVA_NO_ROOM] = "iova-no-room",
	[REFUSED_IOVA_ALIGNMENT] = "iova-alignment",
	[REFUSED_AREA_LIMIT] = "dma-entry-limit",
	[REFUSED_READ_ONLY] = "read-only",
	[REFUSED_MEMLOCK_LIMIT] = "memlock-limit",
};

static_assert(ARRAY_SIZE(cause_words) == REFUSED_CAUSES);

static void debug_message(const char *word, int rc,
			  const struct iommufd_place *place)
{
	if (place->dev)
		dev_dbg_ratelimited(place->dev, "iommufd refused: %s (%d)\n",
				    word, rc);
	else if (place->first <= place->last)
		pr_debug_ratelimited("refused: %s (%d): IOVA %#llx-%#llx\n",
				     word, rc, place->first, place->last);
	else
		pr_debug_ratelimited("refused: %s (%d)\n", word, rc);
}

/* What an administrator can do about it, in the log */
static void log_message(enum iommufd_cause cause,
			const struct iommufd_place *place)
{
	if (cause != REFUSED_UNSAFE_INTERRUPTS || !__ratelimit(&unsafe_once))
		return;
	dev_warn(place->dev,
		 "iommufd: refused: the platform does not isolate interrupts (no interrupt remapping, or it is off). If whoever gets the device is trusted not to attack the host by forged interrupts: iommufd.allow_unsafe_interrupts=1\n");
}

/**
 * iommufd_refuse_at() - tell why something is refused
 * @rc: the errno
 * @cause: why
 * @place: what
 *
 * Context: Any that may be traced; does not sleep.
 *
 * Return: @rc, so that it can be told where it is returned.
 */
int iommufd_refuse_at(int rc, enum iommufd_cause cause,
		      const struct iommufd_place *place)
{
	const char *word = cause_words[cause];

	trace_iommufd_refused(word, rc, place->dev, place->first, place->last);
	debug_message(word, rc, place);
	log_message(cause, place);
	return rc;
}

static const char *whose_limit(const struct iommufd_debtor *debtor)
{
	/* enum iommufd_account_mode is of a layer above */
	return debtor->mode == 1 ? "user" : "process";
}

/**
 * iommufd_refuse_memory() - tell who is at a limit on locked memory
 * @debtor: who
 */
void iommufd_refuse_memory(const struct iommufd_debtor *debtor)
{
	trace_iommufd_account_failed(debtor->mode, debtor->pid, debtor->comm,
				     debtor->uid, debtor->charged,
				     debtor->length, debtor->limit);
	iommufd_refuse(-ENOMEM, REFUSED_MEMLOCK_LIMIT, NULL);
	if (!__ratelimit(&memory_once))
		return;
	pr_warn("RLIMIT_MEMLOCK (%llu) exceeded: %s[%d] of user %u wants %llu bytes more than the %llu that its %s has locked. Raise the limit (ulimit -l, LimitMEMLOCK= of systemd), or grant CAP_IPC_LOCK\n",
		debtor->limit, debtor->comm, debtor->pid, debtor->uid,
		debtor->length, debtor->charged, whose_limit(debtor));
}
