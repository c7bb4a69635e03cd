"""Pages of the panel: what they show of foreign text, and what they need of a browser."""

import re

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.panel.addresses import all_addresses
from tests.panel.busy_gateway import BusyGateway
from tests.panel.conftest import PASSWORD
from tests.panel.panel_page import PHONE, check_page, open_panel

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
WIDTHS = (1280, PHONE)
CHINESE = re.compile("[一-鿿]")
PAYLOADS = (
    "<img src=x onerror=\"document.title='taken'\">",
    "</textarea><script>document.title='taken'</script>",
    "javascript:document.title='taken'",
    '"><svg onload=document.title="taken">{{7*7}}${7*7}',
)


def test_script_in_names_and_prompts_is_text(busy: BusyGateway, browser: Browser) -> None:
    with open_panel(browser, busy.gateway.url) as panel:
        panel.sign_in("admin", PASSWORD)
        page = panel.page
        for payload in PAYLOADS:
            for where in _addresses_with_payload(busy, payload):
                panel.open(where)
                expect(page.get_by_text(payload, exact=True).last).to_be_visible()
                assert "taken" not in page.title()
                assert page.locator("main script, main svg[onload], main img[onerror]").count() == 0
        panel.open("logs?tab=audit")
        assert "taken" not in page.title()


def _addresses_with_payload(busy: BusyGateway, payload: str) -> list[str]:
    """Create a task, a key and an account with this text; returns the addresses that show it."""
    owner = busy.owner
    task = owner.post("/playground", status=201, json={"model": "sora-2", "prompt": payload, "seconds": 4})
    key = owner.post("/keys", status=201, json={"name": payload, "note": payload})
    shape = {
        "provider": "openai_compatible",
        "base_url": f"{busy.upstream.url}/v1",
        "models": {"nothing": "x"},
    }
    account = owner.post("/accounts", status=201, json=shape | {"name": payload, "note": payload})
    return ["tasks", f"tasks/{task['id']}", f"keys/{key['id']}", f"accounts/{account['id']}"]


def test_keyboard_shortcuts(busy: BusyGateway, browser: Browser) -> None:
    with open_panel(browser, busy.gateway.url) as panel:
        panel.sign_in("admin", PASSWORD)
        panel.open("tasks")
        keys, search = panel.page.keyboard, panel.page.locator("input[type=search]")
        keys.press("/")
        expect(search).to_be_focused()
        keys.type("forbidden?")  # `?` is typed here, and asks for nothing
        expect(panel.page.locator("dialog[open]")).to_have_count(0)
        keys.press("Backspace")
        expect(panel.page.locator("tr[data-id]")).to_have_count(1)
        expect(panel.page).to_have_url(re.compile("q=forbidden$"))
        keys.press("Escape")
        expect(search).not_to_be_focused()
        keys.press("?")
        expect(panel.dialog).to_contain_text("Keyboard")
        keys.press("Escape")
        expect(panel.page.locator("dialog[open]")).to_have_count(0)
        keys.press("g")
        keys.press("a")
        expect(panel.page.get_by_role("heading", name="Accounts", exact=True)).to_be_visible()
        panel.wait_until_loaded()
        row = panel.page.locator("tr[data-id]").first
        row.focus()
        keys.press("Enter")
        expect(panel.dialog).to_be_visible()
        keys.press("Escape")
        expect(panel.page.locator("dialog[open]")).to_have_count(0)
        expect(row).to_be_focused()


def test_a_viewer_sees_all_and_changes_nothing(busy: BusyGateway, browser: Browser) -> None:
    busy.owner.post("/admins", status=201, json={"name": "looker", "role": "viewer", "password": PASSWORD})
    with open_panel(browser, busy.gateway.url) as panel:
        panel.sign_in("looker", PASSWORD)
        # A viewer searches for ids only: whoever can search prompts can read them.
        for where in (one for one in all_addresses(busy) if "q=" not in one):
            panel.open(where)
            check_page(panel, lang="en")
            assert _changing_buttons(panel.page.locator("body")) == [], where


def _changing_buttons(where: Locator) -> list[str]:
    """Buttons that change something."""
    writes = r"^(Add (?!shot)|Import|Create|New character|Save|Delete|Cancel$|Retry|Disable|Enable|Drain|Rotate|Revoke|Clear cooldown|Send again)"
    names = where.get_by_role("button").all_inner_texts()
    return [name for name in names if re.match(writes, name.strip())]
