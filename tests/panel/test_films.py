"""The contact sheet: films that play under the pointer, many at once, compared, made again on one account; drafts."""

import io
import json
import os
import re
import shutil
import subprocess
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.admin.conftest import Browser as Owner
from tests.admin.conftest import browser as owner_of
from tests.conftest import leave_out
from tests.panel.conftest import PASSWORD
from tests.panel.dictionary import words
from tests.panel.panel_page import PHONE, PanelPage, open_panel
from tests.serving import KEY, GatewayProcess
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_png

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
FILMS = 30


@pytest.fixture(scope="module")
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as found:
        yield found


@pytest.fixture(scope="module")
def gateway(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("films")
    with GatewayProcess(folder, FILMGATE_STUDIO="on", FILMGATE_ADMIN_PASSWORD=PASSWORD) as found:
        yield found


@pytest.fixture(scope="module")
def owner(gateway: GatewayProcess, upstream: FakeUpstream) -> Iterator[Owner]:
    """With two accounts that make `film`, and as many films as fill several screens."""
    found = owner_of(gateway)
    with found.http:
        assert found.sign_in("admin", PASSWORD).status_code == 200
        for name, tier in (("near", 0), ("far", 5)):
            add_account(found, upstream, name, tier=tier)
        found.must("PUT", "/prices/film", json={"document": {"per_call": "0.5"}})
        body = {"error": {"message": "This prompt is against the rules."}}
        upstream.fault("create", status=400, body=body, prompt="forbidden")
        made = [make(found, f"film number {n}") for n in range(FILMS)]
        made.append(make(found, "forbidden"))
        for task in made:
            found.ended(task)
        yield found


def add_account(owner: Owner, upstream: FakeUpstream, name: str, **more: Any) -> Any:
    shape = {"provider": "openai_compatible", "base_url": f"{upstream.url}/v1", "secret": f"sk-{name}-0001"}
    given = {"name": name, "models": {"film": "film-up"}, "kinds": ["video"], "slots": 20}
    return owner.post("/accounts", status=201, json=shape | given | more)


def make(owner: Owner, prompt: str, **more: Any) -> str:
    body = {"model": "film", "prompt": prompt, "seconds": 4}
    return str(owner.post("/playground", status=201, json=body | more)["id"])


@pytest.fixture
def panel(browser: Browser, gateway: GatewayProcess, owner: Owner) -> Iterator[PanelPage]:
    with open_panel(browser, gateway.url) as found:
        found.sign_in("admin", PASSWORD)
        yield found


def test_a_film_plays_under_the_pointer_and_opens(panel: PanelPage) -> None:
    page = panel.page
    panel.open("films?q=number+7")
    tile = page.locator(".tile")
    expect(tile).to_have_count(1)
    tile.locator(".shown").hover()
    expect(tile.locator("video")).to_have_js_property("muted", True)
    expect(tile.locator("video")).not_to_have_js_property("currentTime", 0)
    page.mouse.move(1, 1)
    expect(tile.locator("video")).to_have_count(0)
    tile.locator(".shown").focus()
    expect(tile.locator("video")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator("dialog.drawer .prompt")).to_have_text("film number 7")
    page.go_back()
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_a_failed_film_says_why_and_back_undoes_its_filter(panel: PanelPage) -> None:
    page = panel.page
    panel.open("films")
    page.get_by_label("Any state").select_option("failed")
    tile = page.locator(".tile", has_text="forbidden")
    expect(tile).to_contain_text("This prompt is against the rules.")
    expect(page).to_have_url(re.compile("films.state=failed"))
    page.go_back()
    expect(page).to_have_url(re.compile("#/films$"))
    expect(page.get_by_label("Any state")).to_have_value("")
    expect(page.locator(".tile[data-id]").nth(FILMS - 1)).to_be_attached()


def test_on_a_phone_only_pictures_in_sight_are_asked_for_and_a_tap_plays(
    browser: Browser, gateway: GatewayProcess, owner: Owner
) -> None:
    with open_panel(browser, gateway.url, width=PHONE, lang="zh", touch=True) as panel:
        page = panel.page
        asked: set[str] = set()
        page.on("request", lambda request: "thumbnail" in request.url and asked.add(request.url))
        panel.sign_in("admin", PASSWORD)
        panel.open("films")
        expect(page.get_by_role("heading", name="影片")).to_be_visible()
        expect(page.locator(".tile img[src]").first).to_be_visible()
        assert panel.overflow_pixels() <= 0
        assert 0 < len(asked) < FILMS - 5
        picture = page.locator(".tile:not(.failed) .shown").first
        picture.tap()
        expect(picture.locator("video")).to_have_count(1)
        picture.tap()
        expect(page.locator("dialog.drawer")).to_be_visible()
        page.go_back()
        last = page.locator(".tile").last
        last.scroll_into_view_if_needed()
        expect(last.locator("img[src]")).to_have_count(1)


def test_several_films_are_downloaded_listed_and_deleted(panel: PanelPage, owner: Owner) -> None:
    for n in range(3):
        owner.ended(make(owner, f"bulk {n}"))
    page = panel.page
    panel.open("tasks?q=bulk")
    expect(page.locator("#total")).to_have_text("3 of 3")
    for n in range(3):  # a picture that is still being drawn when its film is deleted is an error of the page
        expect(page.locator("tr[data-id] img").nth(n)).not_to_have_js_property("naturalWidth", 0)
    page.get_by_label("Select all").check()
    bar = page.get_by_role("toolbar")
    with page.expect_download() as started:
        bar.get_by_role("link", name="Download").click()
    with zipfile.ZipFile(io.BytesIO(Path(started.value.path()).read_bytes())) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 3
    with page.expect_download() as started:
        panel.button("CSV", within=bar).click()
    assert len(Path(started.value.path()).read_text().splitlines()) == 4
    page.get_by_label("Select all").check()
    panel.button("Delete", within=bar).click()
    expect(page.locator("#question-names")).to_contain_text("bulk 1")
    panel.button("Delete", within=panel.dialog.locator(".feet")).click()
    panel.expect_toast("Deleted: 3.")
    panel.open("films?q=bulk")
    expect(page.get_by_text("Nothing matches these filters")).to_be_visible()


def test_takes_are_compared_after_their_price_was_told(panel: PanelPage, owner: Owner) -> None:
    page = panel.page
    panel.open("playground?model=film")
    page.locator("[name=prompt]").fill("two takes of a boat")
    panel.button("Compare …").click()
    form = page.locator("#compare-form")
    for n, name in ((0, "near"), (1, "far")):
        form.locator(f"#take-{n}-account").fill(name)
    expect(form.locator("#compare-price")).to_contain_text("2 takes: $1.00")
    panel.button("Make them for $1.00", within=form).click()
    expect(page).to_have_url(re.compile(r"compare\?ids="))
    takes = page.locator(".takes article[data-state=completed]")
    expect(takes).to_have_count(2)
    page.reload()
    expect(takes).to_have_count(2)
    expect(takes.nth(0).locator("dl")).to_contain_text("near")
    expect(takes.nth(1).locator("dl")).to_contain_text("far")
    expect(takes.nth(1).locator("dl")).to_contain_text("$0.50")
    expect(page.locator("main > .page > .prompt")).to_have_text("two takes of a boat")
    keys = {row["key"]["name"] for row in owner.get("/tasks", params={"q": "two takes"})["data"]}
    assert keys == {"panel"}


def test_a_film_is_made_again_on_another_account(panel: PanelPage, owner: Owner) -> None:
    task = owner.ended(make(owner, "once more elsewhere"))
    assert task["account"]["name"] == "near"
    panel.open(f"films/{task['id']}")
    drawer = panel.page.locator("dialog.drawer")
    panel.button("Again on another account", within=drawer).click()
    form = panel.page.locator("#again")
    expect(form).to_contain_text("$0.50")
    make_it = panel.button("Retry", within=form)
    form.locator("#again-account").fill("near")  # it has made it
    expect(make_it).to_be_disabled()
    form.locator("#again-account").fill("far")
    make_it.click()
    expect(panel.page.locator("#again")).to_have_count(0)
    expect(drawer.locator(".facts")).to_contain_text("far")


def test_a_draft_comes_back_with_its_picture_in_another_browser(
    panel: PanelPage, browser: Browser, gateway: GatewayProcess
) -> None:
    page = panel.page
    panel.open("playground?model=film")
    picture = {"name": "harbour.png", "mimeType": "image/png", "buffer": tiny_png()}
    page.locator("[name=first_frame]").set_input_files(picture)
    page.locator("[name=prompt]").fill("a harbour")
    panel.button("Add shot").click()
    page.get_by_label("Shot 1", exact=True).fill("a crane turns")
    expect(page.get_by_role("tabpanel", name="curl")).to_contain_text("input_reference=@harbour.png")
    panel.button("Drafts").click()
    panel.dialog.locator("[name=draft]").fill("harbour scene")
    panel.button("Save draft", within=panel.dialog).click()
    panel.expect_toast("harbour scene was saved")
    with open_panel(browser, gateway.url, width=PHONE) as phone:
        phone.sign_in("admin", PASSWORD)
        phone.open("playground")
        phone.button("Drafts").click()
        phone.button("harbour scene", within=phone.dialog).click()
        expect(phone.page.locator("[name=prompt]")).to_have_value("a harbour")
        expect(phone.page.get_by_label("Shot 1", exact=True)).to_have_value("a crane turns")
        expect(phone.page.locator(".thumbs img")).to_have_attribute("alt", "harbour.png")
        phone.page.reload()
        expect(phone.page.locator("[name=prompt]")).to_have_value("a harbour")
        phone.button("Drafts").click()
        row = phone.dialog.locator(".drafts li")
        row.get_by_role("button", name="Actions: harbour scene").click()
        phone.page.get_by_role("menuitem", name="Rename").click()
        row.locator("[name=name]").fill("quay")
        phone.button("Save", within=row).click()
        expect(phone.button("quay", within=row)).to_be_visible()
        row.get_by_role("button", name="Actions: quay").click()
        phone.page.get_by_role("menuitem", name="Delete").click()
        phone.button("Delete", within=phone.dialog.locator(".feet")).click()
        expect(phone.page.locator(".drafts li")).to_have_count(0)


def test_the_playground_speaks_the_gateways_words(panel: PanelPage, owner: Owner) -> None:
    film = owner.ended(make(owner, "a face"))
    owner.post("/characters", status=201, json={"name": "Old keeper", "from_task": film["id"]})
    page = panel.page
    panel.open("playground?model=film")
    panel.button("Old keeper").click()
    expect(page.get_by_role("tabpanel", name="curl")).to_contain_text("characters=")
    page.locator("summary").click()
    expect(page.locator("[name=style] option")).to_have_count(11)
    page.locator("[name=style]").select_option("kakalaka")
    expect(page.get_by_role("tabpanel", name="curl")).to_contain_text("style=kakalaka")


def test_the_copied_command_is_the_whole_call(
    panel: PanelPage, owner: Owner, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """It is run as it was copied, beside files of the names that it gives, and makes an equal request."""
    curl = shutil.which("curl")
    if not curl:
        leave_out("curl is not installed")
    shots = [{"seconds": 2, "prompt": "it's a boat"}, {"seconds": 2, "prompt": "a whale"}]
    wanted = {
        "model": "studio", "prompt": "At sea", "size": "1280x720", "style": "comic", "seed": "7",
        "negative_prompt": "rain", "shots": json.dumps(shots), "extra": json.dumps({"camera": "dolly"}),
    }  # fmt: skip
    parts: dict[str, Any] = {name: (None, value) for name, value in wanted.items()}
    for role in ("first_frame", "last_frame"):
        parts[role] = (f"{role}.png", tiny_png(), "image/png")
    made = owner.ended(owner.post("/playground", status=201, files=parts)["id"])
    panel.open(f"tasks/{made['id']}")
    panel.button("Copy curl", within=panel.page.locator("dialog.drawer")).click()
    panel.expect_toast("Copied")
    command = panel.page.evaluate("navigator.clipboard.readText()")
    for n, role in enumerate(("first_frame", "last_frame")):
        (tmp_path / f"{role}-{n + 1}.png").write_bytes(tiny_png())
    environment = {"PATH": os.environ["PATH"], "FILMGATE_API_KEY": KEY}
    run = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    again = owner.get(f"/tasks/{json.loads(run.stdout)['id'].removeprefix('video_')}")["request"]
    names = ("model", "prompt", "seconds", "size", "style", "seed", "negative_prompt", "shots", "extra")
    assert {name: again.get(name) for name in names} == {name: made["request"].get(name) for name in names}
    roles = [[item["role"] for item in request["media"]] for request in (again, made["request"])]
    assert sorted(roles[0]) == sorted(roles[1])


def test_what_becomes_of_a_task_while_it_is_read_is_not_missed(
    panel: PanelPage, owner: Owner, upstream: FakeUpstream
) -> None:
    page, held = panel.page, list[str]()
    upstream.script(job_seconds=3)
    task = make(owner, "ends while it is read")

    def hold(route: Route) -> None:
        if held:
            return route.fallback()
        answer = route.fetch()
        held.append(answer.json()["state"])
        owner.ended(task)
        time.sleep(2)  # the news of the end comes before the answer does; if not, this test says nothing
        return route.fulfill(response=answer)

    page.route(f"**/api/tasks/{task}", hold)
    panel.open(f"films/{task}")
    expect(page.locator("dialog.drawer").get_by_text("Completed").first).to_be_visible()
    assert held[0] != "completed"
    upstream.script(job_seconds=0)


def test_adding_an_account_ends_with_a_film_of_that_account(
    panel: PanelPage, owner: Owner, upstream: FakeUpstream
) -> None:
    page = panel.page
    panel.open("accounts")
    panel.button("Add account").first.click()
    form = panel.dialog
    form.locator("[name=provider]").select_option("openai_compatible")
    form.locator("[name=name]").fill("newest")
    form.locator("[name=base_url]").fill(f"{upstream.url}/v1")
    form.locator("[name=secret]").fill("sk-newest-0001")
    panel.button("Test and list models", within=form).click()
    form.locator("#wizard-models label").filter(has=page.get_by_text("fake-video")).click()
    form.get_by_label("Our name for fake-video").fill("film")
    panel.button("Add account", within=form).click()
    panel.button("Make a film for $0.50", within=page.locator("#first-film")).click()
    made = panel.dialog.locator("article")
    expect(made).to_have_attribute("data-state", "completed")
    expect(made.locator("dl")).to_contain_text("newest")
    expect(made.locator("video")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    [account] = [each for each in owner.get("/accounts")["data"] if each["name"] == "newest"]
    owner.must("DELETE", f"/accounts/{account['id']}", status=204)


def test_the_drawer_shows_the_labels_and_saves_the_receipt(panel: PanelPage, owner: Owner) -> None:
    owner.must("PUT", "/settings/labels", json={"value": {"enabled": True}})
    try:
        film = owner.ended(make(owner, "labelled"))
    finally:
        owner.must("PUT", "/settings/labels", json={"value": {}})
    [file] = film["files"]
    panel.open(f"tasks/{film['id']}")
    row = panel.dialog.locator("#task-labels")
    expect(row).to_contain_text(f"SHA-256 {file['sha256'][:12]}")
    assert file["labels"] == ["implicit"]
    expect(row).to_contain_text(words("en")["field.implicit"])
    with panel.page.expect_download() as started:
        panel.button("Receipt", within=panel.dialog).click()
    saved = json.loads(Path(started.value.path()).read_text())
    assert file["sha256"] in json.dumps(saved)
