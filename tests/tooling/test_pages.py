"""The lookups of tests find what a reader would find, and say what there is where they fail."""

import pytest

from tests.support import pages
from tests.support.pages import Link

PAGE = """<!doctype html><html lang="en"><head><title>Endpoints · shop</title></head><body>
<nav><a href="/lens/" aria-current="page">Endpoints</a> <a href="/lens/settings">Settings</a></nav>
<dl class="figures"><div><dt>Calls</dt><dd>26</dd><dd class="change">+85%</dd></div>
<div><dt>Errors<dd>5</div></dl>
<table><caption>Endpoints with their calls</caption>
<thead><tr><th>Endpoint</th><th aria-sort="descending"><a href="?sort=p95">p95 <small>ms</small>
<span aria-hidden="true">↓</span></a></th></tr></thead>
<tbody><tr><th scope="row"><a href="/lens/endpoints/00"><b>GET</b> <span>/a/<i>{id}</i></span></a>
<em>deprecated</em></th><td title="above 500 ms">700<span class="sr"> slow</span></td></tr>
<tr><th><a href="/lens/endpoints/01">GET /b</a><td>–<svg><title>no call</title><text>x</text></svg>
</tbody></table>
<div role="region" aria-label="As a table, per hour"><table><thead><tr><th>From<th>2xx</thead>
<tbody><tr><th>14:00<td>1

<tr><th>15:00<td>2
</tbody></table></div>
<form method="post" action="/lens/logout"><input type="hidden" name="csrf_token" value="00ff">
<select name="log_clients"><option value="off">Off<option value="masked" selected>Masked</select>
<input name="ttl_days" value="x" aria-invalid="true"><input type="checkbox" name="paused" checked>
</form></body></html>"""


def test_text_is_read_as_people_read_it() -> None:
    assert pages.page_text("<h2>No</h2><p>A <b>b</b>: <code>c</code>.<br>d</p>") == "No A b: c. d"
    assert pages.page_text("<style>p{}</style><p>&lt;b&gt;<wbr>x</p><script>1</script>") == "<b>x"
    assert pages.title(PAGE) == "Endpoints · shop"
    assert pages.part('<p id="a">x <i>y</i></p>', "a") == "x y"
    assert pages.part(PAGE, "a") is None


def test_a_table_is_read_by_the_names_of_its_rows_and_columns() -> None:
    endpoints = pages.table(PAGE, "Endpoints")
    assert endpoints.columns == ("Endpoint", "p95")
    assert endpoints.orders == {"p95": "descending"}
    assert endpoints.names == ["GET /a/{id}", "GET /b"]
    assert endpoints["GET /a/{id}"]["p95"] == "700 slow"
    assert endpoints["GET /a/{id}"].links == (Link("GET /a/{id}", "/lens/endpoints/00"),)
    assert endpoints["GET /a/{id}"].titles == ("above 500 ms",)
    assert endpoints["GET /b"].titles == ("no call",)
    assert endpoints.column("p95") == ["700 slow", "–"]


def test_cells_may_leave_their_ends_out() -> None:
    numbers = pages.table(PAGE, "As a table")
    assert [dict(row) for row in numbers.rows] == [
        {"From": "14:00", "2xx": "1"},
        {"From": "15:00", "2xx": "2"},
    ]


@pytest.mark.parametrize(
    ("look", "message"),
    [
        (lambda: pages.table(PAGE, "Workers"), "0 tables 'Workers' among \\['Endpoints"),
        (lambda: pages.table(PAGE, "Endpoints")["GET /c"], "0 rows 'GET /c' among"),
        (lambda: pages.table(PAGE, "Endpoints")["GET /b"]["p99"], "no column 'p99', but Endpoint"),
        (lambda: pages.link(PAGE, "Audit"), "0 links 'Audit'"),
        (lambda: pages.field(PAGE, "q"), "0 fields 'q'"),
    ],
)
def test_what_is_not_there_is_named(look: object, message: str) -> None:
    assert callable(look)
    with pytest.raises(AssertionError, match=message):
        look()


def test_links_figures_and_fields_are_found_by_name() -> None:
    assert pages.link(PAGE, "Endpoints") == Link("Endpoints", "/lens/", current=True)
    assert pages.addresses(PAGE)[-1] == "/lens/logout"
    assert pages.figures(PAGE) == {"Calls": "26 +85%", "Errors": "5"}
    assert pages.csrf_token(PAGE) == "00ff"
    clients, days = pages.field(PAGE, "log_clients"), pages.field(PAGE, "ttl_days")
    assert (clients.value, clients.choice, clients.invalid) == ("masked", "Masked", False)
    assert (days.value, days.invalid) == ("x", True)
    assert pages.field(PAGE, "paused").checked
    assert pages.form_actions(PAGE) == ["/lens/logout"]
