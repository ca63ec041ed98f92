"""One endpoint of two databases: what is stored of it after an import. Pure: reads no rows."""

from typing import Any

from fastapi_lens.storage.schema.statements import FACTS


def joined(here: dict[str, Any], there: dict[str, Any]) -> dict[str, Any]:
    """The merged values of one endpoint; the facts are those that were seen later.

    It may have been in the routes at only one of both places, so the evidence begins where the
    later one begins.
    """
    newer = there if there["last_seen_at"] > here["last_seen_at"] else here
    first_seen = there if _is_earlier(there["first_seen_at"], here["first_seen_at"]) else here
    first_called = there if _is_earlier(there["first_called_at"], here["first_called_at"]) else here
    last_called = there if there["last_called_at"] > here["last_called_at"] else here
    removed = here["removed_at"], there["removed_at"]
    return {
        **{name: newer[name] for name in FACTS},
        "first_seen_at": first_seen["first_seen_at"],
        "last_seen_at": newer["last_seen_at"],
        "first_called_at": first_called["first_called_at"],
        "last_called_at": last_called["last_called_at"],
        "total_calls": here["total_calls"] + there["total_calls"],
        "present_since": max(here["present_since"], there["present_since"]),
        "evidence_since": _evidence_since(here, there),
        # Removed only if it is so at both places; 0 means that it is still there.
        "removed_at": min(removed),
        "last_used_at": max(here["last_used_at"], there["last_used_at"]),
        "first_release_id": first_seen["first_release_id"],
        "first_called_release_id": first_called["first_called_release_id"],
        "last_called_release_id": last_called["last_called_release_id"],
        "attributed_until": last_called["attributed_until"],
        "unattributed_at": max(_unattributed_at(here), _unattributed_at(there)),
    }


def _unattributed_at(row: dict[str, Any]) -> int:
    """The time of the last call of an endpoint without a caller; 0 if all have one."""
    last: int = row["last_called_at"]
    since: int = row["unattributed_at"]
    return since if last == row["attributed_until"] else max(since, last)


def _evidence_since(here: dict[str, Any], there: dict[str, Any]) -> int:
    since: int = max(here["evidence_since"], there["evidence_since"])
    seen = here["first_seen_at"], there["first_seen_at"]
    return since if seen[0] == seen[1] else max(since, *seen)


def _is_earlier(one: int, other: int) -> bool:
    """True if a time is earlier than another one, where 0 means never."""
    return 0 < one < other or other == 0
