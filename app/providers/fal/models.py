"""fal's families of models: their endpoints and the names of their fields."""

from dataclasses import dataclass, field

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, Role
from app.providers.hosted_models import IMAGE, ModelFamily

WIDE = ("16:9", "9:16")
SQUARE = (*WIDE, "1:1")
FRAMES: dict[Role, str] = {"first_frame": "image_url", "last_frame": "end_image_url"}
STARTS: dict[Role, str] = {"first_frame": "start_image_url", "last_frame": "end_image_url"}
ANY_PICTURE: dict[Role, str] = {"first_frame": "image_urls", "reference_image": "image_urls"}
ONE_PICTURE: dict[Role, str] = {"first_frame": "image_url", "reference_image": "image_url"}


@dataclass(frozen=True, slots=True)
class FalEndpoints:
    """What is added to a family's bare name, by its inputs; empty: nothing, or there is no such endpoint."""

    text: str = "text-to-video"
    first: str = "image-to-video"
    both: str = "image-to-video"
    references: str = ""


@dataclass(frozen=True, slots=True)
class FalFamily(ModelFamily):
    endpoints: FalEndpoints | None = None
    """None: the model's name is the endpoint."""
    both_fields: dict[Role, str] = field(default_factory=dict)
    """Replaces ``fields`` when both frames are given."""


# From the schema that fal publishes for each endpoint (https://fal.ai/models/<endpoint>/llms.txt), October 2026.
FAMILIES = (
    FalFamily(
        start=("fal-ai/kling-video/v3",),
        sound="generate_audio",
        fields=STARTS,
        seconds=(3, 15),
        length="text",
        ratios=SQUARE,
        tiers={},
        lacks=("seed",),
        shots="list",
        endpoints=FalEndpoints(),
    ),
    FalFamily(
        start=("fal-ai/kling-video/o3",),
        sound="generate_audio",
        fields=FRAMES,
        lists={"reference_image": "image_urls"},
        most=7,
        seconds=(3, 15),
        length="text",
        ratios=SQUARE,
        tiers={},
        lacks=("seed", "negative_prompt"),
        shots="list",
        mixes=False,
        endpoints=FalEndpoints(references="reference-to-video"),
    ),
    FalFamily(
        start=("bytedance/seedance-2", "fal-ai/bytedance/seedance"),
        sound="generate_audio",
        fields=FRAMES,
        lists={"reference_image": "image_urls", "reference_video": "video_urls", "audio": "audio_urls"},
        seconds=(4, 15),
        length="text",
        ratios=("21:9", "16:9", "4:3", "1:1", "3:4", "9:16"),
        tiers={"480p": 480, "720p": 720, "1080p": 1080},
        lacks=("negative_prompt",),
        mixes=False,
        endpoints=FalEndpoints(references="reference-to-video"),
    ),
    FalFamily(
        start=("fal-ai/veo3",),
        sound="generate_audio",
        fields=FRAMES,
        both_fields={"first_frame": "first_frame_url", "last_frame": "last_frame_url"},
        lists={"reference_image": "image_urls"},
        most=3,
        seconds=(4, 8),
        length="suffixed",
        ratios=WIDE,
        tiers={"720p": 720, "1080p": 1080, "4k": 2160},
        mixes=False,
        endpoints=FalEndpoints(text="", both="first-last-frame-to-video", references="reference-to-video"),
    ),
    FalFamily(
        start=("fal-ai/ltx-2",),
        sound="generate_audio",
        fields=FRAMES,
        seconds=(6, 20),
        ratios=WIDE,
        tiers={"1080p": 1080, "1440p": 1440, "2160p": 2160},
        lacks=("seed", "negative_prompt"),
        endpoints=FalEndpoints(),
    ),
    FalFamily(
        start=("blackforestlabs/flux-3-max",),
        sound="generate_audio",
        fields=FRAMES,
        seconds=(5, 20),
        ratios=("21:9", "16:9", "4:3", "1:1", "3:4", "9:16"),
        tiers={"720p": 720, "1080p": 1080},
        lacks=("seed", "negative_prompt"),
        endpoints=FalEndpoints(),
    ),
    FalFamily(
        start=("fal-ai/nano-banana", "fal-ai/gemini-"),
        kinds=IMAGE,
        lists=ANY_PICTURE,
        tiers={},
        lacks=("negative_prompt",),
    ),
    FalFamily(
        start=("fal-ai/flux-pro/kontext", "fal-ai/flux-kontext"),
        kinds=IMAGE,
        fields=ONE_PICTURE,
        tiers={},
        lacks=("negative_prompt",),
    ),
    FalFamily(
        start=("fal-ai/flux/", "fal-ai/flux-pro", "fal-ai/flux-lora"),
        kinds=IMAGE,
        fields=ONE_PICTURE,
        ratios=(),
        tiers={},
        size_field="image_size",
        lacks=("negative_prompt",),
    ),
)
ANY_IMAGE = FalFamily(kinds=IMAGE, lists=ANY_PICTURE, tiers={}, size_field="image_size")
ANY_VIDEO = FalFamily(
    sound="generate_audio",
    fields={**FRAMES, "source_video": "video_url", "audio": "audio_url"},
    lists={"reference_image": "image_urls", "reference_video": "video_urls"},
    length="text",
)
ANY_SOUND = FalFamily(kinds=frozenset({"audio"}), ratios=(), tiers={}, length="number")
ANY = {"video": ANY_VIDEO, "image": ANY_IMAGE, "audio": ANY_SOUND}


def known_family(model: str) -> FalFamily | None:
    return next((family for family in FAMILIES if model.startswith(family.start)), None)


def names_an_endpoint(model: str) -> bool:
    """Whether ``model`` itself names the inputs, as ``…/image-to-video`` does."""
    parts = model.split("/")
    return any("-to-" in part or part.endswith("-video") for part in parts[2:])


def endpoint_of(request: GenerationRequest, family: FalFamily) -> str:
    """The path of the request: ``request.model``, or the family's endpoint for its inputs."""
    if family.endpoints is None or names_an_endpoint(request.model):
        return request.model
    ends, frames = family.endpoints, {item.role for item in request.media}
    if frames & set(family.lists):
        suffix = ends.references
    elif "last_frame" in frames:
        if "first_frame" not in frames:
            raise UpstreamRejected(
                f"{request.model} takes a last frame only with a first one", param="last_frame"
            )
        suffix = ends.both
    else:
        suffix = ends.first if "first_frame" in frames else ends.text
    return f"{request.model}/{suffix}" if suffix else request.model
