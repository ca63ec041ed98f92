"""LensConfig: every setting, its default and its check, in one place. Opens nothing."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, fields, replace
from functools import partial
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

from pydantic import SecretStr
from sqlalchemy.engine import URL

from fastapi_lens.config.authorize import Authorize
from fastapi_lens.config.callers import (
    CALLERS,
    Callers,
    Consumer,
    check_consumer,
    check_header,
    noise_names,
)
from fastapi_lens.config.checks import check_directory, trusted_origin
from fastapi_lens.config.environment import from_environment
from fastapi_lens.config.keys import SINGLE_KEY, KeyConfig, check_different, check_key, named_keys
from fastapi_lens.config.places import DefaultPath, Place, place_of
from fastapi_lens.config.setting import METADATA, Section, Setting
from fastapi_lens.config.source_link import SourceLink
from fastapi_lens.config.values import typed
from fastapi_lens.config.webhook_url import WebhookUrl
from fastapi_lens.errors import ConfigError
from fastapi_lens.text.methods import method_name
from fastapi_lens.text.noise import NOISE

Idle: TypeAlias = Literal["unobserved", "silent"]
"""The meaning of time in which no worker lives."""

Clients: TypeAlias = Literal["off", "masked", "hashed"]
"""The part of a client's address that the request log keeps."""

DigestDay: TypeAlias = Literal[
    "off", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"
]
"""The day of the weekly digest."""

MAX_DAYS = 36_500
"""Most days of a setting: a century."""

MAX_NAME_LENGTH = 200
"""Length of the columns of the app's name and of its release."""

REMOVED: Mapping[str, str] = {
    "freeze_gc": "was removed, because the lens leaves the garbage collector alone: to keep what "
    "it spared, call gc.freeze() in your own start-up (docs/recording.md)"
}
"""Settings of earlier releases, each with its replacement."""

_SECONDS = Setting(unit="seconds", above=0).as_metadata
_threshold = partial(Setting, section=Section.THRESHOLDS, above=0)
_log = partial(Setting, section=Section.RECORDING)
_callers = partial(Setting, section=Section.CALLERS)
_PER_MINUTE = "per minute, per worker"
_SWITCH = {"on": "On", "off": "Off"}
_notification = partial(Setting, section=Section.NOTIFICATIONS)


