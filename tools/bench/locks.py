#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tell how long locks are held, and what that means for many threads.

    tools/bench/locks.py ORDER VMLINUX

ORDER is what profile-plugin.c wrote with order=FILE. Prints for a map and an
unmap of one page how many guest instructions each lock that threads share is held
for, and how many times the work of one CPU 2, 4 and 8 would get done that do
nothing else in one IOAS, if an instruction took the same time everywhere: "in turns"
at best, if a lock went to who came first, at no cost, and "Amdahl" at worst, if
nobody did anything while somebody else has it.
"""
import argparse
import bisect
import collections
import heapq

from profile import Symbols

PHASES = {1: 'map', 2: 'unmap'}
CPUS = (2, 4, 8)
CALLS = 400
# What takes a lock, what gives it back, and which lock that is by who calls. The
# mutex of a backing is not shared by threads that map different memory.
IOVA, DOMAINS = 'iova_mutex', 'domains_rwsem (shared)'
CACHE, QUEUE = 'VT-d, of the domain', 'VT-d, of the queue'
VTD = (CACHE, QUEUE)
TAKES = {'down_read_killable': DOMAINS, 'down_read': DOMAINS}
GIVES = {'up_read': DOMAINS}
MUTEX_TAKES, MUTEX_GIVES = 'mutex_lock', 'mutex_unlock'
MUTEX_CALLERS = {'iopt_map_finish': IOVA, 'iopt_unmap': IOVA}
SPIN_TAKES = ('_raw_spin_lock_irqsave', '_raw_spin_lock')
SPIN_GIVES = ('_raw_spin_unlock_irqrestore', '_raw_spin_unlock')
CALLERS = {'qi_submit_sync': QUEUE, 'cache_tag_flush_range': CACHE}


class Tracer(Symbols):
    """Function and whether it begins there, by address."""

    def look(self, address):
        i = bisect.bisect_right(self.starts, address) - 1
        return self.names[i], self.starts[i] == address


def read(order):
    """[(what, [(address, instructions)])], call by call"""
    calls = []
    with open(order, encoding='ascii') as f:
        for line in f:
            words = line.split()
            if len(words) == 1:
                calls.append((PHASES[int(words[0])], []))
            else:
                calls[-1][1].append((int(words[1], 16), int(words[2])))
    return calls


def lock_of(name, caller, table, mutex, spins):
    if name in spins:
        return CALLERS.get(caller, f'spin lock of {caller}')
    if name == mutex:
        return MUTEX_CALLERS.get(caller)
    return table.get(name)


def events(symbols, blocks):
    """
    ([(when, takes, lock)], instructions in all). A lock is held from when the
    function that takes it returns to when the one that gives it back does.
    """
    found, when, name, pending = [], 0, '', None
    for address, insns in blocks:
        before = name
        name, begins = symbols.look(address)
        if pending and name != pending[0]:
            found.append((when, pending[1], pending[2]))
            pending = None
        if begins and name != before:
            take = lock_of(name, before, TAKES, MUTEX_TAKES, SPIN_TAKES)
            give = lock_of(name, before, GIVES, MUTEX_GIVES, SPIN_GIVES)
            if take or give:
                pending = (name, bool(take), take or give)
        when += insns
    return found, when


def holds(found):
    """{lock: (times, instructions)}"""
    result, since = {}, {}
    for when, takes, lock in found:
        if takes:
            since[lock] = when
        elif lock in since:
            times, insns = result.get(lock, (0, 0))
            result[lock] = (times + 1, insns + when - since.pop(lock))
    return result


def simulate(found, total, cpus, without=()):
    """How many times the work of one CPU so many get done"""
    kept = [e for e in found if e[2] != DOMAINS and e[2] not in without]
    if not kept:
        return cpus
    # Instructions before a step; and from the last one to the first of the next
    before = [b[0] - a[0] for a, b in zip(kept, kept[1:])]
    before.insert(0, total - kept[-1][0] + kept[0][0])
    step, calls, held, waiting = [0] * cpus, [0] * cpus, set(), {}
    # They do not start at the same time, so that they need not meet
    running = [(i * total / cpus, i) for i in range(cpus)]
    heapq.heapify(running)
    now = 0

    def go_on(cpu):
        step[cpu] = (step[cpu] + 1) % len(kept)
        calls[cpu] += step[cpu] == 0
        if calls[cpu] < CALLS:
            heapq.heappush(running, (now + before[step[cpu]], cpu))

    while running:
        now, cpu = heapq.heappop(running)
        _, takes, lock = kept[step[cpu]]
        if takes and lock in held:
            waiting.setdefault(lock, collections.deque()).append(cpu)
            continue
        if takes:
            held.add(lock)
        elif waiting.get(lock):
            go_on(waiting[lock].popleft())
        else:
            held.discard(lock)
        go_on(cpu)
    return cpus * CALLS * total / now


def typical(symbols, calls):
    """The call that is neither cheap nor expensive, as events() has it"""
    all_calls = sorted((events(symbols, blocks) for blocks in calls),
                       key=lambda call: call[1])
    return all_calls[len(all_calls) // 2]


def amdahl(found, total, cpus, without=()):
    """The same, if nobody did anything while somebody else holds a lock"""
    serial = sum(insns for lock, (_, insns) in holds(found).items()
                 if lock not in (DOMAINS, *without) and
                 # Held inside the other one
                 (lock != QUEUE or CACHE in without)) / total
    return 1 / (serial + (1 - serial) / cpus)


def print_speedup(title, law, found, total, without=()):
    cells = '  '.join(f'{law(found, total, n, without):4.2f}' for n in CPUS)
    print(f'  {title:34} {cells}')


def print_call(what, found, total):
    print(f'{what} of one page: {total} instructions')
    for lock, (times, insns) in sorted(holds(found).items()):
        most = '' if lock == DOMAINS else \
            f', so no more than {total / insns:.1f} at a time'
        print(f'  {lock:22} {times} time{"s" * (times > 1):1} '
              f'{insns:5} instructions, {insns / total * 100:4.1f} %{most}')
    heads = '  '.join(f'{n:4}' for n in CPUS)
    print(f'  {"times the work, with":34} {heads}  CPUs')
    variants = [('', ())]
    if any(e[2] in VTD for e in found):
        variants.append((', without VT-d\'s locks', VTD))
    for title, without in variants:
        print_speedup('in turns' + title, simulate, found, total, without)
    for title, without in variants:
        print_speedup('Amdahl' + title, amdahl, found, total, without)
    print()


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    p.add_argument('order')
    p.add_argument('vmlinux')
    o = p.parse_args()
    symbols, calls = Tracer(o.vmlinux), read(o.order)
    for what in PHASES.values():
        print_call(what, *typical(symbols, [blocks for name, blocks in calls
                                            if name == what]))


if __name__ == '__main__':
    main()
