"""There is one way in, and what forgets to ask who is there is found."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import TimestampSigner
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fastapi_lens import create_lens_admin
from fastapi_lens.admin import router
from tests.attack.asgi import Caller, Header, Raw
from tests.attack.fuzzing import table
from tests.attack.target import INSIDE, KEY, ORIGIN, REPORT_PATH, Target, build

OPEN = ("/lens/static/", "/lens/login")
"""Paths that answer everybody: the login form and the static files."""

METHODS = ("GET", "HEAD", "POST", "PUT", "x")
REPORTS = (REPORT_PATH, f"{REPORT_PATH}/top", f"{REPORT_PATH}/dead")


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    found = build(tmp_path_factory.mktemp("doors"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def refused(target: Target, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Header]]:
    """Headers of those who may not look, by what is wrong with them."""
    folder = Path(target.lens.config.db_path).parent
    others = [build(folder, app_name="two"), build(folder, key="the-old-key")]
    cookies = [other.good["session"][1] for other in others]
    for other in others:
        other.close()
    good = target.good["session"][1].decode()
    middle, signed, name = len(good) - 10, good.partition(".")[2], good.partition("=")[0]
    swapped = "B" if good[middle] == "A" else "A"
    return {
        "no key": [],
        "empty key": [(b"x-lens-key", b"")],
        "blank bearer": [(b"authorization", b"Bearer ")],
        "wrong key": [(b"x-lens-key", b"wrong")],
        "wrong key beside a session": [(b"x-lens-key", b"wrong"), target.good["session"]],
        "hash of a key": [(b"x-lens-key", b"scrypt$16384$8$1$00$00")],
        "basic instead of bearer": [(b"authorization", f"Basic {KEY}".encode())],
        "empty session": [(b"cookie", f"{name}=".encode())],
        "tampered": [(b"cookie", (good[:middle] + swapped + good[middle + 1 :]).encode())],
        "under another name": [(b"cookie", f"{name}=6369.{signed}".encode())],
        "unsigned": [(b"cookie", good.rpartition(".")[0].encode())],
        "of another app": [(b"cookie", cookies[0])],
        "before the key changed": [(b"cookie", cookies[1])],
    }


OWN: tuple[Header, ...] = ((b"host", b"testserver"), (b"origin", ORIGIN.encode()))


def let_in(call: Caller, paths: Sequence[str], headers: Sequence[Header]) -> list[str]:
    """Requests that were answered with more than a refusal."""
    found: list[str] = []
    for path in paths:
        for method in METHODS:
            answer = call(Raw(method, path, headers=(*OWN, *headers)))
            leads = answer.header("location") or "/lens/login"
            refuses = answer.status in (303, 403, 405) or (
                answer.status == 404 and path.startswith(REPORT_PATH)  # The host's: no such method.
            )
            inside = INSIDE in answer.text + str(answer.headers)
            if not refuses or inside or not leads.startswith("/lens/login"):
                found.append(f"{method} {path}: {answer.status}")
    return found


def closed_paths() -> list[str]:
    return [
        path
        for path in (f"/lens{one}".replace("{}", "00ab") for one in table())
        if not path.startswith(OPEN)
    ]


def test_no_route_answers_any_method_to_anybody_without_access(
    target: Target, refused: dict[str, list[Header]]
) -> None:
    paths = [*closed_paths(), *REPORTS]
    assert len(paths) > 15
    found = {name: let_in(target.call, paths, who) for name, who in refused.items()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_an_expired_session_opens_nothing(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    later = TimestampSigner("x").get_timestamp() + target.lens.config.session_max_age + 60
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: later)
    monkeypatch.setattr(target.lens, "clock", lambda: float(later))
    who = [target.good["session"]]
    assert let_in(target.call, [*closed_paths(), *REPORTS], who) == []


def test_a_page_that_forgets_to_ask_is_found(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def forgetful(request: Request) -> Response:
        return PlainTextResponse("hello")

    async def tells(request: Request) -> Response:
        return Response(status_code=303, headers={"location": f"/lens/login?{INSIDE}"})

    pages = (router.answer_at("/forgetful", forgetful), router.answer_at("/tells", tells))
    monkeypatch.setattr(router, "PAGES", (*pages, *router.PAGES))
    found = let_in(target.call, closed_paths(), [])
    assert [f"{method} /lens/forgetful: 200" for method in ("GET", "HEAD")] == found[:2]
    assert {one.split()[1] for one in found} == {"/lens/forgetful:", "/lens/tells:"}


def test_everything_below_the_prefix_goes_through_the_table() -> None:
    routes: list[Any] = create_lens_admin("/lens").routes
    assert [router.is_admin(route.endpoint) for route in routes] == [True]


def test_what_may_look_is_let_in_by_the_same_requests(target: Target) -> None:
    for name, header in target.good.items():
        assert "GET /lens/: 200" in let_in(target.call, ["/lens/"], [header]), name
        assert f"GET {REPORT_PATH}: 200" in let_in(target.call, [REPORT_PATH], [header]), name
