"""The waist: what every dialect makes and every provider reads, in OpenAI's words."""

from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MediaKind = Literal["video", "image", "audio", "character"]
"""What a generation makes."""
Kind = Literal["video", "image", "audio", "character", "text"]
"""What a model makes: text is relayed at once, everything else becomes a task."""
Action = Literal["generate", "remix", "edit", "extend"]
Role = Literal[
    "first_frame",
    "last_frame",
    "reference_image",
    "source_video",
    "reference_video",
    "audio",
    "subject",
]


class MediaInput(BaseModel):
    """One picture, clip or sound that goes into a generation."""

    model_config = ConfigDict(frozen=True)

    role: Role
    content_type: str
    key: str = ""
    """Where it lies in our store; set when the task is created."""
    sha256: str = ""
    url: str | None = None
    """The address the client gave, if it gave one."""
    seconds: float | None = None
    size: str | None = None
    """Of the clip that is changed: how long and large it is, as measured."""
    clip: str = ""
    """Of a subject: where the clip lies that shows it."""
    field: str = Field(default="", exclude=True)
    """The client's own name for it, which errors name."""
    content: bytes | None = Field(default=None, exclude=True, repr=False)
    """The bytes: present before the task is created and while a provider starts it. Never, where ``vendor_scheme`` is
    set."""

    @property
    def vendor_scheme(self) -> str:
        """``asset`` of ``asset://…``, an address that one vendor alone can read and that is passed on unread; else empty."""
        scheme = (self.url or "").partition("://")[0].lower()
        return "" if scheme in ("http", "https") else scheme


class Shot(BaseModel):
    """One part of a storyboard."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    prompt: str


class GenerationRequest(BaseModel):
    """One wish for a video, image, sound or character.

    ``seconds`` is a length in seconds (of an extension: what it adds), ``size`` is ``WxH`` in pixels. ``extra`` goes to the upstream
    untouched, but never over the fields that choose model, key or price.
    """

    model_config = ConfigDict(frozen=True)

    kind: MediaKind
    model: str
    prompt: str = ""
    prompt_asked: str | None = Field(default=None, exclude_if=lambda asked: asked is None)
    """The client's own prompt, where another one is sent in its place."""
    action: Action = "generate"
    seconds: float | None = None
    size: str | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    media: tuple[MediaInput, ...] = ()
    shots: tuple[Shot, ...] = ()
    shots_asked: float | None = None
    """How many seconds the client's shots take together, where ``shots`` are shortened."""
    style: str | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    remix_of: str | None = None
    """Id of one of our own tasks, 32 hex digits."""
    characters: tuple[str, ...] = ()
    watermark: bool | None = None
    sound: bool | None = None
    """Whether the video is to be heard; None leaves it to the upstream."""
    private: bool = False
    max_cost: Decimal | None = None
    """The most that the client will pay, in US dollars."""
    priority: int | None = Field(default=None, exclude_if=lambda asked: asked is None)
    """-1, 0 or 1; None is the key's own."""
    start_after: float | None = Field(default=None, exclude_if=lambda asked: asked is None)
    """UTC seconds: it is sent to nobody before."""
    labels: str | None = Field(default=None, exclude_if=lambda asked: asked is None)
    """The labels that the client's key wants on each film, beyond those that the operator wants."""
    extra: dict[str, Any] = Field(default_factory=dict)

    def media_with(self, *roles: Role) -> tuple[MediaInput, ...]:
        """The inputs that have one of these roles, in order."""
        return tuple(item for item in self.media if item.role in roles)
