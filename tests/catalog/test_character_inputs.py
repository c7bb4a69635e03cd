"""Characters become inputs of the role that the upstream takes."""

import pytest

from app.catalog.upstream_request import adapt_characters
from app.generation import GenerationRequest, MediaInput, Role

CHARACTER = MediaInput(
    role="subject",
    content_type="image/webp",
    key="characters/c/still.webp",
    sha256="c",
    clip="characters/c/clip.mp4",
)
FRAME = MediaInput(role="first_frame", content_type="image/png", key="inputs/t/0.png")
REQUEST = GenerationRequest(kind="video", model="m", media=(FRAME, CHARACTER))


@pytest.mark.parametrize(
    ("roles", "role", "key"),
    [
        ({"subject", "reference_image"}, "subject", CHARACTER.key),
        ({"reference_image", "reference_video"}, "reference_image", CHARACTER.key),
        ({"reference_video"}, "reference_video", CHARACTER.clip),
        ({"first_frame"}, "subject", CHARACTER.key),
    ],
)
def test_a_subject(roles: set[Role], role: Role, key: str) -> None:
    frame, character = adapt_characters(REQUEST, roles).media
    assert frame == FRAME
    assert (character.role, character.key) == (role, key)
    assert character.content_type == ("video/mp4" if role == "reference_video" else "image/webp")
