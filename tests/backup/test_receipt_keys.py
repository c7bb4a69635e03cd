"""The keys of receipts in a backup: whoever is restored can sign as before, and no key that has signed is lost."""

import json

from app.backup import archive
from app.receipt_keys import ReceiptKeyRing
from tests.backup.conftest import Open
from tests.backup.test_round_trip import OTHER_ROOT, PASSPHRASE, restored, results
from tests.tasks.conftest import Bench


def ring(bench: Bench) -> ReceiptKeyRing:
    return bench.components.receipts().keys


async def published(bench: Bench) -> list[str]:
    return [key["kid"] for key in (await ring(bench).published())["keys"]]


async def test_a_restored_gateway_signs_as_the_one_that_was_saved(full: Bench, opened: Open) -> None:
    old, saved = await ring(full).rotate(), await ring(full).rotate()
    document = await archive.make_backup(full.components.backup_sources, secrets=True, passphrase=PASSPHRASE)
    other = await opened("other", root=OTHER_ROOT)
    own = await ring(other).rotate()
    text = json.dumps(document)
    assert "error" not in results(await restored(other.components, json.loads(text), PASSPHRASE))
    assert await published(other) == [saved, old, own]
    assert (await ring(other).current()).private == (await ring(full).current()).private
    again = await archive.plan_restore(other.components.backup_sources, document, passphrase=PASSPHRASE)
    assert {change.result for change in again if change.name == "receipt_keys"} == {"same"}


async def test_a_backup_without_secrets_brings_what_is_published(full: Bench, opened: Open) -> None:
    saved = await ring(full).rotate()
    document = await archive.make_backup(full.components.backup_sources)
    assert (await ring(full).current()).secret.get_secret_value() not in json.dumps(document)
    other = await opened("other", root=OTHER_ROOT)
    own = await ring(other).rotate()
    assert "error" not in results(await restored(other.components, document))
    assert await published(other) == [saved, own]
    assert (await ring(other).current()).name == own


async def test_a_backup_of_before_takes_no_key_away(full: Bench, opened: Open) -> None:
    document = await archive.make_backup(full.components.backup_sources)
    own = await ring(full).rotate()
    assert "error" not in results(await restored(full.components, document))
    assert await published(full) == [own] and (await ring(full).current()).name == own
