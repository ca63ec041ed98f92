"""Files that the command line writes: private, and moved into place only when complete."""

import contextlib
import gzip
import os
import re
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from fastapi_lens.cli.exit_codes import CommandError, Exit

_OPEN_FILE = re.compile(r"(?:/dev|/proc/(?:self|(\d+)))/(?:fd/(\d+)|(?<=/dev/)(stdout|stderr))")
_STREAMS = {"stdout": 1, "stderr": 2}


@contextmanager
def new_file(path: Path, *, overwrite: bool) -> Generator[BinaryIO]:
    """A file that is moved into place only when it is complete; gzipped if it ends with .gz.

    It is written under an unguessable name in the same directory, readable only by its owner. The
    permissions of a replaced file are kept. A device, a pipe or an open file of a process
    (``/dev/stdout``, ``/dev/fd/3``, ``/proc/1/fd/1``) is written to directly.

    Args:
        path: The final path; not any other link, which could lead anywhere.
        overwrite: Replace an existing file.

    Raises:
        CommandError: Something at the path must not be overwritten.
        OSError: The file cannot be written.
    """
    if (opened := _open_file(path)) is not None:
        with open(opened, "wb") as raw, _packed(path, raw) as stream:  # noqa: PTH123  As below.
            yield stream
        return
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
            # Before the move, because a crash of the machine could leave an empty file at the path.
            raw.flush()
            os.fsync(raw.fileno())
        # Only now: until it is complete, it is for its owner alone.
        if there is not None:
            part.chmod(stat.S_IMODE(there.st_mode))
        part.replace(path)
    finally:
        # After the move, nothing has this name any more.
        part.unlink(missing_ok=True)


def _open_file(path: Path) -> int | None:
    """A descriptor of the open file of a process that a path names; None for any other path.

    Nobody can replace these links of the system, and an open file cannot be replaced.
    """
    found = _OPEN_FILE.fullmatch(str(path.absolute()))
    if found is None:
        return None
    process, number, stream = found.groups()
    if process is not None and int(process) != os.getpid():
        # Appended, because other writers of that process share the file.
        return os.open(path, os.O_WRONLY | os.O_APPEND)
    # Opening it again would empty a file and fail for a socket.
    return os.dup(int(number) if stream is None else _STREAMS[stream])


def _at(path: Path, *, overwrite: bool) -> os.stat_result | None:
    """The status of a file that may be overwritten; None if nothing is at the path."""
    # lstat, because stat would follow a link and show its target.
    with contextlib.suppress(FileNotFoundError):
        there = path.lstat()
        if stat.S_ISLNK(there.st_mode):
            raise CommandError(Exit.USAGE, f"{path} is a link: name its target")
        if not overwrite:
            raise CommandError(Exit.USAGE, f"{path} exists: use --overwrite to replace it")
        return there
    return None


@contextmanager
def _packed(path: Path, raw: BinaryIO) -> Generator[BinaryIO]:
    """The same stream, or one that compresses into it."""
    if path.suffix == ".gz":
        # Without a name: gzip would write that of the temporary file into its header.
        with gzip.GzipFile(filename="", fileobj=raw, mode="wb", compresslevel=6) as packed:
            yield cast("BinaryIO", packed)
    else:
        yield raw
