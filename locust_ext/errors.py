"""Every exception of the package, and the closed vocabulary of error classes.

    LocustExtError                      code
    ├── ConfigError                     config              bad input, found before the run starts
    ├── TargetUnavailable               target_unavailable  the system under test (or the embedded server) did not come up
    └── OperationError                  the error class     one attempted operation ended badly; it has been recorded
        ├── ConnectFailed               refused dns tls http_<status> bad_handshake connect_timeout no_ports fd_limit reset …
        ├── RequestTimeout              timeout             no reply by the deadline
        ├── ConnectionLost              reset lost closed_<code> ping_timeout too_big bad_utf8 protocol
        ├── ErrorReply                  error_reply         the reply itself says that the request failed
        └── CheckFailed                 check_failed        the locustfile judged the reply

Facts are attributes, the sentence is in ``__str__``; the first word of an ``OperationError``'s text is its error class,
and the rest never holds a header, a cookie, a token or a library's own text: Locust makes one row of each distinct text.
"""

from __future__ import annotations

import re
from typing import Final

from locust_ext.masking import one_line, shown

ERROR_CLASSES: Final = (
    "refused",
    "dns",
    "tls",
    "bad_handshake",
    "connect_timeout",
    "timeout",
    "reset",
    "lost",
    "ping_timeout",
    "too_big",
    "bad_utf8",
    "protocol",
    "no_ports",
    "fd_limit",
    "error_reply",
    "check_failed",
)
"""The closed vocabulary; besides these only ``http_<status>`` and ``closed_<code>``."""

_EXPLANATIONS: Final = {
    "refused": "the target refused the TCP connection",
    "dns": "the host name could not be resolved",
    "tls": "the TLS handshake failed",
    "bad_handshake": "the answer to the upgrade was not a valid WebSocket handshake",
    "connect_timeout": "the connection was not open by its deadline",
    "timeout": "no reply by the deadline",
    "reset": "the peer reset the connection",
    "lost": "the connection went before the reply came",
    "ping_timeout": "the peer did not answer a ping in time",
    "too_big": "a message was over the size limit",
    "bad_utf8": "a text message was not valid UTF-8",
    "protocol": "the peer broke the protocol",
    "no_ports": "no local port is left for this target",
    "fd_limit": "no file descriptor is left",
    "error_reply": "the server answered with an error",
    "check_failed": "a check of the reply failed",
}


def is_error_class(word: str) -> bool:
    """Whether ``word`` belongs to the closed vocabulary, ``http_<status>`` and ``closed_<code>`` included."""
    if word in _EXPLANATIONS:
        return True
    prefix, _, number = word.partition("_")
    return prefix in ("http", "closed") and number.isdigit()


def explain(error_class: str) -> str:
    """One clause, free of secrets, that says what ``error_class`` means."""
    if error_class.startswith("http_"):
        return f"the server answered with HTTP status {error_class[5:]}"
    if error_class.startswith("closed_"):
        return f"the peer closed the connection with code {error_class[7:]}"
    return _EXPLANATIONS.get(error_class, "unknown failure")


_INDEX: Final = re.compile(r"(?<=[^.])\.(\d+)(?=[.\[]|$)")
"""A place in a list, inside the path of a key."""


class LocustExtError(Exception):
    """Root of the tree. ``code`` is constant for a class, for programs to test."""

    code: str = "error"


class ConfigError(LocustExtError):
    """Bad input: which file, which key, what value, what was expected, and the nearest valid name where one is near."""

    code = "config"

    def __init__(
        self,
        expected: str,
        *,
        source: str = "",
        key: str = "",
        value: object = None,
        nearest: str | None = None,
        shows_value: bool = True,
    ) -> None:
        super().__init__(expected)
        self.expected = expected
        self.source = source
        """A file's path, or a flag's name; empty if the input came from code."""
        self.key = key
        """The path of the key inside the file, such as ``profiles.active.share``; empty where there is none."""
        self.value = value
        self.nearest = nearest
        self._shows_value = shows_value

    def under(self, key: str, source: str = "", *, shows_value: bool = True) -> ConfigError:
        """The same error, told by whoever knows more of the place: ``key`` stands before its own key."""
        return ConfigError(
            self.expected,
            source=self.source or source,
            key=".".join(part for part in (key, self.key) if part),
            value=self.value,
            nearest=self.nearest,
            shows_value=self._shows_value and shows_value,
        )

    def __str__(self) -> str:
        """One line, in which places in lists stand as ``rules[0].name``; without any value of an environment variable."""
        key = _INDEX.sub(r"[\1]", self.key)
        where = one_line("".join(f"{part}: " for part in (self.source, key) if part))
        got = f" (got {shown(self.value)})" if self._shows_value and self.value is not None else ""
        hint = f"; did you mean {shown(self.nearest)}?" if self.nearest else ""
        return f"{where}{one_line(self.expected)}{got}{hint}"


class TargetUnavailable(LocustExtError):
    """The system under test, or the embedded server, did not answer before the run could start."""

    code = "target_unavailable"

    def __init__(self, target: str, reason: str) -> None:
        super().__init__(target, reason)
        self.target = target
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.target}: {self.reason}"


class OperationError(LocustExtError):
    """One attempted operation ended badly. The failure is recorded by whoever raises this, once."""

    outcome: str = "failed"
    """The ledger's column: ``failed``, ``timed_out`` or ``lost``."""

    def __init__(self, error_class: str, detail: str = "") -> None:
        super().__init__(error_class, detail)
        self.error_class = error_class
        self.detail = detail
        """A few words of ours or of the locustfile's author, bounded in variety; never a library's text."""

    @property
    def code(self) -> str:  # type: ignore[override]
        return self.error_class

    def __str__(self) -> str:
        return f"{self.error_class} - {self.detail or explain(self.error_class)}"

    def __repr__(self) -> str:
        return str(self)  # Locust shows a failure by its repr


class ConnectFailed(OperationError):
    """A connection could not be opened."""

    def __init__(
        self, error_class: str, detail: str = "", *, retry_after_s: float | None = None, rule: str | None = None
    ) -> None:
        super().__init__(error_class, detail)
        self.rule = rule
        """The rule of `core.lifecycle.backoff` that it falls under, where its class does not say enough; None: its class's."""
        self.retry_after_s = retry_after_s
        """Seconds that the server asked us to wait (``Retry-After``), or None."""


class RequestTimeout(OperationError):
    """No reply came by the request's deadline."""

    outcome = "timed_out"

    def __init__(self, error_class: str = "timeout", detail: str = "") -> None:
        super().__init__(error_class, detail)


class ConnectionLost(OperationError):
    """The connection went before the operation had ended."""

    outcome = "lost"

    def __init__(self, error_class: str = "lost", detail: str = "") -> None:
        super().__init__(error_class, detail)


class ErrorReply(OperationError):
    """The reply came and says that the request failed. ``reply`` is the decoded reply."""

    def __init__(self, detail: str = "", reply: object = None) -> None:
        super().__init__("error_reply", detail)
        self.reply = reply


class CheckFailed(OperationError):
    """The locustfile called ``reply.failure(text)``; ``detail`` is that text."""

    def __init__(self, detail: str = "") -> None:
        super().__init__("check_failed", detail)
