"""Every error that fastapi_lens raises, in one tree. No behaviour, no imports of the other modules.

LensError                      the root; catch this to catch them all
├── ConfigError                a setting is wrong; raised by LensConfig before anything starts
├── OverrideError              the `x-lens` mapping of a route is wrong; whoever reads the routes
│                              logs it and judges the endpoint without its overrides
└── StorageError               the database cannot be used
    ├── DamagedFileError       what lies at the path is no SQLite database; counts wait
    ├── DeadlockError          the database has undone a transaction so that others can go on
    ├── RefusedError           the database refuses these values, and would again
    ├── SchemaTooNewError      a newer fastapi_lens has migrated this database; counts wait
    └── UnavailableError       the database does not answer, or is locked; the same works later
"""


class LensError(Exception):
    """The root of all errors of fastapi_lens."""


class ConfigError(LensError, ValueError):
    """A setting has a value that cannot work.

    Raised while a `LensConfig` is built, so that a wrong setting is seen at start and not
    while requests are served.

    Attributes:
        field: The name of the setting as `LensConfig` spells it.
        problem: What is wrong and how to put it right, in one sentence.
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

    Whoever reads the routes catches it, logs it with the route and goes on without overrides.

    Attributes:
        field: The field, as ``x-lens.until``.
        problem: What is wrong and how to put it right, in one sentence.
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
    """The database cannot be used. The flusher catches it, keeps what it counted and retries."""


class DamagedFileError(StorageError):
    """The file is no SQLite database, or a damaged one. The flusher catches it and logs an error.

    Attributes:
        path: The file.
        reason: SQLite's words.
    """

    def __init__(self, path: str, reason: str) -> None:
        """Name the file."""
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        """One sentence with the file and what to do."""
        return (
            f"{self.path} is no database that can be used ({self.reason}): move it away or set "
            "another db_path"
        )


class DeadlockError(StorageError):
    """The database has undone a transaction to let another one go on. The writer begins it anew."""


class RefusedError(StorageError):
    """The database refuses values: too long, not in its encoding, out of range, a key used twice.

    Trying again does not help. Whoever writes several rows writes them one by one, and drops the
    one that is refused.
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
    """The database cannot be reached, has no room, or keeps a lock: the same works later.

    Whatever is written after it may be tried for ever; nothing is given up for it.
    """
