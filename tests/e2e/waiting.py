"""Making videos that are quick to make, and waiting for their end."""

from typing import Any

from openai import OpenAI
from openai.types import Video

from tests.serving import until

SMALL: dict[str, Any] = {"seconds": 1, "size": "320x180"}
"""What renders in half a second."""


def ended(client: OpenAI, video_id: str) -> Video:
    def look() -> Video | None:
        video = client.videos.retrieve(video_id)
        return None if video.status in ("queued", "in_progress") else video

    return until(look)


def completed(client: OpenAI, prompt: str, **asked: Any) -> Video:
    """A small finished video, unless ``asked`` says otherwise."""
    made = client.videos.create(prompt=f"[studio:fast] {prompt}", **(SMALL | asked))
    video = ended(client, made.id)
    assert video.status == "completed", video
    return video
