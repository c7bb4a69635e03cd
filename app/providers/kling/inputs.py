"""Storyboards, pictures and clips as the fields of Kling's paths."""

from collections.abc import Mapping
from typing import Any

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, Role, Shot
from app.providers.inputs import as_base64, at_most, public_url
from app.providers.model_facts import ModelFacts

TEXT = "/v1/videos/text2video"
IMAGE = "/v1/videos/image2video"
IMAGES = "/v1/videos/multi-image2video"
OMNI = "/v1/videos/omni-video"
MOTION = "/v1/videos/motion-control"

MOST_SHOTS = 6
CLIPS: Mapping[Role, str] = {"source_video": "base", "reference_video": "feature"}


def shot_fields(request: GenerationRequest, known: ModelFacts | None) -> dict[str, Any]:
    """Only of models with a storyboard of their own: for others the shots stand in the prompt."""
    if not request.shots:
        return {}
    if len(request.shots) > MOST_SHOTS:
        raise UnsupportedWish(f"{request.model} takes at most {MOST_SHOTS} shots", param="shots")
    lengths = [_shot_seconds(shot) for shot in request.shots]
    if request.seconds not in (None, sum(lengths)):
        raise UnsupportedWish(f"the shots last {sum(lengths)} seconds together", param="seconds")
    low, high = known.seconds if known and known.seconds else (0, sum(lengths))
    if not low <= sum(lengths) <= high:
        text = f"the shots must last from {low:g} to {high:g} seconds together, not {sum(lengths)}"
        raise UnsupportedWish(text, param="shots")
    parts = [
        {"index": number, "prompt": shot.prompt, "duration": str(length)}
        for number, (shot, length) in enumerate(zip(request.shots, lengths, strict=True), 1)
    ]
    return {
        "multi_shot": True,
        "shot_type": "customize",
        "multi_prompt": parts,
        "duration": str(sum(lengths)),
    }


def _shot_seconds(shot: Shot) -> int:
    if shot.seconds != int(shot.seconds):
        raise UnsupportedWish(f"a shot must last whole seconds, not {shot.seconds:g}", param="shots")
    return int(shot.seconds)


def input_fields(request: GenerationRequest, path: str, *, most_clips: int | None) -> dict[str, Any]:
    """The inputs as the fields of ``path``. ``most_clips``: of the videos that one request may have, None: unknown."""
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    if path == OMNI:
        return _omni_inputs(request, most_clips)
    if path == IMAGES:
        if first or last:
            raise UnsupportedWish("frames and reference images can't go together", param="reference_image")
        return {"image_list": [{"image": as_base64(item)} for item in request.media_with("reference_image")]}
    if path == MOTION:
        if last:
            raise UnsupportedWish("motion control takes no last frame", param="last_frame")
        clip = at_most(request, "reference_video", 1)[0]
        picture = {"image_url": as_base64(first[0])} if first else {}
        choices = {"character_orientation": "video", "keep_original_sound": "yes"}
        chosen = {name: request.extra.get(name, usual) for name, usual in choices.items()}
        return {"video_url": public_url(clip), **chosen, **picture}
    image = {"image": as_base64(first[0])} if first else {}
    return image | ({"image_tail": as_base64(last[0])} if last else {})


def _omni_inputs(request: GenerationRequest, most_clips: int | None) -> dict[str, Any]:
    if request.media_with("last_frame") and not request.media_with("first_frame"):
        raise UnsupportedWish("a last frame needs a first frame", param="last_frame")
    kinds: tuple[tuple[Role, str | None], ...] = (
        ("first_frame", "first_frame"), ("last_frame", "end_frame"), ("reference_image", None),
    )  # fmt: skip
    pictures = [
        {"image_url": as_base64(item)} | ({"type": word} if word else {})
        for role, word in kinds
        for item in request.media_with(role)
    ]
    sound = request.extra.get("keep_original_sound", "yes")
    clips = [
        {"video_url": public_url(item), "refer_type": word, "keep_original_sound": sound}
        for role, word in CLIPS.items()
        for item in request.media_with(role)
    ]
    if most_clips is not None and len(clips) > most_clips:
        raise UnsupportedWish(f"{request.model} takes at most {most_clips} video(s)", param="video")
    return ({"image_list": pictures} if pictures else {}) | ({"video_list": clips} if clips else {})
