"""What a look at a finished result finds, in plain values that travel between processes."""

from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """What a file holds; a picture has no ``seconds`` and no ``fps``."""

    width: int
    height: int
    seconds: float
    fps: float
    bytes: int
    codec: str
    has_audio: bool


@dataclass(frozen=True, slots=True)
class MediaInspection:
    """``thumbnail`` is WebP, ``spritesheet`` JPEG (None for a picture)."""

    probe: MediaInfo
    thumbnail: bytes
    spritesheet: bytes | None

    def as_json(self) -> dict[str, Any]:
        sheet = None if self.spritesheet is None else b64encode(self.spritesheet).decode()
        return {
            "probe": asdict(self.probe),
            "thumbnail": b64encode(self.thumbnail).decode(),
            "spritesheet": sheet,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "MediaInspection":
        sheet = value["spritesheet"]
        return cls(
            probe=MediaInfo(**value["probe"]),
            thumbnail=b64decode(value["thumbnail"]),
            spritesheet=None if sheet is None else b64decode(sheet),
        )
