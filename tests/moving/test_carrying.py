"""`filmgate import` as an operator runs it: a store with what was there, run twice, and nothing overwritten."""

import asyncio
import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.accounts.definition import AccountDraft
from app.assembly import assemble_components
from app.catalog.price import ModelPrice
from app.components import Components
from app.errors import InvalidRequest
from app.keys.projects import ProjectRepository
from tests import stores
from tests.cli.running import inside
from tests.moving import peers
from tests.moving.conftest import sqlite_file
from tests.tasks.conftest import settings_for

SECRET_KEY = "0123456789abcdef0123456789abcdef"


class Operator:
    """One store, and the command on it."""

    def __init__(self, folder: Path, database_url: str) -> None:
        self.folder, self.url = folder / "data", database_url
        self.folder.mkdir()

    def run(self, *words: str | Path, **variables: str) -> Any:
        given = {
            "FILMGATE_DATABASE_URL": self.url,
            "FILMGATE_SECRET_KEY": SECRET_KEY,
            "FILMGATE_STUDIO": "off",
        }
        return inside("import", *words, data=self.folder, **given, **variables)

    def moved(self, *words: str | Path, **variables: str) -> dict[str, Any]:
        done = self.run(*words, "--json", "--lang", "en", **variables)
        assert done.exit_code == 0, (done.output, done.exception)
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def inside_store(self, action: Any) -> Any:
        async def open_and_run() -> Any:
            components = await assemble_components(settings_for(self.folder, self.url))
            try:
                return await action(components)
            finally:
                await components.close()

        return asyncio.run(open_and_run())


@pytest.fixture
def operator(tmp_path: Path, database_url: str) -> Operator:
    return Operator(tmp_path, database_url)


def outcomes(document: dict[str, Any]) -> Counter[str]:
    return Counter(row["outcome"] for row in document["rows"])


def test_moving_in_twice_adds_nothing_twice(operator: Operator, tmp_path: Path) -> None:
    source = sqlite_file(tmp_path, peers.new_api())
    before = source.read_bytes()
    source.chmod(0o444)
    tried = operator.moved("--from", "new-api", source, "--dry-run")
    assert outcomes(tried) == {"would_add": 11, "left_out": 3}
    assert tried["secrets"] == []
    first = operator.moved("--from", "new-api", source)
    assert outcomes(first) == {"added": 11, "left_out": 3}
    [made] = first["secrets"]
    assert made["key"] == "root/old"

    async def look(components: Components) -> None:
        accounts = {each.account.name: each for each in await components.accounts.list_all()}
        assert len(accounts) == 4
        assert accounts["kling #1"].account.secret == "AK1|SK1"
        assert (accounts["kling #1"].enabled, accounts["kling #2"].enabled) == (True, False)
        shop = await components.keys.authenticate(f"sk-{peers.CLIENT_KEY}", address="10.1.2.3")
        assert (shop.owner, shop.budget_total) == ("project:root", Decimal(3))
        projects = ProjectRepository(components.database, components.vault, components.keys)
        assert [each.terms.budget_total for each in await projects.list()] == [Decimal(10)]
        old = await components.keys.find_by_secret(made["secret"])
        assert old is not None and not old.enabled
        assert len(await components.keys.list()) == 2
        price = await components.money.prices.current_price("sora-2")
        assert price is not None and price.per_second["*"] == Decimal("0.1")

    operator.inside_store(look)
    second = operator.moved("--from", "new-api", source)
    assert outcomes(second) == {"there": 11, "left_out": 3}
    assert second["secrets"] == []
    operator.inside_store(look)
    assert source.read_bytes() == before


def test_what_the_operator_has_stays_as_it_is(operator: Operator, tmp_path: Path) -> None:
    own = {"provider": "openai_compatible", "base_url": "https://relay.example.com"}

    async def prepare(components: Components) -> None:
        same = AccountDraft.model_validate(own | {"name": "mine", "secret": "sk-relay-1", "slots": 40})
        other = AccountDraft.model_validate(own | {"name": "relay (3)", "secret": "sk-other"})
        await components.accounts.add(same)
        await components.accounts.add(other)
        await components.keys.create_key({"name": "shop", "rpm": 5}, secret=f"sk-{peers.CLIENT_KEY}")
        await components.money.prices.set_price("gpt-4o", ModelPrice(per_call=Decimal(1)))

    operator.inside_store(prepare)
    rows = {
        row["there"]: row
        for row in operator.moved("--from", "new-api", sqlite_file(tmp_path, peers.new_api()))["rows"]
    }
    relay = rows["relay (channel 2)"]
    assert (relay["outcome"], relay["here"], relay["reasons"]) == ("kept", "mine", ["differs"])
    assert "slots" in relay["why"]
    taken = rows["relay (channel 3)"]
    assert (taken["outcome"], taken["reasons"]) == ("kept", ["name_taken"])
    assert (rows["root/shop"]["outcome"], rows["gpt-4o"]["outcome"]) == ("kept", "kept")

    async def look(components: Components) -> None:
        mine = await components.accounts.find("mine")
        assert (mine.account.slots, mine.account.models) == (40, {})
        assert (await components.accounts.find("relay (3)")).account.secret == "sk-other"
        key = await components.keys.find_by_secret(f"sk-{peers.CLIENT_KEY}")
        assert key is not None and (key.name, key.rpm, key.budget_total) == ("shop", 5, None)
        price = await components.money.prices.current_price("gpt-4o")
        assert price is not None and price.per_call == 1

    operator.inside_store(look)


