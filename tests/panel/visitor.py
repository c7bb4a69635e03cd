"""Somebody at the panel: a browser context that notices every fault while it is used."""

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Request, expect

PHONE = 390
HEIGHTS = {PHONE: 844}
PATIENCE = 60_000
"""Milliseconds in which something must show; a slow machine needs them, a test never waits for all of them."""
# What a page does not show by itself: what its policy stopped.
LISTEN = """document.addEventListener('securitypolicyviolation', (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""
FAULT = Path(tempfile.gettempdir()) / "filmgate-panel.png"
"""What was to be seen when a visit broke off."""
PREFER = """for (const [name, value] of Object.entries(%s))
  if (localStorage.getItem(name) === null) localStorage.setItem(name, value)"""


class Visitor:
    def __init__(self, page: Page, base: str, width: int) -> None:
        self.page = page
        self.base = base
        self.width = width
        self.faults: list[str] = []
        page.on("console", lambda message: self._on_console(message.type, message.text))
        page.on("pageerror", lambda error: self.faults.append(f"{page.url}: {error}"))
        page.on("request", self._on_request)

    def _on_console(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.faults.append(f"{self.page.url}: {kind}: {text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.base, "data:", f"blob:{self.base}")):
            self.faults.append(f"{self.page.url}: outside request: {request.url}")

    def sign_in(self, name: str, password: str) -> None:
        answer = self.page.request.post("/admin/api/session", data={"name": name, "password": password})
        assert answer.ok, answer.text()

    def open(self, where: str) -> None:
        """A page by its address, until its data is there."""
        self.page.goto(f"/admin/#/{where}")
        self.wait_until_loaded()

    def go_to(self, page: str) -> None:
        """A page by the menu, as a person goes there."""
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
        """The one on top."""
        return self.page.locator("dialog[open]").last

    def expect_toast(self, text: str | re.Pattern[str]) -> None:
        """A toast says so; it is then put away."""
        toast = self.page.locator(".toast", has_text=text).last
        expect(toast).to_be_visible()
        toast.get_by_role("button").click()

    def overflow_pixels(self) -> int:
        """So many pixels does something stand out to the right."""
        wide: int = self.page.evaluate(
            "Math.max(...[document.documentElement, ...document.querySelectorAll('dialog[open]')]"
            ".map((one) => one.scrollWidth - one.clientWidth))"
        )
        return wide


@contextmanager
def open_visitor(
    browser: Browser, base: str, *, width: int = 1280, lang: str = "en", theme: str = "light"
) -> Iterator[Visitor]:
    """Its faults are told when the visit ends."""
    settings: dict[str, Any] = {"width": width, "height": HEIGHTS.get(width, 820)}
    context = browser.new_context(
        viewport=settings,  # type: ignore[arg-type]
        base_url=base,
        locale="en-GB",
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(PATIENCE)
    context.add_init_script(LISTEN)
    preferred = str({"filmgate.lang": lang, "filmgate.theme": theme})
    context.add_init_script(PREFER % preferred)
    visitor = Visitor(context.new_page(), base, width)
    try:
        yield visitor
    except BaseException:
        visitor.page.screenshot(path=FAULT)
        raise
    finally:
        context.close()
    assert visitor.faults == []
