"""Tokens of the agent and monitor channels: JSON Web Tokens (RFC 7519), signed HS256, by the standard library alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any, Final, NamedTuple

DEV_TOKEN: Final = "dev-token"
"""The development token: accepted whatever the secret is, without any right, and no account that is limited."""

ALL_RIGHTS: Final = frozenset({"subscribe", "agent_command", "query"})
RIGHTS: Final = {
    "admin": ALL_RIGHTS,
    "operator": ALL_RIGHTS,
    "user": ALL_RIGHTS,
    "viewer": frozenset({"subscribe", "query"}),
    "guest": frozenset[str](),
    "developer": frozenset[str](),
}
"""Role -> the message types of the agent channel it may send, of those that need a right. Unknown roles have none."""


class Client(NamedTuple):
    """Whom a connection belongs to."""

    is_authenticated: bool
    user: str | None
    role: str
    rights: frozenset[str]
    account: str | None
    """What the limit of connections goes by; None: unlimited."""


ANYBODY: Final = Client(False, None, "anonymous", ALL_RIGHTS, None)
"""Every client of an open server."""


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _signature(signed: str, secret: str) -> bytes:
    return hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()


def sign(secret: str, sub: str, role: str = "user", expires_in_s: float = 3600.0, **claims: object) -> str:
    """A token of account ``sub``; a negative ``expires_in_s`` gives an expired one. Other ``claims`` go in as is."""
    head = _encode(b'{"alg":"HS256","typ":"JWT"}')
    body = {"sub": sub, "role": role, "exp": time.time() + expires_in_s, **claims}
    signed = f"{head}.{_encode(json.dumps(body).encode())}"
    return f"{signed}.{_encode(_signature(signed, secret))}"


def verify(token: str, secret: str, now: float | None = None) -> Client | None:
    """The client that ``token`` names, or None if it is malformed, of another algorithm or key, expired or nameless.

    ``now`` is in Unix seconds, by default the present; a token without ``exp`` does not expire.
    """
    if token == DEV_TOKEN:
        return Client(True, "developer", "developer", frozenset(), None)
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    try:
        if not hmac.compare_digest(_decode(signature), _signature(signed, secret)):
            return None
        header: Any = json.loads(_decode(head))
        claims: Any = json.loads(_decode(body))
    except ValueError:  # bad base64, bad UTF-8 and bad JSON are all ValueErrors
        return None
    if not isinstance(header, dict) or header.get("alg") != "HS256" or not isinstance(claims, dict):
        return None
    expires, sub, role = claims.get("exp"), claims.get("sub"), claims.get("role", "user")
    if expires is not None and not (isinstance(expires, int | float) and (now or time.time()) < expires):
        return None
    if not isinstance(sub, str) or not sub or not isinstance(role, str):
        return None
    return Client(True, sub, role, RIGHTS.get(role, frozenset()), sub)
