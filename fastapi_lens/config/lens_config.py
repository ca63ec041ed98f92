"""LensConfig: every setting, its default and its check, in one place. Opens nothing."""

import os
from collections.abc import Mapping
from copy import copy
from dataclasses import InitVar, dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

from sqlalchemy.engine import URL

from fastapi_lens.config.authorize import Authorize
from fastapi_lens.config.checks import check_directory, trusted_origin
from fastapi_lens.config.keys import SINGLE_KEY, KeyConfig, check_different, check_key, named_keys
from fastapi_lens.config.places import Place, default_db_path, place_of
from fastapi_lens.config.request_log import LogSettings
from fastapi_lens.config.values import env_name, typed
from fastapi_lens.errors import ConfigError
from fastapi_lens.text.methods import method_name

MAX_DAYS = 36_500
"""A century: longer ones are no time that a database is asked about."""

MAX_NAME_LENGTH = 200
"""What the columns of the app's name and of its release hold."""

REMOVED: Mapping[str, str] = {
    "freeze_gc": "was removed, because the lens leaves the garbage collector alone: to keep what "
    "it spared, call gc.freeze() in your own start-up (docs/recording.md)"
}
"""Settings of earlier releases, each with what to do instead."""

_LOGINS = (
    *("session_max_age", "session_idle_seconds", "login_max_failures"),
    "login_window_seconds",
)


def _setting(name: str, default: Any, *, unit: str = "", secret: bool = False) -> Any:
    """A dataclass field that falls back to its environment variable, then to its default."""
    return field(
        default_factory=lambda: os.environ.get(env_name(name), default),
        repr=not secret,
        hash=False if isinstance(default, dict) or name == "authorize" else None,
        metadata={"default": default, "unit": unit},
    )


