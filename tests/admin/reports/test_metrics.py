"""The metrics for a Prometheus server."""

from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families as plain_text

from tests.admin.conftest import Site

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""The Accept header of a Prometheus server of release 3."""


def test_both_parsers_of_prometheus_read_the_same_calls(site: Site) -> None:
    site.count("GET", "/health", 3)
    site.count("GET", "/health", 1, status=503)
    answer = site.get("/lens/metrics", Accept=PROMETHEUS_3)
    samples = [one for family in open_metrics(answer.text) for one in family.samples]
    plain = [one for family in plain_text(site.get("/lens/metrics").text) for one in family.samples]
    assert samples == plain
    calls = {
        one.labels["http_response_status_code"]: one.value
        for one in samples
        if one.name == "http_server_requests_total" and one.labels["http_route"] == "/health"
    }
    assert calls == {"2xx": 3, "3xx": 0, "4xx": 0, "5xx": 1}
