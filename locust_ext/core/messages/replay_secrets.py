"""What may not be kept of a recorded message: values of well-known fields, tokens inside texts, and where else they occur."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

import orjson

MASK: Final = "***"
"""Stands where a secret was."""

MIN_KNOWN_CHARS: Final = 6
"""A value shorter than this is taken out in its own place only: elsewhere it may mean something else."""

_KEPT: Final = frozenset(("session_id",))
"""Names of no secret, however they look: the monitor channel's own id of a session, which replays substitute."""
_EXACT: Final = frozenset(
    (
        *("auth", "xauth", "jwt", "bearer", "csrf", "xsrf", "pin", "passphrase", "pwd", "privatekey"),
        *("pass", "otp", "sid", "session", "sessionid", "cred", "creds"),
    )
)
_LAST: Final = frozenset(("pass", "pwd", "otp", "sid", "session", "creds", "jwt"))
"""Last words of names: ``user_pass``, ``connect.sid``, ``loginOtp``; not ``compass``."""
_ENDS: Final = (
    *("token", "password", "passwd", "secret", "apikey", "accesskey", "authorization", "cookie"),
    *("credential", "secretkey", "sessionid", "sessid"),
)
_PLURALS: Final = tuple(f"{end}s" for end in _ENDS)
_NOT_WORD: Final = re.compile(r"[^a-z0-9]+")
_WORD_ENDS: Final = re.compile(r"[^A-Za-z0-9]+|(?<=[a-z0-9])(?=[A-Z])")
_NAMES_IN_TEXT: Final = (
    r"(?:[\w-]*(?:token|password|passwd|secret|api_?key|authorization|credential)s?"
    r"|(?:[\w-]*[_.-])?(?:pass|pwd|otp|sid|session|creds?|auth|jwt)|sessionid)"
)
_IN_TEXT: Final = (
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), MASK),  # a JSON web token (RFC 7519)
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]{6,}"), rf"\g<1>{MASK}"),
    (re.compile(r"(?i)^(basic\s+)[\w+/=-]{6,}$"), rf"\g<1>{MASK}"),
    (re.compile(rf"(?i)((?:^|[?&;\s]){_NAMES_IN_TEXT}=)[^&;\s\"']+"), rf"\g<1>{MASK}"),
    (re.compile(rf"(?i)(\"{_NAMES_IN_TEXT}\"\s*:\s*\")[^\"]+"), rf"\g<1>{MASK}"),  # JSON inside a text
    (re.compile(r"(://)[^/@\s:]+:[^/@\s]+@"), rf"\g<1>{MASK}@"),
)
_SUSPECT: Final = re.compile(
    r"(?i)eyJ|bearer|basic|token|passw|secret|api_?key|authorization|credential|://"
    r"|(?:pass|pwd|otp|sid|session|sessionid|creds?|auth|jwt)(?:=|\"\s*:)"
)
"""What a text holds to which one of these patterns applies: nearly all texts need no second look."""
_SOCKETIO: Final = re.compile(r"(4[2356][^\[{\"]*)([\[{].*)", re.DOTALL)


@lru_cache(maxsize=4096)  # the same few names in every message
def is_secret_name(name: object) -> bool:
    """Whether a field, header or query parameter of this name holds a secret: ``access_token``, ``X-Api-Key``, ``tokens``, …"""
    text = str(name)
    if text in _KEPT:
        return False
    word = _NOT_WORD.sub("", text.lower())
    return word in _EXACT or word.endswith((*_ENDS, *_PLURALS)) or _WORD_ENDS.split(text)[-1].lower() in _LAST


def is_secret(name: object, value: Any) -> bool:
    """Whether ``value``, in a field of this name, is a secret or holds some. A number of tokens (``max_tokens``) is none."""
    if not is_secret_name(name):
        return False
    return not (isinstance(value, int | float) and _NOT_WORD.sub("", str(name).lower()).endswith(_PLURALS))


def in_query(query: str) -> set[str]:
    """The secrets in the query of a URL."""
    return {value for name, value in parse_qsl(query) if is_secret_name(name) and value}


def in_headers(headers: Iterable[tuple[str, str]]) -> set[str]:
    """The secrets in headers: the credentials of ``Authorization`` without their scheme, each cookie's value, …"""
    found: set[str] = set()
    for name, value in headers:
        if name.lower() in ("cookie", "set-cookie"):
            parts = value.split(";") if name.lower() == "cookie" else value.split(";")[:1]
            found |= {part.partition("=")[2].strip() for part in parts}
        elif is_secret_name(name):
            found.add(value.strip().rpartition(" ")[2])
    return {unquoted for value in found for unquoted in (value, unquote(value)) if value}


def in_body(body: Any) -> set[str]:
    """The texts in the secret fields of a message, however deep."""
    found: set[str] = set()
    open_ends = [(body, False)]
    while open_ends:
        one, inside = open_ends.pop()
        if isinstance(one, Mapping):
            open_ends += [(item, inside or is_secret(name, item)) for name, item in one.items()]
        elif isinstance(one, list):
            open_ends += [(item, inside) for item in one]
        elif inside and isinstance(one, str):
            found.add(one)
    return found


def scrubbed(body: Any, known: Collection[str] = (), *, inside: bool = False) -> Any:
    """``body`` (JSON, text or bytes) with `MASK` in the place of secrets; the same object if it has none.

    ``known`` are secrets from elsewhere: they are taken out wherever they occur. Bytes keep their length. ``inside``: it
    stands in a secret field, and is a secret as a whole.
    """
    if isinstance(body, dict):
        made: Any = {name: scrubbed(item, known, inside=inside or is_secret(name, item)) for name, item in body.items()}
        return made if any(made[name] is not body[name] for name in body) else body
    if isinstance(body, list):
        made = [scrubbed(item, known, inside=inside) for item in body]
        return made if any(new is not old for new, old in zip(made, body, strict=True)) else body
    if inside:
        return body if body is None or isinstance(body, bool) or body == "" else MASK
    if isinstance(body, str):
        return _in_text(body, known)
    if isinstance(body, bytes):
        for secret in known:
            if len(secret) >= MIN_KNOWN_CHARS:
                body = body.replace(secret.encode(), b"*" * len(secret.encode()))
    return body


def scrubbed_frame(data: str | bytes, known: Collection[str] = ()) -> str | bytes:
    """A whole frame without its secrets: JSON and Socket.IO packets field by field, other texts by what they look like."""
    if isinstance(data, str):
        head, text = "", data
        if (packet := _SOCKETIO.fullmatch(data)) is not None:
            head, text = packet.groups()
        if text[:1] in ("{", "["):
            try:
                body = orjson.loads(text)
                made = scrubbed(body, known)
                return data if made is body else head + orjson.dumps(made).decode()
            except (ValueError, TypeError):
                pass  # no JSON after all
            except RecursionError:
                return MASK
    made = scrubbed(data, known)
    return made if isinstance(made, str | bytes) else data


def _in_text(text: str, known: Collection[str]) -> str:
    made = text
    for secret in known:
        if len(secret) >= MIN_KNOWN_CHARS and secret in made:
            made = made.replace(secret, MASK)
    if _SUSPECT.search(made) is not None:
        for pattern, instead in _IN_TEXT:
            made = pattern.sub(instead, made)
    return text if made == text else made
