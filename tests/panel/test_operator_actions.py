"""Less frequent actions of an operator: bulk actions, key rotation, settings, notices, backups, audit log."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.admin.conftest import browser as owner_of
from tests.panel.conftest import PASSWORD
from tests.panel.panel_page import PanelPage, open_panel
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
def panel(browser: Browser, gateway: GatewayProcess) -> Iterator[PanelPage]:
    with open_panel(browser, gateway.url) as found:
        found.sign_in("admin", PASSWORD)
        yield found


def download_text(page: Page, button: str) -> str:
    with page.expect_download() as started:
        page.get_by_role("button", name=button, exact=True).last.click()
    return Path(started.value.path()).read_text()


def import_accounts(panel: PanelPage, *names: str) -> None:
    panel.open("accounts")
    panel.button("Import").first.click()
    dialog = panel.dialog
    rows = [f"{name},openai_compatible,http://127.0.0.1:9/v1,sk-secret-of-{name}" for name in names]
    dialog.locator("#import-text").fill("\n".join(["name,provider,base_url,secret", *rows]))
    panel.button("Check", within=dialog).click()
    panel.button(f"Import {len(names)}", within=dialog).click()
    panel.button("Close", within=dialog.locator(".feet")).click()


def account_row(panel: PanelPage, name: str) -> Locator:
    return panel.page.locator("tr[data-id]").filter(has=panel.page.get_by_text(name, exact=True))


def tick(panel: PanelPage, *names: str) -> Locator:
    """Tick these accounts; the bar of actions."""
    for name in names:
        account_row(panel, name).get_by_role("checkbox").check()
    bar = panel.page.get_by_role("toolbar")
    expect(bar).to_contain_text(f"{len(names)} selected")
    return bar


def shown_names(panel: PanelPage) -> Locator:
    return panel.page.locator("tr[data-id] td.lead strong")


def test_many_accounts_at_once(panel: PanelPage) -> None:
    import_accounts(panel, "one", "two", "three")
    page = panel.page
    panel.button("Drain", within=tick(panel, "one", "two")).click()
    panel.expect_toast("2 of 2 done")
    expect(page.locator("tr[data-id]", has_text="draining")).to_have_count(2)
    page.get_by_label("Any state").select_option("ready")
    expect(page.locator("tr[data-id]")).to_have_count(2)  # three, and the studio


def test_what_a_filter_hides_is_not_selected_any_more(panel: PanelPage) -> None:
    import_accounts(panel, "seen", "hidden-1", "hidden-2")
    page = panel.page
    bar = tick(panel, "hidden-1", "hidden-2")
    page.get_by_role("searchbox").fill("seen")
    expect(shown_names(panel)).to_have_text(["seen"])
    expect(bar).to_have_count(0)
    page.get_by_role("searchbox").fill("hidden")
    expect(shown_names(panel)).to_have_text(["hidden-1", "hidden-2"])
    tick(panel, "hidden-1")
    panel.button("Select all 2 that match", within=bar).click()
    expect(bar).to_contain_text("2 selected")
    panel.button("Delete", within=bar).click()
    expect(page.locator("#question-names")).to_have_text(re.compile(r"hidden-1\s+hidden-2"))
    expect(panel.button("Cancel", within=panel.dialog)).to_be_focused()
    panel.button("Delete", within=panel.dialog.locator(".feet")).click()
    expect(page.locator("tr[data-id]")).to_have_count(0)
    panel.button("Undo").click()
    expect(shown_names(panel)).to_have_text(["hidden-1", "hidden-2"])


def test_accounts_are_sorted_and_edited_in_the_table(panel: PanelPage) -> None:
    import_accounts(panel, "cell-9", "cell-10")
    page = panel.page
    page.get_by_role("searchbox").fill("cell-")
    expect(shown_names(panel)).to_have_text(["cell-9", "cell-10"])
    slots = page.get_by_label("Tasks at the same time: cell-10")
    slots.fill("6")
    slots.press("Enter")
    panel.expect_toast("cell-10 was saved.")
    heading = page.get_by_role("columnheader", name="Slots")
    panel.button(re.compile("^Slots"), within=heading).click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    panel.button(re.compile("^Slots"), within=heading).click()
    expect(shown_names(panel)).to_have_text(["cell-10", "cell-9"])
    panel.button("Edit", within=tick(panel, "cell-9", "cell-10")).click()
    panel.dialog.locator("[name=slots]").fill("3")
    panel.dialog.locator("[name=add_tags]").fill("night")
    panel.button("Save", within=panel.dialog).click()
    panel.expect_toast("2 of 2 done")
    expect(slots).to_have_value("3")
    page.get_by_label("Any tag").fill("night")
    expect(shown_names(panel)).to_have_count(2)


def test_an_account_that_changes_is_asked_for_alone(panel: PanelPage, gateway: GatewayProcess) -> None:
    import_accounts(panel, "lone-1", "lone-2")
    page, asked = panel.page, list[str]()
    panel.open("accounts?q=lone")
    row = page.locator("tr[data-id]", has_text="lone-1")
    with owner_of(gateway).http as http:
        session = http.post("/session", json={"name": "admin", "password": PASSWORD}).json()
        page.on("request", lambda request: "/api/accounts?" in request.url and asked.append(request.url))
        path = f"/accounts/{row.get_attribute('data-id')}"
        for weight in (6, 7):  # with the first one the accounts that have just been added may still be news
            asked.clear()
            headers = {"x-csrf-token": session["csrf"]}
            assert http.patch(path, json={"weight": weight}, headers=headers).status_code == 200
            expect(row.get_by_label("Weight: lone-1")).to_have_value(str(weight))
    assert asked and all(f"ids={path.rpartition('/')[2]}" in url for url in asked), asked


def test_an_account_and_a_model_are_paused_and_go_on(panel: PanelPage) -> None:
    import_accounts(panel, "resting")
    account_row(panel, "resting").get_by_text("resting", exact=True).click()
    for button, told in (("Pause", "resting is paused"), ("Resume", "resting goes on")):
        panel.button(button, within=panel.dialog).click()
        panel.expect_toast(told)
    panel.page.keyboard.press("Escape")
    panel.open("models")
    row = panel.page.locator("tr[data-id]").first
    for item, told in (("Pause", "is paused"), ("Resume", "goes on")):
        row.get_by_role("button", name=re.compile("^Actions")).click()
        panel.page.get_by_role("menuitem", name=item, exact=True).click()
        panel.expect_toast(told)
        expect(row.get_by_text("paused", exact=True)).to_have_count(int(item == "Pause"))


def test_a_route_that_is_switched_off_keeps_the_rest(panel: PanelPage, gateway: GatewayProcess) -> None:
    owner = owner_of(gateway)
    steps = [{"provider": "kling", "order": 0, "lengths": "join"}]
    body = {"candidates": steps, "retry": {"failed": 2}, "note": "as agreed"}
    with owner.http:
        owner.sign_in("admin", PASSWORD)
        before = owner.must("PUT", "/routes/switched", json=body)
        panel.open("models?tab=routes")
        panel.button("Actions: switched").click()
        panel.page.get_by_role("menuitem", name="Disable", exact=True).click()
        panel.expect_toast("switched")
        after = owner.get("/routes/switched")
    assert after | {"updated_at": 0} == before | {"enabled": False, "updated_at": 0}


def test_failed_tests_are_listed_and_their_accounts_disabled(panel: PanelPage) -> None:
    import_accounts(panel, "tried-1", "tried-2")
    page = panel.page
    page.get_by_role("searchbox").fill("tried")
    expect(shown_names(panel)).to_have_count(2)
    panel.button("Test", within=tick(panel, "tried-1", "tried-2")).click()
    expect(panel.dialog).to_contain_text("Tested 2 of 2, failed: 2")
    panel.button("Disable the 2 that failed", within=panel.dialog).click()
    expect(page.locator("tr[data-id]", has_text="disabled")).to_have_count(2)


def test_what_is_exported_holds_no_secret_unless_confirmed(panel: PanelPage) -> None:
    import_accounts(panel, "exported")
    page = panel.page
    panel.button("Export").click()
    plain = download_text(page, "Export")
    assert "exported" in plain
    assert "sk-secret-of-exported" not in plain
    expect(page.locator("dialog[open]")).to_have_count(0)
    panel.button("Export").click()
    panel.dialog.locator("[name=secrets]").check()
    panel.dialog.locator("[name=password]").fill(PASSWORD)
    assert "sk-secret-of-exported" in download_text(page, "Export")


def test_a_key_is_rotated_and_shown_once(panel: PanelPage, gateway: GatewayProcess) -> None:
    panel.open("keys?add=1")
    panel.dialog.locator("[name=name]").fill("rotating")
    panel.dialog.get_by_label("Gates").select_option("Words and webhook")
    panel.button("Create key", within=panel.dialog).click()
    old = panel.page.locator("#new-secret pre").inner_text()
    panel.button("I have saved it", within=panel.dialog).click()
    row = panel.page.locator("tr[data-id]", has_text="rotating")
    row.get_by_role("button").click()
    panel.page.get_by_role("menuitem", name="Rotate").click()
    panel.button("Rotate", within=panel.dialog).click()
    expect(panel.page.locator("#new-secret pre")).not_to_have_text(old)
    new = panel.page.locator("#new-secret pre").inner_text()
    for key in (old, new):  # the old one for a day
        with gateway.client(key=key) as client:
            assert client.get("/v1/models").status_code == 200
    panel.button("I have saved it", within=panel.dialog).click()
    row.get_by_role("button").click()
    panel.page.get_by_role("menuitem", name="Edit").click()
    expect(panel.dialog.locator("[name=gates]")).to_have_value("words+webhook")
    panel.page.reload()
    panel.wait_until_loaded()
    assert new not in panel.page.content()


def test_notices_are_set_and_tried(panel: PanelPage, receiver: Receiver) -> None:
    panel.open("settings/notices")
    page = panel.page
    panel.button("Add").click()
    page.locator(".panel [name=name]").fill("pager")
    page.locator(".panel [name=url]").fill(receiver.url)
    expect(panel.button("Test")).to_be_disabled()  # what is tried is what is saved
    panel.button("Save").click()
    panel.expect_toast(re.compile("saved", re.IGNORECASE))
    panel.button("Test").click()
    expect(page.locator("#test-steps .fine")).to_be_visible()
    until(lambda: len(receiver.seen) > 0)


def test_an_invalid_setting_is_reported_at_its_field(panel: PanelPage) -> None:
    panel.open("settings/delivery")
    panel.button("Add").first.click()
    section = panel.page.locator(".panel").last
    section.locator("[name=name]").fill("mirror")
    section.locator("[name=url]").fill("nowhere")
    panel.button("Save").click()
    expect(panel.page.locator(".trouble")).to_contain_text("resolvers")
    panel.problems.clear()  # the browser logs the refused request


def test_a_backup_is_saved_checked_and_restored(panel: PanelPage) -> None:
    panel.open("settings/backup")
    page = panel.page
    backup = download_text(page, "Save a backup")
    json.loads(backup)
    page.locator("input[type=file]").set_input_files(
        {"name": "backup.json", "mimeType": "application/json", "buffer": backup.encode()}
    )
    panel.button("Check").click()
    expect(page.get_by_role("table", name="Restore").locator("tr[data-id]").first).to_be_visible()
    panel.button("Restore").click()
    panel.button("Restore", within=panel.dialog).click()
    panel.expect_toast("Restored.")


def test_the_audit_says_what_changed(panel: PanelPage) -> None:
    import_accounts(panel, "watched")
    page = panel.page
    page.locator("tr[data-id]", has_text="watched").locator("strong").click()
    drawer = page.locator("dialog.drawer")
    panel.button("Edit", within=drawer).click()
    panel.dialog.locator("[name=slots]").fill("7")
    panel.button("Save", within=panel.dialog).click()
    expect(drawer).to_contain_text("/ 7")
    page.keyboard.press("Escape")
    panel.open("logs?tab=audit")
    page.locator("tr[data-id]", has_text="Changed an account").first.locator("strong").click()
    changes = panel.dialog.locator(".changes")
    expect(changes.locator("strong")).to_have_text(["slots"])
    expect(changes.locator(".was")).to_have_text("1")
    expect(changes.locator(".now")).to_have_text("7")


def test_a_video_is_retried_and_deleted(panel: PanelPage) -> None:
    panel.open("playground")
    page = panel.page
    page.locator("[name=model]").select_option("studio")
    page.locator("[name=prompt]").fill("A film made twice")
    page.locator("[name=seconds]").select_option("1")
    panel.button("Generate").click()
    made = page.locator("[data-state=completed]")
    expect(made).to_be_visible(timeout=60_000)
    made.get_by_role("link", name="Open in Tasks").click()
    drawer = page.locator("dialog.drawer")
    panel.button("Retry", within=drawer).click()
    panel.button("Retry", within=panel.dialog.locator(".feet")).click()
    expect(drawer.locator("video")).to_have_count(0)
    expect(drawer.locator("video")).to_be_visible(timeout=60_000)
    panel.button("Delete", within=drawer).click()
    panel.button("Delete", within=panel.dialog.locator(".feet")).click()
    expect(page.locator("dialog[open]")).to_have_count(0)
    expect(page.locator("tr[data-id]", has_text="deleted")).to_have_count(1)  # what it was stays on record


def test_links_to_pictures_stay_the_same_for_an_hour(panel: PanelPage) -> None:
    """Otherwise every change of a task would reload all pictures of a list."""
    rows = panel.page.request.get("/admin/api/tasks").json()["data"]
    pictures = [row["thumbnail"] for row in rows if row["thumbnail"]]
    assert pictures
    for picture in pictures:
        assert int(re.findall(r"expires=(\d+)", picture)[0]) % 3600 == 0, picture
