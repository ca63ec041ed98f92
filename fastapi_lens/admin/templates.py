"""Rendering of templates to responses: overrides, pages and fragments, headers.

Knows no database and no business rules: the contents of a page are passed in as values.
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

from fastapi_lens.admin.context import ZONE_COOKIE, Context
from fastapi_lens.admin.display import formats, svg
from fastapi_lens.admin.display.filters import FILTERS, seen
from fastapi_lens.admin.display.glossary import Glossary, glossary
from fastapi_lens.admin.display.times import Times
from fastapi_lens.admin.http.requests import wants_fragment
from fastapi_lens.admin.http.static_files import FOLDER, folder, static_url
from fastapi_lens.admin.renamed_templates import RENAMED, renamings
from fastapi_lens.admin.tables.column import cells_of
from fastapi_lens.reporting.model import Health
from fastapi_lens.reporting.workers import State
from fastapi_lens.runtime.lens import Lens

logger = logging.getLogger("fastapi_lens")

BUILTIN = "lens_builtin"
"""Prefix under which overriding templates can reach the built-in ones."""

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

COOKIES = ("lens_theme", "lens_live", "lens_keys", "lens_chart", ZONE_COOKIE)
"""Cookies with display preferences that pages depend on."""

TICK_SECONDS = 60
"""Longest validity of an answer while nothing is written: windows begin at full minutes."""

THEMES = ("auto", "light", "dark")
MIDDLEWARE_LINE = "app.add_middleware(LensMiddleware, config=LensConfig())"

OLD_NAMES = "Some templates have new names; an override under an old name has no effect."

# Errors that expressions of an overriding template can raise besides Jinja's own.
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
        template_dirs: Folders of the host, whose ``fastapi_lens/…`` replace built-in files.

    Attributes:
        renamings: A sentence with the new names of the host's overrides that have names of an
            earlier release, and therefore no effect; pages show it. Empty if there are none.
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
        # Any, because Jinja does not declare the types of its dictionaries.
        environment: Any = jinja2.Environment(
            loader=jinja2.ChoiceLoader(
                [
                    jinja2.PrefixLoader({BUILTIN: jinja2.FileSystemLoader(builtin)}),
                    # Before the built-in files of the same names, which the host may replace.
                    jinja2.FileSystemLoader(list(template_dirs)),
                    jinja2.PrefixLoader({FOLDER: jinja2.FileSystemLoader(builtin)}),
                ]
            ),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            # A misspelt variable of an override is an error, not an empty place on the page.
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
            name: Name below the folder ``fastapi_lens``: ``endpoints/page.html``.
            values: Its variables.

        Raises:
            jinja2.TemplateError: The template, or an overriding one, cannot be rendered.
        """
        return self._environment.get_template(f"{FOLDER}/{name}").render(values)


@dataclass(frozen=True, slots=True)
class Shell:
    """Frame around a page for a visitor with access.

    Attributes:
        current: The page's entry in the navigation.
        viewer: The request, with the visitor's name and scope.
        health: Health of the recording.
        glossary: The words of the page, and all others.
    """

    title: str
    environment: str | None
    current: str
    viewer: Context
    health: Health
    glossary: Glossary


def page(
    context: Context,
    template: str,
    values: Mapping[str, Any],
    *,
    headers: Mapping[str, str] | None = None,
    state: State | None = None,
    status: int = 200,
) -> Response:
    """A page inside the shell, or only its fragment.

    Args:
        context: The request.
        template: ``endpoints/page.html``; its fragment is ``endpoints/_page.html``.
        values: Variables of the template; including `current` and `heading`.
        headers: Further headers.
        state: A recent state of the data, to save its query.
        status: Status of the response, unless a template cannot be rendered.
    """
    lens = context.lens
    templates = _templates(lens)
    if templates.renamings:
        return _refused_overrides(context, templates)
    state = state or lens.reader.state(context.now)
    health = lens.reader.health(context.now, state)
    everything: dict[str, Any] = {
        **_common(context.request, context.base),
        "navigation": context.navigation,
        "now": context.now,
        "new_exceptions": lens.reader.new_exceptions(state, context.now),
        **values,
    }
    everything["health"] = health
    folder_name, _, file_name = template.rpartition("/")
    if wants_fragment(context.request):
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
            glossary=glossary(
                folder_name,
                values.get("heads", ()),
                thresholds=lens.settings.thresholds,
                slow_ms=lens.settings.slow_threshold_ms,
            ),
        )
    try:
        text = templates.render(name, everything)
    except _TEMPLATE_ERRORS as error:
        return _broken_template(context.request, context.base, error)
    return html(text, status=status, headers=headers)


