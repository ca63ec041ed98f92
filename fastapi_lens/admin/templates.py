"""Templates into responses: the environment with its overrides, page or fragment, headers.

Knows no database and no business rules: what a page says comes in as values.
"""

import hashlib
import logging
import secrets
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import Response

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats, svg
from fastapi_lens.admin.display.filters import FILTERS, seen
from fastapi_lens.admin.display.labels import STATUS_LABELS, status_meanings
from fastapi_lens.admin.http.requests import wants_fragment
from fastapi_lens.admin.http.static_files import FOLDER, folder, static_url
from fastapi_lens.admin.renamed_templates import RENAMED, renamings
from fastapi_lens.admin.tables.column import cells_of
from fastapi_lens.reporting.model import Health
from fastapi_lens.reporting.workers import State
from fastapi_lens.runtime.lens import Lens

logger = logging.getLogger("fastapi_lens")

BUILTIN = "lens_builtin"
"""Prefix under which the built-in templates stay reachable whatever is overridden."""

SECURITY_HEADERS: Mapping[str, str] = MappingProxyType(
    {
        "Content-Security-Policy": (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
            "frame-ancestors 'none'"
        ),
        # Not no-referrer: with it, browsers send the Origin of a form as null.
        "Referrer-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)

PAGE_HEADERS: Mapping[str, str] = MappingProxyType(
    {"Cache-Control": "private, no-store", "Vary": "HX-Request-Type, Accept-Encoding"}
)

COOKIES = ("lens_theme", "lens_live", "lens_keys")
"""Cookies with display preferences that pages depend on."""

TICK_SECONDS = 60
"""How long an answer stays right while nothing is written: windows begin with a minute."""

THEMES = ("auto", "light", "dark")
MIDDLEWARE_LINE = "app.add_middleware(LensMiddleware, config=LensConfig())"

OLD_NAMES = "Some templates have new names; an override under an old name has no effect."

# What the expressions of an overriding template can raise besides Jinja's own errors.
_TEMPLATE_ERRORS = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)


class Templates:
    """The Jinja environment of one lens.

    Args:
        template_dirs: Folders of the host, whose ``fastapi_lens/…`` win file by file.

    Attributes:
        renamings: How to rename the host's overrides that have names of an earlier release; empty
            if there is none. Pages are refused with it: such an override has no effect.
        error_id: The number under which the log has `renamings`.
    """

    def __init__(self, template_dirs: Sequence[str] = ()) -> None:
        """Read no template yet; log `renamings`, if there are any."""
        self.renamings = renamings(template_dirs)
        self.error_id = secrets.token_hex(4)
        if self.renamings:
            logger.error(
                "fastapi_lens error %s: the admin shows no page. %s %s",
                *(self.error_id, OLD_NAMES, self.renamings),
            )
        builtin = folder("templates")
        # Any: Jinja leaves the types of its dictionaries open.
        environment: Any = jinja2.Environment(
            loader=jinja2.ChoiceLoader(
                [
                    jinja2.PrefixLoader({BUILTIN: jinja2.FileSystemLoader(builtin)}),
                    jinja2.FileSystemLoader(list(template_dirs)),
                    jinja2.PrefixLoader({FOLDER: jinja2.FileSystemLoader(builtin)}),
                ]
            ),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
            # Set here for all templates, including the host's, so that none can omit it.
            finalize=seen,
        )
        environment.filters.update(FILTERS)
        environment.globals.update(
            cells_of=cells_of,
            error_bar=svg.error_bar,
            nothing=formats.NOTHING,
            share_bar=svg.share_bar,
            sparkline=svg.sparkline,
        )
        self._environment: jinja2.Environment = environment

    def render(self, name: str, values: Mapping[str, Any]) -> str:
        """The text of a template.

        Args:
            name: Below the folder ``fastapi_lens``: ``endpoints/page.html``.
            values: Its variables.

        Raises:
            jinja2.TemplateError: The template, or an overriding one, cannot be rendered.
        """
        return self._environment.get_template(f"{FOLDER}/{name}").render(values)


@dataclass(frozen=True, slots=True)
class Shell:
    """What surrounds a page for somebody who may look.

    Attributes:
        current: The entry of the navigation that the page belongs to.
        viewer: Who looks, and what they may do.
        health: Whether the numbers can be trusted.
        statuses: CSS class, label and meaning of each status of endpoints.
        slow_ms: The p95 above which an endpoint is slow.
    """

    title: str
    environment: str | None
    current: str
    viewer: Context
    health: Health
    statuses: Sequence[tuple[str, str, str]]
    slow_ms: float


def page(
    context: Context,
    template: str,
    values: Mapping[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    state: State | None = None,
    status: int = 200,
) -> Response:
    """A page inside the shell, or its fragment alone.

    Args:
        context: Whose request it answers.
        template: ``endpoints/page.html``; its fragment is ``endpoints/_page.html``.
        values: Variables of the template; `current` and `heading` among it.
        headers: More of them.
        state: Of the data, where it was asked for a moment ago.
        status: Of the response, unless a template cannot be rendered.
    """
    lens = context.lens
    templates = _templates(lens)
    if templates.renamings:
        return _refused_overrides(context, templates)
    health = lens.reader.health(context.now, state)
    everything: dict[str, Any] = {
        **_common(context.request, context.base),
        "navigation": context.navigation,
        "now": context.now,
        **values,
    }
    everything["health"] = health
    if wants_fragment(context.request):
        folder_name, _, file_name = template.rpartition("/")
        name = f"{folder_name}/_{file_name}"
        everything["shell"] = None
    else:
        name = template
        everything["shell"] = Shell(
            title=lens.title,
            environment=lens.config.environment,
            current=str(values.get("current", "")),
            viewer=context,
            health=health,
            statuses=[
                (status.value, STATUS_LABELS[status], meaning)
                for status, meaning in status_meanings(lens.settings.thresholds).items()
            ],
            slow_ms=lens.settings.slow_threshold_ms,
        )
    try:
        text = templates.render(name, everything)
    except _TEMPLATE_ERRORS as error:
        return _broken_template(context.request, context.base, error)
    return html(text, status=status, headers=headers)


def html(text: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Text as an HTML response with all headers that ours have."""
    return Response(
        text,
        status,
        {**SECURITY_HEADERS, **PAGE_HEADERS, **(headers or {})},
        media_type="text/html",
    )


def viewer(context: Context) -> tuple[object, ...]:
    """The properties of the visitor that a page depends on."""
    cookies = map(context.request.cookies.get, COOKIES)
    return (context.csrf_token, context.signed_in, context.scope, context.actor, *cookies)


def entity_tag(context: Context, version: str, *parts: object) -> str:
    """An entity tag of whatever an answer depends on: data, settings, the minute, and `parts`.

    It differs between users: browsers keep pages when a key of another scope signs in.

    Args:
        context: Who asks, and when.
        version: Of the data.
        parts: What else distinguishes the answer.
    """
    depends = context.lens.reader.depends_on(version)
    settings, minute = (
        sorted(context.lens.settings.versions.items()),
        int(context.now) // TICK_SECONDS,
    )
    parts = (*parts, minute, depends, settings, context.base, viewer(context))
    digest = hashlib.sha256("\x00".join(map(str, parts)).encode()).hexdigest()
    return f'W/"{digest[:20]}"'


def is_unchanged(request: Request, tag: str) -> bool:
    """Whether the client shows this very fragment already."""
    return wants_fragment(request) and tag in request.headers.get("if-none-match", "")


def unchanged(tag: str, complete_to: float | None) -> Response:
    """304 with the one thing that changes by itself.

    Args:
        tag: The entity tag.
        complete_to: Epoch seconds up to which the numbers are complete.
    """
    headers = {**PAGE_HEADERS, "ETag": tag, "HX-Push-Url": "false"}
    if complete_to is not None:
        headers["Lens-Complete-To"] = formats.timestamp(complete_to)
    return Response(status_code=304, headers=headers)


def login_page(
    request: Request, lens: Lens, base: str, *, target: str, said: str = "", status: int = 200
) -> Response:
    """The login form.

    Args:
        request: What it answers.
        lens: Whose admin it is.
        base: The admin's own path.
        target: Where to go after signing in.
        said: One sentence; empty at first.
        status: Not 200 where that is an error.
    """
    wrong = status != HTTPStatus.OK
    values = {"next": target, "said": said, "wrong": wrong, "app_title": lens.title}
    return _outside(
        request, lens, "login/page.html", values | _common(request, base), status=status
    )


def error_page(
    request: Request, base: str, *, status: int, message: str, error_id: str
) -> Response:
    """A plain sentence and the number under which the log has more; a toast in a fragment."""
    values = {
        **_common(request, base),
        "message": message,
        "error_id": error_id,
        "retry": _address(request),
    }
    name = "_error_toast.html" if wants_fragment(request) else "error.html"
    return _outside(request, _lens_of(request), name, values, status=status)


def not_found_page(request: Request, base: str, *, message: str) -> Response:
    """A page for what is not there, or not any more."""
    values = {**_common(request, base), "message": message}
    name = "_error_toast.html" if wants_fragment(request) else "not_found.html"
    return _outside(request, _lens_of(request), name, {**values, "error_id": ""}, status=404)


def not_allowed_page(
    request: Request, base: str, sentence: str, *, way_on: str, leads_to: str = ""
) -> Response:
    """A page with the reason of a refusal; the link `way_on` leads to `leads_to` or the start."""
    more = {"message": sentence, "way_on": way_on, "leads_to": leads_to or base + "/"}
    values = {**_common(request, base), **more, "error_id": ""}
    name = "_error_toast.html" if wants_fragment(request) else "not_allowed.html"
    return _outside(request, _lens_of(request), name, values, status=403)


def missing_middleware_page(request: Request, base: str) -> Response:
    """Says which line to add to the host application."""
    values = {**_common(request, base), "line": MIDDLEWARE_LINE}
    return _outside(request, None, "missing_middleware.html", values, status=503)


def _outside(
    request: Request, lens: Lens | None, name: str, values: Mapping[str, Any], *, status: int
) -> Response:
    """A page outside the shell; with the built-in templates where the host's do not work."""
    values = {**values, "shell": None, "health": None}
    # Errors change no address, also where htmx would push one by itself.
    headers = {"HX-Push-Url": "false"} if wants_fragment(request) else {}
    if lens is not None:
        try:
            return html(_templates(lens).render(name, values), status=status, headers=headers)
        except _TEMPLATE_ERRORS:
            logger.exception("fastapi_lens cannot render %s with the host's templates", name)
    return html(Templates().render(name, values), status=status, headers=headers)


def _refused_overrides(context: Context, templates: Templates) -> Response:
    """The page that tells the host which of its templates to rename."""
    return error_page(
        context.request,
        context.base,
        status=500,
        message=f"{OLD_NAMES} {templates.renamings}",
        error_id=templates.error_id,
    )


def _broken_template(request: Request, base: str, error: Exception) -> Response:
    """Tell the host which of its templates to put right."""
    error_id = secrets.token_hex(4)
    logger.error("fastapi_lens error %s: a template cannot be rendered", error_id, exc_info=error)
    message = f"A template cannot be rendered: {_described(error)}"
    return error_page(request, base, status=500, message=message, error_id=error_id)


def _described(error: Exception) -> str:
    """The template, the line and the reason; no paths of this machine."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name}, line {error.lineno}: {error.message}"
    if isinstance(error, jinja2.TemplateNotFound) and error.name is not None:
        prefix, _, name = error.name.partition("/")
        if name in RENAMED:
            return f"{prefix}/{name} is now {prefix}/{RENAMED[name]}."
    # Jinja has put the lines of templates in the place of those of the code it made of them.
    places = [
        f"{_name_of(Path(frame.f_code.co_filename))}, line {line}: "
        for frame, line in traceback.walk_tb(error.__traceback__)
        if "__jinja_exception__" in frame.f_globals
    ]
    return f"{places[-1] if places else ''}{error}"


def _name_of(file: Path) -> str:
    """The name of a template, from the folder ``fastapi_lens`` on."""
    parts = file.parts
    depth = parts[::-1].index(FOLDER) if FOLDER in parts else 0
    return "/".join(parts[-1 - depth :])


def _templates(lens: Lens) -> Templates:
    return lens.get_or_create(Templates, lambda: Templates(lens.config.template_folders))


def _lens_of(request: Request) -> Lens | None:
    lens = request.scope.get("fastapi_lens")
    return lens if isinstance(lens, Lens) else None


def _common(request: Request, base: str) -> dict[str, Any]:
    """What every template may use."""
    theme = request.cookies.get("lens_theme", "")
    return {
        "base": base,
        "live": request.cookies.get("lens_live") != "off",
        "keys": request.cookies.get("lens_keys") != "off",
        "static": partial(static_url, base),
        "theme": theme if theme in THEMES else THEMES[0],
    }


def _address(request: Request) -> str:
    """The path and query of a request as the client sent it."""
    return request.url.path + (f"?{query}" if (query := request.url.query) else "")
