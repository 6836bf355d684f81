#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Print what profile-plugin.c counted, function by function.

    tools/bench/profile.py COUNTS VMLINUX --to CSV [--than CSV]

Guest instructions per call, for one page per call: in a space that is empty
otherwise (small), and with up to 2,048 areas (many). Functions with less than
half an instruction are in one row. --than shows the difference to what another
kernel had, in parentheses.
"""
import argparse
import bisect
import csv
import subprocess

# profile-marks.h
PHASES = ((1, 64), (2, 64), (6, 2048), (7, 2048))
HEADS = ('small map', 'unmap', 'many map', 'unmap')
KERNEL = 0xffffffff81000000
KERNEL_END = 0xffffffffa0000000


class Symbols:
    """Names of the kernel's functions by address."""

    def __init__(self, vmlinux):
        lines = subprocess.run(['nm', '-n', vmlinux], check=True, text=True,
                               stdout=subprocess.PIPE).stdout.splitlines()
        fields = [line.split() for line in lines]
        found = [(int(f[0], 16), f[2]) for f in fields
                 if len(f) == 3 and f[1] in 'tTwW' and
                 not f[2].startswith('__pfx_')]
        self.starts = [start for start, _ in found]
        self.names = [name for _, name in found]

    def name(self, address):
        if address < KERNEL:
            return '(the program)'
        if address >= KERNEL_END:
            return '(modules)'
        return self.names[bisect.bisect_right(self.starts, address) - 1]


def read(counts, vmlinux):
    """{function: [instructions per call for each of PHASES]}"""
    symbols, functions = Symbols(vmlinux), {}
    column = {phase: i for i, (phase, _) in enumerate(PHASES)}
    with open(counts, encoding='ascii') as f:
        for line in f:
            phase, address, insns = line.split()
            if int(phase) not in column:
                continue
            i = column[int(phase)]
            row = functions.setdefault(symbols.name(int(address, 16)),
                                       [0.0] * len(PHASES))
            row[i] += int(insns) / PHASES[i][1]
    return functions


def cells(row, than):
    text = ''
    for i, value in enumerate(row):
        text += f'{value:9.1f}'
        if than:
            diff = value - than[i]
            text += f'{f"({diff:+.1f})" if abs(diff) >= 0.05 else "":>9}'
    return text


def print_table(functions, than):
    zero = [0.0] * len(PHASES)
    names = list(functions) + [n for n in than if n not in functions]
    names.sort(key=lambda n: -max(sum(functions.get(n, zero)),
                                  sum(than.get(n, zero))))
    width = max(len(name) for name in names)
    space = ' ' * 9 if than else ''
    print(f'{"":{width}}' + ''.join(f'{h:>9}' + space for h in HEADS))
    rest, rest_than = list(zero), list(zero)
    total, total_than = list(zero), list(zero)
    for name in names:
        row, other = functions.get(name, zero), than.get(name, zero)
        total = [a + b for a, b in zip(total, row)]
        total_than = [a + b for a, b in zip(total_than, other)]
        if max(row + other) < 0.5:
            rest = [a + b for a, b in zip(rest, row)]
            rest_than = [a + b for a, b in zip(rest_than, other)]
            continue
        print(f'{name:{width}}' + cells(row, than and other))
    print(f'{"(others)":{width}}' + cells(rest, than and rest_than))
    print(f'{"total":{width}}' + cells(total, than and total_than))


def read_csv(name):
    with open(name, newline='', encoding='utf-8') as f:
        return {row[0]: [float(v) for v in row[1:]]
                for row in list(csv.reader(f))[1:]}


def write_csv(name, functions):
    with open(name, 'w', newline='', encoding='utf-8') as f:
        out = csv.writer(f)
        out.writerow(['function', 'small map', 'small unmap', 'many map',
                      'many unmap'])
        for function, row in sorted(functions.items()):
            out.writerow([function] + [round(v, 3) for v in row])


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    p.add_argument('counts')
    p.add_argument('vmlinux')
    p.add_argument('--to', required=True)
    p.add_argument('--than')
    o = p.parse_args()
    functions = read(o.counts, o.vmlinux)
    than = read_csv(o.than) if o.than else {}
    write_csv(o.to, functions)
    print_table(functions, than)


if __name__ == '__main__':
    main()
