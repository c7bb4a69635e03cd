"""What a client may use and what it pays can't be passed by a name that another server reads otherwise than we do."""

from typing import Any

import pytest

from app.catalog.price import read_price
from app.json_bodies import fold_name
from tests.relay.gateway import CHAT, RelayGateway
from tests.relay.lenient_upstream import LenientUpstream, go_name
from tests.relay.plain_upstream import Exchange, plain_upstream, whole_answer
from tests.relay.test_forms import END, KIND, part
from tests.relay.test_metering import key_with

SECOND_MODELS = [
    '"model": "cheap", "Model": "dear"',
    '"MODEL": "dear", "model": "cheap"',
    '"\\u006dodel": "dear", "model": "cheap"',
    '"model": "cheap", "\\u006dodel": "dear"',
    '"model": "cheap", "model": "dear"',
    '"model": "cheap", "\\u004dodel": "dear"',
    '"model": "cheap", "mode\\u004c": "dear"',
]


@pytest.mark.parametrize("text", SECOND_MODELS)
async def test_a_second_model_does_not_pass(gateway: RelayGateway, text: str) -> None:
    vendor = LenientUpstream()
    async with plain_upstream(vendor.answer) as upstream:
        await gateway.add_account(upstream.origin, models={"cheap": "cheap", "dear": "dear"})
        headers = await key_with(gateway, models=["cheap"])
        body = "{" + text + ', "messages": []}'
        refused = await gateway.client.post(CHAT, content=body, headers=headers)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")
    assert not vendor.models


@pytest.mark.parametrize(
    "fields",
    [
        {"Max_Tokens": 60_000},
        {"max_to\u212aens": 60_000},
        {"max_token\u017f": 60_000},
        {"N": 128},
        {"OPTIONS": {"num_predict": 60_000}},
        {"options": {"Num_Predict": 60_000}},
        {"generationConfig": {"maxoutputtokens": 60_000}},
        {"Stream": True},
        {"\u017ftream": True},
        {"n\0": 128},
    ],
    ids=ascii,
)
async def test_a_limit_in_another_spelling_is_refused_by_name(
    gateway: RelayGateway, fields: dict[str, Any]
) -> None:
    vendor = LenientUpstream()
    await gateway.prices.set_price("bot", read_price({"per_million_output": 10}))
    async with plain_upstream(vendor.answer) as upstream:
        await gateway.add_account(upstream.origin)
        refused = await gateway.send_chat(**fields, max_tokens=1)
    assert refused.status_code == 400
    assert "must be written" in refused.json()["error"]["message"]
    assert not vendor.models


async def test_each_api_refuses_in_its_own_envelope(gateway: RelayGateway) -> None:
    body = {"model": "bot", "Model": "dear", "max_tokens": 1, "messages": []}
    refused = await gateway.client.post("/v1/messages", json=body)
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "invalid_request_error"
    assert "must be written model" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "extra",
    [
        part(b"Model", b"dear"),
        part(b"MODEL[]", b"dear"),
        part(b"model[]", b"dear"),
        part(b"model", b"dear"),
        part(b"model", b"dear", more=b'; filename="a"'),
        part(b"x", b"dear", more=b'; name="model"'),
        part(b"x", b"dear", more=b"; name*=utf-8''model"),
        part(b"mod\\el", b"dear"),
        part(b"x", b"dear", more=b'\r\nContent-Disposition: form-data; name="model"'),
        part(b"N", b"10"),
    ],
    ids=ascii,
)
async def test_a_second_model_in_a_form_does_not_pass(gateway: RelayGateway, extra: bytes) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b"{}"))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, models={"cheap": "cheap", "dear": "dear"})
        headers = await key_with(gateway, models=["cheap"]) | {"Content-Type": KIND}
        for body in (part(b"model", b"cheap") + extra + END, extra + part(b"model", b"cheap") + END):
            refused = await gateway.client.post("/v1/images/edits", content=body, headers=headers)
            assert refused.status_code == 400
        assert not upstream.seen


async def test_names_that_choose_nothing_pass_as_they_are(gateway: RelayGateway) -> None:
    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b"{}"))

    sent = (
        '{"model": "same", "Temperature": 1, "metadata": {"Model": "x"},'
        ' "tools": [{"function": {"parameters": {"properties": {"size": {}, "Size": {}}}}}]}'
    )
    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, models={"same": "same"})
        assert (await gateway.client.post(CHAT, content=sent)).status_code == 200
        assert upstream.seen[0].body == sent.encode()


def test_names_fold_at_least_as_go_folds_them() -> None:
    for name in ("model", "max_tokens", "stream", "seconds", "size", "n", "task"):
        for written in (name.upper(), name.title(), name.replace("s", "\u017f"), name.replace("k", "\u212a")):
            assert go_name(written) == go_name(name)
            assert fold_name(written) == fold_name(name)
    assert fold_name("maxTokens") != fold_name("max_tokens")
