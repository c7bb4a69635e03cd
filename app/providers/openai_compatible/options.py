"""``account.options`` of this provider: what the operator knows about the server."""

from pydantic import BaseModel


class DeclaredCapabilities(BaseModel):
    """``account.options["capabilities"]``: what the operator knows about the server."""

    seconds: tuple[float, float] | None = None
    sizes: frozenset[str] = frozenset()
    max_pixels: int | None = None
    references: int = 1
    """How many images it takes; more than one go as ``input_reference[]``."""
    remix: bool = True
    cancel: bool = True


class OpenAICompatibleOptions(BaseModel):
    """``account.options``, all optional."""

    capabilities: DeclaredCapabilities = DeclaredCapabilities()
    idempotency: bool = False
    """The server honours ``Idempotency-Key``, as another Filmgate does."""
    messages: bool = False
    """The server speaks Anthropic's ``/v1/messages`` too: such calls then pass through untranslated."""
    image_seconds: float = 300
    """How long an images call may take: it answers only when the image is there."""
