"""The applications that are compared: each adds one thing to the same FastAPI. Measures nothing.

What another package brings is imported only when its variant is made, so that this module
works in every environment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

BARE = "bare"
LENS = "lens"
LENS_HOOK, LENS_KEY, LENS_AGENT = "lens_hook", "lens_key", "lens_agent"
"""The lens with the callers of calls."""

OURS = "ours"
BESIDE = "beside"
PYPI = "pypi"


class NoOp:
    """An ASGI middleware that does nothing: the least that any middleware costs."""

    def __init__(self, app: ASGIApp) -> None:
        """Keep the application below."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on."""
        await self.app(scope, receive, send)


class NoOpBaseHTTP(BaseHTTPMiddleware):
    """A BaseHTTPMiddleware that does nothing: the least that any of its kind costs."""

    async def dispatch(self, request: Any, call_next: Any) -> Any:
        """Pass on."""
        return await call_next(request)


def _nothing(_app: FastAPI, _folder: Path) -> None:
    """Leave the application as it is."""


def _no_arguments() -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to make the application.

    Attributes:
        label: Name in the tables.
        add: Adds what is measured to an application with all its routes; files go into a folder.
        arguments: Of ``FastAPI``.
        add_first: The same before the application has routes.
        around: The same around an application that serves other variants, too. Two applications
            of 200 routes differ by some 20 µs only because of where their objects lie in memory;
            what can be measured around one and the same is.
        needs: Distribution and module that have to be installed, if any.
        environment: The environment of `environments` that has it.
        process: Variants with the same name are measured in one process, each process with a
            bare application of its own. Those around one application share no process with
            others, whose code and routes would push theirs out of the processor's caches; one
            that blocks the event loop has its own.
    """

    label: str
    add: Callable[[FastAPI, Path], None] = _nothing
    arguments: Callable[[], Mapping[str, Any]] = _no_arguments
    add_first: Callable[[FastAPI, Path], None] = _nothing
    around: Callable[[Any, Path], Any] | None = None
    needs: tuple[str, str] | None = None
    environment: str = OURS
    process: str = OURS

    @property
    def is_here(self) -> bool:
        """True when this environment can make it."""
        return self.needs is None or find_spec(self.needs[1]) is not None


def _lens(app: FastAPI, folder: Path) -> None:
    """The checkout's, or PyPI's: whichever this environment calls ``fastapi_lens``."""
    lens = import_module("fastapi_lens")
    config = lens.LensConfig(db_path=str(folder / "lens.db"), report_key="benchmark")
    lens.LensMiddleware.setup(app, config)


def _lens_around(app: Any, folder: Path, **settings: Any) -> Any:
    lens = import_module("fastapi_lens")
    folder.mkdir(parents=True, exist_ok=True)
    config = lens.LensConfig(db_path=str(folder / "around.db"), **settings)
    return lens.LensMiddleware(app, config)


def _name(_scope: Any) -> str:
    """The caller of every request."""
    return "billing-service"


def _with_callers(label: str, **settings: Any) -> "Variant":
    return Variant(f"fastapi_lens, callers by {label}", around=partial(_lens_around, **settings))


def _itself(app: Any, _: Path) -> Any:
    return app


def _prometheus(app: FastAPI, _: Path) -> None:
    package = import_module("prometheus_fastapi_instrumentator")
    package.Instrumentator().instrument(app).expose(app)


def _radar(app: FastAPI, folder: Path) -> None:
    radar = import_module("fastapi_radar").Radar(app, db_path=str(folder))
    radar.create_tables()


class _Discard:
    """An exporter of spans that leads nowhere, so that no network is measured."""

    def export(self, _spans: Any) -> Any:
        return import_module("opentelemetry.sdk.trace.export").SpanExportResult.SUCCESS

    def shutdown(self) -> None: ...

    def force_flush(self, _timeout_millis: int = 0) -> bool:
        return True


def _metrics_only() -> Mapping[str, Any]:
    metrics = import_module("opentelemetry.sdk.metrics")
    reader = import_module("opentelemetry.sdk.metrics.export").InMemoryMetricReader()
    provider = metrics.MeterProvider(metric_readers=[reader])
    return {"telemetry": {"meter_provider": provider, "tracing": False, "logs": False}}


def _spans_and_metrics() -> Mapping[str, Any]:
    export = import_module("opentelemetry.sdk.trace.export")
    provider = import_module("opentelemetry.sdk.trace").TracerProvider()
    provider.add_span_processor(export.BatchSpanProcessor(_Discard()))
    meters = _metrics_only()["telemetry"]["meter_provider"]
    return {"telemetry": {"meter_provider": meters, "tracer_provider": provider}}


SDK = ("opentelemetry-sdk", "opentelemetry.sdk")

VARIANTS: Mapping[str, Variant] = {
    BARE: Variant("bare FastAPI", around=_itself),
    "again": Variant("bare FastAPI once more (the noise)", around=_itself),
    "asgi": Variant(
        "no-op ASGI middleware",
        lambda app, _: app.add_middleware(NoOp),
        around=lambda app, _: NoOp(app),
    ),
    LENS: Variant("**fastapi_lens**", _lens, around=_lens_around),
    LENS_HOOK: _with_callers("a hook that returns a constant", consumer=_name),
    LENS_KEY: _with_callers("a key in a header", callers="key"),
    LENS_AGENT: _with_callers(
        "User-Agent, without the key's header", callers="agent", caller_header="x-other"
    ),
    "lens_first": Variant(
        "fastapi_lens, set up before the routes", add_first=_lens, process=BESIDE
    ),
    "base_http": Variant(
        "no-op BaseHTTPMiddleware",
        lambda app, _: app.add_middleware(NoOpBaseHTTP),
        process=BESIDE,
    ),
    "otel_metrics": Variant(
        "OpenTelemetry of FastAPI, metrics only",
        arguments=_metrics_only,
        needs=SDK,
        process=BESIDE,
    ),
    "otel": Variant(
        "OpenTelemetry of FastAPI, spans and metrics",
        arguments=_spans_and_metrics,
        needs=SDK,
        process=BESIDE,
    ),
    "prometheus": Variant(
        "prometheus-fastapi-instrumentator",
        _prometheus,
        needs=("prometheus-fastapi-instrumentator", "prometheus_fastapi_instrumentator"),
        process=BESIDE,
    ),
    "pypi_lens": Variant(
        "fastapi-lens of PyPI",
        _lens,
        needs=("fastapi-lens", "fastapi_lens.core"),
        environment=PYPI,
        process=PYPI,
    ),
    "radar": Variant(
        "fastapi-radar", _radar, needs=("fastapi-radar", "fastapi_radar"), process="radar"
    ),
}
"""In the order of the tables."""
