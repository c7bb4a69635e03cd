"""Sizes in vendors' words: near is taken for the same, far is refused."""

import pytest

from app.errors import UnsupportedWish
from app.generation import GenerationRequest
from app.providers.inputs import nearest_ratio, nearest_tier

RATIOS, TIERS = ("16:9", "9:16", "1:1"), {"720p": 720, "1080p": 1080}


def asked(size: str) -> GenerationRequest:
    return GenerationRequest(kind="video", model="m", prompt="A red kite", size=size)


@pytest.mark.parametrize(
    ("size", "ratio", "tier"),
    [
        ("1280x720", "16:9", "720p"),
        ("1792x1024", "16:9", "1080p"),
        ("1024x1792", "9:16", "1080p"),
        ("1024x1024", "1:1", "1080p"),
        ("854x640", None, "720p"),
        ("640x360", "16:9", None),
        ("3840x2160", "16:9", None),
    ],
)
def test_a_size_is_made_or_refused(size: str, ratio: str | None, tier: str | None) -> None:
    for found, expected in (
        (lambda: nearest_ratio(asked(size), RATIOS), ratio),
        (lambda: nearest_tier(asked(size), TIERS), tier),
    ):
        if expected is not None:
            assert found() == expected
            continue
        with pytest.raises(UnsupportedWish) as refused:
            found()
        assert refused.value.param == "size"
