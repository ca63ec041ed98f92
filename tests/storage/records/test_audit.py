"""The audit log is read newest first, and cut to so many entries of each action, and to an age."""

import pytest

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.audit import (
    AUDIT_KEPT_SECONDS,
    AuditEntry,
    add_audit_entry,
    read_audit,
)
from fastapi_lens.storage.retention import audit_deletion
from fastapi_lens.storage.retention.audit_deletion import audit_chunks
from fastapi_lens.storage.retention.chunks import AdaptiveBatchSize

NOW = 1_775_243_992.5


def note(database: Database, app: str, action: str, *ages: float) -> None:
    for age in ages:
        entry = AuditEntry(
            at_us=round((NOW - age) * 1e6), actor="a", client="c", action=action, target=f"{age:g}"
        )
        add_audit_entry(database, app, entry)


def told(database: Database, app: str) -> list[str]:
    return [f"{one.entry.action} {one.entry.target}" for one in read_audit(database, app)]


def cut(database: Database) -> int:
    return sum(
        done.rows for done in audit_chunks(database, now=NOW, batch_size=AdaptiveBatchSize())
    )


def test_what_is_too_old_and_too_much_of_an_action_goes_and_nothing_else(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_deletion, "AUDIT_KEPT_EACH", 3)
    note(database, "one", "wrong_key", 1, 2, 3, 4, 5)
    note(database, "one", "save", 90, 80, AUDIT_KEPT_SECONDS + 1)
    note(database, "two", "wrong_key", 7, 8, 9)
    assert cut(database) == 3
    assert told(database, "one") == [
        "wrong_key 1",
        "wrong_key 2",
        "wrong_key 3",
        "save 80",
        "save 90",
    ]
    assert len(told(database, "two")) == 3
    assert cut(database) == 0


def test_entries_are_found_by_what_they_are_about(database: Database) -> None:
    note(database, "one", "save", 3, 2)
    note(database, "one", "export", 1)
    newest = read_audit(database, "one", limit=1)[0]
    assert newest.entry.action == "export"
    assert newest.at == pytest.approx(NOW - 1)
    assert [one.entry.target for one in read_audit(database, "one", before=newest.id)] == ["2", "3"]
    assert [one.entry.target for one in read_audit(database, "one", target="3")] == ["3"]
    assert len(read_audit(database, "one", actions=["save"])) == 2
