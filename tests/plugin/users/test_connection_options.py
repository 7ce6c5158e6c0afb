"""Proxies, TLS, headers and tokens as class attributes of users, end to end; and that no secret shows anywhere."""

from __future__ import annotations

import logging
import ssl
import subprocess
from pathlib import Path
from typing import Any

import gevent
import pytest

from locust_ext.core.protocols.correlation import Fifo
from locust_ext.errors import ConfigError, OperationError
from locust_ext.plugin.users.agent import AgentUser
from locust_ext.plugin.users.context import ContextServerUser
from locust_ext.plugin.users.socketio import FastSocketIOUser
from locust_ext.plugin.users.websocket import WebSocketUser
from locust_ext.runtime.process import shared
from tests.e2e.runs import Server
from tests.peers import Peer, echo, eventually, stall, upgrade
from tests.plugin.inside import idles, inside, user_class
from tests.plugin.users.test_context import good, respond
from tests.runtime.certificates import certificate, server_context, trusting_context
from tests.runtime.locusting import running
from tests.runtime.proxies import ConnectProxy, SocksProxy

PING = {"type": "ping"}


class Echo(WebSocketUser):
    abstract = True
    correlate = Fifo()
    path = "/echo"


def says_hello(user: Any) -> Any:
    return user.ws.request("hello")


# ── proxies ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scheme", ["http", "socks5", "socks5h", "socks4a"])
def test_a_user_behind_a_proxy(server: Server, scheme: str) -> None:
    """Each of its connections goes through it, also after a loss; credentials are in no text."""
    make: Any = ConnectProxy if scheme == "http" else lambda **more: SocksProxy(scheme, **more)
    with make(user="ann:secret") as through:

        def talks(user: Any) -> Any:
            user.ws.connection.abort()
            return user.ws.request("again", timeout_s=3), user.open("/echo").request("second")

        result, _ = inside(Echo, server.url, talks, proxy=through.url)
        assert result == ("again", "second")
        assert through.tunnels == 3 == server.counters()["connections"]


def test_a_proxy_that_wants_another_password_is_not_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    """Class and text say what happened, the log in the same words, and show nothing of it; the user stays, as failed."""
    with ConnectProxy(user="ann:right") as through:
        made = user_class(Echo, idles, proxy=f"http://ann:secret@127.0.0.1:{through.port}")
        with running(made, "http://127.0.0.1:1") as run:
            eventually(lambda: run.states == {"failed": 1})
            assert run.failures("CONNECT") == ["http_407 - the proxy answered with HTTP status 407"]
            assert run.runner.user_count == 1
    (said,) = (each.getMessage() for each in caplog.records if "given up" in each.getMessage())
    assert said.endswith("has given up connecting to /echo: the proxy answered with HTTP status 407")


def test_without_a_word_there_is_no_proxy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the environment says; with one it is asked, and NO_PROXY obeyed."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with ConnectProxy() as through:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, through.url)
        assert inside(Echo, server.url, says_hello)[0] == "hello"
        assert through.tunnels == 0
        assert inside(Echo, server.url, says_hello, proxy="environment")[0] == "hello"
        assert through.tunnels == 1
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert inside(Echo, server.url, says_hello, proxy="environment")[0] == "hello"
        assert through.tunnels == 1


def test_a_wrong_proxy_in_the_environment_ends_the_user_with_one_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It shows no credentials."""
    from locust_ext.plugin.users import base

    base._said.clear()
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", "https://ann:secret@proxy.example")
    with running(user_class(Echo, idles, proxy="environment"), "http://127.0.0.1:1") as run:
        eventually(lambda: run.environment.process_exit_code == 1)
    assert caplog.text.count("cannot run: proxy: expected http://") == 1
    assert "secret" not in caplog.text


def test_the_http_side_uses_the_same_proxy(server: Server) -> None:
    """With the same credentials; forwarded for ``http``."""
    with ConnectProxy(user="ann:secret") as through:

        def uses(user: Any) -> Any:
            user.live.connect()
            return user.set("k", 1)["status"], user.live.call("context_set", {"key": "k", "value": 2})["status"]

        result, _ = inside(ContextServerUser, server.url, uses, proxy=through.url)
        assert result == ("success", "success")
        assert [head.split(" ")[0] for head in through.heads] == ["CONNECT", "POST"]


def test_the_http_side_of_an_https_target_goes_through_a_tunnel() -> None:
    """A proxy that refuses it is a recorded failure, and no exception of the library's."""
    with Peer(good(), stall(), tls=server_context()) as peer, ConnectProxy(user="ann:secret") as through:
        answer, _ = inside(
            ContextServerUser, peer.url, lambda user: user.all(), proxy=through.url, tls_context=trusting_context()
        )
        assert answer["status"] == "success"
        assert through.heads[0].startswith("CONNECT ")
        wrong = through.url.replace("secret", "wrong")
        error, run = inside(ContextServerUser, peer.url, lambda user: user.all(), proxy=wrong, verify_tls=False)
        assert str(error) == "http_407 - the proxy did not open the connection"
        assert run.failures("GET") == [str(error)]


