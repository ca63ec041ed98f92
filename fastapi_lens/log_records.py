"""The records of our logger, in which nothing from outside begins a line or moves a cursor.

Paths, methods, names and messages of exceptions come from clients, databases and the host's own
code. One filter sees them all, so that no call of the logger can forget it.
"""

import logging
from collections.abc import Mapping
from typing import Any, cast

from fastapi_lens.visible import visible, visible_lines

_INDENTED = "  "


class OneLineEach(logging.Filter):
    """Writes out what cannot be seen in a record's arguments and in its traceback.

    The template of the message is ours, and stays as it is for whoever groups by it; so does the
    exception itself, for whoever collects those.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, made harmless."""
        if isinstance(record.args, Mapping):
            named = cast("Mapping[str, Any]", record.args)
            record.args = {name: _harmless(value) for name, value in named.items()}
        elif record.args:
            record.args = tuple(map(_harmless, record.args))
        if record.exc_info and record.exc_info[1] is not None:
            # A formatter takes this text instead of making one itself.
            record.exc_text = _traceback(logging.Formatter().formatException(record.exc_info))
        return True


def _harmless(value: Any) -> Any:
    """An argument that formats to one line; numbers stay numbers."""
    if isinstance(value, int | float):
        return value
    text = str(value)
    shown = visible(text)
    return value if shown == text and not isinstance(value, str) else shown


def _traceback(text: str) -> str:
    """A traceback each line of which is indented: the message of an exception has any."""
    return "\n".join(f"{_INDENTED}{line}" for line in visible_lines(text).split("\n"))
