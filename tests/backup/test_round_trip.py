"""What was saved comes back: into an empty gateway, into one that has changed, under another root key."""

import copy
import json
from typing import Any

import pytest

from app.accounts.definition import AccountChange, AccountDraft
from app.backup import archive
from app.backup.schedule_options import DOCUMENTS, BackupOptions
from app.backup.sections import RestoreChange
from app.components import Components
from app.errors import AuthenticationFailed, InvalidRequest
from app.media.delivery.options import DeliveryOptions
from tests.backup.conftest import SECRETS, Open, one_store
from tests.tasks.conftest import Bench

PASSPHRASE = "correct horse battery"
OTHER_ROOT = "another root key, 0123456789abcdef"


def results(changes: list[RestoreChange]) -> set[str]:
    return {change.result for change in changes}


async def restored(components: Components, document: Any, passphrase: str = "") -> list[RestoreChange]:
    return await archive.apply_changes(
        components.backup_sources,
        await archive.plan_restore(components.backup_sources, document, passphrase=passphrase),
    )


async def drafts(components: Components) -> dict[str, dict[str, Any]]:
    return {
        s.account.name: AccountDraft.of_status(s).model_dump(warnings=False)
        for s in await components.accounts.list_all()
    }


async def answers(components: Components) -> Any:
    """What the gateway would say to whoever asks, secrets and all."""
    await components.catalog.refresh()
    document = await archive.make_backup(components.backup_sources)
    candidates = [
        (each.account.name, each.model, each.account.secret, each.account.proxy)
        for each in components.catalog.candidates("video", "movies")
    ]
    kept = {name: document[name] for name in ("accounts", "routes", "prices", "webhook_endpoints")}
    price = await components.money.prices.current_price("veo-3")
    options = [await components.options.read(kind) for kind in DOCUMENTS]
    models = [card.name for card in await components.catalog.list_models()]
    return kept, candidates, price, options, models, await drafts(components)


async def test_into_an_empty_gateway_under_the_same_root_key(full: Bench, opened: Open) -> None:
    raw = await full.components.keys.create("known by its secret")
    document = json.loads(json.dumps(await archive.make_backup(full.components.backup_sources, secrets=True)))
    empty = await opened("empty")
    done = await restored(empty.components, document)
    assert results(done) <= {"added", "updated", "same"}
    assert await answers(empty.components) == await answers(full.components)
    assert (await empty.components.keys.authenticate(raw)).name == "known by its secret"
    before, after = await full.components.keys.list(), await empty.components.keys.list()
    assert after == before
    [endpoint] = document["webhook_endpoints"]
    secrets = [
        await bench.components.endpoints.valid_secrets(endpoint["id"], owner=endpoint["owner"])
        for bench in (full, empty)
    ]
    assert secrets[0] == secrets[1] != []
    again = await archive.plan_restore(empty.components.backup_sources, document)
    assert results(again) == {"same"}


async def test_with_a_passphrase_under_another_root_key(full: Bench, opened: Open) -> None:
    raw = await full.components.keys.create("known by its secret")
    document = await archive.make_backup(full.components.backup_sources, secrets=True, passphrase=PASSPHRASE)
    text = json.dumps(document)
    assert not [secret for secret in SECRETS if secret in text]
    other = await opened("other", root=OTHER_ROOT)
    for wrong in ("", "wrong horse battery"):
        with pytest.raises(InvalidRequest) as caught:
            await archive.plan_restore(other.components.backup_sources, json.loads(text), passphrase=wrong)
        assert caught.value.param == "passphrase"
    done = await restored(other.components, json.loads(text), PASSPHRASE)
    assert "error" not in results(done)
    assert await answers(other.components) == await answers(full.components)
    # A hash is no secret: nobody can know the key again under another root key, and the restore says so.
    with pytest.raises(AuthenticationFailed):
        await other.components.keys.authenticate(raw)
    told = [change.message for change in done if change.thing == "keys"]
    assert all("filmgate keys rotate" in message for message in told)
    key = next(key for key in await other.components.keys.list() if key.name == "known by its secret")
    fresh = await other.components.keys.rotate(key.id)
    assert (await other.components.keys.authenticate(fresh)).id == raw.removeprefix("sk-fg-")[:8]


@one_store
async def test_sealed_with_a_root_key_it_opens_nowhere_else(full: Bench, opened: Open) -> None:
    document = await archive.make_backup(full.components.backup_sources, secrets=True)
    other = await opened("other", root=OTHER_ROOT)
    with pytest.raises(InvalidRequest, match="root key of another gateway"):
        await archive.plan_restore(other.components.backup_sources, document)


