"""Renders plans into files. Runs as a child process: receives plans, reports progress, answers with the outcome."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from av.error import FFmpegError
from PIL import Image
from PIL.Image import DecompressionBombError

from app.children.serving import SendNews, serve_orders
from app.providers.studio.canvas import Canvas
from app.providers.studio.captions import TimecodeStrip
from app.providers.studio.encode import AmbientChord, Mp4Writer
from app.providers.studio.plan import PART_SUFFIX, RESULT_NAMES, RenderPlan, plan_from_json
from app.providers.studio.timeline import ClipTimeline, make_timeline

Report = Callable[[float], None]
_REPORT_SECONDS = 0.08
"""The shortest time between two progress reports."""
_BAD_INPUT = (OSError, ValueError, SyntaxError, FFmpegError, DecompressionBombError)


class RenderFailed(Exception):
    """Rendering failed for good; ``code`` is the error code for the client."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def render_plan(plan: RenderPlan, folder: Path, report: Report) -> None:
    """Write the result into ``folder``, complete or not at all; ``report`` gets the progress, 0 to 1.

    Raises ``RenderFailed``; ``OSError`` or ``ValueError`` when an input can't be read.
    """
    result = folder / RESULT_NAMES[plan.kind]
    part = folder / f"{result.name}.{os.getpid()}{PART_SUFFIX}"
    timeline = make_timeline(plan, folder)
    canvas = Canvas(plan.width, plan.height)
    if plan.kind == "image":
        _render_image(plan, timeline, (canvas, part), report=report)
    else:
        _render_video(plan, timeline, (canvas, part), report=report)
    part.replace(result)


def _render_video(
    plan: RenderPlan, timeline: ClipTimeline, target: tuple[Canvas, Path], *, report: Report
) -> None:
    canvas, part = target
    size, frames = (plan.width, plan.height), timeline.frames
    strip = TimecodeStrip(size, frames=frames, fps=plan.fps, mark=plan.watermark, clock=True)
    chord = AmbientChord(frames / plan.fps, seed=plan.colour_seed, audible=plan.sound)
    pace = _ProgressPacer(plan, frames, report=report)
    title = " ".join(plan.prompt.split())[:120]
    with Mp4Writer(part, size, fps=plan.fps, frames=frames, title=title, quick=plan.fast) as writer:
        for index in range(frames):
            timeline.paint(canvas, 0 if plan.fast else index)
            strip.apply(canvas, index)
            writer.add_frame(canvas.to_frame())
            if index % plan.fps == plan.fps - 1 or index == frames - 1:
                writer.add_sound(chord.sample_block(writer.samples_written, writer.samples_due()))
            pace.report_step(index)


def _render_image(
    plan: RenderPlan, timeline: ClipTimeline, target: tuple[Canvas, Path], *, report: Report
) -> None:
    canvas, part = target
    pace = _ProgressPacer(plan, 2, report=report)
    timeline.paint(canvas, 0)
    TimecodeStrip((plan.width, plan.height), frames=1, fps=plan.fps, mark=plan.watermark, clock=False).apply(
        canvas, 0
    )
    pace.report_step(0)
    pixels = canvas.to_frame().to_ndarray(format="rgb24", src_colorspace=1, dst_color_range=2)
    Image.fromarray(pixels).save(part, format="png")
    pace.report_step(1)


class _ProgressPacer:
    """Reports the progress of each step; slows down or fails if a test directive asks for it."""

    def __init__(self, plan: RenderPlan, steps: int, *, report: Report) -> None:
        self.plan, self.steps, self.report = plan, steps, report
        self.began = time.monotonic()

    def report_step(self, index: int) -> None:
        share = (index + 1) / self.steps
        if self.plan.fail and share >= 0.5:
            refused = self.plan.fail == "content_policy_violation"
            text = "The prompt goes against the content policy." if refused else "The rendering failed."
            raise RenderFailed(self.plan.fail, text)
        if self.plan.slow:
            time.sleep(max(0.0, self.began + self.plan.slow * share - time.monotonic()))
        self.report(share)


def render_order(order: dict[str, Any], send_news: SendNews) -> dict[str, Any]:
    """Returns an empty dict for a rendered clip, else the ``code`` and ``message`` of the failure."""
    send_news({"share": 0.0})
    try:
        render_plan(plan_from_json(order["plan"]), Path(order["folder"]), _ProgressReporter(send_news))
    except RenderFailed as error:
        return {"code": error.code, "message": error.message}
    except _BAD_INPUT as error:
        print(f"studio: {type(error).__name__}: {error}", file=sys.stderr)
        message = "The clip could not be rendered; an input may be damaged or of an unknown kind."
        return {"code": "upstream_error", "message": message}
    return {}


class _ProgressReporter:
    """Passes progress on, at most every ``_REPORT_SECONDS``."""

    def __init__(self, send_news: SendNews) -> None:
        self._send_news = send_news
        self._last = 0.0

    def __call__(self, share: float) -> None:
        now = time.monotonic()
        if now - self._last >= _REPORT_SECONDS:
            self._last = now
            self._send_news({"share": share})


if __name__ == "__main__":
    serve_orders(render_order)
