"""`runtime.waiting`: a plain socket that blocks one greenlet, by one deadline."""

from __future__ import annotations

import socket
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.monkey import get_original

from locust_ext.runtime.process import shared
from locust_ext.runtime.waiting import WaitingSocket
from tests.peers import Peer, full_backlog, refused_port, send, stall, wait
from tests.runtime.connecting import descriptors

Plain: Any = get_original("socket", "socket")


def waiting(timeout_s: float = 5.0) -> WaitingSocket:
    made = WaitingSocket(Plain(socket.AF_INET, socket.SOCK_STREAM), shared())
    made.settimeout(timeout_s)
    return made


def address(url: str) -> tuple[str, int]:
    host, _, port = url.rpartition("://")[2].partition(":")
    return host, int(port)


def test_it_connects_writes_and_reads() -> None:
    """What the peer sends comes in as many pieces as it likes."""
    with Peer(wait(0.05), send(b"hello"), stall()) as peer:
        sock = waiting()
        sock.connect(address(peer.url))
        sock.sendall(b"x" * 100)
        assert sock.recv(100) == b"hello"
        sock.close()


def test_a_refused_connection_is_an_error_of_the_system() -> None:
    sock = waiting()
    with pytest.raises(ConnectionRefusedError):
        sock.connect(("127.0.0.1", refused_port()))
    sock.close()


def test_the_deadline_is_one_for_all_calls() -> None:
    """Met within two ticks; the other greenlets run meanwhile."""
    with full_backlog() as url:
        sock = waiting(0.2)
        begun_s = monotonic()
        with pytest.raises(TimeoutError):
            sock.connect(address(url))
        assert 0.2 <= monotonic() - begun_s < 0.3
        sock.close()


def test_killed_while_it_waits_it_leaves_nothing() -> None:
    """No descriptor, no deadline."""
    with Peer(stall()) as peer:
        before, deadlines = descriptors(), len(shared().wheel)
        sock = waiting()
        sock.connect(address(peer.url))
        reader = gevent.spawn(sock.recv, 10)
        gevent.sleep(0.02)
        assert len(shared().wheel) == deadlines + 1
        reader.kill()
        sock.close()
        assert len(shared().wheel) == deadlines
        assert {each for each in descriptors() - before if "socket" in each} <= peer_sockets(peer)


def peer_sockets(peer: Peer) -> set[str]:
    """The peer lives in this process too: its end of the connection is open still."""
    numbers = [each.sock.fileno() for each in peer.connections]
    return {each for each in descriptors() if int(each.split()[0]) in numbers}
