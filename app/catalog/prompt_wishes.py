"""Styles and storyboards in words, for upstreams that have no field for them."""

from app.catalog.presets import STYLES
from app.generation import GenerationRequest, Shot
from app.providers.base import Capabilities

STYLE_WORDS: dict[str, str] = {
    "festive": "a festive holiday look: warm lights, decorations, bright reds and golds",
    "kakalaka": "a chaotic, surreal look: wild colours, abrupt cuts, absurd humour",
    "news": "the look of a television news report: a steady camera, neutral light, a reporter's framing",
    "selfie": "the look of a selfie video: filmed at arm's length with a phone's front camera",
    "handheld": "a handheld camera: slight shake, natural light, documentary framing",
    "golden": "golden-hour light: a low, warm sun, long shadows, a golden grade",
    "anime": "Japanese anime: drawn lines, cel shading, expressive faces",
    "retro": "a retro look: the colours, grain and lenses of the 1970s and 1980s",
    "nostalgic": "a nostalgic, vintage look: faded colours, soft focus, film grain",
    "comic": "a comic book: bold outlines, halftone dots, saturated flat colours",
}
"""What the styles of the manuals mean. A style that is not among them stands for itself."""
assert set(STYLE_WORDS) == set(STYLES)


def write_into_prompt(request: GenerationRequest, able: Capabilities) -> GenerationRequest:
    """The request with its style and its shots in the prompt where the model has no field for them."""
    changed: dict[str, object] = {}
    prompt = request.prompt
    if request.shots and not able.native_shots:
        prompt = timeline_prompt(prompt, request.shots)
        seconds = sum(shot.seconds for shot in request.shots)
        changed |= {"shots": (), "seconds": request.seconds or seconds}
    if request.style and not _takes_style(able, request.style):
        words = STYLE_WORDS.get(request.style, request.style)
        prompt = f"{prompt}\nStyle: {words}." if prompt else f"Style: {words}."
        changed["style"] = None
    return request.model_copy(update={**changed, "prompt": prompt}) if changed else request


def _takes_style(able: Capabilities, style: str) -> bool:
    native = able.native_styles
    return native if isinstance(native, bool) else style in native


def timeline_prompt(prompt: str, shots: tuple[Shot, ...]) -> str:
    """One prompt that names when each shot begins and ends, in seconds. ``prompt`` stands before it unless it is only the
    storyboard as the client wrote it."""
    lines, start = [], 0.0
    for number, shot in enumerate(shots, 1):
        end = start + shot.seconds
        lines.append(f"Shot {number} ({start:g}-{end:g} s): {shot.prompt}")
        start = end
    repeats = all(shot.prompt in prompt for shot in shots)
    return "\n".join([prompt, *lines] if prompt and not repeats else lines)
