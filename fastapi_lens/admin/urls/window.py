"""The windows of time that a page offers. Pure."""

from enum import StrEnum

from fastapi_lens.reporting.model import Window
from fastapi_lens.settings.status import SECONDS_PER_DAY


class WindowChoice(StrEnum):
    """The windows that a page offers; the value is that in the address."""

    HOUR = "1h"
    DAY = "1"
    WEEK = "7"
    MONTH = "30"
    QUARTER = "90"
    ALL = "all"

    @classmethod
    def read(cls, text: str) -> "WindowChoice":
        """The choice of an address: ``1h``, ``24h``, ``7``, ``7d``, ``all``, or the default."""
        text = text.strip().lower()
        text = "1" if text == "24h" else text
        if text not in list(cls):
            text = text.removesuffix("d")
        return cls(text) if text in list(cls) else DEFAULT_WINDOW

    @property
    def window(self) -> Window:
        """The window itself."""
        if self is WindowChoice.ALL:
            return Window()
        return Window(3_600 if self is WindowChoice.HOUR else int(self) * SECONDS_PER_DAY)

    @property
    def label(self) -> str:
        """Short text for a button."""
        return {"1h": "1h", "1": "24h", "all": "All"}.get(self, f"{self}d")

    @property
    def words(self) -> str:
        """Completes a sentence: ``calls in …``."""
        named = {"1h": "the last hour", "1": "the last 24 hours", "all": "all time"}
        return named.get(self, f"the last {self} days")


DEFAULT_WINDOW = WindowChoice.WEEK
