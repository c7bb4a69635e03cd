"""A film that no upstream makes in one piece, as segments that one of them makes: where a route says ``lengths = "join"``.

``plan_film`` looks only and buys nothing: creation writes what it plans, and a quote tells it. A film is planned only
where every account that may serve it would refuse it as it is. The segments are the shots of a storyboard, or the prompt
split at its sentences; their lengths are of those that the model makes, and add up to what was asked.
"""

import math
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from app.catalog.candidates import Candidate
from app.catalog.catalog import Catalog
from app.catalog.sentences import spread_sentences
from app.catalog.upstream_request import adapt_for, judged_alike, refusal_of
from app.errors import InvalidRequest
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import Capabilities, Provider

JOIN = "join"
MOST_SEGMENTS = 30
JOINED_ROLES: frozenset[Role] = frozenset(
    {"first_frame", "last_frame", "reference_image", "reference_video", "subject"}
)
"""Inputs of a film that its segments can share. A sound or a source video lasts as long as the whole film."""
LAST_PICTURE = MediaInput(role="first_frame", content_type="image/jpeg", content=b"")
"""Stands for the last picture of the segment before where a request is only judged."""
Chain = Literal["first_frame", "none"]
"""How a segment goes on from the one before: it begins with its last picture, or not at all."""


@dataclass(frozen=True, slots=True)
class Segment:
    """``seconds`` are asked of the upstream, and the first ``kept`` of them are in the film."""

    prompt: str
    seconds: float
    kept: float


@dataclass(frozen=True, slots=True)
class FilmPlan:
    """``without``: ids of the accounts that make no segment of it, so that one model makes all of them."""

    segments: tuple[Segment, ...]
    chain: Chain
    without: tuple[str, ...]

    @property
    def shares(self) -> list[float]:
        return [segment.kept for segment in self.segments]

    def request_for(self, film: GenerationRequest, place: int) -> GenerationRequest:
        """What one segment asks for; the last picture of the one before comes to it once there is one. ``max_cost`` was asked
        of the whole film, when it was created."""
        segment, media = self.segments[place], []
        for item in film.media:
            edge = {"first_frame": 0, "last_frame": len(self.segments) - 1}.get(item.role, place)
            if edge == place:
                media.append(item)
        wish = {"prompt": segment.prompt, "seconds": segment.seconds, "media": tuple(media)}
        return film.model_copy(update=wish | {"shots": (), "shots_asked": None, "max_cost": None})


def plan_film(request: GenerationRequest, able: Collection[Candidate], catalog: Catalog) -> FilmPlan | None:
    """None where it is made in one piece, or can't be joined: then the usual way makes or refuses it. Raises
    ``InvalidRequest`` for a film of too many segments."""
    if not _may_be_joined(request):
        return None
    tried: dict[Hashable, FilmPlan | None] = {}
    for candidate in sorted(able, key=lambda each: each.order):
        alike = judged_alike(candidate)
        if alike in tried:
            continue
        tried[alike] = None
        upstream = _Upstream(candidate, catalog)
        joins = candidate.rules.lengths == JOIN
        if upstream.takes(request) and not (joins and _wants_shots(request, upstream.able)):
            return None
        if joins:
            tried[alike] = _plan_at(upstream, request)
    alike, plan = next(((alike, plan) for alike, plan in tried.items() if plan), (None, None))
    if plan is None:
        return None
    others = [each for each in catalog.candidates(request.kind, request.model) if judged_alike(each) != alike]
    return FilmPlan(plan.segments, plan.chain, tuple(sorted(each.account.id for each in others)))


class _Upstream:
    """Asks one upstream's adapter whether it can be told a request, which sends nothing."""

    def __init__(self, candidate: Candidate, catalog: Catalog) -> None:
        self._candidate = candidate
        self._provider: Provider = catalog.pool.provider_for(candidate.account)
        self._gives_addresses = catalog.gives_addresses
        self.model = candidate.model
        self.able: Capabilities = self._provider.capabilities(candidate.model)

    def takes(self, request: GenerationRequest) -> bool:
        adapted = adapt_for(request, self._candidate, self._provider, model=self.model)
        given = self._gives_addresses
        refusal = refusal_of(adapted.request, self._provider, model=self.model, gives_addresses=given)
        return refusal is None


