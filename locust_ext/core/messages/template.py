"""`Template`: messages as they stand in a YAML or JSON file, with placeholders (see ``placeholders.py``)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from locust_ext.core.messages.feeder import Feeder
from locust_ext.core.messages.message import ALL, BoundGenerator, Message
from locust_ext.core.messages.metadata import WithMetadata
from locust_ext.core.messages.mixed import BoundMixed
from locust_ext.core.messages.placeholders import Compiled, Compiler, Scope
from locust_ext.errors import ConfigError


@dataclass(frozen=True)
class Template(WithMetadata):
    """Messages from one template or several; compiled once, when it is made. ``ConfigError`` names a wrong placeholder.

    A template is a body (an object), or an object with ``body`` and, as needed, ``name`` (else the body's ``type``),
    ``reply`` (types), ``one_way``, ``channel`` and ``weight`` (1) beside it. ``templates`` is one, or a list of
    them, or YAML or JSON text of these.
    """

    templates: Any
    feeder: Feeder | None = None
    source: str = ""
    """The file that the templates are from, for errors; empty if there is none."""
    compiled: tuple[Compiled, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        templates = self.templates
        if isinstance(templates, str):
            templates = _parsed(templates, self.source)
        if isinstance(templates, Mapping):
            templates = [templates]
        if not isinstance(templates, Iterable) or isinstance(templates, bytes):
            raise ConfigError("expected a template or a list of them", source=self.source, value=templates)
        templates = list(templates)
        compiler = Compiler(self.source, self.feeder, self.now is not None)
        compiled = tuple(
            compiler.template(template, f"[{index}]" if len(templates) > 1 else "")
            for index, template in enumerate(templates)
        )
        if not any(one.weight for one in compiled):
            raise ConfigError("expected at least one template with a weight above 0", source=self.source)
        object.__setattr__(self, "compiled", compiled)

    @classmethod
    def from_file(cls, path: str | Path, *, feeder: Feeder | None = None, **options: Any) -> Template:
        """The templates of a YAML or JSON file (UTF-8), with the class's ``options``. ``ConfigError`` if malformed."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"the file cannot be read: {error.strerror}", source=str(path)) from error
        except UnicodeDecodeError as error:
            raise ConfigError("expected a file in UTF-8", source=str(path)) from error
        return cls(text, feeder=feeder, source=str(path), **options)

    def for_worker(self, index: int, number: int) -> Template:
        """The same templates with the feeder's rows for worker ``index`` (from 0) of ``number``."""
        feeder = self.feeder.for_worker(index, number) if self.feeder is not None else None
        return Template(self.templates, feeder, self.source, metadata=self.metadata, now=self.now)

    def bind(self, rng: random.Random, client_id: str) -> BoundGenerator:
        next_row = self.feeder.bind(rng, client_id) if self.feeder is not None else None
        scope = Scope(rng, client_id, next_row, self.now)
        parts: list[BoundGenerator] = [BoundTemplate(one, scope) for one in self.compiled]
        weights = [one.weight for one in self.compiled]
        return self.with_metadata(parts[0] if len(parts) == 1 else BoundMixed(rng, parts, weights), rng)


class BoundTemplate:
    """One template, filled for one user."""

    __slots__ = ("_compiled", "_scope")

    def __init__(self, compiled: Compiled, scope: Scope) -> None:
        self._compiled = compiled
        self._scope = scope

    def disconnected(self, channel: str | None = ALL) -> None:
        pass

    def generate(self) -> Message:
        compiled, scope = self._compiled, self._scope
        scope.seq += 1
        if scope.next_row is not None:
            scope.row = scope.next_row()
        return Message(
            compiled.name,
            compiled.fill(scope),
            reply=compiled.reply,
            one_way=compiled.one_way,
            channel=compiled.channel,
        )


def _parsed(text: str, source: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark is not None else ""
        raise ConfigError(f"not valid YAML or JSON{where}", source=source) from error
