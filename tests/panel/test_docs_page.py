"""The page at /docs, in a browser: it shows every operation, asks nobody else, and the console stays silent."""

from playwright.sync_api import Browser, expect

from tests.panel.busy_gateway import BusyGateway
from tests.panel.panel_page import open_panel


def test_the_description_is_shown_from_this_origin_alone(browser: Browser, busy: BusyGateway) -> None:
    with open_panel(browser, busy.gateway.url) as panel:
        panel.page.context.route(
            "**/*",
            lambda route: (
                route.continue_() if route.request.url.startswith(busy.gateway.url) else route.abort()
            ),
        )
        panel.page.goto("/docs")
        expect(panel.page.locator(".opblock").first).to_be_visible()
        described = panel.page.request.get("/openapi.json").json()["paths"]
        expect(panel.page.locator(".opblock")).to_have_count(
            sum(len(methods) for methods in described.values())
        )
        panel.page.locator(".opblock-summary-path", has_text="/v1/chat/completions").first.click()
        expect(panel.page.locator(".opblock.is-open .opblock-body")).to_be_visible()


def test_a_film_can_be_opened_by_its_link_alone(browser: Browser, busy: BusyGateway) -> None:
    """The policy of files forbids scripts; a browser's own player is none."""
    films = [row for row in busy.owner.get("/tasks?state=completed")["data"] if row["kind"] == "video"]
    link = busy.owner.get(f"/tasks/{films[0]['id']}")["files"][0]["link"]
    page = browser.new_page()
    page.goto(f"{busy.gateway.url}{link}")
    page.wait_for_function("document.querySelector('video')?.readyState > 0")
    page.close()
