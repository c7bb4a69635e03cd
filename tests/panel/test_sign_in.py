"""Signing in as people do, in a browser: with a second factor, which is turned on in the settings."""

from collections.abc import Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Browser, expect

from tests.panel.conftest import PASSWORD
from tests.panel.panel_page import PHONE, PanelPage, open_panel
from tests.serving import GatewayProcess

WORDS = {
    "en": {"sign in": "Sign in", "on": "Turn on the second factor", "next": "Next", "copy": "Copy"},
    "zh": {"sign in": "登录", "on": "开启两步验证", "next": "下一步", "copy": "复制"},
}
LOOKS = [("en", 1280, "light"), ("zh", PHONE, "dark")]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    yield from _started(tmp_path)


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[GatewayProcess]:
    yield from _started(tmp_path, FILMGATE_ADMIN_TOTP="required")


def _started(folder: Path, **settings: str) -> Iterator[GatewayProcess]:
    with GatewayProcess(folder, FILMGATE_STUDIO="off", FILMGATE_ADMIN_PASSWORD=PASSWORD, **settings) as found:
        yield found


def _turn_on(panel: PanelPage, words: dict[str, str]) -> list[str]:
    """From the button to the recovery codes, which it returns; with an app that reads the key below the picture."""
    panel.button(words["on"]).click()
    panel.dialog.locator("input[name=password]").fill(PASSWORD)
    panel.button(words["next"], within=panel.dialog).click()
    expect(panel.dialog.locator("svg.qr path")).to_be_visible()
    assert panel.overflow_pixels() <= 0
    app = pyotp.TOTP(panel.dialog.locator("button.copy .clip").inner_text())
    panel.dialog.locator("input[name=code]").fill(app.now())
    panel.button(words["on"], within=panel.dialog).click()
    codes = panel.dialog.locator("#recovery-codes pre")
    expect(codes).to_be_visible()
    assert panel.overflow_pixels() <= 0
    return codes.inner_text().split()


def _type_password(panel: PanelPage, words: dict[str, str]) -> None:
    panel.page.goto("/admin/")
    panel.page.locator("input[name=password]").fill(PASSWORD)
    panel.button(words["sign in"]).click()


@pytest.mark.parametrize(("lang", "width", "theme"), LOOKS)
def test_a_second_factor_is_turned_on_and_then_asked_for(
    gateway: GatewayProcess, browser: Browser, lang: str, width: int, theme: str
) -> None:
    words = WORDS[lang]
    with open_panel(browser, gateway.url, lang=lang, width=width, theme=theme) as panel:
        panel.sign_in("admin", PASSWORD)
        panel.open("settings/mine")
        codes = _turn_on(panel, words)
        assert len(codes) == 10
        # What is shown once stays: a click beside it closes nothing, Esc asks first.
        panel.page.mouse.click(5, 5)
        expect(panel.page.locator("dialog[open]")).to_have_count(1)
        panel.page.keyboard.press("Escape")
        expect(panel.page.locator("dialog[open]")).to_have_count(2)
        panel.page.keyboard.press("Escape")
        expect(panel.page.locator("dialog[open]")).to_have_count(1)
        panel.button(words["copy"], within=panel.dialog).click()
        expect(panel.dialog.locator("#recovery-codes button svg")).to_be_visible()
        assert panel.page.evaluate("navigator.clipboard.readText()").split() == codes
        panel.dialog.locator(".feet button.main").click()
        expect(panel.page.locator("#second-factor .badge.good")).to_be_visible()
    with open_panel(browser, gateway.url, lang=lang, width=width, theme=theme) as panel:
        _type_password(panel, words)
        code = panel.page.locator("input[name=code]")
        expect(code).to_be_focused()
        expect(panel.page.locator("input[name=password]")).to_have_count(0)
        expect(panel.page.locator("code")).to_contain_text("filmgate admin reset-totp admin")
        assert panel.overflow_pixels() <= 0
        code.fill("000000-wrong")
        panel.button(words["sign in"]).click()
        expect(panel.page.get_by_role("alert")).to_be_visible()
        code.fill(codes[0])
        panel.button(words["sign in"]).click()
        panel.wait_until_loaded()
        panel.problems[:] = [problem for problem in panel.problems if " 401 " not in problem]


def test_where_it_is_required_the_panel_opens_when_it_is_on(strict: GatewayProcess, browser: Browser) -> None:
    with open_panel(browser, strict.url) as panel:
        _type_password(panel, WORDS["en"])
        expect(panel.page.locator("#factor-gate h1")).to_have_text("A second factor is needed")
        expect(panel.page.locator("#side")).to_have_count(0)
        _turn_on(panel, WORDS["en"])
        with panel.page.expect_download() as saved:
            panel.button("Save as a file", within=panel.dialog).click()
        assert len(Path(saved.value.path()).read_text().split()) == 10
        panel.button("I have kept them", within=panel.dialog).click()
        panel.wait_until_loaded()
        expect(panel.page.locator("#side")).to_be_visible()


def test_a_session_that_ends_is_continued_with_a_code(gateway: GatewayProcess, browser: Browser) -> None:
    with open_panel(browser, gateway.url) as panel:
        panel.sign_in("admin", PASSWORD)
        panel.open("settings/mine")
        codes = _turn_on(panel, WORDS["en"])
        panel.button("I have kept them", within=panel.dialog).click()
        panel.page.context.clear_cookies()
        panel.page.locator("#second-factor button").first.click()
        panel.dialog.locator("input[name=password]").fill(PASSWORD)
        panel.dialog.locator("button[type=submit]").click()
        again = panel.page.locator("#sign-in-again")
        again.locator("input[name=password]").fill(PASSWORD)
        again.locator("button[type=submit]").click()
        again.locator("input[name=code]").fill(codes[1])
        again.locator("button[type=submit]").click()
        expect(again).to_have_count(0)
        panel.problems[:] = [problem for problem in panel.problems if " 401 " not in problem]


def test_an_owner_turns_the_second_factor_of_an_admin_off(gateway: GatewayProcess, browser: Browser) -> None:
    with open_panel(browser, gateway.url) as panel:
        panel.sign_in("admin", PASSWORD)
        panel.open("settings/mine")
        _turn_on(panel, WORDS["en"])
        panel.button("I have kept them", within=panel.dialog).click()
        panel.open("settings/people")
        row = panel.page.locator("tbody tr", has_text="admin")
        expect(row).to_contain_text("yes")
        row.get_by_role("button").click()
        panel.page.get_by_role("menuitem", name="Turn off the second factor").click()
        panel.button("Turn off the second factor", within=panel.dialog).click()
        expect(row).to_contain_text("no")
