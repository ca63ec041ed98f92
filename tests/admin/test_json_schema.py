"""Every JSON answer is as docs/report.schema.json describes it, and has nothing else."""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator

from scripts import report_schema
from tests.admin.conftest import Site
from tests.cli.helpers import run

SCHEMA = report_schema.schema()
WITHOUT_DAYS = ("/report/evidence", "/report/callers")
REPORTS = [path for path in report_schema.ANSWERS if path.startswith("/report")]


def validator(model: str) -> Draft202012Validator:
    """A validator of one definition, for which an undeclared member is an error."""
    definitions = deepcopy(SCHEMA["$defs"])
    for definition in definitions.values():
        if "properties" in definition:
            # A reason's numbers differ between codes, and so are declared as open.
            definition.setdefault("additionalProperties", False)
    return Draft202012Validator({"$ref": f"#/$defs/{model}", "$defs": definitions})


@pytest.fixture
def full(make_site: Callable[..., Site]) -> Site:
    """A site with a used endpoint, an unused one, logged requests, and a known caller."""
    app = FastAPI()

    @app.get("/orders/{order_id}")
    def order(order_id: int) -> int:
        return 1 // order_id

    @app.get("/unused")
    def unused() -> None:
        """Nobody calls it."""

    # Slow ones are kept at the end of their minute.
    site = make_site(app, log_sample_rate=1.0, log_slowest=0, log_clients="masked", callers="agent")
    site.client.get("/orders/1?page=2")
    with pytest.raises(ZeroDivisionError):
        site.client.get("/orders/0")
    assert site.lens.flusher.flush()
    return site


def addresses() -> Iterator[tuple[str, str]]:
    """Each answer without parameters, and with each of its own."""
    for path, model in report_schema.ANSWERS.items():
        yield path, model.__name__
    yield "/report?days=7&status=never_called", "Report"
    yield "/report?status=dead", "Report"
    yield "/report/top?days=all&limit=1", "TopReport"
    yield "/report/dead?days=1", "DeadReport"
    yield "/endpoints.json?q=orders&sort=-p95", "EndpointsFile"
    yield "/requests.json?status=5xx&reason=error", "RequestsFile"


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(("address", "model"), list(addresses()))
def test_an_answer_is_as_the_schema_says(full: Site, address: str, model: str) -> None:
    response = full.get(f"/lens{address}")
    assert response.status_code == 200
    validator(model).validate(response.json())
    Draft202012Validator(SCHEMA).validate(response.json())


def test_the_answers_that_were_validated_have_endpoints_and_requests(full: Site) -> None:
    endpoints: list[Any] = full.get("/lens/report").json()["endpoints"]
    requests: list[Any] = full.get("/lens/requests.json").json()["requests"]
    assert {one["status"] for one in endpoints} == {"active", "never_called"}
    assert {one["status"] for one in requests} >= {200, 500}
    assert full.get("/lens/report/callers").json()["callers"]
    assert any(one["exception"] for one in requests)


@pytest.mark.parametrize(
    ("path", "query", "headers", "status"),
    [
        *((path, "", {"X-Lens-Key": "wrong"}, 403) for path in REPORTS),
        *((path, "/nothing", {}, 404) for path in REPORTS),
        *((path, "?days=0", {}, 422) for path in REPORTS if path not in WITHOUT_DAYS),
        ("/report/callers", "?endpoint=x", {}, 422),
        ("/report/callers", "?endpoint=0000000000000007", {}, 404),
    ],
)
def test_a_refusal_is_as_the_schema_says(
    make_site: Callable[..., Site], path: str, query: str, headers: dict[str, str], status: int
) -> None:
    site = make_site(report_key="a key")
    response = site.get(f"/lens{path}{query}", **{"X-Lens-Key": "a key", **headers})
    assert response.status_code == status
    validator("Refusal").validate(response.json())


def test_the_command_line_writes_the_same_report(full: Site) -> None:
    place = full.lens.config.place.url
    done = run("report", "--database", place.render_as_string(), "--format", "json")
    validator("Report").validate(json.loads(done.stdout))


def test_an_unknown_member_is_found() -> None:
    assert not validator("Refusal").is_valid({"detail": "x", "more": 1})
    assert Draft202012Validator(SCHEMA).is_valid({"detail": "x", "more": 1})
