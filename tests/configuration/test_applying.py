"""The file is applied again and again to the same end, and takes nothing away in silence."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from app.accounts.definition import AccountChange
from app.accounts.status import AccountStatus
from app.catalog.price import ModelPrice
from app.configuration.applying import (
    LEFT_THE_FILE,
    AppliedChanges,
    apply_configuration,
    apply_configuration_file,
)
from app.configuration.freeing import free_declared_rows
from app.configuration.toml_file import load_file, parse_text
from app.errors import InvalidRequest, SettingsInvalid
from tests.configuration.test_toml_file import ROOT, SECRETS
from tests.tasks.conftest import Bench, replica, settings_for
from tests.upstream import FakeUpstream

FARM = """
[[accounts]]
name = "farm"
provider = "openai_compatible"
base_url = "https://farm.example/v1"
secret_env = "FARM"
slots = 3
quota = { limit = 10, period = "day" }
"""
ROUTE = """
[[routes]]
model = "sora-2"
candidates = [{ account = "farm", model = "wan" }]
"""


async def applied(bench: Bench, text: str, *, secret: str = "one") -> AppliedChanges:
    return await apply_configuration(bench.components, parse_text(text, {"FARM": secret}))


async def farm(bench: Bench) -> AccountStatus:
    return await bench.components.accounts.find("farm")


async def test_applying_twice_changes_nothing_the_second_time(bench: Bench) -> None:
    done = await applied(bench, FARM + ROUTE)
    assert done.changes == ['accounts "farm" added', 'routes "sora-2" added']
    first = await farm(bench)
    assert (first.source, first.account.slots, first.account.secret) == ("file", 3, "one")
    assert [c.model for c in bench.components.catalog.candidates("video", "sora-2")] == ["wan"]
    assert (await applied(bench, FARM + ROUTE)).changes == []
    assert await farm(bench) == first


async def test_only_what_differs_is_changed(bench: Bench) -> None:
    await applied(bench, FARM)
    before = await farm(bench)
    done = await applied(bench, FARM.replace("slots = 3", "slots = 5"))
    assert done.changes == ['accounts "farm" changed']
    after = await farm(bench)
    assert after.account.id == before.account.id
    assert after.account.slots == 5
    assert (await applied(bench, FARM.replace("slots = 3", "slots = 5"), secret="two")).changes
    assert (await farm(bench)).account.secret == "two"


async def test_what_left_the_file_is_disabled_with_a_reason_and_can_come_back(bench: Bench) -> None:
    await applied(bench, FARM + ROUTE)
    done = await applied(bench, "")
    assert done.changes == [
        'accounts "farm" disabled: it left the file',
        'routes "sora-2" disabled: it left the file',
    ]
    left = await farm(bench)
    assert (left.enabled, left.disabled_reason, left.source) == (False, LEFT_THE_FILE, "store")
    route = await bench.components.catalog.routes.get("sora-2")
    assert (route.document.enabled, route.document.note, route.source) == (False, LEFT_THE_FILE, "store")
    await applied(bench, FARM + ROUTE)
    back = await farm(bench)
    assert (back.enabled, back.source, back.account.id) == (True, "file", left.account.id)
    assert (await bench.components.catalog.routes.get("sora-2")).document.enabled


async def test_a_refused_account_stays_out_until_its_secret_changes(bench: Bench) -> None:
    await applied(bench, FARM)
    account_id = (await farm(bench)).account.id
    await bench.components.pool.disable(account_id, reason="401")
    assert (await applied(bench, FARM)).changes == []
    assert not (await farm(bench)).enabled
    await applied(bench, FARM, secret="another")
    assert (await farm(bench)).enabled


async def test_the_file_may_say_that_an_account_is_off(bench: Bench) -> None:
    await applied(bench, FARM)
    await applied(bench, FARM.replace("slots = 3", "enabled = false"))
    assert not (await farm(bench)).enabled
    await applied(bench, FARM.replace("slots = 3", "enabled = true"))
    assert (await farm(bench)).enabled


async def test_what_the_file_declares_is_not_changed_elsewhere(bench: Bench) -> None:
    await applied(bench, FARM)
    with pytest.raises(InvalidRequest, match="configuration file"):
        await bench.components.accounts.update("farm", AccountChange(slots=9))


async def test_an_account_of_the_same_name_is_taken_over(bench: Bench) -> None:
    by_hand = await bench.account("farm", slots=1)
    await applied(bench, FARM)
    found = await farm(bench)
    assert (found.account.id, found.source, found.account.slots) == (by_hand.id, "file", 3)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (FARM.replace("openai_compatible", "nothing"), 'accounts "farm": provider: unknown provider'),
        (FARM.replace("https://farm.example/v1", "farm"), 'accounts "farm": base_url'),
        (FARM.replace("openai_compatible", "kling"), 'accounts "farm": provider: it is openai_compatible'),
    ],
)
async def test_nothing_is_written_when_one_row_can_not_work(bench: Bench, text: str, line: str) -> None:
    await bench.account("farm")
    other = FARM.replace("farm", "other", 1)
    with pytest.raises(SettingsInvalid) as caught:
        await applied(bench, other + text)
    assert caught.value.message.lower().startswith(line.lower())
    assert [each.account.name for each in await bench.components.accounts.list_all()] == ["farm"]


async def test_a_route_to_nobody_is_doubted(bench: Bench) -> None:
    assert (await applied(bench, ROUTE)).warnings == ['routes "sora-2": there is no account farm']


WEB = "sk-web-0123456789abcdef"
KEY = """
[[keys]]
name = "web"
secret_env = "WEB"
rpm = 60
expires_at = 2090-01-01
"""
PRICE = """
[[prices]]
model = "sora-2"
per_call = 0.5
"""


async def test_the_example_is_applied_as_it_is(bench: Bench) -> None:
    declared = load_file(ROOT / "filmgate.example.toml", SECRETS)
    done = await apply_configuration(bench.components, declared)
    assert done.changes == [
        'accounts "kling-main" added', 'accounts "gpu" added',
        'routes "sora-2" added', 'routes "cheap" added', 'routes "veo*" added',
        'keys "web" added', 'prices "sora-2" added',
    ]  # fmt: skip
    assert done.warnings == []
    assert (await apply_configuration(bench.components, declared)).changes == []
    catalog = bench.components.catalog
    assert [(c.account.name, c.model) for c in catalog.candidates("video", "sora-2")] == [
        ("kling-main", "kling-v2-5-turbo"), ("gpu", "wan-2.2"),
    ]  # fmt: skip
    assert catalog.resolve_name("cheap").path[-1] == "veo3-fast"
    key = await bench.components.keys.authenticate(SECRETS["WEB_KEY"])
    assert (key.models, key.rpm, key.budget_monthly) == (("sora-2", "cheap"), 60, 50)
    task = await bench.create(key=key, seconds=4, resolution="720p")
    [line] = await bench.components.money.reports.budget_lines(key, now=task.created_at)
    assert (line.period, line.reserved, line.left) == ("monthly", Decimal("0.4"), Decimal("49.6"))


async def test_what_the_file_says_of_keys_and_prices_is_changed_nowhere_else(bench: Bench) -> None:
    await apply_configuration(bench.components, parse_text(KEY + PRICE, {"WEB": WEB}))
    key, prices = await bench.components.keys.authenticate(WEB), bench.components.money.prices
    for change in (
        bench.components.keys.update(key.id, {"rpm": 1}),
        prices.set_price("sora-2", ModelPrice(per_call=Decimal(9))),
        prices.remove_price("sora-2"),
    ):
        with pytest.raises(InvalidRequest, match="declared in the configuration file: change it there"):
            await change
    # Once it has left the file, it is the operator's again.
    await apply_configuration(bench.components, parse_text("", {}))
    await bench.components.keys.update(key.id, {"rpm": 1})
    await prices.remove_price("sora-2")
    assert await prices.current_price("sora-2") is None


async def test_what_the_file_declared_is_free_once_there_is_no_file(bench: Bench, tmp_path: Path) -> None:
    components = bench.components
    path = tmp_path / "filmgate.toml"
    path.write_text(ROUTE.replace("farm", "upstream") + PRICE)
    with_file = replace(components, settings=components.settings.model_copy(update={"config": path}))
    await applied(bench, FARM)  # as `filmgate config apply` does: no start knows of it
    assert await apply_configuration_file(components, frees=True) == AppliedChanges()
    assert (await farm(bench)).source == "file"
    assert await free_declared_rows(components) == ['accounts "farm" freed']
    assert await free_declared_rows(components) == []
    await components.accounts.update("farm", AccountChange(slots=9))
    await apply_configuration_file(with_file, frees=True)
    assert (
        await apply_configuration_file(components) == AppliedChanges()
    )  # a worker: the file may be the gateway's
    freed = ['routes "sora-2" freed', 'prices "sora-2" freed']
    assert (await apply_configuration_file(components, frees=True)).changes == freed
    await components.money.prices.remove_price("sora-2")
    route = await components.catalog.routes.get("sora-2")
    assert (route.source, route.document.enabled) == ("store", True)
    assert (await farm(bench)).enabled
    assert await apply_configuration_file(components, frees=True) == AppliedChanges()


async def test_another_secret_is_another_key_and_a_project_keeps_its_tasks(bench: Bench) -> None:
    text = KEY.replace("rpm = 60", 'project = "shop"')
    await apply_configuration(bench.components, parse_text(text, {"WEB": WEB}))
    old = await bench.components.keys.authenticate(WEB)
    done = await apply_configuration(bench.components, parse_text(text, {"WEB": WEB + "-2"}))
    assert done.changes == ['keys "web" added', 'keys "web" disabled: it left the file']
    new = await bench.components.keys.authenticate(WEB + "-2")
    assert new.id != old.id
    assert new.owner == old.owner == "project:shop"
    with pytest.raises(SettingsInvalid, match=r'^keys "web": project cannot be changed'):
        await apply_configuration(bench.components, parse_text(KEY, {"WEB": WEB + "-2"}))


async def test_keys_and_prices(bench: Bench) -> None:
    environment = {"WEB": WEB}
    declared = parse_text(KEY + PRICE, environment)
    assert (await apply_configuration(bench.components, declared)).changes == [
        'keys "web" added',
        'prices "sora-2" added',
    ]
    assert (await apply_configuration(bench.components, declared)).changes == []
    key = await bench.components.keys.authenticate(WEB)
    assert (key.name, key.rpm, key.source, key.expires_at) == ("web", 60, "file", 3_786_912_000)
    price = await bench.components.money.prices.current_price("sora-2")
    assert price is not None
    assert price.per_call == Decimal("0.5")
    changed = parse_text((KEY + PRICE).replace("60", "70").replace("0.5", "0.6"), environment)
    assert (await apply_configuration(bench.components, changed)).changes == [
        'keys "web" changed',
        'prices "sora-2" changed',
    ]
    assert (await apply_configuration(bench.components, parse_text("", {}))).changes == [
        'keys "web" disabled: it left the file',
        'prices "sora-2" kept, though it left the file',
    ]
    left = await bench.components.keys.get(key.id)
    assert (left.enabled, left.source, left.note) == (False, "store", LEFT_THE_FILE)
    kept = await bench.components.money.prices.current_price("sora-2")
    assert kept is not None
    assert kept.per_call == Decimal("0.6")
    await apply_configuration(bench.components, declared)
    assert (await bench.components.keys.get(key.id)).enabled


async def test_keys_can_be_changed_once_there_is_no_file(
    tmp_path: Path, database_url: str, upstream: FakeUpstream
) -> None:
    async with replica(settings_for(tmp_path, database_url), upstream) as bench:
        keys = bench.components.keys
        declared = await keys.declare("a-secret-from-the-file-0123", {"name": "shop"})
        with pytest.raises(InvalidRequest, match="declared in the configuration file"):
            await keys.update(declared.id, {"rpm": 5})
        assert len((await apply_configuration_file(bench.components)).changes) == 1
        assert (await apply_configuration_file(bench.components)).changes == []
        assert (await keys.update(declared.id, {"rpm": 5})).enabled
        assert (await keys.authenticate("a-secret-from-the-file-0123")).rpm == 5


async def test_replicas_that_start_together_apply_it_once(
    tmp_path: Path, database_url: str, upstream: FakeUpstream
) -> None:
    path = tmp_path / "filmgate.toml"
    path.write_text((FARM + ROUTE).replace('secret_env = "FARM"\n', ""))
    settings = settings_for(tmp_path, database_url, config=path)
    async with replica(settings, upstream) as one, replica(settings, upstream) as other:
        done = await asyncio.gather(
            apply_configuration_file(one.components), apply_configuration_file(other.components)
        )
        assert sorted(len(each.changes) for each in done) == [0, 2]
        assert [each.account.name for each in await other.components.accounts.list_all()] == ["farm"]