@from_environment(removed=REMOVED)
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
        log_sample_rate: Share of all requests that the request log keeps, from 0 to 1.
        log_errors_per_minute: Server errors that each worker keeps per minute at most.
        log_slowest: Requests that each worker keeps per minute because they were slow.
        log_max_rows: Requests of an app that are kept, and exception types; the oldest go.
        log_query_values: Keep the values of a query, not its parameter names alone.
        log_clients: The part of a client's address that is kept: ``off`` none, ``masked`` its
            network, ``hashed`` a keyed hash.
        log_exception_messages: Keep the messages of exceptions, in their tracebacks as well.
        consumer: Names the caller of a request; a callable on the ASGI scope, or ``module:name`` of
            one. See `fastapi_lens.config.callers`.
        callers: The source of the names of callers: ``off`` none, ``hook`` `consumer`, ``key`` also
            the header that holds a key, ``agent`` also the User-Agent. ``None`` takes ``hook`` if
            there is a `consumer`, else ``off``.
        caller_header: The header that holds a key, of which only a keyed hash is kept.
        noise: Names of callers whose calls show no use: health checks, robots, tests.
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
        idle: The meaning of time without any worker: ``unobserved``, or ``silent`` where a call
            would have started one (an application that scales to zero).
        webhook_url: Where alerts and the weekly digest are sent, as JSON that Slack and Teams
            show; a secret. ``None`` sends nothing.
        webhook_allow_private: Allow ``http`` and receivers in private networks.
        source_link: Template of links to the code: ``vscode://file/{path}:{line}``, or
            ``https://example.com/shop/blob/{release}/{file}#L{line}``. ``None`` makes no links.
        public_url: Address of the admin as people open it, for links in notifications:
            ``https://api.example.com/lens``.
        alert_error_share: Share of 5xx of an endpoint that is an alert; ``None`` for no alerts.
        alert_slow: Alert if the p95 of an endpoint exceeds `slow_threshold_ms`.
        alert_dead: Alert if an endpoint becomes dead.
        alert_deprecated: Alert if a deprecated endpoint is called.
        digest_day: Day of the weekly digest, or ``off``.
        place: The database of the counts, resolved when this object was created.
        template_folders: `template_dirs` as absolute paths, resolved likewise.

    Raises:
        ConfigError: A value cannot work; it names the field and the fix.
    """

    # A type of its own, because only the default may fall back to memory.
    db_path: str | PathLike[str] = field(default=DefaultPath("lens.db"))
    database_url: str | SecretStr | None = field(default=None, repr=False)
    ttl_days: int | None = field(
        default=None,
        metadata=Setting(
            "Keep counts for at most",
            "days",
            least=1,
            most=MAX_DAYS,
            section=Section.RETENTION,
            hint="Empty keeps minutes for 6 hours, hours for 35 days, days for 400 days, and "
            "weeks for ever. First and last call and all-time totals are always kept.",
            unset="by resolution",
        ).as_metadata,
    )
    security_enabled: bool | None = None
    report_key: str | SecretStr | None = field(default=None, repr=False)
    # Mappings have no hash, and settings are part of the keys of caches.
    report_keys: Mapping[str, str | SecretStr | KeyConfig] | None = field(
        default=None, repr=False, hash=False
    )
    authorize: Authorize | None = field(
        default=None,
        hash=False,
        metadata=Setting(
            noun="a function of the request that returns a Scope or None",
            example="myapp.security:may_look",
        ).as_metadata,
    )
    report_path: str = "/lens/report"
    ignore_unmapped: bool = True
    flush_interval: float = field(default=5.0, metadata=_SECONDS)
    max_batch_size: int = field(default=100, metadata=Setting(unit="rows", above=0).as_metadata)
    exclude_paths: Sequence[str] = ()
    exclude_methods: Sequence[str] = ()
    cold_threshold_days: float = field(
        default=7,
        metadata=_threshold("Cold after … days without a call", "days", most=MAX_DAYS).as_metadata,
    )
    dead_threshold_days: float = field(
        default=30,
        metadata=_threshold("Dead after … days without a call", "days", most=MAX_DAYS).as_metadata,
    )
    slow_threshold_ms: float = field(
        default=500.0,
        metadata=_threshold("Slow if p95 exceeds", "ms").as_metadata,
    )
    log_sample_rate: float = field(
        default=0.01,
        metadata=_log(
            "Share of all requests",
            noun="a share",
            least=0,
            most=1,
            hint="From 0 (none) to 1 (all requests).",
        ).as_metadata,
    )
    log_errors_per_minute: int = field(
        default=60,
        metadata=_log("Server errors, at most", _PER_MINUTE, least=0, most=10_000).as_metadata,
    )
    log_slowest: int = field(
        default=10,
        metadata=_log("Slowest requests, at most", _PER_MINUTE, least=0, most=10_000).as_metadata,
    )
    log_max_rows: int = field(
        default=10_000,
        metadata=_log("Requests kept, at most", "requests", least=1, most=1_000_000).as_metadata,
    )
    log_query_values: bool = field(
        default=False,
        metadata=_log(
            "Query values", hint="Off: only parameter names are kept.", choices=_SWITCH
        ).as_metadata,
    )
    log_clients: Clients = field(
        default="off",
        metadata=_log(
            "Client addresses",
            choices={
                "off": "Not kept",
                "masked": "Network only, /24 or /48",
                "hashed": "Keyed hash",
            },
        ).as_metadata,
    )
    log_exception_messages: bool = field(
        default=True,
        metadata=_log(
            "Exception messages",
            hint="Off: type, location, source lines and counts are kept, messages are not.",
            choices=_SWITCH,
        ).as_metadata,
    )
    # Like `authorize`, a function may have no hash.
    consumer: Consumer | None = field(
        default=None,
        hash=False,
        metadata=Setting(
            noun="a function of the ASGI scope that returns text or None",
            example="myapp.callers:name_of",
        ).as_metadata,
    )
    callers: Callers | None = field(
        default=None,
        metadata=_callers(
            "Names of callers",
            hint="Each source includes those before it. Of a key, only a keyed hash is kept.",
            choices=CALLERS,
            unset="the consumer, if the code has one",
        ).as_metadata,
    )
    caller_header: str = "x-api-key"
    noise: Sequence[str] = field(
        default=NOISE,
        metadata=_callers(
            "Callers that are noise",
            noun="at most 200 names, separated by commas, like kube-probe, Pingdom",
            hint="Health checks, robots and tests, whose calls do not count as use. Separate the "
            "names by commas; upper and lower case are the same.",
            is_list=True,
        ).as_metadata,
    )
    app_name: str | None = None
    environment: str | None = None
    release: str | None = None
    template_dirs: Sequence[str | PathLike[str]] = ()
    trusted_origins: Sequence[str] = ()
    session_max_age: int = field(default=604_800, metadata=_SECONDS)
    session_idle_seconds: int = field(default=86_400, metadata=_SECONDS)
    login_max_failures: int = field(
        default=5, metadata=Setting(unit="wrong keys", above=0).as_metadata
    )
    login_window_seconds: int = field(default=300, metadata=_SECONDS)
    idle: Idle = "unobserved"
    webhook_url: str | SecretStr | None = field(default=None, repr=False)
    webhook_allow_private: bool = False
    source_link: str | None = None
    public_url: str | None = None
    alert_error_share: float | None = field(
        default=0.05,
        metadata=_notification(
            "Alert if the share of 5xx exceeds",
            noun="a share",
            least=0,
            most=1,
            hint="From 0 to 1. Empty: no alerts on 5xx.",
            unset="off",
        ).as_metadata,
    )
    alert_slow: bool = field(
        default=True,
        metadata=_notification(
            "Alert on slow endpoints", hint="p95 above the slow limit.", choices=_SWITCH
        ).as_metadata,
    )
    alert_dead: bool = field(
        default=True,
        metadata=_notification("Alert on newly dead endpoints", choices=_SWITCH).as_metadata,
    )
    alert_deprecated: bool = field(
        default=True,
        metadata=_notification(
            "Alert on deprecated endpoints that are called", choices=_SWITCH
        ).as_metadata,
    )
    digest_day: DigestDay = field(
        default="monday",
        metadata=_notification(
            "Weekly digest",
            choices={day: day.capitalize() for day in get_args(DigestDay)},
            hint="Sent after 08:00 UTC.",
        ).as_metadata,
    )

    place: Place = field(init=False, repr=False, compare=False)
    template_folders: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Convert every value to its type, check it, and check what values mean together."""
        _convert(self, vars(self))
        _check_names(self)
        check_header("caller_header", self.caller_header)
        check_consumer("consumer", self.consumer)
        _check_access(self)
        _check_places(self)
        # Resolved now: the process may change its working directory later.
        url = None if self.database_url is None else str(self.database_url)
        object.__setattr__(self, "place", place_of(fspath(self.db_path), url))
        folders = tuple(str(Path(one).absolute()) for one in self.template_dirs)
        object.__setattr__(self, "template_folders", folders)
        _check_exclusions(self)
        _check_webhook(self)
        if self.source_link is not None:
            _check_source_link(self.source_link)

    def with_values(self, values: Mapping[str, Any]) -> "LensConfig":
        """The same settings with other values, which are converted and checked in the same way.

        Args:
            values: By name, of those that may change while the app runs.

        Raises:
            ConfigError: A value cannot work.
        """
        # Not `replace`, which would check files and folders again that may be gone by now.
        other = copy(self)
        _convert(other, values)
        return other

    @property
    def caller_source(self) -> Callers:
        """The source of the names of callers, with its default."""
        return self.callers or ("off" if self.consumer is None else "hook")

    @property
    def url(self) -> URL:
        """The SQLAlchemy URL in use, with driver and absolute path; hides the password."""
        return self.place.url

    @property
    def key_required(self) -> bool:
        """True if the admin and the reports need a key, which they never do with a hook."""
        if self.security_enabled is None:
            return bool(self.keys)
        return self.security_enabled and self.authorize is None

    @property
    def keys(self) -> dict[str, KeyConfig]:
        """All keys by name, including the single one."""
        single = {} if self.report_key is None else {SINGLE_KEY: KeyConfig(str(self.report_key))}
        return {**single, **named_keys(self.report_keys or {})}

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


