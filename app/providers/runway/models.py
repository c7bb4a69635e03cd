"""What Runway's models accept: sizes and the form of the size field, lengths, inputs, storyboards.

Read from Runway's SDK: https://github.com/runwayml/sdk-python
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from app.generation import Role

SizeForm = Literal["ratio", "auto", "resolution", "none"]
"""The form of the size field: one of the ratios, ``auto_720p``, a resolution only, or no field."""

HD = ("1280:720", "720:1280")
FULL_HD = ("1920:1080", "1080:1920")
UHD = ("3840:2160", "2160:3840")
GEN4 = (*HD, "1104:832", "832:1104", "960:960", "1584:672")
SEEDANCE = ("992:432", "864:496", "752:560", "640:640", "560:752", "496:864", "1470:630", "1280:720",
    "1112:834", "960:960", "834:1112", "720:1280")  # fmt: skip
SEEDANCE_HD = ("2206:946", "1920:1080", "1664:1248", "1440:1440", "1248:1664", "1080:1920")
SEEDANCE_UHD = ("3840:1646", "3840:2160", "3840:2880", "3840:3840", "2880:3840", "2160:3840")
SEEDANCE_25 = tuple({"864:496": "854:480", "496:864": "480:854"}.get(word, word) for word in SEEDANCE)
WAN = ("832:480", "720:544", "624:624", "544:720", "480:832", "1280:720", "1104:832", "960:960", "832:1104",
    "720:1280", "1920:1080", "1648:1248", "1440:1440", "1248:1648", "1080:1920")  # fmt: skip
HAPPY = (*HD, "960:960", "1108:832", "832:1108", *FULL_HD, "1440:1440", "1662:1248", "1248:1662")
GROK_LITE = ("848:480", "480:848", "480:480", "640:480", "480:640", "720:480", "480:720", "1280:720",
    "720:1280", "720:720", "960:720", "720:960", "1088:720", "720:1088", "1904:1072", "1072:1904", "1424:1424",
    "1648:1232", "1232:1648", "1744:1152", "1152:1744")  # fmt: skip
KLING_4 = (*HD, "940:940", "1460:624", *FULL_HD, "1440:1440", "2200:940")
STILLS = ("1024:1024", "1080:1080", "1168:880", "1360:768", "1440:1080", "1080:1440", "1808:768", "1920:1080",
    "1080:1920", "2112:912", "1280:720", "720:1280", "720:720", "960:720", "720:960", "1680:720")  # fmt: skip
SHAPES = ("16:9", "9:16", "4:3", "3:4", "1:1")


@dataclass(frozen=True, slots=True)
class RunwayModel:
    """``ratios`` are ``W:H`` in pixels; other models have ``shapes`` and ``tiers`` as separate fields."""

    roles: frozenset[Role]
    ratios: tuple[str, ...] = ()
    shapes: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    needs_ratio: bool = False
    """Runway refuses a request without a ratio."""
    needs_seconds: bool = False
    frames_size_form: SizeForm = "ratio"
    """The size form in ``image_to_video``; ``text_to_video`` takes every ratio of the model."""
    edits_size_form: SizeForm = "ratio"
    """The size form in ``video_to_video``; with "none" the length is that of the source, too."""
    seconds: tuple[float, float] | None = None
    video_field: str = ""
    """The name of the source field in ``video_to_video``."""
    seed: bool = False
    negative_prompt: bool = False
    shots: bool = False


FIRST: frozenset[Role] = frozenset({"first_frame"})
BOTH_ENDS: frozenset[Role] = FIRST | {"last_frame"}
SOURCE: frozenset[Role] = frozenset({"source_video", "reference_image"})
ALL: frozenset[Role] = BOTH_ENDS | SOURCE | {"reference_video", "audio"}

_VEO = RunwayModel(
    BOTH_ENDS, (*HD, *FULL_HD), needs_ratio=True, seconds=(4, 8), seed=True, negative_prompt=True
)
_KLING = RunwayModel(BOTH_ENDS, needs_ratio=True, seconds=(3, 15), shots=True)
_KLING_O3 = replace(_KLING, roles=BOTH_ENDS | SOURCE, edits_size_form="none", video_field="promptVideo")
_SEEDANCE = RunwayModel(ALL, SEEDANCE, video_field="promptVideo", seed=True)
_WAN = RunwayModel(ALL - {"source_video"}, WAN, frames_size_form="auto")

MODELS: Mapping[str, RunwayModel] = {
    "gen4.5": RunwayModel(FIRST, GEN4, needs_ratio=True, needs_seconds=True, seconds=(2, 10), seed=True),
    "gen4_turbo": RunwayModel(FIRST, GEN4, needs_ratio=True, seconds=(2, 10), seed=True),
    "aleph2": RunwayModel(
        frozenset({"source_video"}), shapes=SHAPES, edits_size_form="none", video_field="videoUri", seed=True
    ),
    "veo3.1": _VEO,
    "veo3.1_fast": _VEO,
    "kling2.5_turbo_pro": RunwayModel(
        BOTH_ENDS, (*FULL_HD, "1440:1440", *HD, "720:720"), frames_size_form="none", seconds=(5, 10)
    ),
    "kling3.0_standard": replace(_KLING, ratios=(*HD, "960:960")),
    "kling3.0_pro": replace(_KLING, ratios=(*FULL_HD, "1440:1440")),
    "kling3.0_4k": replace(_KLING, ratios=(*UHD, "2880:2880")),
    "klingO3_standard": replace(_KLING_O3, ratios=(*HD, "960:960")),
    "klingO3_pro": replace(_KLING_O3, ratios=(*FULL_HD, "1440:1440")),
    "klingO3_4k": replace(_KLING_O3, ratios=(*UHD, "2880:2880")),
    "kling_4": RunwayModel(
        BOTH_ENDS | SOURCE | {"reference_video"},
        KLING_4,
        frames_size_form="auto",
        edits_size_form="auto",
        video_field="videoUri",
    ),
    "seedance2": replace(_SEEDANCE, ratios=SEEDANCE + SEEDANCE_HD + SEEDANCE_UHD),
    "seedance2_fast": _SEEDANCE,
    "seedance2_mini": _SEEDANCE,
    "seedance2_5": replace(_SEEDANCE, ratios=SEEDANCE_25 + SEEDANCE_HD),
    "hailuo3": RunwayModel(ALL, shapes=("21:9", *SHAPES), tiers=("768p", "2k"), video_field="promptVideo"),
    "h3_max": RunwayModel(BOTH_ENDS, tiers=("480p", "768p"), frames_size_form="resolution", seed=True),
    "happyhorse_1_0": RunwayModel(FIRST, HAPPY, frames_size_form="resolution"),
    "wan3": _WAN,
    "wan3_prime": _WAN,
    "gemini_omni_flash": RunwayModel(
        FIRST | SOURCE, HD, edits_size_form="none", seconds=(3, 10), video_field="videoUri"
    ),
    "gemini_omni_flash_1.1": RunwayModel(
        BOTH_ENDS | SOURCE | {"reference_video"},
        ("640:360", "360:640", *HD, *FULL_HD, *UHD),
        seconds=(3, 10),
        video_field="videoUri",
    ),
    "grok_imagine_1_5": RunwayModel(
        FIRST | {"reference_image", "audio"},
        shapes=(*SHAPES, "3:2", "2:3"),
        tiers=("480p", "720p", "1080p"),
        frames_size_form="resolution",
    ),
    "grok_imagine_1_5_lite": RunwayModel(FIRST, GROK_LITE, frames_size_form="auto"),
}
UNKNOWN_MODEL = RunwayModel(ALL, video_field="promptVideo", seed=True, negative_prompt=True, shots=True)
"""For models that this table lacks: all fields are sent, by the names that most models use."""
IMAGE_MODEL = RunwayModel(frozenset({"reference_image"}), STILLS, needs_ratio=True, seed=True)
"""For ``text_to_image``. Some models have more sizes; those are sent as the client wrote them."""
IMAGE_WORDS = ("image", "recraft", "fibo", "ideogram", "seedream", "nano_banana", "gemini_2.5_flash")


def makes_images(model: str) -> bool:
    return model not in MODELS and any(word in model for word in IMAGE_WORDS)


def model_of(name: str) -> RunwayModel:
    return MODELS.get(name) or (IMAGE_MODEL if makes_images(name) else UNKNOWN_MODEL)
