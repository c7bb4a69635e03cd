"""What a route may change in a request for one of its candidates."""

from typing import Any

import pytest

from app.catalog.overrides import NO_OVERRIDES, Overrides, apply_overrides
from app.generation import GenerationRequest

REQUEST = GenerationRequest(
    kind="video", model="sora-2", prompt="a kite", seconds=10, size="720x1280", extra={"cfg": 7, "kept": 1}
)


@pytest.mark.parametrize(
    ("told", "changed"),
    [
        ({}, {}),
        ({"set": {"seconds": 8}}, {"seconds": 8.0}),
        ({"default": {"seconds": 8, "resolution": "1080p"}}, {"resolution": "1080p"}),
        ({"map": {"seconds": {"10": 8}, "size": {"720x1280": "768x1344"}}}, {"seconds": 8.0, "size": "768x1344"}),
        ({"map": {"seconds": {"12": 8}}}, {}),
        ({"rename": {"cfg": "guidance"}}, {"extra": {"guidance": 7, "kept": 1}}),
        ({"default": {"extra": {"kept": 2, "mode": "std"}}}, {"extra": {"cfg": 7, "kept": 1, "mode": "std"}}),
        ({"set": {"extra": {"kept": 2}}}, {"extra": {"cfg": 7, "kept": 2}}),
        ({"set": {"negative_prompt": "blur", "watermark": False}}, {"negative_prompt": "blur", "watermark": False}),
        (  # what is forced wins over what is mapped
            {"map": {"seconds": {"10": 8}}, "set": {"seconds": 5}},
            {"seconds": 5.0},
        ),
    ],
)  # fmt: skip
def test_a_request_is_changed_only_by_its_overrides(told: dict[str, Any], changed: dict[str, Any]) -> None:
    found = apply_overrides(REQUEST, Overrides.model_validate(told))
    assert found.model_dump() == {**REQUEST.model_dump(), **changed}


def test_no_overrides_leave_the_same_request() -> None:
    assert apply_overrides(REQUEST, NO_OVERRIDES) is REQUEST


@pytest.mark.parametrize("name", ["model", "prompt", "api_key", "Authorization", "price", "webhook_url"])
@pytest.mark.parametrize("place", ["set", "default"])
def test_a_route_can_not_override_model_key_or_price(name: str, place: str) -> None:
    with pytest.raises(ValueError, match="can't be set by a route"):
        Overrides.model_validate({place: {"extra": {name: "x"}}})