async def test_without_secrets_none_is_in_it_and_accounts_wait_for_theirs(full: Bench, opened: Open) -> None:
    document = await archive.make_backup(full.components.backup_sources)
    text = json.dumps(document)
    assert not [secret for secret in SECRETS if secret in text]
    assert "sealed" not in text.replace("sealed_with", "")
    empty = await opened("empty")
    done = await restored(empty.components, document)
    assert "error" not in results(done)
    [main] = [s for s in await empty.components.accounts.list_all() if s.account.name == "main"]
    assert (main.enabled, main.account.secret, main.account.rpm) == (False, "", 30)
    assert any("stays disabled until you enter it" in change.message for change in done)
    [endpoint] = document["webhook_endpoints"]
    found = await empty.components.endpoints.get(endpoint["id"], owner=endpoint["owner"])
    assert not found.enabled
    assert "give the new one to the receiver" in (found.disabled_reason or "")


async def test_a_gateway_that_has_changed_goes_back_and_keeps_what_is_its_own(full: Bench) -> None:
    components = full.components
    document = await archive.make_backup(components.backup_sources)
    before = await answers(components)
    await components.accounts.update(
        "main", AccountChange.model_validate({"note": "x", "slots": 9, "rpm": None})
    )
    await components.accounts.enable("spare")
    await components.catalog.routes.delete("movies")
    await components.money.prices.remove_price("veo*")
    [shop, _] = await components.keys.list()
    await components.keys.update(shop.id, {"budget_daily": None})
    rotated = await components.keys.rotate(shop.id)
    mine = await components.keys.create("made since")
    planned = await archive.plan_restore(components.backup_sources, document)
    told = {(c.thing, c.name.split(" ")[0]): (c.result, c.message) for c in planned if c.result != "same"}
    assert told == {
        ("accounts", "main"): ("changed", "note, rpm, slots"),
        ("accounts", "spare"): ("changed", "enabled"),
        ("routes", "movies"): ("new", ""),
        ("prices", "veo*"): ("new", ""),
        ("keys", "shop"): ("changed", "budget_daily; the key here has a newer secret, which stays"),
    }
    assert (await components.accounts.find("main")).note == "x"  # nothing is written by a plan
    done = await archive.apply_changes(components.backup_sources, planned)
    assert "error" not in results(done)
    assert await answers(components) == before  # secrets among them: the backup has none, and took none
    assert (await components.keys.authenticate(rotated, address="10.1.1.1")).id == shop.id
    assert (await components.keys.authenticate(mine)).name == "made since"


@one_store
async def test_secrets_that_changed_since_come_back_where_the_backup_has_them(full: Bench) -> None:
    components = full.components
    document = await archive.make_backup(components.backup_sources, secrets=True)
    before = await drafts(components)
    await components.accounts.rotate_secret("main", "a newer one")
    await components.accounts.update("main", AccountChange.model_validate({"proxy": None, "options": {}}))
    await components.options.write(DeliveryOptions, {"resolvers": []})
    planned = await archive.plan_restore(components.backup_sources, document)
    told = {change.name: change.message for change in planned if change.result == "changed"}
    assert told == {"main": "options, proxy, secret", "delivery": "resolvers"}
    await archive.apply_changes(components.backup_sources, planned)
    assert await drafts(components) == before
    [resolver] = (await components.options.read(DeliveryOptions)).resolvers
    assert resolver.secret.get_secret_value() == "resolver-secret-canary"


@one_store
async def test_what_is_left_of_a_quota_is_not_put_back(full: Bench) -> None:
    document = await archive.make_backup(full.components.backup_sources)
    quota = {"unit": "usd", "limit": "50", "left": "1", "period": "month"}
    await full.components.accounts.update("main", AccountChange.model_validate({"quota": quota}))
    assert results(await archive.plan_restore(full.components.backup_sources, document)) == {"same"}


@one_store
async def test_what_a_configuration_file_declares_is_left_to_it(full: Bench, opened: Open) -> None:
    document = await archive.make_backup(full.components.backup_sources, secrets=True)
    other = await opened("other")
    draft = AccountDraft.model_validate(
        {"name": "main", "provider": "openai_compatible", "base_url": "https://example.com/v1"}
    )
    await other.components.accounts.add(draft, source="file")
    done = {(c.thing, c.name): c for c in await restored(other.components, document)}
    assert done["accounts", "main"].result == "error"
    assert "configuration file" in done["accounts", "main"].message
    assert done["accounts", "spare"].result == "added"


@one_store
async def test_a_secret_can_not_be_moved_to_another_account(full: Bench) -> None:
    document = await archive.make_backup(full.components.backup_sources, secrets=True)
    main, spare = document["accounts"]
    main["sealed"], spare["sealed"] = spare["sealed"], main["sealed"]
    with pytest.raises(InvalidRequest, match="damaged"):
        await archive.plan_restore(full.components.backup_sources, document)


