"""What backups are made of and go back into, and one change that a restore would make."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import structlog
from sqlalchemy.exc import IntegrityError

from app.accounts.book import AccountBook
from app.accounts.pool import AccountPool
from app.backup.sealing import Box
from app.catalog.book import RouteBook
from app.catalog.prices import PriceBook
from app.db.session import Database
from app.errors import FilmgateError
from app.keys.service import KeyRing
from app.options.options import Options
from app.vault import Vault

log = structlog.get_logger()
Outcome = Literal["new", "changed", "same", "error", "added", "updated"]
DONE: dict[Outcome, Outcome] = {"new": "added", "changed": "updated"}
DECLARED = "it is declared in the configuration file: change it there"


@dataclass(frozen=True, slots=True)
class Holdings:
    """The store's books, as far as a backup goes."""

    database: Database
    vault: Vault
    pool: AccountPool
    routes: RouteBook
    prices: PriceBook
    keys: KeyRing
    options: Options

    @property
    def accounts(self) -> AccountBook:
        return AccountBook(self.pool)


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one entry of a backup; ``do`` makes it so, and there is none where nothing is to be done."""

    thing: str
    name: str
    result: Outcome
    message: str = ""
    do: Callable[[], Awaitable[object]] | None = None

    async def done(self) -> "Change":
        if self.do is None:
            return self
        try:
            await self.do()
        except FilmgateError as error:
            return replace(self, result="error", message=error.message, do=None)
        except IntegrityError:
            return replace(self, result="error", message="somebody else has just added it", do=None)
        log.info("backup.restored", thing=self.thing, name=self.name, result=self.result)
        return replace(self, result=DONE.get(self.result, self.result), do=None)

    def shown(self) -> dict[str, str]:
        """As JSON may carry it: names come from a file, and may be no text at all."""
        told = {"thing": self.thing, "name": self.name, "result": self.result, "message": self.message}
        return {field: text.encode("utf-8", "replace").decode() for field, text in told.items()}


class Section(Protocol):
    """One kind of thing that a backup holds."""

    name: str

    async def save(self, held: Holdings, box: Box | None) -> list[dict[str, Any]]:
        """Every entry, its secrets sealed by ``box``, or left out."""

    async def plan(
        self, held: Holdings, entries: list[dict[str, Any]], *, box: Box | None, own: bool
    ) -> list[Change]:
        """What restoring these would change. ``own``: the backup was made under this very root key."""
