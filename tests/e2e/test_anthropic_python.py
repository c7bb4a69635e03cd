"""Anthropic's Python SDK, unchanged: passed through to an upstream of its own kind, translated for any other."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from anthropic import Anthropic, AuthenticationError, BadRequestError

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture
from tests.serving import KEY

PASSED, TRANSLATED = "house-claude", "house-words"
SAID = {PASSED: "A red kite.", TRANSLATED: "Hello from upstream"}
USED = {PASSED: (9, 4), TRANSLATED: (7, 3)}
TOOL: Any = {
    "name": "weather",
    "description": "How it is outside",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}},
}
ASKED: Any = {"max_tokens": 64, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def claude(setting: Setting) -> Iterator[Anthropic]:
    with Anthropic(base_url=setting.gateway.url, api_key=KEY, max_retries=0) as found:
        yield found


@pytest.fixture(params=[PASSED, TRANSLATED], ids=["passed through", "translated"])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_message(claude: Anthropic, model: str) -> None:
    message = claude.messages.create(model=model, **ASKED)
    assert [block.text for block in message.content if block.type == "text"] == [SAID[model]]
    assert (message.role, message.stop_reason) == ("assistant", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == USED[model]
    assert message._request_id and message._request_id.startswith("req_")


def test_a_stream(claude: Anthropic, model: str) -> None:
    with claude.messages.stream(model=model, **ASKED) as stream:
        pieces = list(stream.text_stream)
        message = stream.get_final_message()
    assert len(pieces) == 3
    assert "".join(pieces) == SAID[model]
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", USED[model][1])


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_tool_is_called_and_its_result_told(claude: Anthropic, model: str, streamed: bool) -> None:
    asked = {**ASKED, "model": model, "tools": [TOOL], "tool_choice": {"type": "auto"}}
    if streamed:
        with claude.messages.stream(**asked) as stream:
            first = stream.get_final_message()
    else:
        first = claude.messages.create(**asked)
    [call] = [block for block in first.content if block.type == "tool_use"]
    assert (first.stop_reason, call.name, call.input) == ("tool_use", "weather", {"city": "Oslo"})
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    told = [
        {"role": "assistant", "content": first.to_dict()["content"]},
        {"role": "user", "content": [result]},
    ]
    second = claude.messages.create(**{**asked, "messages": [*ASKED["messages"], *told]})
    assert [block.text for block in second.content if block.type == "text"] == [SAID[model]]


def test_what_a_translated_upstream_is_told(claude: Anthropic, setting: Setting) -> None:
    picture = base64.b64encode(make_picture()).decode()
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": picture}}
    message: Any = {"role": "user", "content": [image, {"type": "text", "text": "what is it?"}]}
    claude.messages.create(model=TRANSLATED, max_tokens=9, system="Be short.", messages=[message])
    told = json.loads(setting.words.seen[-1].body)
    assert told["messages"] == [
        {"role": "system", "content": "Be short."},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
                {"type": "text", "text": "what is it?"},
            ],
        },
    ]


def test_the_clients_key_stays_here(claude: Anthropic, model: str, setting: Setting) -> None:
    claude.messages.create(model=model, **ASKED)
    server = setting.claude if model == PASSED else setting.words
    assert KEY not in json.dumps(server.seen[-1].headers)


def test_tokens_are_counted_where_they_can_be_and_estimated_elsewhere(claude: Anthropic) -> None:
    messages = ASKED["messages"]
    counted = claude.messages.count_tokens(model=PASSED, messages=messages)
    assert (counted.input_tokens, counted.model_extra) == (9, {})
    estimated = claude.messages.count_tokens(model=TRANSLATED, messages=messages)
    assert (estimated.input_tokens > 0, estimated.model_extra) == (True, {"estimated": True})


def test_errors(claude: Anthropic, setting: Setting) -> None:
    with pytest.raises(BadRequestError, match="Invalid model: claude-99") as refused:
        claude.messages.create(model="claude-99", **ASKED)
    assert refused.value.request_id
    with (
        Anthropic(base_url=setting.gateway.url, api_key="wrong", max_retries=0) as nobody,
        pytest.raises(AuthenticationError, match="Invalid API key"),
    ):
        nobody.messages.create(model=PASSED, **ASKED)
