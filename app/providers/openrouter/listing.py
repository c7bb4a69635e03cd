"""What OpenRouter's own list says of a model: https://openrouter.ai/docs/api_reference/videos/list-video-models"""

from typing import Any

from pydantic import BaseModel

from app.errors import UnsupportedWish
from app.foreign import clean_number
from app.generation import GenerationRequest, Role
from app.providers.base import Capabilities
from app.providers.inputs import lines_of
from app.providers.model_facts import read_facts
from app.providers.reading import Items, Text

PICTURES: frozenset[Role] = frozenset({"first_frame", "last_frame", "reference_image"})
FRAMES: frozenset[Role] = frozenset({"first_frame", "last_frame"})
LONGEST_SECONDS = 3600.0


class ListedModel(BaseModel):
    """What is empty or None is not told: the vendor behind OpenRouter decides."""

    id: Text = ""
    supported_durations: Items = []
    supported_aspect_ratios: Items = []
    supported_resolutions: Items = []
    supported_sizes: Items = []
    supported_frame_images: Any = None
    generate_audio: Any = None
    seed: Any = None

    @property
    def lengths(self) -> tuple[float, ...]:
        """In seconds, the shortest first."""
        told = (clean_number(value, 0.0, LONGEST_SECONDS) for value in self.supported_durations)
        return tuple(sorted({value for value in told if value}))


class ModelsList(BaseModel):
    data: list[ListedModel] = []


def roles_of(model: str, listed: ListedModel | None) -> frozenset[Role]:
    """Other inputs than pictures are ignored by most vendors behind OpenRouter, so only what is known to take them does."""
    known = read_facts("openrouter").find_model(model)
    roles = frozenset(known.inputs) if known else PICTURES
    frames = listed.supported_frame_images if listed else None
    return roles - FRAMES | {role for role in FRAMES if role in frames} if isinstance(frames, list) else roles


def capabilities_of(model: str, listed: ListedModel | None) -> Capabilities:
    told = listed or ListedModel()
    lengths = told.lengths
    return Capabilities(
        kinds=frozenset({"video", "text"}),
        roles=roles_of(model, listed),
        seconds=(lengths[0], lengths[-1]) if lengths else None,
        lengths=lengths,
        sizes=frozenset(_words(told.supported_sizes)),
        tiers={word: lines_of(word) for word in _words(told.supported_resolutions) if lines_of(word)},
        ratios=_words(told.supported_aspect_ratios),
        sound={True: "choice", False: "never"}.get(told.generate_audio),  # type: ignore[arg-type]
        remix=True,
    )


def check_listed(request: GenerationRequest, listed: ListedModel) -> None:
    """Raises ``UnsupportedWish`` for what the list says that the model can't make."""
    _check_word(request, "aspect_ratio", listed.supported_aspect_ratios)
    _check_word(request, "resolution", listed.supported_resolutions)
    if not (request.aspect_ratio or request.resolution):
        _check_word(request, "size", listed.supported_sizes)
    if request.seed is not None and listed.seed is False:
        raise UnsupportedWish(f"{request.model} has no seed", param="seed")
    if request.sound and listed.generate_audio is False:
        raise UnsupportedWish(f"{request.model} makes no sound", param="generate_audio")
    if request.seconds is not None and listed.lengths and request.seconds not in listed.lengths:
        able = ", ".join(f"{length:g}" for length in listed.lengths)
        raise UnsupportedWish(f"seconds must be one of {able} for {request.model}", param="seconds")


def _check_word(request: GenerationRequest, name: str, able: list[Any]) -> None:
    wished, known = getattr(request, name), _words(able)
    if wished and known and wished.lower() not in {word.lower() for word in known}:
        text = f"{name} must be one of {', '.join(known)} for {request.model}, not {wished}"
        raise UnsupportedWish(text, param=name)


def _words(values: list[Any]) -> tuple[str, ...]:
    return tuple(value for value in values if isinstance(value, str))