@one_store
@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"version": 2, "made_by": "9.9.9"}, "version"),
        ({"version": "1"}, "version"),
        ({"version": None}, "version"),
        ({"format": "something"}, "format"),
        ({"root_key": ...}, "root_key"),
        ({"secrets": []}, "secrets"),
        ({"secrets": {"sealed_with": "magic"}}, "passphrase"),
        ({"secrets": {"sealed_with": "passphrase", "salt": "é"}}, "secrets.salt"),
        ({"accounts": {}}, "accounts"),
        ({"accounts": ["x"]}, "accounts"),
        ({"tasks": []}, "tasks"),
    ],
)
async def test_what_is_no_backup_is_refused(full: Bench, change: dict[str, Any], param: str) -> None:
    document = await archive.make_backup(full.components.backup_sources) | change
    document = {name: value for name, value in document.items() if value is not ...}
    with pytest.raises(InvalidRequest) as caught:
        await archive.plan_restore(full.components.backup_sources, document, passphrase=PASSPHRASE)
    assert caught.value.param == param
    if change.get("version") == 2:
        assert "9.9.9" in caught.value.message and "reads version 1" in caught.value.message


@one_store
@pytest.mark.parametrize("document", [None, [], "x", {}, {"record": 5}], ids=str)
async def test_something_else_is_refused(full: Bench, document: Any) -> None:
    with pytest.raises(InvalidRequest, match="no backup of Filmgate"):
        await archive.plan_restore(full.components.backup_sources, document)


BAD: dict[str, dict[str, Any]] = {
    "accounts": {"name": "bad", "provider": "nobody"},
    "routes": {"model": "bad"},
    "prices": {"model": "bad", "price": {"per_call": "-1"}},
    "projects": {"id": "prj_bad"},
    "keys": {"id": "bad", "hash": "short", "created_at": 1, "terms": {"name": "x"}},
    "webhook_endpoints": {"id": "we_1"},
    "settings": {"name": "delivery", "value": {"drive": {"folder_id": "a/b"}}},
}


@one_store
@pytest.mark.parametrize("section", BAD)
@pytest.mark.parametrize("junk", [None, {}, {"name": 5, "left_out": 7}, {"model": []}, {"id": {}}], ids=str)
async def test_a_bad_entry_is_told_and_holds_up_no_other(
    full: Bench, opened: Open, section: str, *, junk: Any
) -> None:
    document = copy.deepcopy(await archive.make_backup(full.components.backup_sources, secrets=True))
    count = len(document[section])
    document[section].insert(0, BAD[section] if junk is None else junk)
    empty = await opened("empty")
    done = await restored(empty.components, document)
    mine = [change for change in done if change.thing == section]
    assert [change.result == "error" for change in mine] == [True] + [False] * count
    assert mine[0].message
    assert "error" not in results([change for change in done if change.thing != section])


@one_store
async def test_a_copy_does_not_send_its_own_backups_to_the_same_place(full: Bench, opened: Open) -> None:
    wanted = {"enabled": True, "url": "https://example.com/backup", "every_hours": 6}
    await full.components.options.write(BackupOptions, wanted)
    document = await archive.make_backup(full.components.backup_sources)
    copied = await opened("copy")
    await restored(copied.components, document)
    found = await copied.components.options.read(BackupOptions)
    assert (found.enabled, found.url, found.every_hours) == (False, wanted["url"], 6)
    assert results(await archive.plan_restore(full.components.backup_sources, document)) == {"same"}


@one_store
async def test_a_short_passphrase_is_refused(full: Bench) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await archive.make_backup(full.components.backup_sources, secrets=True, passphrase="short")
    assert caught.value.param == "passphrase"


@one_store
async def test_the_key_of_the_environment_is_not_doubled(full: Bench, opened: Open) -> None:
    raw = "sk-the-key-of-the-environment-0123456789"
    await full.components.keys.ensure(raw, name="FILMGATE_API_KEY")
    document = await archive.make_backup(full.components.backup_sources)
    other = await opened("other")
    await other.components.keys.ensure(raw, name="FILMGATE_API_KEY")
    done = [change for change in await restored(other.components, document) if "FILMGATE" in change.name]
    assert [change.result for change in done] == ["same"]
    assert (await other.components.keys.authenticate(raw)).name == "FILMGATE_API_KEY"


@one_store
async def test_restored_twice_at_once_nothing_is_doubled(full: Bench, opened: Open) -> None:
    document = await archive.make_backup(full.components.backup_sources, secrets=True)
    empty = await opened("empty")
    plans = [await archive.plan_restore(empty.components.backup_sources, document) for _ in range(2)]
    first, second = [await archive.apply_changes(empty.components.backup_sources, plan) for plan in plans]
    assert "error" not in results(first)
    assert {change.thing for change in second if change.result == "error"} <= {
        "accounts",
        "projects",
        "keys",
        "webhook_endpoints",
    }
    assert await answers(empty.components) == await answers(full.components)
