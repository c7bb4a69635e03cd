"""Bodies of `/v1/messages` in which anything may be wrong: a right one, with some of its values replaced or left out."""

import copy
from typing import Any

from hypothesis import strategies as st

RIGHT: dict[str, Any] = {
    "model": "bot",
    "max_tokens": 64,
    "system": [{"type": "text", "text": "Be kind.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "user", "content": [
            {"type": "text", "text": "Look."},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBO"}},
            {"type": "image", "source": {"type": "url", "url": "https://pictures.test/a.png"}},
            {"type": "document", "title": "t", "source": {"type": "text", "data": "text"}},
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "x"}]}},
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBE"}},
            {"type": "search_result", "title": "t", "source": "s", "content": [{"type": "text", "text": "x"}]},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "x"},
            {"type": "text", "text": "Hm."},
            {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "is_error": True, "content": [
                {"type": "text", "text": "no"},
                {"type": "image", "source": {"type": "url", "url": "https://pictures.test/a.png"}},
            ]},
        ]},
    ],
    "stop_sequences": ["A", "B", "C", "D", "E"],
    "stream": False,
    "tools": [
        {"name": "look", "description": "Looks", "strict": True, "input_schema": {"type": "object", "properties": {}}}
    ],
    "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    "metadata": {"user_id": "u"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "temperature": 0.5,
    "top_k": 3,
}  # fmt: skip
JUNK = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from(["", "\ud83d", "\0", "x" * 5000, "text", "tool_use", "user", "auto"]),
    st.sampled_from([[], {}, [[]], [{}], {"": {}}, {"type": {}}, {"type": "text"}, [None], ["x"] * 200]),
)
PATHS: list[tuple[Any, ...]] = []


def _find_paths(value: Any, path: tuple[Any, ...]) -> None:
    if path:
        PATHS.append(path)
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        _find_paths(item, (*path, key))


_find_paths(RIGHT, ())
CHANGES = st.lists(st.tuples(st.sampled_from(PATHS), st.booleans(), JUNK), min_size=1, max_size=4)


@st.composite
def wrong_bodies(draw: st.DrawFn) -> dict[str, Any]:
    body = copy.deepcopy(RIGHT)
    for path, removes, junk in draw(CHANGES):
        _change(body, path, removes=removes, junk=junk)
    return body


def _change(body: Any, path: tuple[Any, ...], *, removes: bool, junk: Any) -> None:
    """Does nothing where an earlier change has taken the place away."""
    try:
        for key in path[:-1]:
            body = body[key]
        if removes:
            del body[path[-1]]
        else:
            body[path[-1]] = junk
    except (KeyError, IndexError, TypeError):
        return