SETTINGS: Mapping[str, Setting] = {
    one.name: replace(one.metadata.get(METADATA, Setting()), name=one.name)
    for one in fields(LensConfig)
    if one.init
}
"""Metadata of every setting, by name."""


def _convert(config: LensConfig, values: Mapping[str, Any]) -> None:
    """Take values, each converted to the type of its field."""
    hints = get_type_hints(type(config))
    for name, value in values.items():
        object.__setattr__(config, name, typed(SETTINGS[name], value, hints[name]))
    object.__setattr__(config, "noise", noise_names(SETTINGS["noise"], config.noise))
    # Here, because values that change at run time have to keep it, too.
    if config.dead_threshold_days <= config.cold_threshold_days:
        cold = f"{config.cold_threshold_days:g}"
        raise ConfigError(
            "dead_threshold_days",
            f"({config.dead_threshold_days:g}) must be longer than cold_threshold_days ({cold})",
            f"more than {cold} days, after which an endpoint is cold",
        )
    if config.callers == "hook" and config.consumer is None:
        raise ConfigError(
            "callers",
            "is 'hook' without a consumer; set LensConfig(consumer=…), or callers to off, key or "
            "agent",
            "off, key or agent, because the code sets no consumer",
        )


def _check_names(config: LensConfig) -> None:
    for name in ("app_name", "release"):
        if len(getattr(config, name) or "") > MAX_NAME_LENGTH:
            raise ConfigError(name, f"must have at most {MAX_NAME_LENGTH} characters")


