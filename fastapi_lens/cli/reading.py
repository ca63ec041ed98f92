"""The read side for the command line: the settings of the environment and of the database."""

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.settings import read_sections
from fastapi_lens.storage.retention.pruner import Retention


def reader_of(database: Database, config: LensConfig, *, app: str) -> Reader:
    """A reader of one app that answers as its pages do.

    Args:
        database: An open one.
        config: The settings of the environment.
        app: Its name.

    Raises:
        StorageError: The database cannot be read.
    """
    settings = Settings.of(config, read_sections(database, app))
    return Reader(
        database,
        app=lambda: app,
        settings=lambda: settings,
        retention=Retention(settings.config.ttl_days),
    )
