"""Options that several commands have, and the app that they mean."""

from typing import Annotated

import typer

from fastapi_lens.cli.target import chosen_app
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.transfer.export import app_names

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL|FILE",
        help="SQLAlchemy URL or SQLite file; default: LENS_DATABASE_URL, LENS_DB_PATH, ./lens.db.",
    ),
]
AppOption = Annotated[
    str | None, typer.Option("--app", envvar="LENS_APP_NAME", help="Name of the application.")
]


def app_of(database: Database, named: str | None) -> str:
    """The app of a command: the named one, or the only one in a database.

    Raises:
        CommandError: There is no such app, none at all, or several.
        StorageError: The database cannot be read.
    """
    with database.read() as connection:
        return chosen_app(named, app_names(connection))
