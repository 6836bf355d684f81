// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's emulation: how many instructions the guest executes, by
 * address, in each of the phases that profile-marks.h names.
 *
 *	qemu-system-x86_64 -plugin file=profile-plugin.so,out=FILE[,order=FILE] ...
 *
 * Each line of the first FILE is a phase, the address of a translation block, and
 * the instructions executed in it. A block never spans two functions. The second
 * FILE has a line like this for every time that a block was executed in one of the
 * small phases, in that order, and a phase by itself where it begins.
 */
#include "profile-marks.h"
#include "profile-plugin.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

/**
 * struct block - a translation block
 * @address: of its first instruction, in the guest
 * @nr: instructions it has
 * @count: instructions executed in it since the last mark; QEMU adds to this
 * @total: in each phase, up to the last mark
 */
struct block {
	uint64_t address;
	size_t nr;
	uint64_t count;
	uint64_t total[PROFILE_PHASES];
};

/* The array stays where it is, because translated code has addresses in it */
#define MAX_BLOCKS 2000000

static struct block *blocks;
static size_t nr_blocks;
static unsigned int phase;
static FILE *out;
/* NULL if nobody wants to know */
static FILE *order;

static bool is_ordered(unsigned int which)
{
	return order && (which == PROFILE_SMALL_MAP ||
			 which == PROFILE_SMALL_UNMAP);
}

static void enter_phase(unsigned int vcpu, void *data)
{
	size_t i;

	(void)vcpu;
	if (is_ordered((uintptr_t)data))
		fprintf(order, "%u\n", (unsigned int)(uintptr_t)data);
	for (i = 0; i != nr_blocks; i++) {
		blocks[i].total[phase] += blocks[i].count;
		blocks[i].count = 0;
	}
	phase = (uintptr_t)data;
}

static void execute(unsigned int vcpu, void *data)
{
	const struct block *block = data;

	(void)vcpu;
	if (is_ordered(phase))
		fprintf(order, "%u %llx %zu\n", phase,
			(unsigned long long)block->address, block->nr);
}

/* Returns the phase, or 0 if it is any other instruction */
static unsigned int marked_phase(const struct qemu_plugin_insn *insn)
{
	const uint8_t *data = qemu_plugin_insn_data(insn);
	unsigned int i;

	if (qemu_plugin_insn_size(insn) != 3 || data[0] != 0x66 ||
	    data[1] != 0x87)
		return 0;
	for (i = 1; i != PROFILE_PHASES; i++) {
		if (data[2] == PROFILE_MODRM(i))
			return i;
	}
	return 0;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t nr = qemu_plugin_tb_n_insns(tb), i;
	struct qemu_plugin_insn *insn;
	uintptr_t entered;

	(void)id;
	for (i = 0; i != nr; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		entered = marked_phase(insn);
		if (entered)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, enter_phase,
							       QEMU_PLUGIN_CB_NO_REGS,
							       (void *)entered);
	}
	if (nr_blocks == MAX_BLOCKS) {
		fprintf(stderr, "profile-plugin: too many blocks\n");
		exit(1);
	}
	blocks[nr_blocks].address = qemu_plugin_tb_vaddr(tb);
	blocks[nr_blocks].nr = nr;
	if (order)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, execute,
						     QEMU_PLUGIN_CB_NO_REGS,
						     &blocks[nr_blocks]);
	qemu_plugin_register_vcpu_tb_exec_inline(tb, QEMU_PLUGIN_INLINE_ADD_U64,
						 &blocks[nr_blocks].count, nr);
	nr_blocks++;
}

static void finish(qemu_plugin_id_t id, void *data)
{
	unsigned int i;
	size_t n;

	(void)id;
	(void)data;
	for (n = 0; n != nr_blocks; n++) {
		for (i = 1; i != PROFILE_PHASES; i++) {
			if (blocks[n].total[i])
				fprintf(out, "%u %llx %llu\n", i,
					(unsigned long long)blocks[n].address,
					(unsigned long long)blocks[n].total[i]);
		}
	}
	fclose(out);
	if (order)
		fclose(order);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
			       const struct qemu_info_t *info, int argc,
			       char **argv)
{
	(void)info;
	if (argc < 1 || argc > 2 || strncmp(argv[0], "out=", 4) ||
	    (argc == 2 && strncmp(argv[1], "order=", 6))) {
		fprintf(stderr,
			"profile-plugin: the arguments are out=FILE[,order=FILE]\n");
		return -1;
	}
	out = fopen(argv[0] + 4, "w");
	if (argc == 2)
		order = fopen(argv[1] + 6, "w");
	blocks = calloc(MAX_BLOCKS, sizeof(*blocks));
	if (!out || (argc == 2 && !order) || !blocks) {
		perror("profile-plugin");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
