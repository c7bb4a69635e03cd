"""``account.options`` of this provider."""

from pydantic import BaseModel


class DeclaredCapabilities(BaseModel):
    """``account.options["capabilities"]``: the limits of the server, as far as the operator knows them."""

    seconds: tuple[float, float] | None = None
    sizes: frozenset[str] = frozenset()
    max_pixels: int | None = None
    references: int = 1
    """How many images the server takes; several are sent as ``input_reference[]``."""
    remix: bool = True
    cancel: bool = True


class OpenAICompatibleOptions(BaseModel):
    """``account.options``, all optional."""

    capabilities: DeclaredCapabilities = DeclaredCapabilities()
    idempotency: bool = False
    """The server honours ``Idempotency-Key``, as another Filmgate does."""
    messages: bool = False
    """The server offers Anthropic's ``/v1/messages`` too: such calls are then relayed without translation."""
    image_seconds: float = 300
    """Timeout of an images call, which answers only when the image is finished."""
