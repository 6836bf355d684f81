#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Tell how what a call costs grows with what there is, in a table and a plot.

    tools/bench/growth.py IOMMU OUTPUT... --to DIRECTORY

Each OUTPUT holds lines that report.h describes, of iommufd-bench growth or mock. Writes
DIRECTORY/IOMMU-growth.csv, .svg and .txt, and prints the latter.
"""
import argparse
import math
import os
import sys

from report import Results, number, print_table, write_csv

TITLES = {
    'areas': 'areas in the IOAS',
    'domains': 'domains of an IOAS with 1,000 areas',
    'devices': 'devices attached to the IOAS',
    'mock-devices': 'mock devices attached to the IOAS',
    'accesses': 'accesses of the IOAS',
    'spaces': 'IOAS in the context',
}
# What is more in all, or by so little for ten times as much, does not grow
FLAT, LOGARITHMIC = 1.05, 0.15


def curves(results):
    """{of: {what: ({number: value}, unit)}}, as measured"""
    found = {}
    for (row, kind, _, what), (least, _, unit) in results.values.items():
        if row == 'growth':
            of, amount = kind.split()
            points, _ = found.setdefault(of, {}).setdefault(what, ({}, unit))
            points[int(amount)] = least
    return found


def growth(points):
    """Which law the last step follows: what part of the cost is per piece"""
    if len(points) < 2:
        return ''
    (before, less), (amount, value) = sorted(points.items())[-2:]
    if max(points.values()) <= FLAT * min(points.values()):
        return 'flat'
    per_piece = (value - less) / (amount - before)
    part = per_piece * amount / value
    if part < LOGARITHMIC:
        return 'flat' if value <= FLAT * min(points.values()) \
            else 'logarithmic or less'
    return f'linear: {number(per_piece)} each'


def print_curves(out, iommu, found, missing):
    print(f'How the cost of a call grows, IOMMU {iommu}, guest instructions\n',
          file=out)
    for of, whats in found.items():
        amounts = sorted({a for points, _ in whats.values() for a in points})
        table = []
        for what, (points, unit) in whats.items():
            table.append([what] +
                         [number(points.get(a)) for a in amounts] +
                         [unit, growth(points)])
        print_table(out, [TITLES[of]] + [f'{a:,}' for a in amounts] +
                    ['', ''], table)
        print(file=out)
    for row, kind, who, text in missing:
        print(f'FAILED: {row} {kind} {who}: {text}', file=out)


class Panel:
    """Curves over two logarithmic axes."""

    WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 250, 190, 52, 34, 200, 44
    COLORS = ('#2b5d8c', '#c0392b', '#7fb69e', '#d9a441', '#7d5ba6', '#4d4d4d',
              '#9aa5b1', '#1b9e77')

    def __init__(self, svg, x, y, title, whats):
        self.svg, self.x0, self.y0 = svg, x + self.LEFT, y + self.TOP
        values = [v for points, _ in whats.values() for v in points.values()]
        amounts = [a for points, _ in whats.values() for a in points]
        self.decades = max(1, math.ceil(math.log10(max(amounts)) - 0.001))
        self.low = math.floor(math.log10(max(1, min(values))))
        self.high = max(self.low + 1, math.ceil(math.log10(max(values))))
        self.text(x + 8, y + 18, title, size=13)
        self.axes()
        for i, (what, (points, unit)) in enumerate(whats.items()):
            self.curve(i, what, points, unit)

    def text(self, x, y, text, size=10, anchor='start', color='black'):
        self.svg.append(f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" '
                        f'text-anchor="{anchor}" fill="{color}">{text}</text>')

    def x(self, amount):
        return self.x0 + self.WIDTH * math.log10(amount) / self.decades

    def y(self, value):
        part = (math.log10(max(value, 1)) - self.low) / (self.high - self.low)
        return self.y0 + self.HEIGHT * (1 - part)

    def axes(self):
        bottom, right = self.y0 + self.HEIGHT, self.x0 + self.WIDTH
        for i in range(self.decades + 1):
            x = self.x(10 ** i)
            self.svg.append(f'<path d="M{x:.0f} {self.y0}V{bottom}" '
                            'stroke="#ddd"/>')
            self.text(x, bottom + 14, f'{10 ** i:,}', anchor='middle')
        for i in range(self.low, self.high + 1):
            y = self.y(10 ** i)
            self.svg.append(f'<path d="M{self.x0} {y:.0f}H{right}" '
                            'stroke="#ddd"/>')
            self.text(self.x0 - 5, y + 3, f'{10 ** i:,}', anchor='end')

    def curve(self, i, what, points, unit):
        color = self.COLORS[i % len(self.COLORS)]
        where = [(self.x(a), self.y(v)) for a, v in sorted(points.items())]
        path = 'L'.join(f'{x:.1f} {y:.1f}' for x, y in where)
        self.svg.append(f'<path d="M{path}" fill="none" stroke="{color}" '
                        'stroke-width="1.5"/>')
        for x, y in where:
            self.svg.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" '
                            f'fill="{color}"/>')
        each = ' (per area)' if unit == 'insn/area' else ''
        self.text(self.x0 + self.WIDTH + 10, self.y0 + 12 + 15 * i,
                  what.replace(', per area', each), color=color)


def write_svg(name, iommu, found):
    svg, across = [], 2
    wide = Panel.LEFT + Panel.WIDTH + Panel.RIGHT
    high = Panel.TOP + Panel.HEIGHT + Panel.BOTTOM
    plots = {of: {what: curve for what, curve in whats.items()
                  if curve[1] != 'bytes' and len(curve[0]) > 1}
             for of, whats in found.items()}
    for i, (of, whats) in enumerate(plots.items()):
        Panel(svg, i % across * wide, 30 + i // across * high, TITLES[of],
              whats)
    width, height = across * wide, 30 + -(-len(plots) // across) * high
    with open(name, 'w', encoding='utf-8') as f:
        f.write('<svg xmlns="http://www.w3.org/2000/svg" '
                f'viewBox="0 0 {width} {height}" width="{width}" '
                f'height="{height}" font-family="sans-serif">\n'
                '<rect width="100%" height="100%" fill="white"/>\n'
                f'<text x="8" y="22" font-size="15">Guest instructions per '
                f'call, IOMMU {iommu}, by how much there is, logarithmic'
                '</text>\n')
        f.write('\n'.join(svg) + '\n</svg>\n')


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    p.add_argument('iommu')
    p.add_argument('output', nargs='+')
    p.add_argument('--to', required=True)
    o = p.parse_args()
    results = Results(o.output)
    found = curves(results)
    base = os.path.join(o.to, f'{o.iommu}-growth')
    write_csv(base + '.csv', results, [])
    write_svg(base + '.svg', o.iommu, found)
    with open(base + '.txt', 'w', encoding='utf-8') as f:
        print_curves(f, o.iommu, found, results.missing)
    with open(base + '.txt', encoding='utf-8') as f:
        sys.stdout.write(f.read())
    return 1 if results.missing else 0


if __name__ == '__main__':
    sys.exit(main())
