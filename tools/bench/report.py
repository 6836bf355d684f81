#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Turn what iommufd-bench printed into a table, a CSV file and a plot.

    tools/bench/report.py IOMMU OUTPUT... --to DIRECTORY

OUTPUT files hold the lines that report.h describes. Writes DIRECTORY/IOMMU.csv,
.svg and .txt, and prints the latter. The targets of the design brief are for
VT-d; with other IOMMUs the figures stand without a judgement.
"""
import argparse
import csv
import math
import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
NAMES = {
    'anon-4k': 'anonymous, 4 KiB pages',
    'anon-thp': 'anonymous, 2 MiB THP',
    'hugetlb': 'hugetlb 2 MiB',
    'memfd-4k': 'memfd, 4 KiB pages',
    'memfd-hugetlb': 'memfd on hugetlb',
    'small': 'small (4 KiB per ioctl)',
    'many': 'the same, 2,048 areas',
}
# The parts that anybody who maps or unmaps has to pay for
PARTS = {
    'map': ('ioctl', 'pin', 'iommu_map'),
    'unmap': ('ioctl', 'iommu_unmap', 'unpin'),
}


class Results:
    """What was measured, by (row, kind, who, what)."""

    def __init__(self, files):
        self.values, self.notes, self.missing = {}, [], []
        for name in files:
            with open(name, encoding='utf-8', errors='replace') as f:
                for line in f:
                    self.add(line.rstrip('\n').split('|'))

    def add(self, field):
        if field[0] == '@value':
            least, most = float(field[5]), float(field[6])
            self.values[tuple(field[1:5])] = (least, most, field[7])
        elif field[0] == '@note':
            self.notes.append(field[1:5])
        elif field[0] == '@missing':
            self.missing.append(field[1:5])

    def least(self, *key):
        return self.values[key][0] if key in self.values else None

    def kinds(self, row):
        """The kinds of a row, in the order they were measured."""
        return list(dict.fromkeys(k[1] for k in self.values if k[0] == row))

    def floor(self, kind, what):
        parts = [self.least('map', kind, 'floor', p) for p in PARTS[what]]
        parts = [p for p in parts if p is not None]
        return sum(parts) if parts else None


def number(value):
    if value is None:
        return '-'
    if value == 0 or value >= 100:
        return f'{value:.0f}'
    return f'{value:.1f}' if value >= 10 else f'{value:.2f}'


def read_targets():
    """(kind, what) -> (native, reference, target as text)"""
    with open(os.path.join(HERE, 'targets.csv'), encoding='utf-8') as f:
        lines = [line for line in f if not line.startswith('#')]
    return {(kind, what): (native, reference, target)
            for kind, what, native, reference, target in csv.reader(lines)}


def target_value(target, floor):
    if target.startswith('floor+'):
        return None if floor is None else floor + float(target[6:])
    return float(target)


def verdict(ours, target, floor):
    if ours is None or target is None:
        return ''
    if ours <= target:
        return 'ok'
    # What the brief allows where a target is out of reach
    if floor is not None and ours <= floor * 1.1:
        return 'over, but within 10 % of the floor'
    return 'over'


def compare(results, targets, judge):
    """The rows of the brief's table, as dicts."""
    for (kind, what), (native, reference, target) in targets.items():
        floor = results.floor(kind, what)
        ours = results.values.get(('map', kind, 'iommufd', what))
        value = target_value(target, floor)
        yield {
            'kind': kind, 'what': what,
            'native brief': native, 'reference brief': reference,
            'native': results.least('map', kind, 'native', what),
            'floor': floor, 'target': value,
            'iommufd': ours[0] if ours else None,
            'spread': (ours[1] - ours[0]) / ours[0] * 100 if ours else None,
            'verdict': verdict(ours[0] if ours else None, value, floor)
                       if judge else '',
        }


def print_table(out, head, rows):
    rows = [head] + rows
    width = [max(len(row[i]) for row in rows) for i in range(len(head))]
    for n, row in enumerate(rows):
        cells = [row[0].ljust(width[0])]
        cells += [c.rjust(w) for c, w in zip(row[1:-1], width[1:-1])]
        cells.append(row[-1].ljust(width[-1]))
        print('  ' + '  '.join(cells).rstrip(), file=out)
        if n == 0:
            print('  ' + '  '.join('-' * w for w in width), file=out)


