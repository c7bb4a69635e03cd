"""One rendering process: receives plans, reports progress, and answers with the outcome."""

import sys
import time
from pathlib import Path
from typing import Any

from av.error import FFmpegError
from PIL.Image import DecompressionBombError

from app.children.serving import SendNews, serve_orders
from app.providers.studio.plan import plan_from_json
from app.providers.studio.render import RenderFailed, render_plan

_REPORT_EVERY = 0.08
_BAD_INPUT = (OSError, ValueError, SyntaxError, FFmpegError, DecompressionBombError)


def render_order(order: dict[str, Any], tell: SendNews) -> dict[str, Any]:
    """Returns an empty dict for a rendered clip, else the ``code`` and ``message`` of the failure."""
    tell({"share": 0.0})
    try:
        render_plan(plan_from_json(order["plan"]), Path(order["folder"]), _ProgressReporter(tell))
    except RenderFailed as error:
        return {"code": error.code, "message": error.message}
    except _BAD_INPUT as error:
        print(f"studio: {type(error).__name__}: {error}", file=sys.stderr)
        message = "The clip could not be rendered; an input may be damaged or of an unknown kind."
        return {"code": "upstream_error", "message": message}
    return {}


class _ProgressReporter:
    """Passes progress on, at most every ``_REPORT_EVERY`` seconds."""

    def __init__(self, tell: SendNews) -> None:
        self._tell = tell
        self._last = 0.0

    def __call__(self, share: float) -> None:
        now = time.monotonic()
        if now - self._last >= _REPORT_EVERY:
            self._last = now
            self._tell({"share": share})


if __name__ == "__main__":
    serve_orders(render_order)
