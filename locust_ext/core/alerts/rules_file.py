"""Reads rules, from a file of their own or from the settings.

Every mistake is told with file, key, value, what was expected and the nearest valid name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from locust_ext.core.alerts.rule_keys import known, number_of, read_rule
from locust_ext.core.alerts.rules import MAX_RULES, Rule, Rules, Webhook
from locust_ext.errors import ConfigError
from locust_ext.settings import Settings
from locust_ext.settings.file import read_yaml, substituted
from locust_ext.settings.whole import reaches

DEFAULT: Final = "default"
"""Instead of a path: the rules that are shipped."""
NONE: Final = "none"
"""Instead of a path: no rules, not even those that the locustfile or the settings bring."""
_SIGNS_OF_ABOVE: Final = ("chomping or indentation", "a comment or a line break", "character '>'")
"""What YAML says of `> 200ms` without quotes, in which it sees the beginning of a block of text."""


def default_path() -> Path:
    """The shipped rules: in an installed package, or in a checkout."""
    package = Path(__file__).parents[2]
    installed = package / "config" / "rules.yaml"
    return installed if installed.is_file() else package.parent / "config" / "rules.yaml"


def load_rules(path: str | Path, environ: Mapping[str, str] | None = None) -> tuple[Rule, ...]:
    """The rules of a YAML file, or of the shipped one for `default`; see `load_rule_file`."""
    return load_rule_file(path, environ).rules


def load_rule_file(path: str | Path, environ: Mapping[str, str] | None = None) -> Rules:
    """What stands in a YAML file of rules. `environ` is `os.environ` unless given.

    `ConfigError` names the file, the key's path (`rules[2].metric`), the value, what was expected and the nearest valid
    name. What came from an environment variable, and the webhook's URL, are never shown.
    """
    path = default_path() if path == DEFAULT else path
    source = str(path)
    try:
        document = read_yaml(path)
    except ConfigError as error:
        if not any(sign in error.expected for sign in _SIGNS_OF_ABOVE):
            raise
        raise ConfigError(f'{error.expected}; a limit with > stands in quotes: "> 200ms"', source=source) from None
    if not isinstance(document, dict):
        raise ConfigError("expected a mapping with the key rules", source=source, value=document)
    from_environ: set[str] = set()
    try:
        document = substituted(document, "", source, os.environ if environ is None else environ, from_environ)
    except ConfigError as error:
        raise ConfigError(error.expected, source=source, key=_indexed(error.key)) from None
    return _read(document, "", source, lambda key: reaches(key, from_environ))


def rules_of(settings: Settings) -> Rules | None:
    """What stands under ``rules`` in the settings: the rules themselves, or where they are; None: nothing does.

    A path is relative to the folder of who says it. Errors as `load_rule_file` gives them, with the whole path of a key.
    """
    given = settings.rules
    origin = settings.origin("rules")
    source = origin.source if origin is not None else ""
    if given is None or given == NONE:
        return None
    if isinstance(given, str):
        if given == DEFAULT:
            return load_rule_file(DEFAULT)
        path = Path(source).parent / given
        if not path.is_file():  # what is wrong in it is told as of the file; that it is missing, where it is named
            raise ConfigError(
                "expected default, none, or the path of a file of rules",
                source=source,
                key="rules",
                value=given,
                shows_value=not settings.is_secret("rules"),
            )
        return load_rule_file(path)
    if isinstance(given, list):
        return _read({"rules": given}, "", source, settings.is_secret)
    return _read(given, "rules", source, settings.is_secret)


def _read(document: dict[Any, Any], under: str, source: str, is_secret: Callable[[str], bool]) -> Rules:
    """The rules of a mapping, whose mistakes are told as of a file's; ``under`` is the path that it stands at."""
    try:
        return _file(document)
    except ConfigError as error:
        key = error.key.replace("[", ".").replace("]", "")
        secret = key == "webhook.url" or is_secret(".".join(part for part in (under, key) if part))
        told = error.under(under, source, shows_value=not secret)
        told.nearest = None if secret else told.nearest
        raise told from None


def _indexed(key: str) -> str:
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", key)


def _file(document: dict[Any, Any]) -> Rules:
    known(document, ("rules", "webhook"), "")
    webhook = _webhook(document["webhook"]) if document.get("webhook") is not None else None
    given = document.get("rules")
    if not isinstance(given, list) or not given:
        raise ConfigError("expected a list of rules", key="rules", value=None if given is None else given)
    if len(given) > MAX_RULES:
        raise ConfigError(f"expected at most {MAX_RULES:,} rules", key="rules", value=len(given))
    rules: list[Rule] = []
    for index, each in enumerate(given):
        try:
            rule = read_rule(each)
            if any(rule.name == other.name for other in rules):
                raise ConfigError("expected each rule's name once", key="name", value=rule.name)
            for key in ("on_warning", "on_critical"):
                if webhook is None and "webhook" in getattr(rule, key):
                    raise ConfigError(
                        "expected a webhook with its url at the top of the file", key=key, value="webhook"
                    )
        except ConfigError as error:
            raise error.under(f"rules[{index}]") from None
        rules.append(rule)
    return Rules(tuple(rules), webhook)


def _webhook(given: object) -> Webhook:
    if not isinstance(given, dict):  # a secret may stand in it: it is not shown
        what = "text" if isinstance(given, str) else type(given).__name__
        raise ConfigError(f'expected a mapping such as {{url: "https://…"}}, not a {what}', key="webhook")
    known(given, ("url", "timeout_s"), "webhook")
    url = given.get("url")
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or not isinstance(url, str):
        raise ConfigError("expected an http or https URL", key="webhook.url")
    timeout_s = number_of(given.get("timeout_s", 5.0), "webhook.timeout_s", "above 0, of at most 60", 0, 60)
    if not timeout_s:
        raise ConfigError("expected a number above 0, of at most 60", key="webhook.timeout_s", value=timeout_s)
    return Webhook(url, timeout_s)
