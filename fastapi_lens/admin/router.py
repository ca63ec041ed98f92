"""The admin's routes: they find the lens, check access, and run the view in a thread.

A single FastAPI route, so that the dependencies of the routers that include it run first. Below it,
no exception handler and no schema of the host applies. Knows no SQL and no HTML.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from fastapi import APIRouter
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import compile_path

from fastapi_lens.admin import templates
from fastapi_lens.admin.access.authenticator import Entry, Refusal, Wait
from fastapi_lens.admin.access.authorize_hook import Denied
from fastapi_lens.admin.access.cross_site import is_cross_site
from fastapi_lens.admin.access.wiring import authenticator_of
from fastapi_lens.admin.compression import sent
from fastapi_lens.admin.context import Context, Place
from fastapi_lens.admin.error_pages import error_page, error_sentence
from fastapi_lens.admin.http.forms import read_form
from fastapi_lens.admin.http.requests import (
    add_security_headers,
    base_of,
    client_path,
    presented_key,
    sanitize_request,
    wants_json,
)
from fastapi_lens.admin.http.static_files import static_response
from fastapi_lens.admin.http.thread_pools import in_changing_thread, in_reader_thread
from fastapi_lens.admin.pages import old_addresses
from fastapi_lens.admin.pages.callers import caller as caller_view
from fastapi_lens.admin.pages.callers import export as callers_export
from fastapi_lens.admin.pages.callers import forget as forget_view
from fastapi_lens.admin.pages.callers import page as callers_view
from fastapi_lens.admin.pages.cleanup import export as cleanup_export
from fastapi_lens.admin.pages.cleanup import keep as cleanup_keep
from fastapi_lens.admin.pages.cleanup import page as cleanup_view
from fastapi_lens.admin.pages.endpoint import page as endpoint_view
from fastapi_lens.admin.pages.endpoints import export as endpoints_export
from fastapi_lens.admin.pages.endpoints import page as endpoints_view
from fastapi_lens.admin.pages.exceptions import export as exceptions_export
from fastapi_lens.admin.pages.exceptions import page as exceptions_view
from fastapi_lens.admin.pages.go import page as go_view
from fastapi_lens.admin.pages.login import page as login_view
from fastapi_lens.admin.pages.login import sign_out
from fastapi_lens.admin.pages.overview import page as overview_view
from fastapi_lens.admin.pages.requests import export as requests_export
from fastapi_lens.admin.pages.requests import page as requests_view
from fastapi_lens.admin.pages.settings import audit as audit_view
from fastapi_lens.admin.pages.settings import danger as danger_view
from fastapi_lens.admin.pages.settings import forget_callers as forget_callers_view
from fastapi_lens.admin.pages.settings import forms as settings_forms
from fastapi_lens.admin.pages.settings import notifications as notifications_view
from fastapi_lens.admin.pages.settings import page as settings_view
from fastapi_lens.admin.pages.settings import rules as rules_view
from fastapi_lens.admin.refusals import refused_page
from fastapi_lens.admin.remembered_period import with_period
from fastapi_lens.admin.reports import json as json_reports
from fastapi_lens.admin.reports.metrics import metrics
from fastapi_lens.admin.reports.uses_csv import uses_csv
from fastapi_lens.admin.response_cache import cached_report
from fastapi_lens.admin.route import AdminRoute
from fastapi_lens.admin.urls.endpoints import is_of_list
from fastapi_lens.config.keys import Scope
from fastapi_lens.errors import ConfigError, StorageError
from fastapi_lens.recording.middleware import SCOPE_KEY
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.settings.settings import RULES

DEFAULT_PREFIX = "/lens"
SAFE_METHODS = ("GET", "HEAD")
View = Callable[[Context], Response]
Answer = Callable[[Request, Place], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def create_lens_admin(prefix: str = DEFAULT_PREFIX) -> APIRouter:
    """The admin as a router to include, with its pages and reports under a prefix.

    Args:
        prefix: Path of the admin, for example ``/internal/lens``, after the prefix of
            `include_router`.

    Raises:
        ConfigError: The prefix does not start with a slash, or ends with one.
    """
    if not prefix.startswith("/") or prefix.endswith("/"):
        raise ConfigError("prefix", f"must start with a slash and not end with one: {prefix!r}")
    router = APIRouter(route_class=AdminRoute)
    # One route only, because FastAPI compares every request with the routes before its own.
    below = f"{prefix}{{rest:{_REST}}}"
    methods = ["GET", "HEAD", "POST"]
    router.add_api_route(
        below, _dispatch, methods=methods, include_in_schema=False, response_model=None
    )
    return router


async def _dispatch(request: Request) -> Response:
    """Answer a request below the prefix; errors never reach the host's error handlers."""
    rest = request.path_params["rest"]
    try:
        sanitize_request(request)
        response = _refused_site(request, rest) or await _answer(request, rest)
    except Exception as error:  # noqa: BLE001  The boundary: no error may reach the host.
        response = error_page(request, base_of(request, rest), error)
    return add_security_headers(response)


