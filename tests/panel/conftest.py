"""A browser for the panel's tests: Debian's chromium, which plays H.264, driven by Playwright."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.conftest import leave_out
from tests.panel.scene import Scene, scene
from tests.panel.visitor import PATIENCE

PASSWORD = "correct horse battery"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def chromium() -> str:
    found = shutil.which("chromium")
    if not found:
        leave_out("chromium is not installed (apt-get install chromium)")
    assert found
    return found


@pytest.fixture(scope="package")
def busy(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A gateway that has been at work."""
    with scene(tmp_path_factory.mktemp("scene")) as found:
        yield found


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """One for a file: Playwright keeps an event loop of its own going, in which no other can be started."""
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(ARGUMENTS))
        yield opened
        opened.close()