def test_socks_is_refused_for_a_user_with_an_http_side(server: Server) -> None:
    """At the definition of the class."""
    with pytest.raises(ConfigError, match="expected http:// for a user with an HTTP side"):
        user_class(ContextServerUser, idles, proxy="socks5://127.0.0.1:1")


# ── TLS ────────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failed_verification_is_tls_and_is_not_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """For every kind of user; it stays and has given up."""
    for base in (Echo, FastSocketIOUser):
        caplog.clear()
        with Peer(upgrade(), stall(), tls=server_context()) as peer, running(user_class(base, idles), peer.url) as run:
            eventually(lambda: run.states == {"failed": 1})
            gevent.sleep(0.1)
            assert run.failures("CONNECT") == ["tls - the TLS handshake failed"]
            assert run.runner.user_count == 1
        assert caplog.text.count("has given up") == 1
    with Peer(stall(), tls=server_context()) as peer:
        error, _ = inside(ContextServerUser, peer.url, lambda user: user.all())
        assert str(error) == "tls - the TLS handshake failed"


def test_verification_may_be_switched_off() -> None:
    """On both sides of a user."""
    with Peer(upgrade(), echo(), tls=server_context()) as peer:
        assert inside(Echo, peer.url, says_hello, verify_tls=False)[0] == "hello"
    with Peer(good(), stall(), tls=server_context()) as peer:
        assert inside(ContextServerUser, peer.url, lambda user: user.all(), verify_tls=False)[0]["status"] == "success"


def test_authorities_of_a_file_are_trusted_instead_of_the_systems() -> None:
    """One context for all users of the process, and its file is read once."""
    ca_file = str(certificate()[0])
    trusts = user_class(Echo, idles, ca_file=ca_file)
    with Peer(upgrade(), echo(), tls=server_context()) as peer, running(trusts, peer.url, count=3) as run:
        eventually(lambda: run.states == {"open": 3})
        contexts = {id(user.ws.connection.options.tls_context) for user in run.users}
        assert len(contexts) == 1
        assert shared().tls_context(True, ca_file) is run.user.ws.connection.options.tls_context
    with Peer(good(), stall(), tls=server_context()) as peer:
        assert inside(ContextServerUser, peer.url, lambda user: user.all(), ca_file=ca_file)[0]["status"] == "success"


def test_a_context_of_the_locustfile_wins() -> None:
    """And is left as it is, also by the HTTP side."""
    context = trusting_context()
    with Peer(upgrade(), echo(), tls=server_context()) as peer:
        assert inside(Echo, peer.url, says_hello, tls_context=context, verify_tls=False)[0] == "hello"
    lax = ssl.create_default_context()
    lax.check_hostname = False
    lax.verify_mode = ssl.CERT_NONE
    with Peer(good(), stall(), tls=server_context()) as peer:
        inside(ContextServerUser, peer.url, lambda user: user.all(), tls_context=lax)
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert (lax.check_hostname, lax.verify_mode) == (False, ssl.CERT_NONE)


def test_a_client_certificate_is_shown_to_a_server_that_asks(tmp_path: Path) -> None:
    """As one file or as two; without it the server hangs up."""
    cert, key = certificate()
    both = tmp_path / "both.pem"
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    context = server_context()
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cert)
    for own in (str(both), (str(cert), str(key))):
        with Peer(upgrade(), echo(), tls=context) as peer:
            said, _ = inside(Echo, peer.url, says_hello, verify_tls=False, client_certificate=own)
            assert said == "hello"
    with (
        Peer(upgrade(), stall(), tls=context) as peer,
        running(user_class(Echo, idles, verify_tls=False), peer.url) as run,
    ):
        eventually(lambda: run.failures("CONNECT"))
        assert run.failures("CONNECT")[0].split()[0] in ("tls", "reset")


