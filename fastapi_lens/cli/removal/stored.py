"""The evidence in a database, as ``GET /lens/report/evidence`` gives it."""

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.storage.engine.database import Database


def read_evidence(database: Database, config: LensConfig, *, app: str, now: float) -> bytes:
    """The evidence as JSON.

    Raises:
        StorageError: The database cannot be read.
    """
    raise NotImplementedError