def _check_access(config: LensConfig) -> None:
    if config.report_key is not None:
        check_key("report_key", str(config.report_key))
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
        check_directory("template_dirs", str(directory))


def _check_exclusions(config: LensConfig) -> None:
    for pattern in config.exclude_paths:
        if not pattern.startswith("/") and not pattern.startswith("**"):
            raise ConfigError(
                "exclude_paths", f"must be globs that start with a slash, not {pattern!r}"
            )
    # The names under which calls are counted, with which they are compared.
    methods = tuple(method_name(method.upper()) for method in config.exclude_methods)
    object.__setattr__(config, "exclude_methods", methods)


def _check_source_link(text: str) -> None:
    try:
        SourceLink.parse(text)
    except ValueError as error:
        raise ConfigError("source_link", str(error)) from None


def _check_webhook(config: LensConfig) -> None:
    if config.webhook_url is not None:
        try:
            url = WebhookUrl.parse(str(config.webhook_url))
        except ValueError as error:
            raise ConfigError("webhook_url", str(error)) from None
        if not url.is_tls and not config.webhook_allow_private:
            raise ConfigError(
                "webhook_url",
                "must begin with https, or set webhook_allow_private for a receiver in your own "
                "network",
            )
    if config.public_url is not None:
        begins = config.public_url.startswith(("https://", "http://"))
        if not begins or not config.public_url.isprintable():
            raise ConfigError(
                "public_url",
                "must be the address of the admin, like https://api.example.com/lens, not "
                f"{config.public_url!r}",
            )
        object.__setattr__(config, "public_url", config.public_url.rstrip("/"))
