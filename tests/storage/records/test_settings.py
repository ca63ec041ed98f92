import pytest
import sqlalchemy as sa

from benchmarks.support.rows import table_rows
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import AuditEntry, add_audit_entry
from fastapi_lens.storage.records.settings import Stored, read_sections, write_section
from fastapi_lens.storage.schema.tables import AUDIT, SETTING

NOW_US = 1_790_000_000_000_000


def entry(**values: str) -> AuditEntry:
    return AuditEntry(at_us=NOW_US, **{"actor": "alice", "client": "", "action": "save", **values})


def test_a_section_comes_back_as_it_was_written(database: Database) -> None:
    assert read_sections(database, "shop") == {}
    values = {"ttl_days": 30, "name": "ä☃"}
    assert write_section(database, "shop", "retention", Stored(values, 0), entry())
    assert read_sections(database, "shop") == {"retention": Stored(values, 1)}
    assert read_sections(database, "another") == {}


def test_who_saves_an_older_version_is_told_and_changes_nothing(database: Database) -> None:
    write_section(database, "shop", "retention", Stored({"ttl_days": 30}, 0), entry())
    late = Stored({"ttl_days": 10}, 0)
    assert not write_section(database, "shop", "retention", late, entry(actor="bob"))
    assert read_sections(database, "shop")["retention"].values == {"ttl_days": 30}
    assert [row.actor for row in table_rows(database, AUDIT)] == ["alice"]


def test_an_audit_entry_says_who_did_what_when(database: Database) -> None:
    done = entry(action="purge", target="GET /old", before="3 rows", after="")
    add_audit_entry(database, "shop", done)
    add_audit_entry(database, "shop", entry(action="sign_in"))
    rows = table_rows(database, AUDIT)
    assert {(row.app, row.actor, row.action, row.target, row.before) for row in rows} == {
        ("shop", "alice", "purge", "GET /old", "3 rows"),
        ("shop", "alice", "sign_in", "", ""),
    }
    assert {row.id >> 11 for row in rows} == {NOW_US}


def test_entries_of_the_same_microsecond_are_all_kept(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter([7, 7, 7, 8])
    monkeypatch.setattr("secrets.randbits", lambda _: next(drawn))
    add_audit_entry(database, "shop", entry(action="sign_in"))
    add_audit_entry(database, "shop", entry(action="sign_out"))
    rows = table_rows(database, AUDIT)
    assert {row.id & 2_047: row.action for row in rows} == {7: "sign_in", 8: "sign_out"}


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_a_section_that_is_damaged_is_told_instead_of_raised(database: Database, text: str) -> None:
    row = {"app": "shop", "name": "retention", "value": text, "version": 3}
    with database.write() as connection:
        connection.execute(sa.insert(SETTING), row)
    assert read_sections(database, "shop") == {"retention": Stored({}, 3, text)}
