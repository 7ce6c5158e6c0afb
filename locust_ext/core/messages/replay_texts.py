"""How what was recorded becomes what each user says: names, ids and texts that stand for the recorded ones."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from locust_ext.core.messages.feeder import Row
from locust_ext.core.messages.metadata import uuid_text
from locust_ext.core.messages.placeholders import Compiler, Scope
from locust_ext.core.messages.replay_frames import Said
from locust_ext.core.messages.replay_replies import Replies
from locust_ext.errors import ConfigError

CLIENT_ID: Final = "{client_id}"
_MIN_CLIENT_CHARS: Final = 3
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


class ReplayScope(Scope):
    """What one user's messages are filled from, and the ids that stand for the recorded ones in this pass."""

    __slots__ = ("ids", "last_id")

    def __init__(
        self, rng: random.Random, user: str, next_row: Callable[[], Row] | None, now: Callable[[], float] | None
    ) -> None:
        super().__init__(rng, user, next_row, now)
        self.ids: dict[str | int, str | int] = {}
        self.last_id = 0

    def fresh(self, recorded: str | int) -> str | int:
        """The id of this pass in the place of a recorded one, of the same form."""
        made = self.ids.get(recorded)
        if made is None:
            if isinstance(recorded, str) and _UUID.fullmatch(recorded):
                made = uuid_text(self.rng)
            else:
                self.last_id += 1
                made = self.last_id if isinstance(recorded, int) else f"{self.user}-{self.last_id}"
            self.ids[recorded] = made
        return made


class Texts:
    """How recorded values become functions of the scope."""

    def __init__(self, compiler: Compiler, substitute: Mapping[str, str], fields: Mapping[str, Any]) -> None:
        for key, value in substitute.items():
            if not isinstance(key, str) or not key or not isinstance(value, str):
                raise ConfigError(
                    "expected recorded texts and what stands for them, such as {'room-1': '{user}'}",
                    source=compiler.source,
                    key="substitute",
                )
        self._compiler = compiler
        self._rules = {key: value.replace(CLIENT_ID, "{user}") for key, value in substitute.items()}
        self._fields = {
            name: compiler.value(value.replace(CLIENT_ID, "{user}") if isinstance(value, str) else value, "fields")
            for name, value in fields.items()
        }
        self._pattern: re.Pattern[str] | None = None
        self._use_rules()

    def of_client(self, client: str) -> Texts:
        """The same for the recording of a client of this name, which stands for the user's own."""
        if len(client) < _MIN_CLIENT_CHARS or client in self._rules:
            return self
        made = Texts.__new__(Texts)
        made._compiler, made._fields = self._compiler, self._fields
        made._rules = {**self._rules, client: "{user}"}
        made._use_rules()
        return made

    def _use_rules(self) -> None:
        longest_first = sorted(self._rules, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None
        for template in self._rules.values():
            self._compiler.text(template, "substitute")  # a wrong one is an error even if it is never needed

    def value(self, value: Any, ids: frozenset[str]) -> Callable[[Any], Any]:
        """A function that gives ``value`` anew for each message; ``ids`` are those that are new in each pass."""
        if isinstance(value, str):
            return (lambda scope: scope.fresh(value)) if value in ids else self._text(value)
        if isinstance(value, dict):
            items = [(key, self._fields.get(key) or self.value(item, ids)) for key, item in value.items()]
            return lambda scope: {key: fill(scope) for key, fill in items}
        if isinstance(value, list):
            fills = [self.value(item, ids) for item in value]
            return lambda scope: [fill(scope) for fill in fills]
        return lambda scope: value

    def _text(self, value: str) -> Callable[[Any], Any]:
        if self._pattern is None or self._pattern.search(value) is None:
            return lambda scope: value
        parts: list[str] = []
        end = 0
        for match in self._pattern.finditer(value):
            parts += [_escaped(value[end : match.start()]), self._rules[match.group()]]
            end = match.end()
        return self._compiler.text("".join(parts) + _escaped(value[end:]), "substitute")


def _escaped(text: str) -> str:
    """``text`` as it stands in a template that means just it."""
    return text.replace("{", "{{").replace("}", "}}")


def own_ids(said: Sequence[Said], found: Replies) -> frozenset[str]:
    """The texts that the client made up as ids: those that replies repeated, and UUIDs that no server had told it."""
    ids: set[str] = set()
    told: set[str] = set()
    for each in said:
        uuids = set(_uuids_in(each.body))
        if each.is_sent:
            ids |= uuids - told
            value = each.body[found.by_id[id(each)]] if id(each) in found.by_id else None
            if isinstance(value, str):
                ids.add(value)
        else:
            told |= uuids - ids
    return frozenset(ids)


def _uuids_in(body: Any) -> Iterable[str]:
    """The texts of a message that are a UUID and nothing else."""
    open_ends = [body]
    while open_ends:
        one = open_ends.pop()
        if isinstance(one, dict):
            open_ends += one.values()
        elif isinstance(one, list):
            open_ends += one
        elif isinstance(one, str) and _UUID.fullmatch(one):
            yield one
