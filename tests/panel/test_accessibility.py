"""Every page and form in six variants: no errors, no overflow, nothing that axe-core finds; and all by the keyboard alone."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import leave_out
from tests.node_packages import has_node, install_packages
from tests.panel.addresses import FORMS, all_addresses, shows_drawer
from tests.panel.busy_gateway import BusyGateway
from tests.panel.conftest import PASSWORD
from tests.panel.dictionary import PANEL, words
from tests.panel.panel_page import PHONE, PanelPage, check_page, open_panel
from tests.panel.vendoring import VENDOR

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
NODE = Path(__file__).parent / "node"
VARIANTS = (
    ("en", "light", 1280),
    ("en", "dark", 1280),
    ("zh", "light", 1280),
    ("zh", "dark", 1280),
    ("en", "light", PHONE),
    ("zh", "dark", PHONE),
)
FIND = """async () => (await axe.run(document)).violations.flatMap((rule) => rule.nodes.map(
  (node) => `${rule.id}: ${node.target.join(' ')} ${node.failureSummary.split('\\n')[1]}`))"""


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, to be run in a page. It is not part of the panel."""
    if not has_node():
        leave_out("Node.js and npm are not installed")
    install_packages(NODE)
    return (NODE / "node_modules" / "axe-core" / "axe.min.js").read_text()


def findings(page: Page, axe: str) -> list[str]:
    page.evaluate(axe)
    found: list[str] = page.evaluate(FIND)
    return [f"{page.url}: {one}" for one in found]


@pytest.mark.parametrize(("lang", "theme", "width"), VARIANTS)
def test_nothing_is_wrong_on_any_page(
    busy: BusyGateway, browser: Browser, axe: str, lang: str, theme: str, width: int
) -> None:
    found: list[str] = []
    with open_panel(browser, busy.gateway.url, lang=lang, theme=theme, width=width) as panel:
        panel.page.goto("/admin/")
        expect(panel.page.locator("[name=password]")).to_be_visible()
        found += findings(panel.page, axe)
        panel.sign_in("admin", PASSWORD)
        panel.page.reload()
        for where in all_addresses(busy):
            panel.open(where)
            if shows_drawer(where):
                expect(panel.dialog).to_be_visible()
            check_page(panel, lang=lang)
            found += findings(panel.page, axe)
        expect(panel.page.locator("html")).to_have_attribute("data-theme", theme)
        for where, opener in FORMS:
            found += form_findings(panel, axe, where=where, opener=words(lang)[opener], lang=lang)
    assert found == [], "\n".join(found)


def form_findings(panel: PanelPage, axe: str, *, where: str, opener: str, lang: str) -> list[str]:
    panel.open(where)
    panel.button(opener).first.click()
    expect(panel.dialog).to_be_visible()
    for more in panel.dialog.locator("summary").all():
        more.click()
    check_page(panel, lang=lang)
    found = findings(panel.page, axe)
    panel.page.keyboard.press("Escape")
    expect(panel.page.locator("dialog[open]")).to_have_count(0)
    return found


@pytest.fixture
def panel(busy: BusyGateway, browser: Browser) -> Iterator[PanelPage]:
    with open_panel(browser, busy.gateway.url) as found:
        found.sign_in("admin", PASSWORD)
        yield found


def test_the_first_tab_stop_skips_the_menu(panel: PanelPage) -> None:
    panel.open("accounts")
    panel.page.keyboard.press("Tab")
    skip = panel.page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_visible()
    panel.page.keyboard.press("Enter")
    expect(panel.page.locator("#main")).to_be_focused()
    expect(panel.page.get_by_role("heading", name="Accounts", exact=True)).to_be_visible()
    panel.page.keyboard.press("Tab")
    assert panel.page.evaluate("document.activeElement.closest('#main') !== null")


