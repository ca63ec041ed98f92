"""A host with an older release beside a newer one: it stops recording, and nothing else."""

import logging

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from fastapi_lens import lens_admin
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import known_version, migrate
from fastapi_lens.storage.schema.tables import META, SCHEMA_VERSION
from tests.recording.probe import Probe, calls_in

NEWER = known_version() + 1
PROBLEM = (
    f"the database has schema version {NEWER}, this release knows up to {NEWER - 1}: upgrade "
    "fastapi_lens on this host"
)


def set_version(url: str, version: int) -> None:
    database = Database(url)
    with database.write() as connection:
        connection.execute(
            sa.update(META).where(META.c.name == SCHEMA_VERSION).values(value=str(version))
        )
    database.close()


def shop(url: str) -> Probe:
    app = FastAPI()
    app.include_router(lens_admin)

    @app.get("/orders")
    def orders() -> str:
        return "three"

    return Probe(app, database_url=url)


def assert_refused(probe: Probe) -> None:
    assert probe.client.get("/orders").json() == "three"
    page = probe.client.get("/lens/")
    assert page.status_code == 503
    assert f"The lens is not recording: {PROBLEM}." in page.text
    report = probe.client.get("/lens/report")
    assert report.status_code == 503
    assert PROBLEM in report.text


@pytest.fixture
def url(database_url: str) -> str:
    database = Database(database_url)
    migrate(database)
    database.close()
    return database_url


def test_a_release_that_is_too_old_from_the_start_says_so_and_serves(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    set_version(url, NEWER)
    probe = shop(url)
    with probe.client:
        assert_refused(probe)
        assert not probe.lens.flusher.flush()
        assert_refused(probe)
    assert PROBLEM in caplog.text
    assert probe.lens.flusher.pending_calls == 2


def test_a_release_that_has_become_too_old_stops_writing_until_the_schema_is_its_own_again(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "fastapi_lens")
    probe = shop(url)
    with probe.client:
        probe.client.get("/orders")
        assert probe.lens.flusher.flush()
        assert probe.client.get("/lens/").status_code == 200
        set_version(url, NEWER)
        probe.client.get("/orders")
        assert not probe.lens.flusher.flush()
        assert_refused(probe)
        set_version(url, 1)
        assert probe.lens.flusher.flush()
        assert probe.client.get("/lens/").status_code == 200
        assert calls_in(probe.lens)["/orders"] == 3
