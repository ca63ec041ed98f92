"""The body for Slack, for Teams and for programs: small enough, and never markup of ours."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.config.webhook_url import WebhookUrl
from fastapi_lens.notifications.alerts import Phase
from fastapi_lens.notifications.notice import EndpointNote, Kind, Listed, Notice
from fastapi_lens.notifications.payload import MAX_BYTES, MAX_TEXT, body_of

pytestmark = pytest.mark.unit

FILE = Path(__file__).parents[2] / "docs" / "notification.schema.json"
SCHEMA = jsonschema.Draft202012Validator(json.loads(FILE.read_text(encoding="utf-8")))
ANY = WebhookUrl.parse("https://prod.logic.azure.example/workflows/1?sig=2")
SLACK = WebhookUrl.parse("https://hooks.slack.com/services/T0/B0/x")


def notice(title: str = "shop: 1 new alert", *lines: str, **facts: Any) -> Notice:
    return Notice(
        **{
            "id": "1",
            "kind": Kind.ALERT,
            "app": "shop",
            "environment": None,
            "created_at": 1.0,
            "title": title,
            "lines": list(lines),
            **facts,
        }
    )


def sent(made: Notice, url: WebhookUrl = ANY) -> Any:
    body = json.loads(body_of(made, url))
    SCHEMA.validate(body)
    return body


def note(path: str) -> EndpointNote:
    return EndpointNote(
        reason=Listed.ERRORS, phase=Phase.BEGAN, key="00aa", method="GET", path=path
    )


def test_teams_gets_an_adaptive_card_with_a_link() -> None:
    body = sent(notice("shop: 1 new alert", "GET /a fails", url="https://api.example.com/lens/"))
    assert body["type"] == "message"
    (attachment,) = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert [block["text"] for block in card["body"]] == ["shop: 1 new alert", "• GET /a fails"]
    assert {block["type"] for block in card["body"]} == {"TextBlock"}
    assert card["actions"] == [
        {
            "type": "Action.OpenUrl",
            "title": "Open the lens",
            "url": "https://api.example.com/lens/",
        }
    ]


def test_slack_gets_a_text_and_no_attachments() -> None:
    body = sent(notice("shop: 1 new alert", "GET /a fails", url="https://a.example/l|x/"), SLACK)
    assert body["text"] == "*shop: 1 new alert*\n• GET /a fails\n<https://a.example/l%7Cx/>"
    assert "attachments" not in body
    assert "type" not in body


@pytest.mark.parametrize("host", ["notslack.com", "hooks.slack.com.evil.example"])
def test_other_hosts_are_not_taken_for_slack(host: str) -> None:
    assert "attachments" in sent(notice(), WebhookUrl.parse(f"https://{host}/x"))


def test_no_text_of_an_application_is_markup() -> None:
    body = sent(notice("<!channel> & *all*", "GET /a_b_c/`x` [l](http://e.example)\x1b\u202e"))
    text = body["text"].replace("\u200b", "")
    assert text == (
        "*&lt;!channel&gt; &amp; *all**\n• GET /a_b_c/`x` [l](http://e.example)\\x1b\\u202e"
    )
    assert "*\u200ball*\u200b" in body["text"]
    title, line = (block["text"] for block in body["attachments"][0]["content"]["body"])
    assert title == "\\<\\!channel\\> \\& \\*all\\*"
    assert "\\[l\\]\\(http" in line


def test_a_long_path_is_cut_in_texts() -> None:
    body = sent(notice("t", "GET /" + "a" * 5_000))
    assert len(body["text"]) < MAX_TEXT + 20
    assert body["text"].endswith("…")


def test_of_too_many_endpoints_as_many_are_sent_as_fit() -> None:
    made = notice(endpoints=[note("/" + "é" * 400) for _ in range(50)], more=3)
    body = sent(made)
    assert len(body_of(made, ANY)) <= MAX_BYTES
    assert 0 < len(body["endpoints"]) < 50
    assert len(body["endpoints"]) + body["more"] == 53


def test_a_body_is_sent_even_if_nothing_more_can_be_left_out() -> None:
    assert sent(notice("t", *["x" * 5_000] * 10))["endpoints"] == []


@given(st.text(), st.lists(st.text(), max_size=3), st.sampled_from([ANY, SLACK]))
def test_any_text_gives_a_body_by_the_schema(title: str, lines: list[str], url: WebhookUrl) -> None:
    body = sent(notice(title, *lines), url)
    assert body["text"].count("<") == 0
