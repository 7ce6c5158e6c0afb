"""`plugin.users.realistic`: who plays which profile, and that each profile does what its settings say."""

from __future__ import annotations

from locust.env import Environment

from argparse import Namespace
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from locust_ext.core.lifecycle import Intermittent, Persistent
from locust_ext.core.pacing import ClosedLoop
from locust_ext.plugin.extension import attach
from locust_ext.plugin.users import realistic
from locust_ext.plugin.users.realistic import RealisticUser, generator_of, pattern_of
from locust_ext.settings import Profile, Settings
from tests.e2e.runs import Server
from tests.peers import eventually
from tests.runtime.locusting import running

SHARES = {"active": 0.2, "regular": 0.5, "passive": 0.2, "idle": 0.1}


def chosen(users: int, workers: int, shares: dict[str, float]) -> list[Counter[str]]:
    """Profiles of the first ``users`` users of each worker."""
    found = []
    for worker in range(workers):
        realistic.RealisticUser._turns = 0
        user: Any = object.__new__(RealisticUser)
        user.environment = SimpleNamespace(
            runner=SimpleNamespace(worker_index=worker), parsed_options=SimpleNamespace(ext_workers=workers)
        )
        found.append(Counter(user._choose_profile(shares) for _ in range(users)))
    return found


@pytest.mark.parametrize(("users", "workers"), [(10, 1), (20, 1), (10, 2), (5, 4), (100, 3)])
def test_profiles_come_in_their_shares_over_all_workers(users: int, workers: int) -> None:
    """Without chance: the sum over the workers is off by less than one user."""
    total = sum(chosen(users, workers, SHARES), Counter[str]())
    for name, share in SHARES.items():
        assert abs(total[name] - share * users * workers) < 1


def test_the_first_users_are_spread_too() -> None:
    """Of any ten, two are active and five regular: a short ramp already has every kind."""
    assert chosen(10, 1, SHARES) == [Counter(regular=5, active=2, passive=2, idle=1)]


def test_shares_of_a_flag_leave_out_the_other_profiles() -> None:
    """Those that are not named get no users."""
    assert chosen(10, 1, {"active": 0.3, "regular": 0.7}) == [Counter(regular=7, active=3)]


def test_a_profile_decides_the_pattern() -> None:
    """Always connected, or coming and going."""
    stays = Profile(share=1, interval_s=1, mix={"ping": 1})
    comes = Profile(share=1, interval_s=1, mix={"ping": 1}, connected_s=(1, 2), away_s=(3, 4))
    assert isinstance(pattern_of(stays), Persistent)
    found = pattern_of(comes)
    assert isinstance(found, Intermittent)


def test_the_mix_of_a_profile_is_one_object_for_all_its_users() -> None:
    """And each profile has its own."""
    settings = Settings().realistic
    assert generator_of(settings, "active") is generator_of(settings, "active")
    assert generator_of(settings, "active") is not generator_of(settings, "idle")


def test_a_run_has_every_side_of_the_scenario(server: Server) -> None:
    """Agent messages, context reads and writes, live changes with their pushes; nothing fails, both sides agree."""

    class Fast(RealisticUser):
        abstract = False
        pacing = ClosedLoop(0.01)

        def __init__(self, environment: Environment) -> None:
            super().__init__(environment)
            self.pacing = ClosedLoop(0.01)
            self.pattern = Persistent()

    realistic.RealisticUser._turns = 0
    with running(Fast, server.url, count=10, parsed_options=Namespace()) as run:
        eventually(lambda: {"CONNECT", "WS", "SIO", "GET", "POST"} <= {each.type for each in run.events}, 10.0)
        eventually(lambda: len(run.events) > 400, 10.0)
        profiles = Counter(user.profile_name for user in run.users)
        run.stop()
        assert profiles == Counter(regular=5, active=2, passive=2, idle=1)
        balance = run.balance()
        assert sum(each.failures for each in balance.values()) == 0
        assert {each.event for each in run.recorder.snapshot(0.0).pushes} >= {"context_updated", "context_snapshot"}
        counted = server.counters()
        assert counted["messages_received"] == run.recorder.traffic.messages_sent
        assert counted["connections"] == sum(each.ok for each in balance.values() if each.type == "CONNECT")


def test_settings_and_shares_come_from_the_extension(server: Server) -> None:
    """``--ext-profiles``, and the scaled times of the settings."""

    class Only(RealisticUser):
        abstract = False
        host = server.url

    environment = Environment(user_classes=[Only], host=server.url)
    runner = environment.create_local_runner()
    extension = attach(environment, ext_profiles=["idle:1"])
    try:
        user = Only(environment)
        assert user.profile_name == "idle"
        assert isinstance(user.pattern, Intermittent)
        assert user.pacing == ClosedLoop(30.0)
        user._clean_up(None)
    finally:
        runner.quit()
        runner.greenlet.kill()
        extension.close()
