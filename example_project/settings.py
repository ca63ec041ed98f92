"""Where the example keeps its files and how fast it pretends to be. Reads the environment once."""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

MOST = 1_000
DEFAULT_HISTORY_DAYS = 520
"""Long enough for endpoints that are safe to remove, which takes more than a silent year, or a
silent quarter after a year whose callers are all known."""

DEFAULT_DATA_DIR = Path(__file__).parent / "var"


class SettingsError(Exception):
    """An environment variable has a value that cannot work; caught by the demo's launcher."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that differ between a demo, a test and a developer's own run.

    Attributes:
        data_dir: Everything that the example writes goes in here (``EXAMPLE_DATA_DIR``).
        latency_scale: Factor on the simulated latencies; 0 turns them off (``EXAMPLE_LATENCY``).
        history_days: Days of history that the demo starts with (``EXAMPLE_HISTORY_DAYS``).
    """

    data_dir: Path = DEFAULT_DATA_DIR
    latency_scale: float = 1.0
    history_days: float = DEFAULT_HISTORY_DAYS

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Take the settings from environment variables, where they are set.

        Raises:
            SettingsError: A value cannot work; it names the variable.
        """
        data_dir = environment.get("EXAMPLE_DATA_DIR")
        return cls(
            Path(data_dir).absolute() if data_dir else DEFAULT_DATA_DIR,
            _number("EXAMPLE_LATENCY", environment.get("EXAMPLE_LATENCY", "1"), least=0),
            _number(
                "EXAMPLE_HISTORY_DAYS",
                environment.get("EXAMPLE_HISTORY_DAYS", DEFAULT_HISTORY_DAYS),
            ),
        )

    @property
    def shop_database(self) -> Path:
        """SQLite file of the shop itself."""
        return self.data_dir / "shop.db"

    @property
    def lens_database(self) -> Path:
        """SQLite file of fastapi_lens."""
        return self.data_dir / "lens.db"

    @property
    def history_marker(self) -> Path:
        """Written when the history is complete."""
        return self.data_dir / "history.json"

    @property
    def images(self) -> Path:
        """Folder of the uploaded product images."""
        return self.data_dir / "images"

    def make_folders(self) -> None:
        """Make the folders, and keep what will be in them out of git."""
        self.images.mkdir(parents=True, exist_ok=True)
        (self.data_dir / ".gitignore").write_text("*\n", encoding="utf-8")


def _number(name: str, text: str | float, *, least: float = 0.01) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= MOST:
        raise SettingsError(f"{name} must be a number from {least} to {MOST}, not {text!r}")
    return number
