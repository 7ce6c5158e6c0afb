"""Linux's tables of TCP sockets, ``/proc/net/tcp`` and ``tcp6``, read in small pieces. For real threads.

Between two pieces the interpreter's lock is given up (the read is a system call): with 28,000 sockets the whole takes
tens of milliseconds, in which the loop's thread is to go on. Layout: proc_net_tcp(5).
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gevent.monkey import get_original

PIECE_BYTES = 16_384
PAUSE_BYTES, PAUSE_S = 65_536, 0.0002
"""After how much there is a pause: the loop's thread may be waiting for this very core."""
TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def table_pieces(path: str) -> Iterator[bytes]:
    """Whole lines of a table, some at a time. Raises `OSError`."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        rest, pause = b"", get_original("time", "sleep")  # the thread's own, not the greenlet's
        unpaused = 0
        while piece := os.read(descriptor, PIECE_BYTES):
            lines, newline, rest = (rest + piece).rpartition(b"\n")
            if newline:
                yield lines + newline
            unpaused += len(piece)
            if unpaused >= PAUSE_BYTES:
                pause(PAUSE_S)
                unpaused = 0
    finally:
        os.close(descriptor)


def hex_address(address: str) -> bytes:
    """An IP address as the table writes it: each 32-bit word in the machine's byte order. Raises `ValueError`."""
    packed = ipaddress.ip_address(address.partition("%")[0]).packed
    words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
    return b"".join(b"%08X" % word for word in words)


def _written(address: str) -> list[bytes]:
    """As both tables would write it: an IPv4 address may be behind an IPv6 socket."""
    plain = hex_address(address)
    return [plain, hex_address("::ffff:0:0")[:24] + plain] if len(plain) == 8 else [plain]


def sockets_to(address: str, port: int, local_addresses: Sequence[str] = (), tables: Sequence[str] = TABLES) -> int:
    """How many sockets of this machine have this remote end (and, if given, one of these local addresses).

    In every state: those in TIME_WAIT hold their port too. Raises `OSError` if no table is readable.
    """
    remote = b"|".join(_written(address))
    local = b"|".join(part for each in local_addresses for part in _written(each)) or b"[0-9A-F]+"
    pattern = re.compile(rb": (?:%s):[0-9A-F]{4} (?:%s):%04X " % (local, remote, port))
    count, unreadable = 0, 0
    for table in tables:
        try:
            for piece in table_pieces(table):
                count += len(pattern.findall(piece))
        except OSError:
            unreadable += 1
            if unreadable == len(tables):
                raise
    return count


def listening_inodes(port: int, tables: Sequence[str] = TABLES) -> set[str]:
    """Inodes of the sockets that listen on this port. Raises `OSError` if no table is readable."""
    pattern = re.compile(rb": [0-9A-F]+:%04X [0-9A-F]+:0000 0A (?:\S+ +){5}(\d+)" % port)
    found: set[str] = set()
    unreadable = 0
    for table in tables:
        try:
            for number, piece in enumerate(table_pieces(table)):
                found.update(inode.decode() for inode in pattern.findall(piece))
                last = piece.rstrip(b"\n").rpartition(b"\n")[2]
                if number and b":0000 0A " not in last:
                    break  # the kernel lists those that listen first
        except OSError:
            unreadable += 1
            if unreadable == len(tables):
                raise
    return found


def holders_of(inodes: set[str], proc: Path = Path("/proc")) -> set[int]:
    """The processes that have any of these sockets open; this process only if no other one has.

    A process whose descriptors we may not see is passed over. Looks through all descriptors of the machine.
    """
    wanted, me = {f"socket:[{inode}]" for inode in inodes}, os.getpid()
    try:
        pids = [int(name) for name in os.listdir(proc) if name.isdigit()]
    except OSError:
        return set()
    found = {pid for pid in pids if pid != me and _holds(proc, pid, wanted)}
    return found or {pid for pid in pids if pid == me and _holds(proc, pid, wanted)}


def _holds(proc: Path, pid: int, wanted: set[str]) -> bool:
    folder = f"{proc}/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    for name in names:
        try:
            if os.readlink(f"{folder}/{name}") in wanted:
                return True
        except OSError:
            continue
    return False
