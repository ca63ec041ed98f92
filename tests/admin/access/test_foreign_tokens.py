"""Tokens that proxies add to what a browser asks for are no guesses of the visitor."""

import base64
import json

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.access.credentials import is_web_token
from fastapi_lens.storage.schema.tables import THROTTLE
from tests.admin.access.test_keys import ALICE, CI, KEYS, ORIGIN, MakeClient, client_with, session
from tests.recording.probe import lens_of

__all__ = ["client_with"]


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


SIGNED = f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part({'sub': 'alice'})}.c2ln"
ENCRYPTED = f"{part({'alg': 'RSA-OAEP', 'enc': 'A256GCM'})}.a.b.c.d"
TOKENS = [
    f"Bearer {SIGNED}",
    f"bearer {ENCRYPTED}",
    "Bearer ya29.a0AfH6SMB-opaque",
    "Basic YWxpY2U6c2VjcmV0",
    "Negotiate YII",
    "AWS4-HMAC-SHA256 Credential=x",
]


@pytest.mark.parametrize("authorization", TOKENS)
def test_a_session_wins_over_a_token_that_is_for_somebody_else(
    client_with: MakeClient, authorization: str
) -> None:
    client = client_with(report_keys=KEYS)
    theirs = {"Authorization": authorization}
    login = client.post("/lens/login", data={"key": ALICE}, headers={**ORIGIN, **theirs})
    mine = {"Cookie": login.headers["set-cookie"].partition(";")[0], **theirs}
    client.cookies.clear()
    for _ in range(12):
        assert client.get("/lens/", headers=mine).status_code == 200
        assert client.get("/lens/report", headers=mine).status_code == 200
        assert client.get("/lens/login", headers=mine).headers["location"] == "/lens/"
    with lens_of(client.app).database.read() as connection:
        assert connection.execute(sa.select(THROTTLE)).all() == []
    # Its forms are still those of a session: another site has no token for them.
    forged = client.post("/lens/logout", headers={**ORIGIN, **mine})
    assert forged.status_code == 403


@pytest.mark.parametrize("authorization", TOKENS)
def test_such_a_token_keeps_nobody_from_signing_in(
    client_with: MakeClient, authorization: str
) -> None:
    client = client_with(report_keys=KEYS)
    theirs = {"Authorization": authorization}
    for _ in range(12):
        led = client.get("/lens/?q=1", headers=theirs)
        assert led.headers["location"] == "/lens/login?next=%2Flens%2F%3Fq%3D1"
        form = client.get(led.headers["location"], headers=theirs)
        assert form.status_code == 200
        assert "wrong" not in form.text
    program = {"X-Lens-Key": ALICE, **theirs}
    assert client.get("/lens/report", headers=program).status_code == 200
    login = client.post("/lens/login", data={"key": ALICE}, headers={**ORIGIN, **theirs})
    assert login.status_code == 303


@pytest.mark.parametrize("token", [SIGNED, ENCRYPTED])
def test_a_web_token_is_no_guess(client_with: MakeClient, token: str) -> None:
    client = client_with(report_keys=KEYS)
    theirs = {"Authorization": f"Bearer {token}"}
    answers = [client.get("/lens/report", headers=theirs).status_code for _ in range(12)]
    assert set(answers) == {403}
    with lens_of(client.app).database.read() as connection:
        assert connection.execute(sa.select(THROTTLE)).all() == []


def test_a_key_that_is_a_web_token_opens_and_then_web_tokens_are_guesses(
    client_with: MakeClient,
) -> None:
    client = client_with(report_keys={**KEYS, "robot": SIGNED})
    right, wrong = ({"Authorization": f"Bearer {SIGNED}{end}"} for end in ("", "x"))
    assert client.get("/lens/report", headers=right).status_code == 200
    answers = [client.get("/lens/report", headers=wrong).status_code for _ in range(6)]
    assert answers == [403] * 5 + [429]


def test_guesses_by_bearer_are_bounded_like_all_others(client_with: MakeClient) -> None:
    client = client_with(report_keys=KEYS)
    answers = [
        client.get("/lens/report", headers={"Authorization": f"Bearer guess-{number}"})
        for number in range(7)
    ]
    assert [answer.status_code for answer in answers] == [403] * 5 + [429] * 2
    assert answers[-1].headers["retry-after"] == "4"
    right = {"Authorization": f"Bearer {ALICE}"}
    assert client.get("/lens/report", headers=right).status_code == 429
    # People are led to the form.
    assert client.get("/lens/", headers=right).headers["location"].startswith("/lens/login")
    assert client.get("/lens/login", headers=right).status_code == 200


def test_a_key_in_the_lens_s_own_header_says_who_asks_whatever_else_is_sent(
    client_with: MakeClient,
) -> None:
    client = client_with(report_keys=KEYS)
    mine = {**session(client, ALICE), "Authorization": f"Bearer {SIGNED}"}
    page = client.get("/lens/", headers={**mine, "X-Lens-Key": CI}).text
    assert "read only" in page
    assert client.get("/lens/report", headers={**mine, "X-Lens-Key": "wrong"}).status_code == 403
    assert client.get("/lens/report", headers={**mine, "X-Lens-Key": ""}).status_code == 200


@pytest.mark.parametrize(
    "text",
    [
        *("", "..", "a.b.c", f"{part([1])}.b.c", f"{part({'typ': 'JWT'})}.b.c", "W1tb.b.c"),
        *(f"{part({'alg': 'none'})}.b", f"{part({'alg': 'none'})}.b.c.d", "é.b.c"),
        base64.urlsafe_b64encode(b"[" * 20_000).decode() + ".b.c",
    ],
)
def test_other_texts_are_no_web_tokens(text: str) -> None:
    assert not is_web_token(text.encode())


@given(st.binary(max_size=60))
def test_whether_something_is_a_web_token_can_be_told_of_any_bytes(token: bytes) -> None:
    assert is_web_token(token) is False
    assert is_web_token(SIGNED.encode())
