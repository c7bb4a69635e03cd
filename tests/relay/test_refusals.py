"""Errors for calls that can't be relayed: always in the same envelope."""

from typing import Any

import pytest

from tests.relay.gateway import CHAT, RelayGateway
from tests.upstream import FakeUpstream, closed_port

FORBIDDEN = {"error": {"message": "no access", "code": "model_not_found"}}


async def test_keys_are_checked_before_the_body_is_read(gateway: RelayGateway) -> None:
    for headers in (
        {"Authorization": ""},
        {"Authorization": "Bearer nobody"},
        {"Authorization": "", "x-api-key": "no"},
    ):
        response = await gateway.client.post(CHAT, content=b"not json", headers=headers)
        assert response.status_code == 401
        assert response.json()["error"] == {
            "message": "Invalid API key",
            "type": "authentication_error",
            "param": None,
            "code": "invalid_api_key",
        }


@pytest.mark.parametrize("form", ["{}", "Bearer {}", "bearer  {}"])
async def test_forms_of_the_key(gateway: RelayGateway, upstream: FakeUpstream, form: str) -> None:
    await gateway.add_account(upstream.url)
    for name in ("Authorization", "x-api-key"):
        value = form.format(gateway.key) if name == "Authorization" else gateway.key
        gateway.client.headers.pop("Authorization", None)
        response = await gateway.client.post(CHAT, json={"model": "bot"}, headers={name: value})
        assert response.status_code == 200
    assert set(upstream.counters().keys) == {"sk-up-first"}
    assert gateway.key not in str(upstream.counters().last["chat"].headers)


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        (b"", "The body is no valid JSON.", None),
        (b"[1]", "The body must be a JSON object.", None),
        (b"[" * 100_000, "The body is no valid JSON.", None),
        (b'{"messages": []}', "model is required", "model"),
        (b'{"model": ""}', "model is required", "model"),
        (b'{"model": 3}', "model must be a string", "model"),
        (b'{"model": "bot", "model": "other"}', "model is given more than once", "model"),
        (
            b'{"model": "bot", "thinking": {"budget_tokens": 1, "budget_tokens": 9}}',
            "thinking.budget_tokens is given more than once",
            "budget_tokens",
        ),
        (b'{"model": "nobody"}', "Invalid model: nobody", "model"),
    ],
)
async def test_bad_bodies(gateway: RelayGateway, body: bytes, message: str, param: str | None) -> None:
    response = await gateway.client.post(CHAT, content=body)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["message"], error["param"], error["type"]) == (message, param, "invalid_request_error")


async def test_body_is_bounded(gateway: RelayGateway) -> None:
    response = await gateway.client.post(CHAT, content=b" " * (4 * 1024 * 1024 + 1))
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "payload_too_large"


async def test_no_upstream_listens(gateway: RelayGateway) -> None:
    await gateway.add_account(f"http://127.0.0.1:{closed_port()}")
    response = await gateway.send_chat()
    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_error")
    [row] = await gateway.usage_rows()
    assert row.status == 502


