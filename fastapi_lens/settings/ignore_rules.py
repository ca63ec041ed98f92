"""Ignore rules of endpoints and of their responses. Pure; knows no database and no requests."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from fastapi_lens.config.path_globs import ANY_DEPTH, matches
from fastapi_lens.errors import ConfigError
from fastapi_lens.text.methods import is_method_name

_Kind = TypeVar("_Kind", str, int)
PATTERN, METHODS, STATUSES = "pattern", "methods", "statuses"
STATUS_CLASSES = (2, 3, 4, 5)
MAX_PATTERN = 500
MAX_SEGMENTS = 50
MAX_RULES = 100
MAX_METHODS = 20
_MAX_ID = 32
MAX_KNOWN = 20_000
"""Most cached results; further endpoints are matched each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A set of endpoints to ignore, or of their responses not to count.

    Attributes:
        id: Identifier in forms.
        pattern: A glob on the whole path template, by segments.
        methods: Methods that it covers, in capitals, sorted; empty for all.
        statuses: Classes of status codes (5 for 5xx) that are not counted, sorted; empty ignores
            the endpoints themselves.
        paused: True if it has no effect for now.
    """

    id: str
    pattern: str
    methods: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()
    paused: bool = False

    def __post_init__(self) -> None:
        """Check every part.

        Raises:
            ConfigError: One of them cannot work; `field` is its name here.
        """
        _check_pattern(self.pattern)
        if len(self.methods) > MAX_METHODS or not all(map(_is_method, self.methods)):
            raise ConfigError(METHODS, "must be names of HTTP methods, such as GET")
        if not set(self.statuses) <= set(STATUS_CLASSES):
            raise ConfigError(STATUSES, "must be some of 2xx, 3xx, 4xx and 5xx")

    @classmethod
    def of(cls, stored: object) -> "Rule":
        """A rule from its stored form, see `as_stored`.

        Raises:
            ConfigError: It is none.
        """
        values = cast("dict[str, Any]", stored) if isinstance(stored, dict) else {}
        identity, pattern, paused = map(values.get, ("id", "pattern", "paused"))
        if not (
            isinstance(identity, str)
            and 0 < len(identity) <= _MAX_ID
            and isinstance(pattern, str)
            and isinstance(paused, bool)
        ):
            raise ConfigError("rules", "contains an entry that is not a rule")
        return cls(
            id=identity,
            pattern=pattern,
            methods=tuple(sorted(set(_all(str, values.get(METHODS))))),
            statuses=tuple(sorted(set(_all(int, values.get(STATUSES))))),
            paused=paused,
        )

    def as_stored(self) -> dict[str, Any]:
        """Its stored form, as JSON values."""
        return {
            "id": self.id,
            "pattern": self.pattern,
            "methods": list(self.methods),
            "statuses": list(self.statuses),
            "paused": self.paused,
        }

    def covers(self, method: str, path: str) -> bool:
        """True if it covers an endpoint; never one without a path, such as ``<unmapped>``."""
        its_method = not self.methods or method in self.methods
        return its_method and path.startswith("/") and matches(self.pattern, path)

    def __str__(self) -> str:
        """Its text in the audit log."""
        parts = [
            " ".join(self.methods),
            self.pattern,
            " ".join(f"{one}xx" for one in self.statuses),
        ]
        return " ".join(filter(None, (*parts, "(paused)" if self.paused else "")))


@dataclass(frozen=True, slots=True)
class Rules:
    """All rules of an app. Their order does not matter."""

    all: tuple[Rule, ...] = ()
    _known: dict[tuple[str, str], bool] = field(
        default_factory=dict[tuple[str, str], bool], compare=False, repr=False
    )

    def ignores(self, method: str, path: str) -> bool:
        """True if an endpoint is neither recorded nor shown."""
        if not self.all:
            return False
        known = self._known.get((method, path))
        if known is None:
            known = bool(self.ignoring(method, path))
            if len(self._known) < MAX_KNOWN:
                self._known[method, path] = known
        return known

    def ignoring(self, method: str, path: str) -> list[Rule]:
        """The rules that ignore an endpoint."""
        covering = (rule for rule in self._active if not rule.statuses)
        return [rule for rule in covering if rule.covers(method, path)]

    def skips(self, method: str, path: str, status: int) -> bool:
        """True if a response with this status code is not counted."""
        return self.ignores(method, path) or any(
            rule.covers(method, path) for rule in self._active if status // 100 in rule.statuses
        )

    def covers(self, method: str, path: str) -> bool:
        """True if a rule keeps any response of an endpoint from being counted.

        Each class of status codes has responses of use to the caller, 4xx too (409, 429).
        """
        return any(rule.covers(method, path) for rule in self._active)

    @property
    def is_active(self) -> bool:
        """True if any rule is active."""
        return any(True for _ in self._active)

    @property
    def _active(self) -> Iterable[Rule]:
        return (rule for rule in self.all if not rule.paused)


def read_rules(values: Mapping[str, Any]) -> tuple[Rules, list[str]]:
    """The rules of a stored section, and the faults of unusable ones."""
    stored: Any = values.get("rules", [])
    if not isinstance(stored, list):
        return Rules(), ["rules is not a list"]
    found: dict[str, Rule] = {}
    wrong: list[str] = []
    # Another program may have stored more, and each one slows down matching.
    for number, one in enumerate(cast("list[object]", stored)[:MAX_RULES], 1):
        try:
            rule = Rule.of(one)
            # The first of an id, because a form could not tell two apart.
            found.setdefault(rule.id, rule)
        except ConfigError as error:
            wrong.append(f"rule {number}: {error.field} {error.problem}")
    return Rules(tuple(found.values())), wrong


def _all(kind: type[_Kind], values: object) -> list[_Kind]:
    found = cast("list[object]", values) if isinstance(values, list) else [None]
    # A bool is an int in Python.
    right = [one for one in found if isinstance(one, kind) and not isinstance(one, bool)]
    if len(right) != len(found):
        raise ConfigError("rules", "contains an entry that is not a rule")
    return right


def _check_pattern(pattern: str) -> None:
    if not pattern.startswith(("/", ANY_DEPTH)):
        raise ConfigError(PATTERN, "must start with a slash, like /internal/**")
    if len(pattern) > MAX_PATTERN or pattern.count("/") > MAX_SEGMENTS:
        raise ConfigError(
            PATTERN, f"must have at most {MAX_PATTERN} letters and {MAX_SEGMENTS} segments"
        )
    for segment in pattern.split("/"):
        if "*" in segment and segment not in ("*", ANY_DEPTH):
            raise ConfigError(
                PATTERN, f"has a star within the segment {segment!r}; * stands for a whole segment"
            )
    if not pattern.isprintable():
        raise ConfigError(PATTERN, "must have no control characters")


def _is_method(method: str) -> bool:
    return is_method_name(method.upper())
