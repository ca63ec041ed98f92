"""Danger zone: deleting the history of an endpoint, or of all, once its name is typed."""

import re
from dataclasses import dataclass, replace

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.access.audit_events import PURGE, entry_of
from fastapi_lens.admin.access.authenticator import Refusal
from fastapi_lens.admin.context import Place, Visit
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.pages.settings.page import settings_tabs
from fastapi_lens.admin.refusals import refused_page
from fastapi_lens.reporting.model import Endpoint, Window
from fastapi_lens.settings.settings import HISTORY
from fastapi_lens.storage.records.settings import Stored, write_section
from fastapi_lens.storage.retention.purge import Choice, purge_for
from fastapi_lens.text.escaping import visible

SECONDS = 20.0
"""A deletion ends after so long, and goes on when it is asked for again."""

EVERYTHING = "everything"
DONE, PART = "done", "part"
CHANGED_MEANWHILE = "Somebody has deleted history meanwhile. Nothing more was deleted: look again."
_WHOLE_APP = Window()


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be deleted.

    Attributes:
        key: Of an endpoint; empty for all of them.
        name: What has to be typed.
        calls: That would be forgotten.
        since: Epoch seconds of the first of them; None without any.
    """

    key: str
    name: str
    ids: tuple[int, ...]
    calls: int
    since: float | None

    @classmethod
    def of(cls, key: str, name: str, endpoints: list[Endpoint]) -> "Target":
        """These endpoints."""
        firsts = [one.first_called_at for one in endpoints if one.first_called_at is not None]
        return cls(
            key,
            name,
            tuple(one.id for one in endpoints),
            sum(one.total_calls for one in endpoints),
            min(firsts, default=None),
        )

    @property
    def words(self) -> str:
        """How much it is."""
        if self.since is None:
            return "no call"
        return f"{formats.plural(self.calls, 'call')} since {formats.day(self.since)}"


def danger_page(visit: Visit) -> Response:
    """``GET /settings/danger``, for those alone who may change something; ``POST`` deletes."""
    if not visit.may_change:
        return refused_page(visit.request, Place(visit.base, visit.lens), Refusal.READ_ONLY)
    if visit.request.method == "POST":
        return _delete(visit)
    params = visit.request.query_params
    return _page(visit, _target(visit, params.get("endpoint", ""), params.get("name", "")))


def _page(visit: Visit, target: Target | None, *, wrong: str = "", status: int = 200) -> Response:
    params = visit.request.query_params
    context = {
        "current": "Settings",
        "heading": "Danger zone",
        "tabs": settings_tabs(visit, "danger"),
        "target": target,
        "asked": params.get("name", ""),
        "done": params.get("done", ""),
        "wrong": wrong,
        "typed": visit.form.get("confirm", ""),
        "version": visit.lens.settings.versions.get(HISTORY, 0),
        "csrf_token": visit.csrf_token,
        "app_name": visit.lens.app_name,
    }
    response = templates.page(visit, "danger.html", context)
    response.status_code = status
    return response


def _target(visit: Visit, key: str, name: str) -> Target | None:
    """All endpoints, or the one with this key or name; None where there is no such one."""
    reader, lens = visit.lens.reader, visit.lens
    found = reader.endpoints(
        window=_WHOLE_APP, now=visit.now, with_ignored=True, with_histograms=False
    )
    if not key and not name:
        return Target.of("", lens.app_name, found)
    for one in found:
        its_name = f"{one.method} {one.path}"
        if one.key == key or " ".join(name.split()) in (its_name, visible(its_name)):
            return Target.of(one.key, its_name, [one])
    return None


def _delete(visit: Visit) -> Response:
    target = _target(visit, visit.form.get("endpoint", ""), "")
    if target is None:
        return _page(visit, None, status=404)
    # The name with invisible characters escaped, as the page shows it, or unchanged.
    if visit.form.get("confirm", "").strip() not in (target.name, visible(target.name)):
        wrong = f"This is not {target.name}. Nothing was deleted."
        return _page(visit, target, wrong=wrong, status=422)
    if not _noted(visit, target):
        return _page(visit, target, wrong=CHANGED_MEANWHILE, status=409)
    lens = visit.lens
    choice = Choice(lens.app_name, target.ids, whole_app=not target.key, keeps_endpoints=True)
    is_done = purge_for(lens.database, choice, seconds=SECONDS)
    query = f"endpoint={target.key}&done=" if target.key else "done="
    return RedirectResponse(visit.url(f"/settings/danger?{query}{DONE if is_done else PART}"), 303)


def _noted(visit: Visit, target: Target) -> bool:
    """Note it before it is done; False where somebody else was quicker.

    What is stored lets every worker know that what it has shown is over.
    """
    lens, version = visit.lens, visit.form.get("version", "")
    known = int(version) if re.fullmatch("[0-9]{1,9}", version) else -1
    entry = entry_of(
        visit.request,
        PURGE,
        actor=visit.actor,
        now=visit.now,
        target=target.name if target.key else EVERYTHING,
    )
    entry = replace(entry, before=target.words)
    stored = Stored({"deleted_at": visit.now}, known)
    written = write_section(lens.database, lens.app_name, HISTORY, stored, entry)
    lens.refresh_settings()
    return written
