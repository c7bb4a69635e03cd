"""A request that a model can't do is a 400 that names the field and what the model can do."""

from typing import Any

import pytest

from app.catalog.upstream_request import check_capability
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import Capabilities

ABLE = Capabilities(
    kinds=frozenset({"video"}),
    roles=frozenset({"first_frame"}),
    seconds=(4, 12),
    sizes=frozenset({"720x1280", "1280x720"}),
)


def request(**told: Any) -> GenerationRequest:
    return GenerationRequest.model_validate({"kind": "video", "model": "sora-2", "prompt": "x"} | told)


def media(role: Role) -> tuple[MediaInput, ...]:
    return (MediaInput(role=role, content_type="image/png"),)


@pytest.mark.parametrize(
    ("told", "param", "text"),
    [
        ({"seconds": 25}, "seconds", "seconds must be from 4 to 12 for sora-2, not 25"),
        ({"seconds": 1.5}, "seconds", "seconds must be from 4 to 12 for sora-2, not 1.5"),
        ({"size": "64x64"}, "size", "size must be one of 1280x720, 720x1280 for sora-2, not 64x64"),
        ({"action": "remix"}, "video", "sora-2 can't remix videos"),
        (
            {"media": media("source_video")},
            "video",
            "sora-2 does not take a source video; it takes ['first_frame']",
        ),
    ],
)
def test_refusals_say_what_is_possible(told: dict[str, Any], param: str, text: str) -> None:
    refusal = check_capability(request(**told), ABLE)
    assert refusal is not None
    assert (refusal.param, refusal.message, refusal.status) == (param, text, 400)


@pytest.mark.parametrize(
    "told", [{}, {"seconds": 4}, {"seconds": 12}, {"size": "720x1280"}, {"media": media("first_frame")}]
)
def test_what_it_can_do_passes(told: dict[str, Any]) -> None:
    assert check_capability(request(**told), ABLE) is None


def test_unknown_limits_are_left_to_the_upstream() -> None:
    unknown = Capabilities(kinds=frozenset({"video"}))
    assert check_capability(request(seconds=99, size="8x8"), unknown) is None


def test_pixels() -> None:
    refusal = check_capability(request(size="100x100"), Capabilities(frozenset({"video"}), max_pixels=9_999))
    assert refusal is not None
    assert refusal.param == "size"