@pytest.mark.parametrize(
    ("where", "names"), [("models", ["Models", "Routes"]), ("logs", ["Requests", "Usage"])]
)
def test_arrows_move_between_tabs(panel: PanelPage, where: str, names: list[str]) -> None:
    panel.open(where)
    first, second = (panel.page.get_by_role("tab", name=name, exact=True) for name in names)
    last = panel.page.get_by_role("tab").last
    first.focus()
    panel.page.keyboard.press("ArrowRight")
    expect(second).to_be_focused()
    expect(second).to_have_attribute("aria-selected", "true")
    expect(panel.page.get_by_role("tabpanel", name=names[1], exact=True)).to_be_visible()
    panel.page.keyboard.press("End")
    expect(last).to_be_focused()
    panel.page.keyboard.press("ArrowRight")
    expect(first).to_be_focused()
    panel.page.keyboard.press("ArrowLeft")
    expect(last).to_be_focused()
    panel.page.keyboard.press("Home")
    expect(first).to_be_focused()
    expect(panel.page.locator("[role=tab][tabindex='0']")).to_have_count(1)


@pytest.mark.parametrize(("where", "opener"), FORMS)
def test_a_dialog_gives_the_focus_back(panel: PanelPage, where: str, opener: str) -> None:
    panel.open(where)
    button = panel.button(words("en")[opener]).first
    button.focus()
    panel.page.keyboard.press("Enter")
    expect(panel.dialog).to_be_visible()
    assert panel.page.evaluate("document.activeElement.closest('dialog[open]') !== null")
    for _ in range(40):  # more than any form has stops: Tab never leaves the dialog for the page under it
        panel.page.keyboard.press("Tab")
        assert panel.page.evaluate(
            "document.activeElement === document.body || document.activeElement.closest('dialog[open]') !== null"
        )
    panel.page.keyboard.press("Escape")
    expect(panel.page.locator("dialog[open]")).to_have_count(0)
    expect(button).to_be_focused()


@pytest.mark.parametrize("where", ["tasks", "accounts", "keys", "webhooks", "logs?tab=audit"])
def test_rows_open_with_enter(panel: PanelPage, where: str) -> None:
    panel.open(where)
    row = panel.page.locator("tr[data-id]").first
    row.focus()
    panel.page.keyboard.press("Enter")
    expect(panel.dialog).to_be_visible()
    panel.page.keyboard.press("Escape")
    expect(panel.page.locator("dialog[open]")).to_have_count(0)
    expect(row).to_be_focused()


def test_the_menu_of_a_row_is_used_with_the_keyboard(panel: PanelPage) -> None:
    panel.open("accounts")
    row = panel.page.locator("tr[data-id]").filter(has=panel.page.get_by_text("gpu-farm-1", exact=True))
    opener = row.get_by_role("button", name="Actions")
    opener.focus()
    panel.page.keyboard.press("Enter")
    items = panel.page.get_by_role("menuitem")
    expect(items.first).to_be_focused()
    panel.page.keyboard.press("ArrowDown")
    expect(items.nth(1)).to_be_focused()
    panel.page.keyboard.press("Escape")
    expect(items).to_have_count(0)
    expect(opener).to_be_focused()


def test_whatever_is_clicked_can_be_reached_with_the_keyboard() -> None:
    reached = {"button", "a", "summary", "input", "tr"}
    for path in sorted(PANEL.rglob("*.js")):
        if VENDOR in path.parents:
            continue
        text = path.read_text()
        for found in re.finditer(r"onClick=", text):
            tag = re.findall(r"<(\w+|\$\{\w+\})(?=[\s>])", text[: found.start()])[-1]
            stops = text[found.start() :].startswith("onClick=${(event) => event.stopPropagation()}")
            assert tag in reached or tag.startswith("${") or stops, (path.name, tag)
        assert text.count("onClick=${openOn") == text.count("onKeyDown=${openOn"), path.name  # rows


def test_the_chosen_section_is_in_view_on_a_phone(busy: BusyGateway, browser: Browser) -> None:
    with open_panel(browser, busy.gateway.url, width=PHONE) as panel:
        panel.sign_in("admin", PASSWORD)
        panel.open("settings/environment")
        expect(panel.page.locator(".settings nav [aria-current=page]")).to_be_in_viewport()


def test_a_delivery_that_is_sent_again_says_so(panel: PanelPage) -> None:
    panel.open("webhooks")
    rows = panel.page.locator("tr[data-id]", has_text="Failed, sent again")
    expect(rows.first.locator(".badge.warn")).to_be_visible()
