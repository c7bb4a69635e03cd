"""Labels from the operator's switch to the stored film, on both stores: what is served, what is known, what is kept."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from app.components import Components
from app.db.operator_tables import film_hashes
from app.db.tables import tasks, webhook_deliveries
from app.dialects.openai_videos.answer import video_object
from app.errors import LabelsFailed, PollFailed
from app.keys.key import ClientKey
from app.media.labels.options import LabelOptions
from app.media.labels.signing import write_development_pair
from app.tasks.film_hashes import FilmHashes, KnownFilm
from app.tasks.patience import RESULT_SECONDS, ResultPatience
from app.tasks.task import StoredFile, Task
from app.webhooks.notice_options import NoticeOptions
from tests.media.test_labels import label, manifests
from tests.tasks.conftest import KEY, Bench, replica, settings_for, until
from tests.upstream import FakeUpstream

MORE = ClientKey(id="more", name="more", owner="key:more", options={"labels": "visible"})
BOTH = {"enabled": True, "implicit": True, "visible": True, "producer": "我的服务"}
SIGNED = {"enabled": True, "implicit": True, "c2pa": True}


async def set_rules(bench: Bench, **rules: Any) -> None:
    await bench.components.options.write(LabelOptions, rules)


async def film_of(bench: Bench, task: Task, folder: Path) -> tuple[StoredFile, Path]:
    """The stored file, and a copy of its bytes."""
    assert task.state == "completed", task.error_message
    assert task.result is not None
    [file] = task.result.files
    path = folder / file.name
    path.write_bytes(await bench.components.store.get(file.key))
    return file, path


async def hash_rows(components: Components) -> list[Any]:
    async with components.database.read() as connection:
        return list((await connection.execute(sa.select(film_hashes))).all())


async def made(bench: Bench, *, key: ClientKey = KEY, **told: Any) -> Task:
    return await bench.ended(await bench.create(key=key, **told))


async def test_a_film_without_labels_has_a_hash_and_nothing_else(bench: Bench, tmp_path: Path) -> None:
    await bench.account()
    await bench.work()
    task = await made(bench)
    file, path = await film_of(bench, task, tmp_path)
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.labels == () and await hash_rows(bench.components) == []
    assert "labelled" not in await bench.timeline(task)
    assert "labels" not in task.request_text
    told = video_object(task, url=None)["provenance"]
    assert told == {"ai_generated": True, "labels": [], "sha256": file.sha256}


async def test_one_switch_labels_every_film(bench: Bench, tmp_path: Path) -> None:
    await set_rules(bench, **BOTH)
    await bench.account()
    await bench.work()
    task = await made(bench)
    file, path = await film_of(bench, task, tmp_path)
    assert (label(path)["ContentProducer"], label(path)["ProduceID"]) == ("我的服务", task.id)
    assert label(path)["ReservedCode1"].startswith("sha256:")
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert file.labels == ("implicit", "visible")
    told = video_object(task, url=None)["provenance"]
    assert told["labels"] == ["implicit", "visible"] and told["vendor_marks"] == []
    found = await FilmHashes(bench.components.database).find((file.sha256 or "").upper())
    assert found is not None
    assert found == KnownFilm(task.id, KEY.owner, "sora-2", ("implicit", "visible"), found.made_at)
    rows = await bench.components.repository.read_timeline(task.id)
    [step] = [row["detail"] for row in rows if row["event"] == "labelled"]
    assert step["layers"] == ["implicit", "visible"]
    # Long after: the film is deleted, its task forgotten.
    await bench.components.tasks.delete(task)
    async with bench.components.database.write() as connection:
        await connection.execute(sa.delete(tasks))
    hashes = FilmHashes(bench.components.database)
    assert await hashes.find(file.sha256 or "") == found
    await hashes.forget_old(now=found.made_at + 10 * 86_400, days=11)
    assert await hashes.find(file.sha256 or "") == found
    await hashes.forget_old(now=found.made_at + 12 * 86_400, days=11)
    assert await hashes.find(file.sha256 or "") is None


async def test_a_key_that_asks_for_more_gets_it_and_nobody_else_does(bench: Bench, tmp_path: Path) -> None:
    await bench.account()
    await bench.work()
    asked, plain = await made(bench, key=MORE), await made(bench)
    assert (await film_of(bench, asked, tmp_path))[0].labels == ("implicit", "visible")
    assert (await film_of(bench, plain, tmp_path))[0].labels == ()
    await set_rules(bench, **BOTH)
    fewer = ClientKey(id="less", name="less", owner="key:less", options={"labels": "implicit"})
    assert (await film_of(bench, await made(bench, key=fewer), tmp_path))[0].labels == ("implicit", "visible")


async def test_a_trimmed_film_is_labelled_as_it_is_stored(bench: Bench, tmp_path: Path) -> None:
    bench.upstream.script(film_seconds=12)
    await set_rules(bench, **BOTH)
    await bench.account(options={"capabilities": {"seconds": [12, 20]}})
    await bench.work()
    task = await made(bench, model="sora2-landscape-10s", seconds=10, size="1280x720")
    file, path = await film_of(bench, task, tmp_path)
    assert file.made_seconds == 12 and 9.9 <= (file.seconds or 0) <= 10.5
    assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert label(path)["ProduceID"] == task.id


async def test_pictures_get_what_needs_no_drawing_and_sounds_nothing(bench: Bench, tmp_path: Path) -> None:
    await set_rules(bench, **BOTH)
    await bench.account()
    await bench.work()
    task = await made(bench, kind="image", model="gpt-image")
    file, path = await film_of(bench, task, tmp_path)
    assert file.labels == ("implicit",)
    assert f"{task.id}".encode() in path.read_bytes() and b"TC260:AIGC" in path.read_bytes()


async def test_films_are_signed_with_the_operators_certificate(
    tmp_path: Path, database_url: str, upstream: FakeUpstream
) -> None:
    certificate, key = write_development_pair(tmp_path)
    settings = settings_for(tmp_path, database_url, c2pa_certificate=certificate, c2pa_key=key)
    async with replica(settings, upstream) as bench:
        await set_rules(bench, **SIGNED, visible=True)
        await bench.account()
        await bench.work()
        task = await made(bench)
        file, path = await film_of(bench, task, tmp_path)
        assert file.labels == ("implicit", "visible", "c2pa")
        assert manifests(path)[0] == "Valid"
        assert label(path)["ProduceID"] == task.id
        assert file.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


async def held_film(bench: Bench) -> Task:
    """A film that must be signed where no certificate is set, after the first attempts."""
    await bench.components.options.write(
        NoticeOptions, {"receivers": [{"name": "ops", "url": "https://ops.example/hook"}]}
    )
    await set_rules(bench, **SIGNED)
    task = await bench.create()

    async def tried() -> bool:
        rows = await bench.components.repository.read_timeline(task.id)
        failed = [row["detail"] for row in rows if row["event"] == "delivery.copy"]
        return any("FILMGATE_C2PA_CERTIFICATE" in each["error"] for each in failed)

    await until(tried)
    return task


async def told_topics(bench: Bench) -> list[str]:
    async with bench.components.database.read() as connection:
        bodies = (await connection.execute(sa.select(webhook_deliveries.c.body))).scalars().all()
    return [json.loads(body)["topic"] for body in bodies]


async def kept_names(bench: Bench, task: Task) -> set[str]:
    folder = bench.components.store.local_path(f"tasks/{task.id}")
    assert folder is not None
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


async def test_a_film_that_can_not_be_labelled_is_kept_and_not_served(bench: Bench, tmp_path: Path) -> None:
    """The operator is told; when the labels can be added it goes on, although its vendor has nothing any more."""
    await bench.account()
    await bench.work()
    task = await held_film(bench)
    bench.upstream.fault("content", status=404, times=None)
    waiting = await bench.components.repository.get(task.id)
    assert waiting is not None
    assert (waiting.state, waiting.result, waiting.public_state) == ("storing", None, "storing")
    assert "provenance" not in video_object(waiting, url=None)
    assert {"unlabelled-1", "unlabelled.json"} == await kept_names(bench, task)
    assert await hash_rows(bench.components) == []

    async def told() -> bool:
        return "labels_failed" in await told_topics(bench)

    await until(told)
    await set_rules(bench, enabled=True)
    ended = await bench.ended(task)
    file, path = await film_of(bench, ended, tmp_path)
    assert file.labels == ("implicit",) and label(path)["ProduceID"] == task.id
    assert file.name == "video.mp4" and ended.result is not None
    assert ended.result.find_file("unlabelled-1") is None


@pytest.mark.parametrize("rules", [{"enabled": True}, {"enabled": False}], ids=["others", "none"])
async def test_a_kept_film_needs_its_vendor_no_more_after_a_restart(
    bench: Bench, tmp_path: Path, rules: dict[str, Any]
) -> None:
    """Nor where the operator requires no labels any more."""
    await bench.account()
    worker = await bench.work()
    task = await held_film(bench)
    await worker.stop()
    bench.workers.clear()
    bench.upstream.fault("content", status=404, times=None)
    bench.upstream.fault("poll", status=404, times=None)
    await set_rules(bench, **rules)
    await bench.work()
    ended = await bench.ended(task)
    file, _ = await film_of(bench, ended, tmp_path)
    assert file.labels == (("implicit",) if rules["enabled"] else ())


async def test_a_kept_film_goes_with_its_task(bench: Bench) -> None:
    await bench.account()
    await bench.work()
    task = await held_film(bench)
    await bench.components.tasks.delete(task)

    async def gone() -> bool:
        return not await kept_names(bench, task)

    await until(gone)


def test_patience_with_a_kept_film_has_no_end() -> None:
    """Its links can't expire any more."""
    patience = ResultPatience(made_at=-2 * RESULT_SECONDS, until=0.0)
    patience.record_failure(PollFailed("lost"))
    assert patience.is_over
    patience.record_failure(LabelsFailed("no certificate"))
    assert not patience.is_over
