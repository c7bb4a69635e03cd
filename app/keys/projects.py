"""Projects in the store: made, changed, and paid into.

Crash points of a payment: its row and what it adds to the project are one transaction, so there is neither before its commit
and both after it. The payer hears nothing when we crash, and sends it again with the same reference, which counts once.
``tests/faults/test_projects.py`` kills the process before and after each commit that touches a project's money.
"""

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app import clock
from app.db.changes import announce_change
from app.db.connection import AsyncConnection
from app.db.operator_tables import project_credits, projects
from app.db.session import INSERTS, Database
from app.db.tables import format_money, keys, round_money
from app.errors import IdempotencyConflict, InvalidRequest, NotFound
from app.keys.project import Project, ProjectTerms, read_project_terms
from app.keys.service import KeyRing
from app.vault import Vault, project_secret_place

ALPHABET = string.ascii_letters + string.digits
ID_LENGTH = 12
PREFIX = "prj_"
MOST_CREDIT = Decimal(1_000_000_000)


@dataclass(frozen=True, slots=True)
class ProjectCredit:
    """What was paid in at once, in US dollars; below zero: taken back. ``reference``: the payer's own name for it."""

    project_id: str
    reference: str
    amount: Decimal
    at: float
    by: str
    note: str = ""


class ProjectRepository:
    """Reads and changes projects. Every change is told to all processes, as keys carry the limits of their projects."""

    def __init__(self, database: Database, vault: Vault, ring: KeyRing) -> None:
        self._database = database
        self._vault = vault
        self._keys = ring

    async def list(self) -> "list[Project]":
        """By name."""
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(projects).order_by(projects.c.name))
            return [_project_of(row) for row in rows]

    async def get(self, project_id: str) -> Project:
        """Raises ``NotFound``."""
        return _project_of(await self._row(project_id))

    async def find(self, name: str) -> Project:
        """By its id or its name. Raises ``NotFound``."""
        query = sa.select(projects).where(sa.or_(projects.c.id == name, projects.c.name == name))
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise NotFound(f"There is no project {name[:100]}. `filmgate projects list` shows them.")
        return _project_of(row)

    async def create(self, fields: Mapping[str, Any]) -> Project:
        """Raises ``InvalidRequest``, also for a name that is taken."""
        terms = read_project_terms(fields)
        project_id = PREFIX + "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))
        row = {**terms.model_dump(), "id": project_id, "created_at": clock.now()}
        try:
            async with self._database.write() as connection:
                await connection.execute(sa.insert(projects).values(row))
                await announce_change(connection, "keys")
        except IntegrityError as error:
            raise InvalidRequest(
                f"There is a project {terms.name} already.", param="name", reason="name_taken"
            ) from error
        self._keys.forget()
        return await self.get(project_id)

    async def update(self, project_id: str, changes: Mapping[str, Any]) -> Project:
        """Change the given fields. Raises ``NotFound`` and ``InvalidRequest``."""
        known = await self.get(project_id)
        terms = read_project_terms(known.terms.model_dump() | dict(changes))
        if terms.name != known.terms.name:
            raise InvalidRequest(
                "name cannot be changed, because keys name their project by it. Create a new one.",
                param="name",
            )
        await self._write(project_id, terms.model_dump(exclude={"name"}))
        return await self.get(project_id)

    async def delete(self, project_id: str) -> None:
        """What it spent stays in the books. Raises ``NotFound``, and ``InvalidRequest`` while keys name it."""
        known = await self.get(project_id)
        mine = sa.select(sa.func.count()).select_from(keys).where(keys.c.project == known.terms.name)
        async with self._database.write() as connection:
            count = (await connection.execute(mine)).scalar_one()
            if count:
                raise InvalidRequest(
                    f"{count} keys belong to the project {known.terms.name}: its limits would end for them. Forget these keys "
                    "first, or take the limits away.",
                    param="project",
                )
            await connection.execute(
                sa.delete(project_credits).where(project_credits.c.project_id == project_id)
            )
            await connection.execute(sa.delete(projects).where(projects.c.id == project_id))
            await announce_change(connection, "keys")
        self._keys.forget()

    async def key_counts(self) -> dict[str, int]:
        """How many keys name each project."""
        query = sa.select(keys.c.project, sa.func.count()).where(keys.c.project.is_not(None))
        async with self._database.read() as connection:
            return {row[0]: int(row[1]) for row in await connection.execute(query.group_by(keys.c.project))}

    # ---- payments ------------------------------------------------------------------------------

    async def credit(
        self, project_id: str, *, reference: str, amount: Decimal, by: str, note: str = ""
    ) -> tuple[ProjectCredit, bool]:
        """Pay into a project, once for each reference; whether that was now. ``amount``: US dollars, below zero to take back.

        Raises ``NotFound``, ``InvalidRequest``, and ``IdempotencyConflict`` for a reference that had another amount.
        """
        amount = round_money(amount)
        if not amount:
            raise InvalidRequest("amount must not be 0", param="amount")
        given = ProjectCredit(project_id, reference, amount, clock.now(), by, note)
        async with self._database.write() as connection:
            if await _insert_credit(connection, given):
                await self._raise_credited(connection, given)
                first = given
            else:
                first = await _read_credit(connection, project_id, reference)
        if first.amount != amount:
            raise IdempotencyConflict(
                f"The reference {reference} has paid ${format_money(first.amount)} already, and this is "
                f"${format_money(amount)}: use a reference of its own for each payment.",
                param="reference",
            )
        self._keys.forget()
        return first, first is given

    async def credits(
        self, project_id: str, *, limit: int = 100, before: float | None = None
    ) -> Sequence[ProjectCredit]:
        """Newest first; ``before`` a moment in UTC seconds."""
        table = project_credits.c
        query = sa.select(project_credits).where(table.project_id == project_id)
        if before is not None:
            query = query.where(table.at < before)
        async with self._database.read() as connection:
            rows = await connection.execute(query.order_by(table.at.desc(), table.reference).limit(limit))
            return [ProjectCredit(**row._mapping) for row in rows]

    async def set_credit_secret(self, project_id: str, secret: str) -> None:
        """The one that signs top-ups from now on. Raises ``NotFound``."""
        await self.get(project_id)
        sealed = self._vault.seal(secret, place=project_secret_place(project_id))
        await self._write(project_id, {"credit_secret": sealed})

    async def credit_secret(self, project_id: str) -> str | None:
        """None when it has none. Raises ``NotFound``."""
        sealed = (await self._row(project_id)).credit_secret
        return self._vault.unseal(sealed, place=project_secret_place(project_id)) if sealed else None

    async def _raise_credited(self, connection: AsyncConnection, given: ProjectCredit) -> None:
        total = projects.c.credited + sa.literal(given.amount, projects.c.credited.type)
        mine = projects.c.id == given.project_id
        raised = await connection.execute(sa.update(projects).where(mine).values(credited=total))
        if raised.rowcount == 0:
            raise NotFound(f"There is no project {given.project_id[:100]}.")
        await announce_change(connection, "keys")

    async def _row(self, project_id: str) -> Any:
        async with self._database.read() as connection:
            row = (await connection.execute(sa.select(projects).where(projects.c.id == project_id))).first()
        if row is None:
            raise NotFound(f"There is no project {project_id[:100]}. `filmgate projects list` shows them.")
        return row

    async def _write(self, project_id: str, values: Mapping[str, Any]) -> None:
        async with self._database.write() as connection:
            await connection.execute(sa.update(projects).where(projects.c.id == project_id).values(**values))
            await announce_change(connection, "keys")
        self._keys.forget()


async def _insert_credit(connection: AsyncConnection, given: ProjectCredit) -> bool:
    """False where its reference has been used."""
    row = {name: getattr(given, name) for name in ProjectCredit.__dataclass_fields__}
    new = INSERTS[connection.dialect.name](project_credits).values(row).on_conflict_do_nothing()
    return (await connection.execute(new.returning(project_credits.c.reference))).first() is not None


async def _read_credit(connection: AsyncConnection, project_id: str, reference: str) -> ProjectCredit:
    table = project_credits.c
    query = sa.select(project_credits).where(table.project_id == project_id, table.reference == reference)
    return ProjectCredit(**(await connection.execute(query)).one()._mapping)


def _project_of(row: Any) -> Project:
    terms = ProjectTerms.model_construct(**{name: getattr(row, name) for name in ProjectTerms.model_fields})
    return Project(row.id, terms, row.credited, row.credit_secret is not None, row.created_at)
