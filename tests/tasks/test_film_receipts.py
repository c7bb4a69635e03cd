"""Receipts of films: what they say, that they stay the same, and that nobody sees what is not his to see."""

import asyncio
import hashlib
import json
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from app import clock
from app.catalog.price import read_price
from app.db.operator_tables import film_receipts
from app.db.tables import tasks
from app.errors import SettingsInvalid, TaskStillOpen
from app.generation import MediaInput
from app.media.store import delete_task_files
from app.ops import resealing
from app.options import OptionsRepository
from app.receipt_keys import ReceiptKeyRing, ReceiptKeys
from app.signed_documents import read_jwks, read_signed
from app.tasks.film_receipts.attempts import attempts_of
from app.tasks.film_receipts.content import GatewayFacts, Reader
from app.tasks.film_receipts.office import ReceiptOffice
from app.tasks.prompt_removal import mark_unmarked, remove_prompts
from app.tasks.pruning import prune_tasks
from app.tasks.task import Task
from app.vault import Vault
from tests.tasks.conftest import KEY, Bench
from tests.test_signed_documents import assert_every_change_is_noticed

PROMPT = "a red kite over 北京"
PIXELS = b"\x89PNG pixels"
PICTURE = MediaInput(
    role="first_frame",
    content_type="image/png",
    content=PIXELS,
    sha256=hashlib.sha256(PIXELS).hexdigest(),
)
MODERATED = {"code": "moderation_blocked", "message": "no kites"}


async def keys(bench: Bench) -> dict[str, bytes]:
    return read_jwks(json.dumps(await bench.components.receipts().keys.published()))


async def receipt(bench: Bench, task: Task, reader: Reader = "client") -> dict[str, Any]:
    signed = await bench.components.receipts().receipt(task, reader)
    return read_signed(signed, await keys(bench))


async def again(bench: Bench, task: Task) -> Task:
    found = await bench.components.repository.get(task.id)
    assert found is not None
    return found


def office(bench: Bench, *, version: str = "9.9") -> ReceiptOffice:
    """As another process has one, or this one after an upgrade."""
    components = bench.components
    documents = OptionsRepository(components.database, components.vault)
    return ReceiptOffice(
        components.database,
        repository=components.repository,
        store=components.store,
        pool=components.pool,
        keys=ReceiptKeyRing(components.database, documents),
        gateway=GatewayFacts("another", None, version),
    )


@pytest.fixture
async def film(bench: Bench) -> Task:
    await bench.components.money.prices.set_price("sora-2", read_price({"per_call": "0.15"}))
    await bench.account("alpha")
    await bench.work()
    ended = await bench.ended(await bench.create(PROMPT, seconds=4, media=[PICTURE]))
    assert ended.state == "completed", ended.error_message
    return ended


async def test_what_the_receipt_of_a_film_says(bench: Bench, film: Task) -> None:
    said = await receipt(bench, film)
    assert film.result is not None and film.operation is not None
    [stored] = film.result.files
    content = await bench.components.store.get(stored.key)
    assert said["kind"] == "filmgate.film_receipt" and said["reader"] == "client"
    assert said["task"] == {
        "id": film.id, "kind": "video", "action": "generate", "dialect": "test", "state": "completed",
        "error": None,
    }  # fmt: skip
    [file] = said["files"]
    assert file["sha256"] == hashlib.sha256(content).hexdigest() and file["bytes"] == len(content)
    assert (file["codec"], file["width"], Decimal(file["seconds"]) > 0) == (stored.codec, stored.width, True)
    salt = bytes.fromhex(said["prompt"]["salt"])
    assert said["prompt"]["sha256"] == hashlib.sha256(salt + PROMPT.encode()).hexdigest()
    assert said["made"]["job_sha256"] == hashlib.sha256(salt + film.operation.id.encode()).hexdigest()
    [item] = said["inputs"]
    assert item == {
        "role": "first_frame",
        "content_type": "image/png",
        "sha256": PICTURE.sha256,
        "task": None,
    }
    [attempt] = said["attempts"]
    assert (attempt["number"], attempt["sent"], attempt["verdict"]) == (1, True, "made")
    assert (said["made"]["provider"], attempt["provider"]) == ("openai_compatible", "openai_compatible")
    assert said["asked"] | {"seconds": "4", "model": "sora-2"} == said["asked"]
    times = [said["times"][name] for name in ("created", "started", "made", "finished")]
    assert times == sorted(times) and all(each.endswith("Z") for each in times)
    assert said["money"] == {"currency": "USD", "state": "settled", "sale": "0.15"}
    assert PROMPT not in json.dumps(said, ensure_ascii=False)


