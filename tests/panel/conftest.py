"""A browser for the panel's tests: Debian's chromium, which plays H.264, driven by Playwright."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.conftest import leave_out
from tests.panel.busy_gateway import BusyGateway, start_busy_gateway
from tests.panel.panel_page import PATIENCE

PASSWORD = "correct horse battery"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="package")
def chromium() -> str:
    found = shutil.which("chromium")
    if not found:
        leave_out("chromium is not installed (apt-get install chromium)")
    assert found
    return found


@pytest.fixture(scope="package")
def busy(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BusyGateway]:
    """A gateway with data for every page."""
    with start_busy_gateway(tmp_path_factory.mktemp("scene")) as found:
        yield found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One for each file: Playwright keeps an event loop running, which prevents starting another one."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield opened
        opened.close()
