"""Security headers of every answer: frames, caches, types; no header can be injected."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.attack.asgi import Header, Raw
from tests.attack.corpus import SCRIPTS, SITES
from tests.attack.fuzzing import SECURITY, Attempt, problems, table
from tests.attack.target import REPORT_PATH, Target, build

HOST: Header = (b"host", b"testserver")
FRAGMENT: Header = (b"hx-request-type", b"partial")
INJECTIONS = (
    "x\r\nSet-Cookie: planted=1",
    "x\nLocation: //evil.example",
    "x\r\n\r\n<script>",
    "x\u010d\u010aSet-Cookie: planted=1",  # Whose low bytes are CR and LF.
    "x%0d%0aSet-Cookie:%20planted=1",
    "\x00",
    *SITES[::4],
    *SCRIPTS[::4],
)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    found = build(tmp_path_factory.mktemp("headers"))
    yield found
    found.close()


def everything(target: Target) -> list[str]:
    """Every path of the table, with each thing that is there in place of its parameters."""
    reports = [REPORT_PATH, f"{REPORT_PATH}/top", f"{REPORT_PATH}/dead"]
    names = [*target.ids, "lens.css", "nothing"]
    paths = [f"/lens{path}".replace("{}", name) for path in table() for name in names]
    return reports + list(dict.fromkeys(paths))


@pytest.mark.parametrize("fragment", [False, True])
@pytest.mark.parametrize("who", ["nobody", "session", "key"])
def test_every_answer_says_that_it_is_neither_framed_nor_kept_nor_guessed_at(
    target: Target, who: str, *, fragment: bool
) -> None:
    known = [target.good[who]] if who in target.good else []
    headers = (HOST, *known, *([FRAGMENT] if fragment else []))
    pages = 0
    for path in everything(target):
        for method in ("GET", "HEAD", "POST"):
            raw = Raw(method, path, headers=headers)
            answer = target.call(raw)
            assert problems(Attempt(raw, let_in=bool(known)), answer) == [], raw
            html = answer.header("content-type").startswith("text/html")
            pages += html
            if html:
                policy = answer.header("content-security-policy")
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert {name: answer.header(name) for name in SECURITY if name[0] == "x"} == {
                    "x-content-type-options": "nosniff",
                    "x-frame-options": "DENY",
                }
    assert pages >= 3  # The form to sign in, and whatever it may not be.


def test_only_static_files_are_kept_and_each_address_of_one_is_its_content(target: Target) -> None:
    page = target.call(Raw(path="/lens/", headers=(HOST, target.good["session"]))).text
    for name in ("lens.css", "lens.js"):
        assert f"/lens/static/{name}?v=" in page
        answer = target.call(Raw(path=f"/lens/static/{name}", headers=(HOST,)))
        assert answer.header("cache-control") == "public, max-age=31536000, immutable"
        assert answer.header("x-content-type-options") == "nosniff"
    missing = target.call(Raw(path="/lens/static/nothing.css", headers=(HOST,)))
    assert (missing.status, missing.header("cache-control")) == (404, "private, no-store")


@pytest.mark.parametrize(
    "name",
    ["../pyproject.toml", "..%2f..%2fpyproject.toml", "%2e%2e/router.py", "/etc/passwd", ".hidden",
     "vendor/../../lens.css", "lens.css%00.js", "..\\lens.css", "lens.css/", "C:lens.css"],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder_of_static_files(target: Target, name: str) -> None:
    assert target.call(Raw(path=f"/lens/static/{name}", headers=(HOST,))).status == 404


def test_nothing_that_is_sent_becomes_a_header_of_its_own(target: Target) -> None:
    allowed = {target.good["session"][1].decode().partition("=")[0]}
    for text in INJECTIONS:
        sent = quote(text.encode("utf-8", "replace"), safe="").encode()
        for path in (
            "/lens/",
            "/lens/requests",
            "/lens/exceptions",
            "/lens/login",
            "/lens/x" + text,
        ):
            raw = Raw(
                path=quote(path, safe="/%"),
                query=b"q=%s&tag=%s&next=%s&days=%s&method=%s" % ((sent,) * 5),
                headers=(HOST, FRAGMENT, target.good["session"], (b"hx-source", b"x#lens-q")),
            )
            answer = target.call(raw)
            assert problems(Attempt(raw, let_in=True), answer) == [], raw
            for name, value in answer.headers:
                assert name != b"set-cookie" or value.split(b"=")[0].decode() in allowed
                assert value.isascii()
