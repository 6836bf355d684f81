/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mapping what a backing has in a domain.
 */
#ifndef __IOMMUFD_PAGES_MAP_H
#define __IOMMUFD_PAGES_MAP_H

struct iopt_pages;
struct pages_window;

int iopt_pages_map(struct iopt_pages *pages, const struct pages_window *window);

#endif
