"""Signed addresses at which vendors that take no bytes fetch the inputs of a task from us."""

import re
from dataclasses import dataclass

from app import clock
from app.errors import NotFound
from app.generation import GenerationRequest, MediaInput
from app.media.links import LinkSigner

NAME = re.compile(r"(\d{1,3})(-clip)?\.[a-z0-9]{2,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class InputLinks:
    """``base``: our public address, without a slash at its end."""

    signer: LinkSigner
    base: str

    def address_of(
        self, task_id: str, number: int, *, sent: GenerationRequest, asked: GenerationRequest
    ) -> str:
        """Of the input ``number`` of the request as it is ``sent``: a character may be its clip there, and not the picture
        that was ``asked`` for."""
        item = sent.media[number]
        clip = "-clip" if item.key != asked.media[number].key else ""
        path = f"/files/inputs/{task_id}/{number}{clip}.{item.key.rpartition('.')[2]}"
        return self.base + self.signer.sign(path, now=clock.now())


def linked_input(request: GenerationRequest, name: str) -> MediaInput:
    """The input that the last part of such an address names. Raises ``NotFound``."""
    match = NAME.fullmatch(name)
    if match is None or int(match[1]) >= len(request.media):
        raise NotFound("No such file.")
    item = request.media[int(match[1])]
    if match[2]:
        item = item.model_copy(update={"key": item.clip, "content_type": "video/mp4"})
    if not item.key:
        raise NotFound("No such file.")
    return item
