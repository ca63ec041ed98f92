"""A recipe of docs/frameworks.md: its application, called here, and what the lens has counted."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.writing.drain import drain_all
from tests.recording.probe import lens_of

DOCUMENT = Path(__file__).parents[3] / "docs" / "frameworks.md"
Counts = dict[str, dict[int, int]]
"""Calls by endpoint and status: ``{"GET /orders": {200: 2}}``."""

_COUNTS = """
SELECT e.method, e.path, s.status, sum(s.calls) FROM lens_endpoint e
JOIN lens_status s ON s.endpoint_id = e.id GROUP BY e.method, e.path, s.status
"""


class Recipe:
    """The application of a recipe.

    Args:
        module: The module that the recipe's code is.
    """

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.app: Any = module.app
        self._before = self._totals()

    def client(self, **options: Any) -> TestClient:
        """A client, to be entered; all that it calls is written when it leaves."""
        options = {"raise_server_exceptions": False, "follow_redirects": False, **options}
        return TestClient(self.app, **options)

    def counted(self) -> Counts:
        """Calls since the test began, of the endpoints that were called."""
        found: Counts = defaultdict(dict)
        for (endpoint, status), calls in self._totals().items():
            added = calls - self._before.get((endpoint, status), 0)
            if added:
                found[endpoint][status] = added
        return dict(found)

    def endpoints(self) -> set[str]:
        """All endpoints that the lens knows, called or not."""
        rows = self.rows("SELECT method, path FROM lens_endpoint")
        return {f"{method} {path}" for method, path in rows}

    def rows(self, statement: str) -> list[Any]:
        """Rows of the lens's database, with all that is written."""
        database = flushed(self.app).database
        drain_all(database)
        with database.read() as connection:
            return list(connection.execute(sa.text(statement)))

    def _totals(self) -> dict[tuple[str, int], int]:
        if self.app.middleware_stack is None:  # Nothing was called yet.
            return {}
        rows = self.rows(_COUNTS)
        return {(f"{method} {path}", code): calls for method, path, code, calls in rows}


def flushed(app: Any) -> Lens:
    """The lens of an application, with all counts written: on a busy machine, its end gives up."""
    lens = lens_of(app)
    assert lens.flusher.flush()
    return lens


@pytest.fixture(scope="module")
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModuleType]:
    """The recipe of the module's name, run once as a module."""
    name = Path(request.path).stem
    text = DOCUMENT.read_text(encoding="utf-8")
    found = re.search(rf"<!-- recipe: {name} -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None, f"no recipe {name} in {DOCUMENT.name}"
    module = ModuleType(f"recipe_{name}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp(name))
        patch.setenv("LENS_DB_PATH", ":memory:")
        # Annotations are looked up in the module.
        patch.setitem(sys.modules, module.__name__, module)
        line = text.count("\n", 0, found.start(1))
        exec(compile("\n" * line + found[1], str(DOCUMENT), "exec"), module.__dict__)  # noqa: S102
        yield module


@pytest.fixture
def recipe(written: ModuleType) -> Recipe:
    """The recipe, and the counts of this test."""
    return Recipe(written)
