"""The panel shows each role what it may do, and hides the rest."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.panel.busy_gateway import BusyGateway
from tests.panel.conftest import PASSWORD
from tests.panel.panel_page import PHONE, open_panel


def _add_admin(busy: BusyGateway, role: str) -> str:
    name = f"{role} {len(busy.owner.get('/admins')['data'])}"
    busy.owner.post("/admins", status=201, json={"name": name, "role": role, "password": PASSWORD})
    return name


@pytest.mark.parametrize(("lang", "width"), [("en", 1280), ("zh", PHONE)])
def test_finance_changes_budgets_and_prices(
    busy: BusyGateway, browser: Browser, lang: str, width: int
) -> None:
    name = _add_admin(busy, "finance")
    edit, save, account, amount = {
        "en": ("Change budgets", "Save", "Add account", "33"),
        "zh": ("修改预算", "保存", "添加账号", "44"),
    }[lang]
    key = next(one for one in busy.owner.get("/keys")["data"] if one["name"] == "batch renders")
    with open_panel(browser, busy.gateway.url, lang=lang, width=width) as panel:
        panel.sign_in(name, PASSWORD)
        panel.open(f"keys/{key['id']}")
        buttons = panel.dialog.locator(".row").first.get_by_role("button")
        expect(buttons).to_have_text([edit])
        buttons.click()
        expect(panel.dialog.locator("input")).to_have_count(3)
        panel.dialog.locator("input[name=daily]").fill(amount)
        panel.button(save, within=panel.dialog).click()
        expect(panel.page.get_by_text(re.compile(rf"/ .*{amount}")).first).to_be_visible()
        assert busy.owner.get(f"/keys/{key['id']}")["budget"]["daily"] == amount
        expect(panel.dialog.locator("input")).to_have_count(0)  # else leaving the page asks first
        panel.open("models?tab=prices")
        expect(panel.page.locator("button.main")).to_have_count(1)
        panel.open("models?tab=routes")
        expect(panel.page.locator("button.main")).to_have_count(0)
        panel.open("accounts")
        expect(panel.button(account)).to_have_count(0)
        assert panel.overflow_pixels() <= 0


def test_an_operator_adds_accounts_but_no_admins(busy: BusyGateway, browser: Browser) -> None:
    name = _add_admin(busy, "operator")
    with open_panel(browser, busy.gateway.url) as panel:
        panel.sign_in(name, PASSWORD)
        panel.open("accounts")
        expect(panel.button("Add account").first).to_be_visible()
        panel.open("settings/people")
        expect(panel.page.locator("tbody tr", has_text=name)).to_be_visible()
        expect(panel.button("Add an admin")).to_have_count(0)
        panel.open("settings/backup")
        expect(panel.button("Save", within=panel.page.locator("#main"))).to_have_count(0)


def test_an_owner_changes_a_role(busy: BusyGateway, browser: Browser) -> None:
    name = _add_admin(busy, "viewer")
    with open_panel(browser, busy.gateway.url) as panel:
        panel.sign_in("admin", PASSWORD)
        panel.open("settings/people")
        row = panel.page.locator("tbody tr", has_text=name)
        row.get_by_role("button").click()
        panel.page.get_by_role("menuitem", name="Change role to Finance").click()
        expect(row).to_contain_text("Finance")
