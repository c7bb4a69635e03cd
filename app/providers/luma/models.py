"""What is known of Luma's models, of both APIs; a model that the file lacks has no bounds."""

from collections.abc import Collection, Mapping, Sequence

from app.generation import GenerationRequest, Role
from app.providers.inputs import nearest_tier, told_ratio
from app.providers.model_facts import ModelFacts, read_facts


def model_of(name: str) -> ModelFacts | None:
    """None for a model that the file lacks: Luma decides."""
    return read_facts("luma").find_model(name)


def inputs_of(name: str, roles: Collection[Role]) -> Mapping[Role, int | None]:
    """The inputs that a model takes, and the most of each; None where that is not known."""
    known = model_of(name)
    return dict(known.inputs) if known else dict.fromkeys(roles)


def ratio_of(request: GenerationRequest, ratios: Sequence[str]) -> str | None:
    """The field for the shape; ``ratios`` are those of models that the file lacks, for sizes."""
    known = model_of(request.model)
    return told_ratio(request, known.ratios if known else (), usual=ratios)


def resolution_of(request: GenerationRequest, tiers: Mapping[str, int]) -> str | None:
    """The field for the quality; ``tiers`` are those of models that the file lacks, for sizes."""
    known = model_of(request.model)
    if known is None and request.resolution:
        return request.resolution
    return nearest_tier(request, known.tiers if known else tiers)
