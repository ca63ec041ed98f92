"""Where evidence comes from: a file, a URL, or the database."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fastapi_lens.cli.exit_codes import CommandError, Exit
from fastapi_lens.cli.removal.download import MAX_BYTES, download, shown, web_address
from fastapi_lens.cli.removal.evidence import Evidence, parsed, require_fresh

DATABASE: Final = "database"
_OPTION = "--evidence"
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Source:
    """Evidence and where it was read.

    Attributes:
        name: A file, a URL without its query, or ``database``.
    """

    name: str
    evidence: Evidence


def read_sources(
    named: Sequence[str],
    database: Callable[[], bytes],
    *,
    max_age_hours: float,
    now: float,
) -> Iterator[Source]:
    """The evidence of all sources, each checked.

    Args:
        named: Files, URLs, or ``database``.
        database: Makes the evidence of the database.
        max_age_hours: The oldest that is allowed.
        now: Epoch seconds.

    Raises:
        CommandError: One of them is missing, damaged, empty or too old.
        StorageError: The database cannot be read.
    """
    for each in named:
        name, text = _read(each, database)
        evidence = parsed(text, name)
        require_fresh(evidence, name, max_age_hours=max_age_hours, now=now)
        yield Source(name, evidence)


def _read(named: str, database: Callable[[], bytes]) -> tuple[str, bytes]:
    """The name of a source for people, and its document."""
    if named == DATABASE:
        return named, _made(database)
    if "://" in named:
        url = web_address(named, _OPTION)
        return shown(url), _unpacked(download(url), shown(url))
    try:
        packed = Path(named).read_bytes()
    except OSError as error:
        raise CommandError(Exit.UNREACHABLE, f"{_OPTION} cannot be read: {error}") from error
    return named, _unpacked(packed, named)


def _made(database: Callable[[], bytes]) -> bytes:
    """The evidence of the database.

    Raises:
        CommandError: There is none; never with the code of a removal that must not be.
    """
    try:
        return database()
    except CommandError as error:
        code = Exit.UNREACHABLE if error.code is Exit.WRONG else error.code
        raise CommandError(code, str(error)) from error


def _unpacked(data: bytes, name: str) -> bytes:
    """The same data, unpacked if it is gzipped.

    Raises:
        CommandError: It is damaged, or longer than any evidence.
    """
    # By its content: a server may send a packed file under any name.
    if not data.startswith(_GZIP):
        return data
    # 16 for gzip's header and 15 for the largest window.
    unpacker = zlib.decompressobj(wbits=31)
    try:
        # With a limit: a few bytes may unpack to any number.
        text = unpacker.decompress(data, MAX_BYTES)
    except zlib.error as error:
        raise CommandError(Exit.BAD_FILE, f"{name} is damaged: {error}; write it again") from error
    if not unpacker.eof:
        raise CommandError(
            Exit.BAD_FILE, f"{name} is cut off, or longer than {MAX_BYTES >> 20} MB unpacked"
        )
    return text
