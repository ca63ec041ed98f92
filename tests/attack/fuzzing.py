"""Requests of every kind to every route of the admin, and what no answer may be.

The routes come from the router's own table, so that a new one is fuzzed by itself. They are in no
OpenAPI schema, so that a fuzzer which reads one would find nothing here.
"""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from hypothesis import strategies as st

from fastapi_lens.admin import router
from fastapi_lens.admin.http.static_files import folder
from fastapi_lens.settings.settings import SECTIONS
from tests.attack.asgi import Answer, Header, Raw
from tests.attack.corpus import FORMULAS, SCRIPTS, SITES, TEXTS
from tests.attack.target import FORM, INSIDE, KEY, ORIGIN, READ_KEY, REPORT_PATH, Target

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "x")
NAMED = {
    name
    for template in (folder("templates")).rglob("*.html")
    for name in re.findall(r'name="([\w.]+)"', template.read_text(encoding="utf-8"))
}
FIELDS = (
    *sorted(NAMED | {one.name for section in SECTIONS.values() for one in section}),
    *("page", "from", "to", "min_ms", "reason", "before", "limit", "saved", "report_key", "\x00"),
    *("method.GET", "status.4", "password"),
    *("verdict", "e", "keys", "until", "back", "caller", "label"),
)
"""Of every form that there is, and of addresses."""

