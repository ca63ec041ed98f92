"""docs/metrics.md agrees with what `GET /lens/metrics` answers."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from fastapi_lens.histogram.histogram import RELATIVE_ERROR
from fastapi_lens.reporting.documents.exposition import BOUNDARIES
from tests.recording.probe import lens_of
from tests.support.prometheus import open_metrics

TEXT = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.add_middleware(LensMiddleware, config=LensConfig(db_path=":memory:", report_key="a-key"))
    app.include_router(lens_admin)
    app.add_api_route("/items", lambda: 1)
    client = TestClient(app)
    client.get("/items")
    assert lens_of(app).flusher.flush()
    yield client
    lens_of(app).stop()


def scraped(client: TestClient) -> list[tuple[str, frozenset[str]]]:
    """Each series of the only endpoint: name and labels, as the documented job scrapes them."""
    (snippet,) = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
    (job,) = yaml.safe_load(snippet)["scrape_configs"]
    # The type of an authorization is Bearer if none is named.
    headers = {"Authorization": "Bearer a-key", "Accept": "application/openmetrics-text"}
    assert "type" not in job["authorization"]
    answer = client.get(job["metrics_path"], headers=headers)
    assert answer.status_code == 200
    families = open_metrics(answer.text)
    return [(one.name, frozenset(one.labels)) for family in families for one in family.samples]


def test_the_queries_ask_for_series_that_exist(client: TestClient) -> None:
    known = dict(scraped(client))
    queries = re.findall(r"```promql\n(.*?)```", TEXT, re.DOTALL)
    assert len(queries) == 2
    for query in queries:
        for name, matchers in re.findall(r"(http_server_\w+)\{([^}]*)\}", query):
            labels = set(re.findall(r"(\w+)(?:!?=)", matchers))
            assert labels - {"job"} <= known[name]
        for grouped in re.findall(r"by \(([^)]*)\)", query):
            assert set(grouped.split(", ")) <= set().union(*known.values())


def test_the_number_of_series_is_that_of_one_endpoint(client: TestClient) -> None:
    each = len(scraped(client))
    assert f"{each} series for each endpoint" in TEXT
    assert f"{500 * each:,} for 500 endpoints" in TEXT


def test_the_boundaries_and_their_error_are_those_of_the_code() -> None:
    ms, seconds = re.findall(r"are ([\d, and]+) ms, and ([\d., and]+) s\.", TEXT)[0]
    named = [float(one) / 1_000 for one in re.findall(r"[\d.]+", ms)]
    named += [float(one) for one in re.findall(r"[\d.]+", seconds)]
    assert named == list(BOUNDARIES)
    assert f"at most {100 * RELATIVE_ERROR:.1f} %" in TEXT
