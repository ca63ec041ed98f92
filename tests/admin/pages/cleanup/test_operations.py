"""Deletions, rules and a retention that an admin sets on the pages make no endpoint unused."""

import pytest

from fastapi_lens.recording.flush import registration
from fastapi_lens.verdict.level import Level
from tests.admin.conftest import Site
from tests.admin.pages.cleanup.conftest import key_of
from tests.admin.pages.settings.test_danger import delete
from tests.admin.pages.settings.test_forms import post

UNUSED = {Level.SAFE_TO_REMOVE, Level.PROBABLY_UNUSED}


@pytest.fixture(autouse=True)
def looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each flush looks for what is not counted."""
    monkeypatch.setattr(registration, "REDISCOVER_EVERY_SECONDS", 0.0)


def verdicts(site: Site) -> dict[str, str]:
    """The verdicts of the page, as JSON."""
    found = site.get("/lens/cleanup.json").json()["endpoints"]
    return {one["path"]: one["verdict"] for one in found}


def ignored_in(site: Site) -> list[str]:
    """The endpoints that the evidence names as ignored."""
    found = site.get("/lens/cleanup.json").json()["ignored"]
    return [f"{one['method']} {one['path']}" for one in found]


def safe_before(site: Site) -> dict[str, str]:
    before = verdicts(site)
    assert before["/dump"] == before["/restore"] == Level.SAFE_TO_REMOVE
    assert before["/merge"] == Level.PROBABLY_UNUSED
    return before


@pytest.mark.parametrize("path", ["/dump", "/merge"])
def test_an_endpoint_without_its_history_is_not_unused(shop_site: Site, path: str) -> None:
    before = safe_before(shop_site)
    method = "POST" if path == "/merge" else "GET"
    done = delete(shop_site, endpoint=key_of(shop_site, path), confirm=f"{method} {path}")
    assert done.status_code == 303
    assert verdicts(shop_site) == {**before, path: Level.NOT_ENOUGH_OBSERVATION}


def test_nothing_is_unused_without_any_history(shop_site: Site) -> None:
    safe_before(shop_site)
    assert delete(shop_site, confirm="site").status_code == 303
    assert not UNUSED & set(verdicts(shop_site).values())


@pytest.mark.parametrize("ignored", [{}, {"status.2": "on"}])
def test_what_a_rule_ignored_is_not_unused_when_the_rule_is_gone(
    shop_site: Site, ignored: dict[str, str]
) -> None:
    before = safe_before(shop_site)
    post(shop_site, "rules", version=0, pattern="/dump", **ignored)
    assert shop_site.lens.flusher.flush()
    hidden, left_out = verdicts(shop_site), ignored_in(shop_site)
    (rule,) = shop_site.lens.settings.rules.all
    post(shop_site, "rules", version=1, do="delete", rule=rule.id)
    assert shop_site.lens.flusher.flush()

    # An endpoint that is ignored as a whole has no verdict, and is named all the same.
    assert hidden.get("/dump") == (Level.NOT_ENOUGH_OBSERVATION if ignored else None)
    assert left_out == ([] if ignored else ["GET /dump"])
    assert ignored_in(shop_site) == []
    assert verdicts(shop_site) == {**before, "/dump": Level.NOT_ENOUGH_OBSERVATION}


def test_a_shorter_retention_makes_nothing_safe(shop_site: Site) -> None:
    before = safe_before(shop_site)
    assert post(shop_site, "retention", version=0, ttl_days=30).status_code == 303
    shop_site.lens.flusher.prune()
    after = verdicts(shop_site)

    assert after.keys() == before.keys()
    assert {path for path in after if after[path] in UNUSED} == {"/dump", "/restore"}
