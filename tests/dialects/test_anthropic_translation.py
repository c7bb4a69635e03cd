"""Anthropic's words in chat's, field by field; and chat's answers in Anthropic's."""

import json
from typing import Any

import pytest
from anthropic import types
from hypothesis import given, settings

from app.dialects.anthropic.events import MessageEvents
from app.dialects.anthropic.messages import AnswerTerms, message_object
from app.dialects.anthropic.request import chat_request
from app.dialects.anthropic.routes import MessagesTranslation
from app.dialects.anthropic.shortening import shortened_names
from app.errors import InvalidRequest
from app.relay.request import read_json_request
from tests.dialects.message_bodies import wrong_bodies

PNG = {"type": "base64", "media_type": "image/png", "data": "iVBO"}
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
TOOL = {"name": "look", "description": "Looks", "input_schema": {"type": "object", "properties": {}}}


def said(**fields: Any) -> dict[str, Any]:
    base = {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    return chat_request({**base, **fields}, model="m", limit_name="max_tokens")


def turns(*messages: Any) -> Any:
    return said(messages=list(messages))["messages"]


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks)}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"stop_sequences": ["X"]}, {"stop": ["X"]}),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 4}, {"temperature": 0.5, "top_p": 0.9, "top_k": 4}),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": False}, {}),
        ({"some_new_field": {"a": 1}}, {"some_new_field": {"a": 1}}),
        ({"thinking": {"type": "enabled"}, "service_tier": "auto", "cache_control": {}}, {}),
        ({"container": None, "mcp_servers": []}, {}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"output_config": {"effort": "high"}}, {"reasoning_effort": "high"}),
        ({"output_config": {"effort": "max"}}, {"reasoning_effort": "xhigh"}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
                }
            },
        ),
        # Claude Code sends these; strict servers refuse them.
        ({"tool_choice": {"type": "auto"}}, {}),
        ({"tool_choice": {"type": "none", "disable_parallel_tool_use": True}, "tools": []}, {}),
        ({"stop_sequences": [*"abcdef"]}, {"stop": [*"abcd"]}),
        ({"stop_sequences": []}, {}),
        (
            {"tools": [{**TOOL, "cache_control": {"type": "ephemeral"}}]},
            {
                "tools": [
                    {
                        "type": "function",
                        "function": {
                            "name": "look",
                            "description": "Looks",
                            "parameters": TOOL["input_schema"],
                        },
                    }
                ]
            },
        ),
    ],
)
def test_fields(fields: dict[str, Any], expected: dict[str, Any]) -> None:
    base = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    assert said(**fields) == base | expected


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        (
            {"type": "any", "disable_parallel_tool_use": True},
            {"tool_choice": "required", "parallel_tool_calls": False},
        ),
        ({"type": "none"}, {"tool_choice": "none"}),
        (
            {"type": "tool", "name": "look"},
            {"tool_choice": {"type": "function", "function": {"name": "look"}}},
        ),
    ],
)
def test_tool_choice(choice: dict[str, Any], expected: dict[str, Any]) -> None:
    found = said(tools=[TOOL], tool_choice=choice)
    assert {name: found[name] for name in ("tool_choice", "parallel_tool_calls") if name in found} == expected


def test_long_names_and_ids_are_shortened_and_the_same_everywhere() -> None:
    long, call = "mcp__a_server_with_a_long_name__" + "x" * 60, "toolu_" + "y" * 90
    used = {"type": "tool_use", "id": call, "name": long, "input": {}}
    back = {"type": "tool_result", "tool_use_id": call, "content": "7"}
    fields: dict[str, Any] = {
        "tools": [{**TOOL, "name": long}],
        "tool_choice": {"type": "tool", "name": long},
        "metadata": {"user_id": "user_" + "z" * 154},
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": [used]}, user(back)],
    }
    chat = said(**fields)
    short = chat["tools"][0]["function"]["name"]
    assert len(short) == 64 and len(chat["user"]) == 64
    assert chat["tool_choice"]["function"]["name"] == short
    called, result = chat["messages"][1]["tool_calls"][0], chat["messages"][2]
    assert called["function"]["name"] == short
    assert called["id"] == result["tool_call_id"] and len(called["id"]) == 40
    terms = AnswerTerms("bot", names=shortened_names(fields["tools"]))
    answer = {"choices": [{"message": {"tool_calls": [{"id": "c", "function": {"name": short}}]}}]}
    assert message_object(answer, terms)["content"][0]["name"] == long


