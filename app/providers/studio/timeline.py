"""Which backdrop and caption each frame of a clip shows, and how segments fade into each other."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from app.providers.studio.canvas import Canvas
from app.providers.studio.captions import PromptCaption
from app.providers.studio.footage import (
    ClipBackdrop,
    GradedBackdrop,
    StillBackdrop,
    clip_length,
    last_picture,
    open_picture,
)
from app.providers.studio.plan import DEFAULT_SECONDS, MAX_SECONDS, RenderPlan
from app.providers.studio.scene import Backdrop, LandscapeBackdrop, ScenePalette, choose_palette
from app.providers.studio.writing import shot_title

_PICTURES = {"first_frame", "reference_image", "subject"}
_CLIPS = {"source_video", "reference_video"}


@dataclass(slots=True)
class ClipSegment:
    """A part of a clip from frame ``start`` on; it fades in over ``fade`` frames."""

    backdrop: Backdrop
    start: int
    fade: int = 0
    caption: PromptCaption | None = None
    caption_delay: int = 0
    """Frames before the caption appears; 0 shows it at once."""


class ClipTimeline:
    """All segments of a clip of ``frames`` frames."""

    def __init__(self, segments: list[ClipSegment], *, frames: int, plan: RenderPlan) -> None:
        self.segments, self.frames, self.fps = segments, frames, plan.fps
        self._spare = Canvas(plan.width, plan.height) if len(segments) > 1 else None

    def paint(self, canvas: Canvas, index: int) -> None:
        """Paint frame ``index`` with its caption."""
        number = max(at for at, segment in enumerate(self.segments) if segment.start <= index)
        segment = self.segments[number]
        share = _fade_share(index - segment.start, segment.fade)
        before = self.segments[number - 1] if number and share < 1 else None
        if before is None or self._spare is None:
            self._paint_backdrop(segment, canvas, index)
            _paint_caption(segment, canvas, index, fps=self.fps)
            return
        self._paint_backdrop(before, canvas, index)
        self._paint_backdrop(segment, self._spare, index)
        canvas.blend(self._spare, share)
        if before.caption is segment.caption:
            _paint_caption(segment, canvas, index, fps=self.fps)
        elif share < 0.5 and before.caption:
            before.caption.apply(canvas, 1 - 2 * share)
        elif segment.caption and not segment.caption_delay:
            segment.caption.apply(canvas, 2 * share - 1)

    def _paint_backdrop(self, segment: ClipSegment, canvas: Canvas, index: int) -> None:
        segment.backdrop.paint(canvas, (index - segment.start) / self.fps)


def make_timeline(plan: RenderPlan, folder: Path) -> ClipTimeline:
    """The segments of a plan. Raises ``OSError`` or ``ValueError`` when an input can't be read."""
    clips = [folder / name for role, name in plan.media if role in _CLIPS]
    pictures = [open_picture(folder / name) for role, name in plan.media if role in _PICTURES]
    ends = [open_picture(folder / name) for role, name in plan.media if role == "last_frame"]
    seconds = plan.seconds
    if plan.action == "extend" and clips:
        # As in OpenAI's API, the seconds of an extension are the added length.
        seconds = min(MAX_SECONDS, clip_length(clips[0]) + (seconds or DEFAULT_SECONDS))
    elif seconds is None:
        seconds = (min(MAX_SECONDS, clip_length(clips[0])) if clips else 0.0) or DEFAULT_SECONDS
    frames = max(1, round(seconds * plan.fps)) if plan.kind == "video" else 1
    segments = _source_segments(plan, clips[0], frames) if clips else _shot_segments(plan, pictures, frames)
    if ends and frames > 1:
        segments.append(_ending_segment(plan, ends[0], frames))
    return ClipTimeline(segments, frames=frames, plan=plan)


def _fade_share(position: int, fade: int) -> float:
    if position >= fade:
        return 1.0
    linear = (position + 1) / (fade + 1)
    return linear * linear * (3 - 2 * linear)


