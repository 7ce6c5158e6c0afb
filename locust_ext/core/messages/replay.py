"""`Replay`: a recorded WebSocket conversation as a user's messages, with its timing and its expectations.

What it was recorded from: see ``replay_files.py``. What answered what: see ``replay_replies.py``.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from locust_ext.core.messages.feeder import Feeder
from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.core.messages.placeholders import Compiler
from locust_ext.core.messages.replay_files import connections_of, read_har, read_jsonl
from locust_ext.core.messages.replay_frames import Connection, Said, said_on, speaks_socketio
from locust_ext.core.messages.replay_replies import RecordedReplies, Replies, check_replies, replies_in
from locust_ext.core.messages.replay_secrets import in_body, scrubbed
from locust_ext.core.messages.replay_texts import CLIENT_ID, ReplayScope, Texts, own_ids
from locust_ext.core.messages.weights import unknown
from locust_ext.errors import ConfigError

BREATH_S: Final = 0.0001
"""Seconds after a one-way message before the next: users that never wait for a reply let others have their turn."""

_NOTHING_SAID: Final = "expected at least one message that the client sent"


@dataclass(frozen=True, slots=True)
class Step:
    """One message that the recorded client sent."""

    name: str
    fill: Callable[[Any], Any]
    reply: tuple[str, ...]
    one_way: bool
    gap_s: float
    """Seconds from the reply to the message before (``is_after_reply``), or else from that message itself; for the first
    one, from the connection's opening."""
    is_after_reply: bool


