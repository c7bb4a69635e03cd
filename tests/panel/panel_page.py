"""The panel in a browser context that records every error, warning and outside request."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

PHONE = 390
HEIGHTS = {PHONE: 844}
PATIENCE = 60_000
"""Milliseconds after which an expectation fails; a slow machine needs them."""
# Violations of the content security policy, which Playwright does not report.
LISTEN = """document.addEventListener('securitypolicyviolation', (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""
FAILURE_SCREENSHOT = Path(tempfile.gettempdir()) / "filmgate-panel.png"
"""The page at the moment of a failed test."""
CHINESE = re.compile("[一-鿿]")
PREFER = """for (const [name, value] of Object.entries(%s))
  if (localStorage.getItem(name) === null) localStorage.setItem(name, value)"""


class PanelPage:
    def __init__(self, page: Page, base: str, width: int) -> None:
        self.page = page
        self.base = base
        self.width = width
        self.problems: list[str] = []
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.problems.append(f"{page.url}: {error}"))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            source = message.location["url"]
            self.problems.append(f"{self.page.url}: {message.type}: {message.text} ({source})")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:", f"blob:{self.base}")):
            self.problems.append(f"{self.page.url}: outside request: {request.url}")

    def sign_in(self, name: str, password: str) -> None:
        answer = self.page.request.post("/admin/api/session", data={"name": name, "password": password})
        assert answer.ok, answer.text()

    def open(self, where: str) -> None:
        """Open a page by its address and wait for its data."""
        self.page.goto(f"/admin/#/{where}")
        self.wait_until_loaded()

    def go_to(self, page: str) -> None:
        """Open a page through the menu."""
        if self.width <= PHONE:
            self.page.locator(".topbar button").click()
        self.page.locator(f'#side a[href="#/{page}"]').click()
        expect(self.page.locator(f"#main[data-page={page}] .page")).to_be_visible()
        self.wait_until_loaded()

    def wait_until_loaded(self) -> None:
        expect(self.page.locator("#main .page").first).to_be_visible()
        expect(self.page.locator("[aria-busy=true]")).to_have_count(0)

    def button(self, name: str | re.Pattern[str], *, within: Locator | None = None) -> Locator:
        return (within or self.page).get_by_role("button", name=name, exact=True)

    @property
    def dialog(self) -> Locator:
        """The topmost dialog."""
        return self.page.locator("dialog[open]").last

    def expect_toast(self, text: str | re.Pattern[str]) -> None:
        """Wait for a toast with this text, then close it."""
        toast = self.page.locator(".toast", has_text=text).last
        expect(toast).to_be_visible()
        toast.get_by_role("button").last.click()

    def overflow_pixels(self) -> int:
        """By how many pixels the page or a dialog is wider than its viewport."""
        wide: int = self.page.evaluate(
            "Math.max(...[document.documentElement, ...document.querySelectorAll('dialog[open]')]"
            ".map((one) => one.scrollWidth - one.clientWidth))"
        )
        return wide


@contextmanager
def open_panel(
    browser: Browser,
    base: str,
    *,
    width: int = 1280,
    lang: str = "en",
    theme: str = "light",
    touch: bool = False,
) -> Iterator[PanelPage]:
    """Asserts at the end that no problem was recorded."""
    settings: dict[str, Any] = {"width": width, "height": HEIGHTS.get(width, 820)}
    context = browser.new_context(
        viewport=settings,  # type: ignore[arg-type]
        base_url=base,
        locale="en-GB",
        reduced_motion="reduce",
        has_touch=touch,
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script(LISTEN)
    preferred = str({"filmgate.lang": lang, "filmgate.theme": theme})
    context.add_init_script(PREFER % preferred)
    panel = PanelPage(context.new_page(), base, width)
    try:
        yield panel
    except BaseException:
        panel.page.screenshot(path=FAILURE_SCREENSHOT)
        raise
    finally:
        context.close()
    assert panel.problems == [], panel.problems


def check_page(panel: PanelPage, *, lang: str) -> None:
    """Nothing sticks out, nothing is empty that should say something, and the heading is in the language."""
    page = panel.page
    expect(page.locator(".trouble")).to_have_count(0)
    assert panel.overflow_pixels() <= 0, page.url
    shown = page.locator("main").inner_text() + " ".join(page.locator("dialog[open]").all_inner_texts())
    assert not re.search(r"\b(NaN|undefined|\[object)\b", shown), (page.url, shown)
    if lang == "zh":
        heading = page.locator("main h1").inner_text()
        assert CHINESE.search(heading), (page.url, heading)
