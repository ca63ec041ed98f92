"""Notifications of whole applications reach a real receiver, each once."""

import time
from collections.abc import Callable

from tests.admin.conftest import Site
from tests.notifications.receiver import Receiver

MakeSite = Callable[..., Site]


def fail(site: Site, path: str = "/users/{user_id}", calls: int = 60) -> None:
    """Calls of the last minutes that all failed."""
    site.count_at(time.time() - 120, "GET", path, calls, status=500)


def test_an_endpoint_that_fails_is_told_once_to_the_receiver(
    notifying: MakeSite, receiver: Receiver
) -> None:
    site = notifying(environment="production", public_url="https://api.example.com/lens/")
    fail(site)
    site.lens.notifier.turn()
    site.lens.notifier.turn()
    (body,) = receiver.bodies
    assert body["fastapi_lens_event"] == 1
    assert (body["kind"], body["app"], body["environment"]) == ("alert", "site", "production")
    assert body["title"] == "site (production): 1 new alert"
    assert body["lines"] == ["GET /users/{user_id} fails: 5xx 100 % of 60 calls in the last hour"]
    (endpoint,) = body["endpoints"]
    assert (endpoint["reason"], endpoint["phase"]) == ("errors", "began")
    assert (endpoint["calls"], endpoint["errors_5xx"], endpoint["error_share"]) == (60, 60, 1.0)
    assert endpoint["url"] == f"https://api.example.com/lens/endpoints/{endpoint['key']}"
    assert body["type"] == "message"
    assert body["attachments"][0]["content"]["type"] == "AdaptiveCard"
