/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the program tells the plugin that counts instructions by their address:
 * whose they are from here on. It says so with an instruction that does nothing
 * and that no compiler makes, xchg of a 16-bit register with itself; the number
 * of the register is the phase. The first register is left
 * out, because assemblers make a different instruction of it.
 */
#ifndef BENCH_PROFILE_MARKS_H
#define BENCH_PROFILE_MARKS_H

/**
 * enum profile_phase - what is going on
 * @PROFILE_SMALL_MAP: one page is mapped, in a space without areas
 * @PROFILE_SMALL_UNMAP: it is unmapped
 * @PROFILE_NOTHING: nothing that counts
 * @PROFILE_MANY_MAP: one page is mapped, of many that stay
 * @PROFILE_MANY_UNMAP: one of many pages is unmapped
 */
enum profile_phase {
	PROFILE_SMALL_MAP = 1,
	PROFILE_SMALL_UNMAP = 2,
	PROFILE_NOTHING = 3,
	PROFILE_MANY_MAP = 6,
	PROFILE_MANY_UNMAP = 7,
};

#define PROFILE_PHASES 8

/* How often each of them is entered */
#define PROFILE_SMALL_CALLS 64
#define PROFILE_MANY_CALLS 2048

/* The last byte of the instruction; the two before it are 0x66 and 0x87 */
#define PROFILE_MODRM(phase) (0xc0 + (phase) * 9)

static inline __attribute__((always_inline)) void
profile_mark(enum profile_phase phase)
{
#if defined(__x86_64__)
	__asm__ volatile(".byte 0x66, 0x87, %c0" ::
			 "i"(PROFILE_MODRM(phase)) : "memory");
#else
	(void)phase;
#endif
}

#endif
