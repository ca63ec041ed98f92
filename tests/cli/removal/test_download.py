"""--evidence with a URL: the key goes to its host only, and no failure is a pass."""

import gzip
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typer.testing import Result

from fastapi_lens.cli.exit_codes import CommandError
from fastapi_lens.cli.removal import download as downloading
from fastapi_lens.cli.removal.download import KEY_VARIABLE, download
from tests.cli.helpers import run
from tests.cli.removal.conftest import Branch
from tests.cli.removal.helpers import endpoint, evidence

KEY = "correct-horse-battery"
EVIDENCE = json.dumps(evidence(endpoint())).encode()


@dataclass
class Site:
    """A web site that gives chosen responses, and remembers the keys that it was sent.

    Attributes:
        responses: Status, headers and body by path.
        keys: The key of each request by path.
        ended: Set at the end, for responses that wait.
    """

    port: int
    responses: dict[str, tuple[int, Mapping[str, str], bytes]] = field(default_factory=dict)
    keys: dict[str, str | None] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str = "/lens/report/evidence", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def answer(self, path: str, status: int, body: bytes = b"", **headers: str) -> str:
        self.responses[path] = (status, headers, body)
        return self.url(path)


@pytest.fixture
def sites() -> Iterator[Callable[[], Site]]:
    """Starts web sites, each on a port of its own."""
    servers: list[tuple[ThreadingHTTPServer, threading.Thread, Site]] = []

    def start() -> Site:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                own.keys[self.path] = self.headers.get("X-Lens-Key")
                status, headers, body = own.responses.get(self.path, (200, {}, EVIDENCE))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)
                self.wfile.flush()
                if self.path == "/slow":
                    own.ended.wait()

            def log_message(self, *arguments: object) -> None:
                """Print nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        own = Site(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread, own))
        return own

    yield start
    for server, thread, own in servers:
        own.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def site(sites: Callable[[], Site]) -> Site:
    return sites()


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(KEY_VARIABLE, f"{KEY}\n")
    return KEY


def check(target: str, url: str) -> Result:
    done = run("check", target, "--evidence", url)
    assert KEY not in done.output
    return done


def test_evidence_comes_from_a_url_with_the_key(branch: Branch, site: Site, key: str) -> None:
    done = check(branch("GET /orders"), site.url("/lens/report/evidence?signature=a"))

    assert done.exit_code == 1
    assert f"({site.url()})" in done.stdout
    assert site.keys == {"/lens/report/evidence?signature=a": key}


def test_without_a_key_none_is_sent(branch: Branch, site: Site) -> None:
    assert check(branch("GET /orders"), site.url()).exit_code == 1
    assert site.keys == {"/lens/report/evidence": None}


def test_a_key_may_have_any_letters(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "schlüssel-日本")

    download(site.url())

    sent = site.keys["/lens/report/evidence"]
    assert sent is not None
    assert sent.encode("latin-1").decode() == "schlüssel-日本"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_site_keeps_the_key(site: Site, key: str, status: int) -> None:
    site.answer("/a", status, Location="/b")
    site.answer("/b", status, Location=site.url("/c"))

    assert download(site.url("/a")) == EVIDENCE
    assert site.keys == {"/a": key, "/b": key, "/c": key}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_or_port_never_has_the_key(
    sites: Callable[[], Site], key: str, status: int
) -> None:
    first, other = sites(), sites()
    first.answer("/a", status, Location=other.url("/b"))
    other.answer("/b", status, Location=other.url("/c", host="localhost"))
    other.answer("/c", status, Location=first.url("/d"))

    assert download(first.url("/a")) == EVIDENCE
    assert first.keys == {"/a": key, "/d": None}
    assert other.keys == {"/b": None, "/c": None}


@pytest.mark.parametrize(
    "target", ["ftp://127.0.0.1/x", "file:///etc/passwd", "http://a@b/", "//["]
)
def test_a_redirect_to_something_else_is_not_followed(
    branch: Branch, site: Site, target: str
) -> None:
    done = check(branch("GET /orders"), site.answer("/a", 302, Location=target))

    assert (done.exit_code, done.stdout) == (3, "")


@pytest.mark.parametrize(
    ("location", "following"),
    [
        ("http://api.example.com/b", None),
        ("//other.example.com/b", "https://other.example.com/b"),
        ("b", "https://api.example.com/b"),
    ],
)
def test_a_redirect_never_leaves_https(location: str, following: str | None) -> None:
    assert downloading.next_address("https://api.example.com/a", location) == following


def test_redirects_in_a_circle_end(branch: Branch, site: Site) -> None:
    done = check(branch("GET /orders"), site.answer("/a", 302, Location="/a"))

    assert (done.exit_code, "redirects more than 5 times" in done.stderr) == (3, True)


def test_a_redirect_without_a_target_is_no_pass(branch: Branch, site: Site) -> None:
    assert check(branch("GET /orders"), site.answer("/a", 302)).exit_code == 3


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (401, "answers with 401: set LENS_KEY to a key of the lens"),
        (403, "answers with 403: set LENS_KEY to a key of the lens"),
        (404, "answers with 404: name the whole address, which ends with /report/evidence"),
        (429, "answers with 429: wait some minutes"),
        (500, "answers with 500: see the log of its server"),
    ],
)
def test_a_site_that_refuses_is_no_pass(
    branch: Branch, site: Site, key: str, status: int, sentence: str
) -> None:
    done = check(branch("GET /orders"), site.answer("/a", status, EVIDENCE))

    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr.startswith(f"Error: {site.url('/a')} {sentence}")


def test_a_page_instead_of_evidence_is_damaged(branch: Branch, site: Site) -> None:
    done = check(branch("GET /orders"), site.answer("/a", 200, b"<!doctype html>"))

    assert (done.exit_code, f"{site.url('/a')} is damaged" in done.stderr) == (4, True)


def test_a_response_that_is_cut_off_is_no_pass(branch: Branch, site: Site) -> None:
    site.responses["/a"] = (200, {"Content-Length": str(len(EVIDENCE))}, EVIDENCE[:-9])

    assert check(branch("GET /orders"), site.url("/a")).exit_code == 4


@pytest.mark.parametrize("part", ["MAX_BYTES", "DEADLINE_SECONDS"])
def test_a_response_that_is_too_long_or_too_slow_is_no_pass(
    branch: Branch, site: Site, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(downloading, part, 0)

    done = check(branch("GET /orders"), site.url())

    assert (done.exit_code, "sends more than" in done.stderr) == (3, True)


def test_a_response_that_comes_in_drops_is_not_waited_for(site: Site) -> None:
    site.answer("/slow", 200, b"{", Content_Length=str(len(EVIDENCE)))
    hours = itertools.count(0, 3_600)

    with pytest.raises(CommandError, match="sends more than 64 MB, or longer than 120 s"):
        download(site.url("/slow"), clock=lambda: next(hours))


def test_a_host_that_does_not_answer_is_no_pass(branch: Branch, free_port: int) -> None:
    done = check(branch("GET /orders"), f"http://127.0.0.1:{free_port}/evidence?signature=a")

    assert (done.exit_code, done.stdout) == (3, "")
    assert f"http://127.0.0.1:{free_port}/evidence cannot be reached: " in done.stderr
    assert "signature" not in done.stderr


def test_a_proxy_that_does_not_answer_is_no_pass(
    branch: Branch, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port}")

    done = check(branch("GET /orders"), "http://api.example.com/evidence")

    assert (done.exit_code, "cannot be reached" in done.stderr) == (3, True)


@pytest.mark.parametrize(
    "url",
    [
        "ftp://api.example.com/",
        "file:///etc/passwd",
        "sqlite:///lens.db",
        "http://me:secret@api.example.com/",
        "http:///evidence",
        "http://[",
        "http://api.example.com:99999/",
        "http://api.example.com/a b",
        "http://api.example.com/日",
        "http://api.example.com/\n",
    ],
)
@pytest.mark.parametrize("option", ["--evidence", "--url"])
def test_an_address_that_is_none_is_wrong_usage(branch: Branch, url: str, option: str) -> None:
    evidence = () if option == "--evidence" else ("--evidence", "evidence.json")

    done = run("check", branch("GET /orders"), *evidence, option, url)

    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{option} must be a URL like https://" in done.stderr
    assert "secret" not in done.stderr


def test_a_key_in_the_address_is_wrong_usage(branch: Branch) -> None:
    url = f"https://api.example.com/lens/report/evidence?report_key={KEY}"

    done = check(branch("GET /orders"), url)

    assert (done.exit_code, "put it into LENS_KEY" in done.stderr) == (2, True)


def test_a_key_that_no_header_carries_is_wrong_usage(
    branch: Branch, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY_VARIABLE, f"{KEY}\nX: y")

    done = check(branch("GET /orders"), site.url())

    assert (done.exit_code, done.stderr.startswith("Error: LENS_KEY ")) == (2, True)
    assert site.keys == {}


def test_gzipped_evidence_is_unpacked(branch: Branch, site: Site) -> None:
    site.answer("/a", 200, gzip.compress(EVIDENCE))

    assert check(branch("GET /orders"), site.url("/a")).exit_code == 1


@pytest.mark.parametrize(
    ("packed", "sentence"),
    [
        (gzip.compress(EVIDENCE, mtime=0)[:-20], "is cut off, or longer than 64 MB unpacked"),
        (gzip.compress(EVIDENCE, mtime=0)[:12] + b"\xff" * 40, "is damaged"),
        (gzip.compress(b" " * (65 << 20), mtime=0), "is cut off, or longer than 64 MB unpacked"),
    ],
    ids=("cut off", "damaged", "too long"),
)
def test_gzipped_evidence_that_is_damaged_is_no_pass(
    branch: Branch, site: Site, packed: bytes, sentence: str
) -> None:
    done = check(branch("GET /orders"), site.answer("/a", 200, packed))

    assert (done.exit_code, sentence in done.stderr) == (4, True)
