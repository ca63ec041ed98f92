"""Settings that may change while the app runs: what is stored, over what the code says.

Pure: no I/O, no clock. What is stored and cannot be used is told, and the code's value holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.config.path_globs import matches_any
from fastapi_lens.config.request_log import LogSettings
from fastapi_lens.errors import ConfigError
from fastapi_lens.settings.ignore_rules import Rules, read_rules
from fastapi_lens.settings.status import Thresholds
from fastapi_lens.storage.records.settings import Stored

RETENTION = "retention"
THRESHOLDS = "thresholds"
RECORDING = "recording"
RULES = "rules"
HISTORY = "history"
"""Holds no setting: its version changes when somebody has deleted history."""

NAMES: Mapping[str, tuple[str, ...]] = {
    RETENTION: ("ttl_days",),
    THRESHOLDS: ("cold_threshold_days", "dead_threshold_days", "slow_threshold_ms"),
    RECORDING: tuple(setting.name for setting in fields(LogSettings)),
}
"""The settings of each section, besides the rules."""

_MAX_KNOWN = 16_384
"""Endpoints of which it is remembered whether the code leaves them in: pages ask for all."""

ALWAYS_EXCLUDED = ("/favicon.ico", "/robots.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is in force now.

    Attributes:
        ttl_days: Days that counts are kept at most; None keeps the tiers' own retention.
        thresholds: When an endpoint is cold, and dead.
        slow_threshold_ms: Milliseconds above which a p95 is marked as slow.
        log: What the request log keeps.
        rules: Which endpoints are ignored, besides those that the code excludes.
        exclude_paths: Globs that the code excludes.
        exclude_methods: Methods that the code excludes.
        unusable: Sentences about what is stored and cannot be used.
        versions: Of each stored section; what is in force changes only together with them.
    """

    ttl_days: int | None
    thresholds: Thresholds
    slow_threshold_ms: float
    log: LogSettings
    rules: Rules = field(default_factory=Rules)
    exclude_paths: tuple[str, ...] = ()
    exclude_methods: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()
    versions: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
    _known: dict[tuple[str, str], bool] = field(
        default_factory=dict[tuple[str, str], bool], init=False, compare=False, repr=False
    )

    @classmethod
    def of(cls, config: LensConfig, stored: Mapping[str, Stored] | None = None) -> "Settings":
        """The code's settings, and over them those that are stored."""
        stored = stored or {}
        effective, unusable = config, list[str]()
        for name, section in stored.items():
            if section.damaged:
                unusable.append(f"{name}: cannot be read")
            elif name in NAMES:
                effective, wrong = _overlaid(effective, name, section.values)
                unusable += wrong
        rules, wrong = read_rules(stored[RULES].values) if RULES in stored else (Rules(), [])
        return cls(
            ttl_days=effective.ttl_days,
            thresholds=Thresholds(effective.cold_threshold_days, effective.dead_threshold_days),
            slow_threshold_ms=effective.slow_threshold_ms,
            log=LogSettings.of(vars(effective)),
            rules=rules,
            exclude_paths=(*ALWAYS_EXCLUDED, *config.exclude_paths),
            exclude_methods=config.exclude_methods,
            unusable=(*unusable, *wrong),
            versions={name: section.version for name, section in stored.items()},
        )

    def value(self, name: str) -> object:
        """One of the settings that pages can change, by its name in `LensConfig`."""
        if name in NAMES[RECORDING]:
            return getattr(self.log, name)
        thresholds = self.thresholds
        return {
            "ttl_days": self.ttl_days,
            "cold_threshold_days": thresholds.cold_days,
            "dead_threshold_days": thresholds.dead_days,
            "slow_threshold_ms": self.slow_threshold_ms,
        }[name]

    def has(self, method: str, path: str) -> bool:
        """Whether the code leaves an endpoint in, ignored by a rule or not."""
        known = self._known.get((method, path))
        if known is None:
            excluded = method in self.exclude_methods or matches_any(self.exclude_paths, path)
            known = not excluded
            if len(self._known) < _MAX_KNOWN:
                self._known[method, path] = known
        return known

    def shows(self, method: str, path: str) -> bool:
        """Whether an endpoint is recorded and shown."""
        return self.has(method, path) and not self.rules.ignores(method, path)


def _overlaid(
    config: LensConfig, section: str, values: Mapping[str, Any]
) -> tuple[LensConfig, list[str]]:
    """What is stored in a section over a configuration, and what of it cannot be used.

    The values are taken together, because they may be right only together.
    """
    known = {name: value for name, value in values.items() if name in NAMES[section]}
    wrong = [f"{section}: there is no setting {name}" for name in values if name not in known]
    while known:
        try:
            return config.with_values(known), wrong
        except ConfigError as error:
            wrong.append(f"{section}: {error.field} {error.problem}")
            # Where another one is named, none of these goes with what the code says.
            known = (
                {n: v for n, v in known.items() if n != error.field} if error.field in known else {}
            )
    return config, wrong