@dataclass(frozen=True, kw_only=True)
class LensConfig:
    """All settings, frozen and checked once.

    Each value comes from the argument, else from the environment (``LENS_`` and the name in
    capitals, lists separated by commas), else from its default.

    Attributes:
        db_path: SQLite file, created when missing; ``":memory:"`` keeps all in this process. A
            relative path is resolved against the working directory when the settings are created.
        database_url: SQLAlchemy URL (SQLite, PostgreSQL, MariaDB/MySQL); wins over `db_path`.
        ttl_days: Days that counts are kept; ``None`` keeps the tiers' own retention.
        security_enabled: ``None`` demands a key or asks `authorize` as soon as there is one, and
            answers only this machine without; ``True`` needs one; ``False`` is open to all.
        report_key: The key of the admin and of the reports.
        report_keys: Several keys by name, each text or a `KeyConfig` with its scope.
        authorize: Decides who may look, instead of keys; a callable, or ``module:name`` of one. See
            `fastapi_lens.config.authorize`.
        report_path: Where the JSON reports answer, besides ``/report`` under the admin.
        ignore_unmapped: Do not count 404s of paths that no route matches.
        flush_interval: Seconds between two flushes of the counters to the database.
        max_batch_size: Rows of the request log that one transaction writes at most.
        exclude_paths: Globs on path templates, by whole segments, that are not recorded.
        exclude_methods: HTTP methods that are not recorded.
        cold_threshold_days: Days without a call after which an endpoint is cold.
        dead_threshold_days: Days without a call after which an endpoint is dead.
        slow_threshold_ms: Milliseconds above which a p95 is marked as slow.
        log_sample_rate: Share of the requests that the request log keeps, from 0 to 1; this and
            those that follow are explained by `LogSettings`.
        app_name: Name of the application, which keeps apps in one database apart; ``None``
            takes the FastAPI title.
        environment: Shown in the admin's bar, for example ``production``.
        release: The host's version, kept with each worker.
        template_dirs: Directories whose templates win over the built-in ones.
        trusted_origins: Other origins whose pages may read the admin and submit its forms.
        session_max_age: Seconds that a login lasts at most.
        session_idle_seconds: Seconds without a request after which it ends.
        login_max_failures: Wrong keys of a client after which it has to wait.
        login_window_seconds: Seconds after which they are forgotten; also the longest wait.

    Raises:
        ConfigError: A value cannot work; it names the field and the fix.
    """

    db_path: str = field(
        default_factory=default_db_path, metadata={"default": "lens.db", "unit": "file"}
    )
    database_url: str | None = _setting("database_url", None, unit="URL", secret=True)
    ttl_days: int | None = _setting("ttl_days", None, unit="days")
    security_enabled: bool | None = _setting("security_enabled", None)
    report_key: str | None = _setting("report_key", None, secret=True)
    report_keys: Mapping[str, str | KeyConfig] = _setting("report_keys", {}, secret=True)
    authorize: Authorize | None = _setting("authorize", None)  # noqa: RUF009  As the others are.
    report_path: str = _setting("report_path", "/lens/report", unit="path")
    ignore_unmapped: bool = _setting("ignore_unmapped", default=True)
    flush_interval: float = _setting("flush_interval", 5.0, unit="seconds")
    max_batch_size: int = _setting("max_batch_size", 100, unit="rows")
    exclude_paths: tuple[str, ...] = _setting("exclude_paths", (), unit="globs")
    exclude_methods: tuple[str, ...] = _setting("exclude_methods", (), unit="methods")
    cold_threshold_days: float = _setting("cold_threshold_days", 7, unit="days")
    dead_threshold_days: float = _setting("dead_threshold_days", 30, unit="days")
    slow_threshold_ms: float = _setting("slow_threshold_ms", 500.0, unit="milliseconds")
    log_sample_rate: float = _setting("log_sample_rate", 0.01, unit="share")
    log_errors_per_minute: int = _setting("log_errors_per_minute", 60, unit="requests")
    log_slowest: int = _setting("log_slowest", 10, unit="requests")
    log_max_rows: int = _setting("log_max_rows", 10_000, unit="rows")
    log_query_values: bool = _setting("log_query_values", default=False)
    log_clients: str = _setting("log_clients", "off", unit="off, masked, hashed")
    app_name: str | None = _setting("app_name", None)
    environment: str | None = _setting("environment", None)
    release: str | None = _setting("release", None)
    template_dirs: tuple[str, ...] = _setting("template_dirs", (), unit="directories")
    trusted_origins: tuple[str, ...] = _setting("trusted_origins", (), unit="origins")
    session_max_age: int = _setting("session_max_age", 604_800, unit="seconds")
    session_idle_seconds: int = _setting("session_idle_seconds", 86_400, unit="seconds")
    login_max_failures: int = _setting("login_max_failures", 5)
    login_window_seconds: int = _setting("login_window_seconds", 300, unit="seconds")
    freeze_gc: InitVar[None] = None

    def __post_init__(self, freeze_gc: object) -> None:
        """Bring every value to its type, then check each of them and what they mean together."""
        if freeze_gc is not None:
            raise ConfigError("freeze_gc", REMOVED["freeze_gc"])
        hints = get_type_hints(type(self))
        named = self.db_path
        for setting in fields(self):
            value = typed(setting.name, getattr(self, setting.name), hints[setting.name])
            object.__setattr__(self, setting.name, value)
        _check_times(self)
        _check_names(self)
        _check_access(self)
        _check_places(self)
        # Resolved now: the process may change its working directory later.
        vars(self).update(
            _place=place_of(named, self.database_url),
            _template_folders=tuple(str(Path(one).absolute()) for one in self.template_dirs),
        )
        _check_exclusions(self)
        LogSettings.of(vars(self))

    def with_values(self, values: Mapping[str, Any]) -> "LensConfig":
        """The same settings but for some, which are brought to their types and checked alike.

        Args:
            values: By name, of those that may change while the app runs.

        Raises:
            ConfigError: A value cannot work.
        """
        hints = get_type_hints(type(self))
        other = copy(self)
        for name, value in values.items():
            object.__setattr__(other, name, typed(name, value, hints[name]))
        _check_times(other)
        LogSettings.of(vars(other))
        return other

    @property
    def place(self) -> Place:
        """The place of the counts, resolved when this object was created."""
        place: Place = vars(self)["_place"]
        return place

    @property
    def template_folders(self) -> tuple[str, ...]:
        """`template_dirs` as absolute paths, resolved when this object was created."""
        folders: tuple[str, ...] = vars(self)["_template_folders"]
        return folders

    @property
    def url(self) -> URL:
        """The SQLAlchemy URL in use, with driver and absolute path; hides the password."""
        return self.place.url

    @property
    def key_required(self) -> bool:
        """Whether the admin and the reports ask for a key, which they never do with a hook."""
        if self.security_enabled is None:
            return bool(self.keys)
        return self.security_enabled and self.authorize is None

    @property
    def keys(self) -> dict[str, KeyConfig]:
        """All keys by name, the single one among them."""
        single = {} if self.report_key is None else {SINGLE_KEY: KeyConfig(self.report_key)}
        return {**single, **named_keys(self.report_keys, as_json=False)}

    @property
    def unguarded(self) -> str:
        """The clients with access without a key, for the log; empty if keys or a hook decide."""
        if self.security_enabled is False:
            return "is open to everybody: security_enabled is false"
        if self.key_required or self.authorize is not None:
            return ""
        return (
            "has no report_key: the admin answers only requests from this machine. A proxy on "
            "this machine can make all requests look local; set LENS_REPORT_KEY before you use one"
        )


