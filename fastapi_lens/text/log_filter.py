"""Sanitizing of our log records: no external text can start a line or move a cursor.

Paths, methods, names and exception messages come from clients, databases and the host's code. One
filter handles all of them, so that no call of the logger can omit it.
"""

import logging
from collections.abc import Mapping
from typing import Any, cast

from fastapi_lens.text.escaping import visible, visible_lines

_INDENTED = "  "


class OneLineEach(logging.Filter):
    """Escapes invisible characters in a record's arguments and in its traceback.

    The message template is ours and stays unchanged for tools that group by it. The exception
    object stays unchanged, too, for tools that collect exceptions.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Accept every record, sanitized."""
        # The module logging takes a mapping as the arguments themselves if it is the only one.
        if isinstance(record.args, Mapping):
            named = cast("Mapping[str, Any]", record.args)
            record.args = {name: _harmless(value) for name, value in named.items()}
        elif record.args:
            record.args = tuple(map(_harmless, record.args))
        if record.exc_info and record.exc_info[1] is not None:
            # A formatter uses this text instead of formatting the exception itself.
            record.exc_text = _traceback(logging.Formatter().formatException(record.exc_info))
        return True


def _harmless(value: Any) -> Any:
    """An argument that formats to a single line; numbers stay numbers."""
    if isinstance(value, int | float):
        return value
    text = str(value)
    shown = visible(text)
    return value if shown == text and not isinstance(value, str) else shown


def _traceback(text: str) -> str:
    """A traceback with every line indented: an exception's message may contain any line."""
    return "\n".join(f"{_INDENTED}{line}" for line in visible_lines(text).split("\n"))
