"""The example with a folder of its own, without its simulated latencies."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from example_project.factory import create_app
from example_project.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "data", latency_scale=0)


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)
