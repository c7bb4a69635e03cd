"""What is read of other gateways' databases and exports, before anything is written here."""

import re
from decimal import Decimal
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from app.errors import InvalidRequest
from app.moving.deployments import PeerSecrets
from app.moving.plan import (
    LeftOut,
    MovedAccount,
    MovedKey,
    MovedPart,
    MovedPrice,
    MovedProject,
    MovedRoute,
    Peer,
)
from app.moving.reading import read_plan
from app.moving.sealed_values import is_sealed, open_value
from app.moving.vendors import vendors_of
from app.moving.words import KINDS, OUTCOMES, REMARKS, SENTENCES
from app.providers.base import Account
from app.providers.registry import provider_class
from tests import stores
from tests.moving import peers
from tests.moving.conftest import mysql_database, postgres_database, sqlite_file
from tests.moving.peers import SALT_KEY, PeerStore

MOVING = Path(__file__).parent.parent.parent / "app" / "moving"


async def plan_of(peer: Peer, place: str | Path, **secrets: Any) -> list[MovedPart]:
    return await read_plan(
        peer,
        str(place),
        read_file=lambda path: Path(path).read_text(),
        secrets=PeerSecrets(**secrets),
        slots=5,
    )


def told(parts: list[MovedPart], kind: type[MovedPart]) -> dict[str, list[str]]:
    """By their name there: the words of the remarks."""
    return {part.there: [each.word for each in part.remarks] for part in parts if isinstance(part, kind)}


def accounts_of(parts: list[MovedPart]) -> dict[str, Any]:
    return {part.draft.name: part.draft for part in parts if isinstance(part, MovedAccount)}


async def test_channels_become_accounts(tmp_path: Path) -> None:
    parts = await plan_of("new-api", sqlite_file(tmp_path, peers.new_api()))
    accounts = accounts_of(parts)
    assert list(accounts) == ["kling #1", "kling #2", "relay (2)", "relay (3)"]
    first, second, relay = accounts["kling #1"], accounts["kling #2"], accounts["relay (2)"]
    assert (first.provider, first.base_url, first.secret) == ("kling", "https://api.klingai.com", "AK1|SK1")
    assert first.models == {"kling-v2-5-turbo": "kling-v2-5-turbo", "sora-2-pro": "kling-v2-master"}
    assert first.tags == {"vip", "films", "pro"}
    assert (first.tier, first.weight, first.slots, first.note) == (0, 1.0, 5, "paid by card")
    assert (first.enabled, second.enabled, accounts["relay (3)"].enabled) == (True, False, False)
    assert (relay.tier, relay.weight, relay.proxy) == (1, 30.0, "http://user:pw@proxy.example.com:8080")
    assert (relay.provider, relay.base_url) == ("openai_compatible", "https://relay.example.com")
    assert told(parts, MovedAccount) == {
        "kling (channel 1) #1": [],
        "kling (channel 1) #2": ["disabled"],
        "relay (channel 2)": ["fields_lost"],
        "relay (channel 3)": ["auto_disabled"],
    }
    assert told(parts, LeftOut)["azure (channel 4)"] == ["no_adapter"]


async def test_tokens_and_ratios_become_keys_and_prices(tmp_path: Path) -> None:
    parts = await plan_of("new-api", sqlite_file(tmp_path, peers.new_api()))
    shop, old = (part for part in parts if isinstance(part, MovedKey))
    assert shop.secret == f"sk-{peers.CLIENT_KEY}"
    assert shop.terms == {
        "name": "root/shop",
        "project": "root",
        "enabled": True,
        "expires_at": None,
        "models": ["gpt-4o", "sora-2"],
        "networks": ["10.0.0.0/8", "192.0.2.1"],
        "budget_total": Decimal(3),
    }
    assert (old.secret, old.terms["enabled"], old.terms["expires_at"]) == ("", False, 4_102_444_800.0)
    assert old.terms["budget_total"] is None, "unlimited, but for what its user's tokens share"
    [user] = [part for part in parts if isinstance(part, MovedProject)]
    assert user.terms == {"name": "root", "enabled": True, "budget_total": Decimal(10)}
    assert old.terms["models"] == ["dall-e-3", "gpt-4o", "sora-2"], "those of its user's group"
    assert told(parts, MovedKey) == {
        "root/shop": ["group_lost"],
        "root/old": ["group_as_models", "weak_secret"],
    }
    prices = {part.model: part.price for part in parts if isinstance(part, MovedPrice)}
    assert (prices["gpt-4o"].per_million_input, prices["gpt-4o"].per_million_output) == (
        Decimal("2.5"),
        Decimal(10),
    )
    assert prices["sora-2"].per_second == {"*": Decimal("0.1"), "1792x1024": Decimal("0.166667")}
    assert prices["dall-e-3"].per_call == Decimal("0.04")
    assert prices["kling-v2-5-turbo"].per_call == Decimal("0.35")
    left = told(parts, LeftOut)
    assert (left["sora-2-pro"], left["GroupRatio"]) == (["no_price"], ["group_ratio"])


