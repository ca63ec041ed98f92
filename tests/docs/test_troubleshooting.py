"""docs/troubleshooting.md has a cause and a fix for every message of the package."""

import re
from pathlib import Path

import pytest

from tests.docs.messages import messages

pytestmark = pytest.mark.unit

FILE = Path(__file__).parents[2] / "docs" / "troubleshooting.md"
LISTED = FILE.read_text(encoding="utf-8").partition("\n## Messages\n")[2]
ENTRY = re.compile(r"^- (`.+`)<br>\n((?:  .+\n)*)", re.MULTILINE)

HANDED_ON = {
    "cli/archive.py: _no_number": "of json, which the importer words anew",
    "cli/lens_0_3.py: import_lens_0_3": "NoSourceError",
    "cli/removal/application.py: errors_refused": "of the application that is imported",
    "cli/removal/download.py: _key_header": "problem_with",
    "cli/removal/sources.py: _made": "of the file or server",
    "config/environment.py: init_from_environment": "REMOVED",
    "config/lens_config.py: _check_source_link": "of the template, see source_link",
    "config/lens_config.py: _check_webhook": "of the address, see webhook_url",
    "middleware.py: _say_findings": "findings",
    "notifications/http_post.py: post": "of the system",
    "recording/flush/flusher.py: _warn": "its argument",
    "recording/flush/registration.py: _warn_of_namesake": "NAMESAKE",
    "recording/callers.py: _identified": "its own _warn",
    "runtime/lens.py: _log_notes": "unguarded, notes",
    "runtime/lens.py: _log_quietly": "its argument",
    "storage/engine/database.py: _transaction": "of the driver",
    "storage/engine/sqlite_file.py: _look": "of SQLite, in DamagedFileError",
    "storage/engine/sqlite_file.py: _refusals": "of the system",
    "storage/engine/sqlite_file.py: make_ready": "ForeignFileError",
    "storage/schema/migrations.py: _done": "SchemaTooNewError",
    "storage/writing/inbox.py: unpack": "of zlib and json",
    "storage/writing/rollup.py: of": "no text, but endpoints",
}
"""Functions that log or raise what others have worded, and where it comes from."""


def listed() -> list[str]:
    return [text for head, _ in ENTRY.findall(LISTED) for text in re.findall(r"`(.+?)`", head)]


def test_every_message_and_no_other_is_listed_once() -> None:
    found = messages().texts

    assert sorted(found - set(listed())) == [], "add them to docs/troubleshooting.md"
    assert sorted(set(listed()) - found) == [], "no longer in the code"
    assert len(listed()) == len(set(listed()))


def test_every_entry_has_a_cause_and_a_fix() -> None:
    entries = ENTRY.findall(LISTED)

    assert len(entries) == LISTED.count("\n- `")
    for head, body in entries:
        assert re.fullmatch(r"  \*Cause:\* \S.+\. \*Fix:\* \S.+\.\n", body), head


def test_it_is_known_where_a_message_comes_from_that_is_handed_on() -> None:
    unknown = messages().handed_on - HANDED_ON.keys()

    assert sorted(unknown) == [], "add its source to SOURCES of tests/docs/messages.py"
    assert sorted(HANDED_ON.keys() - messages().handed_on) == []
