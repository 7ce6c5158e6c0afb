"""`runtime.lingering`: the last bytes get out, what still comes is thrown away, and the descriptor goes soon."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic
from typing import Any

import gevent
import pytest
from gevent.monkey import get_original

from locust_ext.runtime.lingering import LINGER_S, Lingering
from locust_ext.runtime.process import shared
from tests.peers import eventually

Pair = tuple[Any, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Our end, plain and non-blocking, and the peer's."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        ours = get_original("socket", "socket")()
        ours.connect(listener.getsockname())
        ours.setblocking(False)
        peer, _ = listener.accept()
    yield ours, peer
    ours.close()
    peer.close()


def is_closed(sock: Any) -> bool:
    return bool(sock.fileno() == -1)


def test_the_rest_goes_out_and_our_direction_ends(pair: Pair) -> None:
    """The peer reads it to the end, although bytes of its own were never read; there is no reset."""
    ours, peer = pair
    peer.sendall(b"unread" * 500)
    Lingering(ours, shared(), b"last frame")
    received = b""
    while part := peer.recv(100):
        received += part
    assert received == b"last frame"
    assert not is_closed(ours)
    peer.close()
    eventually(lambda: is_closed(ours), 0.5)


def test_a_long_rest_goes_out_as_the_peer_reads(pair: Pair) -> None:
    """Whole and in order."""
    ours, peer = pair
    rest = bytes(range(256)) * 4_000
    Lingering(ours, shared(), rest)
    received = b""
    while part := peer.recv(65536):
        received += part
    assert received == rest
    peer.close()
    eventually(lambda: is_closed(ours), 0.5)


@pytest.mark.parametrize("rest", [b"", b"x" * 20_000_000])
def test_a_peer_that_does_nothing_is_left_after_its_time(pair: Pair, rest: bytes) -> None:
    """0.8 s, whether anything is left to send or not."""
    ours, _ = pair
    begun_s = monotonic()
    Lingering(ours, shared(), rest)
    eventually(lambda: is_closed(ours), 2.0)
    assert LINGER_S <= monotonic() - begun_s < LINGER_S + 0.2


def test_a_peer_that_goes_on_talking_is_left_after_its_time(pair: Pair) -> None:
    """What it says is thrown away."""
    ours, peer = pair

    def talks() -> None:
        while True:
            peer.sendall(b"y" * 1000)
            gevent.sleep(0.01)

    talking = gevent.spawn(talks)
    begun_s = monotonic()
    Lingering(ours, shared(), b"bye")
    eventually(lambda: is_closed(ours), 2.0)
    assert monotonic() - begun_s < LINGER_S + 0.2
    talking.kill()


def test_a_peer_that_has_reset_is_left_at_once(pair: Pair) -> None:
    """There is nobody to say goodbye to."""
    ours, peer = pair
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.close()
    gevent.sleep(0.02)
    Lingering(ours, shared(), b"bye")
    eventually(lambda: is_closed(ours), 0.2)
