"""A viewer sees how the gateway works, not what clients make with it: no prompt, no input, no private film, no secret."""

import json
from base64 import b64encode
from typing import Any

import pytest
from pydantic import ValidationError

from app.settings import Settings, describe_settings, mask_address
from tests.admin.conftest import Browser
from tests.e2e.footage import make_picture
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

PROMPT = "a very confidential lighthouse"


@pytest.fixture(scope="module")
def private(owner: Browser, farm: Any, gateway: GatewayProcess, key: Any) -> Any:
    """The id of a finished private film with a first frame."""
    picture = f"data:image/png;base64,{b64encode(make_picture(64, 64)).decode()}"
    body = {"model": "film", "prompt": PROMPT, "private": True, "duration": 4, "images": [picture]}
    with gateway.client(key=key["secret"]) as client:
        answer = client.post("/v2/videos/generations", json=body)
    assert answer.status_code == 200, answer.text
    task = answer.json()["task_id"]
    assert owner.ended(task)["state"] == "completed"
    return task


def test_an_owner_sees_everything(owner: Browser, private: Any) -> None:
    detail = owner.get(f"/tasks/{private}")
    assert detail["prompt"] == PROMPT and detail["request"]["prompt"] == PROMPT
    assert detail["files"] and detail["inputs"][0]["link"]
    assert owner.ask("GET", f"/tasks/{private}/inputs/0").status_code == 200


def test_a_viewer_sees_no_prompt_and_no_private_film(viewer: Browser, private: Any, film: Any) -> None:
    detail = viewer.get(f"/tasks/{private}")
    assert (detail["state"], detail["model"], detail["request"]["private"]) == ("completed", "film", True)
    assert (detail["files"], detail["spritesheet"], detail["thumbnail"], detail["inputs"]) == (
        [],
        None,
        None,
        [],
    )
    assert detail["vendor_url"] is None
    rows = [row for row in viewer.get("/tasks?limit=100")["data"] if row["id"] == detail["id"]]
    assert [(row["prompt"], row["thumbnail"]) for row in rows] == [("", None)]
    public = viewer.get(f"/tasks/{film['id']}")
    assert public["files"] and public["thumbnail"] and public["prompt"] == ""
    said = [detail, rows, public, viewer.http.get("/tasks.csv").text, viewer.get("/audit")]
    assert "confidential" not in json.dumps(said) and "HYPERLINK" not in json.dumps(said)


def test_a_viewer_gets_no_input_and_searches_no_prompt(viewer: Browser, private: Any) -> None:
    assert viewer.refused("GET", f"/tasks/{private}/inputs/0")[0] == 403
    for path in ("/tasks?q=lighthouse", "/tasks.csv?q=l"):
        assert viewer.refused("GET", path)[0] == 403
    assert len(viewer.get(f"/tasks?q={private}")["data"]) == 1


def test_a_viewer_gets_no_receipt_as_a_short_prompt_can_be_guessed(
    viewer: Browser, owner: Browser, private: Any
) -> None:
    assert viewer.refused("GET", f"/tasks/{private}/receipt")[0] == 403
    signed = owner.ask("GET", f"/tasks/{private}/receipt")
    said = signed.json()["receipt"]
    assert (said["reader"], said["task"]["id"]) == ("operator", private.replace("-", ""))
    assert said["money"].keys() >= {"sale", "cost"} and PROMPT not in signed.text


def test_a_viewer_reads_no_body_of_a_webhook(
    viewer: Browser, owner: Browser, gateway: GatewayProcess, key: Any, upstream: FakeUpstream, receiver: Any
) -> None:
    with gateway.client(key=key["secret"]) as client:
        made = client.post(
            "/v2/videos/generations",
            json={"model": "film", "prompt": PROMPT, "duration": 4, "notify_hook": receiver.url},
        )
    assert owner.ended(made.json()["task_id"])["state"] == "completed"
    [delivery, *_] = owner.get("/webhooks/deliveries")["data"]
    assert until(lambda: owner.get(f"/webhooks/deliveries/{delivery['id']}")["body"])
    assert viewer.get(f"/webhooks/deliveries/{delivery['id']}")["body"] is None


ADDRESSES = [
    "postgresql+asyncpg://user:hunter2@db:5432/filmgate",
    "postgresql+asyncpg://db/filmgate?user=me&password=hunter2&sslmode=require",
    "postgresql+asyncpg://db/filmgate?sslpassword=hunter2&passfile=/hunter2",
    "postgresql+asyncpg://user:p@ss:hunter2@db/filmgate",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_shown_without_its_secrets(address: str) -> None:
    shown = {row["name"]: row["value"] for row in describe_settings(Settings(database_url=address))}
    assert "hunter2" not in shown["FILMGATE_DATABASE_URL"]
    assert "hunter2" not in mask_address(address)
    assert shown["FILMGATE_DATABASE_URL"].startswith("postgresql+asyncpg://")


def test_an_address_that_is_refused_is_told_without_its_secrets() -> None:
    address = "postgresql+asyncpg://db/filmgate?PASSWORD=hunter2"
    assert "hunter2" not in mask_address(address)
    with pytest.raises(ValidationError, match="parameter PASSWORD") as refused:
        Settings(database_url=address)
    assert "hunter2" not in str(refused.value)
