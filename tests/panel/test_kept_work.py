"""Nothing gets lost: what was typed, a new key, a filter, and the page of a session that has ended; below a path too."""

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect

from tests.admin.conftest import browser as owner_of
from tests.panel.conftest import PASSWORD
from tests.panel.panel_page import PanelPage, open_panel
from tests.serving import GatewayProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
PREFIX = "/filmgate"
NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined })"


@pytest.fixture(scope="module")
def gateway(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder = tmp_path_factory.mktemp("kept")
    with _proxy() as proxy:
        found = GatewayProcess(
            folder,
            FILMGATE_STUDIO="on",
            FILMGATE_ADMIN_PASSWORD=PASSWORD,
            FILMGATE_PUBLIC_URL=f"{proxy.url}{PREFIX}",
        )
        with found:
            proxy.target = found.url.removeprefix("http://")
            yield found


@pytest.fixture
def panel(browser: Browser, gateway: GatewayProcess) -> Iterator[PanelPage]:
    with open_panel(browser, gateway.url) as found:
        found.sign_in("admin", PASSWORD)
        yield found


def click_beside(panel: PanelPage) -> None:
    panel.page.mouse.click(4, 4)


def test_a_dialog_keeps_what_was_typed_and_a_key_that_was_not_copied(panel: PanelPage) -> None:
    page = panel.page
    panel.open("keys")
    panel.button("Create key").first.click()
    click_beside(panel)
    expect(page.locator("dialog[open]")).to_have_count(0)  # nothing was typed
    panel.button("Create key").first.click()
    panel.dialog.locator("[name=name]").fill("shop")
    click_beside(panel)
    page.keyboard.press("Escape")
    expect(panel.dialog).to_contain_text("What you have typed here is lost.")
    panel.button("Cancel", within=panel.dialog).click()
    expect(panel.dialog.locator("[name=name]")).to_have_value("shop")
    panel.button("Create key", within=panel.dialog).click()
    secret = page.locator("#new-secret")
    expect(secret).to_be_visible()
    click_beside(panel)
    page.keyboard.press("Escape")
    expect(panel.dialog).to_contain_text("It was not copied yet")
    panel.button("Cancel", within=panel.dialog).click()
    panel.button("Copy", within=secret).click()
    expect(secret.get_by_text("Copied")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)


def test_a_session_that_ends_leaves_the_form_and_back_undoes_a_filter(
    gateway: GatewayProcess, panel: PanelPage
) -> None:
    page = panel.page
    panel.open("tasks")
    page.get_by_label("Any state").select_option("failed")
    expect(page).to_have_url(re.compile("state=failed"))
    page.go_back()
    expect(page).to_have_url(re.compile("#/tasks$"))
    expect(page.get_by_label("Any state")).to_have_value("")
    panel.open("playground")
    page.locator("[name=prompt]").fill("A kite that nobody may forget")
    panel.go_to("keys")
    panel.button("Create key").first.click()
    panel.dialog.locator("[name=name]").fill("half typed")
    owner = owner_of(gateway)
    with owner.http:
        assert owner.sign_in("admin").status_code == 200
        for session in owner.get("/sessions")["data"]:
            if not session["current"]:
                owner.must("DELETE", f"/sessions/{session['id']}", status=204)
    panel.button("Create key", within=panel.dialog).click()
    again = page.locator("#sign-in-again")
    again.locator("[name=password]").fill(PASSWORD)
    panel.button("Sign in", within=again).click()
    expect(again).to_have_count(0)
    expect(panel.dialog.locator("[name=name]")).to_have_value("half typed")
    panel.button("Create key", within=panel.dialog).click()
    expect(page.locator("#new-secret")).to_be_visible()
    panel.button("I have saved it").click()
    panel.go_to("playground")
    expect(page.locator("[name=prompt]")).to_have_value("A kite that nobody may forget")
    panel.problems.clear()  # the browser says that a request was refused


def test_unsaved_settings_and_forms_ask_before_they_are_left(panel: PanelPage) -> None:
    page = panel.page
    panel.open("settings/notices")
    panel.button("Add").first.click()
    page.locator('#side a[href="#/keys"]').click()
    expect(panel.dialog).to_contain_text("is not saved")
    panel.button("Cancel", within=panel.dialog).click()
    expect(page).to_have_url(re.compile("#/settings/notices$"))
    expect(page.locator("#main")).to_have_attribute("data-page", "settings")
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    page.locator('#side a[href="#/keys"]').click()
    panel.button("Leave", within=panel.dialog).click()
    expect(page.locator("#main")).to_have_attribute("data-page", "keys")
    panel.open("settings/notices")
    page.go_back()  # nothing is typed here now
    expect(page.locator("#main")).to_have_attribute("data-page", "keys")
    panel.button("Create key").first.click()
    panel.dialog.locator("[name=name]").fill("half a key")
    page.go_back()
    expect(panel.dialog).to_contain_text("is not saved")
    panel.button("Cancel", within=panel.dialog).click()
    expect(panel.dialog.locator("[name=name]")).to_have_value("half a key")
    page.locator("body").evaluate("location.hash = '#/logs'")
    panel.button("Leave", within=panel.dialog).click()
    expect(page.locator("#main")).to_have_attribute("data-page", "logs")


def test_below_a_path_of_another_address(browser: Browser, gateway: GatewayProcess) -> None:
    """Signs in as a person does, makes a film, sees it, and copies its request without a clipboard of the browser."""
    public = gateway.environment["FILMGATE_PUBLIC_URL"]
    with open_panel(browser, public.removesuffix(PREFIX)) as panel:
        page = panel.page
        page.add_init_script(NO_CLIPBOARD)
        page.goto(f"{public}/admin")  # without the slash: the way leads through a redirect
        page.locator("[name=password]").fill(PASSWORD)
        panel.button("Sign in").click()
        expect(page.locator("#side")).to_be_visible()
        [cookie] = [each for each in page.context.cookies() if each["name"] == "filmgate_session"]
        assert cookie["path"] == f"{PREFIX}/admin"
        page.locator('#side a[href="#/playground"]').click()
        page.locator("[name=model]").select_option("studio")
        page.locator("[name=prompt]").fill("A film below a path")
        page.locator("[name=seconds]").select_option("1")
        expect(page.locator("pre.code")).to_contain_text(f"{public}/v1/videos")
        panel.button("Generate").click()
        expect(page.locator("[data-state=completed] video")).to_have_attribute(
            "src", re.compile(f"^{PREFIX}/files/")
        )
        page.locator("[data-state=completed]").get_by_role("link", name="Open in Tasks").click()
        drawer = page.locator("dialog.drawer")
        panel.button("Copy curl", within=drawer).click()
        panel.expect_toast("Copied")
        page.keyboard.press("Escape")
        page.locator("input[type=search]").press("Control+V")
        expect(page.locator("input[type=search]")).to_have_value(re.compile(rf"^curl {public}/v1/videos"))


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True
    target = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    """Serves the gateway below a path, as `location /filmgate/ { proxy_pass http://gateway/; }` does."""

    server: _Proxy

    def do_GET(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        if not self.path.startswith(f"{PREFIX}/"):
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        upstream = http.client.HTTPConnection(self.server.target)
        try:
            upstream.request(self.command, self.path.removeprefix(PREFIX), body, headers)
            self._answer(upstream.getresponse())
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # the browser or the gateway has gone
        finally:
            upstream.close()

    def _answer(self, answer: http.client.HTTPResponse) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "date"):
                self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        while part := answer.read1(65_536):
            self.wfile.write(part)
            self.wfile.flush()
        self.close_connection = True

    def log_message(self, text: str, *args: object) -> None:
        """Tests print nothing."""


@contextmanager
def _proxy() -> Iterator[_Proxy]:
    server = _Proxy(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
