"""Which backdrop and which words belong to each frame of a clip, and how one gives way to the next."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from app.providers.studio.canvas import Canvas
from app.providers.studio.captions import Caption
from app.providers.studio.footage import Clip, Graded, Still, clip_length, last_picture, open_picture
from app.providers.studio.palette import Palette, choose_palette
from app.providers.studio.plan import DEFAULT_SECONDS, MAX_SECONDS, Plan
from app.providers.studio.scene import Backdrop, Landscape

_PICTURES = {"first_frame", "reference_image", "subject"}
_CLIPS = {"source_video", "reference_video"}


@dataclass(slots=True)
class Segment:
    """A stretch of a clip from frame ``start`` on; it fades in over ``fade`` frames."""

    backdrop: Backdrop
    start: int
    fade: int = 0
    caption: Caption | None = None
    caption_delay: int = 0
    """Frames before the words come; 0 shows them at once."""


class Timeline:
    """All segments of a clip of ``frames`` frames."""

    def __init__(self, segments: list[Segment], *, frames: int, plan: Plan) -> None:
        self.segments, self.frames, self.fps = segments, frames, plan.fps
        self._spare = Canvas(plan.width, plan.height) if len(segments) > 1 else None

    def paint(self, canvas: Canvas, index: int) -> None:
        """Paint frame ``index`` with its words."""
        number = max(at for at, segment in enumerate(self.segments) if segment.start <= index)
        segment = self.segments[number]
        share = _share(index - segment.start, segment.fade)
        before = self.segments[number - 1] if number and share < 1 else None
        if before is None or self._spare is None:
            self._show(segment, canvas, index)
            _caption(segment, canvas, index, fps=self.fps)
            return
        self._show(before, canvas, index)
        self._show(segment, self._spare, index)
        canvas.blend(self._spare, share)
        if before.caption is segment.caption:
            _caption(segment, canvas, index, fps=self.fps)
        elif share < 0.5 and before.caption:
            before.caption.apply(canvas, 1 - 2 * share)
        elif segment.caption and not segment.caption_delay:
            segment.caption.apply(canvas, 2 * share - 1)

    def _show(self, segment: Segment, canvas: Canvas, index: int) -> None:
        segment.backdrop.paint(canvas, (index - segment.start) / self.fps)


def make_timeline(plan: Plan, folder: Path) -> Timeline:
    """Lay a plan out. Raises ``OSError`` or ``ValueError`` when an input can't be read."""
    clips = [folder / name for role, name in plan.media if role in _CLIPS]
    pictures = [open_picture(folder / name) for role, name in plan.media if role in _PICTURES]
    ends = [open_picture(folder / name) for role, name in plan.media if role == "last_frame"]
    seconds = plan.seconds
    if plan.action == "extend" and clips:
        # An extension's seconds are what it adds, in OpenAI's words.
        seconds = min(MAX_SECONDS, clip_length(clips[0]) + (seconds or DEFAULT_SECONDS))
    elif seconds is None:
        seconds = (min(MAX_SECONDS, clip_length(clips[0])) if clips else 0.0) or DEFAULT_SECONDS
    frames = max(1, round(seconds * plan.fps)) if plan.kind == "video" else 1
    segments = _from_clip(plan, clips[0], frames) if clips else _shots(plan, pictures, frames)
    if ends and frames > 1:
        segments.append(_ending(plan, ends[0], frames))
    return Timeline(segments, frames=frames, plan=plan)


def _share(position: int, fade: int) -> float:
    if position >= fade:
        return 1.0
    linear = (position + 1) / (fade + 1)
    return linear * linear * (3 - 2 * linear)


def _caption(segment: Segment, canvas: Canvas, index: int, *, fps: int) -> None:
    if segment.caption is None:
        return
    opacity = 1.0
    if segment.caption_delay:
        opacity = min(1.0, max(0.0, (index - segment.start - segment.caption_delay) / (fps * 0.6)))
    segment.caption.apply(canvas, opacity)


def _shots(plan: Plan, pictures: list[Image.Image], frames: int) -> list[Segment]:
    """One segment per shot, or a single one; pictures are dealt out in order."""
    size = (plan.width, plan.height)
    shots = plan.shots or ((1.0, plan.prompt),)
    total = sum(seconds for seconds, _ in shots) or 1.0
    segments: list[Segment] = []
    passed = 0.0
    for number, (seconds, prompt) in enumerate(shots):
        start = round(passed / total * frames)
        passed += seconds
        length = round(passed / total * frames) - start
        title = f"Shot {number + 1} / {len(shots)}" if plan.shots else ""
        palette = choose_palette(plan.style, seed=plan.colour_seed, index=number)
        picture = pictures[number] if number < len(pictures) else None
        backdrop = _backdrop(plan, palette, (picture, length, number))
        first_still = picture is not None and number == 0 and plan.kind == "video"
        segments.append(
            Segment(
                backdrop=backdrop,
                start=start,
                fade=min(plan.fps // 2, length // 2) if number else 0,
                caption=Caption(size, prompt, title=title),
                caption_delay=min(plan.fps // 3, length // 4) + 1 if first_still else 0,
            )
        )
    return [segment for segment in segments if segment.start < frames]


def _backdrop(
    plan: Plan, palette: Palette, content: tuple[Image.Image | None, int, int]
) -> Landscape | Still | Graded:
    picture, length, number = content
    if picture is None:
        return Landscape(palette, seed=plan.layout_seed + number * 7919, detail=not plan.fast)
    still = Still(picture, (plan.width, plan.height), length=length / plan.fps, seed=plan.layout_seed)
    return Graded(still, palette) if plan.action in {"edit", "remix"} else still


def _from_clip(plan: Plan, path: Path, frames: int) -> list[Segment]:
    size = (plan.width, plan.height)
    palette = choose_palette(plan.style, seed=plan.colour_seed, index=0)
    caption = Caption(size, plan.prompt, above=True)
    if plan.action != "extend" or plan.kind != "video":
        return [Segment(Graded(Clip(path, size, loop=True), palette), 0, caption=caption)]
    source = clip_length(path)
    played = min(round(source * plan.fps), frames - max(1, frames // 4))
    begin = max(0.0, source - played / plan.fps) if played < round(source * plan.fps) else 0.0
    rest = frames - played
    still = Still(last_picture(path), size, length=rest / plan.fps, seed=plan.layout_seed)
    segments = [Segment(Clip(path, size, loop=False, begin=begin), 0)]
    segments.append(Segment(still, played, caption=caption, caption_delay=plan.fps // 4))
    if rest > 3 * plan.fps:
        land = Landscape(palette, seed=plan.layout_seed, detail=not plan.fast)
        segments.append(Segment(land, played + rest // 2, fade=plan.fps * 5 // 4, caption=caption))
    return segments


def _ending(plan: Plan, picture: Image.Image, frames: int) -> Segment:
    """The last frame is the picture itself; it dissolves in before."""
    length = max(1, min(round(plan.fps * 1.6), frames // 2))
    still = Still(
        picture,
        (plan.width, plan.height),
        length=(length - 1) / plan.fps,
        seed=plan.layout_seed,
        leaving=True,
    )
    return Segment(still, frames - length, fade=length * 2 // 3)
