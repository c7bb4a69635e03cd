"""The field names of Replicate's model families, as in each model's own schema."""

from app.generation import Role
from app.providers.hosted_models import IMAGE, ModelFamily

WIDE = ("16:9", "9:16")
SQUARE = (*WIDE, "1:1")
MODES = {"720p": "standard", "1080p": "pro"}
KLING: dict[Role, str] = {"first_frame": "start_image", "last_frame": "end_image"}
ANY_PICTURE: dict[Role, str] = {"first_frame": "image_input", "reference_image": "image_input"}

# Read at replicate.com/<owner>/<model>/versions/<id>/api, October 2026.
FAMILIES = (
    ModelFamily(
        start=("bytedance/seedance-2",),
        sound="generate_audio",
        fields={"first_frame": "image", "last_frame": "last_frame_image"},
        lists={
            "reference_image": "reference_images",
            "reference_video": "reference_videos",
            "audio": "reference_audios",
        },
        seconds=(1, 15),
        ratios=("16:9", "9:16", "1:1", "4:3", "3:4", "21:9"),
        tiers={"480p": 480, "720p": 720, "1080p": 1080},
        lacks=("negative_prompt",),
        mixes=False,
    ),
    ModelFamily(
        start=("bytedance/seedance-1",),
        sound="generate_audio",
        fields={"first_frame": "image", "last_frame": "last_frame_image"},
        lists={"reference_image": "reference_images"},
        most=4,
        seconds=(2, 12),
        tiers={"480p": 480, "720p": 720, "1080p": 1080},
        lacks=("negative_prompt",),
        mixes=False,
    ),
    ModelFamily(
        start=("kwaivgi/kling-v3-omni", "kwaivgi/kling-o1"),
        sound="generate_audio",
        fields={**KLING, "reference_video": "reference_video", "source_video": "reference_video"},
        lists={"reference_image": "reference_images"},
        most=7,
        seconds=(3, 15),
        ratios=SQUARE,
        tiers={"720p": 720, "1080p": 1080},
        tier_field="mode",
        tier_words=MODES,
        lacks=("seed", "negative_prompt"),
        shots="text",
    ),
    ModelFamily(
        start=("kwaivgi/kling-v3",),
        sound="generate_audio",
        fields=KLING,
        seconds=(3, 15),
        ratios=SQUARE,
        tiers={"720p": 720, "1080p": 1080},
        tier_field="mode",
        tier_words=MODES,
        lacks=("seed",),
        shots="text",
    ),
    ModelFamily(
        start=("kwaivgi/kling-v1.6",),
        fields=KLING,
        lists={"reference_image": "reference_images"},
        most=4,
        seconds=(5, 10),
        ratios=SQUARE,
        tiers={},
        lacks=("seed",),
    ),
    ModelFamily(
        start=("google/veo-3",),
        sound="generate_audio",
        fields={"first_frame": "image", "last_frame": "last_frame"},
        lists={"reference_image": "reference_images"},
        most=3,
        seconds=(4, 8),
        ratios=WIDE,
        tiers={"720p": 720, "1080p": 1080},
        mixes=False,
    ),
    ModelFamily(
        start=("lightricks/ltx-2",),
        sound="generate_audio",
        fields={"first_frame": "image", "last_frame": "last_frame_image"},
        seconds=(6, 20),
        ratios=WIDE,
        tiers={"1080p": 1080, "2k": 1440, "4k": 2160},
        lacks=("seed", "negative_prompt"),
    ),
    ModelFamily(
        start=("black-forest-labs/flux-2",),
        kinds=IMAGE,
        lists={"first_frame": "input_images", "reference_image": "input_images"},
        most=8,
        tiers={},
        lacks=("negative_prompt",),
    ),
    ModelFamily(
        start=("black-forest-labs/flux-kontext",),
        kinds=IMAGE,
        fields={"first_frame": "input_image", "reference_image": "input_image"},
        tiers={},
        lacks=("negative_prompt",),
    ),
    ModelFamily(
        start=("google/nano-banana", "bytedance/seedream"),
        kinds=IMAGE,
        lists=ANY_PICTURE,
        tiers={},
        lacks=("negative_prompt",),
    ),
)
ANY_VIDEO = ModelFamily(
    sound="generate_audio", fields={"first_frame": "image", "source_video": "video", "audio": "audio"}
)
ANY_IMAGE = ModelFamily(kinds=IMAGE, fields={"first_frame": "image", "reference_image": "image"}, tiers={})
ANY_SOUND = ModelFamily(kinds=frozenset({"audio"}), ratios=(), tiers={})
ANY = {"video": ANY_VIDEO, "image": ANY_IMAGE, "audio": ANY_SOUND}


def known_family(model: str) -> ModelFamily | None:
    return next((family for family in FAMILIES if model.startswith(family.start)), None)
