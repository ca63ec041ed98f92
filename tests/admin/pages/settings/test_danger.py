"""History is deleted once its name is typed, noted before, and the endpoints stay."""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.support.rows import table_rows
from fastapi_lens.admin.pages.settings import danger
from fastapi_lens.errors import DeadlockError
from fastapi_lens.storage.retention import purge as purge_module
from fastapi_lens.storage.retention.purge import Choice, amount, purge_for
from fastapi_lens.storage.schema.tables import AUDIT, BUCKET, STATUS, WORKER
from tests.admin.conftest import Site
from tests.admin.pages.settings.test_forms import OWN
from tests.admin.test_ignored import calls, everything
from tests.support.pages import addresses, page_text

DANGER = "/lens/settings/danger"


def delete(site: Site, **fields: Any) -> Any:
    data = {"version": "0", "endpoint": "", **fields}
    return site.client.post(DANGER, data=data, headers=OWN)


def key_of(site: Site, path: str) -> str:
    return next(one.key for one in everything(site) if one.path == path)


def test_the_history_of_an_endpoint_goes_and_the_endpoint_stays(site: Site) -> None:
    site.count("GET", "/health", 5)
    site.count("GET", "/users/{user_id}", 2)
    key = key_of(site, "/health")
    page = site.get(f"/lens/endpoints/{key}").text
    assert f"/lens/settings/danger?endpoint={key}" in addresses(page)
    page = page_text(site.get(f"{DANGER}?endpoint={key}").text)
    assert "Delete the history of GET /health" in page
    assert "are deleted permanently: 5 calls since" in page

    answer = delete(site, endpoint=key, confirm=" GET /health ")
    assert answer.status_code == 303
    assert "History deleted." in site.get(answer.headers["location"]).text
    assert calls(site) == {"GET /users/{user_id}": 2, "GET /health": 0, "POST /users": 0}
    (health,) = (one for one in everything(site) if one.path == "/health")
    assert (health.total_calls, health.first_called_at, health.last_called_at) == (0, None, None)
    entry = table_rows(site.lens.database, AUDIT)[-1]
    assert (entry.actor, entry.action, entry.target) == ("this machine", "purge", "GET /health")
    assert entry.before.startswith("5 calls since ")
    assert "deleted history of GET /health" in page_text(site.get("/lens/settings/audit").text)
    site.count("GET", "/health")
    assert calls(site)["GET /health"] == 1


def test_all_history_goes_when_the_apps_name_is_typed(site: Site) -> None:
    site.count("GET", "/health", 5)
    assert calls(site)["GET /health"] == 5
    for wrong in ("", "Site", "GET /health"):
        answer = delete(site, confirm=wrong)
        assert answer.status_code == 422
        assert "This is not site. Nothing was deleted." in answer.text
    assert calls(site)["GET /health"] == 5
    assert delete(site, confirm="site").status_code == 303
    assert calls(site) == {"GET /users/{user_id}": 0, "POST /users": 0, "GET /health": 0}
    assert table_rows(site.lens.database, BUCKET) == table_rows(site.lens.database, STATUS) == []
    assert len(table_rows(site.lens.database, WORKER)) == 1
    site.count("GET", "/health", 2)
    assert calls(site)["GET /health"] == 2


def test_of_two_that_delete_at_once_the_second_is_told(site: Site) -> None:
    site.count("GET", "/health")
    key = key_of(site, "/health")
    assert delete(site, confirm="site").status_code == 303
    site.count("GET", "/health")
    second = delete(site, endpoint=key, confirm="GET /health")
    assert second.status_code == 409
    assert "Somebody else deleted history in the meantime." in second.text
    assert calls(site)["GET /health"] == 1


def test_an_endpoint_is_found_by_its_name_and_one_that_is_not_there_is_told(site: Site) -> None:
    found = page_text(site.get(f"{DANGER}?name=GET%20%20/health").text)
    assert "Type GET /health to confirm" in found
    assert "no calls" in found
    missing = site.get(f"{DANGER}?name=<b>").text
    assert "No endpoint named <b>." in page_text(missing)
    assert "No such endpoint" in site.get(f"{DANGER}?endpoint=00ab").text
    assert delete(site, endpoint="00ab", confirm="x").status_code == 404


def test_a_deletion_that_takes_long_ends_and_says_that_there_is_more(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.count("GET", "/health")
    monkeypatch.setattr(danger, "SECONDS", -1.0)
    answer = delete(site, confirm="site")
    assert "Delete again to continue" in site.get(answer.headers["location"]).text


def test_a_deadlock_with_a_worker_begins_it_anew_a_few_times(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[int] = []
    real = purge_module.purge

    def purge(*arguments: Any, now: float) -> Iterator[int]:
        tries.append(1)
        if len(tries) in beaten:
            raise DeadlockError("deadlock")
        yield from real(*arguments, now=now)

    monkeypatch.setattr(purge_module, "purge", purge)
    choice = Choice("site", [1], keeps_endpoints=True)
    beaten = range(1, 3)
    assert purge_for(site.lens.database, choice, now=1.0, seconds=60)
    assert len(tries) == 3
    tries, beaten = [], range(1, 100)
    with pytest.raises(DeadlockError):
        purge_for(site.lens.database, choice, now=1.0, seconds=60)
    assert len(tries) == 5


def test_what_stays_is_not_counted_as_deleted(site: Site) -> None:
    site.count("GET", "/health")
    ids = [one.id for one in everything(site)]
    much = amount(site.lens.database, Choice("site", ids, whole_app=True, keeps_endpoints=True))
    assert (much.endpoints, much.workers) == (0, 0)
    assert much.buckets == 4
