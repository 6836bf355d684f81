# SPDX-License-Identifier: GPL-2.0-only
"""What QEMU's monitor says of a VM: what its CPUs do, and whether QEMU lost an interrupt.

Rarely QEMU's emulation of x86 loses an interrupt, or the end of one:

- The local APIC of a CPU has the timer's interrupt in service for ever, though no
  handler is running. Linux tells the APIC of the end of such an interrupt before it
  handles it, so no code of the kernel's can do this.
- The timer has run down, and its interrupt is neither wanted nor in service, though
  the CPU has interrupts on. Linux starts the timer anew in its handler, or masks it.

No timer of that CPU fires again, and no watchdog of the kernel's need notice, for these
are timers, too: the VM stands still, or programs that wait for the clock go on for ever.
"""
import bisect
import contextlib
import json
import re
import socket
import threading
import time

# How often a CPU is looked at, and the seconds between, before it is a suspect
SAMPLES, BETWEEN = 10, 0.05
# The vector of Linux's timer. From it on, the end is told before the handling.
TIMER = 0xec
IF = 1 << 9
FRAMES = 30
TEXT = 0xffffffff80000000


class Cpu:
    """One look at a CPU and its local APIC."""

    def __init__(self, registers, lapic):
        self.halted = 'HLT=1' in registers
        self.ip = self.number(r'RIP=(\w+)', registers)
        self.frame = self.number(r'RBP=(\w+)', registers)
        self.interrupts_on = bool(self.number(r'RFL=(\w+)', registers) & IF)
        self.in_service = self.vectors('ISR', lapic)
        wanted = self.vectors('IRR', lapic)
        timer = re.search(r'^LVTT\s.*', lapic, re.M)
        stopped = re.search(r'initial_count = [1-9]\d* current_count = 0\b', lapic)
        self.timer_lost = bool(timer and 'masked' not in timer[0]
                               and f'vec {TIMER})' in timer[0] and stopped
                               and TIMER not in wanted + self.in_service)

    @staticmethod
    def number(pattern, text):
        found = re.search(pattern, text)
        return int(found[1], 16) if found else 0

    @staticmethod
    def vectors(name, lapic):
        """The interrupts in one of the APIC's registers."""
        found = re.search(rf'^{name}\s+(.*)', lapic, re.M)
        return [int(n) for n in re.findall(r'\b\d+\b', found[1])] if found else []


def has_lost(looks):
    """Did QEMU lose an interrupt of the CPU that was looked at some times?"""
    served = [look.in_service for look in looks]
    if served[0] and served.count(served[0]) == len(served):
        return all(look.halted or max(look.in_service) >= TIMER for look in looks)
    return (all(look.timer_lost for look in looks)
            and any(look.interrupts_on for look in looks))


class Symbols:
    """The names of a kernel's functions, from its System.map."""

    def __init__(self, path):
        self.names = []
        with contextlib.suppress(OSError), open(path, encoding='ascii') as f:
            for address, kind, name in (line.split() for line in f):
                if kind in 'tT':
                    self.names.append((int(address, 16), name))
        self.names.sort()

    def name(self, address):
        n = bisect.bisect_right(self.names, (address, '~'))
        if address < TEXT or not n:
            return f'{address:#x}'
        return f'{self.names[n - 1][1]}+{address - self.names[n - 1][0]:#x}'


class Monitor:
    """QEMU's monitor."""

    def __init__(self, cpus, symbols):
        """CPUs is how many of them are to be watched, SYMBOLS the file with names."""
        self.cpus = range(cpus)
        self.symbols = symbols
        self.ours, self.qemus = socket.socketpair()
        self.ours.settimeout(60)
        self.replies = self.ours.makefile(encoding='utf-8')
        # A port of the guest's, for its commands
        self.port, self.qemus_port = socket.socketpair()
        self.asking = threading.Lock()
        self.ready = False
        self.suspects = set()

    def args(self):
        return ['-chardev', f'socket,id=monitor,fd={self.qemus.fileno()}',
                '-mon', 'chardev=monitor,mode=control',
                '-chardev', f'socket,id=port,fd={self.qemus_port.fileno()}',
                '-device', 'virtserialport,chardev=port,name=monitor']

    @contextlib.contextmanager
    def serving(self):
        """Do what the guest says at its port while the VM runs."""
        self.qemus.close()
        self.qemus_port.close()
        server = threading.Thread(target=self.serve)
        server.start()
        try:
            yield
        finally:
            self.port.shutdown(socket.SHUT_RDWR)
            server.join()

    def serve(self):
        """Answer each command of the guest's, a line, by what QEMU says, in one."""
        with self.port.makefile(encoding='utf-8', errors='replace') as commands:
            for command in commands:
                try:
                    said = ' '.join(self.ask(command.strip()).split())
                    self.port.sendall(f'{said}\n'.encode())
                except (OSError, ValueError):
                    return

    def request(self, name, **arguments):
        request = {'execute': name, 'arguments': arguments}
        self.ours.sendall(json.dumps(request).encode())
        for line in self.replies:
            reply = json.loads(line)
            if 'return' in reply or 'error' in reply:
                return str(reply.get('return', ''))
        raise OSError('QEMU has gone')

    def ask(self, command):
        """What QEMU says to a command of its monitor, as a user would give it."""
        with self.asking:
            if not self.ready:
                self.request('qmp_capabilities')
                self.ready = True
            return self.request('human-monitor-command', **{'command-line': command})

    def look(self):
        """All CPUs as they are now."""
        registers = self.ask('info registers -a').split('CPU#')[1:]
        return [Cpu(registers[n], self.ask(f'info lapic {n}')) for n in self.cpus]

    def lost_interrupt(self):
        """Has QEMU lost an interrupt of a CPU, now and the last time?"""
        looks = []
        try:
            for _ in range(SAMPLES if self.cpus else 0):
                looks.append(self.look())
                time.sleep(BETWEEN)
        except (OSError, ValueError, IndexError):
            return False
        found = {n for n in self.cpus if has_lost([look[n] for look in looks])}
        lost = bool(found & self.suspects)
        self.suspects = found
        return lost

    def callers(self, number, cpu):
        """Where a CPU is and who called that, as far as frame pointers tell."""
        self.ask(f'cpu {number}')
        addresses, frame = [cpu.ip], cpu.frame
        while frame >= 1 << 63 and cpu.ip >= TEXT and len(addresses) < FRAMES:
            words = re.findall(r'0x[0-9a-f]{16}', self.ask(f'x /2gx {frame:#x}'))
            if len(words) < 2:
                break
            frame, address = (int(word, 16) for word in words)
            addresses.append(address)
        return addresses

    def where(self):
        """Lines that say in what functions the CPUs are. The VM does not go on."""
        symbols = Symbols(self.symbols)
        self.ask('stop')
        for number, cpu in enumerate(self.look()):
            yield (f'CPU {number}: {"halted, " if cpu.halted else ""}interrupts '
                   f'{"on" if cpu.interrupts_on else "off"}, in service: '
                   f'{cpu.in_service or "none"}, '
                   f'timer {"lost" if cpu.timer_lost else "well"}\n')
            yield from (f'  {symbols.name(address)}\n'
                        for address in self.callers(number, cpu))

    def state(self):
        """Where the CPUs are, in short, and all that QEMU says of them."""
        try:
            return list(self.where()), ''.join(self.ask(command) for command in (
                'info registers -a', *(f'info lapic {cpu}' for cpu in self.cpus)))
        except (OSError, ValueError, IndexError) as error:
            return [f'QEMU does not say where its CPUs are: {error}\n'], ''
