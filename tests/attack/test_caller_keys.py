"""After a run with known keys of callers, none is left anywhere, nor a hash without a key."""

import base64
import hashlib
import logging
import re
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from pathlib import Path
from urllib.parse import quote

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.responses import StreamingResponse
from starlette.types import Scope

from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from tests.cli.helpers import run as run_command
from tests.recording.probe import lens_of

ADMIN = {"X-Lens-Key": "admin-key"}
KEYS = (
    b"key-of-billing-7f3a91c2",
    b"sk_live_51HxQ2eZ0000",
    b"a=1; b=%2F+/\\'\"<b>&amp;",
    "Schlüssel-ö".encode("latin-1"),
    b"long-" + b"0123456789" * 60,
    *(f"one-of-many-{number:04}-5be0d4a8".encode() for number in range(40)),
)
UNKNOWN = b"key-that-the-hook-chokes-on-0c77e1f9"
REFUSED = b"key-that-is-refused-44d19ab3"
LINKS = re.compile(r'(?:href|hx-get|action|src)="(/lens[^"#]*)"')
MOST_PAGES = 200


def name_of(scope: Scope) -> str | None:
    """The host's own function, which fails with the key in its message."""
    if (b"x-api-key", UNKNOWN) in scope["headers"]:
        raise LookupError(f"nobody has the key {UNKNOWN.decode()}")
    return None


def application(path: Path) -> FastAPI:
    app = FastAPI(title="keyed")

    @app.get("/orders")
    def orders() -> list[int]:
        return []

    @app.get("/old", deprecated=True)
    def old() -> list[int]:
        return []

    @app.get("/refused", status_code=401)
    def refused() -> None: ...

    @app.get("/crash")
    def crash(request: Request) -> None:
        secret = request.headers.get("x-api-key", "")
        raise LookupError(f"{len(secret)} characters")

    @app.get("/stream")
    def stream() -> StreamingResponse:
        def parts() -> Iterator[bytes]:
            yield b"begun"
            # While it is open: a flush asks for its caller, too.
            assert lens_of(app).flusher.flush()
            yield b"ended"

        return StreamingResponse(parts())

    config = LensConfig(
        db_path=str(path),
        report_key=ADMIN["X-Lens-Key"],
        consumer=name_of,
        callers="agent",
        log_sample_rate=1.0,
        log_query_values=True,
        log_clients="hashed",
        flush_interval=3_600,
    )
    app.add_middleware(LensMiddleware, config=config)
    app.include_router(lens_admin)
    return app


class Places:
    """What a run has left: bytes by place."""

    def __init__(self) -> None:
        self.left: dict[str, bytes] = {}

    def keep(self, place: str, content: str | bytes) -> None:
        self.left[place] = content.encode("utf-8") if isinstance(content, str) else content

    def found(self) -> list[str]:
        """Where a key is, in which form."""
        return [
            f"{form} of {key[:20]!r} in {place}"
            for key in (*KEYS, UNKNOWN, REFUSED)
            for form, text in forms_of(key).items()
            for place, content in self.left.items()
            if text in content
        ]


