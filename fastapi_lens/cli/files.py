"""Files that the command line writes: private, and at their place only when they are whole."""

import contextlib
import gzip
import os
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from fastapi_lens.cli.exits import CommandError, Exit


@contextmanager
def new_file(path: Path, *, overwrite: bool) -> Generator[BinaryIO]:
    """A file that is at its place only when all of it is written; gzipped if it ends with .gz.

    It is written under a name that nobody can guess, beside its place, for its owner alone. What
    was at the place keeps its permissions; a device or a pipe is written to as it is.

    Args:
        path: Its place; no link, which could lead anywhere.
        overwrite: Whether to replace a file that is there.

    Raises:
        CommandError: There is something at its place that is not to be written to.
        OSError: It cannot be written.
    """
    there = _at(path, overwrite=overwrite)
    if there is not None and not stat.S_ISREG(there.st_mode):
        with path.open("wb") as raw, _packed(path, raw) as stream:
            yield stream
        return
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    part = Path(name)
    try:
        with open(descriptor, "wb") as raw:  # noqa: PTH123  It is open already.
            with _packed(path, raw) as stream:
                yield stream
            raw.flush()
            os.fsync(raw.fileno())
        if there is not None:
            part.chmod(stat.S_IMODE(there.st_mode))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _at(path: Path, *, overwrite: bool) -> os.stat_result | None:
    """What is at a place and may be written to; None for nothing."""
    with contextlib.suppress(FileNotFoundError):
        there = path.lstat()
        if stat.S_ISLNK(there.st_mode):
            raise CommandError(Exit.USAGE, f"{path} is a link: name the file that it leads to")
        if not overwrite:
            raise CommandError(Exit.USAGE, f"{path} is there already: say --overwrite")
        return there
    return None


@contextmanager
def _packed(path: Path, raw: BinaryIO) -> Generator[BinaryIO]:
    """The same stream, or one that gzips what it takes."""
    if path.suffix == ".gz":
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6) as packed:
            yield cast("BinaryIO", packed)
    else:
        yield raw
