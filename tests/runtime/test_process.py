"""`runtime.process`: what the connections of one process share."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys

import gevent

from locust_ext.runtime.process import ProcessShared, shared


def test_importing_makes_nothing() -> None:
    """No hub, no greenlet, no context: ``locust --processes`` forks after the import."""
    code = (
        "import sys, gevent, locust_ext.runtime.websocket, locust_ext.runtime.socketio;"
        "import locust_ext.runtime.process as p;"
        "assert p._shared is None; assert gevent._hub_local.get_hub_if_exists() is None; print('nothing')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "nothing\n", done.stderr


def test_there_is_one_a_process() -> None:
    """And it belongs to this process and its hub."""
    assert shared() is shared()
    assert (shared().pid, shared().hub) == (os.getpid(), gevent.get_hub())


def test_a_fork_gets_its_own() -> None:
    """With other client ids: the parent's random numbers are not repeated."""
    code = (
        "import locust, os; from locust_ext.runtime.process import shared; parent = shared()\n"
        "if os.fork() == 0:\n"
        "    print(shared() is parent, shared().client_prefix == parent.client_prefix, shared().pid == os.getpid())\n"
        "else:\n"
        "    os.wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout == "False False True\n", done.stderr


def test_numbers_and_prefixes_are_never_the_same_twice() -> None:
    """So client ids are unique over workers and runs."""
    made = ProcessShared()
    assert [made.next_number() for _ in range(3)] == [1, 2, 3]
    assert len({ProcessShared().client_prefix for _ in range(50)}) == 50


def test_source_addresses_take_turns() -> None:
    """None: the system chooses."""
    made = ProcessShared()
    assert made.next_source_address() is None
    made.source_addresses = ("127.0.0.2", "127.0.0.3")
    assert [made.next_source_address() for _ in range(3)] == ["127.0.0.2", "127.0.0.3", "127.0.0.2"]


def test_all_connections_share_one_tls_context_of_a_kind() -> None:
    """Loading the CA bundle costs milliseconds."""
    made = ProcessShared()
    assert made.tls_context(True) is made.tls_context(True)
    assert made.tls_context(True).verify_mode == ssl.CERT_REQUIRED
    assert made.tls_context(False).verify_mode == ssl.CERT_NONE


def test_so_many_connects_go_on_at_once_as_are_allowed() -> None:
    """200 unless the settings say another number; one that goes on keeps its place."""
    made = ProcessShared()
    before = made.connects
    assert before.counter == made.connects_at_once == 200
    made.limit_connects(None)
    assert made.connects is before
    made.limit_connects(3)
    assert made.connects.counter == made.connects_at_once == 3
    with made.connects:
        made.limit_connects(3)
        assert made.connects.counter == 2
    made.limit_connects(None)
    assert made.connects.counter == 200
