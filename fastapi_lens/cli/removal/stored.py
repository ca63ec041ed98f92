"""The evidence in a database, as ``GET /lens/report/evidence`` gives it."""

from fastapi_lens.cli.reading import reader_of
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.reporting.documents.evidence_report import Evidence
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.text.escaping import visible_json


def stored_evidence(database: Database, config: LensConfig, *, app: str, now: float) -> bytes:
    """The evidence of an app as one line of JSON in UTF-8.

    Args:
        database: An open one.
        config: The settings of the environment.
        app: Its name.
        now: Epoch seconds.

    Raises:
        StorageError: The database cannot be read.
    """
    reader = reader_of(database, config, app=app)
    found = reader.evidence(now)
    callers = reader.callers.of_judged(found.every)
    document = Evidence.of(found, callers, app=app, now=now, environment=config.environment)
    return f"{visible_json(document.model_dump_json())}\n".encode()
