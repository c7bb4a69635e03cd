"""What backups are made of and go back into, and one change that a restore would make."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import structlog
from sqlalchemy.exc import IntegrityError

from app.accounts.pool import AccountPool
from app.accounts.repository import AccountRepository
from app.backup.sealing import SecretBox
from app.catalog.prices import PriceRepository
from app.catalog.route_repository import RouteRepository
from app.db.session import Database
from app.errors import FilmgateError
from app.keys.service import KeyRing
from app.options.repository import OptionsRepository
from app.vault import Vault

log = structlog.get_logger()
Outcome = Literal["new", "changed", "same", "error", "added", "updated"]
DONE: dict[Outcome, Outcome] = {"new": "added", "changed": "updated"}
DECLARED = "it is declared in the configuration file: change it there"


@dataclass(frozen=True, slots=True)
class BackupStores:
    """The store's books, as far as a backup goes."""

    database: Database
    vault: Vault
    pool: AccountPool
    routes: RouteRepository
    prices: PriceRepository
    keys: KeyRing
    options: OptionsRepository

    @property
    def accounts(self) -> AccountRepository:
        return AccountRepository(self.pool)


@dataclass(frozen=True, slots=True)
class RestoreChange:
    """What becomes of one entry of a backup; ``do`` makes it so, and there is none where nothing is to be done."""

    thing: str
    name: str
    result: Outcome
    message: str = ""
    action: Callable[[], Awaitable[object]] | None = None

    async def apply(self) -> "RestoreChange":
        if self.action is None:
            return self
        try:
            await self.action()
        except FilmgateError as error:
            return replace(self, result="error", message=error.message, action=None)
        except IntegrityError:
            return replace(self, result="error", message="somebody else has just added it", action=None)
        log.info("backup.restored", thing=self.thing, name=self.name, result=self.result)
        return replace(self, result=DONE.get(self.result, self.result), action=None)

    def as_json(self) -> dict[str, str]:
        """As JSON may carry it: names come from a file, and may be no text at all."""
        told = {"thing": self.thing, "name": self.name, "result": self.result, "message": self.message}
        return {field: text.encode("utf-8", "replace").decode() for field, text in told.items()}


class BackupSection(Protocol):
    """One kind of thing that a backup holds."""

    name: str

    async def export_entries(self, held: BackupStores, box: SecretBox | None) -> list[dict[str, Any]]:
        """Every entry, its secrets sealed by ``box``, or left out."""

    async def plan_restore(
        self, held: BackupStores, entries: list[dict[str, Any]], *, box: SecretBox | None, own: bool
    ) -> list[RestoreChange]:
        """What restoring these would change. ``own``: the backup was made under this very root key."""
