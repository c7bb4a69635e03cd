"""`/admin/api/admins`: who may use the panel, and as what."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field

from app.admin.access import At, OwnerRoute
from app.admin.admins import FIXED_NAME, Role
from app.admin.paging import whole
from app.admin.wishes import Name, Wish
from app.errors import InvalidRequest

router = APIRouter(route_class=OwnerRoute, prefix="/admins")


class NewAdmin(Wish):
    name: Name
    role: Role = "viewer"
    password: str = Field(repr=False)


class AdminChange(Wish):
    name: Name | None = None
    role: Role | None = None
    password: str | None = Field(default=None, repr=False)


@router.get("", summary="Admins")
async def list_admins(at: At) -> dict[str, Any]:
    return whole([admin.shown() for admin in await at.panel.admins.list()])


@router.post("", status_code=201, summary="Add an admin")
async def add_admin(wish: NewAdmin, at: At) -> dict[str, Any]:
    made = await at.panel.admins.create(at.actor.name, wish.name, role=wish.role, password=wish.password)
    return made.shown()


@router.patch("/{admin_id}", summary="Change an admin")
async def change_admin(admin_id: str, wish: AdminChange, at: At) -> dict[str, Any]:
    """A new password or role ends this admin's sessions."""
    await _refuse_fixed(at, admin_id)
    changed = await at.panel.admins.update(
        at.actor.name, admin_id, name=wish.name, role=wish.role, password=wish.password
    )
    return changed.shown()


@router.delete("/{admin_id}", status_code=204, summary="Remove an admin")
async def remove_admin(admin_id: str, at: At) -> Response:
    await _refuse_fixed(at, admin_id)
    await at.panel.admins.delete(at.actor.name, admin_id)
    return Response(status_code=204)


async def _refuse_fixed(at: At, admin_id: str) -> None:
    if not at.panel.fixed_password:
        return
    if any(admin.id == admin_id and admin.name == FIXED_NAME for admin in await at.panel.admins.list()):
        raise InvalidRequest("This admin is set by FILMGATE_ADMIN_PASSWORD; change it there.", param="name")
