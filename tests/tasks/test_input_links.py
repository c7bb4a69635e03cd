"""The address that a vendor gets for an input leads back to that input, whatever its type."""

from urllib.parse import urlsplit

import pytest

from app.errors import NotFound
from app.generation import GenerationRequest, MediaInput
from app.media.links import LinkSigner
from app.tasks.input_links import InputLinks, linked_input

LINKS = InputLinks(LinkSigner([b"k" * 32], 3600), "https://films.test")
TASK = "0" * 32


def request_with(*media: MediaInput) -> GenerationRequest:
    return GenerationRequest(kind="video", model="m", prompt="x", media=media)


def name_of(sent: GenerationRequest, asked: GenerationRequest, number: int = 0) -> str:
    address = LINKS.address_of(TASK, number, sent=sent, asked=asked)
    assert address.startswith(f"https://films.test/files/inputs/{TASK}/")
    return urlsplit(address).path.rpartition("/")[2]


@pytest.mark.parametrize(
    ("content_type", "ending"),
    [("image/png", "png"), ("video/quicktime", "mov"), ("audio/mpeg", "mp3"), ("image/x-unheard-of", "bin")],
)
def test_it_leads_back(content_type: str, ending: str) -> None:
    item = MediaInput(role="reference_video", content_type=content_type, key=f"inputs/{TASK}/0.{ending}")
    asked = request_with(item)
    assert linked_input(asked, name_of(asked, asked)) == item


def test_a_character_leads_to_what_is_sent_of_it() -> None:
    still, clip = "characters/a/still.webp", "characters/a/clip.mp4"
    asked = request_with(MediaInput(role="subject", content_type="image/webp", key=still, clip=clip))
    film = MediaInput(role="reference_video", content_type="video/mp4", key=clip)
    assert linked_input(asked, name_of(request_with(film), asked)).key == clip
    assert linked_input(asked, name_of(asked, asked)).key == still


@pytest.mark.parametrize("name", ["1.png", "x.png", "0", "0-clip.mp4", "-1.png"])
def test_nothing_else_is_found(name: str) -> None:
    plain = MediaInput(role="first_frame", content_type="image/png", key=f"inputs/{TASK}/0.png")
    with pytest.raises(NotFound):
        linked_input(request_with(plain), name)
