"""An MCP server, mounted: streamable HTTP, spoken by hand."""

import json
from typing import Any

from tests.frameworks.recipes.conftest import Recipe

HEADERS = {"accept": "application/json, text/event-stream", "host": "orders.example"}


def message(method: str, number: int | None = None, **parameters: Any) -> dict[str, Any]:
    """A message of JSON-RPC."""
    identity = {} if number is None else {"id": number}
    return {"jsonrpc": "2.0", "method": method, "params": parameters, **identity}


# One test: the session manager of a server runs once.
def test_each_message_is_a_call_of_one_endpoint(recipe: Recipe) -> None:
    with recipe.client() as client:
        begin = message(
            "initialize",
            1,
            protocolVersion="2025-03-26",
            capabilities={},
            clientInfo={"name": "test", "version": "1"},
        )
        begun = client.post("/mcp/", json=begin, headers=HEADERS)
        session = {**HEADERS, "mcp-session-id": begun.headers["mcp-session-id"]}
        ready = client.post("/mcp/", json=message("notifications/initialized"), headers=session)
        call = message("tools/call", 2, name="count_orders", arguments={"customer": "Ann"})
        called = client.post("/mcp/", json=call, headers=session)
        ended = client.delete("/mcp/", headers=session)
        other = client.post("/mcp/", json=begin, headers={**HEADERS, "host": "other.example"})
        moved = client.post("/mcp", json=begin, headers=HEADERS)

    statuses = [each.status_code for each in (begun, ready, called, ended, other, moved)]
    assert statuses == [200, 202, 200, 200, 421, 307]
    data = called.text.partition("data: ")[2].strip()
    assert json.loads(data)["result"]["structuredContent"] == {"result": 3}
    assert recipe.counted() == {"ANY /mcp/": {200: 3, 202: 1, 421: 1}}
