"""Fixtures of the whole suite, and the marks that they bring along.

No test is skipped here: where a browser or a PostgreSQL is missing, what needs it fails and says
what to install. Only where no MariaDB, nginx or PgBouncer is found, or no environment with
FastAPI's neighbours, the tests that need it are left out, and the run says so.
"""

import os
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, BrowserContext, Page

from benchmarks.support.database_server import DatabaseServer
from benchmarks.support.mariadb import MariadbServer
from benchmarks.support.ports import free_port as find_free_port
from benchmarks.support.postgres import PostgresServer
from benchmarks.support.servers import Server, Start, unmeasured, uvicorn
from fastapi_lens.config.places import TEST_SUITE
from scripts import chromium as chromium_program
from scripts import frameworks as frameworks_program
from scripts import mariadb as mariadb_program
from scripts import nginx as nginx_program
from scripts import pgbouncer as pgbouncer_program
from tests.support.browser import PageWatch, SharedBrowser
from tests.support.nginx import stripping
from tests.support.pgbouncer import pooling

# Nothing is timed in tests: a slow machine is no bug.
hypothesis_settings.register_profile(
    "lens", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
# For `make mutation`: the same examples for every mutant, and no time spent on a shorter one.
hypothesis_settings.register_profile(
    "mutation",
    hypothesis_settings.get_profile("lens"),
    database=None,
    derandomize=True,
    max_examples=50,
    phases=(Phase.explicit, Phase.generate),
)
hypothesis_settings.load_profile("lens")

MARK_OF_FIXTURE = {
    "chromium": "browser",
    "mariadb_server": "mariadb",
    "nginx": "nginx",
    "pgbouncer": "pgbouncer",
    "postgres_server": "postgres",
    "run_server": "server",
}

PROGRAMS = ("frameworks", "packaging", "typecheck", *MARK_OF_FIXTURE.values())
"""Marks of tests that start programs; they are marked as `program`, too."""

MAY_BE_MISSING = {
    "frameworks": frameworks_program,
    "mariadb": mariadb_program,
    "nginx": nginx_program,
    "pgbouncer": pgbouncer_program,
}
"""Programs without which the tests of a mark are left out."""

UNMEASURED_FOLDERS = {"attack", "benchmarks", "browser", "docs", "end_to_end", "example", "tooling"}
"""Tests of the whole, of tools and of the example: they show much, but are not to cover lines."""

TURN_SECONDS = 3
"""As long as all but few tests take; so much of each minute is waited for at most."""

_SERVERS = pytest.StashKey[list[Server]]()
_BROWSER = pytest.StashKey[SharedBrowser]()
_MODULES_IN_A_BROWSER = pytest.StashKey[set[Path]]()


def pytest_configure(config: pytest.Config) -> None:
    """Have a browser for those who ask for it."""
    config.stash[_BROWSER] = SharedBrowser()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close it where the last test had it."""
    config.stash[_BROWSER].close()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Close the browser before modules that have no use for one."""
    if item.path not in item.config.stash[_MODULES_IN_A_BROWSER]:
        item.config.stash[_BROWSER].close()


@pytest.hookimpl(wrapper=True, tryfirst=True)  # Before `-m` looks at the marks.
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None]:
    """Mark each test by what it asks for, so that `make test-quick` can leave it out.

    Modules that start programs come first, in random order among themselves: whichever of several
    processes is done earlier finds something left to do until the end. Those in a browser come
    before all others, so that few browsers have to be started.
    """
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if fixture in MARK_OF_FIXTURE:
                item.add_marker(MARK_OF_FIXTURE[fixture])
        if any(map(item.get_closest_marker, PROGRAMS)):
            item.add_marker("program")
            if item.get_closest_marker("unit"):
                raise pytest.UsageError(f"{item.nodeid} is marked as unit, but starts a program")
    missing = [mark for mark, program in MAY_BE_MISSING.items() if program.find() is None]
    left_out = [item for item in items if any(map(item.get_closest_marker, missing))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    yield
    slow = {item.path for item in items if item.get_closest_marker("program")}
    in_a_browser = {item.path for item in items if item.get_closest_marker("browser")}
    items.sort(key=lambda item: (item.path not in in_a_browser, item.path not in slow))
    config.stash[_MODULES_IN_A_BROWSER] = in_a_browser


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure no coverage while a test runs that is not to cover lines: it is twice as quick."""
    coverage = Coverage.current()
    if coverage is None or _is_to_cover_lines(item):
        return (yield)
    with unmeasured():
        coverage.stop()
        try:
            return (yield)
        finally:
            coverage.start()


def _is_to_cover_lines(item: pytest.Item) -> bool:
    """True for SQLite tests that run on every database, and for tests of one server only."""
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    if folder in UNMEASURED_FOLDERS or item.get_closest_marker("unmeasured"):
        return False
    if item.get_closest_marker("mariadb"):
        return False
    fixtures = getattr(item, "fixturenames", ())
    return not (item.get_closest_marker("postgres") and "database_url" in fixtures)


def pytest_report_header() -> list[str]:
    """Say which programs that may be missing the run uses, or that it uses none."""
    return [
        f"{mark}: {program.find() or program.LEFT_OUT}" for mark, program in MAY_BE_MISSING.items()
    ]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end, too, what was left out."""
    for program in MAY_BE_MISSING.values():
        if program.find() is None:
            terminalreporter.section("left out", yellow=True)
            terminalreporter.write_line(program.LEFT_OUT)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the logs of its servers where a test failed."""
    report = yield
    if report.failed:
        for server in item.stash.get(_SERVERS, []):
            report.sections.append((f"log of {server.url}", server.log))
    return report


@pytest.fixture(autouse=True)
def no_settings_from_outside(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Take the developer's own LENS_… variables away."""
    # Only tests that start programs need the names of those.
    kept = "LENS_TEST_" if request.node.get_closest_marker("program") else None
    for name in list(os.environ):
        if name.startswith("LENS_") and not (kept and name.startswith(kept)):
            monkeypatch.delenv(name)
    # Else nothing that sets no database had the default of an application that runs.
    monkeypatch.delenv(TEST_SUITE, raising=False)


@pytest.fixture(autouse=True)
def time_in_the_minute(request: pytest.FixtureRequest) -> None:
    """Begin no test right before a minute turns: windows, tags and days of pages turn with it.

    What happens at a turn is tested with clocks of the tests' own.
    """
    left = 60 - time.time() % 60
    if left < TURN_SECONDS and not request.node.get_closest_marker("unit"):
        time.sleep(left)


@pytest.fixture
def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    return find_free_port()


@pytest.fixture
def run_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server with an application: ``run_server("module:app", env={…}, args=[…])``.

    It is uvicorn unless the test says ``by=gunicorn``, runs in ``tmp_path``, listens when the
    call returns, and is stopped after the test unless the test has called its ``stop()``, which
    returns the exit code. See `support.servers`.
    """
    servers = request.node.stash.setdefault(_SERVERS, [])

    def start(target: str, *, by: Start = uvicorn, **options: Any) -> Server:
        server = by(target, **{"cwd": tmp_path, **options})
        servers.append(server)
        return server.wait()

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The suite's own PostgreSQL, started by the first test that needs it."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """URL of an empty database on PostgreSQL, dropped after the test."""
    url = postgres_server.create_database()
    yield url
    postgres_server.drop_database(url)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariadbServer]:
    """The suite's own MariaDB, started by the first test that needs it."""
    with MariadbServer() as server:
        yield server


@pytest.fixture
def mariadb_url(mariadb_server: MariadbServer) -> Iterator[str]:
    """URL of an empty database on MariaDB, dropped after the test."""
    url = mariadb_server.create_database()
    yield url
    mariadb_server.drop_database(url)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts an nginx in front of a server: ``nginx(server, prefix="/shop/api")`` strips it."""
    started: list[Server] = []

    def start(target: Server, *, prefix: str) -> Server:
        started.append(stripping(target, prefix=prefix, folder=tmp_path))
        return started[-1].wait()

    yield start
    for server in started:
        server.stop()


@pytest.fixture
def pgbouncer(postgres_url: str, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database behind a PgBouncer in transaction mode, with one session for all."""
    with pooling(postgres_url, tmp_path) as url:
        yield url


_SERVERS_OF_DATABASES = {"postgresql": "postgres", "mariadb": "mariadb"}
_ON_SERVERS = [
    pytest.param(name, marks=getattr(pytest.mark, fixture))
    for name, fixture in _SERVERS_OF_DATABASES.items()
]


@pytest.fixture(params=_ON_SERVERS)
def database_server(request: pytest.FixtureRequest) -> DatabaseServer:
    """A server of the suite, once PostgreSQL and once MariaDB."""
    name = f"{_SERVERS_OF_DATABASES[request.param]}_server"
    server: DatabaseServer = request.getfixturevalue(name)
    return server


@pytest.fixture
def server_url(database_server: DatabaseServer) -> Iterator[str]:
    """URL of an empty database, once on PostgreSQL and once on MariaDB, dropped after the test."""
    url = database_server.create_database()
    yield url
    database_server.drop_database(url)


@pytest.fixture(params=["sqlite", *_ON_SERVERS])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database, once on SQLite, once on PostgreSQL and once on MariaDB."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lens.db'}"
    url: str = request.getfixturevalue(f"{_SERVERS_OF_DATABASES[request.param]}_url")
    return url


@pytest.fixture(scope="session")
def chromium_path() -> Path:
    """The browser's program; fails with what to install where there is none."""
    return chromium_program.find()


@pytest.fixture
def chromium(chromium_path: Path, request: pytest.FixtureRequest) -> Browser:
    """A Chromium, driven by Playwright; that of the test before where it had one."""
    return request.config.stash[_BROWSER].get(chromium_path)


@pytest.fixture
def context_options() -> dict[str, Any]:
    """Options of the browser context; a test module overrides this fixture to have others."""
    return {"viewport": {"width": 1440, "height": 900}}


@pytest.fixture
def browser_context(chromium: Browser, context_options: dict[str, Any]) -> Iterator[BrowserContext]:
    """A fresh context: no cookies, no storage, no cache of another test."""
    context = chromium.new_context(**context_options)
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def page_watch(browser_context: BrowserContext) -> Iterator[PageWatch]:
    """Faults of the test's pages; the test fails at its end unless they were expected."""
    watch = PageWatch(browser_context)
    yield watch
    assert watch.findings() == []


@pytest.fixture
def page(browser_context: BrowserContext, page_watch: PageWatch) -> Page:
    """A page in a fresh context, watched by `page_watch`."""
    return browser_context.new_page()
