"""What an operator does now and then: to many accounts, to keys, settings, notices, backups; and what is told of it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.panel.conftest import PASSWORD
from tests.panel.visitor import Visitor, open_visitor
from tests.serving import GatewayProcess, until
from tests.webhooks.receiver import Receiver

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def gateway(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("acts")
    with GatewayProcess(folder, FILMGATE_STUDIO="on", FILMGATE_ADMIN_PASSWORD=PASSWORD) as found:
        yield found


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture
def visitor(browser: Browser, gateway: GatewayProcess) -> Iterator[Visitor]:
    with open_visitor(browser, gateway.url) as found:
        found.sign_in("admin", PASSWORD)
        yield found


def saved(page: Page, button: str) -> str:
    with page.expect_download() as started:
        page.get_by_role("button", name=button, exact=True).last.click()
    return Path(started.value.path()).read_text()


def imports(visitor: Visitor, *names: str) -> None:
    visitor.open("accounts")
    visitor.button("Import").first.click()
    dialog = visitor.dialog
    rows = [f"{name},openai_compatible,http://127.0.0.1:9/v1,sk-secret-of-{name}" for name in names]
    dialog.locator("#import-text").fill("\n".join(["name,provider,base_url,secret", *rows]))
    visitor.button("Check", within=dialog).click()
    visitor.button(f"Import {len(names)}", within=dialog).click()
    visitor.button("Close", within=dialog.locator(".feet")).click()


def test_many_accounts_at_once(visitor: Visitor) -> None:
    imports(visitor, "one", "two", "three")
    page = visitor.page
    for name in ("one", "two"):
        row = page.locator("tr[data-id]").filter(has=page.get_by_text(name, exact=True))
        row.get_by_role("checkbox").check()
    bar = page.get_by_role("toolbar")
    expect(bar).to_contain_text("2")
    visitor.button("Drain", within=bar).click()
    visitor.expect_toast("2 of 2 done")
    expect(page.locator("tr[data-id]", has_text="draining")).to_have_count(2)
    page.get_by_label("Any state").select_option("ready")
    expect(page.locator("tr[data-id]")).to_have_count(2)  # three, and the studio


def test_what_is_exported_holds_no_secret_unless_confirmed(visitor: Visitor) -> None:
    imports(visitor, "exported")
    page = visitor.page
    visitor.button("Export").click()
    plain = saved(page, "Export")
    assert "exported" in plain
    assert "sk-secret-of-exported" not in plain
    expect(page.locator("dialog[open]")).to_have_count(0)
    visitor.button("Export").click()
    visitor.dialog.locator("[name=secrets]").check()
    visitor.dialog.locator("[name=password]").fill(PASSWORD)
    assert "sk-secret-of-exported" in saved(page, "Export")


def test_a_key_is_rotated_and_shown_once(visitor: Visitor, gateway: GatewayProcess) -> None:
    visitor.open("keys?add=1")
    visitor.dialog.locator("[name=name]").fill("rotating")
    visitor.button("Create key", within=visitor.dialog).click()
    old = visitor.page.locator("#new-secret pre").inner_text()
    visitor.button("I have saved it", within=visitor.dialog).click()
    row = visitor.page.locator("tr[data-id]", has_text="rotating")
    row.get_by_role("button").click()
    visitor.page.get_by_role("menuitem", name="Rotate").click()
    visitor.button("Rotate", within=visitor.dialog).click()
    expect(visitor.page.locator("#new-secret pre")).not_to_have_text(old)
    new = visitor.page.locator("#new-secret pre").inner_text()
    for key in (old, new):  # the old one for a day
        with gateway.client(key=key) as client:
            assert client.get("/v1/models").status_code == 200
    visitor.page.reload()
    visitor.wait_until_loaded()
    assert new not in visitor.page.content()


def test_notices_are_set_and_tried(visitor: Visitor, receiver: Receiver) -> None:
    visitor.open("settings/notices")
    page = visitor.page
    visitor.button("Add").click()
    page.locator(".panel [name=name]").fill("pager")
    page.locator(".panel [name=url]").fill(receiver.url)
    expect(visitor.button("Test")).to_be_disabled()  # what is tried is what is saved
    visitor.button("Save").click()
    visitor.expect_toast(re.compile("saved", re.IGNORECASE))
    visitor.button("Test").click()
    expect(page.locator("#test-steps .fine")).to_be_visible()
    until(lambda: len(receiver.seen) > 0)


def test_a_wrong_setting_is_told_at_its_field(visitor: Visitor) -> None:
    visitor.open("settings/delivery")
    visitor.button("Add").first.click()
    panel = visitor.page.locator(".panel").last
    panel.locator("[name=name]").fill("mirror")
    panel.locator("[name=url]").fill("nowhere")
    visitor.button("Save").click()
    expect(visitor.page.locator(".trouble")).to_contain_text("resolvers")
    visitor.faults.clear()  # the browser logs the refused request


def test_a_backup_is_taken_and_looked_at_before_it_is_put_back(visitor: Visitor) -> None:
    visitor.open("settings/backup")
    page = visitor.page
    backup = saved(page, "Save a backup")
    json.loads(backup)
    page.locator("input[type=file]").set_input_files(
        {"name": "backup.json", "mimeType": "application/json", "buffer": backup.encode()}
    )
    visitor.button("Check").click()
    expect(page.get_by_role("table", name="Restore").locator("tr[data-id]").first).to_be_visible()
    visitor.button("Restore").click()
    visitor.expect_toast("Restored.")


def test_the_audit_says_what_changed(visitor: Visitor) -> None:
    imports(visitor, "watched")
    page = visitor.page
    page.locator("tr[data-id]", has_text="watched").locator("strong").click()
    drawer = page.locator("dialog.drawer")
    visitor.button("Edit", within=drawer).click()
    visitor.dialog.locator("[name=slots]").fill("7")
    visitor.button("Save", within=visitor.dialog).click()
    expect(drawer).to_contain_text("/ 7")
    page.keyboard.press("Escape")
    visitor.open("logs?tab=audit")
    page.locator("tr[data-id]", has_text="Changed an account").first.locator("strong").click()
    changes = visitor.dialog.locator(".changes")
    expect(changes.locator("strong")).to_have_text(["slots"])
    expect(changes.locator(".was")).to_have_text("1")
    expect(changes.locator(".now")).to_have_text("7")


def test_a_film_is_made_again_and_deleted(visitor: Visitor) -> None:
    visitor.open("playground")
    page = visitor.page
    page.locator("[name=model]").select_option("studio")
    page.locator("[name=prompt]").fill("A film made twice")
    page.locator("[name=seconds]").select_option("1")
    visitor.button("Generate").click()
    made = page.locator("[data-state=completed]")
    expect(made).to_be_visible(timeout=60_000)
    made.get_by_role("link", name="Open in Tasks").click()
    drawer = page.locator("dialog.drawer")
    visitor.button("Retry", within=drawer).click()
    visitor.button("Retry", within=visitor.dialog.locator(".feet")).click()
    expect(drawer.locator("video")).to_have_count(0)
    expect(drawer.locator("video")).to_be_visible(timeout=60_000)
    visitor.button("Delete", within=drawer).click()
    visitor.button("Delete", within=visitor.dialog.locator(".feet")).click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator("tr[data-id]", has_text="deleted")).to_have_count(1)  # what it was stays on record


def test_links_to_pictures_stay_the_same_for_an_hour(visitor: Visitor) -> None:
    """Else every change of any task would fetch all pictures of a list anew."""
    rows = visitor.page.request.get("/admin/api/tasks").json()["data"]
    pictures = [row["thumbnail"] for row in rows if row["thumbnail"]]
    assert pictures
    for picture in pictures:
        assert int(re.findall(r"expires=(\d+)", picture)[0]) % 3600 == 0, picture
