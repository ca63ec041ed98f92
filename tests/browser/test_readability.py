"""Pages stay readable: at any width, under the pointer, with wide letters, and on paper."""

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from benchmarks.support.servers import Server
from tests.support.browser import PageWatch

LOOKS = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
}
WIDTHS = (1440, 1024, 800, 700, 390)
CONTRAST = """
(element, [of, on]) => {
  const pixel = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const light = (colour) => {
    pixel.fillStyle = colour;
    pixel.fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...pixel.getImageData(0, 0, 1, 1).data].map((part) =>
      part <= 10 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const style = getComputedStyle(element);
  const [dark, bright] = [light(style[of]), light(style[on])].sort((one, other) => one - other);
  return (bright + 0.05) / (dark + 0.05);
}
"""
"""The contrast of two colours of an element, as in WCAG 2.2."""

CLIPPED = """
() => [...document.querySelectorAll("thead th, thead a, header *, .filters *, .tabs a, .button")]
  .filter((one) => one.getClientRects().length && !one.closest("svg, .sr, .choose, .who"))
  .filter((one) => getComputedStyle(one).overflowX === "hidden" && one.clientWidth > 1)
  .filter((one) => one.scrollWidth > one.clientWidth)
  .map((one) => one.textContent.trim())
"""
"""Texts of headers and controls that are cut off."""

SPACE = """
() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: .12em !important;
    word-spacing: .16em !important } p { margin-bottom: 2em !important }`);
  document.adoptedStyleSheets = [sheet];
}
"""
"""The text spacing of success criterion 1.4.12 of WCAG 2.2."""


@pytest.fixture(params=LOOKS)
def context_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    return LOOKS[request.param]


def test_fields_have_borders_and_hovered_buttons_have_texts_that_can_be_seen(
    shop: Server, signed_in: Page
) -> None:
    signed_in.goto(f"{shop.url}/lens/settings/danger")
    for field in signed_in.locator("main input:not([type=hidden])").all():
        assert field.evaluate(CONTRAST, ["borderTopColor", "backgroundColor"]) >= 3
    for name in ("Delete permanently", "Continue …"):
        button = signed_in.get_by_role("button", name=name)
        resting = button.evaluate("one => getComputedStyle(one).backgroundColor")
        button.hover()
        assert button.evaluate(CONTRAST, ["color", "backgroundColor"]) >= 4.5
        assert button.evaluate("one => getComputedStyle(one).backgroundColor") != resting
    destroy = signed_in.get_by_role("button", name="Delete permanently")
    # Not as pale as a button that is disabled.
    assert destroy.evaluate(CONTRAST, ["backgroundColor", "color"]) >= 4.5
    signed_in.goto(f"{shop.url}/lens/endpoints")
    for field in signed_in.locator(".filters :is(select, input[type=search])").all():
        assert field.evaluate(CONTRAST, ["borderTopColor", "backgroundColor"]) >= 3


ONCE = pytest.mark.parametrize("context_options", [LOOKS["light"]], ids=["light"])
"""For what is the same in both colour schemes."""


@ONCE
def test_no_header_or_control_is_cut_off_at_any_width(shop: Server, signed_in: Page) -> None:
    for width in WIDTHS:
        signed_in.set_viewport_size({"width": width, "height": 900})
        for sort in ("-calls", "-p95_change", "-calls_change", "-last", "-errors"):
            signed_in.goto(f"{shop.url}/lens/endpoints?sort={sort}")
            assert signed_in.evaluate(CLIPPED) == []
        signed_in.goto(f"{shop.url}/lens/")
        assert signed_in.evaluate(CLIPPED) == []
        assert signed_in.evaluate("document.documentElement.scrollWidth <= innerWidth")


@ONCE
def test_more_space_between_letters_cuts_nothing_off(shop: Server, signed_in: Page) -> None:
    for width in (1440, 390):
        signed_in.set_viewport_size({"width": width, "height": 900})
        for path in ("/lens/", "/lens/endpoints", "/lens/settings", "/lens/settings/danger"):
            signed_in.goto(f"{shop.url}{path}")
            signed_in.evaluate(SPACE)
            assert signed_in.evaluate(CLIPPED) == []
            assert signed_in.evaluate("document.documentElement.scrollWidth <= innerWidth")