USUAL = (
    *("1", "7", "30", "all", "1h", "active", "dead", "5xx", "404", "GET", "-p95", "path", "2"),
    *("error", "slow", "500", "2026-04-03T14:00Z", "/internal/**", "/health", "on", "read"),
    *("retention", "thresholds", "rules", "recording", "fuzzed", "lens.css", "htmx.min.js"),
    *("save", "preview", "pause", "resume", "delete", "audit", "danger"),
    *("safe_to_remove", "removed", "-last", "2027-06-30", "end", "endpoint"),
)
HEADERS = (
    *(b"accept-encoding", b"content-type", b"forwarded", b"hx-current-url", b"hx-request"),
    *(b"hx-request-type", b"hx-source", b"if-none-match", b"origin", b"range", b"sec-fetch-site"),
    *(b"user-agent", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-prefix"),
    *(b"sec-fetch-mode", b"sec-fetch-dest", b"sec-fetch-user", b"sec-purpose", b"purpose"),
    *(b"cookie", b"referer", b"upgrade"),
)
USUAL_HEADERS = (
    (b"hx-request-type", b"partial"),
    (b"hx-request", b"true"),
    (b"hx-current-url", b"http://testserver/lens/?q=x"),
    (b"origin", ORIGIN.encode()),
    (b"sec-fetch-site", b"same-origin"),
    (b"if-none-match", b"*"),
    FORM,
)
SECURE = ("sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "sec-purpose", "origin")
OURS: tuple[tuple[str, ...], ...] = (
    *[()] * 12,
    ("same-origin", "navigate", "document"),
    ("same-origin", "cors", "empty", "", ORIGIN),
    ("same-origin", "navigate", "document", "", "null"),
    ("none", "navigate", "document", "prefetch;prerender"),
    ("cross-site", "navigate", "document"),
    ("same-site", "navigate", "document"),
    ("", "", "", "", ORIGIN.upper() + ":80"),
)
THEIRS: tuple[tuple[str, ...], ...] = (
    ("cross-site", "cors", "empty", "", "https://evil.example"),
    ("cross-site", "no-cors", "image"),
    ("cross-site", "navigate", "iframe"),
    ("cross-site", "navigate", "document", "prefetch"),
    ("same-site", "cors", "empty", "", "http://testserver:5173"),
    ("cross-site", "websocket", "websocket", "", "null"),
    ("", "", "", "", "http://testserver.evil.example"),
    ("", "", "", "", "null"),
    ("", "", "", "", "http://testserver:65536"),
    ("Same-Origin", "navigate", "document"),
)
"""Headers of browsers for requests of our pages, and of other sites."""

ODD_COOKIES = (
    *(b"", b"lens_theme=dark", b'lens_theme="><x', b"lens_live=off", b"lens_session=", b"=x"),
    *(b"lens_session=a; lens_session=b", b"__Host-lens_session=x", b"lens_session", b";;; ;"),
    *(b"$Version=1; lens_session=x", b'lens_session="a\\"; b"', b"lens_session\t=x", b"a=" * 50),
    *(b"\xff=\xfe", b"Lens_Session=x", b"lens_theme=dark; lens_theme=light", b"x" * 9_000),
)
LEAKS = re.compile(
    rf"Traceback \(most recent|site-packages|sqlalchemy\.|sqlite3\.|\.py\", line|{KEY}|{READ_KEY}"
)
"""Texts that no answer may contain: stack traces, server paths, driver messages, keys."""

SECURITY = {
    "content-security-policy": "frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
}

texts = (
    st.sampled_from(USUAL)
    | st.sampled_from(TEXTS + SCRIPTS + FORMULAS + SITES)
    | st.text(max_size=30)
)
"""Texts of ordinary users and of attackers."""

# A server lets neither line breaks nor NUL into a header, and everything else.
header_bytes = st.binary(max_size=40).map(
    lambda value: value.translate(None, b"\x00\r\n")
) | texts.map(lambda text: text.encode("utf-8", "replace").translate(None, b"\x00\r\n"))


@dataclass(frozen=True)
class Attempt:
    """A request, and whether its credentials let it in."""

    raw: Raw
    let_in: bool


def table() -> list[str]:
    """Every path of the router's table, parameters as ``{}``."""
    patterns = [page.pattern.pattern for page in router.PAGES]
    return [re.sub(r"\(\?P<\w+>.*?\)", "{}", one).strip("^$").replace("\\", "") for one in patterns]


def attempts(target: Target) -> st.SearchStrategy[Attempt]:
    """Requests to an application."""

    def made(
        line: tuple[str, str],
        known: tuple[list[Header], bool],
        site: tuple[list[Header], bool],
        others: list[Header],
        more: dict[str, Any],
    ) -> Attempt:
        raw = Raw(*line, headers=(*known[0], *site[0], *others), **more)
        said = [value for name, value in raw.headers if name == b"sec-fetch-site"]
        # Nobody but the browser can say so; a proxy may have changed the Host, and so its origin.
        ours = site[1] or said in ([b"same-origin"], [b"none"])
        let_in = known[1] and ours and (not target.local or is_this_machine(raw))
        return Attempt(raw, let_in)

    methods = st.sampled_from(("GET",) * 30 + ("POST",) * 10 + METHODS)
    more = st.fixed_dictionaries(
        {
            "query": queries(target),
            "body": bodies(target),
            "client": st.sampled_from(
                ["testclient", "127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", ""]
            ),
            "scheme": st.sampled_from(["http", "https"]),
            "http_version": st.sampled_from(["1.1", "1.1", "1.1", "2", "1.0", "1", "0.9", "x"]),
        }
    )
    return st.builds(
        made, st.tuples(methods, paths(target)), credentials(target), sites, other_headers, more
    )


def is_this_machine(raw: Raw) -> bool:
    """True if an admin without a key may answer."""
    known = dict(raw.headers)
    here = (raw.client, known.get(b"host")) == ("testclient", b"testserver") or (
        raw.client.endswith("127.0.0.1") and known.get(b"host") == b"localhost:8000"
    )
    forwarded = any(b"forwarded" in name for name in known)
    return here and not forwarded and raw.http_version in ("1.1", "2")


def paths(target: Target) -> st.SearchStrategy[str]:
    """Paths of the table and of the reports, with something in place of their parameters."""

    def made(route: str, name: str, safe: str, rest: str) -> str:
        return route.replace("{}", quote(name.encode("utf-8", "replace"), safe=safe)) + rest

    local = [f"/lens{path}" for path in table()]
    reports = [REPORT_PATH, f"{REPORT_PATH}/top", f"{REPORT_PATH}/dead"]
    return st.builds(
        made,
        st.sampled_from([*local, *reports, "/lens/{}", "/lens{}"]),
        st.sampled_from(target.ids) | texts,
        st.sampled_from(["", "/%", "/%\\:?#[]@"]),
        st.sampled_from([*[""] * 30, "/", "//", "/..", "%0a", "%00", "%ff", ";x"]),
    )


def credentials(target: Target) -> st.SearchStrategy[tuple[list[Header], bool]]:
    """Cookies and headers of a client, and true when it is allowed to look."""

    def made(
        who: str, odd: tuple[bytes, bytes], junk: bytes, separator: bytes
    ) -> tuple[list[Header], bool]:
        name, value = target.good.get(who, (who.encode(), junk))
        session = target.good.get("session", (b"", b"lens_session=x"))[1].partition(b"=")[0]
        cookie = session + b"=" + junk if who == "forged" else value * (name == b"cookie")
        cookies = [one for one in (odd[0], cookie, odd[1]) if one]
        # HTTP/2 lets browsers send each in a header of its own.
        lines = [separator.join(cookies)] if separator else cookies
        headers = [(b"cookie", one) for one in lines]
        if name in (b"x-lens-key", b"authorization"):
            headers.append((name, value))
        return headers, who in target.good or not target.good

    return st.builds(
        made,
        st.sampled_from(["nobody", "forged", "x-lens-key", "authorization", *target.good]),
        st.tuples(st.sampled_from(ODD_COOKIES), st.just(b"") | st.sampled_from(ODD_COOKIES)),
        header_bytes,
        st.sampled_from([b"; ", b"; ", b";", b""]),
    )


def _as_browsers_say(values: tuple[str, ...]) -> list[Header]:
    """Headers of a request that a site makes."""
    pairs = zip(SECURE, values, strict=False)
    return [(name.encode(), value.encode()) for name, value in pairs if value]


sites = st.sampled_from(
    [(_as_browsers_say(one), True) for one in OURS]
    + [(_as_browsers_say(one), False) for one in THEIRS]
)
"""Which site asks, and whether that site may see anything."""

other_headers = st.builds(
    lambda host, usual, odd: [(b"host", host), *usual, *odd],
    st.sampled_from(
        [b"testserver"] * 6 + [b"localhost:8000"] * 2 + [b"[", b"", b"evil.example", b"x:y:z"]
    ),
    st.lists(st.sampled_from(USUAL_HEADERS), max_size=4),
    st.lists(st.tuples(st.sampled_from(HEADERS), header_bytes), max_size=2),
)
"""Host, and whatever else a client may say."""


def queries(target: Target) -> st.SearchStrategy[bytes]:
    """Parameters that pages know, with any value; or any bytes."""
    found = pairs(target, "report_key")
    encoded = found.map(lambda drawn: urlencode(drawn, errors="replace").encode())
    raw = found.map(lambda drawn: "&".join(map("=".join, drawn)).encode("utf-8", "replace"))
    return st.just(b"") | encoded | raw | st.binary(max_size=60)


def bodies(target: Target) -> st.SearchStrategy[tuple[bytes, ...]]:
    """Forms with the right token or not, other bytes, and too many of them; in pieces."""
    forms = pairs(target, "key").map(lambda drawn: urlencode(drawn, errors="replace").encode())
    signed = forms.map(lambda form: f"csrf_token={target.token}&version=0&".encode() + form)
    cut = st.tuples(forms | signed | st.binary(max_size=60), st.integers(0, 40))
    pieces = cut.map(lambda drawn: (drawn[0][: drawn[1]], drawn[0][drawn[1] :]))
    return (
        st.just((b"",)) | signed.map(lambda form: (form,)) | pieces | st.just((b"x" * 9_000,) * 2)
    )


def pairs(target: Target, key: str) -> st.SearchStrategy[list[tuple[str, str]]]:
    """Names and values of parameters; a right key only where one belongs."""
    known = st.tuples(st.sampled_from(FIELDS), texts | st.sampled_from(target.ids))
    right = st.tuples(st.just(key), st.sampled_from([KEY, READ_KEY]))
    return st.lists(known | known | known | right | st.tuples(texts, texts), max_size=5)


def problems(attempt: Attempt, answer: Answer) -> list[str]:
    """Faults of an answer; empty when there are none."""
    if answer.error is not None:
        return [f"raised {answer.error!r}"]
    found: list[str] = []
    told = answer.text + repr(answer.headers)
    if not 200 <= answer.status < 500:
        found.append(f"status {answer.status}")
    if leak := LEAKS.search(told):
        found.append(f"leaks {leak.group()!r}")
    if INSIDE in told and not attempt.let_in:
        found.append("shows the inside")
    if any(set(value) & set(b"\r\n\x00") for _, value in answer.headers):
        found.append("a line break in a header")
    path = attempt.raw.scope()["path"]
    if any(attempt.raw.method in methods and ours.fullmatch(path) for methods, ours in _OURS):
        found += _wrong_headers(answer, static=path.startswith("/lens/static/"))
    return found


_OURS = (
    (("GET", "HEAD", "POST"), re.compile(r"/lens(/.*|\n?)", re.DOTALL)),
    (("GET", "HEAD"), re.compile(rf"{REPORT_PATH}(/top|/dead)?")),
)
"""Routes that the admin answers itself; all others are the host's."""


def _wrong_headers(answer: Answer, *, static: bool) -> list[str]:
    found = [] if answer.header("location")[:5] in ("", "/lens") else ["leads elsewhere"]
    wanted = {"x-content-type-options": "nosniff"}
    if answer.header("content-type").startswith("text/html"):
        wanted |= SECURITY
    if not static:
        wanted["cache-control"] = "private, no-store"
    return found + [f"no {name}" for name in wanted if wanted[name] not in answer.header(name)]
