"""The official SDK manages endpoints at a running gateway and receives their events."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from standardwebhooks import Webhook

from app.components import Components
from tests.serving import KEY, GatewayProcess, until
from tests.webhooks.receiver import Receiver, Reply

EVENTS = ["video.completed", "video.failed"]
OUTSIDE = "https://receiver.example/hook"


@dataclass(frozen=True)
class Setting:
    gateway: GatewayProcess
    other: str
    manual: str


async def _keys(components: Components) -> tuple[str, str]:
    other = await components.keys.create("other")
    return other, await components.keys.create("manual", options={"videos_dialect": "manual"})


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    gateway = GatewayProcess(tmp_path_factory.mktemp("gateway"), FILMGATE_STUDIO="on")
    other, manual = gateway.prepare(_keys)
    with gateway:
        yield Setting(gateway, other, manual)


def client_of(setting: Setting, key: str) -> OpenAI:
    return OpenAI(
        base_url=f"{setting.gateway.url}/v1", api_key=key, max_retries=0, _strict_response_validation=True
    )


@pytest.fixture(scope="module")
def client(setting: Setting) -> Iterator[OpenAI]:
    with client_of(setting, KEY) as found:
        yield found


@pytest.fixture(scope="module")
def http(setting: Setting) -> Iterator[httpx2.Client]:
    with setting.gateway.client() as found:
        yield found


def arrived(receiver: Receiver, *, count: int = 1) -> list[Any]:
    return until(lambda: receiver.seen if len(receiver.seen) >= count else None)


def make_video(http: httpx2.Client, **fields: Any) -> str:
    body = {"prompt": "[studio:fast] a webhook", "seconds": 1, "size": "64x64"} | fields
    answer = http.post("/v1/videos", json=body)
    assert answer.status_code == 200, answer.text
    made: str = answer.json()["id"]
    return made


def test_the_life_of_an_endpoint(client: OpenAI) -> None:
    made = client.webhooks.create(name="films", url=OUTSIDE, event_types=["video.failed"])
    assert made.id.startswith("we_")
    assert (made.object, made.name, made.url) == ("webhook_endpoint", "films", OUTSIDE)
    assert made.signing_secret.startswith("whsec_")
    assert made.signing_secret_hint and made.signing_secret.endswith(made.signing_secret_hint[-4:])
    found = client.webhooks.retrieve(made.id)
    assert found == client.webhooks.update(made.id, name="films")  # unchanged updates advance nothing
    assert "signing_secret" not in found.model_dump()
    changed = client.webhooks.update(made.id, name="shorts", event_types=EVENTS)
    assert (changed.name, changed.event_types, changed.url) == ("shorts", EVENTS, OUTSIDE)
    rotated = client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
    assert rotated.signing_secret != made.signing_secret
    gone = client.webhooks.delete(made.id)
    assert (gone.id, gone.deleted, gone.object) == (made.id, True, "webhook_endpoint.deleted")
    with pytest.raises(openai.NotFoundError):
        client.webhooks.retrieve(made.id)


def test_pages(client: OpenAI) -> None:
    made = [client.webhooks.create(name=f"n{n}", url=OUTSIDE, event_types=EVENTS).id for n in range(3)]
    first = client.webhooks.list(limit=2)
    assert [one.id for one in first.data] == made[:0:-1]
    assert (first.first_id, first.last_id, first.has_more) == (made[2], made[1], True)
    rest = client.webhooks.list(limit=2, after=first.last_id or "")
    assert [one.id for one in rest.data] == [made[0]]
    assert rest.has_more is False
    for endpoint_id in made:
        client.webhooks.delete(endpoint_id)
    assert client.webhooks.list().data == []


def test_event_types(client: OpenAI) -> None:
    assert client.webhooks.event_types.list().data == EVENTS


def test_it_is_told_of_a_finished_video(client: OpenAI, http: httpx2.Client, receiver: Receiver) -> None:
    made = client.webhooks.create(name="films", url=receiver.url, event_types=EVENTS)
    video = make_video(http)
    [seen] = arrived(receiver)
    event = client.webhooks.unwrap(seen.body, seen.headers, secret=made.signing_secret)
    assert (event.type, event.data.id) == ("video.completed", video)
    assert http.get(f"/v1/videos/{video}").json()["status"] == "completed"
    rotated = client.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
    tested = client.webhooks.test(made.id, event_type="video.failed")
    assert (tested.status_code, tested.success, tested.webhook_endpoint_id) == (200, True, made.id)
    [_, sample] = arrived(receiver, count=2)
    for secret in (made.signing_secret, rotated.signing_secret):
        assert client.webhooks.unwrap(sample.body, sample.headers, secret=secret).type == "video.failed"
    client.webhooks.delete(made.id)


def test_a_test_tells_what_the_receiver_said(client: OpenAI, receiver: Receiver) -> None:
    made = client.webhooks.create(name="films", url=receiver.url, event_types=EVENTS)
    receiver.reply = Reply(418)
    assert client.webhooks.test(made.id, event_type="video.completed").status_code == 418
    for target in ("http://127.0.0.1:9/", "https://192.168.0.1/", "https://[fd00::1]/", OUTSIDE):
        client.webhooks.update(made.id, url=target)
        with pytest.raises(openai.BadRequestError, match="could not be reached"):
            client.webhooks.test(made.id, event_type="video.completed")
    with pytest.raises(openai.BadRequestError, match="event_type must be one of"):
        client.webhooks.test(made.id, event_type="video.exploded")  # type: ignore[arg-type]
    client.webhooks.delete(made.id)


def test_it_is_nobody_elses(client: OpenAI, setting: Setting) -> None:
    made = client.webhooks.create(name="mine", url=OUTSIDE, event_types=EVENTS)
    with client_of(setting, setting.other) as stranger:
        assert stranger.webhooks.list().data == []
        for attempt in (
            lambda: stranger.webhooks.retrieve(made.id),
            lambda: stranger.webhooks.update(made.id, name="theirs"),
            lambda: stranger.webhooks.rotate_secret(made.id),
            lambda: stranger.webhooks.test(made.id, event_type="video.failed"),
            lambda: stranger.webhooks.delete(made.id),
        ):
            with pytest.raises(openai.NotFoundError):
                attempt()
    assert client.webhooks.retrieve(made.id).name == "mine"
    client.webhooks.delete(made.id)
    with client_of(setting, "sk-nobody") as keyless, pytest.raises(openai.AuthenticationError):
        keyless.webhooks.list()


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"url": "http://receiver.example/"}, "url"),
        ({"url": "ftp://receiver.example/"}, "url"),
        ({"url": None}, "url"),
        ({"name": ""}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"event_types": []}, "event_types"),
        ({"event_types": ["response.completed"]}, "event_types"),
        ({"event_types": [7]}, "event_types"),
    ],
)
def test_bad_fields_are_named(http: httpx2.Client, change: dict[str, Any], param: str) -> None:
    good = {"name": "films", "url": OUTSIDE, "event_types": EVENTS}
    answer = http.post("/v1/webhook_endpoints", json=good | change)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("name", ["we_x", "we_%00", "we_" + "0" * 32, "%E2%80%AE"])
def test_ids_that_name_nothing(http: httpx2.Client, name: str) -> None:
    assert http.get(f"/v1/webhook_endpoints/{name}").status_code == 404
    assert http.get("/v1/webhook_endpoints?after=we_x").status_code == 400


def test_there_is_an_end_to_endpoints(http: httpx2.Client, setting: Setting) -> None:
    body = {"name": "films", "url": OUTSIDE, "event_types": EVENTS}
    with setting.gateway.client(key=setting.other) as other:
        statuses = [other.post("/v1/webhook_endpoints", json=body).status_code for _ in range(51)]
    assert statuses == [200] * 50 + [400]


def test_the_hook_of_one_video(http: httpx2.Client, receiver: Receiver) -> None:
    secret = http.get("/v1/webhook_endpoints/hook_secret").json()["signing_secret"]
    video = make_video(http, notify_hook=f"{receiver.url}?order=7")
    [seen] = arrived(receiver)
    told = Webhook(secret).verify(seen.body, seen.headers)
    assert seen.path == "/hook?order=7"
    shown = http.get(f"/v1/videos/{video}").json()
    link = told.pop("url")
    assert told == {name: value for name, value in shown.items() if name != "url"}
    with httpx2.Client() as keyless:
        assert keyless.get(link).headers["content-type"] == "video/mp4"


def test_the_hook_speaks_the_keys_dialect(setting: Setting, receiver: Receiver) -> None:
    with setting.gateway.client(key=setting.manual) as http:
        make_video(http, notify_hook=receiver.url)
        [seen] = arrived(receiver)
        assert "object" not in seen.event
        assert (seen.event["status"], seen.event["progress"]) == ("completed", 100)
        secret = http.get("/v1/webhook_endpoints/hook_secret").json()["signing_secret"]
    Webhook(secret).verify(seen.body, seen.headers)


def test_a_malformed_hook_is_a_clear_refusal(http: httpx2.Client) -> None:
    answer = http.post("/v1/videos", json={"prompt": "x", "notify_hook": "not an address"})
    assert answer.status_code == 400
    assert answer.json()["error"] == {
        "message": "notify_hook must be an address like https://example.com/hook",
        "type": "invalid_request_error",
        "param": "notify_hook",
        "code": "invalid_request",
    }


def test_answers_keep_to_their_schemas(http: httpx2.Client, receiver: Receiver) -> None:
    schemas = http.get("/openapi.json").json()["components"]["schemas"]
    made = http.post(
        "/v1/webhook_endpoints", json={"name": "n", "url": receiver.url, "event_types": EVENTS}
    ).json()
    path = f"/v1/webhook_endpoints/{made['id']}"
    for name, answer in (
        ("WebhookEndpointWithSecret", made),
        ("WebhookEndpoint", http.get(path).json()),
        ("WebhookEndpointList", http.get("/v1/webhook_endpoints").json()),
        ("WebhookEndpointTest", http.post(f"{path}/test", json={"event_type": EVENTS[0]}).json()),
        ("WebhookEndpointDeleted", http.delete(path).json()),
        ("WebhookEventTypes", http.get("/v1/webhook_event_types").json()),
        ("HookSecret", http.get("/v1/webhook_endpoints/hook_secret").json()),
    ):
        assert set(answer) <= set(schemas[name]["properties"]), name
        assert set(schemas[name]["required"]) <= set(answer), name


def test_secrets_are_in_no_log_and_not_in_the_store(client: OpenAI, setting: Setting) -> None:
    made = client.webhooks.create(name="canary", url=OUTSIDE, event_types=EVENTS)
    secret = made.signing_secret.removeprefix("whsec_").encode()
    kept = b"".join(path.read_bytes() for path in setting.gateway.folder.glob("filmgate.db*"))
    assert made.id.encode() in kept
    assert secret not in kept
    assert secret not in setting.gateway.log.read_bytes()
    assert secret.decode() not in json.dumps(client.webhooks.retrieve(made.id).model_dump())
    client.webhooks.delete(made.id)