def print_main(out, rows):
    print('Guest instructions per 4 KiB page (small, many: per call)\n',
          file=out)
    table = []
    for row in rows:
        spread = '' if row['spread'] is None else f'{row["spread"]:.1f} %'
        table.append([
            f'{NAMES[row["kind"]]}, {row["what"]}',
            row['native brief'] or '-', number(row['native']),
            row['reference brief'] or '-', number(row['floor']),
            number(row['target']), number(row['iommufd']), spread,
            row['verdict']])
    print_table(out, ['', 'native: brief', 'here', 'reference', 'floor',
                      'target', 'iommufd', 'spread', ''], table)
    print('\n  floor: pinning and iommu_map(), or iommu_unmap() and unpinning,'
          ' and for small the\n  empty ioctl, each measured alone on the same'
          ' memory. spread: of three runs.\n', file=out)


def print_floors(out, results):
    whats = ('ioctl', 'pin', 'iommu_map', 'iommu_unmap', 'unpin', 'runs')
    table = []
    for kind in NAMES:
        cells = [number(results.least('map', kind, 'floor', w)) for w in whats]
        if any(c != '-' for c in cells):
            table.append([NAMES[kind]] + cells)
    if table:
        print('Floors, part by part, and runs of consecutive page frames\n',
              file=out)
        print_table(out, [''] + list(whats), table)
        print(file=out)


def other_verdict(results, row, kind, who, what):
    """The brief's targets beside the table, wherever they apply."""
    value = results.least(row, kind, who, what)
    if who != 'iommufd':
        return ''
    if (row, what) == ('second', 'attach'):
        mapping = results.least('second', kind, who, 'map')
        if mapping is None:
            return ''
        return ('ok' if value <= mapping else 'over') + ': no more than map'
    if (row, what) == ('memory', 'objects per run'):
        return ('ok' if value <= 8 else 'over') + ': at most 8'
    if row == 'threads' and what.endswith('speedup'):
        return ('ok' if value >= 1.8 else 'under') + ': at least 1.8'
    if row == 'scale':
        # What grows with the range would be far more than this
        same = [v[0] for k, v in results.values.items() if k[0] == 'scale'
                and k[3] == what and k[1].split('-')[0].split()[0]
                == kind.split('-')[0].split()[0]]
        return f'{value / same[0]:.2f} times the first'
    return ''


def print_rows(out, results, title, row):
    """Any other row: what there is, as it was measured."""
    table = []
    for (r, kind, who, what), (least, most, unit) in results.values.items():
        if r == row:
            spread = f'{(most - least) / least * 100:.1f} %' if least else ''
            table.append([kind, who, what, number(least), unit,
                          spread if most != least else '',
                          other_verdict(results, row, kind, who, what)])
    if table:
        print(f'{title}\n', file=out)
        print_table(out, ['', 'who', 'what', 'figure', 'unit', 'spread', ''],
                    table)
        print(file=out)


# Row, title. The rest of the rows is sorted behind these.
ROWS = (
    ('second', 'A second I/O page table of a populated IOAS (attach: beside '
               'map above)'),
    ('copy', 'IOAS_COPY into a second IOAS with a device'),
    ('access-1', 'In-kernel access to one page'),
    ('access-16384', 'In-kernel access to 64 MiB'),
    ('dirty', 'GET_DIRTY_BITMAP'),
    ('scale', 'Growth'),
    ('viommu', 'Pages that a guest maps and unmaps, whose IOMMU QEMU emulates'),
    ('memory', 'Memory the kernel uses for 1 GiB mapped'),
    ('threads', 'Two threads, disjoint ranges of one address space (wall time, '
                'two CPUs)'),
)


def print_all(out, iommu, results, rows):
    print(f'iommufd benchmark, IOMMU {iommu}\n', file=out)
    print_main(out, rows)
    print_floors(out, results)
    for row, title in ROWS:
        print_rows(out, results, title, row)
    for row, kind, who, text in results.notes:
        print(f'not measured: {row} {kind} {who}: {text}', file=out)
    for row, kind, who, text in results.missing:
        print(f'FAILED: {row} {kind} {who}: {text}', file=out)


