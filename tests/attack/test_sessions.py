"""A session is made by signing in, and by nothing that a browser brings along."""

from collections.abc import Iterator

import pytest

from tests.attack.asgi import Answer, Header, Raw
from tests.attack.target import FORM, KEY, ORIGIN, READ_KEY, Target, build
from tests.support.pages import csrf_token

HOST: Header = (b"host", b"testserver")
OWN: Header = (b"origin", ORIGIN.encode())


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    found = build(tmp_path_factory.mktemp("sessions"))
    yield found
    found.close()


def sign_in(target: Target, key: str = KEY, cookie: bytes = b"") -> Answer:
    headers = (HOST, OWN, FORM, (b"cookie", cookie))
    body = (f"key={key}".encode(),)
    return target.call(Raw("POST", "/lens/login", headers=headers, body=body))


def session(answer: Answer) -> bytes:
    return answer.header("set-cookie").partition(";")[0].encode()


def opens(target: Target, cookie: bytes) -> bool:
    headers = (HOST, (b"cookie", cookie))
    return target.call(Raw(path="/lens/report", headers=headers)).status == 200


def test_a_session_that_was_planted_before_signing_in_is_not_taken_over(target: Target) -> None:
    name = target.good["session"][1].partition(b"=")[0]
    planted = name + b"=726f6f74.planted-by-somebody"
    given = session(sign_in(target, cookie=planted))
    assert b"planted" not in given
    assert opens(target, given)
    assert not opens(target, planted)


def test_signing_in_anew_gives_a_new_session_also_over_an_old_one(target: Target) -> None:
    first = session(sign_in(target))
    again = [session(sign_in(target, cookie=first)) for _ in range(3)]
    assert len({first, *again}) == 4


def test_a_session_that_may_only_read_becomes_another_by_signing_in_as_somebody_else(
    target: Target,
) -> None:
    reader = session(sign_in(target, READ_KEY))
    admin = session(sign_in(target, KEY, cookie=reader))
    for cookie, status in ((reader, 403), (admin, 303)):
        page = target.call(Raw(path="/lens/", headers=(HOST, (b"cookie", cookie)))).text
        token = csrf_token(page)
        form = f"csrf_token={token}&version=0&ttl_days=".encode()
        post = Raw(
            "POST",
            "/lens/settings/retention",
            headers=(HOST, OWN, FORM, (b"cookie", cookie)),
            body=(form,),
        )
        assert target.call(post).status == status


def test_a_session_travels_in_a_cookie_alone(target: Target) -> None:
    name, _, value = target.good["session"][1].partition(b"=")
    for raw in (
        Raw(path="/lens/report", query=name + b"=" + value, headers=(HOST,)),
        Raw(path="/lens/report", headers=(HOST, (name, value))),
        Raw(
            "POST",
            "/lens/settings/retention",
            headers=(HOST, OWN, FORM),
            body=(name + b"=" + value,),
        ),
    ):
        assert target.call(raw).status in (303, 403)


def test_the_cookie_is_kept_from_scripts_other_sites_and_other_paths(target: Target) -> None:
    flags = sign_in(target).header("set-cookie").lower()
    assert all(flag in flags for flag in ("httponly", "samesite=lax", "path=/lens"))
    assert "domain" not in flags
