"""Where the example keeps its files and how fast it pretends to be. Reads the environment once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

DEFAULT_DATA_DIR = Path(__file__).parent / "var"


@dataclass(frozen=True, slots=True)
class Settings:
    """What differs between a demo, a test and a developer's own run.

    Attributes:
        data_dir: Everything that the example writes goes in here (``EXAMPLE_DATA_DIR``).
        latency_scale: Factor on the simulated latencies; 0 turns them off (``EXAMPLE_LATENCY``).
    """

    data_dir: Path = DEFAULT_DATA_DIR
    latency_scale: float = 1.0

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Take the settings from environment variables, where they are set.

        Raises:
            ValueError: ``EXAMPLE_LATENCY`` is no number of at least 0.
        """
        latency_scale = float(environment.get("EXAMPLE_LATENCY", "1"))
        if not 0 <= latency_scale < float("inf"):
            raise ValueError(f"EXAMPLE_LATENCY must be a number from 0 up, not {latency_scale}")
        data_dir = environment.get("EXAMPLE_DATA_DIR")
        return cls(Path(data_dir) if data_dir else DEFAULT_DATA_DIR, latency_scale)

    @property
    def shop_database(self) -> Path:
        """SQLite file of the shop itself."""
        return self.data_dir / "shop.db"

    @property
    def lens_database(self) -> Path:
        """SQLite file of fastapi_lens."""
        return self.data_dir / "lens.db"

    @property
    def images(self) -> Path:
        """Folder of the uploaded product images."""
        return self.data_dir / "images"

    def make_folders(self) -> None:
        """Make the folders, and keep what will be in them out of git."""
        self.images.mkdir(parents=True, exist_ok=True)
        (self.data_dir / ".gitignore").write_text("*\n", encoding="utf-8")
