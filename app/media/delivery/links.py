"""Links that stages of delivery have made, and which of them is given out."""

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict

Stage = Literal["resolver", "store", "drive"]
# A link that ends while a client still reads our answer helps nobody.
FRESH_SECONDS = 60.0


class DeliveredLink(BaseModel):
    """A link to one stored file, made by a stage; ``expires_at`` in UTC seconds, None: it stays."""

    model_config = ConfigDict(frozen=True)

    kind: Stage
    file: str
    """The name of the stored file."""
    url: str
    expires_at: float | None = None


def pick_link(links: Iterable[DeliveredLink], file: str, *, now: float) -> str | None:
    """The last stage's link to a file that still works; None: ours."""
    good = [
        link.url
        for link in links
        if link.file == file and (link.expires_at is None or link.expires_at - FRESH_SECONDS > now)
    ]
    return good[-1] if good else None