async def test_a_silent_upstream_is_not_retried(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(upstream.url)
    await gateway.add_account(upstream.url, name="second")
    upstream.fault("chat", do="reset", times=None)
    response = await gateway.send_chat()
    assert (response.status_code, response.json()["error"]["code"]) == (502, "submission_unknown")
    assert response.headers["x-should-retry"] == "false"
    assert upstream.counters().requests["chat"] == 1


async def test_a_refused_account_secret_is_not_reported_as_the_clients_key(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    account = await gateway.add_account(upstream.url)
    wrong = {"error": {"message": "Incorrect API key: sk-up-first", "code": "invalid_api_key"}}
    upstream.fault("chat", status=401, body=wrong)
    response = await gateway.send_chat()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "no_available_account")
    assert response.json()["error"]["message"] == "No available tokens for chat generation. 1 disabled."
    [standing] = await gateway.pool.current_statuses()
    assert (standing.account.id, standing.enabled) == (account.id, False)
    assert "sk-up-first" not in (standing.disabled_reason or "")


async def test_a_forbidden_model_cools_down_and_disables_no_account(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    await gateway.add_account(upstream.url, tier=0)
    for _ in range(2):  # with nobody else the upstream is asked all the same, and its word is passed on
        upstream.fault("chat", status=403, body=FORBIDDEN)
        response = await gateway.send_chat()
        assert (response.status_code, response.json()["error"]["message"]) == (403, "no access")
    await gateway.add_account(upstream.url, name="second", tier=1)
    assert (await gateway.send_chat()).status_code == 200
    first, second = await gateway.pool.current_statuses()
    assert (first.enabled, second.enabled, second.cooldowns) == (True, True, {})
    assert [(model, rest.code) for model, rest in first.cooldowns.items()] == [("vendor-bot", "forbidden")]


async def test_the_next_account_may_be_allowed_the_model(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    await gateway.add_account(upstream.url, tier=0)
    await gateway.add_account(upstream.url, name="second", tier=1)
    upstream.fault("chat", status=403, body=FORBIDDEN)
    assert (await gateway.send_chat()).status_code == 200


GEMINI_KEY = [{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}]
GEMINI_PLACE = [{"error": {"code": 400, "message": "User location is not supported for the API use."}}]
XAI_KEY = {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***00."}
ARREARAGE = {"error": {"message": "Access denied, is your account in good standing?", "type": "Arrearage"}}
XAI_EMPTY = {"error": "Your newly created team doesn't have any credits or licenses yet."}
NO_MODEL = {"error": {"message": "The model `m` does not exist.", "code": "model_not_found"}}
OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (400, GEMINI_KEY, "disabled"),
        (400, XAI_KEY, "disabled"),
        (400, GEMINI_PLACE, "forbidden"),
        (400, ARREARAGE, "quota_exhausted"),
        (403, XAI_EMPTY, "quota_exhausted"),
        (429, {"error": "It has reached its monthly spending limit."}, "quota_exhausted"),
        (400, NO_MODEL, "forbidden"),
        (404, NO_MODEL, "forbidden"),
        (529, OVERLOADED, "busy"),
        (521, "<title>Web server is down</title>", "busy"),
        (523, "<title>Origin is unreachable</title>", "busy"),
        (403, "<title>Just a moment...</title>", ""),
        (404, "<html>nginx 404</html>", ""),
    ],
)
async def test_an_account_that_cannot_serve_it_leaves_it_to_the_next(
    gateway: RelayGateway, upstream: FakeUpstream, status: int, body: Any, state: str
) -> None:
    """Whatever the status in which an upstream says so: by one rule with the path of tasks."""
    for tier, name in enumerate(("first", "second")):
        await gateway.add_account(upstream.url, name=name, tier=tier)
    upstream.fault("models", status=status, body=body)  # the look at the account
    upstream.fault("chat", status=status, **({"text": body} if isinstance(body, str) else {"body": body}))
    response = await gateway.send_chat()
    assert (response.status_code, "Hello" in response.text) == (200, True)
    first, second = await gateway.pool.current_statuses()
    rests = [rest.code for rest in first.cooldowns.values()] or ([] if first.enabled else ["disabled"])
    assert (rests, second.enabled, second.cooldowns) == ([state] if state else [], True, {})


@pytest.mark.parametrize("body", [GEMINI_KEY, ARREARAGE])
async def test_what_is_wrong_with_our_account_is_not_told_to_the_client(
    gateway: RelayGateway, upstream: FakeUpstream, body: Any
) -> None:
    await gateway.add_account(upstream.url)
    upstream.fault("any", status=400, body=body, times=2)
    response = await gateway.send_chat()
    assert (response.status_code, response.json()["error"]["code"]) == (503, "no_available_account")


async def test_a_clients_own_words_disable_no_account(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(upstream.url)
    echoed = {"error": {"message": "bad stop: 'invalid api key'", "code": None}}
    upstream.fault("chat", status=400, body=echoed, times=2)
    for _ in range(2):
        assert (await gateway.send_chat()).status_code == 400
    [status] = await gateway.pool.current_statuses()
    assert status.enabled and not status.cooldowns
    assert (await gateway.send_chat()).status_code == 200


async def test_other_answers_are_forwarded_unchanged(gateway: RelayGateway, upstream: FakeUpstream) -> None:
    await gateway.add_account(upstream.url)
    for status in (400, 404, 422, 500, 502, 504):
        upstream.fault("chat", status=status, text=f"<p>{status}</p>")
        response = await gateway.send_chat()
        assert (response.status_code, response.text) == (status, f"<p>{status}</p>")


async def test_other_routes_go_through_the_framework(gateway: RelayGateway) -> None:
    assert (await gateway.client.get(CHAT)).status_code == 405
    assert (await gateway.client.post("/v1/nothing")).status_code == 404
