"""Endpoints kept on purpose: the form for a reason and an end, and the way back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.access.authenticator import Refusal
from fastapi_lens.admin.audit import END_KEEP, KEEP
from fastapi_lens.admin.context import Context, Place
from fastapi_lens.admin.display.formats import plural
from fastapi_lens.admin.pages.cleanup.listing import chosen_of
from fastapi_lens.admin.refusals import refused_page
from fastapi_lens.admin.section_changes import latest_change, save_values
from fastapi_lens.admin.urls.cleanup import CleanupQuery
from fastapi_lens.errors import ConfigError
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.settings.keeps import MAX_YEARS, REASON, UNTIL, KeptEndpoint
from fastapi_lens.settings.settings import KEEPS
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.verdict.days import date_of, day_of
from fastapi_lens.verdict.overrides import LONGEST_REASON

STAYS = "Your values are still in the form: save again to overwrite."
STILL_KEPT = (
    "Nothing was ended. Go back to the endpoint to end it, or change the reason or the end."
)
USUAL_DAYS = 365
"""The end that the form proposes, in days from today."""

END = "end"
ENDPOINT = "endpoint"
"""Value of ``back`` for the page of the endpoint instead of the list."""


@dataclass(frozen=True, slots=True)
class KeepForm:
    """The form, as it was opened or sent.

    Attributes:
        chosen: The endpoints, all of them in the routes.
        reason: The reason as typed.
        until: The end as typed, ``2027-06-30``.
        back: See `ENDPOINT`; otherwise the query of the list.
    """

    chosen: Sequence[Judged]
    reason: str
    until: str
    back: str

    @property
    def keys(self) -> str:
        """The keys of the endpoints, divided by spaces."""
        return " ".join(one.endpoint.key for one in self.chosen)

    def entries(self) -> list[KeptEndpoint]:
        """An entry for each endpoint.

        Raises:
            ConfigError: The reason or the end cannot work; `field` is its name.
        """
        try:
            until = day_of(date.fromisoformat(self.until))
        except ValueError:
            raise ConfigError(UNTIL, "must be a day, such as 2027-06-30") from None
        return [
            KeptEndpoint(
                endpoint=one.endpoint.id,
                method=one.endpoint.method,
                path=one.endpoint.path,
                reason=" ".join(self.reason.split()),
                until=until,
            )
            for one in self.chosen
        ]


def keep_page(context: Context) -> Response:
    """``GET /cleanup/keep``: the form for the chosen rows; ``POST`` saves it, or ends a keep."""
    # Checked here, because the router asks for the scope of POSTs only.
    if not context.may_change:
        return refused_page(context.request, Place(context.base, context.lens), Refusal.READ_ONLY)
    form = _form(context)
    if not form.chosen:
        message = "No endpoint was chosen. Tick some on the cleanup page first."
        return templates.not_found_page(context.request, context.base, message=message)
    if context.request.method != "POST":
        return _page(context, form)
    return _ended(context, form) if context.form.get("do") == END else _saved(context, form)


def _form(context: Context) -> KeepForm:
    today = int(context.now // SECONDS_PER_DAY)
    evidence = context.lens.reader.evidence(context.now)
    if context.request.method == "POST":
        fields = context.form
        chosen = chosen_of(evidence, fields.get("keys", "").split())
        return KeepForm(
            chosen, fields.get("reason", ""), fields.get("until", ""), fields.get("back", "")
        )
    query = CleanupQuery.parse(f"?{context.request.url.query}")
    chosen = chosen_of(evidence, query.chosen)
    known = context.lens.settings.kept.of(one.endpoint.id for one in chosen)
    only = known[0] if len(known) == len(chosen) == 1 else None
    back = context.request.query_params.get("back", "")
    return KeepForm(
        chosen,
        only.reason if only else "",
        date_of(max(only.until, today) if only else today + USUAL_DAYS).isoformat(),
        ENDPOINT if back == ENDPOINT else query.with_chosen(()).url(),
    )


def _page(
    context: Context,
    form: KeepForm,
    *,
    error: ConfigError | None = None,
    conflict: str = "",
    status: int = 200,
) -> Response:
    today = int(context.now // SECONDS_PER_DAY)
    values = {
        "current": "Cleanup",
        "heading": "Keep on purpose",
        "form": form,
        "errors": {REASON: "", UNTIL: "", **({error.field: error.problem} if error else {})},
        "conflict": conflict,
        "first_day": date_of(today).isoformat(),
        "last_day": date_of(today + MAX_YEARS * 365).isoformat(),
        "longest": LONGEST_REASON,
        "version": context.lens.settings.versions.get(KEEPS, 0),
        "csrf_token": context.csrf_token,
        "cancel": _back(context, form),
    }
    return templates.page(context, "cleanup/keep.html", values, status=status)


def _saved(context: Context, form: KeepForm) -> Response:
    today = int(context.now // SECONDS_PER_DAY)
    try:
        entries = form.entries()
        kept = context.lens.settings.kept.with_entries(entries, today=today)
    except ConfigError as error:
        return _page(context, form, error=error, status=422)
    before = context.lens.settings.kept.of(one.endpoint for one in entries)
    entry = context.author.did(
        KEEP, target=_target(entries), before=_text(before), after=_text(entries)
    )
    if not save_values(context, KEEPS, kept.as_stored(), entry):
        return _conflict(context, form)
    return _done(context, form)


def _ended(context: Context, form: KeepForm) -> Response:
    """No longer keep the endpoints."""
    kept = context.lens.settings.kept
    ended = kept.of(one.endpoint.id for one in form.chosen)
    if not ended:
        return _done(context, form)
    entry = context.author.did(END_KEEP, target=_target(ended), before=_text(ended))
    left = kept.without(one.endpoint for one in ended)
    if not save_values(context, KEEPS, left.as_stored(), entry):
        # The button that ends a keep sends no values.
        only = ended[0]
        reason, until = form.reason or only.reason, form.until or date_of(only.until).isoformat()
        now = replace(form, reason=reason, until=until)
        return _conflict(context, now, stays=STILL_KEPT)
    return _done(context, form)


def _target(entries: Sequence[KeptEndpoint]) -> str:
    return entries[0].name if len(entries) == 1 else plural(len(entries), "endpoint")


def _text(entries: Sequence[KeptEndpoint]) -> str:
    """Entries for the audit log; the only one without its name, which is the target."""
    if len(entries) == 1:
        return str(entries[0])
    return "; ".join(f"{one.name} {one}" for one in entries)


def _conflict(context: Context, form: KeepForm, *, stays: str = STAYS) -> Response:
    who = latest_change(context, actions=(KEEP.name, END_KEEP.name))
    return _page(context, form, conflict=f"{who}. {stays}", status=409)


def _done(context: Context, form: KeepForm) -> Response:
    address = _back(context, form)
    # 303, so that a reload repeats the page and not the change.
    return RedirectResponse(f"{address}{'&' if '?' in address else '?'}saved=keeps", 303)


def _back(context: Context, form: KeepForm) -> str:
    """The page that the form was opened from."""
    if form.back == ENDPOINT:
        return context.url(f"/endpoints/{form.chosen[0].endpoint.key}")
    # Parsed, because a browser sends it: it must not lead to another site.
    return CleanupQuery.parse(f"?{form.back.lstrip('?')}").url(context.url("/cleanup"))