@pytest.mark.parametrize(
    ("setting", "word"),
    [({"ca_file": "/nowhere.pem"}, "ca_file"), ({"client_certificate": "/nowhere.pem"}, "client_certificate")],
)
def test_files_that_are_not_there_are_named(
    setting: dict[str, Any], word: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Once; the users end, and the exit code says so."""
    with running(user_class(Echo, idles, **setting), "https://127.0.0.1:1", count=3) as run:
        eventually(lambda: run.environment.process_exit_code == 1)
        eventually(lambda: run.runner.user_count == 0)
    assert caplog.text.count(f"cannot run: {word}: expected ") == 1
    assert "/nowhere.pem" in caplog.text


def test_a_key_with_a_password_asks_nobody(tmp_path: Path) -> None:
    """OpenSSL would ask the terminal, and the run would hang."""
    key = tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "pkey", "-in", str(certificate()[1]), "-aes256", "-passout", "pass:secret", "-out", str(key)],
        check=True,
        capture_output=True,
    )
    with pytest.raises(
        ConfigError, match="client_certificate: expected a file with a certificate and its unencrypted key"
    ):
        shared().tls_context(True, None, (str(certificate()[0]), str(key)))


# ── what the upgrade carries ───────────────────────────────────────────────────────────────────────────────────────────


def test_headers_origin_subprotocols_and_query_reach_the_server() -> None:
    """Headers of a callable are asked for at each connect, with the user; a single subprotocol needs no tuple."""
    asked: list[str] = []

    def headers(user: Any) -> dict[str, str]:
        asked.append(user.client_id)
        return {"X-Number": str(len(asked))}

    with Peer(upgrade("Sec-WebSocket-Protocol: chat"), echo()) as peer:
        inside(
            Echo,
            peer.url,
            lambda user: user.open("/second?a=1").request("x"),
            headers=headers,
            origin="https://o.example",
            subprotocols="chat",
            token="t",
        )
        first, second = (each.headers for each in peer.connections)
        assert (first["x-number"], second["x-number"]) == ("1", "2")
        assert (first["origin"], first["sec-websocket-protocol"], first["authorization"]) == (
            "https://o.example",
            "chat",
            "Bearer t",
        )
        assert peer.connections[1].request_line == "GET /second?a=1 HTTP/1.1"


def test_name_and_password_of_the_address_are_sent_by_both_sides() -> None:
    """As a browser does it, and Locust's HTTP client; a token wins."""
    opens = [upgrade(), stall()]
    with Peer([good(), stall()], opens, opens) as peer:
        host = peer.url.replace("//", "//ann:s%40crt@")

        def uses(user: Any) -> None:
            user.all()
            with pytest.raises(OperationError):
                user.live.connect(0.1)
            user.token = "t"
            with pytest.raises(OperationError):
                user.live.connect(0.1)

        _, run = inside(ContextServerUser, host, uses)
        basic = "Basic YW5uOnNAY3J0"
        assert f"authorization: {basic}".lower() in peer.connections[0].head.decode().lower()
        assert [each.headers["authorization"] for each in peer.connections[1:]] == [basic, "Bearer t"]
        assert "crt" not in repr([(each.name, each.exception) for each in run.events])


def test_fault_39_no_secret_shows_in_anything_that_locust_or_we_keep(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """Statistics, failures, exceptions, contexts, snapshot and logs of every level, over all kinds of failures."""
    server.misbehave(error_ratio=0.3, drop_ratio=0.1, silent_ratio=0.1)
    shown: list[str] = []

    class Secretive(AgentUser, ContextServerUser):
        abstract = True
        path = "/api/v1/ws/{client_id}?key=secret-query"
        token = "secret-token"
        headers = {"X-Key": "secret-header"}  # noqa: RUF012 – Locust's own form
        auth = {"word": "secret-auth"}  # noqa: RUF012
        request_timeout_s = 0.1

        def on_start(self) -> None:
            self.environment.events.request.add_listener(lambda **fired: shown.append(_of_event(fired)))

    def does(user: Any) -> None:
        user.live.ensure()
        operations = (
            lambda: user.ws.request({"type": "ping", "password": "secret-message"}),
            lambda: user.ws.request({"type": "secret_type"}, name="odd"),
            lambda: user.open("/nowhere?token=secret-path"),
            lambda: user.client.get("/ctx?key=secret-key"),
            lambda: user.client.get("/nowhere?key=secret-key", headers={"Cookie": "secret-cookie"}),
            lambda: user.set("secret-key", "secret-value"),
            lambda: user.download("secret-file"),
            lambda: user.live.call("context_set", {"key": "secret-key", "value": "secret-value"}),
        )
        user.random.choice(operations)()

    with caplog.at_level(logging.DEBUG, "locust_ext"), ConnectProxy(user="ann:secret-word") as through:
        made = user_class(Secretive, does, proxy=through.url, heartbeat_s=0)
        with running(made, server.url, count=5) as run:
            eventually(lambda: len([each for each in run.events if each.exception is not None]) > 150, 20.0)
            run.stop()
            stats = run.environment.stats
            shown += [f"{each.method} {each.name}" for each in stats.entries.values()]
            shown += [str(each.to_dict()) for each in stats.errors.values()]
            shown += [str(each) for each in run.runner.exceptions.values()]
            shown.append(repr(run.recorder.snapshot(0.0)))
    assert len(shown) > 300
    assert "secret" not in " ".join(shown)
    assert "secret" not in " ".join(each.getMessage() for each in caplog.records if each.name.startswith("locust_ext"))


def _of_event(fired: dict[str, Any]) -> str:
    """What an ordinary listener prints of an event; the answer itself is the locustfile's own affair."""
    return " ".join(repr(fired[name]) for name in ("request_type", "name", "exception", "context"))


def test_a_refused_proxy_page_is_not_shown() -> None:
    """The HTTP side's failures have our texts too."""
    with Peer(respond("407 secret-reason", body=b"secret-body")) as peer:
        error, _ = inside(ContextServerUser, peer.url, lambda user: user.all())
    assert str(error) == "http_407 - the server answered with HTTP status 407"
