"""Parameters of the panel's lists, as FastAPI reads them from an address."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Query

from app.admin.lists import PageRequest

FilterText = Annotated[str | None, Query(max_length=200)]
Since = Annotated[float | None, Query(alias="from", ge=0, le=1e11, allow_inf_nan=False)]
Until = Annotated[float | None, Query(alias="to", ge=0, le=1e11, allow_inf_nan=False)]


async def read_page(
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(max_length=200)] = None,
) -> PageRequest:
    return PageRequest(limit, after or None)


PageQuery = Annotated[PageRequest, Depends(read_page)]


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Filters of the audit log; ``action`` and ``target`` match prefixes."""

    actor: FilterText = None
    action: FilterText = None
    target: FilterText = None
    since: Since = None
    until: Until = None
