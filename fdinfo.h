/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What /proc/PID/fdinfo/FD tells about a context.
 */
#ifndef __IOMMUFD_FDINFO_H
#define __IOMMUFD_FDINFO_H

struct file;
struct seq_file;

void iommufd_fdinfo_show(struct seq_file *m, struct file *filp);

#endif
