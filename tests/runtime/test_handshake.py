"""`runtime.handshake`: DNS, TCP, TLS and the upgrade under one deadline; rows 1 to 7, 22 and 23 of the faults."""

from __future__ import annotations

import logging
import os
import resource
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from time import monotonic, time
from typing import Any

import gevent
import pytest

from locust_ext.core.protocols.deflate import DeflateOffer
from locust_ext.errors import ConnectFailed
from locust_ext.runtime import address, handshake
from locust_ext.runtime.address import endpoint
from locust_ext.runtime.handshake import HandshakeOptions, Opened, open_websocket, retry_after_s
from locust_ext.runtime.process import shared
from tests.peers import (
    Peer,
    Step,
    answer,
    drip,
    eventually,
    fin,
    full_backlog,
    read_request,
    refused_port,
    reset,
    send,
    stall,
    switching_protocols,
    text,
    upgrade,
    wait_end,
)


def open_at(url: str, path: str = "/ws", within_s: float = 5.0, **options: Any) -> Opened:
    return open_websocket(endpoint(url, path), HandshakeOptions(**options), monotonic() + within_s, shared())


def failure_at(url: str, within_s: float = 5.0, **options: Any) -> ConnectFailed:
    with pytest.raises(ConnectFailed) as caught:
        open_at(url, within_s=within_s, **options).sock.close()
    return caught.value


IP_LOCAL_PORT_RANGE = 51  # linux/in.h, since 6.3


# ── good ones ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_upgrade_request_carries_what_it_was_given() -> None:
    """Path, query, headers, Origin, subprotocols, cookies; and no Origin where none is given."""
    with Peer(upgrade("Sec-WebSocket-Protocol: b"), stall()) as peer:
        opened = open_at(
            peer.url,
            "/a/b?c=d",
            headers={"Authorization": "Bearer t", "X-One": "1"},
            subprotocols=("a", "b"),
            origin="https://o.example",
            cookie="k=v; k2=v2",
        )
        opened.sock.close()
        got = peer.last
        assert got.request_line == "GET /a/b?c=d HTTP/1.1"
        assert got.headers["host"] == f"127.0.0.1:{peer.port}"
        assert got.headers["authorization"] == "Bearer t"
        assert got.headers["x-one"] == "1"
        assert got.headers["sec-websocket-protocol"] == "a, b"
        assert got.headers["sec-websocket-version"] == "13"
        assert got.headers["origin"] == "https://o.example"
        assert got.headers["cookie"] == "k=v; k2=v2"
        assert opened.subprotocol == "b"
        open_at(peer.url, subprotocols=("b",)).sock.close()
        assert "origin" not in peer.last.headers


def test_each_upgrade_has_a_key_of_its_own() -> None:
    """RFC 6455, section 4.1."""
    with Peer(upgrade(), stall()) as peer:
        for _ in range(3):
            open_at(peer.url).sock.close()
        assert len({each.headers["sec-websocket-key"] for each in peer.connections}) == 3


def test_bytes_behind_the_answer_are_kept() -> None:
    """Also when they come in the same packet as the 101."""
    with Peer(upgrade(behind=text("early") + b"\x81"), stall()) as peer:
        opened = open_at(peer.url)
        assert opened.early_bytes == text("early") + b"\x81"
        opened.sock.close()


def test_the_socket_is_plain_non_blocking_and_without_delay() -> None:
    """TCP_NODELAY; its methods are C and it has no watcher yet."""
    loop = gevent.get_hub().loop
    with Peer(upgrade(), stall()) as peer:
        before = loop.activecnt
        opened = open_at(peer.url)
        assert opened.sock.gettimeout() == 0.0
        assert opened.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not hasattr(opened.sock, "_read_event")
        opened.sock.close()
        eventually(lambda: loop.activecnt <= before + 2)


def test_cookies_of_the_answer_are_handed_over_and_kept_nowhere_else() -> None:
    """websocket-client's jar is one for the whole process: it must stay empty."""
    with Peer(upgrade("Set-Cookie: a=1; Path=/", "set-cookie: b=2"), stall()) as peer:
        opened = open_at(peer.url)
        opened.sock.close()
        assert opened.set_cookies == ("a=1; Path=/", "b=2")
        open_at(peer.url).sock.close()
        assert "cookie" not in peer.last.headers


