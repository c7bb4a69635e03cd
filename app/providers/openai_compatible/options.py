"""``account.options`` of this provider."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel

from app.providers.http_messages import PICTURE_SECONDS
from app.providers.own_hardware import OwnHardwareOptions

Engine = Literal["", "vllm_omni", "sglang"]
"""What runs at the address; empty: a server with OpenAI's own fields."""


def _check_result_path(path: str) -> str:
    if any(not part for part in path.split(".")) and path:
        raise ValueError("must be like outputs.video_url or data.0.url")
    return path


class DeclaredCapabilities(BaseModel):
    """``account.options["capabilities"]``: the limits of the server, as far as the operator knows them."""

    seconds: tuple[float, float] | None = None
    sizes: frozenset[str] = frozenset()
    max_pixels: int | None = None
    references: int | None = None
    """How many pictures the server takes. Default: one; of vLLM-Omni, as many as its model takes."""
    remix: bool = True
    cancel: bool = True


class OpenAICompatibleOptions(OwnHardwareOptions):
    """``account.options``, all optional."""

    capabilities: DeclaredCapabilities = DeclaredCapabilities()
    engine: Engine = ""
    allow: frozenset[str] = frozenset()
    """Names that a client may send though they steer the server's machine or the price (``app/providers/steering.py``)."""
    result_path: Annotated[str, AfterValidator(_check_result_path)] = ""
    """Where the link to the film stands in the answer to a poll, as ``outputs.video_url``."""
    idempotency: bool = False
    """The server honours ``Idempotency-Key``, as another Filmgate does."""
    messages: bool = False
    """The server offers Anthropic's ``/v1/messages`` too: such calls are then relayed without translation."""
    image_seconds: float = PICTURE_SECONDS
    """Timeout of an images call, which answers only when the image is finished."""
