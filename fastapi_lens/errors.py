"""Every error that fastapi_lens raises, in one tree. No behaviour, no imports of the other modules.

LensError                      the root; catch this to catch them all
├── ConfigError                a setting is invalid; raised by LensConfig before anything starts
├── OverrideError              the `x-lens` mapping of a route is invalid; the reader of the routes
│                              logs it and keeps the endpoint
└── StorageError               the database cannot be used
    ├── DamagedFileError       the file is no SQLite database, or damaged; counts wait in memory
    ├── ForeignFileError       the file is that of the other package named fastapi-lens; counts wait
    │                          in memory
    ├── DeadlockError          the database rolled a transaction back; the writer retries it
    ├── RefusedError           the database refuses values; a retry would fail again
    ├── SchemaTooNewError      a newer fastapi_lens has migrated the database; counts wait in memory
    └── UnavailableError       the database does not answer, or is locked; a later retry may work
"""


class LensError(Exception):
    """The root of all errors of fastapi_lens."""


class ConfigError(LensError, ValueError):
    """A setting has a value that cannot work.

    Raised while a `LensConfig` is built, so that an invalid setting is found at the start and not
    while requests are served.

    Attributes:
        field: The name of the setting as `LensConfig` spells it.
        problem: The fault and its fix, in one sentence.
        expected: The values that are allowed, as a phrase for forms: ``a share from 0 to 1``;
            empty for a setting that no form changes.
    """

    def __init__(self, field: str, problem: str, expected: str = "") -> None:
        """Name the field and the fix."""
        super().__init__(field, problem, expected)
        self.field = field
        self.problem = problem
        self.expected = expected

    def __str__(self) -> str:
        """One sentence that begins with the setting."""
        return f"LensConfig.{self.field} {self.problem}"


class OverrideError(LensError, ValueError):
    """The ``x-lens`` mapping of a route has a field that cannot work.

    Whoever reads the routes catches it, logs it with the route and keeps the endpoint.

    Attributes:
        field: The field, as ``x-lens.until``.
        problem: The fault and its fix, in one sentence.
    """

    def __init__(self, field: str, problem: str) -> None:
        """Name the field and the fix."""
        super().__init__(field, problem)
        self.field = field
        self.problem = problem

    def __str__(self) -> str:
        """One sentence that begins with the field."""
        return f"{self.field} {self.problem}"


class StorageError(LensError):
    """The database cannot be used. The flusher catches it, keeps its counts and retries."""


class DamagedFileError(StorageError):
    """The file is no SQLite database, or a damaged one. The flusher catches it and logs an error.

    Attributes:
        path: The file.
        reason: SQLite's message.
    """

    def __init__(self, path: str, reason: str) -> None:
        """Name the file."""
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        """One sentence with the file and what to do."""
        return (
            f"{self.path} is not a usable database ({self.reason}): move it away or set "
            "another db_path"
        )


class ForeignFileError(StorageError):
    """The file belongs to the other package named fastapi-lens, and none of our tables is in it.

    Nothing is written to it. The flusher catches this like any StorageError.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        """Name the file."""
        super().__init__(path)
        self.path = path

    def __str__(self) -> str:
        """One sentence with the file and what to do."""
        return (
            f"{self.path} belongs to another package, fastapi-lens of PyPI, and is left as it is: "
            "set another db_path, and take its calls over with python -m fastapi_lens import "
            "--from-lens-0.3"
        )


class DeadlockError(StorageError):
    """The database rolled a transaction back in favour of another one. The writer retries it."""


class RefusedError(StorageError):
    """The database refuses values: too long, not in its encoding, out of range, a duplicate key.

    A retry does not help. The writer of several rows then writes them one by one, and drops the row
    that is refused.
    """


class SchemaTooNewError(StorageError):
    """A newer release has migrated this database. The flusher catches it like any StorageError."""

    def __init__(self, found: int, known: int) -> None:
        """Name both versions.

        Args:
            found: The schema version that the database has.
            known: The newest schema version that this release knows.
        """
        super().__init__(found, known)
        self.found = found
        self.known = known

    def __str__(self) -> str:
        """One sentence with both versions and what to do."""
        return (
            f"the database has schema version {self.found}, this release knows up to "
            f"{self.known}: upgrade fastapi_lens on this host"
        )


class UnavailableError(StorageError):
    """The database cannot be reached, is full, or is locked: a later retry may work.

    Writers may retry without limit; they drop no data because of it.
    """