def test_compression_is_negotiated() -> None:
    """And an extension that nobody offered is a bad handshake."""
    with Peer(upgrade("Sec-WebSocket-Extensions: permessage-deflate"), stall()) as peer:
        opened = open_at(peer.url, deflate=DeflateOffer())
        opened.sock.close()
        assert opened.deflate is not None
        assert peer.last.headers["sec-websocket-extensions"].startswith("permessage-deflate")
        assert failure_at(peer.url).error_class == "bad_handshake"


def test_connections_leave_from_the_source_address() -> None:
    """So one machine can hold more than 28,000 of them to one target."""
    with Peer(upgrade(), stall()) as peer:
        opened = open_at(peer.url, source_address="127.0.0.5")
        assert opened.sock.getsockname()[0] == "127.0.0.5"
        opened.sock.close()


def test_the_second_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the first one refuses."""
    with Peer(upgrade(), stall()) as peer:
        bad = refused_port()
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, ("127.0.0.1", port)) for port in (bad, peer.port)]
        monkeypatch.setattr(handshake, "resolve", lambda *_: found)
        open_at(peer.url).sock.close()


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fault_01_a_refused_connection() -> None:
    """Is ``refused``, at once."""
    begun_s = monotonic()
    assert failure_at(f"http://127.0.0.1:{refused_port()}").error_class == "refused"
    assert monotonic() - begun_s < 1.0


def test_fault_02_an_unknown_host_name() -> None:
    """Is ``dns``."""
    assert failure_at("http://nobody.invalid:80").error_class == "dns"


def test_fault_02_one_deadline_covers_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What DNS has used up is no longer there for the upgrade."""
    known = address.socket.getaddrinfo

    def slow(*arguments: Any) -> Any:
        gevent.sleep(0.2)
        return known(*arguments)

    address._memory.clear()
    monkeypatch.setattr(address.socket, "getaddrinfo", slow)
    with Peer(read_request(), stall()) as peer:
        begun_s = monotonic()
        assert failure_at(peer.url, within_s=0.4).error_class == "connect_timeout"
        assert 0.4 <= monotonic() - begun_s < 0.7
        eventually(lambda: peer.last.head)


def test_fault_02_a_syn_without_an_answer() -> None:
    """Is ``connect_timeout`` at the deadline."""
    with full_backlog() as url:
        begun_s = monotonic()
        assert failure_at(url, within_s=0.3).error_class == "connect_timeout"
        assert 0.3 <= monotonic() - begun_s < 0.8


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_faults_04_to_06_a_refused_upgrade(status: int) -> None:
    """Is ``http_<status>``; neither a header nor the body is in the text."""
    with Peer(answer(f"{status} Odd secret-reason", "X-Secret: secret-header", body=b"secret-body")) as peer:
        failure = failure_at(peer.url, headers={"Authorization": "Bearer secret-token"}, cookie="c=secret-cookie")
    assert failure.error_class == f"http_{status}"
    assert str(failure) == f"http_{status} - the server answered with HTTP status {status}"
    assert "secret" not in repr(failure)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), ("1.5", 1.5), ("in 100 s, as a date", 99.0), ("soon", None), ("-3", None)]
)
def test_fault_05_retry_after(status: int, value: str, seconds: float | None) -> None:
    """In seconds or as a date; nonsense is none."""
    if "date" in value:
        value = formatdate(time() + 100, usegmt=True)
    with Peer(answer(f"{status} Later", f"Retry-After: {value}")) as peer:
        failure = failure_at(peer.url)
    assert failure.error_class == f"http_{status}"
    if seconds is None:
        assert failure.retry_after_s is None
    else:
        assert failure.retry_after_s == pytest.approx(seconds, abs=2.0 if seconds > 10 else 0.0)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "\u00b2",
        "9" * 400,
        "1." + "9" * 400,
        "1e3",
        "1.",
        ".5",
        "1.5.5",
        "Mon, 99 Foo 2024",
        "Thu, 01 Jan 0001 00:00:00 -0000",
    ],
)
def test_fault_05_no_retry_after_breaks_anything(value: str) -> None:
    """What a server sends may be anything."""
    seconds = retry_after_s(value)
    assert seconds is None or seconds >= 0.0