def _may_be_joined(request: GenerationRequest) -> bool:
    plain = request.kind == "video" and request.action == "generate" and request.remix_of is None
    roles = {item.role for item in request.media}
    one = request.extra.get("n") in (None, 1, "1")
    return plain and one and roles <= JOINED_ROLES and bool(request.shots or request.seconds)


def _wants_shots(request: GenerationRequest, able: Capabilities) -> bool:
    return len(request.shots) > 1 and not able.native_shots


def _plan_at(upstream: _Upstream, request: GenerationRequest) -> FilmPlan | None:
    segments = plan_segments(request, upstream.able, model=upstream.model)
    if segments is None:
        return None
    for chain in ("first_frame", "none"):
        plan = FilmPlan(segments, chain, ())
        if chain == "none" or "first_frame" in upstream.able.roles:
            places = range(len(segments))
            if all(upstream.takes(_with_picture(plan, request, place)) for place in places):
                return plan
    return None


def _with_picture(plan: FilmPlan, film: GenerationRequest, place: int) -> GenerationRequest:
    request = plan.request_for(film, place)
    if place == 0 or plan.chain == "none":
        return request
    return request.model_copy(update={"media": (LAST_PICTURE, *request.media)})


def plan_segments(
    request: GenerationRequest, able: Capabilities, *, model: str
) -> tuple[Segment, ...] | None:
    """The segments of a film on a model that makes these lengths; None where its lengths are unknown."""
    parts = [(shot.seconds, shot.prompt) for shot in request.shots] or [(request.seconds or 0.0, "")]
    found: list[Segment] = []
    for seconds, text in parts:
        lengths = choose_lengths(seconds, able, model=model)
        if lengths is None:
            return None
        kept = [*lengths[:-1], round(seconds - sum(lengths[:-1]), 3)]
        if request.shots:
            texts = [_shot_text(request, text)] * len(lengths)
        else:
            texts = spread_sentences(request.prompt, kept)
        found += map(Segment, texts, lengths, kept)
    _require_few(len(found), model)
    return tuple(found)


def _require_few(count: int, model: str) -> None:
    if count > MOST_SEGMENTS:
        text = f"A film is joined of at most {MOST_SEGMENTS} segments, and {model} would need {count} for this length"
        raise InvalidRequest(text, param="seconds")


def _shot_text(request: GenerationRequest, text: str) -> str:
    """The film's own prompt stands before a shot's, unless it is only the storyboard as the client wrote it."""
    repeats = all(shot.prompt in request.prompt for shot in request.shots)
    return text if repeats or not request.prompt else f"{request.prompt}\n{text}"


def choose_lengths(asked: float, able: Capabilities, *, model: str) -> list[float] | None:
    """The fewest lengths that the model makes and that add up to ``asked`` seconds, or to the least above it, longest
    first."""
    if able.seconds is None and not able.lengths:
        return None
    if not able.lengths:
        assert able.seconds is not None
        return _even_lengths(asked, *able.seconds, model=model)
    longest = max(able.lengths)
    _require_few(math.ceil(asked / longest), model)
    return _fewest(asked, sorted({float(length) for length in able.lengths if length > 0}, reverse=True))


def _even_lengths(asked: float, low: float, high: float, *, model: str) -> list[float]:
    """Of a model that makes every length from ``low`` to ``high``, in whole seconds where these lie between them."""
    shortest, longest = (
        (math.ceil(low), math.floor(high)) if math.ceil(low) <= math.floor(high) else (low, high)
    )
    count = max(1, math.ceil(asked / longest))
    _require_few(count, model)
    whole = math.ceil(asked)
    lengths: list[float] = [whole // count + (place < whole % count) for place in range(count)]
    return [float(min(max(length, shortest), longest)) for length in lengths]


def _fewest(asked: float, lengths: Sequence[float]) -> list[float]:
    """By how little they reach beyond ``asked``, then by their number. In tenths of a second."""
    target, steps = math.ceil(asked * 10 - 1e-6), [round(length * 10) for length in lengths]
    best: dict[int, list[int]] = {0: []}
    for reached in range(1, target + max(steps)):
        before = [
            best[reached - step] for step in steps if reached - step in best and reached - step < target
        ]
        if before:
            fewest = min(before, key=len)
            best[reached] = sorted([*fewest, reached - sum(fewest)], reverse=True)
    reached = min(total for total in best if total >= target)
    return [step / 10 for step in best[reached]]
