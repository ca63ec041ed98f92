"""Signing in leads into this admin, whatever `next` and the path say."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from tests.attack.asgi import Answer, Header, Raw
from tests.attack.corpus import SCRIPTS, SITES, TEXTS
from tests.attack.target import FORM, KEY, ORIGIN, Target, build
from tests.recording.probe import lens_of

HOST: Header = (b"host", b"testserver")
OWN: Header = (b"origin", ORIGIN.encode())
TARGETS = sorted({*SITES, *SCRIPTS, *TEXTS} - {"a" * 5_000})


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    found = build(tmp_path_factory.mktemp("redirects"))
    yield found
    found.close()


def stays(answer: Answer) -> bool:
    """True when a browser that follows the redirect stays in this admin.

    Browsers take a backslash for a slash, and leave tabs and line breaks out.
    """
    assert answer.error is None
    assert answer.status == 303
    location = answer.header("location")
    if re.search(r"[\x00-\x20\x7f\\]", location) or not location.startswith("/lens/"):
        return False
    parts = urlsplit(urljoin("http://testserver/lens/login", location))
    return parts.netloc == "testserver" and parts.scheme == "http"


@pytest.mark.parametrize("way", ["encoded", "twice", "raw"])
def test_the_way_on_stays_in_the_admin(target: Target, way: str) -> None:
    for one in TARGETS:
        text = one.encode("utf-8", "replace")
        sent = text.translate(None, b"\r\n\x00 ") if way == "raw" else quote(text, safe="").encode()
        sent = quote(sent, safe="").encode() if way == "twice" else sent
        signed_in = (HOST, target.good["session"])
        assert stays(target.call(Raw(path="/lens/login", query=b"next=" + sent, headers=signed_in)))
        form = f"key={KEY}&next=".encode() + sent
        posted = target.call(Raw("POST", "/lens/login", headers=(HOST, OWN, FORM), body=(form,)))
        assert stays(posted)
        assert posted.header("set-cookie")


def test_a_page_that_is_asked_for_is_no_way_out_either(target: Target) -> None:
    for one in TARGETS:
        path = "/lens/" + quote(one.encode("utf-8", "replace"), safe="/%\\@:")
        for query in (b"", f"report_key={KEY}".encode(), b"next=//evil.example"):
            answer = target.call(Raw(path=path, query=query, headers=(HOST,)))
            # The host answers what has a line break in the middle: no page has.
            assert answer.status == 404 or stays(answer), path


@pytest.mark.parametrize(
    "path",
    ["//evil.example/lens", "///evil.example/lens/login", "//evil.example/lens/go?open=1"],
)
def test_a_prefix_that_takes_any_path_names_no_host(tmp_path: Path, path: str) -> None:
    app = FastAPI()
    app.add_middleware(LensMiddleware, config=LensConfig(db_path=str(tmp_path / "lens.db")))
    app.include_router(lens_admin, prefix="/{where:path}")
    client = TestClient(app, follow_redirects=False)
    answer = client.get(f"http://testserver{path}")
    assert answer.status_code == 303
    assert re.match(r"/[^/\\]", answer.headers["location"])
    lens_of(app).stop()
