"""The search for pages, actions and endpoints: a page, and a dialog of all other pages."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from starlette.responses import RedirectResponse, Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.filter_and_sort import filter_and_sort
from fastapi_lens.admin.display.formats import plural
from fastapi_lens.admin.display.labels import STATUS_LABELS
from fastapi_lens.admin.http.requests import parts_of, wants_fragment
from fastapi_lens.admin.pages.go.places import Place, places_of
from fastapi_lens.admin.remembered_period import remembered
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.admin.urls.go import GoQuery
from fastapi_lens.admin.urls.period import Period
from fastapi_lens.reporting.cache import TTLCache
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.reporting.workers import State

MOST = 12
"""Most results."""

MOST_PLACES = 6
"""Most places among the results where endpoints match, too."""


LIST_SECONDS = 5.0
"""Age up to which a list of the endpoints is searched again: one read a word, not one a letter."""

MOST_LISTS = 2
"""Lists that are kept, one for each period; one of thousands of endpoints takes some megabytes."""


class Lists(TTLCache):
    """The endpoints of some periods; letters that arrive while one is read wait for it."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An endpoint that was found.

    Attributes:
        href: Its own page.
        status: Its status in words.
    """

    endpoint: Endpoint
    href: str
    status: str


@dataclass(frozen=True, slots=True)
class Results:
    """Results of a search.

    Attributes:
        places: Pages, lists, sections and files.
        hits: The endpoints with the most calls among those that match.
        matching: Number of endpoints that match.
        all_href: The list of all endpoints that match.
    """

    places: Sequence[Place]
    hits: Sequence[Hit]
    matching: int
    all_href: str

    @property
    def first(self) -> str:
        """The address of the first result; empty without any."""
        if self.places:
            return self.places[0].href
        return self.hits[0].href if self.hits else ""

    @property
    def more(self) -> int:
        """Number of endpoints that match and are not shown."""
        return self.matching - len(self.hits)

    @property
    def words(self) -> str:
        """The number of results in words."""
        found = plural(len(self.places) + len(self.hits), "result")
        return f"{found}, {plural(self.more, 'more endpoint')}" if self.more else found


def go_page(context: Context) -> Response:
    """``GET /go``: the page, its fragment, or a redirect to the first result."""
    query = GoQuery.parse(f"?{context.request.url.query}")
    state = context.lens.reader.state(context.now)
    results = _results(context, query, state)
    is_fragment = wants_fragment(context.request)
    if query.opens and results.first and not is_fragment:
        return RedirectResponse(results.first, HTTPStatus.SEE_OTHER)
    values = {"current": "Go to", "heading": "Go to", "query": query, "results": results}
    headers = _history(context, query) if is_fragment else {}
    return templates.page(context, "go/page.html", values, headers=headers, state=state)


def _results(context: Context, query: GoQuery, state: State) -> Results:
    period = remembered(context.request, now=context.now)
    wanted = EndpointsQuery(q=query.q, window=period)
    matching = _matching(context, wanted, state)
    words = query.q.casefold().split()
    places = [one for one in places_of(context, period) if one.matches(words)]
    places = places[: max(MOST_PLACES, MOST - len(matching))]
    return Results(
        places=places,
        hits=[_hit(context, one, period) for one in matching[: MOST - len(places)]],
        matching=len(matching),
        all_href=wanted.url(context.url("/endpoints")),
    )


def _matching(context: Context, query: EndpointsQuery, state: State) -> Sequence[Endpoint]:
    """The endpoints that the list finds with the same words, in its order; none without words."""
    if not query.q:
        return ()
    lens, window = context.lens, query.window.window
    lists = lens.get_or_create(
        Lists, lambda: Lists(max_age_seconds=LIST_SECONDS, max_values=MOST_LISTS)
    )
    endpoints = lists.get(
        # Settings decide on statuses, and on the endpoints that are ignored.
        (window, lens.config, lens.settings),
        lambda: lens.reader.endpoints(
            window=window, now=context.now, with_histograms=False, state=state
        ),
    )
    return filter_and_sort(endpoints, query).matching


def _hit(context: Context, endpoint: Endpoint, period: Period) -> Hit:
    href = EndpointQuery(window=period).url(context.url(f"/endpoints/{endpoint.key}"))
    return Hit(endpoint, href, STATUS_LABELS[endpoint.status])


def _history(context: Context, query: GoQuery) -> dict[str, str]:
    """The headers that keep the address of the page of the search, and of no other one."""
    base = context.url("/go")
    if parts_of(context.request.headers.get("hx-current-url", "")).path != base:
        return {"HX-Push-Url": "false"}
    return {"HX-Replace-Url": query.listed().url(base)}