def test_empty_texts_are_left_out() -> None:
    empty = {"role": "assistant", "content": [text("")]}
    told = turns({"role": "user", "content": "hi"}, empty, user(text(""), text("there")), user(text("")))
    assert [turn["content"] for turn in told] == ["hi", "there", ""]


def test_the_limit_has_the_upstreams_name() -> None:
    fields = {"max_tokens": 9, "messages": [user(text("hi"))]}
    found = chat_request(fields, model="m", limit_name="max_completion_tokens")
    assert found["max_completion_tokens"] == 9 and "max_tokens" not in found


def test_system() -> None:
    blocks = [{**text("One."), "cache_control": {"type": "ephemeral"}}, text("Two.")]
    assert said(system=blocks)["messages"][0] == {"role": "system", "content": "One.\n\nTwo."}
    assert said(system="One.")["messages"][0] == {"role": "system", "content": "One."}
    later = turns(user(text("a")), {"role": "system", "content": "Now be brief."})
    assert later[-1] == {"role": "system", "content": "Now be brief."}


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (text("a"), text("a")),
        ({"type": "image", "source": PNG}, PICTURE),
        (
            {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
            {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
        ),
        ({"type": "document", "source": {"type": "text", "data": "a letter"}}, text("a letter")),
        ({"type": "document", "source": {"type": "content", "content": "a letter"}}, text("a letter")),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "image", "source": PNG}]},
            },
            PICTURE,
        ),
        (
            {
                "type": "document",
                "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"},
            },
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"}},
        ),
        (
            {"type": "search_result", "title": "T", "source": "https://x", "content": [text("found")]},
            text("T (https://x)\nfound"),
        ),
    ],
)
def test_blocks_of_users(block: dict[str, Any], expected: dict[str, Any]) -> None:
    assert turns(user(text("see"), block))[0]["content"] == [text("see"), expected]


