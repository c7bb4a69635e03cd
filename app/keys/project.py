"""A project: limits over all keys that name it, and the money that was paid into it.

A key names at most one project, for good. The project's limits hold beside the key's own; a project that nobody has made a
row for has none, and only owns its keys' tasks. What a key spent before its project had a row is not counted there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.db.operator_tables import projects
from app.db.tables import keys
from app.keys.money_fields import Dollars
from app.validation import validate_document

OWNER_PREFIX = "project:"
"""Of the owner of a task whose key has a project; the name follows."""


class ProjectTerms(BaseModel):
    """Everything that can be set on a project. Budgets in US dollars; None is no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(max_length=190)
    enabled: bool = True
    """Without it none of its keys is served."""
    rpm: int | None = Field(default=None, ge=1, le=1_000_000)
    """Requests a minute of all its keys together; reading is not counted."""
    tasks_limit: int | None = Field(default=None, ge=0, le=1_000_000)
    """Tasks of all its keys that have not ended."""
    budget_total: Dollars | None = None
    """What is paid into the project is added to it: 0 for a project that only spends what was paid in."""
    budget_daily: Dollars | None = None
    budget_monthly: Dollars | None = None
    note: str = Field(default="", max_length=2000)

    @field_validator("name", "note")
    @classmethod
    def _clean_text(cls, value: str) -> str:
        return value.replace("\0", "").strip()

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not value:
            raise ValueError("is required")
        return value


@dataclass(frozen=True, slots=True)
class ProjectLimits:
    """A project as its keys know it. ``budget_total`` has its credits in it."""

    id: str
    name: str
    enabled: bool = True
    rpm: int | None = None
    tasks_limit: int | None = None
    budget_total: Decimal | None = None
    budget_daily: Decimal | None = None
    budget_monthly: Decimal | None = None

    @property
    def owner(self) -> str:
        return OWNER_PREFIX + self.name

    @property
    def has_budget(self) -> bool:
        return not (self.budget_total is self.budget_daily is self.budget_monthly is None)

    def without_tasks_limit(self) -> "ProjectLimits":
        return replace(self, tasks_limit=None)


@dataclass(frozen=True, slots=True)
class Project:
    """A stored project. ``credited``: the sum of its credits; ``signs``: whether it has a secret for signed top-ups."""

    id: str
    terms: ProjectTerms
    credited: Decimal
    signs: bool
    created_at: float

    @property
    def limits(self) -> ProjectLimits:
        values = self.terms.model_dump(exclude={"note"})
        total = self.terms.budget_total
        return ProjectLimits(
            self.id, **values | {"budget_total": None if total is None else total + self.credited}
        )


def read_project_terms(fields: Mapping[str, Any]) -> ProjectTerms:
    """Raises ``InvalidRequest`` that names the field."""
    return validate_document(ProjectTerms, dict(fields), whole="project")


_NAMES = ("id", "enabled", "rpm", "tasks_limit", "budget_total", "budget_daily", "budget_monthly", "credited")
KEYS_WITH_PROJECTS = sa.select(
    keys, *(projects.c[name].label(f"of_project_{name}") for name in _NAMES)
).select_from(keys.outerjoin(projects, projects.c.name == keys.c.project))
"""Rows of keys, each with the limits of its project."""


def limits_of_row(row: Any) -> ProjectLimits | None:
    """Of a row of ``KEYS_WITH_PROJECTS``; None where the key's project has no row."""
    if row.of_project_id is None:
        return None
    values = {name: getattr(row, f"of_project_{name}") for name in _NAMES}
    credited = values.pop("credited")
    if values["budget_total"] is not None:
        values["budget_total"] += credited
    return ProjectLimits(name=row.project, **values)
