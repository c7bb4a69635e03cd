"""Signs films in a child process of its own."""

import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.children.pool import ChildLost, ChildPool
from app.errors import LabelsFailed
from app.media.inspection import DRAWING_SECONDS, FEW_ARENAS, MEMORY_BYTES

if TYPE_CHECKING:
    from app.media.labels.signing import SigningIdentity  # which reads certificates

SEALER = "app.media.labels.sealer"


@dataclass(frozen=True, slots=True)
class UnsealedFilm:
    """``path`` (of type ``form``) is signed. ``vendor``: the file as it came, whose manifest is kept as a part; ``actions``:
    what was done since."""

    path: Path
    form: str
    vendor: Path
    vendor_form: str
    actions: tuple[str, ...] = ()


class FilmSealer:
    """Adds a signed C2PA manifest. Its process is started with the first film."""

    def __init__(self, identity: "SigningIdentity") -> None:
        self.identity = identity
        self._children = ChildPool(SEALER, str(MEMORY_BYTES), size=1, environment=FEW_ARENAS)

    async def seal_film(self, film: UnsealedFilm, target: Path) -> None:
        """Write the signed film to ``target``. Raises ``LabelsFailed``."""
        try:
            answer = await self._children.run_order(self._create_order(film, target), seconds=DRAWING_SECONDS)
        except (ChildLost, OSError) as error:
            raise LabelsFailed("The process that signs films ended.") from error
        if "sealed" not in answer:
            raise LabelsFailed(f"It could not be signed: {answer.get('refused', 'no answer')}")

    async def close(self) -> None:
        await self._children.close()

    def _create_order(self, film: UnsealedFilm, target: Path) -> dict[str, Any]:
        # Absolute, because the child keeps the working directory that it was started in.
        return {
            "source": str(film.path.absolute()),
            "target": str(target.absolute()),
            "vendor": str(film.vendor.absolute()),
            "form": film.form,
            "vendor_form": film.vendor_form,
            "title": f"film{mimetypes.guess_extension(film.form) or ''}",
            "actions": film.actions,
            "certificate": str(self.identity.certificate),
            "key": str(self.identity.key),
            "algorithm": self.identity.algorithm,
        }
