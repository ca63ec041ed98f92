"""The file of an export, as docs/command-line.md describes it: JSON Lines, perhaps gzipped.

A header, sections of rows, a trailer with counts and a checksum. Knows no database.
"""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from fastapi_lens.cli.archive_checks import (
    BINARY,
    Found,
    Header,
    RowChecks,
    WrongRowError,
    wrong_header,
)
from fastapi_lens.cli.exit_codes import CommandError, Exit

FORMAT = 1
LONGEST_LINE = 16_000_000
"""Maximum of unpacked bytes. A row with the longest texts in use takes a hundredth of this."""

_KIND = "fastapi_lens_export"


class _Line(NamedTuple):
    """One line: its number in the file, its bytes, and the parsed value."""

    number: int
    data: bytes
    value: Any


class Archive:
    """An export that is being written, in constant memory.

    Args:
        stream: Takes the bytes.
        header: Its first line.
    """

    def __init__(self, stream: BinaryIO, header: Header) -> None:
        """Write the header."""
        self._stream = stream
        self._sum = hashlib.sha256()
        self._counts: dict[str, int] = {}
        self._line({_KIND: FORMAT, **asdict(header)})

    def section(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> Iterator[int]:
        """Write the rows of one table; yields 1 for each."""
        self._line({"table": table, "columns": list(columns)})
        self._counts[table] = 0
        binary = [number for number, name in enumerate(columns) if name == BINARY]
        for row in rows:
            values = list(row)
            for number in binary:
                # JSON has no bytes.
                values[number] = base64.b64encode(values[number]).decode()
            self._line(values)
            self._counts[table] += 1
            yield 1

    def end(self) -> None:
        """Write the trailer, without which the file counts as cut off."""
        self._line({"end": True, "counts": self._counts, "sha256": self._sum.hexdigest()})

    def _line(self, value: object) -> None:
        line = json.dumps(value, separators=(",", ":")).encode() + b"\n"
        self._sum.update(line)
        self._stream.write(line)


class ExportFile:
    """An export to read, from any source: lines that no export contains are refused.

    Args:
        path: Its path; gzipped if it ends with .gz.

    Attributes:
        header: Its first line.
    """

    def __init__(self, path: Path) -> None:
        """Read the header.

        Raises:
            CommandError: It is no export, or of a newer format.
        """
        self._path = path
        with self._lines() as lines:
            first = next(lines, None)
        found = None if first is None else first.value
        if not isinstance(found, dict) or _KIND not in found:
            raise CommandError(Exit.BAD_FILE, f"{path} is not an export of fastapi_lens")
        head = cast("dict[str, Any]", found)
        if head.pop(_KIND) != FORMAT:
            raise CommandError(
                Exit.BAD_FILE, f"{path} has a format that this release does not know: upgrade it"
            )
        wrong = wrong_header(head)
        if wrong:
            raise self._refused(1, wrong)
        self.header = Header(**head)

    def rows(self) -> Generator[Found]:
        """All rows in the order of the file, each checked against its table.

        Raises:
            CommandError: The file is cut off or damaged, or contains a line that no export has;
                raised at its end at the latest.
        """
        checks = RowChecks(self.header)
        checksum = hashlib.sha256()
        with self._lines() as lines:
            checksum.update(next(lines).data)
            for line in lines:
                try:
                    row = checks.row(line.value)
                except WrongRowError as error:
                    raise self._refused(line.number, str(error)) from None
                if row is not None:
                    yield row
                # A line that is no row and was not refused is an object.
                elif "end" in (end := cast("dict[str, Any]", line.value)):
                    self._require_whole(end, checks.counts, checksum.hexdigest(), lines)
                    return
                checksum.update(line.data)
        raise self._broken("its end is missing")

    def _require_whole(
        self, trailer: Any, counts: dict[str, int], checksum: str, rest: Iterator[Any]
    ) -> None:
        if trailer.get("counts") != counts or trailer.get("sha256") != checksum:
            raise self._broken("its checksum is wrong")
        if next(rest, None) is not None:
            raise self._broken("something follows its end")

    @contextmanager
    def _lines(self) -> Generator[Iterator[_Line]]:
        """The lines with their parsed values."""
        if self._path.exists() and not self._path.is_file():
            raise CommandError(Exit.BAD_FILE, f"{self._path} is not a file")
        with self._damage(), self._path.open("rb") as raw:
            packed = self._path.suffix == ".gz"
            stream = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
            yield self._read(stream)

    def _read(self, stream: BinaryIO) -> Iterator[_Line]:
        number = 0
        # With a limit: a few bytes may unpack to any number.
        while data := stream.readline(LONGEST_LINE + 1):
            number += 1
            if len(data) > LONGEST_LINE:
                raise self._refused(number, f"is longer than {LONGEST_LINE:,} bytes")
            try:
                yield _Line(number, data, json.loads(data.decode(), parse_constant=_no_number))
            except (ValueError, RecursionError):
                raise self._broken(f"line {number} is not JSON") from None

    @contextmanager
    def _damage(self) -> Generator[None]:
        """Translate all read errors into one kind of error."""
        try:
            yield
        except FileNotFoundError as error:
            raise CommandError(Exit.BAD_FILE, f"there is no file {self._path}") from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._broken(f"{type(error).__name__}") from error

    def _broken(self, why: str) -> CommandError:
        return CommandError(
            Exit.BAD_FILE, f"{self._path} is cut off or damaged ({why}); export it again"
        )

    def _refused(self, number: int, why: str) -> CommandError:
        return CommandError(
            Exit.BAD_FILE, f"{self._path}, line {number}: {why}; nothing is imported"
        )


def _no_number(text: str) -> object:
    """Refuse infinities and NaN, which Python accepts but JSON does not have."""
    raise ValueError(text)