@ONCE
def test_the_environment_is_named_at_every_width(shop: Server, signed_in: Page) -> None:
    signed_in.goto(f"{shop.url}/lens/settings/danger")
    for width in WIDTHS:
        signed_in.set_viewport_size({"width": width, "height": 900})
        box = signed_in.locator("header .app b").bounding_box()
        assert box is not None
        assert box["width"] > 20


def test_a_phone_shows_the_words_of_the_page_in_its_help(shop: Server, signed_in: Page) -> None:
    signed_in.set_viewport_size({"width": 390, "height": 844})
    signed_in.goto(f"{shop.url}/lens/cleanup")
    button, dialog = signed_in.get_by_role("button", name="Help"), signed_in.get_by_role("dialog")
    size = button.bounding_box()
    assert size is not None
    assert min(size["width"], size["height"]) >= 44
    button.click()
    word = dialog.get_by_text("Safe to remove", exact=True)
    expect(word).to_be_in_viewport()
    expect(dialog.get_by_text("Keyboard")).not_to_be_in_viewport()
    assert dialog.evaluate("one => one.scrollWidth <= one.clientWidth")
    frame = dialog.bounding_box()
    assert frame is not None
    assert frame["x"] >= 0
    assert frame["x"] + frame["width"] <= 390
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_be_hidden()


@ONCE
def test_the_form_stays_where_it_is_after_a_wrong_name(
    shop: Server, signed_in: Page, page_watch: PageWatch
) -> None:
    page_watch.expect("422")
    signed_in.goto(f"{shop.url}/lens/settings/danger")
    field, button = signed_in.get_by_label("to confirm"), signed_in.locator(".destroy")
    before = field.bounding_box(), button.bounding_box()
    field.fill("another shop")
    button.click()
    expect(signed_in.get_by_role("alert")).to_contain_text("Nothing was deleted")
    expect(signed_in.get_by_label("to confirm")).to_be_focused()
    assert (field.bounding_box(), button.bounding_box()) == before


@ONCE
def test_the_keyboard_reaches_the_table_at_once(signed_in: Page) -> None:
    signed_in.keyboard.press("Tab")
    signed_in.keyboard.press("Tab")
    expect(signed_in.get_by_role("link", name="Skip to the table")).to_be_focused()
    signed_in.keyboard.press("Enter")
    signed_in.keyboard.press("Tab")
    assert signed_in.evaluate("document.activeElement.closest('table')?.id") == "lens-table"


@ONCE
def test_on_paper_there_are_no_controls(shop: Server, signed_in: Page) -> None:
    signed_in.emulate_media(media="print", color_scheme="dark")
    controls = "button, .search, .chips, header nav"
    assert signed_in.locator(controls).locator("visible=true").count() == 0
    # The period of the numbers stays.
    assert signed_in.locator(".segments a").locator("visible=true").count() == 1
    background = signed_in.locator(".card").first.evaluate(
        "one => getComputedStyle(one).backgroundColor"
    )
    assert background == "rgb(255, 255, 255)"


@ONCE
def test_a_searched_list_says_on_paper_what_was_searched(shop: Server, signed_in: Page) -> None:
    signed_in.goto(f"{shop.url}/lens/endpoints?q=orders&method=GET")
    line = signed_in.get_by_text("Search: “orders” · Methods: GET")
    expect(line).to_be_hidden()
    signed_in.emulate_media(media="print")
    expect(line).to_be_visible()


@ONCE
def test_forced_colours_keep_marks_and_the_chosen_period(shop: Server, signed_in: Page) -> None:
    signed_in.emulate_media(forced_colors="active")
    mark = signed_in.locator("td .active").first
    colours = mark.evaluate(
        "one => [getComputedStyle(one, '::before').backgroundColor,"
        " getComputedStyle(document.body).backgroundColor]"
    )
    assert colours[0] != colours[1]
    lines = signed_in.locator(".segments [aria-current]").evaluate(
        "one => getComputedStyle(one).textDecorationLine"
    )
    assert lines == "underline"


@ONCE
def test_no_name_of_a_parameter_is_broken(shop: Server, signed_in: Page) -> None:
    for width in WIDTHS:
        signed_in.set_viewport_size({"width": width, "height": 900})
        broken = signed_in.evaluate(
            "[...document.querySelectorAll('#lens-rows i')]"
            ".filter((one) => one.getClientRects().length > 1).length"
        )
        assert broken == 0
