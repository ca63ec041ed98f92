"""The section of notifications on the settings page, and its test message."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from benchmarks.support.rows import table_rows
from fastapi_lens import KeyConfig
from fastapi_lens.config.setting import Section
from fastapi_lens.storage.records.notifications import write_notifications
from fastapi_lens.storage.schema.tables import AUDIT
from tests.admin.conftest import Site
from tests.admin.pages.settings.test_forms import FRAGMENT, OWN, form, post
from tests.notifications.receiver import Receiver, a_receiver, answer
from tests.support.pages import field, page_text

MakeSite = Callable[..., Site]
TEST = "notifications/test"
BUTTON = "Send a test message"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A receiver on loopback."""
    with a_receiver() as found:
        yield found


@pytest.fixture
def site(make_site: MakeSite, receiver: Receiver) -> Site:
    """A site with a webhook."""
    return make_site(webhook_url=receiver.url, webhook_allow_private=True)


def test_without_a_webhook_the_page_says_how_to_set_one(make_site: MakeSite) -> None:
    page = make_site().get("/lens/settings").text
    assert "No webhook is set: LensConfig(webhook_url=…) or LENS_WEBHOOK_URL." in page_text(page)
    assert BUTTON not in page


def test_a_test_message_is_sent_and_audited(site: Site, receiver: Receiver) -> None:
    assert BUTTON in site.get("/lens/settings").text
    page = post(site, TEST)
    assert page.status_code == 200
    assert "Test message sent." in page_text(page.text)
    (body,) = receiver.bodies
    assert (body["kind"], body["app"]) == ("test", "site")
    (row,) = table_rows(site.lens.database, AUDIT)
    assert (row.actor, row.action, row.after) == ("this machine", "test_message", "delivered")
    assert "sent a test message" in site.get("/lens/settings/audit").text


def test_a_test_message_that_fails_is_told_beside_the_form(site: Site, receiver: Receiver) -> None:
    receiver.behaviours = [answer(404)]
    page = post(site, TEST, FRAGMENT)
    assert page.text.startswith('<section id="notifications"')
    assert "Not sent: the receiver answered with status 404." in page_text(page.text)
    (row,) = table_rows(site.lens.database, AUDIT)
    assert row.after == "the receiver answered with status 404"


def test_a_test_message_needs_the_scope_admin_and_a_form_of_this_page(
    make_site: MakeSite, receiver: Receiver
) -> None:
    site = make_site(
        webhook_url=receiver.url,
        webhook_allow_private=True,
        report_keys={"alice": "a-key", "ci": KeyConfig("b-key", scope="read")},
    )
    reader, writer = {"X-Lens-Key": "b-key"}, {"X-Lens-Key": "a-key"}
    assert BUTTON not in site.get("/lens/settings", **reader).text
    assert post(site, TEST, {**OWN, **reader}).status_code == 403
    foreign = {**writer, "Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    assert post(site, TEST, foreign).status_code == 403
    assert receiver.heads == []
    assert post(site, TEST, {**OWN, **writer}).status_code == 200
    assert receiver.bodies[0]["lines"] == ["Sent by alice from the settings of the lens."]


@pytest.mark.parametrize(
    ("outcome", "sentences"),
    [
        ({}, ["Nothing was sent yet."]),
        ({"sent_at": 1_000, "sent_kind": "digest"}, ["Last sent: digest, "]),
        (
            {"failed_at": 1_000, "problem": "no response within 10 s"},
            [
                "Nothing was sent yet.",
                "The latest attempt failed ",
                "ago: no response within 10 s.",
            ],
        ),
    ],
)
def test_the_page_says_when_the_latest_was_sent_or_why_not(
    site: Site, outcome: dict[str, Any], sentences: list[str]
) -> None:
    text = json.dumps({"outcome": outcome})
    assert write_notifications(site.lens.database, "site", text, replaces="")
    page = page_text(site.get("/lens/settings").text)
    assert all(sentence in page for sentence in sentences)


def test_alerts_are_changed_while_the_application_runs(site: Site) -> None:
    typed = form(Section.NOTIFICATIONS, alert_error_share="", alert_dead="off", digest_day="off")
    assert post(site, Section.NOTIFICATIONS, **typed).status_code == 303
    config = site.lens.settings.config
    assert (config.alert_error_share, config.alert_dead, config.digest_day) == (None, False, "off")
    page = site.get("/lens/settings").text
    assert field(page, "digest_day").choice == "Off"
    wrong = post(site, Section.NOTIFICATIONS, **{**typed, "version": 1, "alert_error_share": "5"})
    assert wrong.status_code == 422
    assert "Enter a share from 0 to 1, or leave it empty." in page_text(wrong.text)