def test_tools_and_their_results() -> None:
    called = {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            text("Let me see."),
            {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "x"}},
            {"type": "tool_use", "id": "t2", "name": "look", "input": {}},
        ],
    }
    shown = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "content": [text("this"), {"type": "image", "source": PNG}],
    }
    failed = {"type": "tool_result", "tool_use_id": "t2", "is_error": True, "content": "no such place"}
    function = {"name": "look", "arguments": '{"at": "x"}'}
    assert turns(user(text("look")), called, user(text("Here:"), shown, failed)) == [
        {"role": "user", "content": "look"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "tool_calls": [
                {"id": "t1", "type": "function", "function": function},
                {"id": "t2", "type": "function", "function": {"name": "look", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "t1", "content": "this"},
        {"role": "tool", "tool_call_id": "t2", "content": "Error: no such place"},
        {"role": "user", "content": [text("Here:"), PICTURE]},
    ]


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages.0"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": 4}]}, "messages.0.content"),
        ({"messages": [user({"type": "text", "text": 4})]}, "messages.0.content.0.text"),
        ({"messages": [user({"type": "image", "source": {"type": "file"}})]}, "messages.0.content.0.source"),
        (
            {"messages": [user({"type": "document", "source": {"type": "url"}})]},
            "messages.0.content.0.source",
        ),
        ({"messages": [user({"type": "container_upload"})]}, "messages.0.content.0"),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "server_tool_use"}]}]},
            "messages.0.content.0",
        ),
        ({"max_tokens": None}, "max_tokens"),
        ({"container": "c1"}, "container"),
        ({"mcp_servers": [{"url": "https://x"}]}, "mcp_servers"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools.0.type"),
        ({"tools": "look"}, "tools"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"metadata": "me"}, "metadata"),
        ({"metadata": {"user_id": {}}}, "metadata.user_id"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": {}}}, "tool_choice.type"),
        ({"messages": [{"role": {}, "content": ""}]}, "messages.0.role"),
        ({"messages": [{"role": "assistant", "content": [{"type": []}]}]}, "messages.0.content.0.type"),
        ({"messages": [user({"type": "tool_result", "content": ""})]}, "messages.0.content.0.tool_use_id"),
        ({"output_config": {"effort": []}}, "output_config.effort"),
        ({"output_format": {"schema": 1}}, "output_format.schema"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"stream": "true"}, "stream"),
        ({"stop_sequences": "END"}, "stop_sequences"),
        ({"stop_sequences": [1]}, "stop_sequences.0"),
        ({"stop_sequences": ["x"] * 101}, "stop_sequences"),
        ({"tools": [{"input_schema": {}}]}, "tools.0.name"),
        ({"tools": [{"name": "look", "input_schema": "any"}]}, "tools.0.input_schema"),
    ],
)
def test_what_can_not_be_told_is_refused_by_name(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        said(**fields)
    assert caught.value.param == where


def whole(**choice: Any) -> dict[str, Any]:
    return message_object({"id": "chatcmpl-1", "choices": [choice]}, AnswerTerms("bot", thinking=True))


@pytest.mark.parametrize(
    ("choice", "reason", "sequence"),
    [
        ({"finish_reason": "stop"}, "end_turn", None),
        ({"finish_reason": "length"}, "max_tokens", None),
        ({"finish_reason": "tool_calls"}, "tool_use", None),
        ({"finish_reason": "content_filter"}, "refusal", None),
        ({"finish_reason": "stop", "stop_reason": "END"}, "stop_sequence", "END"),
        ({"finish_reason": "stop", "stop_reason": 128009}, "end_turn", None),
        ({"finish_reason": "eos"}, "end_turn", None),
        ({"finish_reason": "MAX_TOKENS"}, "max_tokens", None),
        ({"finish_reason": "SAFETY"}, "refusal", None),
        ({"finish_reason": "stop", "message": {"refusal": "No."}}, "refusal", None),
    ],
)
def test_why_it_ended(choice: dict[str, Any], reason: str, sequence: str | None) -> None:
    found = whole(**choice)
    assert (found["stop_reason"], found["stop_sequence"]) == (reason, sequence)


def test_contents_of_an_answer() -> None:
    call = {"id": "t", "function": {"name": "look", "arguments": '{"at": 1}'}}
    broken = {"id": "u", "function": {"name": "look", "arguments": '{"at": '}}
    found = whole(message={"reasoning_content": "hm", "content": "Hi", "tool_calls": [call, broken]})
    assert found["id"] == "msg_1"
    assert found["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": ""},
        {"type": "text", "text": "Hi", "citations": None},
        {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}},
        {"type": "tool_use", "id": "u", "name": "look", "input": {"arguments": '{"at": '}},
    ]
    unasked = {"choices": [{"message": {"reasoning": "hm", "content": [text("H"), text("i")]}}]}
    assert message_object(unasked, AnswerTerms("bot"))["content"] == [text("Hi") | {"citations": None}]


def test_what_came_from_a_cache_is_counted_once() -> None:
    used = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    found = message_object({"choices": [{}], "usage": used}, AnswerTerms("bot"))["usage"]
    assert (found["input_tokens"], found["cache_read_input_tokens"], found["output_tokens"]) == (6, 4, 2)


BOT = AnswerTerms("bot")


def stream_of(deltas: list[dict[str, Any]], terms: AnswerTerms = BOT) -> list[dict[str, Any]]:
    """The events of a stream of chat deltas that ends in ``[DONE]`` without a reason."""
    events = MessageEvents(terms)
    told = b"".join(events.translate_event({"choices": [{"delta": delta}]}) for delta in deltas)
    events.note_end()
    told += events.closing_events() or b""
    return [json.loads(line[6:]) for line in told.decode().split("\n") if line.startswith("data: ")]


