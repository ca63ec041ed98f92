"""``?report_key=``: opens for who gives it, and does nothing for another site."""

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from fastapi_lens.storage.schema.tables import AUDIT, THROTTLE
from tests.admin.access.test_keys import ALICE, CI, KEYS, MakeClient, client_with, session
from tests.recording.probe import lens_of

__all__ = ["client_with"]

FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"}

FORM = "/lens/settings/danger?q=1"

OF_OTHERS: dict[str, dict[str, str]] = {
    "image": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"},
    "link": {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
    "link of a sibling": {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "document"},
    "image of a page that shows what others have written": {
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Dest": "image",
    },
    "link, older browser": {"Referer": "http://evil.example/page"},
    "link of another port": {"Referer": "http://testserver:8080/"},
    "link of a look-alike": {"Referer": "http://testserver.evil.example/"},
    "link, unreadable": {"Referer": "http://["},
    "cors": {"Origin": "http://evil.example"},
    "sandboxed frame": {"Origin": "null"},
    "browser that tells nothing": FIREFOX,
}
OF_ONES_OWN: dict[str, dict[str, str]] = {
    "program": {},
    "program with a name": {"User-Agent": "curl/8.14.1"},
    "typed": {**FIREFOX, "Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"},
    "link of this site": {**FIREFOX, "Sec-Fetch-Site": "same-origin"},
    "link of this site, older browser": {**FIREFOX, "Referer": "http://testserver/wiki"},
}


def noted(client: TestClient) -> int:
    """Rows of the throttle and the audit log."""
    with lens_of(client.app).database.read() as connection:
        return sum(
            connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in (THROTTLE, AUDIT)
        )


@pytest.mark.parametrize("headers", OF_OTHERS.values(), ids=OF_OTHERS)
def test_another_site_neither_guesses_nor_signs_in(
    client_with: MakeClient, headers: dict[str, str]
) -> None:
    client = client_with(report_keys=KEYS)
    client.get("/lens/login")
    for key in ("guess", CI, ALICE):
        for method in ("GET", "HEAD", "POST"):
            answer = client.request(method, f"{FORM}&report_key={key}", headers=headers)
            assert answer.status_code in (303, 403)
            assert answer.headers.get("location", FORM) == FORM
            assert "set-cookie" not in answer.headers
            assert key not in answer.text
    assert noted(client) == 0
    mine = session(client, ALICE)
    # Who is signed in stays so, as whom they have signed in.
    led = client.get(f"/lens/?report_key={CI}", headers={**headers, **mine})
    assert "set-cookie" not in led.headers
    assert client.get("/lens/report", headers=mine).status_code == 200


@pytest.mark.parametrize("headers", OF_ONES_OWN.values(), ids=OF_ONES_OWN)
def test_whoever_opens_the_address_themselves_is_signed_in(
    client_with: MakeClient, headers: dict[str, str]
) -> None:
    client = client_with(report_keys=KEYS)
    led = client.get(f"/lens/requests?report_key={ALICE}&q=x", headers=headers)
    assert (led.status_code, led.headers["location"]) == (303, "/lens/requests?q=x")
    assert "lens_session" in led.headers["set-cookie"]
    client.cookies.clear()
    for _ in range(5):
        wrong = client.get("/lens/?report_key=guess", headers=headers)
        assert wrong.headers["location"].startswith("/lens/login?next=")
    assert client.get("/lens/?report_key=guess", headers=headers).status_code == 429


@pytest.mark.parametrize(
    "query",
    [
        "report_key=KEY",
        "q=x&report_key=KEY",
        "report_key=KEY&q=x",
        "report%5Fkey=KEY",
        "%72eport_key=KEY",
        "report%255fkey=KEY",
        "q=x;report_key=KEY",
        "q=x%26report_key%3DKEY",
        "report_key",
        "report_key=KEY#fragment",
    ],
)
def test_nobody_is_signed_in_as_somebody_else_by_the_page_that_follows_their_own_sign_in(
    client_with: MakeClient, query: str
) -> None:
    client = client_with(report_keys=KEYS)
    target = f"/lens/requests?{query.replace('KEY', CI)}"
    page = client.get("/lens/login", params={"next": target})
    assert CI not in page.text
    form = {"key": ALICE, "next": target}
    led = client.post("/lens/login", data=form, headers={"Origin": "http://testserver"})
    assert (led.status_code, led.headers["location"]) == (303, "/lens/")
    mine = session(client, ALICE)
    led = client.get("/lens/login", params={"next": target}, headers=mine)
    assert (led.status_code, led.headers["location"]) == (303, "/lens/")


def test_a_search_for_the_word_is_no_key(client_with: MakeClient) -> None:
    client = client_with(report_keys=KEYS)
    target = "/lens/requests?q=report_key"
    form = {"key": ALICE, "next": target}
    led = client.post("/lens/login", data=form, headers={"Origin": "http://testserver"})
    assert led.headers["location"] == target