async def test_the_labels_are_those_of_the_last_copy(bench: Bench, film: Task) -> None:
    assert (await receipt(bench, film, "operator"))["labels"] == []
    for layers in (["implicit"], ["implicit", "visible"]):
        await bench.components.repository.add_timeline_row(film, "labelled", layers=layers)
    assert (await receipt(bench, film))["labels"] == ["implicit", "visible"]


async def test_a_vendors_word_ends_an_attempt_and_another_one_follows(bench: Bench, film: Task) -> None:
    """As a task's timeline has it that went on elsewhere."""
    rows = await bench.components.repository.read_timeline(film.id)
    begun = [row for row in rows if row["event"] in ("received", "dispatched", "submitting")]
    ended = {
        "at": begun[-1]["at"],
        "epoch": 1,
        "event": "attempt.ended",
        "detail": {"code": "upstream_error"},
    }
    first, second = attempts_of([*begun, ended, *rows])
    assert (first.number, first.sent, first.verdict, first.error) == (1, True, "failed", "upstream_error")
    assert (second.number, second.verdict, second.error) == (2, "made", None)


async def test_only_the_operator_sees_costs_and_accounts(bench: Bench, film: Task) -> None:
    client, operator = await receipt(bench, film), await receipt(bench, film, "operator")
    assert "cost" not in client["money"] and "cost" in operator["money"]
    assert "alpha" not in json.dumps(client)
    assert (operator["made"]["account"], operator["attempts"][0]["account"]) == ("alpha", "alpha")
    assert client["files"] == operator["files"]


async def test_it_is_the_same_bytes_whoever_gives_it_and_whenever(bench: Bench, film: Task) -> None:
    """Also two processes that are asked for the first one at the same time, after an upgrade, with another signing key,
    and when the film is gone."""
    ours, theirs = bench.components.receipts(), office(bench)
    asked = [each.receipt(film, "client") for each in (ours, theirs) * 3]
    first, *others = await asyncio.gather(*asked)
    assert {*others} == {first}
    assert len(await keys(bench)) == 1
    await ours.keys.rotate()
    await delete_task_files(bench.components.store, film.id)
    assert await office(bench, version="10").receipt(film, "client") == first
    assert read_signed(first, await keys(bench))["files"][0]["sha256"]
    # The operator's is made only now: the hash is that of the client's.
    late = await receipt(bench, film, "operator")
    assert late["files"] == read_signed(first, await keys(bench))["files"]


async def test_a_change_of_any_field_is_noticed(bench: Bench, film: Task) -> None:
    for reader in ("client", "operator"):
        signed = await bench.components.receipts().receipt(film, reader)  # type: ignore[arg-type]
        assert assert_every_change_is_noticed(signed, await keys(bench)) > 500


async def test_a_film_that_was_gone_before_has_no_hash(bench: Bench, film: Task) -> None:
    await delete_task_files(bench.components.store, film.id)
    [file] = (await receipt(bench, film))["files"]
    assert file["sha256"] is None and file["bytes"] > 0


async def test_an_open_task_has_none_and_a_failed_one_has(bench: Bench) -> None:
    await bench.account()
    task = await bench.create()
    with pytest.raises(TaskStillOpen):
        await bench.components.receipts().receipt(task, "client")
    async with bench.components.database.read() as connection:
        assert (await connection.execute(sa.select(film_receipts))).first() is None
    bench.upstream.script(final="failed", error=MODERATED)
    await bench.work()
    said = await receipt(bench, await bench.ended(task))
    assert (said["task"]["state"], said["files"]) == ("failed", [])
    [attempt] = said["attempts"]
    assert (attempt["verdict"], attempt["error"]) == ("moderated", said["task"]["error"])
    assert "kites" not in json.dumps(said)


async def test_a_task_that_was_cancelled_before_anybody_had_it(bench: Bench) -> None:
    await bench.account(slots=1)
    task = await bench.create()
    await bench.components.tasks.cancel(task)
    said = await receipt(bench, await again(bench, task))
    assert (said["task"]["state"], said["attempts"], said["made"]) == ("cancelled", [], None)


async def test_every_account_that_had_it_is_an_attempt(bench: Bench) -> None:
    await bench.account("refusing", url=f"{bench.upstream.url}/v1", tier=0)
    await bench.account("making", url=f"{bench.upstream.url}/v1", tier=1)
    bench.upstream.fault("create", status=401, times=1)
    await bench.work()
    said = await receipt(bench, await bench.ended(await bench.create()), "operator")
    assert [(each["account"], each["verdict"]) for each in said["attempts"]] == [
        ("refusing", "not_accepted"),
        ("making", "made"),
    ]


