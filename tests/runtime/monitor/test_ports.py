"""The system's tables of sockets, and the ports that are left."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from locust_ext.runtime.monitor import ports
from locust_ext.runtime.monitor.pace import Absences
from locust_ext.runtime.monitor.ports import PortsLeft, port_range
from locust_ext.runtime.monitor.proc_net import hex_address, holders_of, listening_inodes, sockets_to
from locust_ext.runtime.process import shared
from tests.peers import eventually


@contextmanager
def listener(family: int = socket.AF_INET, host: str = "127.0.0.1") -> Iterator[tuple[str, int]]:
    with socket.socket(family) as sock:
        sock.bind((host, 0))
        sock.listen(100)
        yield host, sock.getsockname()[1]


def by_psutil(port: int) -> int:
    """Sockets whose remote end is this port."""
    return sum(1 for each in psutil.net_connections("tcp") if each.raddr and each.raddr.port == port)


def test_sockets_to_an_address_are_counted_as_psutil_does() -> None:
    with listener() as (host, port):
        clients = [socket.create_connection((host, port)) for _ in range(7)]
        assert sockets_to(host, port) == by_psutil(port) == 7
        assert sockets_to("127.0.0.2", port) == 0
        assert sockets_to(host, port, ["127.0.0.1", "127.0.0.3"]) == 7
        assert sockets_to(host, port, ["127.0.0.3"]) == 0
        for client in clients:
            client.close()


def test_ipv6_and_ipv4_behind_an_ipv6_socket_are_seen_too() -> None:
    with listener(socket.AF_INET6, "::1") as (host, port), socket.create_connection((host, port)):
        assert sockets_to("::1", port) == 1
    with listener() as (_, port), socket.socket(socket.AF_INET6) as client:
        client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        client.connect(("::ffff:127.0.0.1", port))
        assert sockets_to("127.0.0.1", port) == 1


def test_addresses_are_written_in_words_of_the_machine() -> None:
    assert hex_address("127.0.0.1") in (b"0100007F", b"7F000001")
    assert len(hex_address("fe80::1%eth0")) == 32
    with pytest.raises(ValueError, match="does not appear"):
        hex_address("example.org")


def test_who_listens_is_found_by_the_sockets_inode() -> None:
    with listener() as (host, port), socket.create_connection((host, port)):
        inodes = listening_inodes(port)
        assert len(inodes) == 1, "the connection's two ends do not listen"
        assert holders_of(inodes) == {os.getpid()}
    assert listening_inodes(port) == set()
    assert holders_of({"999999999999"}) == set()


def test_no_readable_table_is_an_error_and_one_is_enough(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        sockets_to("127.0.0.1", 1, tables=(str(tmp_path / "tcp"), str(tmp_path / "tcp6")))
    with pytest.raises(OSError, match="No such file"):
        listening_inodes(1, tables=(str(tmp_path / "tcp"),))
    with listener() as (_, port):
        assert len(listening_inodes(port, tables=("/proc/net/tcp", str(tmp_path / "tcp6")))) == 1


def test_reserved_ports_are_not_left(tmp_path: Path) -> None:
    (tmp_path / "ip_local_port_range").write_text("32768\t60999\n")
    assert port_range(tmp_path) == 28232
    (tmp_path / "ip_local_reserved_ports").write_text("8080,40000-40009,60999-61005\n")
    assert port_range(tmp_path) == 28232 - 10 - 1


def test_ports_left_are_those_of_the_range_that_no_socket_to_the_target_uses() -> None:
    with listener() as (host, port):
        left = PortsLeft(lambda: f"http://{host}:{port}", Absences(), "this process")
        left.refresh()
        assert left.value == port_range()
        clients = [socket.create_connection((host, port)) for _ in range(5)]

        def is_fresh() -> bool:
            left.refresh()
            return left.value == port_range() - 5

        eventually(is_fresh, 12.0)
        for client in clients:
            client.close()


def test_each_source_address_has_all_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared(), "source_addresses", ("127.0.0.1", "127.0.0.2", "127.0.0.3"))
    with listener() as (host, port):
        clients = [socket.create_connection((host, port), source_address=("127.0.0.2", 0)) for _ in range(4)]
        clients += [socket.create_connection((host, port), source_address=("127.0.0.9", 0))]
        left = PortsLeft(lambda: f"ws://{host}:{port}/path", Absences(), "this process")
        left.refresh()
        assert left.value == 3 * port_range() - 4
        for client in clients:
            client.close()


@pytest.mark.parametrize(
    ("host", "reason"), [("embedded", "is no address"), ("http://nowhere.invalid", "cannot be resolved")]
)
def test_a_target_without_address_has_no_ports_and_one_warning(
    host: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    left = PortsLeft(lambda: host, Absences(), "this process")
    for _ in range(3):
        left.refresh()
        left.begin()
    assert left.value is None
    assert len(caplog.records) == 1
    assert reason in caplog.text


def test_the_table_is_read_in_a_real_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setattr(ports, "count_left", lambda *_: threads.append(threading.get_native_id()) or 5)
    left = PortsLeft(lambda: "http://127.0.0.1:9", Absences(), "this process")
    left.refresh()
    assert left.value == 5
    assert threads != [threading.get_native_id()]
