"""Rules for each page: nothing is cut, broken or invisible, on any screen and on paper."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page

from benchmarks.support.servers import Server
from tests.browser.shop import UNLUCKY
from tests.browser.steps import call
from tests.browser.test_readability import CLIPPED, CONTRAST, SPACE
from tests.support.browser import PageWatch

WIDTHS = (1440, 1024, 390)
LISTS = ("endpoints", "cleanup", "callers", "requests", "exceptions", "settings/audit")
PAGES = (
    *("", *LISTS, "endpoints?page=2", "endpoints?group=prefix&chart=1"),
    *("settings", "settings/danger", "settings/danger/callers", "go?q=s"),
)
DETAILS = ("endpoints", "callers", "requests", "exceptions")

BROKEN = r"""() => {
  const range = document.createRange(), found = new Set();
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode());) {
    if (!node.parentElement.checkVisibility() || node.parentElement.closest(".sr, svg")) continue;
    for (const word of node.data.matchAll(/\b[A-Za-z]{2,24}\b/g)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const tops = [...range.getClientRects()].map((box) => Math.round(box.top));
      if (Math.max(...tops) - Math.min(...tops) > 4) found.add(word[0]);
    }
  }
  return [...found];
}"""
"""Words that a line break divides."""

EMPTY = """() => [...document.querySelectorAll("main .card")]
  .filter((one) => one.checkVisibility() && one.innerText.trim().length < 3)
  .map((one) => one.outerHTML.slice(0, 80))"""
"""Cards without any text."""

TOO_WIDE = """() => {
  for (const one of document.querySelectorAll(".figures dd > small, .summary dd > small"))
    one.textContent = one.textContent.replace(/^[0-9,]+(?= ×|$)/, "123,456");
  // Between two figures there are 16 pixels.
  return [...document.querySelectorAll(".figures dd, .summary dd")]
    .filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth + 12)
    .map((one) => one.innerText);
}"""
"""Figures that reach over the next one with large numbers."""

HIDDEN_TABS = """() => [...document.querySelectorAll(".tabs a")]
  .filter((one) => one.getBoundingClientRect().right > innerWidth)
  .map((one) => one.innerText)"""
"""Tabs that are out of sight."""

INVISIBLE = """() => {
  const colours = (one) => [getComputedStyle(one).fill, getComputedStyle(one).stroke];
  const paper = getComputedStyle(document.body).backgroundColor;
  return [...document.querySelectorAll("main svg path, main svg rect, main svg line")]
    .filter((one) => one.checkVisibility() && !one.closest(".hits, [aria-hidden]"))
    .filter((one) => colours(one).every((one) => one === "none" || one === paper
      || one === "rgba(0, 0, 0, 0)"))
    .map((one) => one.outerHTML.slice(0, 80));
}"""
"""Parts of charts that have no colour of their own."""

PIXEL = """(element, [of, behind]) => {
  const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const isClear = (one) => /^(transparent|rgba\\(0, 0, 0, 0\\))$/.test(getComputedStyle(one)[of]);
  while (behind && element.parentElement && isClear(element)) element = element.parentElement;
  brush.fillStyle = getComputedStyle(element)[of];
  brush.fillRect(0, 0, 1, 1);
  return [...brush.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""
"""A colour of an element in sRGB; if `behind`, of the first one around it that has one."""

FIELDS = "main :is(select, textarea, input:not([type=hidden], [type=checkbox], [type=radio]))"
CONTROLS = "button:not([aria-hidden]), header nav, input[type=search]"
BUTTONS = ":is(main, header) :is(.button, .segments a, .tabs a, thead a, nav a)"
DEUTERANOPIA = (
    (0.367322, 0.860646, -0.227968),
    (0.280085, 0.672501, 0.047413),
    (-0.011820, 0.042940, 0.968881),
)
"""Linear sRGB as people without green cones see it (Machado, Oliveira and Fernandes, 2009)."""


def linear(pixel: Sequence[int]) -> list[float]:
    """Linear sRGB of a pixel."""
    parts = [part / 255 for part in pixel]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one: Sequence[int], other: Sequence[int]) -> float:
    """The contrast of two pixels, as in WCAG 2.2."""
    weights = (0.2126, 0.7152, 0.0722)
    dark, bright = sorted(
        sum(weight * part for weight, part in zip(weights, linear(pixel), strict=True))
        for pixel in (one, other)
    )
    return (bright + 0.05) / (dark + 0.05)


def without_green_cones(pixel: Sequence[int]) -> list[int]:
    """A pixel as a deuteranope sees it."""
    seen = [
        sum(weight * part for weight, part in zip(row, linear(pixel), strict=True))
        for row in DEUTERANOPIA
    ]
    clipped = [min(max(part, 0.0), 1.0) for part in seen]
    return [
        round(255 * (12.92 * part if part <= 0.0031308 else 1.055 * part ** (1 / 2.4) - 0.055))
        for part in clipped
    ]


@pytest.fixture(scope="session")
def addresses(shop: Server, session_cookie: Any) -> Mapping[str, str]:
    """The address of each kind of page by its name, one of each that shows a single thing."""
    call(shop, f"/orders/{UNLUCKY}")
    cookies = {session_cookie["name"]: session_cookie["value"]}
    found = {page or "overview": f"{shop.url}/lens/{page}" for page in PAGES}
    with httpx.Client(base_url=shop.url, cookies=cookies, timeout=60) as client:
        for kind in DETAILS:
            for _ in range(20):
                text = client.get(f"/lens/{kind}").text
                if links := re.findall(rf'href="(/lens/{kind}/\w+)', text):
                    found[f"one of {kind}"] = f"{shop.url}{links[0]}"
                    break
    assert len(found) == len(PAGES) + len(DETAILS)
    return found


@pytest.fixture
def visited(page: Page, session_cookie: Any, page_watch: PageWatch) -> Page:
    """A page of somebody who has signed in, before it goes anywhere."""
    page.context.add_cookies([session_cookie])
    return page


def one_of_each_kind(page: Page) -> Mapping[str, Locator]:
    """The first visible button or link of each class, by its class or that of what it is in."""
    found: dict[str, Locator] = {}
    for button in page.locator(BUTTONS).locator("visible=true").all():
        css = button.evaluate("one => one.className || one.parentElement.className")
        found.setdefault(css, button)
    return found


def test_nothing_is_cut_off_broken_or_empty(addresses: Mapping[str, str], visited: Page) -> None:
    wrong: list[str] = []
    for name, address in addresses.items():
        visited.goto(address)
        for width in WIDTHS:
            visited.set_viewport_size({"width": width, "height": 900})
            for what, script in (
                *(("cut", CLIPPED), ("broken", BROKEN), ("empty", EMPTY)),
                *(("out of sight", HIDDEN_TABS), ("too wide", TOO_WIDE)),
            ):
                wrong += [f"{name}, {width}, {what}: {one}" for one in visited.evaluate(script)]
            if visited.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{name}, {width}: wider than the screen")
    assert not wrong, "\n".join(wrong)


def test_a_phone_shows_the_time_of_each_request_and_exception(
    addresses: Mapping[str, str], visited: Page
) -> None:
    visited.set_viewport_size({"width": 390, "height": 844})
    for name in ("requests", "exceptions"):
        visited.goto(addresses[name])
        rows, times = (visited.locator(f"#lens-rows {one}") for one in ("tr", "time"))
        assert times.locator("visible=true").count() == rows.count() > 0


def test_wide_spacing_of_text_cuts_nothing_off(addresses: Mapping[str, str], visited: Page) -> None:
    wrong: list[str] = []
    for name, address in addresses.items():
        visited.goto(address)
        visited.evaluate(SPACE)
        for width in (1440, 390):
            visited.set_viewport_size({"width": width, "height": 900})
            wrong += [f"{name}, {width}: {one}" for one in visited.evaluate(CLIPPED)]
            if visited.evaluate("document.documentElement.scrollWidth > innerWidth"):
                wrong.append(f"{name}, {width}: wider than the screen")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_fields_and_hovered_buttons_can_be_seen(
    addresses: Mapping[str, str], visited: Page, scheme: Any
) -> None:
    visited.emulate_media(color_scheme=scheme)
    wrong: list[str] = []
    for name, address in addresses.items():
        visited.goto(address)
        wrong += [
            f"{name}: field {field.get_attribute('name')}"
            for field in visited.locator(FIELDS).locator("visible=true").all()
            if field.evaluate(CONTRAST, ["borderTopColor", "backgroundColor"]) < 3
        ]
        for css, button in one_of_each_kind(visited).items():
            button.hover()
            text, behind = (
                button.evaluate(PIXEL, of) for of in (["color", False], ["backgroundColor", True])
            )
            if contrast(text, behind) < 4.5:
                wrong.append(f"{name}: hovered {css}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colours_leave_charts_visible(
    addresses: Mapping[str, str], visited: Page, scheme: Any
) -> None:
    visited.emulate_media(forced_colors="active", color_scheme=scheme)
    wrong: list[str] = []
    for name, address in addresses.items():
        visited.goto(address)
        wrong += [f"{name}: {one}" for one in visited.evaluate(INVISIBLE)]
        for current in visited.locator("[aria-current]").locator("visible=true").all():
            style = current.evaluate(
                "one => getComputedStyle(one).textDecorationLine"
                " + getComputedStyle(one).borderBottomWidth"
            )
            if "underline" not in style and "2px" not in style:
                wrong.append(f"{name}: {current.inner_text()} does not look chosen")
    assert not wrong, "\n".join(wrong)


def test_on_paper_there_are_the_charts_and_no_controls(
    addresses: Mapping[str, str], visited: Page
) -> None:
    visited.emulate_media(media="print", color_scheme="dark")
    wrong: list[str] = []
    for name, address in addresses.items():
        visited.goto(address)
        wrong += [
            f"{name}: {control.evaluate('one => one.outerHTML')[:80]}"
            for control in visited.locator(CONTROLS).locator("visible=true").all()
        ]
        wrong += [
            f"{name}: a card that is not white"
            for card in visited.locator("main .card").locator("visible=true").all()
            if card.evaluate(PIXEL, ["backgroundColor", False]) != [255, 255, 255]
        ]
        wrong += [f"{name}: {one}" for one in visited.evaluate(INVISIBLE)]
    assert not wrong, "\n".join(wrong)


def test_a_skip_link_leads_to_each_table(addresses: Mapping[str, str], visited: Page) -> None:
    wrong: list[str] = []
    for name in (*LISTS, "settings"):
        visited.goto(addresses[name])
        # The first one leads to the content, the second of the settings to the rules.
        for _ in range(3 if name == "settings" else 2):
            visited.keyboard.press("Tab")
        visited.keyboard.press("Enter")
        # What scrolls takes the focus itself.
        if not visited.evaluate("document.activeElement.role === 'region'"):
            visited.keyboard.press("Tab")
        if not visited.evaluate("!!document.activeElement.closest('tbody, [role=region]')"):
            wrong.append(f"{name}: {visited.evaluate('document.activeElement.outerHTML')[:80]}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_4xx_and_5xx_differ_in_shape_and_for_colour_blind_readers(
    addresses: Mapping[str, str], visited: Page, scheme: Any
) -> None:
    visited.emulate_media(color_scheme=scheme)
    visited.goto(addresses["overview"])
    pairs = [("stroke", ".plot > .e4", ".plot > .e5"), ("fill", ".plot > .c4", ".plot > .c5")]
    for of, *both in pairs:
        client, server = (visited.locator(one).first for one in both)
        pixels = [one.evaluate(PIXEL, [of, False]) for one in (client, server)]
        assert contrast(*map(without_green_cones, pixels)) > 1.5
        # Each can be seen on its card.
        card = client.evaluate(PIXEL, ["backgroundColor", True])
        assert min(contrast(pixel, card) for pixel in pixels) >= 3
    dash = "one => getComputedStyle(one).strokeDasharray"
    dashes = [visited.locator(one).first.evaluate(dash) for one in pairs[0][1:]]
    assert dashes == ["6px, 4px", "none"]
