"""Screenshots of every page, light, dark and in Chinese: ``make screenshots`` (needs chromium).

All are written to docs/screenshots/all/, which git ignores; four small ones are kept one folder above.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from tests.panel.busy_gateway import PROMPTS, BusyGateway, start_busy_gateway
from tests.panel.conftest import ARGUMENTS, PASSWORD
from tests.panel.panel_page import PHONE, PanelPage, open_panel
from tests.serving import until

FOLDER = Path(__file__).parent.parent.parent / "docs" / "screenshots"
LOOKS = {"light": ("en", "light"), "dark": ("en", "dark"), "zh": ("zh", "light")}
PAGES = (
    "overview",
    "films",
    "tasks",
    "accounts",
    "models",
    "models?tab=routes",
    "models?tab=why&model=sora-2",
    "keys",
    "characters",
    "webhooks",
    "logs",
    "logs?tab=audit",
    "settings/delivery",
    "settings/notices",
    "settings/backup",
    "playground",
)
BEST = {
    "overview": "overview-light",
    "accounts": "accounts-light",
    "task": "task-dark",
    "playground": "playground-zh",
}


def main() -> None:
    chromium = shutil.which("chromium")
    if not chromium:
        raise SystemExit("This needs chromium: apt-get install chromium fonts-noto-cjk")
    every = FOLDER / "all"
    every.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as name,
        start_busy_gateway(Path(name), films=len(PROMPTS)) as found,
        sync_playwright() as playwright,
    ):
        until(lambda: found.owner.get("/overview")["storage"]["files"])  # counted at the first look
        browser = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        for look in LOOKS:
            take_screenshots(browser, found, every, look)
        browser.close()
    for name, source in BEST.items():
        save_as_webp(every / f"{source}.png", FOLDER / f"{name}.webp")


def take_screenshots(browser: Browser, found: BusyGateway, folder: Path, look: str) -> None:
    lang, theme = LOOKS[look]
    film = next(one for one in found.owner.get("/tasks")["data"] if one["model"] == "studio")
    cooling = found.account("reseller-b")["id"]
    with open_panel(browser, found.gateway.url, lang=lang, theme=theme) as panel:
        panel.sign_in("admin", PASSWORD)
        for where in (f"tasks/{film['id']}", f"accounts/{cooling}", *PAGES):
            take_screenshot(panel, where, folder, look)
    with open_panel(browser, found.gateway.url, lang=lang, theme=theme, width=PHONE) as panel:
        panel.sign_in("admin", PASSWORD)
        for where in ("overview", "tasks", "accounts", "playground"):
            take_screenshot(panel, where, folder, f"phone-{look}")


def take_screenshot(panel: PanelPage, where: str, folder: Path, look: str) -> None:
    page = panel.page
    panel.open(where)
    if where == "playground":
        _fill_playground(panel)
    # Pictures and charts appear a moment later; a player shows a loading indicator at first.
    page.wait_for_timeout(1500 if page.locator("video").count() else 600)
    drawer = re.match(r"(task|account)s/", where)
    name = drawer[1] if drawer else re.sub(r"\W+", "-", where.split("&")[0])
    page.screenshot(path=folder / f"{name}-{look}.png")


def _fill_playground(panel: PanelPage) -> None:
    """A playground in use; its video is the last one that the studio made."""
    page = panel.page
    page.locator("[name=model]").select_option("studio")
    page.locator("[name=prompt]").fill(PROMPTS[2])
    page.locator("[name=seconds]").select_option("4")
    page.locator("[name=size]").fill("1280x720")
    page.locator("button[type=submit]").click()
    page.locator("[data-state=completed]").wait_for(timeout=120_000)


def save_as_webp(source: Path, target: Path) -> None:
    """As a small file for the documentation."""
    with Image.open(source) as picture:
        picture.convert("RGB").save(target, quality=90, method=6)


if __name__ == "__main__":
    sys.exit(main())