def _refused_site(request: Request, rest: str) -> Response | None:
    """The refusal of a request from another site; None for any other, and for static files.

    Reports send their own refusals, as JSON.
    """
    lens = _lens(request)
    if lens is None or rest.startswith("/static/") or rest in _REPORTS:
        return None
    if not is_cross_site(request, lens.config.trusted_origins):
        return None
    place = Place(base_of(request, rest), lens)
    return refused_page(request, place, Refusal.CROSS_SITE)


async def _answer(request: Request, rest: str) -> Response:
    """The response of the page at a path."""
    # Views know no HEAD; servers send its response without the body.
    method = "GET" if request.method == "HEAD" else request.method
    for one in PAGES:
        found = one.pattern.match(rest)
        if found:
            if method not in one.methods:
                return _not_allowed(request, rest, one.methods)
            request.scope["path_params"] = found.groupdict()
            return await one.endpoint(request)
    if wants_json(request, rest):
        return await _report(request, json_reports.nowhere, rest)
    return await _answered(request, rest, _visitors_only(_nothing_here))


def _not_allowed(request: Request, rest: str, methods: Sequence[str]) -> Response:
    allowed = ", ".join(methods)
    response = Response(status_code=405)
    if wants_json(request, rest):
        response = json_reports.refused(
            f"{request.method} is not allowed here; use {allowed}", status=405
        )
    response.headers["Allow"] = allowed
    return response


def json_endpoint(answer: json_reports.Api, local: str) -> Endpoint:
    """A report as an endpoint of its own, with the same access checks."""

    async def endpoint(request: Request) -> Response:
        return add_security_headers(await _report(sanitize_request(request), answer, local))

    return endpoint


async def _report(request: Request, answer: json_reports.Api, local: str) -> Response:
    lens = _lens(request)
    if lens is None:
        sentence = f"LensMiddleware is missing on this app; add {templates.MIDDLEWARE_LINE}"
        return json_reports.refused(sentence, status=503)
    try:
        return await _allowed_report(request, Place(base_of(request, local), lens), answer)
    except json_reports.BadParameterError as error:
        return json_reports.refused(error.sentence, status=422)
    except json_reports.NoReportError as error:
        return json_reports.refused(error.sentence, status=404)
    except StorageError as error:
        return json_reports.refused(error_sentence(error), status=503)
    except Exception as error:  # noqa: BLE001  The boundary: no error may reach the host.
        return json_reports.refused(error_sentence(error), status=500)


async def _allowed_report(request: Request, place: Place, answer: json_reports.Api) -> Response:
    if is_cross_site(request, place.lens.config.trusted_origins):
        return json_reports.refused(Refusal.CROSS_SITE.value, status=403)
    entry = await (await authenticator_of(place.lens)).access(request, place.lens.clock())
    if isinstance(entry, Wait | Denied):
        response = json_reports.refused(entry.sentence, status=entry.status)
        response.headers.update(entry.headers)
        return response
    if isinstance(entry, Refusal):
        return json_reports.refused(entry.value, status=403)
    context = _visit(request, place, entry)
    return await cached_report(context, answer(context))


def is_admin(endpoint: object) -> bool:
    """True if an endpoint belongs to the admin."""
    return endpoint is _dispatch


def prefix_of(pattern: str) -> str:
    """The admin's prefix, from the pattern of its route."""
    return pattern.removesuffix(f"{{rest:{_REST}}}")


class _Rest(PathConvertor):
    """The path after the prefix: empty, or a slash and more. `/lensfoo` is not below `/lens`."""

    regex = r"(?:/[\s\S]*)?"  # Includes line breaks; otherwise the host's routes would match.


_REST = "fastapi_lens_rest"
# Before any router is created, because the pattern of its route is compiled with it.
register_url_convertor(_REST, _Rest())