async def test_when_held_money_is_decided_about_the_next_one_says_so(bench: Bench) -> None:
    await bench.components.money.prices.set_price("sora-2", read_price({"per_call": "0.15"}))
    await bench.account()
    bench.upstream.fault("create", do="reset")
    await bench.work()
    task = await bench.ended(await bench.create())
    held = await receipt(bench, task)
    assert held["money"] == {"currency": "USD", "state": "held", "sale": None}
    await bench.components.money.billing.settle_held(task.id, Decimal("0.1"))
    settled = await receipt(bench, await again(bench, task))
    assert settled["money"] == {"currency": "USD", "state": "settled", "sale": "0.10"}


async def test_a_key_that_keeps_no_prompts_has_receipts_without_hashes(bench: Bench) -> None:
    await bench.account()
    await bench.work()
    forgetful = KEY.model_copy(update={"keep_prompts": False})
    task = await bench.ended(await bench.create(PROMPT, key=forgetful, media=[PICTURE]))
    said = await receipt(bench, task)
    assert (said["prompt"], said["inputs"]) == (None, None)
    assert said["files"][0]["sha256"] and said["made"]["job_sha256"]


async def test_what_was_given_before_the_key_forgot_goes_with_the_prompt(bench: Bench) -> None:
    await bench.account()
    components = bench.components
    key, _ = await components.keys.create_key({"name": "shop"})
    await bench.work()
    task = await bench.ended(await bench.create(PROMPT, key=key))
    assert (await receipt(bench, task))["prompt"]
    await components.keys.update(key.id, {"keep_prompts": False})
    await mark_unmarked(components.database)
    await remove_prompts(components.database, components.store)
    async with components.database.read() as connection:
        assert (await connection.execute(sa.select(film_receipts))).first() is None
    said = await receipt(bench, await again(bench, task))
    assert said["prompt"] is None and said["files"][0]["sha256"]


async def test_it_goes_with_its_task(bench: Bench, film: Task) -> None:
    await receipt(bench, film)
    async with bench.components.database.write() as connection:
        await connection.execute(sa.update(tasks).values(purged=True))
    await prune_tasks(bench.components.database, now=clock.now() + 1e6, days=1)
    async with bench.components.database.read() as connection:
        assert (await connection.execute(sa.select(film_receipts))).first() is None


async def test_a_film_that_went_in_is_named_by_its_task(bench: Bench, film: Task) -> None:
    remix = await bench.create("at night", action="remix", remix_of=film.id)
    assert (await receipt(bench, await bench.ended(remix)))["asked"]["remix_of"] == film.id


async def test_another_root_key_seals_the_signing_key_anew(bench: Bench, film: Task) -> None:
    before = await bench.components.receipts().receipt(film, "client")
    old = bench.components.vault.roots[0]
    vault = Vault(b"n" * 32, old=[old])
    assert (await resealing.reseal_store(bench.components.database, vault))["options"] == 1
    alone = OptionsRepository(bench.components.database, Vault(b"n" * 32))
    key = await ReceiptKeyRing(bench.components.database, alone).current()
    assert key.name in (await keys(bench)) and read_signed(before, await keys(bench))


async def test_a_lost_root_key_is_told_and_old_receipts_stay_valid(bench: Bench, film: Task) -> None:
    before = await bench.components.receipts().receipt(film, "client")
    database = bench.components.database
    ring = ReceiptKeyRing(database, OptionsRepository(database, Vault(b"x" * 32)))
    with pytest.raises(SettingsInvalid, match="root key"):
        await ring.current()
    assert len((await ring.published())["keys"]) == 1
    name = await ring.rotate()
    published = await ring.published()
    assert published["keys"][0]["kid"] == name and len(published["keys"]) == 2
    assert read_signed(before, read_jwks(json.dumps(published)))


async def test_many_who_make_a_key_at_once_add_all_of_them(bench: Bench) -> None:
    rings = [office(bench).keys for _ in range(6)]
    made = {key.name for key in await asyncio.gather(*(ring.current() for ring in rings))}
    assert len(made) == 1
    await asyncio.gather(*(ring.rotate() for ring in rings))
    bench.components.options.forget()
    assert len((await bench.components.options.read(ReceiptKeys)).keys) == 7
