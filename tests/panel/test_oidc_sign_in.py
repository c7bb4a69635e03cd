"""The whole way through a sign-in provider of another site and back, in a browser."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.admin.identity_provider import IdentityProvider
from tests.panel.conftest import PASSWORD
from tests.panel.panel_page import PHONE, PanelPage, open_panel
from tests.serving import GatewayProcess

LOOKS = [("en", 1280, "light"), ("zh", PHONE, "dark")]
SIGN_IN = {"en": "Sign in with Example Login", "zh": "使用 Example Login 登录"}


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    """Of another site than the panel, for which a browser keeps back cookies that are strict."""
    person = {"sub": "u-1", "preferred_username": "ada", "groups": ["finance-team"]}
    with IdentityProvider(host="localhost", shows_page=True, person=person) as found:
        yield found


def started(folder: Path, provider: IdentityProvider, **more: str) -> GatewayProcess:
    own = {
        "FILMGATE_STUDIO": "off",
        "FILMGATE_ADMIN_PASSWORD": PASSWORD,
        "FILMGATE_OUTBOUND_ALLOW": "127.0.0.1/32,localhost",
    }
    return GatewayProcess(folder, **(own | provider.settings(**more)))


@contextmanager
def panel_beside(
    provider: IdentityProvider, browser: Browser, base: str, *, look: tuple[str, int, str] = LOOKS[0]
) -> Iterator[PanelPage]:
    """The provider's page is no problem of the panel's, nor is a refusal that a test brings about."""
    lang, width, theme = look
    with open_panel(browser, base, lang=lang, width=width, theme=theme) as panel:
        yield panel
        expected = (provider.issuer.removesuffix("/realm"), " 401 ", " 403 ")
        panel.problems[:] = [text for text in panel.problems if not any(part in text for part in expected)]


@pytest.mark.parametrize("look", LOOKS)
def test_there_and_back(
    tmp_path: Path, provider: IdentityProvider, browser: Browser, look: tuple[str, int, str]
) -> None:
    with (
        started(tmp_path, provider) as gateway,
        panel_beside(provider, browser, gateway.url, look=look) as panel,
    ):
        panel.page.goto("/admin/")
        expect(panel.page.locator("#oidc")).to_have_text(SIGN_IN[look[0]])
        assert panel.overflow_pixels() <= 0
        panel.page.locator("#oidc").click()
        panel.page.locator("#go").click()
        panel.wait_until_loaded()
        expect(panel.page.locator(".who")).to_have_text("ada")
        panel.page.reload()
        panel.wait_until_loaded()
        panel.open("settings/mine")
        expect(panel.page.locator("input[type=password]")).to_have_count(0)
        # Without a role it is said why, in the language of the page.
        panel.page.locator("#sign-out").dispatch_event("click")
        provider.person["groups"] = ["strangers"]
        panel.page.locator("#oidc").click()
        panel.page.locator("#go").click()
        told = {"en": "None of your groups at Example Login", "zh": "你在 Example Login 中所属的组无权"}
        expect(panel.page.locator("#oidc-problem")).to_contain_text(told[look[0]])
        assert panel.overflow_pixels() <= 0


def test_where_passwords_are_off_the_form_is_for_emergencies(
    tmp_path: Path, provider: IdentityProvider, browser: Browser
) -> None:
    with (
        started(tmp_path, provider, FILMGATE_PASSWORD_SIGN_IN="false") as gateway,
        panel_beside(provider, browser, gateway.url) as panel,
    ):
        panel.page.goto("/admin/")
        expect(panel.page.locator("#oidc")).to_be_visible()
        expect(panel.page.locator("input")).to_have_count(0)
        panel.button("Sign in with a password").click()
        panel.page.locator("input[name=password]").fill(PASSWORD)
        panel.button("Sign in").click()
        expect(panel.page.get_by_role("alert")).to_contain_text("reset-password")


def test_a_session_that_ends_is_continued_in_another_tab(
    tmp_path: Path, provider: IdentityProvider, browser: Browser
) -> None:
    with started(tmp_path, provider) as gateway, panel_beside(provider, browser, gateway.url) as panel:
        panel.page.goto("/admin/")
        panel.page.locator("#oidc").click()
        panel.page.locator("#go").click()
        panel.wait_until_loaded()
        panel.page.context.clear_cookies()
        panel.page.evaluate("location.hash = '#/keys'")
        again = panel.page.get_by_role("link", name=SIGN_IN["en"])
        expect(again).to_be_visible()
        with panel.page.context.expect_page() as opened:
            again.click()
        other = opened.value
        other.locator("#go").click()
        expect(other.locator(".who")).to_have_text("ada")
        other.close()
        panel.page.bring_to_front()
        panel.page.evaluate("dispatchEvent(new Event('focus'))")
        expect(again).to_have_count(0)
        expect(panel.page.locator("#main[data-page=keys] .page")).to_be_visible()