CONFIG = """
model_list:
  - {model_name: gpt-4o, litellm_params: {model: openai/gpt-4o, api_key: os.environ/TEAM_KEY, weight: 3}}
  - {model_name: gpt-4o, litellm_params: {model: hosted_vllm/qwen, api_base: "http://127.0.0.1:9/v1", weight: 1}}
  - {model_name: ours, litellm_params: {model: xai/grok, api_key: os.environ/FILMGATE_SECRET_KEY}}
  - {model_name: lost, litellm_params: {model: anthropic/claude-sonnet-5, api_key: os.environ/NOWHERE}}
router_settings: {model_group_alias: {chat: gpt-4o}}
"""


def test_accounts_without_names_find_a_free_one(operator: Operator, tmp_path: Path) -> None:
    async def prepare(components: Components) -> None:
        taken = {
            "provider": "openai_compatible",
            "name": "OpenAI",
            "base_url": "http://127.0.0.1:9",
            "secret": "sk-x",
        }
        await components.accounts.add(AccountDraft.model_validate(taken))

    operator.inside_store(prepare)
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    first = operator.moved("--from", "litellm", path, TEAM_KEY="sk-team")
    assert outcomes(first) == {"added": 6, "left_out": 1}

    async def put_in_the_secret(components: Components) -> None:
        lost = await components.accounts.find("Anthropic")
        assert not lost.enabled
        ours = await components.accounts.find("xAI")
        assert (ours.account.secret, ours.enabled) == ("", False), "our own secrets are not given away"
        await components.accounts.rotate_secret("Anthropic", "sk-ant-found")
        route = (await components.catalog.routes.get("gpt-4o")).document
        assert [(each.account, each.weight) for each in route.candidates] == [
            ("OpenAI 2", 3.0),
            ("vLLM 127.0.0.1:9", 1.0),
        ]

    operator.inside_store(put_in_the_secret)
    second = operator.moved("--from", "litellm", path, TEAM_KEY="sk-team")
    assert outcomes(second) == {"there": 6, "left_out": 1}
    assert len(operator.inside_store(lambda components: components.accounts.list_all())) == 5


def test_a_row_that_can_not_be_stops_no_other(tmp_path: Path) -> None:
    store = peers.one_api()
    store.rows["channels"][0]["base_url"] = "no address"
    store.rows["channels"].append(
        store.rows["channels"][0] | {"id": 9, "name": "good", "base_url": "http://127.0.0.1:9"}
    )
    operator = Operator(tmp_path, stores.sqlite_store(tmp_path / "test.db"))
    rows = {
        row["there"]: row for row in operator.moved("--from", "one-api", sqlite_file(tmp_path, store))["rows"]
    }
    assert (rows["custom (channel 1)"]["outcome"], rows["custom (channel 1)"]["reasons"]) == (
        "left_out",
        ["invalid"],
    )
    assert "base_url" in rows["custom (channel 1)"]["why"]
    assert rows["good (channel 9)"]["outcome"] == "added"


def test_it_speaks_chinese_and_prints_a_new_secret_by_itself(tmp_path: Path) -> None:
    operator = Operator(tmp_path, stores.sqlite_store(tmp_path / "test.db"))
    done = operator.run("--from", "sora2api", sqlite_file(tmp_path, peers.sora2api()), "--lang", "zh")
    assert done.exit_code == 0, done.exception
    assert "未迁移" in done.stdout and "这是一个已停止的网页服务的会话" in done.stdout
    [line] = [line for line in done.stdout.splitlines() if "\t" in line]
    name, secret = line.split("\t")
    assert name == "sora2api"
    assert operator.inside_store(lambda components: components.keys.authenticate(secret)).name == "sora2api"
    assert "请立即保存" in done.stderr


def test_what_is_given_wrongly_is_named(tmp_path: Path) -> None:
    operator = Operator(tmp_path, stores.sqlite_store(tmp_path / "test.db"))
    for words, why in (
        (("--from", "openai", "x"), "--from must be one of new-api, one-api, sora2api, litellm"),
        (("--from", "new-api", tmp_path / "nowhere"), "PLACE: "),
        (("--from", "new-api", "env:NOWHERE"), "PLACE: there is no variable NOWHERE"),
        (("--from", "litellm", "x", "--key-from-env", "NOWHERE"), "--key-from-env: there is no variable"),
    ):
        error = operator.run(*words).exception
        assert isinstance(error, InvalidRequest) and error.message.startswith(why), (words, error)
