"""The base class of a backup's sections, the repositories they use, and one change of a restore."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Literal, TypeVar

import structlog
from sqlalchemy.exc import IntegrityError

from app.accounts.pool import AccountPool
from app.accounts.repository import AccountRepository
from app.backup.sealing import SecretBox
from app.catalog.prices import PriceRepository
from app.catalog.route_repository import RouteRepository
from app.db.session import Database
from app.errors import FilmgateError, InvalidRequest
from app.keys.service import KeyRing
from app.options import OptionsRepository
from app.vault import Vault

log = structlog.get_logger()
Outcome = Literal["new", "changed", "same", "error", "added", "updated"]
DONE: dict[Outcome, Outcome] = {"new": "added", "changed": "updated"}
DECLARED = "it is declared in the configuration file: change it there"
MAX_NAME_LENGTH = 200
Stored = TypeVar("Stored")


@dataclass(frozen=True, slots=True)
class BackupSources:
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
        fields = {"thing": self.thing, "name": self.name, "result": self.result, "message": self.message}
        return {field: text.encode("utf-8", "replace").decode() for field, text in fields.items()}


@dataclass(frozen=True, slots=True)
class RestoreContext:
    """What sections need to plan a restore."""

    sources: BackupSources
    box: SecretBox | None
    """Unseals the backup's secrets; None when it contains none."""
    own_root_key: bool
    """The backup was made under this gateway's root key."""


class BackupSection(ABC, Generic[Stored]):
    """One section of a backup, such as accounts or keys. ``Stored`` is an existing entry of this gateway."""

    name: ClassVar[str]
    entry_key: ClassVar[str]
    """The field that identifies an entry."""

    @abstractmethod
    async def export_entries(self, sources: BackupSources, box: SecretBox | None) -> list[dict[str, Any]]:
        """All entries; secrets are sealed by ``box``, or left out without one."""

    @abstractmethod
    async def read_stored(self, sources: BackupSources) -> Mapping[str, Stored]:
        """The existing entries by their key."""

    @abstractmethod
    async def plan_entry(
        self, context: RestoreContext, entry: dict[str, Any], stored: Mapping[str, Stored]
    ) -> RestoreChange:
        """The change for one entry. Raises ``InvalidRequest`` for one that can't be restored."""

    async def plan_restore(
        self, context: RestoreContext, entries: list[dict[str, Any]]
    ) -> list[RestoreChange]:
        """One change for each entry; those that can't be restored have the result ``error``."""
        stored = await self.read_stored(context.sources)
        changes = []
        for entry in entries:
            try:
                changes.append(await self.plan_entry(context, entry, stored))
            except InvalidRequest as error:
                changes.append(RestoreChange(self.name, self.key_of(entry), "error", error.message))
        return changes

    def key_of(self, entry: dict[str, Any]) -> str:
        """The key of an entry, which may be anything in a damaged backup."""
        return str(entry.get(self.entry_key, ""))[:MAX_NAME_LENGTH]


def changed_fields(before: object, after: object, names: Collection[str]) -> list[str]:
    """Those of the attributes ``names`` that differ."""
    return [name for name in names if getattr(before, name) != getattr(after, name)]
