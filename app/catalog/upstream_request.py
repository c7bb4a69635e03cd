"""A generation request as one upstream gets it, and why an upstream can't be given it."""

import json
from collections.abc import Collection, Hashable
from dataclasses import dataclass
from itertools import groupby

from app.catalog.candidates import Candidate
from app.catalog.fitting import Fitting, fit_request
from app.catalog.overrides import NO_OVERRIDES, Overrides, apply_overrides
from app.catalog.prompt_wishes import write_into_prompt
from app.errors import AdapterFailed, AddressNeeded, FilmgateError, InvalidRequest
from app.generation import GenerationRequest, MediaInput, Role
from app.providers import judging
from app.providers.base import Capabilities, Provider

ROLE_WORDS: dict[Role, tuple[str, str]] = {
    "first_frame": ("input_reference", "an image"),
    "last_frame": ("input_reference", "a last frame"),
    "reference_image": ("input_reference", "reference images"),
    "source_video": ("video", "a source video"),
    "reference_video": ("video", "a reference video"),
    "audio": ("audio", "a sound"),
    "subject": ("characters", "characters"),
}
"""The client's field for an input, and what the input is called in an error."""
LONGEST_TEXT = 1500
SOME_ADDRESS = "https://gateway.invalid/inputs"
"""Stands for an address of ours where a request is only judged."""


def adapt_request(
    request: GenerationRequest, overrides: Overrides, provider: Provider, *, model: str
) -> GenerationRequest:
    """The request in the words of one upstream: ``model`` is its name there, the route's overrides are applied, and what
    it has no field for stands in the prompt."""
    able = provider.capabilities(model)
    adapted = adapt_characters(apply_overrides(request, overrides), able.roles)
    return write_into_prompt(adapted, able).model_copy(update={"model": model})


@dataclass(frozen=True, slots=True)
class AdaptedRequest:
    """A request as one upstream gets it; ``fitting`` says how it differs from what was asked, where it does."""

    request: GenerationRequest
    fitting: Fitting | None = None


def adapt_for(
    request: GenerationRequest, candidate: Candidate, provider: Provider, *, model: str
) -> AdaptedRequest:
    """``adapt_request``, with a length or size that the upstream lacks fitted as the operator allows for the candidate."""
    adapted = adapt_request(request, candidate.overrides, provider, model=model)
    fitting = fit_request(adapted, provider.capabilities(model), candidate.rules)
    return AdaptedRequest(fitting.applied_to(adapted) if fitting else adapted, fitting)


def adapt_characters(request: GenerationRequest, roles: Collection[Role]) -> GenerationRequest:
    """Characters as inputs that the upstream takes: a subject, else a reference image, else a reference video.

    The request stays unchanged when the upstream takes none of these ``roles``.
    """
    if "subject" in roles or not request.media_with("subject"):
        return request
    return request.model_copy(update={"media": tuple(_adapt_input(item, roles) for item in request.media)})


def _adapt_input(item: MediaInput, roles: Collection[Role]) -> MediaInput:
    if item.role != "subject":
        return item
    if "reference_image" in roles:
        return item.model_copy(update={"role": "reference_image"})
    if "reference_video" in roles and item.clip:
        clip = {"role": "reference_video", "content_type": "video/mp4", "key": item.clip}
        return item.model_copy(update=clip)
    return item


# ---- refusals -----------------------------------------------------------------------------------


def find_refusal(
    request: GenerationRequest, candidate: Candidate, provider: Provider, *, gives_addresses: bool = False
) -> FilmgateError | None:
    """Why the candidate's upstream can't make what the request asks for, as an error for the client; None when it can.
    ``gives_addresses``: it can fetch inputs from us."""
    adapted = adapt_for(request, candidate, provider, model=candidate.model).request
    return refusal_of(adapted, provider, model=candidate.model, gives_addresses=gives_addresses)


def refusal_of(
    adapted: GenerationRequest, provider: Provider, *, model: str, gives_addresses: bool
) -> FilmgateError | None:
    """The same for a request that is ``adapted`` already."""
    coarse = check_capability(adapted, provider.capabilities(model))
    if coarse is not None:
        return coarse
    judged = judging.without_bytes(adapted)
    refusal = judging.find_refusal(provider, judged)
    if gives_addresses and isinstance(refusal, AddressNeeded):
        judged = judging.with_addresses(provider, judged, lambda number: f"{SOME_ADDRESS}/{number}")
        refusal = judging.find_refusal(provider, judged)
    if refusal is None or isinstance(refusal, AdapterFailed):
        return refusal
    return InvalidRequest(refusal.message, param=_client_field(adapted, refusal.param))


