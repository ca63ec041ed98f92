r"""Databases on PostgreSQL that have not all characters: texts get escapes such as ``\u2192``."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks.support.postgres import PostgresServer
from benchmarks.support.rows import facts, table_rows, worker
from benchmarks.support.writing import Writer
from fastapi_lens import LensConfig, LensMiddleware
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import encodable, unescaped
from fastapi_lens.storage.records.audit import AuditEntry, add_audit_entry
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import AUDIT, ENDPOINT, REQUEST, WORKER
from tests.cli.helpers import run
from tests.recording.probe import lens_of

TEXT = "é → €"
STORED = {
    "UTF8": TEXT,
    "SQL_ASCII": TEXT,
    "LATIN1": r"é \u2192 \u20ac",
    "WIN1252": r"é \u2192 €",
    "KOI8R": r"\xe9 \u2192 \u20ac",
    # Python does not know it.
    "EUC_TW": r"\xe9 \u2192 \u20ac",
}

STORED_NULL = dict.fromkeys(STORED, r"\ufffd") | dict.fromkeys(("UTF8", "SQL_ASCII"), "\ufffd")
"""Stored form of a null character, by encoding."""


@pytest.fixture(params=STORED)
def encoding(request: pytest.FixtureRequest) -> str:
    """As PostgreSQL names it."""
    return str(request.param)


@pytest.fixture
def url(encoding: str, postgres_server: PostgresServer) -> Iterator[str]:
    """Of an empty database with an encoding."""
    made = postgres_server.create_database(encoding)
    yield made
    postgres_server.drop_database(made)


def test_texts_of_an_array_are_escaped(url: str, encoding: str) -> None:
    database = Database(url)
    with database.read() as connection:
        found = connection.exec_driver_sql("SELECT %(texts)s::text[]", {"texts": [TEXT]})
        assert found.scalar_one() == [STORED[encoding]]
    database.close()


def test_an_endpoint_is_registered_with_what_can_be_stored(url: str, encoding: str) -> None:
    database = Database(url)
    migrate(database)
    one, other = facts(f"/{TEXT}", summary=TEXT, tags=(TEXT,)), facts("/plain")
    for _ in range(2):
        Writer(database, worker()).register([one, other], applied=0, now_us=1)
    found = {row.id: row for row in table_rows(database, ENDPOINT)}
    assert found.keys() == {one.id, other.id}
    # Two databases of different encodings have the same endpoint.
    assert one.id == endpoint_id(one.app, one.method, one.path)
    assert found[one.id].path == f"/{STORED[encoding]}"
    assert found[one.id].summary == STORED[encoding]
    # A question finds what was stored by the text that was given.
    with database.read() as connection:
        asked = sa.select(ENDPOINT.c.id).where(ENDPOINT.c.path == one.path)
        assert connection.execute(asked).scalars().all() == [one.id]
    database.close()


def test_an_application_is_recorded_whose_escaped_title_is_longer_than_its_column(
    url: str, encoding: str
) -> None:
    title = "订单管理系统" * 10
    app = FastAPI(title=title)
    app.add_api_route("/orders", lambda: None)
    config = LensConfig(database_url=url, report_key="k", flush_interval=3600)
    LensMiddleware.setup(app, config)
    with TestClient(app, headers={"x-lens-key": "k"}) as client:
        client.get("/orders")
        lens = lens_of(app)
        assert lens.flusher.flush()
        assert lens.flusher.flush()
        (row,) = table_rows(lens.database, WORKER)
        assert row.app == (title if encoding in ("UTF8", "SQL_ASCII") else escaped(title)[:200])
        report = client.get("/lens/report").json()
        assert report["summary"]["total_requests"] == 1


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(one):04x}" for one in text)


def test_the_audit_log_takes_every_text(url: str, encoding: str) -> None:
    database = Database(url)
    migrate(database)
    texts = dict.fromkeys(("actor", "client", "target", "before", "after"), f"{TEXT}\0")
    add_audit_entry(database, "orders", AuditEntry(at_us=1, action="log_in", **texts))
    row = table_rows(database, AUDIT)[0]
    assert row.actor == row.after == f"{STORED[encoding]}{STORED_NULL[encoding]}"
    database.close()


def test_requests_are_logged_and_reported(url: str, encoding: str) -> None:
    app = FastAPI(title=TEXT)
    app.add_api_route("/item/{name}", lambda name: name, summary=TEXT)
    LensMiddleware.setup(
        app,
        LensConfig(
            database_url=url,
            report_key="k",
            flush_interval=3600,
            log_sample_rate=1.0,
            log_slowest=0,
        ),
    )
    with TestClient(app, headers={"x-lens-key": "k"}) as client:
        client.get(f"/item/{TEXT}")
        lens = lens_of(app)
        assert lens.flusher.flush()
        (row,) = table_rows(lens.database, REQUEST)
        assert row.path == f"/item/{STORED[encoding]}"
        for page in ("", "/report", "/requests"):
            assert client.get(f"/lens{page}").status_code == 200


def test_an_export_of_such_a_database_can_be_imported_elsewhere(
    url: str, encoding: str, tmp_path: Path
) -> None:
    database = Database(url)
    migrate(database)
    one = facts(f"/{TEXT}")
    Writer(database, worker()).register([one], applied=0, now_us=1)
    database.close()
    archive, other = tmp_path / "lens.jsonl", tmp_path / "lens.db"
    assert run("export", archive, "--database", url).exit_code == 0
    done = run("import", archive, "--database", other)
    assert done.exit_code == 0, done.output
    copy = Database(f"sqlite:///{other}")
    assert [(row.id, row.path) for row in table_rows(copy, ENDPOINT)] == [
        (one.id, f"/{STORED[encoding]}")
    ]
    copy.close()


def test_an_escape_is_the_same_each_time() -> None:
    assert encodable("a\ud800→", "latin-1") == encodable("a\ud800→", "ascii") == r"a\ud800\u2192"
    assert encodable(r"a\ud800\u2192", "latin-1") == r"a\ud800\u2192"
    for text in (TEXT, "\N{PILE OF POO}", "plain"):
        assert unescaped(encodable(text, "ascii")) == text
    assert unescaped(r"\Uffffffff \u12") == "\U0010ffff \\u12"
