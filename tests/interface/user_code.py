"""Code as users write it, never run: what type checkers say of the public interface.

An error that nobody expects fails the test, and so does an expected one that is not reported any
more.
"""

from pathlib import Path
from typing import assert_type

from fastapi import FastAPI, Request
from fastapi.routing import APIRouter
from pydantic import SecretStr
from starlette.types import Scope as ASGIScope

from fastapi_lens import (
    Access,
    ConfigError,
    DeadReport,
    EndpointStats,
    KeyConfig,
    LensConfig,
    LensError,
    LensMiddleware,
    Report,
    SchemaTooNewError,
    Scope,
    StorageError,
    TopReport,
    create_lens_admin,
    include_name,
    lens_admin,
)


async def authorize(request: Request) -> Access | None:
    """Admit a user of the host's own session."""
    user = request.headers.get("x-user")
    return None if user is None else Access(name=user, scope=Scope.READ)


def consumer(scope: ASGIScope) -> str | None:
    """The name of a customer, whom a dependency has put into the state."""
    customer: str | None = scope.get("state", {}).get("customer")
    return customer


app = FastAPI()
config = LensConfig(
    db_path=Path("counts.db"),
    report_keys={"grafana": KeyConfig("a key", scope="read"), "ops": SecretStr("another key")},
    exclude_paths=["/health"],
    flush_interval=2,
    template_dirs=["templates", Path("more")],
    log_clients="masked",
)
app.add_middleware(LensMiddleware, config=config)
app.include_router(lens_admin)
app.include_router(create_lens_admin(prefix="/internal/lens"), prefix="/api")
LensMiddleware.setup(FastAPI(), LensConfig(authorize=authorize), prefix="/admin")
LensConfig(consumer=consumer, callers="key", caller_header="x-client", noise=["kube-probe"])
LensConfig(consumer=lambda scope: None)
LensConfig(idle="silent", digest_day="off", webhook_url=SecretStr("https://hooks.example.com/x"))

assert_type(create_lens_admin(), APIRouter)
assert_type(config.keys, dict[str, KeyConfig])
assert_type(config.flush_interval, float)
assert_type(config.exclude_paths[0], str)
assert_type(include_name("lens_endpoint", "table", {}), bool)


def slowest(text: str) -> EndpointStats | None:
    """The slowest endpoint of a report that was downloaded."""
    report = Report.model_validate_json(text)
    assert_type(report.summary.never_called, int)
    return max(report.endpoints, key=lambda one: one.p95_duration_ms, default=None)


def counts(top: TopReport, dead: DeadReport) -> list[int]:
    """Calls of the busiest endpoints, and the number of dead ones."""
    assert_type(top.window_days, int | None)
    first = dead.endpoints[0]
    assert_type(first.last_called_at, float | None)
    assert_type(first.total_calls, int)
    return [*(one.total_calls for one in top.endpoints), dead.dead_endpoint_count]


def advice(error: LensError) -> str:
    """A sentence for the log of a host."""
    match error:
        case SchemaTooNewError():
            assert_type((error.found, error.known), tuple[int, int])
            return "upgrade this host"
        case StorageError():
            return "the database is away"
        case _:
            return str(error)


def problem() -> str:
    """The name of a setting that cannot work."""
    try:
        LensConfig(cold_threshold_days=40)
    except ConfigError as error:
        assert_type(error.field, str)
        return error.field
    except LensError as error:
        return str(error)
    return ""


LensConfig(flush_interval="5")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
LensConfig(log_clients="all")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
LensConfig(callers="all")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
LensConfig(digest_day="Monday")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
LensConfig(consumer=authorize)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
KeyConfig("a key", scope="all")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
LensConfig(no_such_setting=1)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]
config.report_key = "a key"  # type: ignore[misc] # pyright: ignore[reportAttributeAccessIssue]
