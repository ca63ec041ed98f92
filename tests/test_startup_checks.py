"""Warnings in the log at the start: an unreachable admin, and misspelt variables."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route
from starlette.staticfiles import StaticFiles

from fastapi_lens import LensConfig, LensMiddleware, create_lens_admin, lens_admin, startup_checks
from fastapi_lens.recording.routes.route_lookup import reached_at, sample_path
from fastapi_lens.startup_checks import findings, misspelt

KEY = {"X-Lens-Key": "a-key-of-the-tests"}
Wire = Callable[[FastAPI], Any]


def front_end(path: str) -> str:
    return "front end"


def plain(request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


Started = Callable[..., list[str]]


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    place = str(tmp_path / "lens.db")
    return {"db_path": place, "report_key": KEY["X-Lens-Key"], "app_name": "shop"}


@pytest.fixture
def started(settings: dict[str, Any], caplog: pytest.LogCaptureFixture) -> Started:
    """Log messages while an application starts twice."""

    def start(app: Any) -> list[str]:
        app.add_middleware(LensMiddleware, config=LensConfig(**settings))
        for _ in range(2):
            with TestClient(app) as client:
                client.get("/nothing")
        return [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]

    return start


def static(app: FastAPI) -> None:
    app.mount("/", StaticFiles(directory=Path(__file__).parent, html=True), name="spa")


HIDING: dict[str, tuple[Wire, str]] = {
    "a mount": (lambda app: app.mount("/", Starlette()), "Mount '/' (starlette.applications"),
    "static files": (static, "Mount '/' (starlette.staticfiles.StaticFiles)"),
    "a catch-all": (
        lambda app: app.get("/{path:path}")(front_end),
        "APIRoute '/{path:path}' (tests.test_startup_checks.front_end)",
    ),
    "an own path": (lambda app: app.get("/lens/{path:path}")(front_end), "'/lens/{path:path}'"),
    "a route of starlette": (lambda app: app.add_route("/{path:path}", plain), "plain)"),
    "a host of any name": (lambda app: app.host("{any}", Starlette()), "Host '{any}'"),
    "the login alone": (lambda app: app.get("/lens/{page}")(lambda page: 1), "/lens/report is"),
    "the report alone": (lambda app: app.get("/lens/report")(lambda: 1), "'/lens/report'"),
}


@pytest.mark.parametrize("kind", list(HIDING))
def test_a_route_that_hides_the_admin_is_named_once(started: Started, kind: str) -> None:
    wire, name = HIDING[kind]
    app = FastAPI()
    wire(app)
    app.include_router(lens_admin)
    (warning,) = started(app)
    assert "the admin at /lens/ is hidden" in warning
    assert name in warning
    assert "include the admin, or call LensMiddleware.setup(), before that route" in warning


def test_an_included_router_with_a_catch_all_hides_it_too(started: Started) -> None:
    app, router = FastAPI(), APIRouter()
    router.add_api_route("/{path:path}", front_end)
    app.include_router(router, prefix="/internal")
    app.include_router(lens_admin, prefix="/internal")
    (warning,) = started(app)
    assert "the admin at /internal/lens/ is hidden" in warning
    assert "'/internal/{path:path}'" in warning


def admin(app: FastAPI) -> None:
    app.include_router(lens_admin)


SHOWING: dict[str, tuple[Wire, ...]] = {
    "the admin first": (admin, static),
    "another prefix": (
        lambda app: app.mount("/static", Starlette()),
        lambda app: app.get("/lenses/{path:path}")(front_end),
        admin,
    ),
    "another method": (
        lambda app: app.post("/{path:path}")(front_end),
        lambda app: app.put("/lens/report")(lambda: 1),
        admin,
    ),
    "a host of a name": (lambda app: app.host("api.example.com", Starlette()), admin),
    "below a mount": (lambda app: app.mount("/t/{tenant}", with_admin()),),
    "below a host": (
        lambda app: app.host("admin.example.com", with_admin()),
        lambda app: app.get("/{path:path}")(front_end),
    ),
    "twice": (admin, admin),
    "two prefixes": (
        admin,
        lambda app: app.include_router(create_lens_admin("/ops/{number:int}/lens")),
    ),
}


def with_admin() -> FastAPI:
    app = FastAPI()
    app.include_router(lens_admin)
    return app


@pytest.mark.parametrize("kind", list(SHOWING))
def test_nothing_is_said_where_the_admin_can_be_reached(started: Started, kind: str) -> None:
    app = FastAPI()
    for step in SHOWING[kind]:
        step(app)
    assert started(app) == []


def test_a_front_end_and_the_admin_live_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("front end")
    app = FastAPI()
    LensMiddleware.setup(app, LensConfig(db_path=":memory:", report_key=KEY["X-Lens-Key"]))
    app.mount("/", StaticFiles(directory=tmp_path, html=True))
    with TestClient(app, headers=KEY) as client:
        assert client.get("/").text == "front end"
        assert client.get("/lens/report").status_code == 200


def test_the_middleware_alone_says_how_to_add_the_admin(started: Started) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    (warning,) = started(app)
    assert "add app.include_router(lens_admin), or use LensMiddleware.setup(app" in warning


def test_an_application_of_another_kind_is_told_nothing() -> None:
    assert list(findings(PlainTextResponse("ok"), {})) == []


def test_a_check_that_fails_keeps_nothing_from_starting(
    started: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(app: Any, path: str) -> Any:
        raise LookupError(path)

    monkeypatch.setattr(startup_checks, "reached_at", fail)
    app = with_admin()
    app.add_api_route("/x", lambda: 1)
    assert started(app) == ["fastapi_lens could not check how it is used"] * 2


@pytest.mark.parametrize("path", ["/lens/report", "/stats"])
@pytest.mark.parametrize("prefix", ["/lens", "/ops/lens"])
def test_the_report_answers_at_its_path_and_under_the_admin(
    settings: dict[str, Any], prefix: str, path: str
) -> None:
    app = FastAPI()
    LensMiddleware.setup(app, LensConfig(**settings, report_path=path), prefix=prefix)
    for _ in range(2):
        with TestClient(app) as client:
            for place in (path, f"{prefix}/report"):
                assert client.get(place, headers=KEY).status_code == 200
                assert client.get(f"{place}/dead", headers=KEY).status_code == 200
                assert client.get(place).status_code == 403


def test_the_default_path_of_the_report_takes_no_route_from_the_host() -> None:
    app = FastAPI()
    app.add_api_route("/lens/{name}", lambda name: f"the host's {name}")
    LensMiddleware.setup(app, LensConfig(db_path=":memory:"), prefix="/ops/lens")
    with TestClient(app) as client:
        assert client.get("/lens/report").json() == "the host's report"


def test_the_middleware_alone_opens_no_default_path() -> None:
    app = FastAPI()
    app.add_middleware(LensMiddleware, config=LensConfig(db_path=":memory:"))
    with TestClient(app) as client:
        assert client.get("/lens/report").status_code == 404


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("LENS_REPROT_KEY", "; did you mean LENS_REPORT_KEY?"),
        ("LENS_FLUSH_INTERVALL", "; did you mean LENS_FLUSH_INTERVAL?"),
        ("lens_db_path", "; did you mean LENS_DB_PATH?"),
        ("FASTAPI_LENS_APP_NAME", "; did you mean LENS_APP_NAME?"),
        ("LENS_KEY", "; did you mean LENS_REPORT_KEY?"),
        ("FASTAPI_LENS_URL", "; did you mean LENS_DATABASE_URL?"),
        ("LENS_ORIGINS", "; did you mean LENS_TRUSTED_ORIGINS?"),
        ("LENS_XYZ_99", ", and is ignored"),
        ("LENS_", ", and is ignored"),
    ],
)
def test_a_misspelt_variable_is_named_once_without_its_value(
    started: Started, monkeypatch: pytest.MonkeyPatch, name: str, hint: str
) -> None:
    monkeypatch.setenv(name, "a-secret")
    (warning,) = started(with_admin())
    assert warning == (
        f"fastapi_lens: the environment variable {name!r} is not a setting of the lens{hint}"
    )


@pytest.mark.parametrize("name", ["LENS_FREEZE_GC", "FASTAPI_LENS_FREEZE_GC"])
def test_a_variable_of_a_removed_setting_is_named_with_what_to_do_instead(
    started: Started, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "false")
    (warning,) = started(with_admin())
    assert warning == (
        f"fastapi_lens: the environment variable {name!r} is ignored: the setting was removed, "
        "because the lens leaves the garbage collector alone: to keep what it spared, call "
        "gc.freeze() in your own start-up (docs/recording.md)"
    )


def variables_of_a_service(name: str) -> dict[str, str]:
    """Variables that Kubernetes sets in each container beside a service."""
    base = name.upper().replace("-", "_")
    port = f"{base}_PORT_5432_TCP"
    return dict.fromkeys(
        (
            *(f"{base}_SERVICE_HOST", f"{base}_SERVICE_PORT", f"{base}_SERVICE_PORT_HTTP_2"),
            *(f"{base}_PORT", port, f"{port}_PROTO", f"{port}_PORT", f"{port}_ADDR"),
            f"{base}_PORT_53_UDP_ADDR",
        ),
        "x",
    )


@pytest.mark.parametrize(
    "service",
    ["lens", "lens-db", "lens-database-2", "fastapi-lens", "fastapi-lens-admin", "lens-port"],
)
def test_variables_of_a_service_are_nobodys_mistake(service: str) -> None:
    assert list(misspelt(variables_of_a_service(service))) == []


@pytest.mark.parametrize("name", ["LENSES", "LENS_DB_PATH"])
def test_other_variables_are_nobodys_mistake(name: str) -> None:
    assert list(misspelt({name: "x"})) == []


@pytest.mark.parametrize(
    "name", ["LENS_DB_PORTS", "LENS_SERVICE", "LENS_PORT_X_TCP", "LENS_TEST_X"]
)
def test_a_variable_that_only_looks_like_that_of_a_service_is_told(name: str) -> None:
    (said,) = misspelt({name: "x"})
    assert repr(name) in said


def test_a_sample_of_a_pattern_reaches_its_route() -> None:
    pattern = "/{a}/{b:int}/{c:float}/{d:uuid}/{e:path}"
    app = Starlette(routes=[Mount("/m/{x}", routes=[Route(pattern, plain)])])
    (found,) = reached_at(app, sample_path("/m/{x}" + pattern))
    assert found.endpoint is plain


def test_hosts_without_a_route_for_the_path_are_left_out() -> None:
    inner = Starlette(routes=[Route("/x", plain)])
    app = Starlette(routes=[Host("{tenant}.example.com", inner)])
    (found,) = reached_at(app, "/x")
    assert found.endpoint is plain
