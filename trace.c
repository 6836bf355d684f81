// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tracepoints of include/trace/events/iommufd.h, which any room may use.
 */
#define CREATE_TRACE_POINTS
#include <trace/events/iommufd.h>
