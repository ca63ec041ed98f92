"""The JSON Schema of the reports: `make interface` writes docs/report.schema.json.

It is made from the models that the answers are made from. Files that are written row by row have
no model in the package; theirs are here. An answer may get further members in a later release, so
that no schema forbids them.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from fastapi_lens.reporting.documents.callers_report import CallersReport
from fastapi_lens.reporting.documents.evidence_report import Evidence
from fastapi_lens.reporting.documents.listed import ListedEndpoint
from fastapi_lens.reporting.documents.report import DeadReport, Report, TopReport

FILE = Path(__file__).resolve().parent.parent / "docs" / "report.schema.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


class EndpointsFile(BaseModel):
    """``GET /lens/endpoints.json``: the endpoints of the list with the filters of `view`."""

    generated_at: float
    view: str
    endpoints: list[ListedEndpoint]


class LoggedRequest(BaseModel):
    """One request of the request log.

    `at` is seconds since the epoch (UTC). `endpoint_method` and `endpoint_path` are those of its
    route; `exception` is the type of the exception that left the handler, and `caller` the name of
    its caller.
    """

    id: str
    at: float
    method: str
    path: str
    query: str
    status: int
    duration_ms: float
    reason: str
    endpoint_method: str | None
    endpoint_path: str | None
    client: str | None
    agent: str | None
    exception: str | None
    caller: str | None


class RequestsFile(BaseModel):
    """``GET /lens/requests.json``: the requests that the list shows with the filters of `view`."""

    generated_at: float
    view: str
    requests: list[LoggedRequest]


class Refusal(BaseModel):
    """The answer of a report with a status from 400 on: one sentence."""

    detail: str


ANSWERS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {
        "/report": Report,
        "/report/top": TopReport,
        "/report/dead": DeadReport,
        "/report/evidence": Evidence,
        "/report/callers": CallersReport,
        "/cleanup.json": Evidence,
        "/endpoints.json": EndpointsFile,
        "/requests.json": RequestsFile,
    }
)
"""The model of each answer, by its path below the admin."""


class WithoutTitles(GenerateJsonSchema):
    """Leaves out the titles of fields, which repeat their names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  Pydantic's signature.
        """False for every field."""
        return False


def schema() -> dict[str, Any]:
    """One schema, which holds for an answer that any of its definitions holds for."""
    models: list[type[BaseModel]] = [*dict.fromkeys(ANSWERS.values()), Refusal]
    _, made = models_json_schema(
        [(model, "serialization") for model in models],
        schema_generator=WithoutTitles,
        title="JSON reports and files of fastapi_lens",
    )
    answers = [{"$ref": f"#/$defs/{model.__name__}"} for model in models]
    return {"$schema": DIALECT, "title": made["title"], "anyOf": answers, "$defs": made["$defs"]}


def text() -> str:
    """The file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
