"""Dumps of the context: files of one folder, and nothing outside it."""

from __future__ import annotations

import csv
import io
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from locust_ext.refserver.store import ContextStore

FORMATS: Final = ("json", "pretty", "csv", "txt")
CONTENT_TYPES: Final = {
    ".json": "application/json",
    ".pretty": "application/json",
    ".csv": "text/csv",
    ".txt": "text/plain",
}
_NAME_MAX_BYTES: Final = 200


def is_safe_name(name: str) -> bool:
    """Whether ``name`` is one file name that cannot leave its folder: no separator, NUL or ``..``, and not too long."""
    return (
        0 < len(name.encode(errors="replace")) <= _NAME_MAX_BYTES
        and not any(sign in name for sign in "/\\\0")
        and ".." not in name
        and name != "."
        and name.isprintable()
    )


class DumpFolder:
    """The folder of the dumps and the list of the last ten made."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.recent: deque[dict[str, Any]] = deque(maxlen=10)

    def write(
        self, context: ContextStore, format: str, name: str | None, who: str, timestamp: str, includes_history: bool
    ) -> dict[str, Any]:
        """Write ``<name>.<format>`` and return what the answer says about it; raises OSError.

        Without a name one of one-second resolution is taken, so that parallel dumps overwrite each other. ``format``
        and ``name`` must have been checked.
        """
        base = name or f"context_dump_{datetime.now(UTC):%Y%m%d_%H%M%S}"
        filename = f"{base}.{format}"
        path = self.path / filename
        history = context.changes() if includes_history else None
        body = _format_dump(context.values, history, format, who, timestamp)
        path.unlink(missing_ok=True)  # never write through a link that someone put there
        path.write_bytes(body)
        made = {
            "filename": filename,
            "format": format,
            "path": str(path),
            "key_count": len(context.values),
            "file_size": len(body),
            "timestamp": timestamp,
            "who": who,
        }
        self.recent.append(made)
        return made

    def files(self) -> list[dict[str, Any]]:
        """Every file in the folder, by name."""
        found = []
        for path in sorted(self.path.iterdir()):
            if path.is_file() and not path.is_symlink():
                status = path.stat()
                found.append(
                    {
                        "filename": path.name,
                        "path": str(path),
                        "size": status.st_size,
                        "created": datetime.fromtimestamp(status.st_ctime, UTC).isoformat(),
                        "modified": datetime.fromtimestamp(status.st_mtime, UTC).isoformat(),
                    }
                )
        return found

    def find(self, filename: str) -> Path | None:
        """The file of that (checked) name, or None."""
        path = self.path / filename
        return path if path.is_file() and not path.is_symlink() else None


def _format_dump(
    values: dict[str, Any], history: list[dict[str, Any]] | None, format: str, who: str, timestamp: str
) -> bytes:
    if format in ("json", "pretty"):
        whole = {"context": values, "key_count": len(values), "timestamp": timestamp, "who": who}
        if history is not None:
            whole["history"] = history
        return orjson.dumps(whole, option=orjson.OPT_INDENT_2 if format == "pretty" else 0)
    text = io.StringIO(newline="")
    if format == "csv":
        rows = csv.writer(text)
        rows.writerow(["key", "value"])
        rows.writerows([key, orjson.dumps(value).decode()] for key, value in values.items())
        if history is not None:
            rows.writerow([])
            rows.writerow(["timestamp", "key", "before", "after", "who"])
            rows.writerows(
                [
                    c["timestamp"],
                    c["key"],
                    orjson.dumps(c["before"]).decode(),
                    orjson.dumps(c["after"]).decode(),
                    c["who"],
                ]
                for c in history
            )
        return text.getvalue().encode()
    text.write(f"context of {timestamp}, {len(values)} keys, dumped by {who}\n\n")
    for key, value in values.items():
        text.write(f"{key} = {orjson.dumps(value).decode()}\n")
    for change in history or ():
        text.write(
            f"{change['timestamp']} {change['who']} {change['key']}: {change['before']!r} -> {change['after']!r}\n"
        )
    return text.getvalue().encode()