def judged_alike(candidate: Candidate) -> Hashable:
    """Equal for candidates whose adapters judge a request alike: of a thousand keys of one vendor one is asked."""
    account = candidate.account
    options = json.dumps(dict(account.options), sort_keys=True) if account.options else ""
    where = account.provider, account.base_url, candidate.model
    told = candidate.overrides
    overrides = "" if told == NO_OVERRIDES else told.model_dump_json(exclude_defaults=True)
    return *where, overrides, candidate.rules, options


def join_refusals(refusals: Collection[tuple[Candidate, FilmgateError]]) -> FilmgateError:
    """One error for a request that no account can make: the first one's field, and what each of them could do."""
    ordered = sorted(refusals, key=lambda pair: (isinstance(pair[1], AdapterFailed), pair[0].order))
    first = ordered[0][1]
    texts = [
        (error.message, [candidate.account.provider for candidate, _ in pairs])
        for error, pairs in _by_message(ordered)
    ]
    if len(texts) == 1:
        return first
    told = "; ".join(f"{'/'.join(dict.fromkeys(names))}: {text}" for text, names in texts)
    return InvalidRequest(f"No account can make this. {told}"[:LONGEST_TEXT], param=first.param)


def _by_message(
    refusals: Collection[tuple[Candidate, FilmgateError]],
) -> list[tuple[FilmgateError, list[tuple[Candidate, FilmgateError]]]]:
    by_text = sorted(refusals, key=lambda pair: pair[1].message)
    groups = [list(pairs) for _, pairs in groupby(by_text, key=lambda pair: pair[1].message)]
    places = {id(pair): place for place, pair in enumerate(refusals)}
    groups.sort(key=lambda pairs: min(places[id(pair)] for pair in pairs))
    return [(pairs[0][1], pairs) for pairs in groups]


def _client_field(request: GenerationRequest, param: str | None) -> str | None:
    """The client's own name of an input that an adapter names by its role."""
    given = next((item.field for item in request.media if item.role == param and item.field), None)
    return given or param


def check_capability(request: GenerationRequest, capabilities: Capabilities) -> InvalidRequest | None:
    """An error that names the field and what the model can do; None when the upstream can be asked for it."""
    if request.action == "remix" and not capabilities.remix:
        return InvalidRequest(f"{request.model} can't remix videos", param="video")
    for item in request.media:
        if item.role not in capabilities.roles:
            param, word = ROLE_WORDS[item.role]
            able = sorted(capabilities.roles)
            return InvalidRequest(
                f"{request.model} does not take {word}; it takes {able or 'text only'}",
                param=item.field or param,
            )
    for role, most in capabilities.most.items():
        given = request.media_with(role)
        if len(given) > most:
            param, word = given[0].field or ROLE_WORDS[role][0], role.replace("_", " ")
            return InvalidRequest(
                f"{request.model} takes at most {most} {word}(s), not {len(given)}", param=param
            )
    return _check_seconds(request, capabilities) or _check_size(request, capabilities)


def _check_seconds(request: GenerationRequest, capabilities: Capabilities) -> InvalidRequest | None:
    if request.kind != "video" or request.seconds is None or capabilities.seconds is None:
        return None
    low, high = capabilities.seconds
    if capabilities.lengths:
        if request.seconds in capabilities.lengths:
            return None
        able = ", ".join(f"{length:g}" for length in capabilities.lengths)
        text = f"seconds must be one of {able} for {request.model}, not {request.seconds:g}"
        return InvalidRequest(text, param="seconds")
    if low <= request.seconds <= high:
        return None
    text = f"seconds must be from {low:g} to {high:g} for {request.model}, not {request.seconds:g}"
    return InvalidRequest(text, param="seconds")


def _check_size(request: GenerationRequest, capabilities: Capabilities) -> InvalidRequest | None:
    if request.size is None:
        return None
    if capabilities.sizes and request.size not in capabilities.sizes:
        able = ", ".join(sorted(capabilities.sizes))
        return InvalidRequest(
            f"size must be one of {able} for {request.model}, not {request.size}", param="size"
        )
    width, height = (int(part) for part in request.size.split("x"))
    if capabilities.max_pixels and width * height > capabilities.max_pixels:
        text = (
            f"size may hold at most {capabilities.max_pixels} pixels for {request.model}, not {request.size}"
        )
        return InvalidRequest(text, param="size")
    return None