def test_fault_05_a_retry_after_that_is_no_ascii_digit() -> None:
    """``²`` is a digit to Python, and no number."""
    with Peer(answer("503 Later", "Retry-After: \u00b2")) as peer:
        assert failure_at(peer.url).error_class == "http_503"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_fault_06_redirects_are_not_followed(status: int) -> None:
    """``Authorization`` would go anywhere."""
    with Peer(upgrade(), stall()) as other, Peer(answer(f"{status} Moved", f"Location: {other.url}/ws")) as peer:
        assert failure_at(peer.url, headers={"Authorization": "Bearer t"}).error_class == f"http_{status}"
        assert other.connections == []


def test_fault_06_plain_http() -> None:
    """A server that knows nothing of upgrades is ``http_200``."""
    with Peer(answer("200 OK", body=b"hello")) as peer:
        assert failure_at(peer.url).error_class == "http_200"


def raw_answer(data: bytes) -> list[Step]:
    return [read_request(), send(data), fin(), wait_end()]


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1\r\n\r\n",
        b"HTTP/1.1 OK OK\r\n\r\n",
        b"HTTP/1.1 101\r\nno colon\r\n\r\n",
        b"HTTP/1.1 101 \xff\xfe\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"\x16\x03\x01 what a TLS server says\n\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
    ],
)
def test_fault_06_an_answer_that_is_no_handshake(data: bytes) -> None:
    """Is ``bad_handshake``, whatever it is."""
    with Peer(raw_answer(data)) as peer:
        assert failure_at(peer.url).error_class == "bad_handshake"


def test_fault_06_a_wrong_accept_key() -> None:
    """Also one that is right but for its case: base64 has case."""
    with Peer(upgrade(accept="AAAAAAAAAAAAAAAAAAAAAAAAAAA="), stall()) as peer:
        assert failure_at(peer.url).error_class == "bad_handshake"
    swapped: list[Step] = [
        read_request(),
        send(lambda each: switching_protocols(each, accept=_swapped(each.headers["sec-websocket-key"]))),
        stall(),
    ]
    with Peer(swapped) as peer:
        assert failure_at(peer.url).error_class == "bad_handshake"


def _swapped(key: str) -> str:
    from tests.peers import accept_key

    return accept_key(key).swapcase()


