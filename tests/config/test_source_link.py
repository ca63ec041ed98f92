"""The template of links from lines of code."""

import string
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens import LensConfig
from fastapi_lens.config.source_link import EDITORS, WEB, SourceLink
from fastapi_lens.errors import ConfigError

pytestmark = pytest.mark.unit

WEB_LINK = "https://example.com/shop/blob/{release}/{file}#L{line}"
PIECES = st.sampled_from(
    [
        *(
            "vscode://",
            "https://",
            "javascript:",
            "data:",
            "example.com",
            "user@",
            "/",
            "?a=",
            "#L",
        ),
        *("{path}", "{file}", "{line}", "{release}", "{", "}", "{{", "}}", "{line!r}", "{line:>9}"),
        *(" ", "\n", "\x00", '"', "<", "é", "{path.__class__}", "{0}", "{}", ":"),
    ]
)
TEXTS = st.lists(PIECES, max_size=8).map("".join)
FILES = st.text(min_size=1, max_size=40)
UNRESERVED = set(string.ascii_letters + string.digits + "-._~/%")


def parsed(text: str) -> SourceLink | None:
    try:
        return SourceLink.parse(text)
    except ValueError:
        return None


def href(text: str, *, file: str = "app/users.py", line: int | None = 41, release: str = "") -> str:
    link = SourceLink.parse(text)
    return link.href(path=f"/srv/{file}", file=file, line=line, release=release)


def test_an_editor_gets_the_path_on_the_server() -> None:
    assert href("vscode://file/{path}:{line}") == "vscode://file/srv/app/users.py:41"
    assert href("pycharm://open?file=/{path}") == "pycharm://open?file=/srv/app/users.py"
    assert href("vscode://file/{path}:{line}", line=None).endswith(":1")


def test_a_repository_gets_the_path_in_the_project_and_the_release() -> None:
    found = href(WEB_LINK, release="v1.4/a b")
    assert found == "https://example.com/shop/blob/v1.4/a%20b/app/users.py#L41"
    assert href(WEB_LINK) == ""


@given(TEXTS | st.text(max_size=60), FILES, st.integers(1, 10**9) | st.none(), FILES)
def test_each_accepted_template_makes_a_link_with_its_own_scheme_and_host(
    text: str, file: str, line: int | None, release: str
) -> None:
    link = parsed(text)
    if link is None:
        return
    found = link.href(path=f"/{file}", file=file, line=line, release=release)
    scheme, _, rest = found.partition("://")
    assert scheme.lower() in (*WEB, *EDITORS)
    assert rest
    assert found.isprintable()
    assert not {" ", "\n"} & set(found)
    if scheme.lower() in WEB:
        assert urlsplit(found).netloc == urlsplit(text).netloc


@given(FILES, FILES)
def test_what_a_file_or_a_release_is_called_cannot_change_the_rest_of_the_link(
    file: str, release: str
) -> None:
    for text in (
        "https://example.com/{release}/{file}?a=1#L{line}",
        "vscode://x?f={file}&r={release}",
    ):
        begin, _, _ = text.partition("{")
        found = href(text, file=file, release=release)
        assert found.startswith(begin)
        assert set(found) <= UNRESERVED | set(text)
        assert found.count("?") + found.count("&") == text.count("?") + text.count("&")
    assert unquote(href("vscode://file/{file}", file=file)) == f"vscode://file/{file}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("javascript:alert({file})", "must begin with https://"),
        ("javascript://x/%0aalert(1)//{file}", "must begin with https://"),
        ("data:text/html,{file}", "must begin with https://"),
        ("file:///{path}", "must begin with https://"),
        ("/{file}", "must begin with https://"),
        ("{file}://x", "must begin with https://"),
        ("https://example.com/", "must name the file"),
        ("https://example.com/{name}", "has the unknown placeholder {name}"),
        ("https://example.com/{file.__class__}", "has the unknown placeholder"),
        ("https://example.com/{file!r}", "has the unknown placeholder"),
        ("https://example.com/{file:>9}", "has the unknown placeholder"),
        ("https://example.com/{file", "has a brace without its other half"),
        ("https://{release}/{file}", "must name a host"),
        ("https://me:secret@example.com/{file}", "must name a host"),
        ("https:///{file}", "must name a host"),
        ("https://[::1/{file}", "must name a host"),
        ("https://example.com/a {file}", "must have no spaces"),
        ("https://example.com/\n{file}", "must have no spaces"),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match="source_link") as raised:
        LensConfig(db_path=":memory:", source_link=text)
    assert reason in str(raised.value)


def test_the_template_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENS_SOURCE_LINK", WEB_LINK)
    assert LensConfig(db_path=":memory:").source_link == WEB_LINK
