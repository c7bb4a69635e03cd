"""The first steps of a new operator, in the browser alone: from the setup link to a video, webhooks and export."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.panel.conftest import PASSWORD
from tests.panel.panel_page import PHONE, PanelPage, open_panel
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream
from tests.upstream.media import tiny_png
from tests.webhooks.receiver import Receiver

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
SECRET = "sk-upstream-secret-0001"


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as found:
        yield found


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as found:
        yield found


@pytest.fixture
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GatewayProcess]:
    postgres = request.param == "postgres"
    store = {"FILMGATE_DATABASE_URL": request.getfixturevalue("postgres_url")} if postgres else {}
    # Beside a log of JSON the link to choose a password is not printed.
    with GatewayProcess(tmp_path, FILMGATE_STUDIO="auto", FILMGATE_LOG_FORMAT="console", **store) as found:
        yield found


class FirstSteps:
    """The steps, in their order."""

    def __init__(self, panel: PanelPage, *, upstream: FakeUpstream, receiver: Receiver) -> None:
        self.panel = panel
        self.page = panel.page
        self.upstream = upstream
        self.receiver = receiver

    def sets_a_password(self, greeting: str) -> None:
        token = re.search(r"#setup=(\S+)", greeting)
        assert token, greeting
        self.page.goto(f"/admin/#setup={token[1]}")
        self.page.locator("[name=password]").fill(PASSWORD)
        self.page.locator("[name=again]").fill(PASSWORD + "!")
        self.panel.button("Set password and open the panel").click()
        expect(self.page.locator(".problem")).to_be_visible()
        self.page.locator("[name=again]").fill(PASSWORD)
        self.panel.button("Set password and open the panel").click()
        expect(self.page.get_by_role("heading", name="No tasks yet")).to_be_visible()
        assert self.page.url.endswith("#/overview")

    def sees_the_studio(self) -> None:
        self.panel.go_to("accounts")
        row = self.page.locator("tr[data-id]", has_text="studio")
        expect(row.locator(".badge")).to_have_text("Ready")
        expect(self.page.get_by_text("Only the embedded studio is in use")).to_be_visible()
        row.get_by_role("button", name="Actions: studio").click()
        self.page.get_by_role("menuitem", name="Test").click()
        self.panel.expect_toast("it is built in and ready")

    def adds_an_account(self) -> None:
        self.panel.button("Add account").first.click()
        form = self.panel.dialog
        form.locator("[name=provider]").select_option("openai_compatible")
        form.locator("[name=name]").fill("own farm")
        form.locator("[name=base_url]").fill(f"{self.upstream.url}/v1")
        form.locator("[name=secret]").fill(SECRET)
        self.panel.button("Test and list models", within=form).click()
        expect(form.locator("#wizard-found .fine")).to_be_visible()
        listed = form.locator("#wizard-models label")
        listed.filter(has=self.page.get_by_text("fake-video")).click()
        form.get_by_label("Our name for fake-video").fill("sora-2")
        self.panel.button("Add account", within=form).click()
        self.panel.expect_toast("own farm")
        film = self.page.locator("#first-film")
        expect(film.get_by_role("button", name=re.compile("^Make a film"))).to_be_visible()
        self.panel.button("Close", within=film).click()
        row = self.page.locator("tr[data-id]", has_text="own farm")
        row.locator("strong").click()
        drawer = self.page.locator("dialog.drawer")
        self.panel.button("Test", within=drawer).click()
        # This upstream answers anybody, which proves nothing about the secret.
        expect(drawer.locator("#test-result.caution")).to_contain_text("the first task will try the secret")
        expect(drawer).not_to_contain_text(SECRET)
        self.leaves()

    def routes_a_model(self) -> None:
        self.panel.go_to("models")
        self.page.get_by_role("tab", name="Routes").click()
        self.panel.button("Add route").first.click()
        form = self.panel.dialog
        form.locator("[name=model]").fill("sora-2")
        form.get_by_label("Account", exact=True).select_option("own farm")
        self.panel.button("Save", within=form).click()
        expect(self.page.locator("tr[data-id=sora-2]")).to_contain_text("1. own farm")
        self.page.get_by_role("tab", name="Prices").click()
        self.panel.button("Add price").first.click()
        form = self.panel.dialog
        form.locator("[name=model]").fill("sora-2")
        form.locator("[name=per_second]").fill("0.25")
        self.panel.button("Save", within=form).click()
        expect(self.page.locator("tr[data-id=sora-2]")).to_contain_text("$0.25 per second")

    def makes_a_key(self) -> str:
        self.panel.go_to("keys")
        self.panel.button("Create key").first.click()
        form = self.panel.dialog
        form.locator("[name=name]").fill("shop")
        form.locator("[name=daily]").fill("5")
        self.panel.button("Create key", within=form).click()
        shown = self.page.locator("#new-secret")
        key = shown.locator("pre").inner_text()
        assert key.startswith("sk-fg-")
        self.panel.button("Copy", within=shown).click()
        expect(shown.get_by_role("button")).to_have_text("Copied")
        assert self.page.evaluate("navigator.clipboard.readText()") == key
        self.panel.button("I have saved it", within=self.panel.dialog).click()
        row = self.page.locator("tr[data-id]", has_text="shop")
        expect(row).to_contain_text("$5.00 per day")
        row.locator("strong").click()
        drawer = self.page.locator("dialog.drawer")
        self.panel.button("Add endpoint", within=drawer).click()
        form = self.panel.dialog
        form.locator("[name=name]").fill("orders")
        form.locator("[name=url]").fill(self.receiver.url)
        self.panel.button("Add endpoint", within=form).click()
        expect(self.panel.dialog.locator("pre")).to_contain_text("whsec_")
        self.panel.button("I have saved it", within=self.panel.dialog).click()
        expect(drawer).to_contain_text("orders")
        self.leaves()
        return key

    def makes_a_film(self) -> str:
        """With a picture and a storyboard; follows the progress and plays the video."""
        self.upstream.script(job_seconds=2.5)
        self.panel.go_to("playground")
        page = self.page
        page.locator("[name=model]").select_option("sora-2")
        page.locator("[name=first_frame]").set_input_files(
            {"name": "frame.png", "mimeType": "image/png", "buffer": tiny_png()}
        )
        expect(page.locator(".thumbs img")).to_be_visible()
        for number, words in ((1, "A boat leaves the harbour"), (2, "It meets a whale")):
            self.panel.button("Add shot").click()
            page.get_by_label(f"Shot {number}", exact=True).fill(words)
        expect(page.locator("#storyboard")).to_contain_text("8 s in total")
        expect(page.locator("#price")).to_contain_text("$2.00")
        expect(page.get_by_role("tabpanel", name="curl")).to_contain_text("It meets a whale")
        self.panel.button("Generate").click()
        made = page.locator("[data-task]")
        expect(made.get_by_role("progressbar")).to_be_visible()
        expect(made).to_have_attribute("data-state", "completed")
        self.plays("[data-task] video")
        expect(made).to_contain_text("$")
        expect(page.locator("[data-task] .row.apart")).to_contain_text("$2.00")
        assert "input_reference" in self.upstream.counters().last["create"].files
        task = made.get_attribute("data-task")
        assert task
        return task

    def finds_it_in_tasks(self, task: str) -> None:
        self.panel.go_to("tasks")
        self.page.locator(f'tr[data-id="{task}"] .prompt').click()
        drawer = self.page.locator("dialog.drawer")
        timeline = drawer.locator(".timeline")
        for words in ("Received", "Assigned to an account", "own farm", "Accepted upstream", "Completed"):
            expect(timeline).to_contain_text(words)
        expect(drawer.locator("#task-cost")).to_contain_text("$2.00")
        expect(drawer.locator(".thumbs img")).to_be_visible()
        self.plays("dialog.drawer video")
        self.panel.button("Copy curl", within=drawer).click()
        assert "/v1/videos" in self.page.evaluate("navigator.clipboard.readText()")
        self.leaves()

    def cancels_another(self) -> None:
        self.upstream.script(job_seconds=600)
        task = self.asks("A film nobody wants")
        self.panel.go_to("tasks")
        row = self.page.locator(f'tr[data-id="{task}"]')
        row.locator(".prompt").click()
        drawer = self.page.locator("dialog.drawer")
        self.panel.button("Cancel", within=drawer).click()
        self.panel.expect_toast(re.compile("ancel"))
        expect(drawer.locator(".head .badge")).to_have_text("Cancelled")
        self.leaves()
        expect(row).to_contain_text("Cancelled")

    def clears_a_cooldown(self) -> None:
        """A task that waited for the account continues."""
        self.upstream.script()
        self.upstream.fault("create", status=429, headers={"Retry-After": "900"})
        task = self.asks("A film that has to wait")
        self.panel.go_to("accounts")
        row = self.page.locator("tr[data-id]", has_text="own farm")
        expect(row).to_contain_text(re.compile("cooling down", re.IGNORECASE))
        self.panel.button("Clear cooldown", within=row).click()
        self.panel.expect_toast("own farm")
        expect(self.panel.button("Clear cooldown", within=row)).to_have_count(0)
        self.panel.go_to("tasks")
        expect(self.page.locator(f'tr[data-id="{task}"]')).to_contain_text("Completed")

    def imports_twenty(self) -> None:
        self.panel.go_to("accounts")
        good = [f"farm-{n:02},openai_compatible,{self.upstream.url}/v1,sk-farm-{n:02}" for n in range(18)]
        bad = [
            "nobody,no_such_provider,https://example.com,sk-x",
            "farm-x,openai_compatible,ftp://nowhere,sk-y",
        ]
        self.panel.button("Import").first.click()
        dialog = self.panel.dialog
        dialog.locator("#import-text").fill(
            "\n".join(["name,provider,base_url,secret", *good[:9], *bad, *good[9:]])
        )
        self.panel.button("Check", within=dialog).click()
        expect(dialog.locator("#import-summary")).to_contain_text("18 new, 0 exist already, 2 with errors")
        expect(dialog.locator("tr[data-id]")).to_have_count(20)
        expect(dialog.locator("tr[data-id='10']")).to_contain_text("provider")
        expect(dialog.locator("tr[data-id='11']")).to_contain_text("base_url")
        self.panel.button("Import 18", within=dialog).click()
        expect(dialog.locator("#import-summary")).to_contain_text("18 added, 0 updated, 2 with errors")
        self.panel.button("Close", within=dialog.locator(".feet")).click()
        expect(self.page.locator("tr[data-id]", has_text="farm-17")).to_be_visible()

    def reads_why(self) -> None:
        self.panel.go_to("models")
        self.page.get_by_role("tab", name="Why this account?").click()
        self.page.locator("[name=model]").fill("sora-2")
        expect(self.page.locator("#verdict")).to_contain_text("own farm would be used")
        expect(self.page.locator("tr[data-id]", has_text="farm-03")).to_contain_text("Not in the route")

    def sends_a_webhook_again(self, key: str, gateway: GatewayProcess) -> None:
        with gateway.client(key=key) as client:
            answer = client.post(
                "/v1/videos", json={"model": "sora-2", "prompt": "For the shop", "seconds": "4"}
            )
            assert answer.status_code == 200, answer.text
        until(lambda: len(self.receiver.seen) == 1)
        self.panel.go_to("webhooks")
        row = self.page.locator("tr[data-id]")
        expect(row).to_contain_text("Delivered")
        row.locator("strong").click()
        drawer = self.page.locator("dialog.drawer")
        self.panel.button("Send again", within=drawer).click()
        self.panel.expect_toast("being sent again")
        expect(drawer.locator(".timeline li.good")).to_have_count(2)
        until(lambda: len(self.receiver.seen) == 2)
        assert self.receiver.seen[0].id == self.receiver.seen[1].id
        self.leaves()

    def exports(self, task: str) -> None:
        self.panel.go_to("tasks")
        with self.page.expect_download() as started:
            self.panel.button("Export CSV").click()
        assert started.value.suggested_filename == "tasks.csv"
        rows = Path(started.value.path()).read_text().splitlines()
        assert any(task in row for row in rows), rows[:2]

    def switches(self) -> None:
        """To Chinese and to the dark theme; both are kept."""
        page = self.page
        if self.panel.width <= PHONE:
            page.locator(".topbar button").click()
        page.locator("#lang").click()
        page.locator("#theme").click()  # auto, light, dark
        expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        page.reload()
        self.panel.wait_until_loaded()
        expect(page.get_by_role("heading", name="任务", exact=True)).to_be_visible()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    def asks(self, prompt: str) -> str:
        """Submit the form of the playground; returns the task id."""
        self.panel.go_to("playground")
        self.page.locator("[name=model]").select_option("sora-2")
        self.page.locator("[name=prompt]").fill(prompt)
        made = self.page.locator("[data-task]")
        kept = made.get_attribute("data-task") if made.count() else None  # the film that was made before
        self.panel.button("Generate").click()
        if kept:
            expect(made).not_to_have_attribute("data-task", kept)
        task = made.get_attribute("data-task")
        assert task
        return task

    def plays(self, selector: str) -> None:
        """The video plays and has a picture."""
        video = self.page.locator(selector)
        expect(video).to_be_visible()
        video.evaluate("(one) => { one.muted = true; return one.play(); }")
        until(lambda: video.evaluate("(one) => one.currentTime > 0.2 && one.videoWidth > 0"))

    def leaves(self) -> None:
        assert self.panel.overflow_pixels() <= 0
        self.page.keyboard.press("Escape")
        expect(self.page.locator("dialog[open]")).to_have_count(0)


@pytest.mark.parametrize(("width", "gateway"), [(1280, "sqlite"), (PHONE, "postgres")], indirect=["gateway"])
def test_first_steps_in_the_browser(
    browser: Browser, gateway: GatewayProcess, upstream: FakeUpstream, receiver: Receiver, width: int
) -> None:
    with open_panel(browser, gateway.url, width=width) as panel:
        steps = FirstSteps(panel, upstream=upstream, receiver=receiver)
        steps.sets_a_password(gateway.greeting)
        steps.sees_the_studio()
        steps.adds_an_account()
        steps.routes_a_model()
        key = steps.makes_a_key()
        task = steps.makes_a_film()
        steps.finds_it_in_tasks(task)
        steps.cancels_another()
        steps.clears_a_cooldown()
        steps.imports_twenty()
        steps.reads_why()
        steps.sends_a_webhook_again(key, gateway)
        steps.exports(task)
        steps.switches()
