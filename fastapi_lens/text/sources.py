"""Sources of handlers: ``shop/carts.py:88``. Pure."""

import re

_SOURCE = re.compile(r"(.*?)(?::([0-9]{1,9}))?", re.DOTALL)


def file_and_line(source: str) -> tuple[str, int | None]:
    r"""The file and the line of a handler; None where only the file is known.

    Args:
        source: May have colons in the file, as ``C:\shop\carts.py``; may be empty.
    """
    found = _SOURCE.fullmatch(source)
    file, line = found.groups() if found else (source, None)
    return file, None if line is None else int(line)
