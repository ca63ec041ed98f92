"""Cross-site requests: other sites may link to the admin, and nothing else."""

from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from fastapi_lens.admin.access.cross_site import is_cross_site, is_own_form
from tests.attack.asgi import Header, Raw
from tests.attack.fuzzing import table
from tests.attack.target import INSIDE, REPORT_PATH, Target, build

HOST: Header = (b"host", b"testserver")
TRUSTED = "https://dashboard.example"
EVIL: Header = (b"origin", b"https://evil.example")


def told(site: str, mode: str = "", dest: str = "", *more: Header) -> list[Header]:
    """Headers of a browser that tells where a request comes from."""
    names = ((b"sec-fetch-site", site), (b"sec-fetch-mode", mode), (b"sec-fetch-dest", dest))
    return [*((name, value.encode()) for name, value in names if value), *more]


def origin(text: str) -> Header:
    return (b"origin", text.encode())


REFUSED: dict[str, list[Header]] = {
    "fetch of another site": told("cross-site", "cors", "empty", EVIL),
    "fetch that wants no answer": told("cross-site", "no-cors", "empty"),
    "EventSource": told("cross-site", "cors", "empty", EVIL, (b"accept", b"text/event-stream")),
    "image": told("cross-site", "no-cors", "image"),
    "script": told("cross-site", "no-cors", "script"),
    "style": told("cross-site", "no-cors", "style"),
    "module": told("cross-site", "cors", "script", EVIL),
    "video": told("cross-site", "no-cors", "video"),
    "iframe": told("cross-site", "navigate", "iframe"),
    "frame": told("cross-site", "navigate", "frame"),
    "fenced frame": told("cross-site", "navigate", "fencedframe"),
    "embed": told("cross-site", "navigate", "embed"),
    "object": told("cross-site", "no-cors", "object"),
    "object that is navigated": told("cross-site", "navigate", "object"),
    "navigation without a destination": told("cross-site", "navigate"),
    "destination without a mode": told("cross-site", "", "document"),
    "WebSocket over http": told("cross-site", "websocket", "websocket", EVIL),
    "prefetch": told("cross-site", "no-cors", "empty", (b"sec-purpose", b"prefetch")),
    "speculation": told("cross-site", "navigate", "document", (b"sec-purpose", b"prefetch")),
    "prerender": told(
        "cross-site", "navigate", "document", (b"sec-purpose", b"prefetch;prerender")
    ),
    "prefetch of older browsers": told(
        "cross-site", "navigate", "document", (b"purpose", b"prefetch")
    ),
    "service worker": told("cross-site", "same-origin", "serviceworker"),
    "fetch of another port": told("same-site", "cors", "empty", origin("http://testserver:5173")),
    "image of another port": told("same-site", "no-cors", "image"),
    "iframe of a sibling name": told("same-site", "navigate", "iframe"),
    "form that is posted": told("cross-site", "navigate", "document", EVIL),
    "a site that no browser names": told("elsewhere", "navigate", "document"),
    "two sites at once": [*told("same-origin"), *told("cross-site", "cors", "empty")],
    "an empty site": [(b"sec-fetch-site", b"")],
    "only an origin": [EVIL],
    "the origin of a sandbox": [origin("null")],
    "an origin of nothing": [origin("")],
    "two origins": [origin("http://testserver"), EVIL],
    "another port": [origin("http://testserver:8080")],
    "the port of the other scheme": [origin("https://testserver:80")],
    "a dot at the end": [origin("http://testserver.")],
    "a name that begins alike": [origin("http://testserver.evil.example")],
    "a name that ends alike": [origin("http://eviltestserver")],
    "a name in front of the host": [origin("http://testserver@evil.example")],
    "a path behind the host": [origin("http://testserver/")],
    "an extension": [origin("chrome-extension://abcdefghijklmnop")],
    "a file": [origin("file://testserver")],
    "a trusted name by another scheme": [origin("http://dashboard.example")],
    "a trusted name at another port": [origin("https://dashboard.example:8443")],
    "no address": [origin("http://[")],
    "letters of another alphabet": [(b"origin", "http://testservеr".encode())],
}
"""By what a page of another site does, what a browser sends with it."""

ALLOWED: dict[str, list[Header]] = {
    "a program": [],
    "what is typed into the address bar": told("none", "navigate", "document"),
    "a page of the admin": told("same-origin", "navigate", "document"),
    "a refresh": told("same-origin", "cors", "empty"),
    "a prefetch of our own": told("same-origin", "no-cors", "empty", (b"sec-purpose", b"prefetch")),
    "a link": told("cross-site", "navigate", "document"),
    "a link of a sibling name": told("same-site", "navigate", "document"),
    "a form of another site that is a link": told("cross-site", "navigate", "document"),
    "a proxy that changes Host": told("same-origin", "cors", "empty", EVIL),
    "a policy without referrers": told("same-origin", "navigate", "document", origin("null")),
    "our origin": [origin("http://testserver")],
    "our origin in capitals": [origin("HTTP://TestServer")],
    "our origin with its port": [origin("http://testserver:80")],
    "our origin behind TLS": [origin("https://testserver")],
    "a trusted origin": told("cross-site", "cors", "empty", origin(TRUSTED)),
    "a trusted origin of an old browser": [origin(TRUSTED)],
}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    found = build(tmp_path_factory.mktemp("keyed"), trusted_origins=[TRUSTED])
    yield found
    found.close()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    found = build(tmp_path_factory.mktemp("local"), report_keys={}, trusted_origins=[TRUSTED])
    yield found
    found.close()


