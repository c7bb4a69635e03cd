"""The SHA-256 of labelled films: who shows one later learns that it is ours, also when the film and its task are gone."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from app import clock
from app.db.operator_tables import film_hashes
from app.db.session import Database

DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class KnownFilm:
    """What is known of a film by its hash. ``made_at`` in UTC seconds."""

    task_id: str
    owner: str
    model: str
    layers: tuple[str, ...]
    made_at: float


class FilmHashes:
    """Rows are written before the film can be served, and only for films with labels."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def write(
        self, sha256: str, *, task_id: str, owner: str, model: str, layers: Sequence[str]
    ) -> None:
        """May be repeated."""
        row = {"sha256": sha256, "task_id": task_id, "owner": owner, "model": model}
        mine = (film_hashes.c.sha256 == sha256, film_hashes.c.task_id == task_id)
        async with self._database.write() as connection:
            await connection.execute(sa.delete(film_hashes).where(*mine))
            values = {**row, "layers": json.dumps(list(layers)), "made_at": clock.now()}
            await connection.execute(sa.insert(film_hashes), values)

    async def find(self, sha256: str) -> KnownFilm | None:
        """The newest film with this hash (64 hex digits)."""
        query = sa.select(film_hashes).where(film_hashes.c.sha256 == sha256.lower())
        async with self._database.read() as connection:
            row = (await connection.execute(query.order_by(film_hashes.c.made_at.desc()).limit(1))).first()
        if row is None:
            return None
        return KnownFilm(row.task_id, row.owner, row.model, tuple(json.loads(row.layers)), row.made_at)

    async def forget_old(self, *, now: float, days: int) -> None:
        over = film_hashes.c.made_at < now - days * DAY_SECONDS
        async with self._database.write() as connection:
            await connection.execute(sa.delete(film_hashes).where(over))
