"""Characters: a short clip and a still of it in our store, sent to each upstream in the form that it takes."""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app import clock
from app.db.session import Database
from app.db.tables import characters
from app.errors import InvalidRequest, NotFound, ResultUnreadable
from app.generation import GenerationRequest, MediaInput
from app.keys.key import ClientKey
from app.media.inspection import THUMBNAIL, MediaInspector
from app.media.scratch import ScratchFolder
from app.media.store import MediaStore
from app.tasks.pending_files import announce_files, confirm_files

ID = re.compile(r"(?:ch|char)_([0-9a-f]{32})")
USERNAME = re.compile(r"[a-z0-9_]{1,40}\.[0-9a-f]{8,12}")
FIRST_NAMES = ("Amber", "Brave", "Clever", "Dapper", "Early", "Fuzzy", "Gentle", "Humble")
LAST_NAMES = ("Badger", "Comet", "Dolphin", "Falcon", "Lantern", "Otter", "Robin", "Walnut")
USERNAME_LETTERS = 24

NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9_])?"
MENTION_SIGNS = "@\uff20"
"""Chinese keyboards write the wide one."""
MENTION = re.compile(rf"(?<![\w.+/-])[{MENTION_SIGNS}](?:({NAME})|\{{({NAME})\}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class ClipRange:
    """The part of a clip that shows a character, in seconds. ``param``: the request field that names it."""

    start: float
    end: float
    param: str = "timestamps"


@dataclass(frozen=True, slots=True)
class Character:
    """``clip`` and ``still`` are keys in the media store; times are UTC seconds."""

    id: str
    name: str
    username: str
    clip: str
    still: str
    created_at: float

    def as_input(self) -> MediaInput:
        return MediaInput(
            role="subject", content_type="image/webp", key=self.still, sha256=self.id, clip=self.clip
        )


class CharacterLibrary:
    """Creates, finds and deletes characters. Each key (or project) sees its own."""

    def __init__(
        self, database: Database, store: MediaStore, inspector: MediaInspector, *, scratch: ScratchFolder
    ) -> None:
        self.scratch = scratch
        self._database = database
        self._store = store
        self._inspector = inspector

    async def create(
        self,
        clip: MediaInput,
        *,
        key: ClientKey,
        name: str = "",
        clip_range: ClipRange | None = None,
        param: str = "video",
    ) -> Character:
        """The same clip, range and name give the same character.

        Raises ``InvalidRequest`` naming ``param`` for a clip that can't be played or ends too early.
        """
        if clip.content is None:
            raise InvalidRequest(
                f"{param} must be the clip itself, not {clip.vendor_scheme}://…", param=param
            )
        if not name.isprintable():
            raise InvalidRequest("name must be of printable characters", param="name")
        digest = _character_digest(key.owner, name, clip.sha256, clip_range=clip_range)
        row = _character_row(digest, owner=key.owner, name=name)
        known = await self._find_one(characters.c.id == row["id"])
        if known is not None:
            return known
        files = f"characters/{row['id']}"
        await announce_files(self._database, files)
        try:
            await self._store_files(row, clip, clip_range)
        except ResultUnreadable as error:
            raise InvalidRequest(f"{param} is not a playable clip", param=param) from error
        except InvalidRequest as error:
            at_fault = clip_range.param if clip_range else param
            raise InvalidRequest(f"{at_fault}: {error.message}", param=at_fault) from error
        try:
            async with self._database.write() as connection:
                await connection.execute(sa.insert(characters), row)
                await confirm_files(connection, files)
        except IntegrityError:  # an equal request was inserted first
            return await self.get(row["id"], key=key)
        return _character_of(row)

    async def get(self, name: str, *, key: ClientKey) -> Character:
        """By id (``ch_…`` or ``char_…``) or by username. Raises ``NotFound``."""
        found = await self._find_one(characters.c.owner == key.owner, _name_condition(name.removeprefix("@")))
        if found is None:
            raise NotFound(f"No such character: {name[:100]}")
        return found

    async def page(self, key: ClientKey, *, after: str | None, limit: int) -> tuple[list[Character], bool]:
        """Newest first, and whether more follow. Raises ``NotFound`` for an unknown cursor."""
        query = sa.select(characters).where(characters.c.owner == key.owner)
        if after:
            last = await self.get(after, key=key)
            query = query.where(
                sa.tuple_(characters.c.created_at, characters.c.id)
                < sa.tuple_(sa.literal(last.created_at), sa.literal(last.id))
            )
        query = query.order_by(characters.c.created_at.desc(), characters.c.id.desc()).limit(limit + 1)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [_character_of(row._mapping) for row in rows[:limit]], len(rows) > limit

    async def delete(self, character: Character) -> None:
        """Deletes the row and its files."""
        async with self._database.write() as connection:
            await connection.execute(sa.delete(characters).where(characters.c.id == character.id))
        await self._store.delete(f"characters/{character.id}")

    async def by_link(self, character_id: str) -> Character:
        """The character of a signed link, whoever owns it. Raises ``NotFound``."""
        found = await self._find_one(_name_condition(character_id))
        if found is None:
            raise NotFound("No such file.")
        return found

    async def add_mentioned_characters(
        self, request: GenerationRequest, *, key: ClientKey
    ) -> GenerationRequest:
        """``request`` with the characters that its prompt names. Unknown names stay plain text."""
        names = mentioned_usernames(request.prompt)
        if not names:
            return request
        found = await self._by_usernames(names, key)
        present = {item.sha256 for item in request.media}
        added = [found[name].as_input() for name in names if name in found and found[name].id not in present]
        return request.model_copy(update={"media": (*request.media, *added)}) if added else request

    async def _by_usernames(self, names: Collection[str], key: ClientKey) -> dict[str, Character]:
        query = sa.select(characters).where(
            characters.c.owner == key.owner, characters.c.username.in_([name.lower() for name in names])
        )
        async with self._database.read() as connection:
            found = {row.username: _character_of(row._mapping) for row in await connection.execute(query)}
        return {name: found[name.lower()] for name in names if name.lower() in found}

    async def _find_one(self, *conditions: sa.ColumnElement[bool]) -> Character | None:
        async with self._database.read() as connection:
            row = (await connection.execute(sa.select(characters).where(*conditions))).first()
        return None if row is None else _character_of(row._mapping)

    async def _store_files(self, row: dict[str, Any], clip: MediaInput, clip_range: ClipRange | None) -> None:
        assert clip.content is not None
        with self.scratch.temporary("clip-") as folder:
            path = folder / "clip"
            path.write_bytes(clip.content)
            made = await self._cut_clip(path, clip, clip_range=clip_range)
            await self._inspector.draw_previews(made, folder, kind="video")
            await self._store.put_file(row["clip"], made)
            await self._store.put_file(row["still"], folder / THUMBNAIL)

    async def _cut_clip(self, path: Path, clip: MediaInput, *, clip_range: ClipRange | None) -> Path:
        """An MP4 of the range, or of the whole clip."""
        if clip_range is None:
            whole = await self._inspector.probe_video(path)
            if clip.content_type == "video/mp4":
                return path
            clip_range = ClipRange(0.0, whole.seconds)
        target = path.with_name("range.mp4")
        await self._inspector.cut_clip(path, target, start=clip_range.start, end=clip_range.end)
        return target


def _character_digest(owner: str, name: str, clip: str, *, clip_range: ClipRange | None) -> str:
    identity = "\0".join(
        (owner, name, clip, f"{clip_range.start:g},{clip_range.end:g}" if clip_range else "")
    )
    return hashlib.sha256(identity.encode()).hexdigest()


def _character_row(digest: str, *, owner: str, name: str) -> dict[str, Any]:
    name = name or f"{FIRST_NAMES[int(digest[-1], 16) % 8]} {LAST_NAMES[int(digest[-2], 16) % 8]}"
    letters = re.sub(r"[^a-z0-9_]", "", name.lower())[:USERNAME_LETTERS] or "character"
    character_id = f"char_{digest[:32]}"
    return {
        "id": character_id,
        "owner": owner,
        "name": name,
        "username": f"{letters}.{digest[-10:-2]}",
        "clip": f"characters/{character_id}/clip.mp4",
        "still": f"characters/{character_id}/still.webp",
        "created_at": clock.now(),
    }


def _name_condition(name: str) -> sa.ColumnElement[bool]:
    match = ID.fullmatch(name)
    if match:
        return characters.c.id == f"char_{match[1]}"
    # Texts that can't be usernames are not sent to the database: PostgreSQL rejects some, as those with NUL.
    return characters.c.username == name.lower() if USERNAME.fullmatch(name.lower()) else sa.false()


def _character_of(row: Any) -> Character:
    return Character(row["id"], row["name"], row["username"], row["clip"], row["still"], row["created_at"])


def mentioned_usernames(prompt: str) -> tuple[str, ...]:
    """What may be a username: ``@username`` or ``@{username}``, also where Chinese text touches it, but not in the middle of
    an address; each once, in order. Only those that are characters of the key mean something."""
    return tuple(dict.fromkeys(match[1] or match[2] for match in MENTION.finditer(prompt)))
