"""Danger zone: deleting the history of an endpoint, or of all, once its name is typed."""

from dataclasses import dataclass

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.access.authenticator import Refusal
from fastapi_lens.admin.audit import PURGE
from fastapi_lens.admin.context import Context, Place
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.pages.settings.page import settings_tabs
from fastapi_lens.admin.refusals import refused_page
from fastapi_lens.admin.section_changes import save_values
from fastapi_lens.reporting.model import Endpoint, Window
from fastapi_lens.settings.settings import HISTORY
from fastapi_lens.storage.retention.purge import Choice, purge_for
from fastapi_lens.text.escaping import visible

SECONDS = 20.0
"""A deletion ends after so long, and goes on when it is asked for again."""

EVERYTHING = "everything"
DONE, PART = "done", "part"
CHANGED_MEANWHILE = (
    "Somebody else deleted history in the meantime. Nothing was deleted now: check and try again."
)
_WHOLE_APP = Window()


@dataclass(frozen=True, slots=True)
class Target:
    """Data to delete.

    Attributes:
        key: Of an endpoint; empty for all of them.
        name: Text to type for confirmation.
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
        """The amount of data."""
        if self.since is None:
            return "no calls"
        return f"{formats.plural(self.calls, 'call')} since {formats.day(self.since)}"


def danger_page(context: Context) -> Response:
    """``GET /settings/danger``: only for visitors who may change something; ``POST`` deletes."""
    # Checked here, because the router asks for the scope of POSTs only.
    if not context.may_change:
        return refused_page(context.request, Place(context.base, context.lens), Refusal.READ_ONLY)
    if context.request.method == "POST":
        return _delete(context)
    params = context.request.query_params
    return _page(context, _target(context, params.get("endpoint", ""), params.get("name", "")))


def _page(
    context: Context, target: Target | None, *, wrong: str = "", status: int = 200
) -> Response:
    params = context.request.query_params
    values = {
        "current": "Settings",
        "heading": "Danger zone",
        "tabs": settings_tabs(context, "danger"),
        "target": target,
        "asked": params.get("name", ""),
        "done": params.get("done", ""),
        "wrong": wrong,
        "typed": context.form.get("confirm", ""),
        "version": context.lens.settings.versions.get(HISTORY, 0),
        "csrf_token": context.csrf_token,
        "app_name": context.lens.app_name,
    }
    return templates.page(context, "settings/danger.html", values, status=status)


def _target(context: Context, key: str, name: str) -> Target | None:
    """All endpoints, or the one with this key or name; None if it does not exist."""
    reader, lens = context.lens.reader, context.lens
    # Ignored endpoints have a history, too.
    found = reader.endpoints(
        window=_WHOLE_APP, now=context.now, with_ignored=True, with_histograms=False
    )
    if not key and not name:
        return Target.of("", lens.app_name, found)
    for one in found:
        its_name = f"{one.method} {one.path}"
        if one.key == key or " ".join(name.split()) in (its_name, visible(its_name)):
            return Target.of(one.key, its_name, [one])
    return None


def _delete(context: Context) -> Response:
    target = _target(context, context.form.get("endpoint", ""), "")
    if target is None:
        return _page(context, None, status=404)
    # The name with invisible characters escaped, as the page shows it, or unchanged.
    if context.form.get("confirm", "").strip() not in (target.name, visible(target.name)):
        wrong = f"This is not {target.name}. Nothing was deleted."
        return _page(context, target, wrong=wrong, status=422)
    # Audited before the deletion, which may take long and end early.
    if not _noted(context, target):
        return _page(context, target, wrong=CHANGED_MEANWHILE, status=409)
    lens = context.lens
    choice = Choice(lens.app_name, target.ids, whole_app=not target.key, keeps_endpoints=True)
    is_done = purge_for(lens.database, choice, now=context.now, seconds=SECONDS)
    query = f"endpoint={target.key}&done=" if target.key else "done="
    return RedirectResponse(
        context.url(f"/settings/danger?{query}{DONE if is_done else PART}"), 303
    )


def _noted(context: Context, target: Target) -> bool:
    """Audit the deletion before it begins; false if somebody else was faster.

    The stored entry has a new version, so every worker discards what it has shown before.
    """
    whose = target.name if target.key else EVERYTHING
    entry = context.author.did(PURGE, target=whose, before=target.words)
    return save_values(context, HISTORY, {"deleted_at": context.now}, entry)
