"""The interface of a backup's sections, the repositories they use, and one change of a restore."""

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
    """The repositories that backups read and restore."""

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
    """The result for one entry of a backup; ``action`` applies it, None when there is nothing to do."""

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
            return replace(
                self, result="error", message="it has just been added by someone else", action=None
            )
        log.info("backup.restored", thing=self.thing, name=self.name, result=self.result)
        return replace(self, result=DONE.get(self.result, self.result), action=None)

    def as_json(self) -> dict[str, str]:
        """As JSON. Names come from a file and may contain invalid Unicode."""
        told = {"thing": self.thing, "name": self.name, "result": self.result, "message": self.message}
        return {field: text.encode("utf-8", "replace").decode() for field, text in told.items()}


class BackupSection(Protocol):
    """One section of a backup, such as accounts or keys."""

    name: str

    async def export_entries(self, held: BackupStores, box: SecretBox | None) -> list[dict[str, Any]]:
        """All entries; secrets are sealed by ``box``, or left out without one."""

    async def plan_restore(
        self, held: BackupStores, entries: list[dict[str, Any]], *, box: SecretBox | None, own: bool
    ) -> list[RestoreChange]:
        """The changes of a restore. ``own``: the backup was made under this gateway's root key."""