async def _visited(request: Request, place: Place, view: View, needs: Scope) -> Response:
    authenticator = await authenticator_of(place.lens)
    # Before the access of a session: the address must lose its key in any case.
    if (key := presented_key(request)) is not None:
        return await login_view.exchange_key(request, place, authenticator, key)
    entry = await authenticator.access(request, place.lens.clock())
    if not isinstance(entry, Entry):
        return refused_page(request, place, entry)
    context = _visit(request, place, entry)
    if request.method in SAFE_METHODS:
        response = await in_reader_thread(lambda: _shown(context, view))
        cookie = await authenticator.renewed_cookie(entry, context.now)
        if cookie is not None:
            authenticator.cookie.set(response, request, place.base, cookie)
        return response
    # Checked here for all pages, so that none can omit it.
    form = await read_form(request) or {}
    if needs is Scope.ADMIN and entry.scope is not Scope.ADMIN:
        return refused_page(request, place, Refusal.READ_ONLY)
    if not authenticator.may_post(request, form.get("csrf_token", ""), entry):
        return refused_page(request, place, Refusal.FORGED)
    return await in_changing_thread(lambda: _shown(replace(context, form=form), view))


def _shown(context: Context, view: View) -> Response:
    """A view's response in its final form; in the view's thread, because compression blocks."""
    return sent(view(context), context.request, context.csrf_token)


def _start(context: Context) -> Response:
    # The list was here in earlier releases.
    if is_of_list(f"?{context.request.url.query}"):
        return old_addresses.moved(context, "/endpoints")
    return overview_view.overview_page(context)


def _dashboard(context: Context) -> Response:
    query = context.request.url.query
    return RedirectResponse(context.url("/") + (f"?{query}" if query else ""), 303)


def _nothing_here(context: Context) -> Response:
    message = "No such page in the lens."
    if client_path(context.request).startswith(context.url("/report")):
        message += f" The report is at {context.url('/report')}."
    return templates.not_found_page(context.request, context.base, message=message)


async def _login(request: Request, place: Place) -> Response:
    answer = login_view.sign_in if request.method == "POST" else login_view.login_page
    return await answer(request, place, await authenticator_of(place.lens))


async def _static(request: Request) -> Response:
    return static_response(request.path_params["name"], request.headers)


def _visit(request: Request, place: Place, entry: Entry) -> Context:
    return Context(
        request=request,
        lens=place.lens,
        base=place.base,
        csrf_token=entry.csrf_token,
        signed_in=entry.session is not None,
        scope=entry.scope,
        actor=entry.actor,
        now=place.lens.clock(),
        session=entry.session,
        navigation=NAVIGATION,
    )


def _lens(request: Request) -> Lens | None:
    lens = request.scope.get(SCOPE_KEY)
    return lens if isinstance(lens, Lens) else None


@dataclass(frozen=True, slots=True)
class Page:
    """Handler of a path below the prefix.

    Attributes:
        label: Its entry in the navigation, a name and a path; None without.
    """

    pattern: re.Pattern[str]
    methods: tuple[str, ...]
    endpoint: Endpoint
    label: tuple[str, str] | None = None


def page(
    path: str,
    view: View,
    *methods: str,
    back: str | None = None,
    needs: Scope = Scope.ADMIN,
    label: str = "",
) -> Page:
    """A page for people: it redirects to the login, and shows errors as pages.

    Args:
        path: Path below the prefix; may have parameters.
        view: Creates the page.
        methods: Allowed methods; GET if none is given.
        back: The page to return to after signing in; None for this one.
        needs: The scope that its POSTs need.
        label: Its name in the navigation; empty for a page that is not there.
    """
    found = open_page(path, _visitors_only(view, back=back, needs=needs), *methods)
    return replace(found, label=(label, path)) if label else found


def open_page(path: str, answer: Answer, *methods: str) -> Page:
    """A page without access control, such as the login; it shows errors as pages.

    Args:
        path: Below the prefix; may have parameters.
        answer: Makes the page.
        methods: Allowed methods; GET if none is given.
    """

    async def endpoint(request: Request) -> Response:
        return await _answered(request, path, answer)

    return answer_at(path, endpoint, *methods)


def _visitors_only(view: View, *, back: str | None = None, needs: Scope = Scope.ADMIN) -> Answer:
    async def answer(request: Request, place: Place) -> Response:
        address = client_path(request) if back is None else place.base + back
        return await _visited(request, replace(place, back=address), view, needs)

    return answer


