"""The order for a rendering process, in plain values."""

from dataclasses import dataclass
from typing import Any

FPS = 24
MAX_PIXELS = 1920 * 1920
MAX_SECONDS = 60.0
DEFAULT_SECONDS = 4.0
MAX_SIDE = 3840
MIN_SIDE = 16
RESULT_NAMES = {"video": "result.mp4", "image": "result.png"}
PART_SUFFIX = ".part"


@dataclass(frozen=True, slots=True)
class RenderPlan:
    """One rendering job in plain values, so that it can be sent as JSON.

    ``shots`` are pairs of seconds and prompt; ``media`` pairs of role and file name in the job's folder.
    ``seconds`` None means: as long as the source clip.
    """

    kind: str
    action: str
    prompt: str
    width: int
    height: int
    seconds: float | None
    shots: tuple[tuple[float, str], ...]
    media: tuple[tuple[str, str], ...]
    style: str
    layout_seed: int
    """Determines the landscape; a remix keeps the seed of its original."""
    colour_seed: int
    watermark: bool
    sound: bool
    fast: bool = False
    fail: str = ""
    """For tests: an error code to fail with in the middle."""
    slow: float = 0.0
    fps: int = FPS


def plan_from_json(value: dict[str, Any]) -> RenderPlan:
    """Read a plan from its JSON form."""
    value = dict(value)
    value["shots"] = tuple((float(seconds), str(prompt)) for seconds, prompt in value["shots"])
    value["media"] = tuple((str(role), str(name)) for role, name in value["media"])
    return RenderPlan(**value)
