"""Usage over dates, statements, keys that have used up their budget, and the page that a key's holder opens."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.admin.conftest import Browser as Operator
from tests.admin.conftest import browser as operator_of
from tests.panel.conftest import PASSWORD
from tests.panel.panel_page import PHONE, PanelPage, open_panel
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
FORMS = [("en", 1280, "light"), ("zh", PHONE, "dark")]
WORDS = {
    "en": {"wrong": "This key is not valid.", "left": "left", "films": "Films", "play": "Play"},
    "zh": {"wrong": "此令牌无效。", "left": "剩余", "films": "视频", "play": "播放"},
}


@pytest.fixture(scope="module")
def gateway(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("money")
    with GatewayProcess(folder, FILMGATE_STUDIO="on", FILMGATE_ADMIN_PASSWORD=PASSWORD) as found:
        yield found


@pytest.fixture(scope="module")
def operator(gateway: GatewayProcess) -> Iterator[Operator]:
    found = operator_of(gateway)
    with found.http:
        assert found.sign_in("admin").status_code == 200
        found.must("PUT", "/prices/studio", json={"document": {"per_call": "0.5"}})
        yield found


def new_key(operator: Operator, gateway: GatewayProcess, *, films: int = 0, **terms: Any) -> Any:
    """A key with its secret, after so many films of the studio."""
    made = operator.post("/keys", status=201, json=terms)
    with gateway.client(key=made["secret"]) as client:
        for number in range(films):
            body = {"model": "studio", "prompt": f"a boat {number}", "seconds": "1"}
            created = client.post("/v1/videos", json=body).json()["id"].removeprefix("video_")
            assert operator.ended(created)["state"] == "completed"
    return made


def open_holder_page(page: Page, secret: str) -> None:
    page.goto("/my")
    page.locator("#holder-key").fill(secret)
    page.locator("button[type=submit]").click()


def saved_file(page: Page, name: str) -> bytes:
    with page.expect_download() as started:
        page.get_by_role("button", name=name, exact=True).last.click()
    return Path(started.value.path()).read_bytes()


@pytest.mark.parametrize(("lang", "width", "theme"), FORMS)
def test_a_holder_sees_usage_budget_and_films(
    browser: Browser, gateway: GatewayProcess, operator: Operator, lang: str, width: int, theme: str
) -> None:
    words = WORDS[lang]
    key = new_key(operator, gateway, films=1, name=f"店铺 {lang}", budget={"total": "5"})
    with open_panel(browser, gateway.url, width=width, lang=lang, theme=theme) as panel:
        page = panel.page
        page.goto("/my/")
        panel.problems.clear()
        page.locator("#holder-key").fill("sk-fg-nobody")
        page.locator("button[type=submit]").click()
        expect(page.get_by_role("alert")).to_have_text(words["wrong"])
        # The browser itself reports the refused request.
        assert all("401" in problem for problem in panel.problems)
        panel.problems.clear()
        open_holder_page(page, key["secret"])
        expect(page.locator("h1")).to_have_text(key["name"])
        expect(page.locator(".holder-budget")).to_contain_text("$4.50")
        expect(page.locator("section table.data.folds tbody tr")).to_have_count(2)
        page.locator("main > details summary").click()
        expect(page.locator("main > details tr", has_text="studio").last).to_contain_text("$0.50")
        page.locator("main > details summary").click()
        expect(page.locator(".holder-films li")).to_have_count(1)
        expect(page.locator(".holder-picture img")).to_be_visible()
        assert panel.overflow_pixels() <= 0
        page.get_by_role("button", name=words["play"]).click()
        expect(page.locator(".holder-films video")).to_have_js_property("error", None)
        video = page.locator(".holder-films video")
        assert until(lambda: video.evaluate("(one) => one.readyState >= 2"))
        assert saved_file(page, "PDF").startswith(b"%PDF")
        assert b"studio,1,1," in saved_file(page, "CSV")
        kept = page.evaluate("[JSON.stringify(localStorage), location.href, document.cookie]")
        assert key["secret"] not in str(kept)
        page.reload()
        expect(page.locator("h1")).to_have_text(key["name"])
        page.locator(".holder-head .button").last.click()
        expect(page.locator("#holder-key")).to_be_visible()
        assert page.evaluate("sessionStorage.length") == 0


def test_a_holder_replaces_the_secret(browser: Browser, gateway: GatewayProcess, operator: Operator) -> None:
    key = new_key(operator, gateway, name="own", may_rotate=True)
    fixed = new_key(operator, gateway, name="fixed")
    with open_panel(browser, gateway.url) as panel:
        page = panel.page
        open_holder_page(page, fixed["secret"])
        expect(page.locator("h1")).to_have_text("fixed")
        expect(panel.button("Rotate")).to_have_count(0)
        panel.button("Leave").click()
        open_holder_page(page, key["secret"])
        panel.button("Rotate").click()
        panel.button("Rotate", within=panel.dialog).click()
        shown = panel.dialog.locator("#new-secret pre")
        expect(shown).to_contain_text("sk-fg-")
        new = shown.inner_text().strip()
        assert new != key["secret"]
        panel.button("I have saved it", within=panel.dialog).click()
        expect(page.locator("dialog[open]")).to_have_count(0)
    with gateway.client(key=new) as client:
        assert client.get("/v1/key").json()["name"] == "own"


@pytest.mark.parametrize(("lang", "width", "theme"), FORMS)
def test_usage_follows_dates_groups_and_filters(
    browser: Browser, gateway: GatewayProcess, operator: Operator, lang: str, width: int, theme: str
) -> None:
    name = f"buyer {lang}"
    key = new_key(operator, gateway, films=1, name=name)
    with open_panel(browser, gateway.url, width=width, lang=lang, theme=theme) as panel:
        page = panel.page
        panel.sign_in("admin", PASSWORD)
        panel.open("logs?tab=usage&group=key&measure=films")
        row = page.locator("table.data.folds tbody tr", has_text=name)
        expect(row).to_contain_text("$0.50")
        expect(page.locator(".bars svg g")).to_have_count(30)
        page.locator(".day-span .segments button").first.click()
        expect(page.locator(".bars svg g")).to_have_count(1)
        assert "from=" in page.url and "to=" in page.url
        page.go_back()
        expect(page.locator(".bars svg g")).to_have_count(30)
        panel.open(f"logs?tab=usage&group=model&key={key['id']}")
        expect(page.locator("table.data.folds tbody tr")).to_have_count(2)
        page.locator(".bars summary").click()
        expect(page.locator(".bars table tbody tr")).to_have_count(30)
        assert panel.overflow_pixels() <= 0
        with page.expect_download() as started:
            page.locator(".page-head button").click()
        lines = Path(started.value.path()).read_text().splitlines()
        assert len(lines) == 2 and lines[1].startswith("studio,studio,1,0,1,")


def test_a_table_of_usage_is_sorted(browser: Browser, gateway: GatewayProcess, operator: Operator) -> None:
    many = new_key(operator, gateway, films=2, name="many films")
    few = new_key(operator, gateway, films=1, name="few films")
    with open_panel(browser, gateway.url) as panel:
        panel.sign_in("admin", PASSWORD)
        panel.open("logs?tab=usage&group=key")
        rows = panel.page.locator("table.data.folds tbody tr")
        names = [many["name"], few["name"]]
        panel.page.get_by_role("columnheader").get_by_role("button", name="Films").click()
        expect(panel.page.locator("th[aria-sort=ascending]")).to_contain_text("Films")
        expect(rows.filter(has_text="films").first).to_contain_text(names[1])
        panel.page.get_by_role("columnheader").get_by_role("button", name="Films").click()
        expect(panel.page.locator("th[aria-sort=descending]")).to_contain_text("Films")
        expect(rows.filter(has_text="films").first).to_contain_text(names[0])


def test_a_key_over_its_budget_is_red_and_has_a_statement(
    browser: Browser, gateway: GatewayProcess, operator: Operator
) -> None:
    key = new_key(operator, gateway, films=1, name="spent", budget={"total": "0.5"})
    with open_panel(browser, gateway.url) as panel:
        page: Page = panel.page
        panel.sign_in("admin", PASSWORD)
        panel.open("keys?state=used_up")
        row = page.locator(f'tr[data-id="{key["id"]}"]')
        expect(row.locator(".badge.bad")).to_have_text("Budget used up")
        panel.open(f"keys/{key['id']}")
        expect(panel.dialog.locator(".badge.bad")).to_have_text("Budget used up")
        _save_statement(panel, key)


def _save_statement(panel: PanelPage, key: Any) -> None:
    panel.button("Statement", within=panel.dialog).click()
    expect(panel.dialog.get_by_role("heading")).to_have_text(f"Statement: {key['name']}")
    panel.page.locator("dialog[open] .segments button").nth(3).click()
    text = saved_file(panel.page, "CSV").decode("utf-8-sig")
    assert "studio,1,1," in text and "Left of it after the last day,0.00" in text
    assert saved_file(panel.page, "PDF").startswith(b"%PDF")


def test_amounts_are_called_as_the_operator_has_set(
    browser: Browser, gateway: GatewayProcess, operator: Operator
) -> None:
    """In the panel at once, on the page of a key's holder, and in a statement; no number changes."""
    key = new_key(operator, gateway, name="abroad", budget={"total": "12"})
    try:
        with open_panel(browser, gateway.url) as panel:
            panel.sign_in("admin", PASSWORD)
            panel.open("settings/money")
            panel.page.locator("main [name=currency]").fill("rmbs")
            panel.button("Save").click()
            expect(panel.page.locator("main .trouble").first).to_contain_text("three letters of a currency")
            panel.problems.clear()  # the browser logs the refused request
            panel.page.locator("main [name=currency]").fill("cny")
            panel.button("Save").click()
            expect(panel.page.locator("main [name=currency]")).to_have_value("CNY")
            panel.go_to("keys")
            expect(panel.page.locator("tr[data-id]", has_text="abroad")).to_contain_text("¥12.00")
            open_holder_page(panel.page, key["secret"])
            expect(panel.page.locator("main")).to_contain_text("¥12.00")
        statement = operator.ask("GET", f"/keys/{key['id']}/statement?format=csv").text
        assert "Currency,CNY" in statement
        [total] = [line for line in statement.splitlines() if line.startswith("Total budget,")]
        assert total == "Total budget,12.00"
    finally:
        operator.must("PUT", "/settings/money", json={"value": {"currency": "USD"}})