def closed_paths(target: Target) -> list[str]:
    """Everything but static files."""
    paths = [f"/lens{path}".replace("{}", target.ids[0]) for path in table()]
    reports = [REPORT_PATH, f"{REPORT_PATH}/top", f"{REPORT_PATH}/dead", "/lens/reportx"]
    return [path for path in [*paths, *reports] if "/static/" not in path]


def test_nothing_is_shown_to_another_site_by_any_path_or_method(
    keyed: Target, local: Target
) -> None:
    for target, who in ((keyed, "session"), (keyed, "key"), (keyed, "read"), (local, "")):
        known = [target.good[who]] if who else []
        for path in closed_paths(target):
            for method in ("GET", "HEAD", "OPTIONS", "POST"):
                sent = (HOST, *known, *REFUSED["fetch of another site"])
                answer = target.call(Raw(method, path, headers=sent))
                assert (path, method, answer.status in (403, 404, 405)) == (path, method, True)
                assert INSIDE not in answer.text
                assert not answer.header("set-cookie")


@pytest.mark.parametrize("path", ["/lens/", "/lens/report", REPORT_PATH, "/lens/endpoints.csv"])
def test_a_link_opens_the_admin_and_nothing_else_of_another_site_does(
    keyed: Target, local: Target, path: str
) -> None:
    for target, known in ((keyed, [keyed.good["session"]]), (local, [])):
        for name, headers in REFUSED.items():
            answer = target.call(Raw("GET", path, headers=(HOST, *known, *headers)))
            assert (name, answer.status) == (name, 403)
            assert INSIDE not in answer.text
        for name, headers in ALLOWED.items():
            answer = target.call(Raw("GET", path, headers=(HOST, *known, *headers)))
            assert (name, answer.status) == (name, 200)


def test_static_files_and_the_refusal_are_for_everybody(local: Target) -> None:
    headers = (HOST, *REFUSED["fetch of another site"])
    assert local.call(Raw(path="/lens/static/lens.css", headers=headers)).status == 200
    page = local.call(Raw(path="/lens/", headers=headers))
    assert "trusted_origins" in page.text
    assert page.header("content-type").startswith("text/html")
    report = local.call(Raw(path="/lens/report", headers=headers))
    assert "trusted_origins" in report.text
    assert report.header("content-type") == "application/json"


def test_another_site_neither_guesses_nor_signs_in_by_an_address(keyed: Target) -> None:
    key = keyed.good["key"][1]
    for name in ("image", "iframe", "fetch of another site"):
        raw = Raw(path="/lens/", query=b"report_key=" + key, headers=(HOST, *REFUSED[name]))
        answer = keyed.call(raw)
        assert (answer.status, answer.header("set-cookie")) == (403, "")


def request(headers: Sequence[Header], method: str = "GET") -> Request:
    return Request(Raw(method, headers=tuple(headers)).scope())


@pytest.mark.parametrize(
    ("host", "sent"),
    [
        ("localhost:8000", "http://localhost:8000"),
        ("LOCALHOST:8000", "http://localhost:8000"),
        ("[::1]:8000", "http://[::1]:8000"),
        ("[::1]:80", "http://[0:0:0:0:0:0:0:1]"),
        ("a.example:443", "https://a.example"),
        ("a.example.", "https://a.example."),
        ("127.0.0.1", "http://127.0.0.1:80"),
    ],
)
def test_an_origin_is_compared_as_browsers_write_it(host: str, sent: str) -> None:
    headers = [(b"host", host.encode()), origin(sent)]
    assert not is_cross_site(request(headers), ())
    assert is_own_form(request(headers, "POST"), ())
    other = [(b"host", b"x" + host.encode()), origin(sent)]
    assert is_cross_site(request(other), ())
    assert is_cross_site(request([origin(sent)]), ())
    assert is_cross_site(request([*headers, headers[0]]), ())


header_values = st.sampled_from(
    ["", "null", "same-origin", "same-site", "cross-site", "none", "navigate", "document", "cors",
     "http://testserver", "https://evil.example", TRUSTED, "empty"]
) | st.text(alphabet=st.characters(codec="latin-1"), max_size=12)  # fmt: skip
metadata = st.lists(
    st.tuples(
        st.sampled_from(
            [b"origin", b"sec-fetch-site", b"sec-fetch-mode", b"sec-fetch-dest", b"sec-purpose"]
        ),
        header_values.map(lambda text: text.encode("latin-1")),
    ),
    max_size=6,
)


@given(metadata, st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PUT"]))
def test_what_is_let_through_is_ours_trusted_typed_or_a_link(
    headers: list[Header], method: str
) -> None:
    asked = request([HOST, *headers], method)
    found = {
        name.decode(): [value.decode("latin-1") for one, value in headers if one == name]
        for name, _ in headers
    }
    if not is_cross_site(asked, (TRUSTED,)):
        ours = found.get("origin") in ([TRUSTED], ["http://testserver"], None)
        assert ours or found.get("sec-fetch-site") in (["same-origin"], ["none"])
        if found.get("sec-fetch-site") not in (None, ["same-origin"], ["none"]):
            linked = (method, found.get("sec-fetch-mode"), found.get("sec-fetch-dest"))
            is_link = linked == ("GET", ["navigate"], ["document"]) and "sec-purpose" not in found
            assert is_link or found.get("origin") == [TRUSTED]
    if is_own_form(asked, (TRUSTED,)):
        assert "origin" in found or "sec-fetch-site" in found
