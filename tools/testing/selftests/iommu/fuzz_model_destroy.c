// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of an object of any type that is destroyed.
 */
#include "fuzz_model_parts.h"

int model_destroy(struct model *m, __u32 id)
{
	enum model_type type;

	if (!id || id >= MODEL_IDS)
		return ENOENT;
	type = m->obj[id].type;
	if (type == T_FREE || type == T_TOMBSTONE)
		return ENOENT;
	if (model_users(m, id) && !(breaks(m, "destroy-busy") && type == T_IOAS))
		return EBUSY;
	if (type == T_IOAS)
		ioas_destroy(m, id);
	else if (type == T_STDEV)
		stdev_destroy(m, id);
	else if (type == T_VDEVICE)
		m->obj[m->obj[id].dev].vdev = 0;
	if (type == T_PAGING)
		paging_free(m, id);
	else
		obj_free(m, id);
	settle(m);
	return 0;
}
