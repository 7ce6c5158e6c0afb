"""`runtime.proxy`: HTTP CONNECT and SOCKS on the way to a target, and which proxy the environment means."""

from __future__ import annotations

import builtins
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.errors import ConfigError, ConnectFailed
from locust_ext.runtime import address, proxy
from locust_ext.runtime.address import endpoint
from locust_ext.runtime.handshake import HandshakeOptions, Opened, open_websocket
from locust_ext.runtime.process import shared
from locust_ext.runtime.proxy import parse_proxy, proxy_for
from tests.peers import Peer, eventually, refused_port, stall, text, upgrade
from tests.runtime.certificates import server_context, trusting_context
from tests.runtime.proxies import ConnectProxy, SocksProxy


def open_by(way: str, url: str, within_s: float = 5.0, **options: Any) -> Opened:
    target = endpoint(url, "/ws")
    return open_websocket(
        target, HandshakeOptions(proxy=proxy_for(target, way), **options), monotonic() + within_s, shared()
    )


def failure_by(way: str, url: str, within_s: float = 5.0) -> ConnectFailed:
    with pytest.raises(ConnectFailed) as caught:
        open_by(way, url, within_s).sock.close()
    return caught.value


# ── HTTP CONNECT ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_connect_opens_a_tunnel_with_credentials() -> None:
    """One request, with Basic authentication; the upgrade then goes to the target as without a proxy."""
    with Peer(upgrade(), stall()) as peer, ConnectProxy(user="ann:s e%cret") as through:
        way = through.url.replace("s e%cret", "s%20e%25cret")
        open_by(way, peer.url).sock.close()
        assert through.asked == [("127.0.0.1", peer.port)]
        assert through.heads[0].split("\r\n")[:2] == [
            f"CONNECT 127.0.0.1:{peer.port} HTTP/1.1",
            f"Host: 127.0.0.1:{peer.port}",
        ]
        assert peer.last.request_line == "GET /ws HTTP/1.1"
        assert "proxy-authorization" not in peer.last.headers


def test_a_proxy_without_credentials_is_told_none() -> None:
    """No Proxy-Authorization."""
    with Peer(upgrade(), stall()) as peer, ConnectProxy() as through:
        open_by(through.url, peer.url).sock.close()
        assert "Authorization" not in through.heads[0]


def test_tls_goes_through_the_tunnel() -> None:
    """The proxy sees no word of it; the certificate is checked against the target's name."""
    with Peer(upgrade(), stall(), tls=server_context()) as peer, ConnectProxy() as through:
        opened = open_by(through.url, peer.url, tls_context=trusting_context())
        assert opened.tls is not None
        opened.sock.close()
        assert "GET" not in "".join(through.heads)
        with pytest.raises(ConnectFailed) as caught:
            open_by(through.url, peer.url).sock.close()
        assert caught.value.error_class == "tls"


def test_what_comes_behind_the_proxys_answer_is_not_lost() -> None:
    """In the same packet: here a whole answer to the upgrade, which is then wrong only for its key."""
    early = b"HTTP/1.1 418 Teapot\r\n\r\n"
    with Peer(stall()) as peer, ConnectProxy(behind=early) as through:
        assert failure_by(through.url, peer.url).error_class == "http_418"


def test_frames_behind_the_targets_answer_are_kept() -> None:
    """As without a proxy."""
    with Peer(upgrade(behind=text("early")), stall()) as peer, ConnectProxy() as through:
        opened = open_by(through.url, peer.url)
        opened.sock.close()
        assert opened.early_bytes == text("early")


def test_the_proxy_resolves_the_name() -> None:
    """A name that only the proxy knows."""
    with Peer(upgrade(), stall()) as peer, ConnectProxy(leads_to=peer.port) as through:
        open_by(through.url, "http://only-there.invalid:81").sock.close()
        assert through.asked == [("only-there.invalid", 81)]


def test_an_ipv6_target_is_put_into_brackets() -> None:
    """RFC 3986, section 3.2.2."""
    with Peer(upgrade(), stall()) as peer, ConnectProxy(leads_to=peer.port) as through:
        open_by(through.url, "http://[::1]:81").sock.close()
        assert through.heads[0].startswith("CONNECT [::1]:81 HTTP/1.1\r\nHost: [::1]:81\r\n")


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_refuses_tcp(scheme: str) -> None:
    """Is ``refused``, and the text says that it was the proxy."""
    failure = failure_by(f"{scheme}://127.0.0.1:{refused_port()}", "http://127.0.0.1:1")
    assert str(failure) == "refused - the proxy refused the TCP connection"


def test_a_proxy_whose_name_is_unknown() -> None:
    """Is ``dns``."""
    failure = failure_by("http://proxy.invalid:3128", "http://127.0.0.1:1")
    assert str(failure) == "dns - the proxy's host name could not be resolved"


def test_wrong_credentials_are_http_407_and_show_nothing() -> None:
    """Neither ours nor what the proxy says."""
    with ConnectProxy(user="ann:right") as through:
        failure = failure_by(f"http://ann:secret@127.0.0.1:{through.port}", "http://127.0.0.1:1")
    assert str(failure) == "http_407 - the proxy answered with HTTP status 407"
    assert "secret" not in repr(failure)


