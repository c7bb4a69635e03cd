"""kill -9 at the commit that several writes of SQLite share: who was told of a task finds it, and none is bought twice."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa

from app.components import Components
from app.db.tables import receipts, tasks
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream

CLIENTS = 8


def create(gateway: GatewayProcess, number: int) -> str | None:
    """The task's id, if that was answered."""
    wish = {"model": "sora-2", "prompt": f"boat {number}"}
    with gateway.client() as client:
        try:
            answer = client.post("/v1/videos", json=wish, headers={"Idempotency-Key": f"boat-{number}"})
        except httpx2.TransportError:
            return None
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])


def how_it_ended(client: httpx2.Client, video: str) -> str | None:
    told = client.get(f"/v1/videos/{video}").json()
    ends = {"completed": "completed", "failed": (told.get("error") or {}).get("code")}
    return ends.get(told["status"])


async def _stored(components: Components) -> tuple[set[str], int]:
    async with components.database.read() as connection:
        ids = (await connection.execute(sa.select(tasks.c.id))).scalars().all()
        bought = await connection.execute(sa.select(sa.func.count()).select_from(receipts))
        return {f"video_{each}" for each in ids}, int(bought.scalar_one())


@pytest.mark.parametrize("moment", ["before", "after"])
def test_nobody_was_told_what_is_not_on_disk(tmp_path: Path, moment: str) -> None:
    gateway = GatewayProcess(tmp_path, FILMGATE_STUDIO="off", MORTAL=f"group:{moment}")
    gateway.module = "tests.faults.mortal"
    with FakeUpstream() as upstream, ThreadPoolExecutor(CLIENTS) as clients:
        gateway.add_upstream(upstream.url)
        gateway.start()
        answers: list[str | None] = []
        while None not in answers:  # until several meet in one group
            numbers = range(len(answers), len(answers) + CLIENTS)
            answers += clients.map(lambda number: create(gateway, number), numbers)
        process = gateway.process
        assert process is not None
        until(lambda: process.poll() is not None)
        gateway.kill()
        told = {answer for answer in answers if answer is not None}
        stored, _ = gateway.prepare(_stored)
        assert told <= stored
        gateway.environment["MORTAL"] = ""
        with gateway, gateway.client() as client:
            found = [create(gateway, number) for number in range(len(answers))]
            assert {each for each in found if each is not None} >= stored  # the same tasks as before
            assert [new for new, old in zip(found, answers, strict=True) if old not in (None, new)] == []
            ends = [until(lambda video=video: how_it_ended(client, video)) for video in found]
        # What was being submitted at the kill may have been bought, and is never sent again.
        unknown = ends.count("submission_unknown")
        assert ends.count("completed") == len(answers) - unknown
        assert gateway.prepare(_stored) == (set(found), len(answers) - unknown)
        assert len(answers) - unknown <= upstream.counters().jobs <= len(answers)
