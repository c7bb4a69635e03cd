"""What goes wrong is said and mended: models that nobody can make, tasks that wait, and a gateway that is away."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.admin.conftest import Browser as Owner
from tests.admin.conftest import browser as owner_of
from tests.panel.conftest import PASSWORD
from tests.panel.panel_page import PanelPage, open_panel
from tests.serving import GatewayProcess
from tests.upstream import FakeUpstream

pytestmark = [pytest.mark.browser, pytest.mark.timeout(900)]
NOBODY = "http://127.0.0.1:9/v1"


@pytest.fixture(scope="module")
def gateway(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    folder: Path = tmp_path_factory.mktemp("trouble")
    with GatewayProcess(folder, FILMGATE_STUDIO="auto", FILMGATE_ADMIN_PASSWORD=PASSWORD) as found:
        yield found


@pytest.fixture
def owner(gateway: GatewayProcess) -> Iterator[Owner]:
    found = owner_of(gateway)
    with found.http:
        assert found.sign_in("admin").status_code == 200
        yield found


@pytest.fixture
def panel(browser: Browser, gateway: GatewayProcess) -> Iterator[PanelPage]:
    with open_panel(browser, gateway.url) as found:
        found.sign_in("admin", PASSWORD)
        yield found


def test_the_studio_goes_on_until_an_account_is_proven(owner: Owner, gateway: GatewayProcess) -> None:
    """The first account of an operator can't be reached: the program that worked still gets its film."""
    account = {
        "provider": "openai_compatible",
        "name": "unproven",
        "base_url": NOBODY,
        "secret": "sk-nobody-0001",
    }
    made = owner.post("/accounts", status=201, json=account | {"models": {"sora-2": "sora-2"}})
    names = {row["name"] for row in owner.get("/accounts")["data"]}
    assert names == {"studio", "unproven"}
    held_back = {row["account"]: row["verdict"] for row in owner.get("/explain?model=sora-2")["data"]}
    assert held_back == {"unproven": "chosen", "studio": "stands_in"}
    with gateway.client() as client:
        answer = client.post("/v1/videos", json={"model": "sora-2", "prompt": "A kite", "seconds": "1"})
    assert answer.status_code == 200, answer.text
    film = owner.ended(owner.get("/tasks")["data"][0]["id"])
    assert (film["state"], film["account"]["name"]) == ("completed", "studio")
    owner.must("DELETE", f"/accounts/{made['id']}", status=204)


def test_a_model_without_anybody_is_red_until_it_is_mended(owner: Owner, panel: PanelPage) -> None:
    page = panel.page
    account = {
        "provider": "openai_compatible",
        "name": "lonely",
        "base_url": NOBODY,
        "secret": "sk-lonely-0001",
    }
    made = owner.post("/accounts", status=201, json=account | {"models": {"alone": "alone"}})
    owner.must("PUT", "/routes/alone", json={"candidates": [{"account": "lonely"}]})
    owner.post("/playground", status=201, json={"model": "alone", "kind": "video", "prompt": "A kite"})
    panel.open("tasks")
    expect(page.locator("#outage")).to_contain_text("No account can make alone now.")
    expect(page.locator("tr[data-id]", has_text="alone")).to_contain_text(
        "waits because no account can take it"
    )
    page.locator("#outage").get_by_role("link", name="Mend it").click()
    row = page.locator(".verdict.bad[data-model=alone]")
    expect(row).to_contain_text("nobody, 1 cooling down until")
    expect(row).to_contain_text("1 task waits")
    panel.button("Test", within=row).click()
    expect(row.locator("li.bad")).to_contain_text("lonely")
    with FakeUpstream() as upstream:
        panel.button("Clear", within=row).click()
        expect(panel.dialog).to_contain_text("lonely")
        # Only now, as an account that can be reached is tried again by itself.
        owner.must("PATCH", f"/accounts/{made['id']}", json={"base_url": f"{upstream.url}/v1"})
        panel.button("Clear", within=panel.dialog).click()
        expect(page.locator(".verdict[data-model=alone]")).to_contain_text("1 of 1 ready")
        expect(page.locator(".verdict.bad[data-model=alone]")).to_have_count(0)
        film = owner.get("/tasks?model=alone")["data"][0]
        assert owner.ended(film["id"])["state"] == "completed"
        panel.go_to("tasks")
        # What only the studio made may be told: it has gone with the first account that made a film.
        expect(page.locator("#outage", has_text="alone")).to_have_count(0)
        assert {each["name"] for each in owner.get("/accounts")["data"]} == {"lonely"}


def test_a_gateway_that_comes_back_mends_the_panel(gateway: GatewayProcess, panel: PanelPage) -> None:
    page = panel.page
    panel.open("keys")
    gateway.stop()
    expect(page.locator("#not-connected")).to_contain_text("Not connected since")
    page.locator('#side a[href="#/characters"]').click()
    expect(page.locator("main .trouble", has_text="This page could not be loaded.")).to_be_visible()
    gateway.port = gateway.url.rsplit(":", 1)[1]
    gateway.start()
    expect(page.get_by_role("heading", name="Characters", exact=True)).to_be_visible()
    expect(page.locator("#not-connected")).to_have_count(0)
    panel.wait_until_loaded()
    panel.problems.clear()  # what a browser says about a server that is away