def html(text: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An HTML response with all headers of the admin's pages."""
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
    """An entity tag of everything that a response depends on.

    That is the data, the settings, the minute, the visitor, and `parts`. It differs between
    visitors, because browsers keep pages when a key of another scope signs in.

    Args:
        context: The request, with its time.
        version: Version of the data.
        parts: Further parts that distinguish the answer.
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
    """True if the client already shows this fragment."""
    # The header may list several tags.
    return wants_fragment(request) and tag in request.headers.get("if-none-match", "")


def unchanged(tag: str, complete_to: float | None) -> Response:
    """A 304 response with the only value that changes without new data.

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
        request: The request.
        lens: The lens of the admin.
        base: The admin's own path.
        target: Address after signing in.
        said: A sentence about a failed attempt; empty at first.
        status: Another status than 200 for an error.
    """
    wrong = status != HTTPStatus.OK
    values = {
        "next": target,
        "said": said,
        "wrong": wrong,
        "app_title": lens.title,
        "environment": lens.config.environment,
    }
    return _outside(
        request, lens, "login/page.html", values | _common(request, base), status=status
    )


def error_page(
    request: Request, base: str, *, status: int, message: str, error_id: str
) -> Response:
    """An error page with a sentence and the error's number in the log; a toast for a fragment."""
    values = {
        **_common(request, base),
        "message": message,
        "error_id": error_id,
        "retry": _address(request),
    }
    name = "_error_toast.html" if wants_fragment(request) else "error.html"
    return _outside(request, _lens_of(request), name, values, status=status)


def not_found_page(request: Request, base: str, *, message: str) -> Response:
    """A page for an object that does not exist, or no longer."""
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
    """A page with the line to add to the host application."""
    values = {**_common(request, base), "line": MIDDLEWARE_LINE}
    return _outside(request, None, "missing_middleware.html", values, status=503)


def _outside(
    request: Request, lens: Lens | None, name: str, values: Mapping[str, Any], *, status: int
) -> Response:
    """A page outside the shell; uses the built-in templates if the host's fail."""
    values = {**values, "shell": None, "health": None}
    # Errors change no address, even if htmx would push one by itself.
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
    """An error page that names the host's faulty template."""
    error_id = secrets.token_hex(4)
    logger.error("fastapi_lens error %s: a template cannot be rendered", error_id, exc_info=error)
    message = f"A template cannot be rendered: {_described(error)}"
    return error_page(request, base, status=500, message=message, error_id=error_id)


def _described(error: Exception) -> str:
    """The template, its line and the error; without paths of the machine."""
    if isinstance(error, jinja2.TemplateSyntaxError):
        return f"{error.name}, line {error.lineno}: {error.message}"
    if isinstance(error, jinja2.TemplateNotFound) and error.name is not None:
        prefix, _, name = error.name.partition("/")
        if name in RENAMED:
            return f"{prefix}/{name} is now {prefix}/{RENAMED[name]}."
    # Jinja rewrites tracebacks to lines of templates.
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
    """The values for every template."""
    theme = request.cookies.get("lens_theme", "")
    return {
        "base": base,
        "live": request.cookies.get("lens_live") != "off",
        "keys": request.cookies.get("lens_keys") != "off",
        "static": partial(static_url, base),
        "times": Times.of(request.cookies.get(ZONE_COOKIE, "")),
        "theme": theme if theme in THEMES else THEMES[0],
    }


def _address(request: Request) -> str:
    """The path and query of a request as the client sent it."""
    return request.url.path + (f"?{query}" if (query := request.url.query) else "")
