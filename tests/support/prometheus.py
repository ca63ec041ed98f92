"""The parsers of prometheus_client, with types."""

from typing import Any

from prometheus_client.openmetrics import parser
from prometheus_client.parser import text_string_to_metric_families


def open_metrics(text: str) -> list[Any]:
    """The families of a text in the format of OpenMetrics."""
    parse: Any = parser.text_string_to_metric_families
    return list(parse(text))


def plain_text(text: str) -> list[Any]:
    """The families of a text in Prometheus' own format."""
    return list(text_string_to_metric_families(text))