def write_csv(name, results, rows):
    with open(name, 'w', newline='', encoding='utf-8') as f:
        out = csv.writer(f)
        out.writerow(['row', 'kind', 'who', 'what', 'min', 'max', 'unit'])
        for key, value in results.values.items():
            out.writerow(list(key) + list(value))
        for row in rows:
            if row['target'] is not None:
                out.writerow(['map', row['kind'], 'target', row['what'],
                              round(row['target'], 3), round(row['target'], 3),
                              row['verdict']])


class Plot:
    """Groups of horizontal bars over a logarithmic axis."""

    LEFT, WIDTH, BAR, GAP = 190, 560, 11, 10
    COLORS = {'native': '#9aa5b1', 'reference': '#d9a441',
              'floor': '#7fb69e', 'iommufd': '#2b5d8c'}

    def __init__(self, title):
        self.svg, self.y = [], 50
        self.text(10, 24, title, size=15)

    def text(self, x, y, text, size=11, anchor='start'):
        self.svg.append(f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" '
                        f'text-anchor="{anchor}">{text}</text>')

    def x(self, value):
        return self.LEFT + self.WIDTH * math.log10(max(value, 1)) / 4

    def legend(self):
        x = self.LEFT
        for who, color in self.COLORS.items():
            self.svg.append(f'<rect x="{x}" y="{self.y - 9}" width="10" '
                            f'height="10" fill="{color}"/>')
            self.text(x + 14, self.y, who)
            x += 95
        self.svg.append(f'<path d="M{x} {self.y - 10}v12" stroke="#c0392b" '
                        'stroke-width="2"/>')
        self.text(x + 6, self.y, 'target')
        self.y += 18

    def group(self, row):
        top = self.y
        values = {'native': row['native'],
                  'reference': float(row['reference brief'] or 'nan'),
                  'floor': row['floor'], 'iommufd': row['iommufd']}
        for who, value in values.items():
            if value is None or math.isnan(value):
                continue
            self.svg.append(
                f'<rect x="{self.LEFT}" y="{self.y}" height="{self.BAR - 1}" '
                f'width="{max(self.x(value) - self.LEFT, 1):.1f}" '
                f'fill="{self.COLORS[who]}"/>')
            self.text(max(self.x(value), self.LEFT + 1) + 4,
                      self.y + self.BAR - 2, number(value), size=10)
            self.y += self.BAR
        self.text(self.LEFT - 8, (top + self.y) / 2 + 4,
                  f'{NAMES[row["kind"]]}', anchor='end')
        if row['target'] is not None:
            self.svg.append(
                f'<path d="M{self.x(row["target"]):.1f} {top - 2}'
                f'V{self.y + 2}" stroke="#c0392b" stroke-width="2"/>')
        self.y += self.GAP

    def heading(self, text):
        self.y += 14
        self.text(10, self.y, text, size=13)
        self.y += 10

    def write(self, name):
        width, height = self.LEFT + self.WIDTH + 70, self.y + 10
        with open(name, 'w', encoding='utf-8') as f:
            f.write(f'<svg xmlns="http://www.w3.org/2000/svg" '
                    f'viewBox="0 0 {width} {height}" width="{width}" '
                    f'height="{height}" font-family="sans-serif">\n'
                    '<rect width="100%" height="100%" fill="white"/>\n')
            f.write('\n'.join(self.svg) + '\n</svg>\n')


def write_svg(name, iommu, rows):
    plot = Plot(f'Guest instructions per 4 KiB page (small: per call), '
                f'IOMMU {iommu}, logarithmic')
    plot.legend()
    for what in ('map', 'unmap'):
        plot.heading(what)
        for row in rows:
            if row['what'] == what:
                plot.group(row)
    plot.write(name)


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    p.add_argument('iommu')
    p.add_argument('output', nargs='+')
    p.add_argument('--to', required=True)
    o = p.parse_args()
    results = Results(o.output)
    targets = read_targets()
    judge = o.iommu == 'intel'
    rows = list(compare(results, targets, judge))
    if not judge:
        for row in rows:
            row.update({'native brief': '', 'reference brief': '',
                        'target': None})
    base = os.path.join(o.to, o.iommu)
    write_csv(base + '.csv', results, rows)
    write_svg(base + '.svg', o.iommu, rows)
    with open(base + '.txt', 'w', encoding='utf-8') as f:
        print_all(f, o.iommu, results, rows)
    with open(base + '.txt', encoding='utf-8') as f:
        sys.stdout.write(f.read())
    return 1 if results.missing else 0


if __name__ == '__main__':
    sys.exit(main())