class Replay:
    """Says again what a recorded client said: ``Replay.from_har(path)``, ``Replay.from_jsonl(path)``.

    Messages whose recorded reply can be told are requests, all others one-way; a `WebSocketUser` without a ``correlate`` of
    its own takes `correlate`, a `FastSocketIOUser` without ``confirm`` takes `confirm`. Each user plays one of the recorded
    connections from its beginning, and begins again after a reconnect. Secrets have been taken out: they read ``***``.

    entries
        The lines of a JSONL capture as objects, ``{"t": 0.5, "dir": "send", "data": {"type": "ping"}}``.
    url_path
        Which connections to take, where the recording has several kinds: ``"/api/v1/ws/{client_id}"``. What stands at
        ``{client_id}`` is the recorded client's name; it becomes the user's own, wherever it occurs.
    speed
        2: twice as fast as recorded; None or infinite: as fast as the replies come. A user's own ``pacing`` wins.
    loop
        False: at the end of the recording the user falls silent, and listens. (A pattern that sets its own pace, such as
        ``Bursty``, begins again.)
    substitute
        Recorded texts, and what stands for them: ``{"room-4711": "{user}-room", "2024-05-01": "{csv:day}"}``. The
        placeholders are those of `Template`, and ``{client_id}``, which is ``{user}``.
    fields
        The same by the name of a field, at any depth: ``{"token": "{csv:token}", "sequence": "{seq}"}``.
    replies
        Types of requests and of their replies, where the recording does not tell: ``{"start": "started", "note": None}``;
        None: one-way.
    keep_secrets
        True: nothing is taken out.

    Ids of requests whose replies repeat them, and UUIDs that the client made, are new ones each time. ``ConfigError`` names
    the file and the line or entry of what is wrong.
    """

    is_timed = True
    """Its bound generators say when their next message is due."""

    def __init__(
        self,
        entries: Iterable[Any],
        *,
        url_path: str | None = None,
        speed: float | None = 1.0,
        loop: bool = True,
        substitute: Mapping[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
        replies: Mapping[str, Any] | None = None,
        channel: str | None = None,
        feeder: Feeder | None = None,
        now: Callable[[], float] | None = None,
        keep_secrets: bool = False,
        source: str = "",
    ) -> None:
        self.source = source
        self.speed = _checked_speed(speed)
        self.loop = loop
        self.channel = channel
        self.feeder = feeder
        self.now = now
        entries = list(entries)
        if not all(isinstance(each, Connection) for each in entries):
            entries = connections_of([(f"[{index}]", each) for index, each in enumerate(entries)], source)
        chosen = _chosen(entries, url_path, source)
        self.url_path = chosen[0].path if url_path is None else url_path
        """Where the recorded connections were, without their query; ``{client_id}`` stands for the client's name."""
        self.is_socketio = speaks_socketio(chosen[0])
        talks = [(connection, said_on(connection, source)) for connection in chosen]
        talks = [(each, said) for each, said in talks if any(one.is_sent and not one.is_ack for one in said)]
        if not talks:
            raise ConfigError(_NOTHING_SAID, source=source)
        if not keep_secrets:
            _take_out_secrets(talks)
        found = replies_in([said for _, said in talks], check_replies(replies or {}))
        self.correlate = None if self.is_socketio else RecordedReplies(found.ids, found.types)
        """The correlation that the recorded replies tell of; None: Socket.IO has its own."""
        self.confirm = found.confirm
        """Socket.IO events that other events confirm, as `FastSocketIOUser.confirm` takes them."""
        compiler = Compiler(source, feeder, now is not None)
        texts = Texts(compiler, substitute or {}, fields or {})
        self.conversations: tuple[tuple[Step, ...], ...] = tuple(
            _steps(said, found, texts.of_client(_client(connection, url_path)), self.is_socketio)
            for connection, said in talks
        )

    @classmethod
    def from_har(cls, path: str | Path, **options: Any) -> Replay:
        """The WebSocket traffic of a browser's HAR export, with the class's ``options``. Raises ``ConfigError``."""
        return cls(read_har(path), source=str(path), **options)

    @classmethod
    def from_jsonl(cls, path: str | Path, **options: Any) -> Replay:
        """A JSONL capture, such as ``--ext-record`` writes, with the class's ``options``. Raises ``ConfigError``."""
        return cls(read_jsonl(path), source=str(path), **options)

    def check_protocol(self, is_socketio: bool) -> None:
        """Raises ``ConfigError`` if the recording is of the other protocol."""
        if self.is_socketio != is_socketio:
            spoken = "Socket.IO, for a FastSocketIOUser" if is_socketio else "plain WebSockets, for a WebSocketUser"
            raise ConfigError(f"expected a recording of {spoken}", source=self.source, key="generator")

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        return BoundReplay(self, rng, client_id)


class BoundReplay:
    """One user's replay."""

    __slots__ = ("_conversation", "_next", "_replay", "_scope", "_steps")

    def __init__(self, replay: Replay, rng: random.Random, client_id: str) -> None:
        self._replay = replay
        number = len(replay.conversations)
        self._conversation = int(rng.random() * number) if number > 1 else 0
        self._steps = replay.conversations[self._conversation]
        self._next = 0
        self._scope = ReplayScope(
            rng, client_id, replay.feeder.bind(rng, client_id) if replay.feeder is not None else None, replay.now
        )

    def generate(self) -> Message:
        if self._next == len(self._steps):
            self._conversation = (self._conversation + 1) % len(self._replay.conversations)
            self._steps = self._replay.conversations[self._conversation]
            self._begin()
        step, scope = self._steps[self._next], self._scope
        self._next += 1
        scope.seq += 1
        if scope.next_row is not None:
            scope.row = scope.next_row()
        return Message(
            step.name, step.fill(scope), reply=step.reply, one_way=step.one_way, channel=self._replay.channel
        )

    def next_due_s(self, due_s: float, ended_s: float) -> float:
        """When the next message is due, after one that was due at ``due_s`` and has ended (sent, or answered) at ``ended_s``.

        Before the first: the connection opened at ``ended_s``. Infinite: there is no further message.
        """
        number = self._next
        is_over = number == len(self._steps)
        if is_over and not self._replay.loop:
            return math.inf
        speed = self._replay.speed
        if speed is None:
            next_s = ended_s
        else:
            step = self._following()[0] if is_over else self._steps[number]
            from_s = ended_s if number == 0 or is_over or step.is_after_reply else due_s
            next_s = from_s + step.gap_s / speed
        return max(next_s, ended_s + BREATH_S) if number and self._steps[number - 1].one_way else next_s

    def _following(self) -> tuple[Step, ...]:
        conversations = self._replay.conversations
        return conversations[(self._conversation + 1) % len(conversations)]

    def disconnected(self, channel: str | None = ALL) -> None:
        has_ended = self._next == len(self._steps) and not self._replay.loop
        if channel in (ALL, self._replay.channel) and not has_ended:
            self._begin()

    def _begin(self) -> None:
        self._next = 0
        self._scope.ids.clear()


# ── from what was recorded to what is said ─────────────────────────────────────────────────────────────────────────────


def _checked_speed(speed: float | None) -> float | None:
    if speed is None or speed == math.inf:
        return None
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not speed > 0:
        raise ConfigError("expected a number above 0, or None: as fast as possible", key="Replay.speed", value=speed)
    return float(speed)


def _chosen(connections: Sequence[Connection], url_path: str | None, source: str) -> list[Connection]:
    """The connections that are replayed: all of one kind. Raises ``ConfigError``, which names the paths there are."""
    spoken = [each for each in connections if any(frame.is_sent for frame in each.frames)]
    paths = list(dict.fromkeys(each.path for each in spoken))
    if url_path is not None:
        pattern = _path_pattern(url_path)
        chosen = [each for each in spoken if each.path == url_path or pattern.fullmatch(each.path)]
        if not chosen:
            near = unknown("url_path", url_path, paths).nearest
            raise ConfigError(
                f"expected the path of a recorded connection: {', '.join(paths) or 'there is none'}",
                source=source,
                key="url_path",
                value=url_path,
                nearest=near,
            )
        spoken = chosen
    elif len(paths) > 1:
        raise ConfigError(
            f"the recording has several connections, expected url_path (such as '/ws/{CLIENT_ID}') to choose from "
            f"{', '.join(paths[:10])}",
            source=source,
            key="url_path",
        )
    if not spoken:
        raise ConfigError(_NOTHING_SAID, source=source)
    if len({speaks_socketio(each) for each in spoken}) > 1:
        raise ConfigError("expected either Socket.IO or plain WebSockets, not both", source=source, key="url_path")
    return spoken


def _path_pattern(url_path: str) -> re.Pattern[str]:
    return re.compile("([^/]+)".join(re.escape(part) for part in url_path.partition("?")[0].split(CLIENT_ID)))


def _client(connection: Connection, url_path: str | None) -> str:
    """The recorded client's name, if it is known."""
    if connection.client or url_path is None or CLIENT_ID not in url_path:
        return connection.client
    match = _path_pattern(url_path).fullmatch(connection.path)
    return match[1] if match is not None else ""


def _take_out_secrets(talks: Sequence[tuple[Connection, list[Said]]]) -> None:
    found = {secret for _, said in talks for each in said for secret in in_body(each.body)}
    found.update(*(connection.secrets for connection, _ in talks))
    known = sorted(found, key=len, reverse=True)
    for _, said in talks:
        for each in said:
            each.body = scrubbed(each.body, known)


def _steps(said: Sequence[Said], found: Replies, texts: Texts, is_socketio: bool) -> tuple[Step, ...]:
    """The messages that a recorded client sent, ready to be filled."""
    ids = own_ids(said, found)
    steps: list[Step] = []
    before: Said | None = None
    for each in said:
        if not each.is_sent or each.is_ack:
            continue
        is_request = found.is_request(each)
        replied_s = found.answered_s.get(id(before), math.inf) if before is not None else math.inf
        is_after_reply = replied_s <= each.t_s and not (steps and steps[-1].one_way)
        from_s = replied_s if is_after_reply else 0.0 if before is None else before.t_s
        answer = found.answered_by.get(id(each))
        steps.append(
            Step(
                name=each.kind,
                fill=_filled(each, found, texts, ids, is_socketio),
                reply=found.types.get(each.kind) or ((answer,) if answer is not None and is_request else ()),
                one_way=not is_request,
                gap_s=max(0.0, each.t_s - from_s),
                is_after_reply=is_after_reply,
            )
        )
        before = each
    return tuple(steps)


def _filled(
    each: Said, found: Replies, texts: Texts, ids: frozenset[str], is_socketio: bool
) -> Callable[[ReplayScope], Any]:
    body = each.body
    if is_socketio:
        fills = [texts.value(value, ids) for value in body]
        if not fills:
            return lambda scope: None
        return fills[0] if len(fills) == 1 else lambda scope: tuple([fill(scope) for fill in fills])
    fill = texts.value(body, ids)
    name = found.by_id.get(id(each))
    if name is None or not isinstance(body[name], int):
        return fill
    number: int = body[name]

    def numbered(scope: ReplayScope) -> Any:
        made = fill(scope)
        made[name] = scope.fresh(number)
        return made

    return numbered
