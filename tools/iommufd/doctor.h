/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Is this machine ready for iommufd, and what is to be done if not.
 */
#ifndef __DOCTOR_H
#define __DOCTOR_H

#include <stdbool.h>

/* Returns whether it is */
bool doctor(bool json);

#endif
