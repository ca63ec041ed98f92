"""Settings that may change while the app runs: stored values, over those of the code.

Pure: no I/O, no clock. An unusable stored value is reported, and the code's value applies.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi_lens.config.lens_config import SETTINGS, LensConfig
from fastapi_lens.config.path_globs import matches_any
from fastapi_lens.config.setting import Section, Setting
from fastapi_lens.errors import ConfigError
from fastapi_lens.settings.ignore_rules import Rules, read_rules
from fastapi_lens.settings.keeps import KeptEndpoints, read_keeps
from fastapi_lens.settings.status import Thresholds
from fastapi_lens.storage.records.settings import Stored
from fastapi_lens.verdict.history import Keep

RULES = "rules"
KEEPS = "keeps"
HISTORY = "history"
"""A section without settings, whose version changes when history is deleted."""

SECTIONS: Mapping[str, tuple[Setting, ...]] = {
    section.value: tuple(one for one in SETTINGS.values() if one.section is section)
    for section in Section
}
"""The settings that may change at run time, by section, besides the rules and the keeps."""

MAX_KNOWN = 16_384
"""Most cached results of `is_included`, because pages need it for all endpoints."""

# Browsers and crawlers request these by themselves.
ALWAYS_EXCLUDED = ("/favicon.ico", "/robots.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The active settings.

    Attributes:
        config: The code's settings, overridden by the stored ones.
        rules: Ignore rules, in addition to the endpoints that the code excludes.
        kept: Endpoints that an admin keeps on purpose, in addition to those of the code.
        unusable: Sentences about stored values that cannot be used.
        versions: Version of each stored section; settings change only together with them.
    """

    config: LensConfig
    rules: Rules = field(default_factory=Rules)
    kept: KeptEndpoints = field(default_factory=KeptEndpoints)
    unusable: tuple[str, ...] = ()
    # Settings are part of cache keys, and a dict has no hash.
    versions: Mapping[str, int] = field(default_factory=dict[str, int], hash=False)
    _known: dict[tuple[str, str], bool] = field(
        default_factory=dict[tuple[str, str], bool], init=False, compare=False, repr=False
    )

    @classmethod
    def of(cls, config: LensConfig, stored: Mapping[str, Stored] | None = None) -> "Settings":
        """The code's settings, overridden by the stored ones."""
        stored = stored or {}
        active, unusable = config, list[str]()
        for name, section in stored.items():
            if section.damaged:
                unusable.append(f"{name}: cannot be read")
            elif name in SECTIONS:
                active, wrong = _overlaid(active, name, section.values)
                unusable += wrong
        rules, wrong = read_rules(stored[RULES].values) if RULES in stored else (Rules(), [])
        unusable += wrong
        kept, wrong = read_keeps(stored[KEEPS].values) if KEEPS in stored else (KeptEndpoints(), [])
        return cls(
            config=active,
            rules=rules,
            kept=kept,
            unusable=(*unusable, *wrong),
            versions={name: section.version for name, section in stored.items()},
        )

    @property
    def thresholds(self) -> Thresholds:
        """Limits after which an endpoint is cold, and dead."""
        return Thresholds(self.config.cold_threshold_days, self.config.dead_threshold_days)

    @property
    def slow_threshold_ms(self) -> float:
        """Milliseconds above which a p95 is marked as slow."""
        return self.config.slow_threshold_ms

    @property
    def keeps(self) -> Mapping[int, Keep]:
        """The decisions of admins to keep an endpoint, by its id; expired ones, too."""
        return self.kept.by_endpoint

    def is_included(self, method: str, path: str) -> bool:
        """True if the code does not exclude an endpoint; a rule may still ignore it."""
        known = self._known.get((method, path))
        if known is None:
            paths = (*ALWAYS_EXCLUDED, *self.config.exclude_paths)
            known = method not in self.config.exclude_methods and not matches_any(paths, path)
            if len(self._known) < MAX_KNOWN:
                self._known[method, path] = known
        return known

    def is_recorded(self, method: str, path: str) -> bool:
        """True if an endpoint is recorded and shown."""
        return self.is_included(method, path) and not self.rules.ignores(method, path)


def _overlaid(
    config: LensConfig, section: str, values: Mapping[str, Any]
) -> tuple[LensConfig, list[str]]:
    """A configuration overridden by a stored section, and the faults of unusable values.

    The values are applied together, because they may be valid only together.
    """
    names = {setting.name for setting in SECTIONS[section]}
    known = {name: value for name, value in values.items() if name in names}
    wrong = [f"{section}: there is no setting {name}" for name in values if name not in known]
    while known:
        try:
            return config.with_values(known), wrong
        except ConfigError as error:
            wrong.append(f"{section}: {error.field} {error.problem}")
            # If the error names another setting, none of these is valid with the code's values.
            known = (
                {n: v for n, v in known.items() if n != error.field} if error.field in known else {}
            )
    return config, wrong
