"""The YAML files: what may stand in them, their defaults, and clear errors for what may not.

Values may name environment variables as ``${NAME}``; what came from one is never shown in an error. A profile that
has a default is changed key by key; a profile of a new name is added. What a locustfile gives to ``install`` are the same
keys; a file stands over them, key by key.
"""

from locust_ext.settings.file import read_yaml
from locust_ext.settings.layers import Layer, check_names, layer, load_settings, read_layer, settings_of
from locust_ext.settings.parts import (
    BaselineSettings,
    ExporterSettings,
    GeneratorSettings,
    LogSettings,
    MonitorSettings,
    RecordSettings,
    StatisticsSettings,
)
from locust_ext.settings.realistic import ActionShares, ContextSettings, Profile, RealisticSettings, parse_profiles
from locust_ext.settings.schema import json_schema
from locust_ext.settings.types import MIX_NAMES
from locust_ext.settings.whole import Origin, Settings, unpacked

__all__ = [
    "MIX_NAMES",
    "ActionShares",
    "BaselineSettings",
    "ContextSettings",
    "ExporterSettings",
    "GeneratorSettings",
    "Layer",
    "LogSettings",
    "MonitorSettings",
    "Origin",
    "Profile",
    "RealisticSettings",
    "RecordSettings",
    "Settings",
    "StatisticsSettings",
    "check_names",
    "json_schema",
    "layer",
    "load_settings",
    "parse_profiles",
    "read_layer",
    "read_yaml",
    "settings_of",
    "unpacked",
]
