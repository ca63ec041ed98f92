"""The evidence and the verdicts that the reports of a site show."""

import json
from collections.abc import Callable
from typing import Any

from tests.admin.conftest import Site

DAY = 86_400


def test_the_evidence_is_a_report_and_the_download_of_the_cleanup_page(site: Site) -> None:
    site.count("GET", "/health")
    answer = site.get("/lens/report/evidence")
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert (found["fastapi_lens_evidence"], found["app"]) == (1, "site")
    assert [one["path"] for one in found["endpoints"]] == ["/health", "/users", "/users/{user_id}"]
    again = site.get("/lens/cleanup.json").json()
    assert again | {"generated_at": 0} == found | {"generated_at": 0}


def test_it_needs_a_key_where_one_is_set(make_site: Callable[..., Site]) -> None:
    site = make_site(report_key="a-key-of-the-tests")
    for path in ("/lens/report/evidence", "/lens/cleanup.json"):
        assert site.get(path).status_code == 403
        assert site.get(path, **{"X-Lens-Key": "a-key-of-the-tests"}).status_code == 200


def test_all_reports_and_exports_tell_the_same_verdict(site: Site) -> None:
    now = site.lens.clock()
    site.count_at(now - 20 * DAY, "GET", "/users/{user_id}")
    site.count("GET", "/health")

    def verdicts(path: str, key: str = "endpoints") -> dict[str, Any]:
        found = json.loads(site.get(path).text)[key]
        return {one["path"]: one["verdict"] for one in found}

    evidence = verdicts("/lens/report/evidence")
    assert evidence == {
        "/health": "in_use",
        "/users": "not_enough_observation",
        "/users/{user_id}": "in_use",
    }
    assert verdicts("/lens/report") == verdicts("/lens/endpoints.json") == evidence
    for path in ("/lens/report/top", "/lens/report/dead"):
        found = verdicts(path)
        assert found
        assert found.items() <= evidence.items()


def test_a_report_tells_from_when_an_endpoint_is_safe_to_remove(site: Site) -> None:
    found = {one["path"]: one for one in site.get("/lens/report").json()["endpoints"]}
    evidence = {one["path"]: one for one in site.get("/lens/report/evidence").json()["endpoints"]}
    assert found["/users"]["safe_from"] == evidence["/users"]["safe_from"]
    assert len(found["/users"]["safe_from"]) == len("2027-03-09")
    site.count("POST", "/users")
    found = {one["path"]: one for one in site.get("/lens/report").json()["endpoints"]}
    assert found["/users"]["safe_from"] is None
