"""Links from places in the application's code to an editor or a repository. No HTML."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from fastapi_lens.admin.context import Context
from fastapi_lens.config.source_link import SourceLink
from fastapi_lens.text.sources import file_and_line

_FRAME = re.compile(r'(  )(File "(.+)", line ([0-9]{1,9}))(, in .*)')


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a traceback, in three parts.

    Attributes:
        before: Its text before the place, which is all of it for a line that is no frame.
        place: File and line of a frame.
        after: The rest.
        href: The link to the code; empty without one.
    """

    before: str
    place: str = ""
    after: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class SourceLinks:
    """Makes links to lines of code, all of one release.

    Attributes:
        link: The template; None makes no links.
        release: Name of the release; may be empty.
    """

    link: SourceLink | None
    release: str

    @classmethod
    def of(cls, context: Context, release: str = "") -> "SourceLinks":
        """The links of an admin.

        Args:
            context: The request.
            release: The release of the code; empty for that of this process.
        """
        config = context.lens.config
        link = None if config.source_link is None else SourceLink(config.source_link)
        return cls(link, release or config.release or "")

    def href(self, source: str) -> str:
        """The link to a location ``app/routers/users.py:41``; empty without one."""
        return self._to(*file_and_line(source))

    def place(self, place: str) -> str:
        """The link to a location ``app/routers/users.py:41 in read_user``; empty without one."""
        return self.href(place.partition(" in ")[0])

    def lines(self, traceback: str) -> list[Line]:
        """The lines of a traceback, see `recording.log.exceptions.text_of`."""
        return [self._line(text) for text in traceback.split("\n")]

    def _line(self, text: str) -> Line:
        found = _FRAME.fullmatch(text)
        if found is None:
            return Line(text)
        before, place, file, line, after = found.groups()
        return Line(before, place, after, self._to(file, int(line)))

    def _to(self, file: str, line: int | None) -> str:
        if self.link is None or not file:
            return ""
        path = _on_server(file) if self.link.needs_path else ""
        return self.link.href(path=path, file=file, line=line, release=self.release)


def _on_server(file: str) -> str:
    """The absolute path of a file of the application; in the working directory if not found."""
    here = Path.cwd()
    # The reverse of `handler_info.relative`.
    for base in (here, *map(Path, sys.path)):
        if base.is_absolute() and (base / file).is_file():
            return (base / file).as_posix()
    return (here / file).as_posix()
