"""The panel in Chinese holds no English sentence: not from the server, and not while things fail."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.panel.addresses import FORMS, all_addresses, shows_drawer
from tests.panel.busy_gateway import ACCOUNTS, PROMPTS, BusyGateway
from tests.panel.conftest import PASSWORD
from tests.panel.dictionary import words
from tests.panel.panel_page import PanelPage, open_panel
from tests.serving import KEY, until

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
ZH = words("zh")
# What people have written, as names, notes and prompts.
WRITTEN = [
    *PROMPTS,
    *(str(shape.get("note", "")) for shape in ACCOUNTS),
    "Rain on a tin roof",
    "kept for peaks",
]
WRITTEN += [
    "Something forbidden",
    "Something unwanted",
    "own machines first",
    "for the app",
    "A lighthouse at dusk",
]
# Runs of three words and more outside of what is marked as English, and of code; also in what a pointer shows, unless it is
# the detail of Chinese words.
FIND = """(written) => {
  const found = [];
  const search = (text) => {
    for (const one of written) text = text.replaceAll(one, '');
    found.push(...(text.match(/[A-Za-z][A-Za-z']+(?:[ ,]+[A-Za-z][A-Za-z']+){2,}/g) ?? []));
  };
  for (const name of ['title', 'aria-label', 'placeholder'])
    for (const element of document.querySelectorAll(`[${name}]`)) {
      const text = element.getAttribute(name);
      if (!/[\\u4e00-\\u9fff]/.test(text) && !element.closest('[lang=en], code, .mono')) search(text);
    }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (parentElement.closest('[lang=en], code, pre, .mono, .code, textarea, script, style')) continue;
    if (parentElement.checkVisibility()) search(data);
  }
  return found;
}"""


def english_runs(page: Page) -> list[str]:
    found: list[str] = page.evaluate(FIND, [text for text in WRITTEN if text])
    return [f"{page.url}: {one}" for one in found]


@pytest.fixture
def panel(busy: BusyGateway, browser: Browser) -> Iterator[PanelPage]:
    with open_panel(browser, busy.gateway.url, lang="zh", width=390) as found:
        found.sign_in("admin", PASSWORD)
        yield found


def test_no_page_speaks_english(busy: BusyGateway, panel: PanelPage) -> None:
    found: list[str] = []
    for where in all_addresses(busy):
        panel.open(where)
        if shows_drawer(where):
            expect(panel.dialog).to_be_visible()
            for tab in panel.dialog.get_by_role("tab").all():
                tab.click()
                found += english_runs(panel.page)
        found += english_runs(panel.page)
    for where, opener in FORMS:
        panel.open(where)
        panel.button(ZH[opener]).first.click()
        expect(panel.dialog).to_be_visible()
        for more in panel.dialog.locator("summary").all():
            more.click()
        found += english_runs(panel.page)
        panel.page.keyboard.press("Escape")
        expect(panel.page.locator("dialog[open]")).to_have_count(0)
    assert found == [], "\n".join(found)


def test_a_wrong_password_is_refused_in_chinese(busy: BusyGateway, browser: Browser) -> None:
    with open_panel(browser, busy.gateway.url, lang="zh") as panel:
        panel.page.goto("/admin/")
        panel.page.locator("[name=name]").fill("nobody")
        panel.page.locator("[name=password]").fill("wrong")
        panel.page.keyboard.press("Enter")
        expect(panel.page.locator(".trouble")).to_have_text(ZH["error.invalid_credentials"])
        assert english_runs(panel.page) == []
        panel.problems.clear()  # the browser logs the refused request


def test_rules_for_passwords_are_told_in_chinese(panel: PanelPage) -> None:
    panel.open("settings/people")
    panel.button(ZH["admins.add"]).click()
    for password, reason in (("short", "password_length"), ("aaaaaaaaaaaa", "guessable")):
        panel.dialog.locator("[name=name]").fill("somebody")
        panel.dialog.locator("[name=password]").fill(password)
        panel.dialog.locator("button[type=submit]").click()
        expect(panel.dialog).to_contain_text(ZH[f"reason.{reason}"])
        assert english_runs(panel.page) == []
    panel.problems.clear()


def test_a_bad_setting_is_told_in_chinese(panel: PanelPage) -> None:
    panel.open("settings/delivery")
    panel.button(ZH["add"]).first.click()
    section = panel.page.locator(".panel").last
    section.locator("[name=name]").fill("mirror")
    section.locator("[name=url]").fill("nowhere")
    panel.button(ZH["save"]).click()
    trouble = panel.page.locator("form > .trouble")
    expect(trouble).to_contain_text(ZH["field.resolvers"])
    expect(trouble).to_contain_text(ZH["reason.invalid_address"])
    assert english_runs(panel.page) == []
    panel.problems.clear()


def test_rows_of_an_import_are_refused_in_chinese(panel: PanelPage) -> None:
    panel.open("accounts")
    panel.button(ZH["accounts.import"]).first.click()
    rows = [
        "name,provider,base_url,secret,slots",
        "spare,openai_compatible,http://127.0.0.1:9/v1,sk-another-1,2",
    ]
    rows += [
        "bad,openai_compatible,http://127.0.0.1:9/v1,sk-another-2,-4",
        "worse,nobody_knows,,sk-another-3,1",
    ]
    panel.dialog.locator("#import-text").fill("\n".join(rows))
    panel.button(ZH["import.check"], within=panel.dialog).click()
    expect(panel.dialog.locator("tr[data-id]")).to_have_count(3)
    expect(panel.dialog).to_contain_text(ZH["reason.name_taken"])
    expect(panel.dialog).to_contain_text(ZH["reason.too_small"])
    assert english_runs(panel.page) == []


def test_a_failed_test_is_told_in_chinese(busy: BusyGateway, panel: PanelPage) -> None:
    shape = {"name": "nobody-there", "provider": "openai_compatible", "base_url": "http://127.0.0.1:9/v1"}
    made = busy.owner.post("/accounts", status=201, json=shape | {"secret": "sk-nobody-there-1", "slots": 1})
    panel.open(f"accounts/{made['id']}")
    panel.button(ZH["account.do.test"], within=panel.dialog).click()
    expect(panel.dialog.locator("#test-result")).to_contain_text(ZH["verdict.silent"])
    assert english_runs(panel.page) == []
    busy.owner.must("DELETE", f"/accounts/{made['id']}", status=204)


def test_an_endpoint_that_nothing_arrives_at_is_told_in_chinese(busy: BusyGateway, panel: PanelPage) -> None:
    busy.failed_deliveries()
    panel.open("webhooks?tab=endpoints")
    row = panel.page.locator("tr[data-id]", has_text="alarms")
    expect(row).to_contain_text(ZH["key_state.failing"])
    expect(row).to_contain_text("storefront")
    row.get_by_role("button", name=ZH["actions"]).click()
    panel.page.get_by_role("menuitem", name=ZH["account.do.test"]).click()
    expect(panel.page.locator(".toast")).to_contain_text(ZH["webhook.not_received"])
    assert english_runs(panel.page) == []


def test_a_notice_that_is_not_taken_is_told_in_chinese(busy: BusyGateway, panel: PanelPage) -> None:
    receiver = {"name": "ops", "kind": "webhook", "url": "http://127.0.0.1:9/notices"}
    busy.owner.must("PUT", "/settings/notices", json={"value": {"receivers": [receiver]}})
    try:
        panel.open("settings/notices")
        panel.button(ZH["settings.send_test"]).first.click()
        expect(panel.page.locator(".toast")).to_contain_text(
            ZH["settings.test_refused"].replace("{step}", "ops")
        )
        assert english_runs(panel.page) == []
    finally:
        busy.owner.must("PUT", "/settings/notices", json={"value": {"receivers": []}})


def test_tests_of_many_accounts_are_told_in_chinese(busy: BusyGateway, panel: PanelPage) -> None:
    shape = {"provider": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "slots": 1}
    made = [
        busy.owner.post(
            "/accounts", status=201, json=shape | {"name": f"away-{n}", "secret": f"sk-away-{n}-1"}
        )
        for n in range(2)
    ]
    panel.open("accounts?q=away-")
    for account in made:
        panel.page.locator(f"tr[data-id='{account['id']}'] input[type=checkbox]").check()
    panel.button(ZH["account.do.test"]).first.click()
    expect(panel.dialog.locator("#disable-failed")).to_be_enabled()
    expect(panel.dialog).to_contain_text(ZH["verdict.silent"])
    assert english_runs(panel.page) == []
    for account in made:
        busy.owner.must("DELETE", f"/accounts/{account['id']}", status=204)


def test_the_holder_s_page_refuses_a_wrong_key_in_chinese(busy: BusyGateway, browser: Browser) -> None:
    with open_panel(browser, busy.gateway.url, lang="zh", width=390) as panel:
        panel.page.goto("/my/")
        panel.page.locator("#holder-key").fill("sk-fg-wrong")
        panel.page.locator("button[type=submit]").click()
        expect(panel.page.locator("body")).to_contain_text(ZH["my.wrong_key"])
        assert english_runs(panel.page) == []
        panel.problems.clear()  # the browser logs the refused request


def test_a_refusal_of_the_playground_is_told_in_chinese(panel: PanelPage) -> None:
    panel.open("playground?model=sora-2")
    page = panel.page
    page.locator("[name=prompt]").fill(PROMPTS[0])
    page.locator("form > details summary").click()
    page.locator("[name=seed]").fill("-5")
    page.locator("button[type=submit]").click()
    expect(page.locator(".toast")).to_contain_text(ZH["playground.seed"])
    assert english_runs(page) == []
    panel.problems.clear()  # the browser logs the refused requests


def test_a_film_that_its_vendor_refuses_is_told_in_chinese(
    busy: BusyGateway, browser: Browser, panel: PanelPage
) -> None:
    """In the playground, in the list of tasks, and to the holder of a key at `/my/`."""
    words_of_vendor = {"error": {"message": "This prompt is against our rules."}}
    busy.upstream.fault("create", status=400, body=words_of_vendor, prompt="unwanted", times=2)
    with busy.gateway.client() as client:
        body = {"model": "sora-2", "prompt": "Something unwanted", "seconds": "8"}
        made = client.post("/v1/videos", json=body).json()["id"]
        until(lambda: client.get(f"/v1/videos/{made}").json()["status"] == "failed")
    page = panel.page
    panel.open("playground?model=sora-2")
    page.locator("[name=prompt]").fill("Something unwanted")
    page.locator("button[type=submit]").click()
    expect(page.locator("[data-state=failed]")).to_contain_text(ZH["error.invalid_request"])
    assert english_runs(page) == []
    panel.open("tasks?state=failed")
    title = page.locator("tr[data-id] .why").first
    expect(title).to_have_attribute("title", re.compile(ZH["error.invalid_request"]))
    with open_panel(browser, busy.gateway.url, lang="zh", width=390) as holder:
        holder.page.goto("/my/")
        holder.page.locator("#holder-key").fill(KEY)
        holder.page.locator("button[type=submit]").click()
        expect(holder.page.locator(".holder-films p.bad").first).to_contain_text(ZH["error.invalid_request"])
        assert english_runs(holder.page) == []
