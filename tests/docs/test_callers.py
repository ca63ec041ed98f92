"""The recipes of docs/callers.md run as they stand there, and record the callers that they name."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from fastapi.testclient import TestClient

from fastapi_lens.recording.callers import LONGEST_NAME, MAX_PAIRS, MAX_REFUSED_PAIRS
from fastapi_lens.storage.retention.caller_deletion import USE_WEEK_SECONDS
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.writing.callers import MOST_CALLERS, MOST_IN_WEEKS
from tests.docs import test_snippets
from tests.recording.probe import lens_of
from tests.support.callers import calls_by_caller
from tests.support.documents import broken_links

PAGE = Path(__file__).parents[2] / "docs" / "callers.md"
DOCUMENT = PAGE.read_text(encoding="utf-8")
CONTEXT = test_snippets.CONTEXT["docs/callers.md"]
EXAMPLES = re.findall(r"<!-- example: ([\w-]+) -->", DOCUMENT)

Sent = Mapping[str, str]
"""The headers of a request."""


class Recipe:
    """One example of the page, and what its lens has recorded.

    Args:
        name: Its name in the document.
    """

    def __init__(self, name: str) -> None:
        found = re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", DOCUMENT, re.DOTALL)
        assert found is not None
        program = found[1] if "from fastapi import" in found[1] else CONTEXT + found[1]
        self.names: dict[str, Any] = {"__name__": name}
        exec(compile(program, "callers.md", "exec"), self.names)  # noqa: S102  Our own document.
        self.app = self.names["app"]
        # A program whose name is neither noise nor that of a caller.
        self._client = TestClient(self.app, headers={"User-Agent": "curl/8.5.0"})

    def callers_of(self, *requests: Sent) -> dict[tuple[str, str], int]:
        """Calls by kind and name of the caller, after one request each.

        Args:
            requests: Headers.
        """
        for headers in requests:
            self._client.get("/orders", headers=headers)
        lens = lens_of(self.app)
        assert lens.flusher.flush()
        return calls_by_caller(lens.database)["GET", "/orders"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("LENS_DB_PATH", ":memory:")
    made: list[Recipe] = []

    def start(name: str) -> Recipe:
        made.append(Recipe(name))
        return made[-1]

    yield start
    for recipe in made:
        lens_of(recipe.app).stop()


def test_the_subject_of_a_jwt(run: Any) -> None:
    recipe = run("jwt")
    token = jwt.encode({"sub": "billing-service"}, recipe.names["SECRET"], algorithm="HS256")
    forged = jwt.encode({"sub": "billing-service"}, "another secret " * 3, algorithm="HS256")
    assert recipe.callers_of(
        {"Authorization": f"Bearer {token}"}, {"Authorization": f"Bearer {forged}"}, {}
    ) == {("hook", "billing-service"): 1, ("none", ""): 2}


def test_the_owner_of_an_api_key(run: Any) -> None:
    assert run("api-key-names").callers_of(
        {"X-Api-Key": "k-5f1d20"}, {"X-Api-Key": "k-77a04c"}, {"X-Api-Key": "unknown"}
    ) == {("hook", "billing-service"): 1, ("hook", "warehouse"): 1, ("none", ""): 1}


def test_an_api_key_is_recorded_as_a_hash(run: Any) -> None:
    found = run("api-key").callers_of(
        {"X-Partner-Key": "secret-1"}, {"X-Partner-Key": "secret-1"}, {"X-Partner-Key": "secret-2"}
    )
    assert sorted(found.values()) == [1, 2]
    assert all(kind == "key" and re.fullmatch("[0-9a-f]{16}", name) for kind, name in found)


def test_a_client_certificate_that_a_proxy_has_verified(run: Any) -> None:
    subject = "CN=billing-service,OU=Shop,O=Example"
    assert run("mtls").callers_of(
        {"X-Client-Verify": "SUCCESS", "X-Client-DN": subject},
        {"X-Client-Verify": "SUCCESS", "X-Client-DN": "O=Example,CN=warehouse"},
        {"X-Client-Verify": "FAILED:expired", "X-Client-DN": subject},
        {"X-Client-DN": subject},
    ) == {("hook", "billing-service"): 1, ("hook", "warehouse"): 1, ("none", ""): 2}


def test_users_of_fastapi_users_by_their_group(run: Any) -> None:
    assert run("fastapi-users").callers_of(
        {"X-User": "ada@example.com"},
        {"X-User": "bob@example.com"},
        {"X-User": "root@example.com"},
        {"X-User": "billing@services.example.com"},
    ) == {("hook", "web"): 2, ("hook", "staff"): 1, ("hook", "billing"): 1}


def test_a_service_that_names_itself(run: Any) -> None:
    assert run("service-header").callers_of(
        {"X-Service-Name": "warehouse"}, {"X-Service-Name": "made-up"}
    ) == {("hook", "warehouse"): 1, ("none", ""): 1}


def test_the_user_of_starlettes_authentication(run: Any) -> None:
    assert run("starlette").callers_of({"X-Token": "t-81c2"}, {"X-Token": "wrong"}, {}) == {
        ("hook", "billing-service"): 1,
        ("none", ""): 2,
    }


def test_several_sources_in_their_order(run: Any) -> None:
    found = run("several").callers_of(
        {"Cookie": "session=1", "X-Api-Key": "secret"},
        {"X-Service-Name": "warehouse", "X-Api-Key": "secret"},
        {"X-Api-Key": "secret", "User-Agent": "orders-worker/1.2"},
        {"User-Agent": "orders-worker/1.2"},
        {},
    )
    assert {name for kind, name in found if kind != "key"} == {
        *("web", "warehouse", "orders-worker", "curl"),
    }
    assert sorted(kind for kind, _ in found) == ["agent", "agent", "hook", "hook", "key"]
    assert set(found.values()) == {1}


def test_every_example_has_a_test() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert EXAMPLES
    assert [name for name in EXAMPLES if f'run("{name}")' not in text] == []


def test_the_bounds_are_those_of_the_code() -> None:
    section = DOCUMENT.partition("\n## Bounds\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| .+ \|$", section, re.MULTILINE)
    found = {
        what: [int(one.replace(",", "")) for one in re.findall(r"[\d,]+\d", text)]
        for what, text in rows
    }
    assert found == {
        "pairs of endpoint and caller, in each worker and minute": [MAX_PAIRS, MAX_REFUSED_PAIRS],
        "callers of an endpoint": [MOST_CALLERS],
        "length of a name": [LONGEST_NAME],
        "weeks of an endpoint by caller": [USE_WEEK_SECONDS // Tier.WEEK, MOST_IN_WEEKS],
        "what": [],
    }


def test_every_link_leads_to_a_heading() -> None:
    assert broken_links(PAGE) == []
