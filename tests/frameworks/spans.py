"""Spans that a provider makes, kept in memory."""

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind


class Spans:
    """The spans of a provider from now on."""

    def __init__(self, provider: TracerProvider) -> None:
        self._exporter = InMemorySpanExporter()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    @property
    def of_server(self) -> list[ReadableSpan]:
        """One for each request."""
        found = self._exporter.get_finished_spans()
        return [span for span in found if span.kind is SpanKind.SERVER]

    def named(self) -> list[tuple[str, Any, Any]]:
        """Name, route and status of each request."""
        return [
            (
                span.name,
                (span.attributes or {}).get("http.route"),
                (span.attributes or {}).get("http.status_code")
                or (span.attributes or {}).get("http.response.status_code"),
            )
            for span in self.of_server
        ]