def test_another_status_of_the_proxy() -> None:
    """Is ``http_<n>``; a Retry-After of the proxy is obeyed like the target's."""
    with ConnectProxy(answer=b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\n") as through:
        failure = failure_by(through.url, "http://127.0.0.1:1")
    assert (failure.error_class, failure.retry_after_s) == ("http_503", 7.0)


@pytest.mark.parametrize(
    ("said", "error_class"), [(b"SSH-2.0\r\n\r\n", "bad_handshake"), (b"HTTP/1.1 200", "bad_handshake")]
)
def test_a_proxy_that_is_none(said: bytes, error_class: str) -> None:
    """Is ``bad_handshake``."""
    with ConnectProxy(answer=said) as through:
        assert failure_by(through.url, "http://127.0.0.1:1").error_class == error_class


@pytest.mark.parametrize("make", [ConnectProxy, SocksProxy])
def test_a_silent_proxy_is_given_up_at_the_deadline(make: Any) -> None:
    """``connect_timeout``: the one deadline covers the proxy too."""
    with make(answer=b"silence") as through:
        begun_s = monotonic()
        assert failure_by(through.url, "http://127.0.0.1:1", within_s=0.3).error_class == "connect_timeout"
        assert 0.3 <= monotonic() - begun_s < 1.0


def test_a_target_that_is_silent_behind_the_proxy_is_given_up_at_the_same_deadline() -> None:
    """What the tunnel has used up is no longer there for the upgrade."""
    with Peer(stall()) as peer, ConnectProxy() as through:
        begun_s = monotonic()
        assert failure_by(through.url, peer.url, within_s=0.3).error_class == "connect_timeout"
        assert 0.3 <= monotonic() - begun_s < 1.0


@pytest.mark.parametrize("make", [ConnectProxy, SocksProxy])
def test_killed_while_the_proxy_is_waited_for(make: Any) -> None:
    """Nothing is swallowed, and the descriptor is given back at once (the fixture looks)."""
    with make(answer=b"silence") as through:
        greenlet = gevent.spawn(open_by, through.url, "http://127.0.0.1:1")
        eventually(lambda: through._socks)
        gevent.sleep(0.02)
        greenlet.kill(timeout=1)
        assert isinstance(greenlet.value, gevent.GreenletExit)


# ── SOCKS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scheme", ["socks4", "socks4a", "socks5", "socks5h"])
@pytest.mark.parametrize("user", ["", "ann:secret"])
def test_socks_opens_the_way(scheme: str, user: str) -> None:
    """With and without credentials; names are resolved here, but for ``socks4a`` and ``socks5h``."""
    with Peer(upgrade(behind=text("early")), stall()) as peer, SocksProxy(scheme, user=user) as through:
        opened = open_by(through.url, peer.url.replace("127.0.0.1", "localhost"))
        opened.sock.close()
        assert opened.early_bytes == text("early")
    host = through.asked[0][0]
    assert host == "localhost" if scheme in ("socks4a", "socks5h") else host in ("127.0.0.1", "::1")
    assert through.asked[0][1] == peer.port


def test_tls_goes_through_socks() -> None:
    """With the target's name checked."""
    with Peer(upgrade(), stall(), tls=server_context()) as peer, SocksProxy() as through:
        open_by(through.url, peer.url, tls_context=trusting_context()).sock.close()
        assert through.tunnels == 1


def test_socks_with_wrong_credentials() -> None:
    """Is ``bad_handshake``, with no secret in it."""
    with SocksProxy(user="ann:right") as through:
        for given in ("ann:secret@", ""):
            failure = failure_by(f"socks5://{given}127.0.0.1:{through.port}", "http://127.0.0.1:1")
            assert str(failure) == "bad_handshake - the proxy did not accept the SOCKS handshake"


@pytest.mark.parametrize(
    ("scheme", "reply", "error_class"),
    [
        ("socks5", 1, "refused"),
        ("socks5", 2, "refused"),
        ("socks5", 4, "refused"),
        ("socks5", 5, "refused"),
        ("socks5", 6, "connect_timeout"),
        ("socks4", 0x5B, "refused"),
    ],
)
def test_socks_that_does_not_reach_the_target(scheme: str, reply: int, error_class: str) -> None:
    """Each reply code has its class."""
    with SocksProxy(scheme, refuses=reply) as through:
        failure = failure_by(through.url, "http://127.0.0.1:1")
    assert str(failure) == f"{error_class} - the proxy did not open the connection"


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x05", b"\x05\x99"])
def test_a_socks_proxy_that_is_none(said: bytes) -> None:
    """Is ``bad_handshake``."""
    with SocksProxy(answer=said) as through:
        assert failure_by(through.url, "http://127.0.0.1:1").error_class == "bad_handshake"


def test_socks_without_python_socks_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the definition of the user class, not in the middle of the run."""
    known = builtins.__import__

    def without(name: str, *more: Any, **rest: Any) -> Any:
        if name.startswith("python_socks"):
            raise ImportError(name)
        return known(name, *more, **rest)

    parse_proxy.cache_clear()
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError) as caught:
        parse_proxy("socks5://ann:secret@127.0.0.1:1080")
    assert str(caught.value) == "proxy: SOCKS proxies need python-socks: pip install 'locust-ext[socks]'"
    assert parse_proxy("http://127.0.0.1:1080").port == 1080


# ── what is written ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://p:3128", ("http", "p", 3128, None, None)),
        ("http://p", ("http", "p", 80, None, None)),
        ("p:3128", ("http", "p", 3128, None, None)),
        ("HTTP://a%40b:c%3Ad@[::1]:1", ("http", "::1", 1, "a@b", "c:d")),
        ("socks5://p", ("socks5", "p", 1080, None, None)),
        ("socks4a://u@p:9", ("socks4a", "p", 9, "u", None)),
    ],
)
def test_a_proxy_is_written_as_a_url(url: str, found: tuple[Any, ...]) -> None:
    """With the usual ports; credentials are percent-encoded."""
    it = parse_proxy(url)
    assert (it.scheme, it.hostname, it.port, it.username, it.password) == found


@pytest.mark.parametrize("url", ["", "https://secret@p:1", "ftp://u:secret@p", "http://u:secret@", "http://secret:x"])
def test_fault_39_a_wrong_proxy_is_an_error_that_does_not_show_it(url: str) -> None:
    """It may hold a password."""
    with pytest.raises(ConfigError) as caught:
        parse_proxy(url)
    assert "secret" not in str(caught.value)
    assert "expected http://[user:password@]host:port" in str(caught.value)


def test_fault_39_credentials_a_socks_proxy_cannot_take_are_not_shown() -> None:
    """Over 255 bytes, or not ASCII."""
    for secret in ("secret" * 50, "secrét"):
        with pytest.raises(ConfigError) as caught:
            parse_proxy(f"socks5://ann:{secret}@p")
        assert "secr" not in str(caught.value)


def test_fault_39_nothing_shows_the_credentials() -> None:
    """Not even the objects' own ``repr``."""
    options = HandshakeOptions(
        proxy=parse_proxy("http://secret-user:secret-word@p:1"),
        headers={"a": "secret"},
        cookie="secret",
        subprotocols=("secret",),
    )
    assert "secret" not in repr(options)
    assert "secret" not in repr(endpoint("http://u:secret@h", "/p?token=secret"))


# ── the environment ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def found_for(url: str) -> str | None:
    found = proxy_for(endpoint(url, "/"), proxy.ENVIRONMENT)
    return None if found is None else f"{found.scheme}://{found.hostname}:{found.port}"


def test_the_environment_is_read_only_if_asked_for(environment: pytest.MonkeyPatch) -> None:
    """By default there is no proxy, ever."""
    environment.setenv("HTTP_PROXY", "http://p:1")
    assert proxy_for(endpoint("http://h", "/"), None) is None
    assert found_for("http://h") == "http://p:1"


def test_the_environments_variables_by_scheme(environment: pytest.MonkeyPatch) -> None:
    """``wss`` is ``HTTPS_PROXY``'s; small letters win; ``ALL_PROXY`` is for what the others do not say."""
    assert found_for("http://h") is None
    environment.setenv("ALL_PROXY", "socks5://s:3")
    assert found_for("ws://h") == found_for("wss://h") == "socks5://s:3"
    environment.setenv("HTTPS_PROXY", "http://p:2")
    assert (found_for("https://h"), found_for("wss://h"), found_for("ws://h")) == (
        "http://p:2",
        "http://p:2",
        "socks5://s:3",
    )
    environment.setenv("https_proxy", "http://small:2")
    assert found_for("wss://h") == "http://small:2"


@pytest.mark.parametrize(
    ("no_proxy", "is_used"),
    [("", True), ("*", False), ("h.example", False), (".example", False), ("other", True), ("h.example:80", False),
     ("h.example:81", True)],
)  # fmt: skip
def test_no_proxy_by_the_standard_librarys_rules(environment: pytest.MonkeyPatch, no_proxy: str, is_used: bool) -> None:
    """Names, suffixes, ports and the star."""
    environment.setenv("HTTP_PROXY", "http://p:1")
    environment.setenv("NO_PROXY", no_proxy)
    assert (found_for("http://h.example") is not None) is is_used


def test_a_wrong_proxy_in_the_environment_is_not_shown(environment: pytest.MonkeyPatch) -> None:
    """It may hold a password."""
    environment.setenv("HTTP_PROXY", "ftp://u:secret@p")
    with pytest.raises(ConfigError) as caught:
        found_for("http://h")
    assert "secret" not in str(caught.value)


def test_a_proxys_name_is_remembered_like_any_other() -> None:
    """Resolved once for all connections (within 30 s)."""
    address._memory.clear()
    with Peer(upgrade(), stall()) as peer, ConnectProxy() as through:
        for _ in range(2):
            open_by(through.url.replace("127.0.0.1", "localhost"), peer.url).sock.close()
        assert list(address._memory) == [("localhost", through.port)]
