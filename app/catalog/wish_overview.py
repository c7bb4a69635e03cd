"""Which wishes each provider takes, says in its prompt, or refuses: found out by asking its adapter, with every model that it
knows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from app.accounts.status import AccountStatus
from app.catalog.candidates import Candidate
from app.catalog.overrides import NO_OVERRIDES
from app.catalog.upstream_request import adapt_request, find_refusal
from app.errors import AdapterFailed
from app.generation import GenerationRequest, MediaInput, MediaKind, Role, Shot
from app.providers import registry
from app.providers.base import Provider
from app.providers.model_facts import read_facts
from app.providers.overview import sample_account
from app.providers.transport import UpstreamTransport

HEADINGS = ("provider", "takes", "says in the prompt", "refuses")
KINDS: tuple[MediaKind, ...] = ("video", "image", "audio")
"""What a provider makes first of these is asked of it."""


def _input(role: Role, content_type: str) -> MediaInput:
    ending = content_type.split("/")[1]
    return MediaInput(
        role=role, content_type=content_type, content=b"", url=f"https://media.example/{role}.{ending}"
    )


FIRST, LAST = _input("first_frame", "image/png"), _input("last_frame", "image/png")
REFERENCE, SOURCE = _input("reference_image", "image/png"), _input("source_video", "video/mp4")
INPUTS: Mapping[str, MediaInput] = {
    **dict.fromkeys(("first_frame", "input_reference", "images"), FIRST),
    "last_frame": LAST,
    "reference_image": REFERENCE,
    **dict.fromkeys(("source_video", "video"), SOURCE),
}
"""By the name under which an adapter says that they are missing."""
STORYBOARDS = tuple(
    tuple(Shot(seconds=seconds, prompt=prompt) for prompt in ("A kite", "A boat"))
    for seconds in (5.0, 4.0, 3.0, 2.5)
)
"""Of 10, 8, 6 and 5 seconds."""

WISHES: Mapping[str, tuple[dict[str, Any], ...]] = {
    "length": tuple({"seconds": seconds} for seconds in (5.0, 6.0, 8.0, 4.0, 10.0)),
    "size": tuple({"size": size} for size in ("1280x720", "1920x1080", "1024x1024", "768x768")),
    "aspect ratio": ({"aspect_ratio": "16:9"}, {"aspect_ratio": "1:1"}),
    "resolution": tuple({"resolution": word} for word in ("1080p", "720p", "768p", "480p", "2k")),
    "first frame": ({"media": (FIRST,)},),
    "last frame": ({"media": (FIRST, LAST)}, {"media": (LAST,)}),
    "reference image": ({"media": (REFERENCE,)},),
    "reference video": ({"media": (_input("reference_video", "video/mp4"),)},),
    "sound file": (
        {"media": (_input("audio", "audio/mpeg"),)},
        {"media": (FIRST, _input("audio", "audio/mpeg"))},
        {"media": (REFERENCE, _input("audio", "audio/mpeg"))},
    ),
    "sound": ({"sound": True},),
    "silence": ({"sound": False},),
    "seed": ({"seed": 7},),
    "negative prompt": ({"negative_prompt": "rain"},),
    "style": ({"style": "anime"},),
    "storyboard": tuple({"shots": shots} for shots in STORYBOARDS),
    "watermark": ({"watermark": True},),
    "remix": ({"action": "remix", "remix_of": "0" * 32, "media": (SOURCE,)},),
    "edit": ({"action": "edit", "media": (SOURCE,)},),
    "extend": (
        {"action": "extend", "media": (SOURCE,)},
        {"action": "extend", "seconds": 5.0, "media": (SOURCE,)},
    ),
}
"""Each wish in the values of which any model takes at least one."""


@dataclass(frozen=True, slots=True)
class WishOverview:
    """One provider: a wish is taken when one of its models takes it, and refused when all of them do."""

    name: str
    takes: tuple[str, ...]
    in_prompt: tuple[str, ...]
    refuses: tuple[str, ...]


async def all_wish_overviews() -> list[WishOverview]:
    """Every provider that makes something, alphabetical. Sends no request."""
    async with UpstreamTransport(aiohttp.TCPConnector()) as transport:
        found = []
        for name in registry.PROVIDERS:
            provider = registry.create_provider(sample_account(name), transport)
            overview = _ask_provider(name, provider)
            await provider.close()
            if overview is not None:
                found.append(overview)
        return found


def wish_table(rows: Iterable[WishOverview]) -> str:
    """Markdown."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(_cells_of(row) for row in rows)]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in lines)


def _cells_of(row: WishOverview) -> tuple[str, ...]:
    return (f"`{row.name}`", *(", ".join(words) or "–" for words in (row.takes, row.in_prompt, row.refuses)))


def _ask_provider(name: str, provider: Provider) -> WishOverview | None:
    plain = [request for model in _models_of(name) for request in _plain_requests(provider, model)]
    if not plain:
        return None
    ends = {wish: {_outcome_of_wish(provider, request, wish) for request in plain} for wish in WISHES}
    return WishOverview(
        name=name,
        takes=tuple(wish for wish, found in ends.items() if "taken" in found),
        in_prompt=tuple(wish for wish, found in ends.items() if "taken" not in found and "prompt" in found),
        refuses=tuple(wish for wish, found in ends.items() if found == {"refused"}),
    )


def _models_of(name: str) -> list[str]:
    known = [(*facts.ids, *facts.starts)[0] for facts in read_facts(name).models]
    samples = registry.provider_class(name).sample_models
    return list(dict.fromkeys((*samples, *known))) or ["any"]


def _plain_requests(provider: Provider, model: str) -> list[GenerationRequest]:
    """One that the model takes, with the inputs that it can't do without; none for a model that makes only text."""
    kinds = provider.capabilities(model).kinds
    kind = next((kind for kind in KINDS if kind in kinds), None)
    if kind is None:
        return []
    request = GenerationRequest(kind=kind, model=model, prompt="A red kite")
    for _ in INPUTS:
        refusal = _refused_by(provider, request)
        needed = INPUTS.get(refusal or "")
        if refusal is None or needed is None or needed in request.media:
            break
        request = request.model_copy(update={"media": (*request.media, needed)})
    return [request] if _refused_by(provider, request) is None else []


def _outcome_of_wish(provider: Provider, plain: GenerationRequest, wish: str) -> str:
    for told in WISHES[wish]:
        media = (*plain.media, *(item for item in told.get("media", ()) if item not in plain.media))
        request = plain.model_copy(update={**told, "media": media})
        if _refused_by(provider, request) is None:
            return "prompt" if _stands_in_prompt(provider, request) else "taken"
    return "refused"


def _stands_in_prompt(provider: Provider, request: GenerationRequest) -> bool:
    return adapt_request(request, NO_OVERRIDES, provider, model=request.model).prompt != request.prompt


def _refused_by(provider: Provider, request: GenerationRequest) -> str | None:
    """The field by which it is refused; None when it is not. Raises ``AdapterFailed``."""
    candidate = Candidate(AccountStatus(provider.account, enabled=True), request.model)
    refusal = find_refusal(request, candidate, provider)
    if isinstance(refusal, AdapterFailed):
        raise refusal
    return None if refusal is None else refusal.param or ""