def tools_in(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Id, name and input of each tool call."""
    blocks: dict[int, list[str]] = {}
    for event in events:
        block = event.get("content_block", {})
        if block.get("type") == "tool_use":
            blocks[event["index"]] = [block["id"], block["name"], ""]
        elif event["type"] == "content_block_delta" and event["index"] in blocks:
            blocks[event["index"]][2] += event["delta"]["partial_json"]
    return [(each[0], each[1], each[2]) for each in blocks.values()]


def piece(name: str = "", arguments: str = "", **fields: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **fields}


ROME, OSLO = '{"city": "Rome"}', '{"city": "Oslo"}'


@pytest.mark.parametrize(
    "deltas",
    [
        [[piece("weather", ROME, id="a")], [piece("time", OSLO, id="b")]],
        [[piece("weather", ROME, id="a", index=None)], [piece("time", OSLO, id="b", index=None)]],
        [[piece("weather", ROME, id="a", index=0)], [piece("time", OSLO, id="b", index=0)]],
        [[piece("weather", ROME, index=0)], [piece("time", OSLO, index=0)]],
        [[piece("weather", ROME), piece("time", OSLO)]],
        [[piece("weather", ROME[:5]), piece("time")], [piece("", ROME[5:]), piece("", OSLO)]],
        [[piece("weather", id=1)], [piece("", ROME)], [piece("time", id=2)], [piece("", OSLO)]],
        [
            [piece("weather", ROME[:5], index="0"), piece("time", OSLO, index="1")],
            [piece("", ROME[5:], index=0)],
        ],
        [
            [piece("weather", ROME[:5], id="a")],
            [piece("weather", ROME[5:], id="a")],
            [piece("time", OSLO, id="b")],
        ],
        [[piece("weather", ROME[:5])], [piece("weather", ROME[5:])], [piece("time", OSLO)]],
    ],
)
def test_tool_calls_are_kept_apart(deltas: list[list[dict[str, Any]]]) -> None:
    events = stream_of([{"tool_calls": delta} for delta in deltas])
    (first, *weather), (second, *time) = tools_in(events)
    assert [weather, time] == [["weather", ROME], ["time", OSLO]]
    assert first and second and first != second and isinstance(first, str)
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


@pytest.mark.parametrize("name", ["weather", "rain"])
def test_a_second_call_of_a_tool_without_any_id(name: str) -> None:
    events = stream_of([{"tool_calls": [piece("weather", ROME)]}, {"tool_calls": [piece(name, OSLO)]}])
    assert [call[1:] for call in tools_in(events)] == [("weather", ROME), (name, OSLO)]


@pytest.mark.parametrize("given", [{}, {"id": ""}, {"id": None}, {"id": 7}])
def test_every_call_has_an_id(given: dict[str, Any]) -> None:
    call = piece("weather", ROME, **given)
    found = whole(message={"tool_calls": [call]}, finish_reason="stop")
    assert isinstance(found["content"][0]["id"], str) and found["content"][0]["id"]
    assert found["stop_reason"] == "tool_use"


def test_every_key_of_the_sdks_types_is_there() -> None:
    """Those that may be null are required in Anthropic's own description."""
    call = piece("weather", ROME, id="a")
    message = {"reasoning": "hm", "content": "Hi", "tool_calls": [call]}
    found = whole(message=message, finish_reason="stop")
    odd = {"diagnostics", "caller", "toolset_name", "output_tokens_details", "speed"}
    assert types.Message.model_fields.keys() - odd <= found.keys()
    assert types.Usage.model_fields.keys() - odd <= found["usage"].keys()
    kinds = (types.ThinkingBlock, types.TextBlock, types.ToolUseBlock)
    for kind, block in zip(kinds, found["content"], strict=True):
        assert kind.model_fields.keys() - odd <= block.keys()
    start, opened, *_, ended, _ = stream_of([{"content": "Hi"}])
    assert start["message"].keys() == found.keys()
    assert types.TextBlock.model_fields.keys() <= opened["content_block"].keys()
    assert types.MessageDeltaUsage.model_fields.keys() - odd <= ended["usage"].keys()
    assert types.raw_message_delta_event.Delta.model_fields.keys() <= ended["delta"].keys()


def test_odd_usage_is_no_fault() -> None:
    used = {"prompt_tokens": "7", "completion_tokens": None, "prompt_tokens_details": {"cached_tokens": "x"}}
    found = message_object({"choices": [{}], "usage": used}, AnswerTerms("bot"))["usage"]
    assert (found["input_tokens"], found["output_tokens"]) == (7, 0)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_stop_sequences_that_the_upstream_is_not_told(size: int) -> None:
    told = "One two STOP three END four"
    terms = AnswerTerms("bot", stops=("END", "STOP"))
    deltas = [{"content": told[at : at + size]} for at in range(0, len(told), size)]
    events = stream_of([*deltas, {"tool_calls": [piece("weather", ROME)]}], terms)
    shown = "".join(event["delta"].get("text", "") for event in events if "delta" in event)
    assert (shown, events[-2]["delta"]["stop_reason"]) == ("One two ", "stop_sequence")
    assert events[-2]["delta"]["stop_sequence"] == "STOP"
    answer = message_object({"choices": [{"message": {"content": told}}]}, terms)
    assert (answer["content"][0]["text"], answer["stop_sequence"]) == ("One two ", "STOP")
    unfound = stream_of([{"content": "The E"}, {"content": "N"}], terms)
    assert "".join(event["delta"].get("text", "") for event in unfound if "delta" in event) == "The EN"


def test_tools_called_side_by_side_are_told_one_after_the_other() -> None:
    def part(index: int, arguments: str, name: str | None = None) -> dict[str, Any]:
        call = {"index": index, "id": f"t{index}", "function": {"name": name, "arguments": arguments}}
        return {"choices": [{"delta": {"tool_calls": [call]}}]}

    events = MessageEvents(AnswerTerms("bot"))
    told = events.opening_events()
    for event in (
        {"choices": [{"delta": {"content": "Hm"}}]},
        part(0, "", "look"),
        part(0, '{"a"'),
        part(1, '{"b"', "see"),
        part(0, ": 1}"),
        part(1, ": 2}"),
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    ):
        told += events.translate_event(event)
    told += events.closing_events() or b""
    found = [json.loads(line[6:]) for line in told.decode().split("\n") if line.startswith("data: ")]
    blocks: list[dict[str, Any]] = []
    for event in found:
        if event["type"] == "content_block_start":
            assert event["index"] == len(blocks)
            blocks.append({"open": True, "type": event["content_block"]["type"], "said": ""})
        elif event["type"] == "content_block_delta":
            assert blocks[event["index"]]["open"] and event["index"] == len(blocks) - 1
            delta = event["delta"]
            blocks[-1]["said"] += delta.get("text", "") + delta.get("partial_json", "")
        elif event["type"] == "content_block_stop":
            blocks[event["index"]]["open"] = False
    assert blocks == [
        {"open": False, "type": "text", "said": "Hm"},
        {"open": False, "type": "tool_use", "said": '{"a": 1}'},
        {"open": False, "type": "tool_use", "said": '{"b": 2}'},
    ]


@settings(max_examples=300, deadline=None)
@given(body=wrong_bodies())
async def test_whatever_is_wrong_is_refused_by_name(body: dict[str, Any]) -> None:
    """Nothing but a translation or a 400 with the field's name comes of any body."""
    try:
        request = await read_json_request(json.dumps(body).encode())
        sent = MessagesTranslation(request).translated_request("m", limit_name="max_tokens")
    except InvalidRequest as error:
        assert error.param
    else:
        assert json.loads(sent.body)["messages"]
