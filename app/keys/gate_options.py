"""The operator's options for gates: what each of them is, which keys pass them, and what holds when one does not answer."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator

from app.options import OptionalAddress, OptionsDocument
from app.secret_rules import check_signing_secret

Gate = Literal["words", "moderation", "webhook"]
GATE_CHOICES: dict[str, tuple[Gate, ...]] = {
    "none": (),
    "words": ("words",),
    "moderation": ("moderation",),
    "webhook": ("webhook",),
    "words+moderation": ("words", "moderation"),
    "words+webhook": ("words", "webhook"),
    "moderation+webhook": ("moderation", "webhook"),
    "all": ("words", "moderation", "webhook"),
}
"""By the value of a key's option ``gates``, in the order in which they are asked: the cheapest first."""
GateChoice = Literal[
    "none", "words", "moderation", "webhook", "words+moderation", "words+webhook", "moderation+webhook", "all"
]
INSTRUCTIONS = (
    "You rewrite prompts for a video model. Keep the language, the subject and every wish of the prompt; add camera, light, "
    "motion and setting where it says nothing of them. Answer with the new prompt alone."
)


def _plain_word(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be a word or a phrase")
    return " ".join(text.split()).casefold()


Word = Annotated[str, Field(max_length=200), AfterValidator(_plain_word)]


class GateOptions(OptionsDocument):
    """``default``: for every key whose own option ``gates`` says nothing. Times in seconds."""

    document: ClassVar[str] = "gates"
    words: tuple[Word, ...] = Field(default=(), max_length=5000)
    """Words and phrases that refuse a prompt, in whatever case."""
    moderation_model: str = Field(default="", max_length=200)
    """The model of ``/v1/moderations``; any account that serves it is asked."""
    webhook_url: OptionalAddress = ""
    webhook_secret: SecretStr = SecretStr("")
    """Signs what the webhook gets, as Standard Webhooks do: ``whsec_…``."""
    gate_seconds: float = Field(default=10.0, ge=1, le=60)
    """How long one gate may take."""
    on_failure: Literal["deny", "allow"] = "deny"
    """What happens to a request whose gate does not answer."""
    enhance: bool = False
    enhance_model: str = Field(default="", max_length=200, validate_default=True)
    """A text model that rewrites prompts which have passed all gates."""
    enhance_instructions: str = Field(default=INSTRUCTIONS, min_length=1, max_length=8000)
    default: GateChoice = Field(default="none", validate_default=True)

    @field_validator("webhook_secret")
    @classmethod
    def _check_secret(cls, value: SecretStr) -> SecretStr:
        check_signing_secret(value.get_secret_value())
        return value

    @field_validator("enhance_model")
    @classmethod
    def _check_enhancement(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("enhance") and not value.strip():
            raise ValueError("is needed where prompts are enhanced")
        return value.strip()

    @field_validator("default")
    @classmethod
    def _check_set_up(cls, value: GateChoice, info: ValidationInfo) -> GateChoice:
        places = {"words": "words", "moderation": "moderation_model", "webhook": "webhook_url"}
        missing = [places[gate] for gate in GATE_CHOICES[value] if not info.data.get(places[gate])]
        if missing:
            raise ValueError(f"needs {' and '.join(missing)}")
        return value

    def is_set_up(self, gate: Gate) -> bool:
        return bool(
            {"words": self.words, "moderation": self.moderation_model, "webhook": self.webhook_url}[gate]
        )
