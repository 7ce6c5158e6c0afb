"""`runtime.metrics_server`: scrapes over real sockets, polite ones and others."""

from __future__ import annotations

import base64
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gevent
import pytest
import requests

from locust_ext.errors import ConfigError
from locust_ext.runtime import metrics_server
from locust_ext.runtime.metrics_server import MAX_SCRAPERS, PASSWORD, USER, Login, MetricsServer, Page, login_from
from tests.peers import eventually

BODY = b"a_total 1.0\n"
TYPE = "text/plain; version=0.0.4; charset=utf-8"


def page(_accept: str) -> Page:
    return Page(BODY, TYPE, lambda: None)


@contextmanager
def serving(answer: Callable[[str], Page] = page, login: Login | None = None) -> Iterator[MetricsServer]:
    server = MetricsServer("127.0.0.1", 0, answer, login)
    server.open()
    try:
        yield server
    finally:
        server.close()


def connected(server: MetricsServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=5)


def rest_of(scraper: socket.socket) -> bytes:
    """What comes until the connection ends, one way or the other."""
    received = b""
    try:
        while piece := scraper.recv(65_536):
            received += piece
    except ConnectionResetError:
        pass
    finally:
        scraper.close()
    return received


def test_a_scrape_gets_the_page_and_its_connection_is_closed() -> None:
    asked: list[str] = []
    sent: list[bool] = []

    def answer(accept: str) -> Page:
        asked.append(accept)
        return Page(BODY, TYPE, lambda: sent.append(True))

    with serving(answer) as server:
        got = requests.get(server.url, headers={"Accept": "text/x"}, timeout=5)
        assert (got.status_code, got.content, got.headers["Content-Type"]) == (200, BODY, TYPE)
        assert got.headers["Connection"] == "close"
        assert asked == ["text/x"]
        assert eventually(lambda: sent) == [True]


def test_other_paths_and_methods_are_told_where_to_go() -> None:
    with serving() as server:
        base = server.url.removesuffix("/metrics")
        assert "/metrics" in requests.get(base + "/", timeout=5).text
        assert requests.get(base + "/else", timeout=5).status_code == 404
        refused = requests.post(server.url, data=b"x" * 100, timeout=5)
        assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD")
        head = requests.head(server.url, timeout=5)
        assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(len(BODY)))


def test_a_login_admits_who_has_user_and_password_and_nobody_else() -> None:
    with serving(login=Login("prom", "sé:cret")) as server:
        for wrong in (None, ("prom", "secret"), ("Prom", "sé:cret"), ("", "")):
            coded = None if wrong is None else tuple(text.encode() for text in wrong)
            refused = requests.get(server.url, auth=coded, timeout=5)  # type: ignore[arg-type]  # bytes are as good
            assert (refused.status_code, BODY in refused.content) == (401, False)
            assert refused.headers["WWW-Authenticate"].startswith("Basic ")
        good = requests.get(server.url, auth=(b"prom", "sé:cret".encode()), timeout=5)  # type: ignore[arg-type]
        assert (good.status_code, good.content) == (200, BODY)


@pytest.mark.parametrize("header", [None, "", "Basic", "Basic !!!", "Basic é", "Bearer cHJvbTpzZWNyZXQ="])
def test_a_header_that_is_none_of_ours_admits_nobody(header: str | None) -> None:
    assert not Login("prom", "secret").admits(header)
    coded = base64.b64encode(b"prom:secret").decode()
    assert Login("prom", "secret").admits(f"basic {coded}")


def test_the_login_comes_from_the_environment_both_or_neither() -> None:
    assert login_from({}) is None
    assert login_from({USER: "", PASSWORD: ""}) is None
    assert login_from({USER: "prom", PASSWORD: "secret"}) == Login("prom", "secret")
    assert "secret" not in repr(login_from({USER: "prom", PASSWORD: "secret"}))
    with pytest.raises(ConfigError, match=f"{USER}: expected {PASSWORD} too, or neither"):
        login_from({USER: "prom"})
    with pytest.raises(ConfigError, match=f"{PASSWORD}: expected {USER} too"):
        login_from({PASSWORD: "secret"})
    with pytest.raises(ConfigError, match="without a colon"):
        login_from({USER: "a:b", PASSWORD: "secret"})


def test_a_port_that_is_taken_is_an_error_at_once() -> None:
    with serving() as server, pytest.raises(OSError, match="Address already in use"):
        MetricsServer("127.0.0.1", server.port, page).open()


def test_closing_ends_the_listening_and_every_scrape_and_may_be_done_twice() -> None:
    server = MetricsServer("127.0.0.1", 0, page)
    server.open()
    port = server.port
    stuck = connected(server)
    gevent.sleep(0.05)
    server.close()
    server.close()
    assert rest_of(stuck) == b""
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    again = MetricsServer("127.0.0.1", port, page)
    again.open()
    again.close()


def test_fault_30_however_many_scrapers_are_stuck_the_next_one_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    body = b"x" * 20_000_000  # more than sockets buffer
    with serving(lambda _: Page(body, TYPE, lambda: None)) as server:
        silent = [connected(server) for _ in range(MAX_SCRAPERS)]
        for scraper in silent:
            scraper.sendall(b"GET /metrics HT")
        deaf = [connected(server) for _ in range(2 * MAX_SCRAPERS)]
        for scraper in deaf:
            scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        gevent.sleep(0.1)
        assert len(requests.get(server.url, timeout=20).content) == len(body)
        assert rest_of(silent[0]) == b"", "it was in the way for longest"
        assert server._server is not None
        assert len(server._server._scrapers) <= MAX_SCRAPERS
    for scraper in (*silent, *deaf):
        scraper.close()
    assert "Traceback" not in caplog.text


def test_who_takes_too_long_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metrics_server, "SCRAPE_S", 0.2)
    with serving(lambda _: Page(b"x" * 20_000_000, TYPE, lambda: None)) as server:
        silent, slow = connected(server), connected(server)
        slow.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert rest_of(silent) == b""
        gevent.sleep(0.4)
        assert 0 < len(rest_of(slow)) < 20_000_000
        assert server._server is not None
        eventually(lambda: server._server is not None and not server._server._scrapers)
    assert caplog.text == ""
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "sent", [b"\x16\x03\x01\x02\x00\r\n\r\n", b"GET /metrics XTTP/9\r\n\r\n", b"x" * 100_000 + b"\r\n"]
)
def test_what_is_no_http_is_turned_away_without_a_word(
    sent: bytes, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with serving() as server:
        scraper = connected(server)
        scraper.sendall(sent)
        assert BODY not in rest_of(scraper)
        assert requests.get(server.url, timeout=5).content == BODY
    assert caplog.text == ""
    assert capfd.readouterr().err == ""


def test_what_goes_wrong_with_the_page_is_said_once_and_answered_each_time(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: str) -> Page:
        raise RuntimeError("a bug")

    with serving(broken) as server, caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert requests.get(server.url, timeout=5).status_code == 500
    assert [each.getMessage() for each in caplog.records] == ["the metrics cannot be told; this is not said again"]
