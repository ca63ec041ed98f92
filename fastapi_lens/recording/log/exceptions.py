"""Description of an exception: type, message, and the lines of the host's code it passed through.

`place_of` and `raised` run during a request, and so read no file; `text_of` does, in the flusher's
thread. No value of a variable is ever read, because it may be a secret.
"""

import linecache
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, cast

from fastapi_lens.recording.log.redaction import shortened
from fastapi_lens.recording.routes.handler_info import relative

LONGEST_MESSAGE = 2_000
LONGEST_TEXT = 16_000
MOST_FRAMES = 20
"""Most frames of one exception; the innermost ones are kept."""

MOST_CAUSES = 4
_LONGEST_LINE = 200
_LONGEST_TYPE = 200
_OUR_FILES = Path(__file__).parents[2]
_INSTALLED = frozenset({"site-packages", "dist-packages"})
_CAUSE = "The above exception was the direct cause of the following exception:"
_CONTEXT = "During handling of the above exception, another exception occurred:"


class Frame(NamedTuple):
    """One step of a traceback."""

    file: str
    line: int
    function: str


@dataclass(frozen=True, slots=True)
class Raised:
    """An exception's description; it holds no object of the host's.

    Attributes:
        frames: Those in the host's code, the innermost last.
        cause: The exception that it was raised from or while handling; None if there was none.
        from_cause: True if it was raised with ``raise … from``.
    """

    type: str
    message: str
    frames: tuple[Frame, ...]
    cause: "Raised | None" = None
    from_cause: bool = False

    def without_messages(self) -> "Raised":
        """The same without its message and those of the exceptions that led to it."""
        cause = None if self.cause is None else self.cause.without_messages()
        return replace(self, message="", cause=cause)


def unwrapped(error: BaseException) -> BaseException:
    """The only exception inside nested groups, which task groups wrap around every exception."""
    inside = _inside(error)
    while len(inside) == 1:
        error = inside[0]
        inside = _inside(error)
    return error


def _inside(error: BaseException) -> tuple[BaseException, ...]:
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).exceptions
    return ()


def type_name(error: BaseException) -> str:
    """``package.module.Name``, or the bare name of a built-in exception."""
    kind = type(error)
    name = kind.__qualname__
    return shortened(
        name if kind.__module__ == "builtins" else f"{kind.__module__}.{name}", _LONGEST_TYPE
    )


def place_of(error: BaseException, traceback: TracebackType | None = None) -> Frame | None:
    """The innermost frame of the host's code, or else of any; None without a traceback.

    Args:
        error: The exception.
        traceback: Its traceback, if it does not have it any more.
    """
    host = innermost = None
    for trace in _steps(traceback or error.__traceback__):
        innermost = trace
        if is_host(trace.tb_frame.f_code.co_filename):
            host = trace
    found = host or innermost
    return None if found is None else _frame(found)


def raised(
    error: BaseException, traceback: TracebackType | None = None, *, depth: int = 0
) -> Raised:
    """A description of an exception and of those that led to it.

    Args:
        error: The exception.
        traceback: Its traceback, if it does not have it any more.
        depth: Number of exceptions that it led to.
    """
    on_purpose = error.__cause__ is not None
    # As Python prints it: `raise … from None` hides the context.
    cause = error.__cause__ if on_purpose or error.__suppress_context__ else error.__context__
    frames = [
        _frame(trace)
        for trace in _steps(traceback or error.__traceback__)
        if is_host(trace.tb_frame.f_code.co_filename)
    ]
    return Raised(
        type=type_name(error),
        message=_message(error),
        frames=tuple(frames[-MOST_FRAMES:]),
        cause=raised(cause, depth=depth + 1) if cause and depth < MOST_CAUSES else None,
        from_cause=on_purpose,
    )


def text_of(found: Raised) -> str:
    """The traceback in Python's format, of the host's code only; reads the source files."""
    return shortened("\n".join(_lines(found)), LONGEST_TEXT)


def place_text(place: Frame | None) -> str:
    """A location as ``app/routers/users.py:41 in read_user``; empty if unknown."""
    if place is None:
        return ""
    return f"{relative(place.file)}:{place.line} in {place.function}"


@lru_cache(maxsize=4_096)
def is_host(file: str) -> bool:
    """True if a file is the host's: not Python's, not an installed package's and not ours."""
    # Code without a file, such as `<string>` of exec and `<frozen importlib._bootstrap>`.
    if file.startswith("<"):
        return False
    path = Path(file)
    pythons = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"))
    return not (
        _INSTALLED.intersection(path.parts)
        or path.is_relative_to(_OUR_FILES)
        or any(path.is_relative_to(folder) for folder in pythons)
    )


def _steps(trace: TracebackType | None) -> Iterator[TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _frame(trace: TracebackType) -> Frame:
    code = trace.tb_frame.f_code
    return Frame(code.co_filename, trace.tb_lineno, code.co_qualname)


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as bad:  # noqa: BLE001  The host's own `__str__` failed.
        text = f"(no message: its __str__ raised {type(bad).__name__})"
    return shortened(text, LONGEST_MESSAGE)


def _lines(found: Raised) -> Iterator[str]:
    if found.cause is not None:
        yield from _lines(found.cause)
        yield f"\n{_CAUSE if found.from_cause else _CONTEXT}\n"
    for frame in found.frames:
        yield f'  File "{relative(frame.file)}", line {frame.line}, in {frame.function}'
        source = linecache.getline(frame.file, frame.line).strip()
        if source:
            yield f"    {shortened(source, _LONGEST_LINE)}"
    yield f"{found.type}: {found.message}" if found.message else found.type