def _paint_caption(segment: ClipSegment, canvas: Canvas, index: int, *, fps: int) -> None:
    if segment.caption is None:
        return
    opacity = 1.0
    if segment.caption_delay:
        opacity = min(1.0, max(0.0, (index - segment.start - segment.caption_delay) / (fps * 0.6)))
    segment.caption.apply(canvas, opacity)


def _shot_segments(plan: RenderPlan, pictures: list[Image.Image], frames: int) -> list[ClipSegment]:
    """One segment per shot, or a single one; the pictures are used in order."""
    size = (plan.width, plan.height)
    shots = plan.shots or ((1.0, plan.prompt),)
    total = sum(seconds for seconds, _ in shots) or 1.0
    segments: list[ClipSegment] = []
    passed = 0.0
    spoken = " ".join(prompt for _, prompt in shots)
    for number, (seconds, prompt) in enumerate(shots):
        start = round(passed / total * frames)
        passed += seconds
        length = round(passed / total * frames) - start
        title = shot_title(spoken, number + 1, len(shots)) if plan.shots else ""
        palette = choose_palette(plan.style, seed=plan.colour_seed, index=number)
        picture = pictures[number] if number < len(pictures) else None
        backdrop = _make_backdrop(plan, palette, (picture, length, number))
        first_still = picture is not None and number == 0 and plan.kind == "video"
        segments.append(
            ClipSegment(
                backdrop=backdrop,
                start=start,
                fade=min(plan.fps // 2, length // 2) if number else 0,
                caption=PromptCaption(size, prompt, title=title),
                caption_delay=min(plan.fps // 3, length // 4) + 1 if first_still else 0,
            )
        )
    return [segment for segment in segments if segment.start < frames]


def _make_backdrop(
    plan: RenderPlan, palette: ScenePalette, content: tuple[Image.Image | None, int, int]
) -> LandscapeBackdrop | StillBackdrop | GradedBackdrop:
    picture, length, number = content
    if picture is None:
        return LandscapeBackdrop(palette, seed=plan.layout_seed + number * 7919, detail=not plan.fast)
    still = StillBackdrop(picture, (plan.width, plan.height), length=length / plan.fps, seed=plan.layout_seed)
    return GradedBackdrop(still, palette) if plan.action in {"edit", "remix"} else still


def _source_segments(plan: RenderPlan, path: Path, frames: int) -> list[ClipSegment]:
    size = (plan.width, plan.height)
    palette = choose_palette(plan.style, seed=plan.colour_seed, index=0)
    caption = PromptCaption(size, plan.prompt, above=True)
    if plan.action != "extend" or plan.kind != "video":
        return [ClipSegment(GradedBackdrop(ClipBackdrop(path, size, loop=True), palette), 0, caption=caption)]
    source = clip_length(path)
    played = min(round(source * plan.fps), frames - max(1, frames // 4))
    begin = max(0.0, source - played / plan.fps) if played < round(source * plan.fps) else 0.0
    remaining = frames - played
    still = StillBackdrop(last_picture(path), size, length=remaining / plan.fps, seed=plan.layout_seed)
    segments = [ClipSegment(ClipBackdrop(path, size, loop=False, begin=begin), 0)]
    segments.append(ClipSegment(still, played, caption=caption, caption_delay=plan.fps // 4))
    if remaining > 3 * plan.fps:
        land = LandscapeBackdrop(palette, seed=plan.layout_seed, detail=not plan.fast)
        segments.append(ClipSegment(land, played + remaining // 2, fade=plan.fps * 5 // 4, caption=caption))
    return segments


def _ending_segment(plan: RenderPlan, picture: Image.Image, frames: int) -> ClipSegment:
    """The picture fades in at the end, so that it is the last frame."""
    length = max(1, min(round(plan.fps * 1.6), frames // 2))
    still = StillBackdrop(
        picture,
        (plan.width, plan.height),
        length=(length - 1) / plan.fps,
        seed=plan.layout_seed,
        zoom_out=True,
    )
    return ClipSegment(still, frames - length, fade=length * 2 // 3)
