"""Anthropic's words in chat's, field by field; and chat's answers in Anthropic's."""

import json
from typing import Any

import pytest

from app.dialects.anthropic.answer import MessageEvents, message_object
from app.dialects.anthropic.request import chat_request
from app.errors import InvalidRequest

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
        ({"tool_choice": {"type": "auto"}}, {"tool_choice": "auto"}),
        (
            {"tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
            {"tool_choice": "required", "parallel_tool_calls": False},
        ),
        ({"tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
        (
            {"tool_choice": {"type": "tool", "name": "look"}},
            {"tool_choice": {"type": "function", "function": {"name": "look"}}},
        ),
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
    ],
)
def test_what_can_not_be_told_is_refused_by_name(fields: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        said(**fields)
    assert caught.value.param == where


def whole(**choice: Any) -> dict[str, Any]:
    return message_object({"id": "chatcmpl-1", "choices": [choice]}, model="bot", thinking=True)


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
        {"type": "text", "text": "Hi"},
        {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}},
        {"type": "tool_use", "id": "u", "name": "look", "input": {"arguments": '{"at": '}},
    ]
    unasked = {"choices": [{"message": {"reasoning": "hm", "content": [text("H"), text("i")]}}]}
    assert message_object(unasked, model="bot", thinking=False)["content"] == [text("Hi")]


def test_what_came_from_a_cache_is_counted_once() -> None:
    used = {"prompt_tokens": 10, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    found = message_object({"choices": [{}], "usage": used}, model="bot", thinking=False)["usage"]
    assert (found["input_tokens"], found["cache_read_input_tokens"], found["output_tokens"]) == (6, 4, 2)


def test_tools_called_side_by_side_are_told_one_after_the_other() -> None:
    def piece(index: int, arguments: str, name: str | None = None) -> dict[str, Any]:
        call = {"index": index, "id": f"t{index}", "function": {"name": name, "arguments": arguments}}
        return {"choices": [{"delta": {"tool_calls": [call]}}]}

    events = MessageEvents(model="bot", thinking=False)
    told = events.opening_events()
    for event in (
        {"choices": [{"delta": {"content": "Hm"}}]},
        piece(0, "", "look"),
        piece(0, '{"a"'),
        piece(1, '{"b"', "see"),
        piece(0, ": 1}"),
        piece(1, ": 2}"),
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
