"""The file of an export, as docs/command-line.md describes it: JSON Lines, perhaps gzipped.

A header, sections of rows, a trailer with counts and a checksum. Knows no database.
"""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from fastapi_lens.cli.exits import CommandError, Exit

FORMAT = 1
_KIND = "fastapi_lens_export"
_BINARY = "histogram"
"""The column whose values are bytes; base64 in the file."""


class Found(NamedTuple):
    """One row of an export: its table's name, and the values by column."""

    table: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Header:
    """The first line.

    Attributes:
        export_id: 32 hexadecimal digits, new for each export.
        schema: The schema version of the rows.
        release: The fastapi_lens that wrote it.
        created_at: Epoch seconds.
        apps: By app, the signs of the databases whose counts are in the rows.
    """

    export_id: str
    schema: int
    release: str
    created_at: float
    apps: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


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
        """Write the rows of one table; gives 1 for each that is written."""
        self._line({"table": table, "columns": list(columns)})
        self._counts[table] = 0
        binary = [number for number, name in enumerate(columns) if name == _BINARY]
        for row in rows:
            values = list(row)
            for number in binary:
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
    """An export to be read.

    Args:
        path: Where it is; gzipped if it ends with .gz.

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
            first = next(lines, (b"", None))[1]
        if not isinstance(first, dict) or _KIND not in first:
            raise CommandError(Exit.BAD_FILE, f"{path} is no export of fastapi_lens")
        head = cast("dict[str, Any]", first)
        if head.pop(_KIND) != FORMAT:
            raise CommandError(
                Exit.BAD_FILE, f"{path} has a format that this release does not know: upgrade it"
            )
        with self._damage():
            self.header = Header(**head)

    def rows(self) -> Generator[Found]:
        """All rows, in the order of the file.

        Raises:
            CommandError: The file turns out, at its end at the latest, to be cut off or damaged.
        """
        checksum, counts = hashlib.sha256(), dict[str, int]()
        table, columns = "", list[str]()
        with self._lines() as lines:
            for line, value in lines:
                if isinstance(value, list):
                    counts[table] += 1
                    yield Found(table, _decoded(columns, value))  # pyright: ignore[reportUnknownArgumentType]  JSON.
                elif "table" in value:
                    table, columns = value["table"], value["columns"]
                    counts[table] = 0
                elif "end" in value:
                    self._require_whole(value, counts, checksum.hexdigest(), lines)
                    return
                checksum.update(line)
        raise self._broken("its end is missing")

    def _require_whole(
        self, trailer: Any, counts: dict[str, int], checksum: str, rest: Iterator[Any]
    ) -> None:
        if trailer["counts"] != counts or trailer["sha256"] != checksum:
            raise self._broken("its checksum is wrong")
        if next(rest, None) is not None:
            raise self._broken("something follows its end")

    @contextmanager
    def _lines(self) -> Generator[Iterator[tuple[bytes, Any]]]:
        """The lines as bytes, and what they say."""
        with self._damage(), self._path.open("rb") as raw:
            packed = self._path.suffix == ".gz"
            stream = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if packed else raw
            yield ((line, json.loads(line)) for line in stream)

    @contextmanager
    def _damage(self) -> Generator[None]:
        """Give what reading stumbles over as one error."""
        try:
            yield
        except FileNotFoundError as error:
            raise CommandError(Exit.BAD_FILE, f"there is no file {self._path}") from error
        except (ValueError, TypeError, KeyError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._broken(f"{type(error).__name__}") from error

    def _broken(self, why: str) -> CommandError:
        return CommandError(
            Exit.BAD_FILE, f"{self._path} is cut off or damaged ({why}); export it again"
        )


def _decoded(columns: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    row = dict(zip(columns, values, strict=True))
    if _BINARY in row:
        row[_BINARY] = base64.b64decode(row[_BINARY], validate=True)
    return row