def test_rows_of_requests_and_usage_open_what_they_are_about(
    browser: Browser, gateway: GatewayProcess, operator: Operator
) -> None:
    key = new_key(operator, gateway, name="caller", films=1)
    with FakeUpstream() as upstream, gateway.client(key=key["secret"]) as client:
        shape = {"provider": "openai_compatible", "name": "talker", "base_url": f"{upstream.url}/v1"}
        talker = shape | {"secret": "sk-talker-0001", "kinds": ["text"], "models": {"talk-9": "fake-chat"}}
        operator.post("/accounts", status=201, json=talker)
        said = {"model": "talk-9", "messages": [{"role": "user", "content": "hello"}]}
        assert client.post("/v1/chat/completions", json=said).status_code == 200
    rows = until(
        lambda: [*found] if len(found := operator.get(f"/requests?key={key['id']}")["data"]) == 2 else None
    )
    with open_panel(browser, gateway.url) as panel:
        panel.sign_in("admin", PASSWORD)
        panel.open(f"logs?tab=usage&group=key&key={key['id']}")
        panel.page.locator("tr[data-id]", has_text="caller").locator("td").nth(1).click()
        expect(panel.page.locator("main")).to_contain_text("tasks/video")
        film = next(row for row in rows if row["task_id"])
        panel.page.locator(f"tr[data-id='{film['id']}']").locator("td").first.click()
        expect(panel.dialog.locator("video")).to_be_visible()
        assert film["task_id"] in panel.page.url
        [call] = [row for row in rows if not row["task_id"]]
        panel.open(f"logs?key={key['id']}")
        panel.page.locator(f"tr[data-id='{call['id']}']").press("Enter")
        expect(panel.dialog.locator("#call-status")).to_have_text("It was answered.")
        for shown in ("caller", "talker", "talk-9", call["request_id"]):
            expect(panel.dialog).to_contain_text(shown)