async def _answered(request: Request, path: str, answer: Answer) -> Response:
    """The page, or an error page."""
    base, lens = base_of(request, path), _lens(request)
    if lens is None:
        return templates.missing_middleware_page(request, base)
    try:
        return await answer(request, Place(base, lens))
    except StorageError as error:
        return error_page(request, base, error)


def answer_at(path: str, endpoint: Endpoint, *methods: str) -> Page:
    """A handler of a path without the checks of a page."""
    return Page(compile_path(path)[0], methods or ("GET",), endpoint)


def _section(context: Context) -> Response:
    if context.request.method in SAFE_METHODS:
        return settings_view.opened_section(context)
    if context.request.path_params["section"] == RULES:
        return rules_view.save_rules(context)
    return settings_forms.save_section(context)


_REPORTS: Mapping[str, json_reports.Api] = MappingProxyType(
    {
        "/report": json_reports.report,
        "/report/top": json_reports.top,
        "/report/dead": json_reports.dead,
        "/report/evidence": json_reports.evidence,
        "/report/callers": json_reports.callers,
        "/cleanup.json": json_reports.evidence,
        "/metrics": metrics,
    }
)
PAGES = (
    # The first match answers, so fixed paths come before those with a parameter.
    page("", _dashboard, back="/"),
    page("/", with_period(_start), label="Overview"),
    page("/changes", with_period(overview_view.changes_section)),
    page("/endpoints", with_period(endpoints_view.endpoints_page), label="Endpoints"),
    page("/endpoints.csv", endpoints_export.as_csv),
    page("/endpoints.json", endpoints_export.as_json),
    page("/endpoints/{key}", with_period(endpoint_view.endpoint_page)),
    page("/callers", callers_view.callers_page),
    page("/callers.csv", callers_export.callers_csv),
    page("/callers/{key}.csv", callers_export.caller_csv),
    page("/callers/{key}", caller_view.caller_page, "GET", "POST"),
    page("/callers/{key}/forget", forget_view.forget_page, "GET", "POST"),
    page("/cleanup", cleanup_view.cleanup_page, label="Cleanup"),
    page("/cleanup.csv", cleanup_export.as_csv),
    page("/cleanup.md", cleanup_export.as_markdown),
    page("/cleanup/keep", cleanup_keep.keep_page, "GET", "POST", back="/cleanup"),
    page("/exceptions", with_period(exceptions_view.exceptions_page), label="Exceptions"),
    page("/exceptions.csv", exceptions_export.as_csv),
    page("/exceptions/{key}", with_period(exceptions_view.exception_page)),
    page("/go", go_view.go_page),
    page("/requests", with_period(requests_view.requests_page), label="Requests"),
    page("/requests.csv", requests_export.as_csv),
    page("/requests.json", requests_export.as_json),
    page("/requests/new", requests_view.new_requests),
    page("/requests/{key}", requests_view.request_page),
    # Addresses of earlier releases.
    page("/dashboard", _dashboard, back="/"),
    page("/export.csv", old_addresses.export_csv, back="/endpoints"),
    page("/export.json", old_addresses.export_json, back="/endpoints"),
    page("/failures", old_addresses.failures, back="/exceptions"),
    page("/failures/{key}", old_addresses.failures),
    page("/settings", settings_view.settings_page, label="Settings"),
    page("/settings/now", settings_view.now_page),
    page("/settings/audit", audit_view.audit_page),
    page("/settings/danger", danger_view.danger_page, "GET", "POST"),
    page("/settings/danger/callers", forget_callers_view.forget_callers_page, "GET", "POST"),
    page("/settings/rules/preview", rules_view.preview_rule),
    page("/settings/notifications/test", notifications_view.send_test, "POST", back="/settings"),
    page("/settings/{section}/preview", settings_forms.preview_section),
    page("/settings/{section}", _section, "GET", "POST", back="/settings"),
    open_page("/login", _login, "GET", "POST"),
    # Whoever may only read can sign out as well.
    page("/logout", sign_out.sign_out, "POST", back="/", needs=Scope.READ),
    page("/logout/everywhere", sign_out.sign_out_everywhere, "POST", back="/", needs=Scope.READ),
    page("/uses.csv", uses_csv),
    answer_at("/static/{name:path}", _static),
    *(answer_at(path, json_endpoint(answer, path)) for path, answer in _REPORTS.items()),
)
NAVIGATION = tuple(one.label for one in PAGES if one.label is not None)
"""The entries of the bar, from left to right."""
