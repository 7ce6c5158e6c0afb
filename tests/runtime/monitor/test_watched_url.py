"""Asking the target over HTTP, by a deadline."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Any

import gevent
import pytest

from locust_ext.errors import ConfigError
from locust_ext.runtime.monitor.watched_url import MAX_BYTES, FetchFailed, fetch, new_tls_context, watched_url
from tests.runtime.certificates import server_context, trusting_context
from tests.runtime.watching import answering, http, sending


def fetched(port: int, within_s: float = 2.0, url: str = "http://127.0.0.1:{port}/metrics") -> bytes:
    parts: list[bytes] = []
    fetch(watched_url(url.format(port=port)), within_s, parts.append, None)
    return b"".join(parts)


def test_the_body_comes_whole_whether_it_has_a_length_or_is_in_chunks_or_ends_with_the_connection() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3\r\n you\r\n0\r\n\r\n"
    for answer in (
        http(b"hello you"),
        chunked.replace(b"3\r\n you", b"4\r\n you"),
        b"HTTP/1.0 200 OK\r\n\r\nhello you",
    ):
        with answering(sending(answer)) as (port, _):
            assert fetched(port) == b"hello you"


def drip(sock: Any, _: bytes) -> None:
    for byte in http(b"x" * 500):
        sock.sendall(bytes([byte]))
        gevent.sleep(0.02)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (drip, "it did not answer in time"),
        (sending(b"", pause_s=5.0), "it did not answer in time"),
        (sending(http(b"", "500 Internal Server Error")), "it answered with HTTP status 500"),
        (sending(http(b"", "302 Found", "Location: http://127.0.0.1:1/\r\n")), "it answered with HTTP status 302"),
        (sending(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort"), "its answer broke off"),
        (sending(b"SSH-2.0-OpenSSH\r\n\r\n"), "the connection failed, or what came was no HTTP"),
        (sending(b""), "the connection failed, or what came was no HTTP"),
        (sending(*[b"HTTP/1.0 200 OK\r\n\r\n", *[b"x" * 2**20] * 9]), "its answer is over 8 MiB"),
    ],
)
def test_what_is_no_good_answer_fails_with_one_of_few_reasons(answer: Callable[..., object], reason: str) -> None:
    parts: list[bytes] = []
    with answering(answer) as (port, _):
        begun_s = monotonic()
        with pytest.raises(FetchFailed) as caught:
            fetch(watched_url(f"http://127.0.0.1:{port}/"), 1.0, parts.append, None)
        assert monotonic() - begun_s < 3.0
    assert str(caught.value) == reason
    assert sum(map(len, parts)) <= MAX_BYTES


def test_nobody_there_is_a_refusal() -> None:
    with answering(sending()) as (port, _):
        pass
    with pytest.raises(FetchFailed, match="refused"):
        fetched(port)


def test_credentials_are_sent_and_not_shown() -> None:
    with answering(sending(http(b"1"))) as (port, heads):
        url = watched_url(f"http://user:p%40ss@127.0.0.1:{port}/metrics?token=secret")
        fetch(url, 2.0, lambda _: None, None)
    assert b"Authorization: Basic dXNlcjpwQHNz\r\n" in heads[0]
    assert heads[0].startswith(b"GET /metrics?token=secret HTTP/1.1\r\n")
    assert url.label == f"http://127.0.0.1:{port}/metrics"
    for word in ("p@ss", "p%40ss", "user", "secret", "dXNl"):
        assert word not in repr(url)


@pytest.mark.parametrize("url", ["", "127.0.0.1:80", "ftp://a/", "http://", "http://a:99999/", "http://u:secret@:1/"])
def test_what_is_no_url_is_an_error_that_names_its_source_and_no_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        watched_url(url, "--ext-target-metrics")
    assert str(caught.value).startswith("--ext-target-metrics: expected an http or https URL")
    assert "secret" not in str(caught.value)


def test_a_path_goes_behind_that_of_the_base_address() -> None:
    assert watched_url("https://[::1]/api/", "", "/ctx/all").label == "https://[::1]:443/api/ctx/all"
    assert watched_url("http://a.example").resource == "/"


def test_a_certificate_that_nobody_trusts_is_refused() -> None:
    with answering(sending(http(b"1")), ssl_context=server_context()) as (port, heads):
        url = watched_url(f"https://localhost:{port}/")
        with pytest.raises(FetchFailed, match="its certificate is not trusted"):
            fetch(url, 2.0, lambda _: None, new_tls_context())
        assert heads == []
        parts: list[bytes] = []
        fetch(url, 2.0, parts.append, trusting_context())
        assert parts == [b"1"]
