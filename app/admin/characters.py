"""`/admin/api/characters`: the characters of all owners."""

import time
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Response

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, PanelAnswer
from app.admin.panel import PanelServices
from app.admin.playground import playground_key
from app.admin.queries import FilterText, PageQuery
from app.db.tables import characters
from app.dialects.fields.characters import read_time_span
from app.dialects.http.body import Body
from app.dialects.http.media_sources import read_source
from app.dialects.registry import task_id_of
from app.errors import InvalidRequest, MissingField, NotFound
from app.generation import MediaInput
from app.keys.key import ClientKey
from app.tasks.characters import Character
from app.tasks.task import files_are_kept

router = APIRouter(route_class=AdminRoute, prefix="/characters")
KNOWN_FIELDS = {"name", "owner", "url", "video", "from_task", "timestamps"}


class CharacterObject(PanelAnswer):
    """``still`` and ``clip`` are signed links of this origin."""

    id: str
    owner: str
    name: str
    username: str
    still: str
    clip: str
    created_at: float


@router.get("", summary="List characters")
async def list_characters(
    page: PageQuery, request: AdminRequest, *, owner: FilterText = None, q: FilterText = None
) -> ListAnswer[CharacterObject]:
    """The characters of all owners, newest first. `q` is part of the name or the username."""
    query = sa.select(characters)
    if owner:
        query = query.where(characters.c.owner == owner)
    if q:
        either = (
            characters.c.name.icontains(q, autoescape=True),
            characters.c.username.icontains(q, autoescape=True),
        )
        query = query.where(sa.or_(*either))
    order = characters.c.created_at, characters.c.id
    async with request.panel.database.read() as connection:
        if page.after:
            last = (await connection.execute(sa.select(*order).where(characters.c.id == page.after))).first()
            if last is None:
                raise InvalidRequest("after is not a cursor of this list", param="after")
            query = query.where(sa.tuple_(*order) < sa.tuple_(sa.literal(last[0]), sa.literal(last[1])))
        newest = query.order_by(*(column.desc() for column in order)).limit(page.limit + 1)
        rows = (await connection.execute(newest)).all()
    objects = [_character_object(request.panel, row) for row in rows[: page.limit]]
    return ListAnswer(data=objects, next=objects[-1].id if len(rows) > page.limit else None)


@router.post("", status_code=201, summary="Create a character")
async def create_character(request: AdminRequest) -> CharacterObject:
    """From a clip (`video`), an address (`url`) or a task (`from_task`). `timestamps` is the part of the clip that
    shows the character. Without an `owner` it belongs to the playground."""
    gateway = request.panel.gateway
    body = await gateway.read_body(request.http)
    if body.unknown_fields(KNOWN_FIELDS):
        raise InvalidRequest("There is no such field.", param=next(iter(body.unknown_fields(KNOWN_FIELDS))))
    moment = read_time_span(body, "timestamps")
    owner = body.text("owner") or playground_key().owner
    clip = await _read_clip(request, body)
    created = await gateway.characters.create(
        clip,
        key=ClientKey(id="panel", name="panel", owner=owner),
        name=(body.text("name") or "").strip()[:80],
        clip_range=moment,
        param=next((name for name in ("video", "url") if name in body), "from_task"),
    )
    character = _character_object(request.panel, await _character_row(request.panel, created.id))
    after = character.model_dump(include={"owner", "name", "username"})
    await request.record_change("character.made", f"characters/{created.id}", after=after)
    return character


@router.delete("/{character_id}", status_code=204, summary="Delete a character")
async def delete_character(character_id: str, request: AdminRequest) -> Response:
    """Its clip and its still are deleted too."""
    row = await _character_row(request.panel, character_id)
    character = Character(row.id, row.name, row.username, row.clip, row.still, row.created_at)
    await request.panel.gateway.characters.delete(character)
    before = {"owner": row.owner, "name": row.name, "username": row.username}
    await request.record_change("character.deleted", f"characters/{row.id}", before=before)
    return Response(status_code=204)


async def _read_clip(request: AdminRequest, body: Body) -> MediaInput:
    gateway = request.panel.gateway
    for name in ("video", "url"):
        given = body.source(name)
        if given is not None:
            return await read_source(given, gateway, role="source_video", param=name)
    task_id = task_id_of(body.text("from_task") or "")
    if task_id is None:
        raise MissingField("video, url or from_task")
    source = await request.panel.tasks.get(task_id)
    if source is None or source.kind != "video" or source.result is None or not files_are_kept(source):
        raise InvalidRequest("from_task must be a finished video whose files still exist", param="from_task")
    file = source.result.files[0]
    content = await gateway.store.get(file.key)
    return MediaInput(role="source_video", content_type=file.content_type, sha256=source.id, content=content)


async def _character_row(panel: PanelServices, character_id: str) -> Any:
    async with panel.database.read() as connection:
        query = sa.select(characters).where(characters.c.id == character_id)
        row = (await connection.execute(query)).first()
    if row is None:
        raise NotFound(f"No such character: {character_id[:100]}")
    return row


def _character_object(panel: PanelServices, row: Any) -> CharacterObject:
    base, now = f"/files/characters/ch_{row.id.removeprefix('char_')}", time.time()
    sign = panel.gateway.signer.sign
    return CharacterObject(
        id=row.id,
        owner=row.owner,
        name=row.name,
        username=row.username,
        still=sign(f"{base}/still.webp", now=now),
        clip=sign(f"{base}/clip.mp4", now=now),
        created_at=row.created_at,
    )
