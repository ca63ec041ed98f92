"""The example says something of its own in the admin, by templates that win over the built-in."""

from fastapi import FastAPI
from fastapi.testclient import TestClient

from example_project.credentials import DEMO_KEY

OWN_LINE = "Questions about this API? The back-office team answers in #orders-api."


def test_its_line_is_at_the_foot_of_the_page_and_in_what_htmx_gets(app: FastAPI) -> None:
    with TestClient(app, headers={"X-Lens-Key": DEMO_KEY}) as client:
        page = client.get("/lens/").text
        fragment = client.get("/lens/", headers={"HX-Request-Type": "partial"}).text
    for text in (page, fragment):
        assert OWN_LINE in text
        assert "Counts up to" in text or "Nothing recorded yet" in text


def test_its_page_for_what_is_not_there_extends_the_built_in_one(app: FastAPI) -> None:
    with TestClient(app, headers={"X-Lens-Key": DEMO_KEY}) as client:
        answer = client.get("/lens/no-such-page")
    assert answer.status_code == 404
    assert "No such page in the lens." in answer.text
    assert "kept in the runbook of the Orders API" in answer.text