@pytest.mark.parametrize(
    ("lines", "asked"),
    [(("Sec-WebSocket-Protocol: c",), ("a", "b")), (("Sec-WebSocket-Protocol: a",), ()), ((), ("a",))],
)
def test_fault_06_a_wrong_subprotocol(
    lines: tuple[str, ...], asked: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """One that nobody asked for, or none where one was asked for; and no log shows what was asked for."""
    with caplog.at_level(logging.DEBUG), Peer(upgrade(*lines), stall()) as peer:
        assert failure_at(peer.url, subprotocols=asked).error_class == "bad_handshake"
    assert "subprotocol" not in caplog.text


def test_fault_07_a_handshake_that_drips_is_given_up_at_the_deadline() -> None:
    """``connect_timeout``; the peer sees that the descriptor is given back."""
    with Peer(upgrade(drip_s=0.02), stall()) as peer:
        begun_s = monotonic()
        assert failure_at(peer.url, within_s=0.4).error_class == "connect_timeout"
        assert 0.4 <= monotonic() - begun_s < 0.8


def test_fault_07_a_handshake_that_drips_fast_enough_succeeds() -> None:
    """Every cut of the answer is understood, and what comes behind it is kept."""
    steps: list[Step] = [
        read_request(),
        lambda each: drip(switching_protocols(each) + text("early"))(each),
        stall(),
    ]
    with Peer(steps) as peer:
        opened = open_at(peer.url)
        opened.sock.close()


def test_fault_07_headers_without_end() -> None:
    """Are a bad handshake after 64 KiB, whether in one line or in many."""
    for endless in (b"x" * 1_000_000, b"a: b\r\n" * 100_000, b"Set-Cookie: a=b\r\n" * 50_000):
        with Peer(read_request(), send(b"HTTP/1.1 101 Switching Protocols\r\n" + endless), stall()) as peer:
            begun_s = monotonic()
            assert failure_at(peer.url).error_class == "bad_handshake"
            assert monotonic() - begun_s < 1.0


def test_a_peer_that_closes_instead_of_answering() -> None:
    """A FIN or an RST before the first byte is ``reset``; a FIN in the middle ``bad_handshake``."""
    with Peer(read_request(), fin(), wait_end()) as peer:
        assert failure_at(peer.url).error_class == "reset"
    with Peer(read_request(), reset()) as peer:
        assert failure_at(peer.url).error_class == "reset"
    with Peer(read_request(), send(b"HTTP/1.1 101 Sw"), fin(), wait_end()) as peer:
        assert failure_at(peer.url).error_class == "bad_handshake"


# ── ports and descriptors ────────────────────────────────────────────────────────────────────────────────────────────


def test_fault_22_no_ports_left(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """``no_ports``, and one warning that says what to do, however often it happens."""
    shared().warned.discard("no_ports")
    with Peer(upgrade(), stall()) as peer:
        original = handshake.PlainSocket
        port = refused_port()

        def narrow(*arguments: Any, **more: Any) -> Any:
            made = original(*arguments, **more)
            made.setsockopt(socket.IPPROTO_IP, IP_LOCAL_PORT_RANGE, struct.pack("I", port << 16 | port))
            return made

        monkeypatch.setattr(handshake, "PlainSocket", narrow)
        first = open_at(peer.url)
        try:
            with caplog.at_level(logging.WARNING):
                for _ in range(3):
                    assert failure_at(peer.url).error_class == "no_ports"
        finally:
            first.sock.close()
    warnings = [each.getMessage() for each in caplog.records if "port" in each.getMessage()]
    assert len(warnings) == 1
    assert "--ext-source-addresses" in warnings[0]


@contextmanager
def no_descriptors_left() -> Iterator[None]:
    """The limit is lowered, and what it leaves is taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(number) for number in os.listdir("/proc/self/fd"))
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 2, hard))
    try:
        while True:
            try:
                taken.append(os.open(os.devnull, os.O_RDONLY))
            except OSError:
                break
        yield
    finally:
        for number in taken:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_fault_23_no_descriptors_left(caplog: pytest.LogCaptureFixture) -> None:
    """``fd_limit``, and one warning that says what to do."""
    shared().warned.discard("fd_limit")
    with Peer(upgrade(), stall()) as peer, caplog.at_level(logging.WARNING):
        open_at(peer.url).sock.close()
        with no_descriptors_left():
            failures = [failure_at(peer.url).error_class for _ in range(3)]
        assert failures == ["fd_limit"] * 3
        open_at(peer.url).sock.close()
    warnings = [each.getMessage() for each in caplog.records if "descriptor" in each.getMessage()]
    assert len(warnings) == 1
    assert "ulimit -n" in warnings[0]


def test_fault_23_no_descriptors_left_for_the_resolver() -> None:
    """The resolver's error then looks like DNS; it is ``fd_limit`` all the same."""
    address._memory.clear()
    with no_descriptors_left():
        failure = failure_at("http://nobody.invalid:80")
    assert failure.error_class == "fd_limit"


# ── killed in the middle ─────────────────────────────────────────────────────────────────────────────────────────────


def test_fault_24_killed_while_the_name_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is swallowed."""
    address._memory.clear()
    monkeypatch.setattr(address.socket, "getaddrinfo", lambda *_: gevent.sleep(30))
    _kill_while(lambda: open_at("http://slow.example"), lambda: True)


def test_fault_24_killed_while_tcp_connects() -> None:
    """The descriptor is gone at once."""
    with full_backlog() as url:
        _kill_while(lambda: open_at(url), lambda: True)


def test_fault_24_killed_while_the_upgrade_waits() -> None:
    """The peer sees the end."""
    with Peer(read_request(), lambda each: each.read_on(), wait_end(), stall()) as peer:
        _kill_while(lambda: open_at(peer.url), lambda: peer.connections and peer.last.head)
        eventually(lambda: peer.last.ended)


def _kill_while(call: Any, is_there: Any) -> None:
    greenlet = gevent.spawn(call)
    eventually(is_there)
    gevent.sleep(0.03)
    begun_s = monotonic()
    greenlet.kill(timeout=2)
    assert monotonic() - begun_s < 0.5
    assert isinstance(greenlet.value, gevent.GreenletExit)
