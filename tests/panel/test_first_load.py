"""How much the first visit of the panel loads, from the page for signing in to the overview."""

import pytest
from playwright.sync_api import Browser, Request, expect

from tests.panel.busy_gateway import BusyGateway
from tests.panel.conftest import PASSWORD
from tests.panel.panel_page import open_panel

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
MOST = 120_000
"""Bytes, as they pass the wire."""


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_first_load_is_small(busy: BusyGateway, browser: Browser, lang: str) -> None:
    with open_panel(browser, busy.gateway.url, lang=lang) as panel:
        page, loaded = panel.page, list[Request]()
        page.on("requestfinished", lambda request: loaded.append(request))
        page.goto("/admin/")
        page.locator("[name=name]").fill("admin")
        page.locator("[name=password]").fill(PASSWORD)
        page.keyboard.press("Enter")
        panel.wait_until_loaded()
        expect(page.locator(".chart canvas").first).to_be_visible()
        sizes = {request.url: request.sizes()["responseBodySize"] for request in loaded}
        for request in loaded:
            answer = request.response()
            if answer and request.url.endswith((".js", ".css", "/admin/")):
                assert answer.header_value("content-encoding") == "gzip", request.url
    assert len([one for one in sizes if "/i18n/" in one]) == 1
    assert sum(sizes.values()) < MOST, sorted((size, url) for url, size in sizes.items())
