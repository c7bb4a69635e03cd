"""The operator's options for labels: which layers every film gets. A key may ask for more of them, never for fewer."""

from typing import ClassVar, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from app.options import OptionsDocument

Layer = Literal["implicit", "visible", "c2pa"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
"""The field ``AIGC`` in the metadata (GB 45438-2025), a text in the picture, a signed C2PA manifest."""
KEY_LAYERS: dict[str, tuple[Layer, ...]] = {
    "implicit": ("implicit",),
    "visible": ("implicit", "visible"),
    "c2pa": ("implicit", "c2pa"),
    "all": LAYERS,
}
"""By the value of a key's option ``labels``."""
LabelText = Literal["AI生成", "人工智能生成", "AI合成", "人工智能合成", "AI GENERATED"]
SHORTEST_SECONDS = 2.0


class LabelOptions(OptionsDocument):
    document: ClassVar[str] = "labels"
    enabled: bool = False
    implicit: bool = True
    visible: bool = False
    c2pa: bool = Field(default=False, validate_default=True)
    """Needs ``filmgate[c2pa]``, a certificate and its key."""
    producer: str = Field(default="Filmgate", min_length=1, max_length=200)
    """Who makes the films, as the implicit label names it: the service's name, or its code at TC260."""
    text: LabelText = "AI生成"
    seconds: float = Field(default=3.0, ge=SHORTEST_SECONDS, le=600)
    """How long the visible label is shown, from the film's beginning."""

    @field_validator("producer")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not value.strip() or not value.isprintable():
            raise ValueError("must be the name or code of your service")
        return value.strip()

    @field_validator("c2pa")
    @classmethod
    def _check_any_layer(cls, value: bool, info: ValidationInfo) -> bool:
        chosen = (info.data.get("implicit"), info.data.get("visible"), value)
        if info.data.get("enabled") and not any(chosen):
            raise ValueError("choose at least one of implicit, visible and c2pa, or switch labels off")
        return value

    def layers_for(self, asked: str | None) -> tuple[Layer, ...]:
        """What a film gets: all that the operator wants, and what its key ``asked`` for beyond that."""
        mine = {layer for layer in LAYERS if self.enabled and getattr(self, layer)}
        return tuple(layer for layer in LAYERS if layer in mine or layer in KEY_LAYERS.get(asked or "", ()))