@pytest.mark.parametrize("server", ["postgres", "mysql"])
async def test_every_database_gives_the_same_plan(
    server: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    wanted = await plan_of("new-api", sqlite_file(tmp_path, peers.new_api()))
    if server == "mysql":
        address = mysql_database(request.getfixturevalue("mysql_server"), peers.new_api())
        host = address.split("@")[1].split("/")[0]
        go_dsn = f"root:secret@tcp({host})/oneapi?charset=utf8mb4&parseTime=True"
        assert await plan_of("new-api", go_dsn) == wanted
        assert await plan_of("new-api", address) == wanted
        return
    request.getfixturevalue("postgres_server")
    address = await postgres_database(peers.new_api())
    assert await plan_of("new-api", address) == wanted
    assert await plan_of("new-api", f"{address}?schema=public&connection_limit=5") == wanted
    with pytest.raises(InvalidRequest, match="has the parameter colour"):
        await plan_of("new-api", f"{address}?colour=blue")
    stores.drop(address)


async def test_a_token_whose_group_has_none_of_its_models_is_disabled(tmp_path: Path) -> None:
    """Without a model a key may use every one here."""
    store = peers.new_api()
    store.rows["tokens"][0] |= {"group": "default", "model_limits": "sora-2-pro"}
    parts = await plan_of("new-api", sqlite_file(tmp_path, store))
    [shop, _] = (part for part in parts if isinstance(part, MovedKey))
    assert (shop.terms["models"], shop.terms["enabled"]) == ([], False)
    assert told(parts, MovedKey)["root/shop"] == ["group_without_models"]


async def test_a_channel_without_models_is_no_account_for_all_of_them(tmp_path: Path) -> None:
    store = peers.one_api()
    store.rows["channels"][0]["models"] = ""
    parts = await plan_of("one-api", sqlite_file(tmp_path, store))
    assert (accounts_of(parts), told(parts, LeftOut)["custom (channel 1)"]) == ({}, ["no_models"])


async def test_a_go_address_that_asks_for_tls_is_not_read_without() -> None:
    with pytest.raises(InvalidRequest, match=r"mysql://user:password@host:3306/name\?ssl_ca=FILE"):
        await plan_of("new-api", "root:secret@tcp(127.0.0.1:9)/oneapi?charset=utf8mb4&tls=true")


async def test_an_address_where_nobody_answers_says_so() -> None:
    for address in ("postgresql://root:hidden@127.0.0.1:9/x", "mysql://root:hidden@127.0.0.1:9/x"):
        with pytest.raises(InvalidRequest, match="PLACE: the database can't be read") as error:
            await plan_of("new-api", address)
        assert "hidden" not in error.value.message


async def test_an_export_has_no_keys(tmp_path: Path) -> None:
    path = tmp_path / "channels.json"
    path.write_text(peers.as_export(peers.new_api()))
    parts = await plan_of("new-api", path)
    drafts = accounts_of(parts)
    assert [draft.secret for draft in drafts.values()] == ["", "", ""]
    assert not any(draft.enabled for draft in drafts.values())
    assert told(parts, MovedAccount)["relay (channel 2)"] == ["fields_lost", "secret_missing"]


async def test_one_api_numbers_its_vendors_otherwise(tmp_path: Path) -> None:
    parts = await plan_of("one-api", sqlite_file(tmp_path, peers.one_api()))
    [custom] = accounts_of(parts).values()
    assert (custom.provider, custom.base_url) == ("openai_compatible", "https://custom.example.com")
    assert custom.models == {"a": "b", "b": "c"}, "one step of the mapping"
    [key] = [part for part in parts if isinstance(part, MovedKey)]
    assert (key.terms["models"], key.terms["networks"]) == (["a"], ["192.0.2.0/24", "198.51.100.0/24"])
    assert (key.terms["budget_total"], key.terms["enabled"]) == (Decimal(0), True)
    assert told(parts, LeftOut)["cohere (channel 2)"] == ["no_adapter"]


async def test_little_of_sora2api_is_carried(tmp_path: Path) -> None:
    parts = await plan_of("sora2api", sqlite_file(tmp_path, peers.sora2api()))
    assert told(parts, MovedKey) == {"api_key": ["weak_secret"]}
    assert told(parts, LeftOut)["a@example.com"] == ["service_ended"]
    exported = tmp_path / "tokens.json"
    exported.write_text('[{"email": "b@example.com", "access_token": "eyJ", "session_token": null}]')
    left = told(await plan_of("sora2api", exported), LeftOut)
    assert (left["b@example.com"], left["api_key"]) == (["service_ended"], ["not_in_file"])


CONFIG = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/TEAM_KEY, rpm: 60, order: 1}
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/TEAM_KEY, order: 2}
  - model_name: spare
    litellm_params: {model: hosted_vllm/qwen, api_base: https://gpu.example.com/v1, timeout: 60}
    model_info: {output_cost_per_second: 0.5}
  - model_name: film
    litellm_params: {model: azure/sora, api_key: os.environ/AZURE_API_KEY}
  - model_name: lost
    litellm_params: {model: anthropic/claude-sonnet-5, api_key: os.environ/NOWHERE}
  - model_name: openai/*
    litellm_params: {model: openai/*, api_key: sk-1}
router_settings:
  model_group_alias: {chat: gpt-4o}
litellm_settings:
  fallbacks: [{gpt-4o: [spare]}]
  context_window_fallbacks: [{gpt-4o: [spare]}]
general_settings: {master_key: sk-1234}
"""


async def test_a_configuration_of_litellm(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    parts = await plan_of("litellm", path, variables={"TEAM_KEY": "sk-team"})
    accounts = accounts_of(parts)
    assert list(accounts) == ["OpenAI", "OpenAI 2", "vLLM gpu.example.com", "Anthropic"]
    assert (accounts["OpenAI"].secret, accounts["OpenAI"].rpm) == ("sk-team", 60)
    assert accounts["OpenAI 2"].models == {"gpt-4o": "gpt-4o-mini"}
    assert (accounts["vLLM gpu.example.com"].enabled, accounts["Anthropic"].enabled) == (True, False)
    assert told(parts, MovedAccount)["lost"] == ["variable_missing"]
    routes = {part.document.model: part.document for part in parts if isinstance(part, MovedRoute)}
    lines = [(each.account, each.model, each.order) for each in routes["gpt-4o"].candidates]
    assert [each[:2] for each in sorted(lines, key=lambda each: each[2] or 0)] == [
        ("OpenAI", "gpt-4o"),
        ("OpenAI 2", "gpt-4o-mini"),
        ("vLLM gpu.example.com", "qwen"),
    ]
    assert routes["chat"].alias_of == "gpt-4o"
    prices = {part.model: part.price for part in parts if isinstance(part, MovedPrice)}
    assert prices["spare"].per_second == {"*": Decimal("0.5")}
    left = told(parts, LeftOut)
    assert (left["film"], left["openai/*"], left["master_key"]) == (
        ["no_adapter"],
        ["wildcard"],
        ["master_key"],
    )
    assert left["router_settings"] == ["fields_lost"]


async def test_a_database_of_litellm_is_opened_with_its_key(postgres_server: str) -> None:
    address = await postgres_database(peers.litellm())
    try:
        parts = await plan_of("litellm", address, salt_key=SALT_KEY)
        closed = await plan_of("litellm", address)
        wrong = await plan_of("litellm", address, salt_key="sk-other")
    finally:
        stores.drop(address)
    accounts = accounts_of(parts)
    assert {name: draft.secret for name, draft in accounts.items()} == {
        "OpenAI": peers.OPENED_SECRET,
        "OpenAI gpu.example.com": peers.OPENED_SECRET,
    }
    assert accounts["OpenAI gpu.example.com"].base_url == "https://gpu.example.com/v1"
    [route] = [part.document for part in parts if isinstance(part, MovedRoute) and part.document.candidates]
    assert [each.weight for each in route.candidates] == [3.0, 1.0]
    [key] = [part for part in parts if isinstance(part, MovedKey)]
    assert (key.secret, key.terms["name"], key.terms["project"]) == ("", "shop", "films")
    assert (key.terms["budget_monthly"], key.terms["rpm"], key.terms["models"]) == (
        Decimal(20),
        60,
        ["gpt-4o"],
    )
    assert told(parts, MovedKey)["shop (sk-...1)"] == ["new_secret", "fields_lost"]
    [team] = [part.terms for part in parts if isinstance(part, MovedProject)]
    assert (team["name"], team["budget_total"], team["rpm"]) == ("films", Decimal(100), None)
    [price] = [part.price for part in parts if isinstance(part, MovedPrice)]
    assert (price.per_million_input, price.per_million_output) == (Decimal("2.5"), Decimal(10))
    assert (accounts_of(closed), told(closed, LeftOut)["gpt-4o"]) == ({}, ["encrypted"])
    assert (accounts_of(wrong), told(wrong, LeftOut)["gpt-4o"]) == ({}, ["wrong_key"])


def test_each_form_of_an_encrypted_value_is_opened() -> None:
    forms = (peers.BOXED_MODEL, peers.HASHED_MODEL, peers.stretched(peers.OPENED_MODEL))
    assert all(is_sealed(form) for form in forms)
    assert {open_value(form, SALT_KEY) for form in forms} == {peers.OPENED_MODEL}
    assert {open_value(form, "sk-other") for form in forms} == {None}
    assert {open_value(form[:-8], SALT_KEY) for form in forms} == {None}
    assert not any(map(is_sealed, ("openai/gpt-4o", "https://gpu.example.com/v1", "sk-1234", "")))


@pytest.mark.parametrize(
    ("peer", "content", "why"),
    [
        ("new-api", "not JSON", "neither a database nor JSON"),
        ("new-api", "[]", "not what new-api keeps"),
        ("one-api", '{"data": 5}', "must be a list of channels"),
        ("sora2api", "{}", "must be a list of tokens"),
        ("litellm", "a: [", "neither a database nor YAML"),
        ("litellm", "a: 1", "has one of model_list"),
    ],
)
async def test_a_file_of_something_else_is_refused(
    peer: Peer, content: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises(InvalidRequest, match=why):
        await plan_of(peer, path)


async def test_the_database_of_another_gateway_is_refused(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path, PeerStore(peers.sora2api().tables, {}))
    with pytest.raises(InvalidRequest, match="not what LiteLLM keeps"):
        await plan_of("litellm", path)
    with pytest.raises(InvalidRequest, match="save the export as a file"):
        await plan_of("new-api", "https://gateway.example.com/api/channel")


def test_every_vendor_leads_to_a_provider_that_takes_its_address() -> None:
    """Where it has an address of its own; the others must state one."""
    checked = 0
    for peer in ("new-api", "one-api", "litellm"):
        for vendor in vendors_of(peer).values():  # type: ignore[arg-type]
            if vendor.provider and vendor.base_url:
                account = Account("", vendor.provider, "x", base_url=vendor.base_url)
                assert provider_class(vendor.provider).base_url_for(account).startswith("http")
                assert vendor.address_of(vendor.built_in) == vendor.base_url
                checked += 1
    assert checked > 70


def test_every_word_is_said_in_both_languages() -> None:
    used = {
        word
        for path in MOVING.glob("*.py")
        if path.name != "words.py"
        for found in re.findall(
            r'Remark\(\s*"(\w+)"|left_out\(\s*[^,]+,\s*[^,]+(?:\([^)]*\))?,\s*"(\w+)"|ClosedValue\("(\w+)"\)',
            path.read_text(),
        )
        for word in found
        if word
    }
    assert used == REMARKS["en"].keys()
    for table in (KINDS, OUTCOMES, REMARKS, SENTENCES):
        assert table["en"].keys() == table["zh"].keys()
        for word, text in table["en"].items():
            names = {name for _, name, _, _ in Formatter().parse(text) if name}
            assert names == {name for _, name, _, _ in Formatter().parse(table["zh"][word]) if name}, word
