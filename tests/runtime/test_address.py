"""`runtime.address`: endpoints and names."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.errors import ConfigError, ConnectFailed
from locust_ext.runtime import address
from locust_ext.runtime.address import endpoint, resolve


@pytest.fixture(autouse=True)
def no_memory() -> Iterator[None]:
    address._memory.clear()
    yield
    address._memory.clear()


@pytest.mark.parametrize(
    ("host", "path", "url", "port", "is_secure"),
    [
        ("http://127.0.0.1:8000", "/ws", "ws://127.0.0.1:8000/ws", 8000, False),
        ("https://example.org/", "ws", "wss://example.org/ws", 443, True),
        ("WS://example.org", "/a b/ü", "ws://example.org/a%20b/%C3%BC", 80, False),
        ("wss://example.org:99", "/x?y=1", "wss://example.org:99/x?y=1", 99, True),
        ("http://a", "ws://b:1/c", "ws://b:1/c", 1, False),
        ("http://a", "/echo?next=http://x/y", "ws://a/echo?next=http://x/y", 80, False),
        ("http://a", "echo?next=wss://x/y", "ws://a/echo?next=wss://x/y", 80, False),
        ("http://a", "/proxy/http://x", "ws://a/proxy/http://x", 80, False),
        ("http://[::1]:7", "/", "ws://[::1]:7/", 7, False),
    ],
)
def test_a_host_and_a_path_give_an_endpoint(host: str, path: str, url: str, port: int, is_secure: bool) -> None:
    """All four schemes are understood, and what may not stand in a URL is quoted."""
    found = endpoint(host, path)
    assert (found.url, found.port, found.is_secure) == (url, port, is_secure)


def test_a_query_is_added_to_the_one_that_is_there() -> None:
    """With the sign that it needs."""
    assert endpoint("ws://h", "/p", "a=1").url == "ws://h/p?a=1"
    assert endpoint("ws://h", "/p?b=2", "a=1").url == "ws://h/p?b=2&a=1"


def test_fault_39_a_label_shows_neither_query_nor_credentials() -> None:
    """It is what logs show of an endpoint."""
    assert endpoint("ws://user:secret@h:1", "/p", "token=secret").label == "ws://h:1"


def test_a_line_end_in_a_path_cannot_smuggle_a_header() -> None:
    """It is quoted like any other odd character."""
    assert "\r" not in endpoint("ws://h", "/p\r\nX-Evil: 1").url
    assert "\n" not in endpoint("ws://h", "/p\r\nX-Evil: 1").url


@pytest.mark.parametrize("host", ["", "example.org", "ftp://example.org", "http://", "http://h:99999", "http://h:x"])
def test_a_wrong_base_address_is_named(host: str) -> None:
    """As a `ConfigError` that says what was expected."""
    with pytest.raises(ConfigError, match="expected"):
        endpoint(host, "/ws")


def test_fault_02_an_unknown_name_is_dns() -> None:
    """``.invalid`` never resolves (RFC 6761)."""
    with pytest.raises(ConnectFailed) as caught:
        resolve("nobody.invalid", 80, monotonic() + 5)
    assert caught.value.error_class == "dns"


@pytest.mark.parametrize("name", ["a" * 70 + ".example", "..", "x" * 300])
def test_fault_02_an_impossible_name_is_dns_too(name: str) -> None:
    """Python says so with a `UnicodeError`."""
    with pytest.raises(ConnectFailed) as caught:
        resolve(name, 80, monotonic() + 5)
    assert caught.value.error_class == "dns"


def test_fault_02_a_slow_resolver_is_given_up_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline of a connect covers DNS too."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: gevent.sleep(30))
    begun_s = monotonic()
    with pytest.raises(ConnectFailed) as caught:
        resolve("slow.example", 80, begun_s + 0.1)
    assert caught.value.error_class == "connect_timeout"
    assert 0.1 <= monotonic() - begun_s < 0.5


def test_somebody_elses_timeout_goes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """A `gevent.Timeout` of the locustfile is not taken for the resolver's."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: gevent.sleep(30))
    with pytest.raises(gevent.Timeout), gevent.Timeout(0.05):
        resolve("slow.example", 80, monotonic() + 5)


def test_a_name_is_remembered_and_its_addresses_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """One look-up in 30 s; each connect begins with another address."""
    asked: list[Any] = []

    def two(*arguments: Any) -> Any:
        asked.append(arguments)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", 80)) for last in (1, 2)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    first = [resolve("twice.example", 80, monotonic() + 5)[0][3][0] for _ in range(5)]
    assert len(asked) == 1
    assert set(first[:2]) == set(first[2:4]) == {"127.0.0.1", "127.0.0.2"}