def forms_of(key: bytes) -> dict[str, bytes]:
    """A key in each form in which it could be recognised; without another key, a hash is one."""
    digests = {
        name: hashlib.new(name, key).digest()[:8] for name in ("md5", "sha1", "sha256", "blake2b")
    }
    digests["blake2b of 8 bytes"] = hashlib.blake2b(key, digest_size=8).digest()
    return {
        "text": key,
        "text as UTF-8": key.decode("latin-1").encode(),
        "text in an address": quote(key).encode(),
        "escaped text": ascii(key.decode("latin-1"))[1:-1].encode(),
        "hex": key.hex().encode(),
        "base64": base64.b64encode(key)[: len(key) * 4 // 3 // 4 * 4],
        **{f"{name}, hex": digest.hex().encode() for name, digest in digests.items()},
        **digests,
    }


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Places:
    """A run with all keys, and everything that it has left."""
    folder = tmp_path_factory.mktemp("keyed")
    database = folder / "lens.db"
    found, app, log = Places(), application(database), Log()
    root = logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    try:
        with TestClient(app, raise_server_exceptions=False) as client:
            keep_every_inbox_row(app, client, database)
            call(client)
            lens = lens_of(app)
            assert lens.flusher.flush()
            look_at_every_page(found, client)
            read_database(found, folder)
            found.keep("repr of the lens", repr([vars(lens), vars(lens.recorder), lens.config]))
        run_commands(found, database)
        read_database(found, folder)
    finally:
        root.removeHandler(log)
        root.setLevel(level)
    found.keep("log", "\n".join(log.lines))
    return found


class Log(logging.Handler):
    """Keeps all records as text, with their tracebacks and arguments."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s %(message)s"))
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        # The client's own lines are those of the test, and so are tracebacks of the application.
        if record.name.startswith("fastapi_lens"):
            self.lines.append(f"{self.format(record)} {record.args!r}")


def keep_every_inbox_row(app: FastAPI, client: TestClient, database: Path) -> None:
    """Have the database keep rows of the inbox, which the flush itself adds up and deletes."""
    client.get("/lens/", headers=ADMIN)
    lens_of(app).prepare()
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE kept (body BLOB)")
        connection.execute(
            "CREATE TRIGGER keep AFTER INSERT ON lens_inbox "
            "BEGIN INSERT INTO kept VALUES (NEW.body); END"
        )


def call(client: TestClient) -> None:
    """Send each key to each endpoint, and to addresses of nothing."""
    paths = ("/orders", "/old", "/refused", "/crash", "/stream", "/nothing", "/orders?q=1")
    for key in KEYS:
        for path in paths[: 1 if b"many" in key else None]:
            for method in ("GET", "HEAD", "POST"):
                client.request(method, path, headers={b"X-Api-Key": key})
    for _ in range(2):
        client.get("/orders", headers={b"X-Api-Key": UNKNOWN})
        client.get("/crash", headers={b"X-Api-Key": UNKNOWN})
        client.get("/stream", headers={b"X-Api-Key": UNKNOWN})
        client.get("/refused", headers={b"X-Api-Key": REFUSED})
    client.get("/lens/", headers={b"X-Api-Key": KEYS[0], b"X-Lens-Key": b"wrong"})


def look_at_every_page(found: Places, client: TestClient) -> None:
    """Follow the links of the admin from its first page, and keep all answers."""
    waiting = ["/lens/", "/lens/report", "/lens/report/evidence", "/lens/report/callers"]
    waiting += ["/lens/settings/audit", "/lens/settings/danger", "/lens/requests.csv"]
    seen = set(waiting)
    while waiting and len(found.left) < MOST_PAGES:
        address = waiting.pop(0)
        answer = client.get(address, headers=ADMIN)
        found.keep(f"{answer.status_code} {address}", f"{answer.headers}\n{answer.text}")
        links = {unescape(link) for link in LINKS.findall(answer.text)} - seen
        # Pages before files and windows of charts, of which there are very many.
        waiting += sorted(links, key=lambda link: ("from=" in link, link))
        seen |= links


def run_commands(found: Places, database: Path) -> None:
    """Keep what the command line prints and writes."""
    export = database.parent / "export.jsonl"
    commands = [
        *(("report", "--format", form) for form in ("json", "csv")),
        *(("prune-list", "--format", form) for form in ("json", "markdown")),
        ("evidence",),
        ("doctor",),
        ("export", export),
    ]
    for command in commands:
        done = run_command(*command, "--database", database)
        assert done.exit_code == 0, done.output
        found.keep(f"command {command[0]} {command[-1]}", done.output)
    found.keep("file of the export", export.read_bytes())


def read_database(found: Places, folder: Path) -> None:
    """Keep the bytes of the files, and the packed rows of the inbox unpacked."""
    for file in folder.glob("lens.db*"):
        found.keep(f"file {file.name} {len(found.left)}", file.read_bytes())
    with closing(sqlite3.connect(folder / "lens.db")) as connection:
        bodies = [body for (body,) in connection.execute("SELECT body FROM kept")]
        dump = "\n".join(connection.iterdump())
    found.keep(f"dump of the database {len(found.left)}", dump)
    assert bodies
    for number, body in enumerate(bodies):
        found.keep(f"row {number} of the inbox", zlib.decompress(body[1:]))


def test_no_key_of_a_caller_is_left_anywhere(places: Places) -> None:
    assert places.found() == []


def test_the_search_has_looked_at_callers_logs_files_pages_and_exports(places: Places) -> None:
    names = "\n".join(places.left)
    for wanted in (
        *("200 /lens/report/callers", "200 /lens/callers", "200 /lens/requests.csv"),
        *("200 /lens/report/evidence", "200 /lens/cleanup", "200 /lens/settings"),
        *("file lens.db-wal", "file lens.db ", "file of the export", "row 0 of the inbox"),
    ):
        assert wanted in names, names
    assert not re.search("^5", names, re.MULTILINE)
    assert b"fastapi_lens" in places.left["log"]
    assert "key …" in places.left["200 /lens/report/callers"].decode()


def test_the_function_that_failed_is_named_once_without_its_message(places: Places) -> None:
    lines = [line for line in places.left["log"].decode().splitlines() if "consumer" in line]
    assert len(lines) == 1
    assert "LookupError" in lines[0]


@pytest.mark.parametrize("form", forms_of(KEYS[0]))
def test_the_search_finds_each_form(form: str) -> None:
    seen = Places()
    seen.keep("here", b"x" + forms_of(KEYS[0])[form] + b"y")
    assert any(f"{form} of" in one for one in seen.found())