def _check_times(config: LensConfig) -> None:
    for name in ("flush_interval", "max_batch_size", "slow_threshold_ms", *_LOGINS):
        if getattr(config, name) <= 0:
            raise ConfigError(name, f"must be greater than 0, not {getattr(config, name)}")
    for name in ("ttl_days", "cold_threshold_days", "dead_threshold_days"):
        if (getattr(config, name) or 0) > MAX_DAYS:
            raise ConfigError(name, f"must be at most {MAX_DAYS:,} days")
    if config.ttl_days is not None and config.ttl_days <= 0:
        raise ConfigError(
            "ttl_days",
            f"must be at least 1 day, not {config.ttl_days}; leave it None to keep the defaults",
        )
    if config.cold_threshold_days <= 0:
        raise ConfigError(
            "cold_threshold_days", f"must be greater than 0, not {config.cold_threshold_days}"
        )
    if config.dead_threshold_days <= config.cold_threshold_days:
        raise ConfigError(
            "dead_threshold_days",
            f"({config.dead_threshold_days:g}) must be longer than cold_threshold_days "
            f"({config.cold_threshold_days:g})",
        )


def _check_names(config: LensConfig) -> None:
    for name in ("app_name", "release"):
        if len(getattr(config, name) or "") > MAX_NAME_LENGTH:
            raise ConfigError(name, f"must have at most {MAX_NAME_LENGTH} characters")


def _check_access(config: LensConfig) -> None:
    if config.report_key is not None:
        check_key("report_key", config.report_key)
        check_different(config.keys)
    if config.authorize is not None and (config.keys or config.security_enabled is False):
        raise ConfigError(
            "authorize",
            "decides alone who may look: set no report_key, no report_keys and no "
            "security_enabled=False beside it",
        )
    if config.security_enabled and not config.keys and config.authorize is None:
        raise ConfigError(
            "report_key", "must be set when security_enabled is true; without a key nobody gets in"
        )
    origins = tuple(map(trusted_origin, config.trusted_origins))
    object.__setattr__(config, "trusted_origins", origins)


def _check_places(config: LensConfig) -> None:
    if not config.report_path.startswith("/") or config.report_path == "/":
        raise ConfigError(
            "report_path",
            "must start with a slash and name a path, like /lens/report, "
            f"not {config.report_path!r}",
        )
    if config.report_path.endswith("/"):
        raise ConfigError("report_path", f"must not end with a slash: {config.report_path!r}")
    for directory in config.template_dirs:
        check_directory("template_dirs", directory)


def _check_exclusions(config: LensConfig) -> None:
    for pattern in config.exclude_paths:
        if not pattern.startswith("/") and not pattern.startswith("**"):
            raise ConfigError(
                "exclude_paths", f"must hold globs that start with a slash, not {pattern!r}"
            )
    methods = tuple(method_name(method.upper()) for method in config.exclude_methods)
    object.__setattr__(config, "exclude_methods", methods)
