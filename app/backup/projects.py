"""Projects in a backup: their limits and the secret of signed payments. What was paid in and spent is in whole backups only,
as the books of keys are."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from app.backup.sealing import SecretBox
from app.backup.sections import (
    BackupSection,
    BackupSources,
    RestoreChange,
    RestoreContext,
    changed_fields,
)
from app.db.changes import announce_change
from app.db.operator_tables import projects
from app.errors import InvalidRequest
from app.keys.project import Project, ProjectTerms, read_project_terms
from app.keys.projects import ProjectRepository
from app.validation import validate_document
from app.vault import project_secret_place

UNPAID = "what was paid in is not in this backup: pay in what is left of it"


class ProjectRecord(BaseModel):
    """One project in a backup; ``sealed`` is its secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^prj_[A-Za-z0-9]{12}$")
    created_at: float = Field(ge=0, le=1e11, allow_inf_nan=False)
    terms: dict[str, Any]
    paid_in: bool = False
    """Whether anything was paid in."""
    sealed: str = ""


class ProjectSection(BackupSection[Project]):
    name = "projects"
    entry_key = "id"

    async def export_entries(self, sources: BackupSources, box: SecretBox | None) -> list[dict[str, Any]]:
        repository, found = _repository(sources), []
        for each in await repository.list():
            secret = await repository.credit_secret(each.id) if box else None
            record = ProjectRecord(
                id=each.id,
                created_at=each.created_at,
                terms=each.terms.model_dump(mode="json", exclude_defaults=True),
                paid_in=bool(each.credited),
                sealed=box.seal(secret, place=f"projects/{each.id}") if box and secret else "",
            )
            found.append(record.model_dump(exclude_defaults=True))
        return found

    async def read_stored(self, sources: BackupSources) -> Mapping[str, Project]:
        return {each.id: each for each in await _repository(sources).list()}

    async def plan_entry(
        self, context: RestoreContext, entry: dict[str, Any], stored: Mapping[str, Project]
    ) -> RestoreChange:
        record = validate_document(ProjectRecord, entry, whole="project")
        terms, known, sources = read_project_terms(record.terms), stored.get(record.id), context.sources
        name = f"{terms.name} ({record.id})"
        if known is None:
            if any(each.terms.name == terms.name for each in stored.values()):
                raise InvalidRequest(f"another project is called {terms.name} here", param="name")
            box = context.box
            secret = box.open(record.sealed, place=f"projects/{record.id}") if box and record.sealed else ""
            action = partial(_insert, sources, record, terms, secret=secret)
            return RestoreChange(self.name, name, "new", UNPAID if record.paid_in else "", action)
        fields = changed_fields(known.terms, terms, ProjectTerms.model_fields)
        if not fields:
            return RestoreChange(self.name, name, "same")
        changes = {field: getattr(terms, field) for field in fields}
        change = partial(_repository(sources).update, record.id, changes)
        return RestoreChange(self.name, name, "changed", ", ".join(fields), change)


def _repository(sources: BackupSources) -> ProjectRepository:
    return ProjectRepository(sources.database, sources.vault, sources.keys)


async def _insert(sources: BackupSources, record: ProjectRecord, terms: ProjectTerms, *, secret: str) -> None:
    sealed = sources.vault.seal(secret, place=project_secret_place(record.id)) if secret else None
    row = {**terms.model_dump(), "id": record.id, "created_at": record.created_at, "credit_secret": sealed}
    async with sources.database.write() as connection:
        await connection.execute(sa.insert(projects).values(row))
        await announce_change(connection, "keys")
    sources.keys.forget()
