"""Accounts at declared upstreams: the file is read once, and its mistakes are told where an operator meets them."""

import json
import tomllib
from pathlib import Path

import pytest

from app.accounts.definition import AccountDraft
from app.components import Components
from app.configuration.toml_file import load_file
from app.errors import InvalidRequest, SettingsInvalid
from app.providers.declared.provider import EXAMPLE
from tests.cli.running import inside
from tests.serving import GatewayProcess

GIVEN = ("accounts", "add", "acme", "--provider", "declared", "--secret", "sk-acme")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "acme.toml"
    path.write_text(EXAMPLE.read_text())
    return path


def test_a_file_becomes_an_account_and_its_mistakes_are_named(path: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    good = path.read_text()
    for broken, told in (
        (good.replace('id = "requestId"', 'id = "requestId["'), "acme.toml: submit.id: is no JMESPath"),
        (good.replace("[submit]", "[submit"), "acme.toml is no TOML: "),
    ):
        path.write_text(broken)
        refused = inside(*GIVEN, "--option", f"declaration=@{path}", data=data).exception
        assert isinstance(refused, InvalidRequest) and refused.message.startswith(told), refused
    path.write_text(good)
    assert inside(*GIVEN, "--option", f"declaration=@{path}", data=data).exit_code == 0
    path.unlink()  # what it said is kept

    async def look(components: Components) -> None:
        account = (await components.accounts.find("acme")).account
        assert account.options["declaration"] == {"file": "acme.toml"} | tomllib.loads(good)
        await components.pool.provider_by_id(account.id)
        wrong = {"provider": "declared", "name": "wrong", "base_url": "http://127.0.0.1:9", "secret": "x"}
        declaration = {"file": "wrong.toml", "title": "W"}
        draft = AccountDraft.model_validate(wrong | {"options": {"declaration": declaration}})
        await components.pool.insert_draft(draft, source="store")

    GatewayProcess(tmp_path, FILMGATE_DATA_DIR=str(data)).prepare(look)
    done = inside("doctor", "--json", data=data, FILMGATE_PORT="0")
    found = {row["check"]: row for row in json.loads(done.stdout)["rows"]}["accounts"]
    assert (done.exit_code, found["state"]) == (1, "✗ fail")
    assert "wrong can't work: wrong.toml: submit: is required" in found["found"]


def test_the_configuration_names_the_file_beside_it(path: Path) -> None:
    text = """
[[accounts]]
name = "acme"
provider = "declared"
secret_env = "ACME_KEY"
options = { declaration_file = "acme.toml" }
"""
    configuration = path.with_name("filmgate.toml")
    configuration.write_text(text)
    [account] = load_file(configuration, {"ACME_KEY": "sk-acme"}).accounts
    assert account.options == {"declaration": {"file": "acme.toml"} | tomllib.loads(path.read_text())}
    path.unlink()
    with pytest.raises(SettingsInvalid, match=r'filmgate\.toml: accounts "acme": .*acme\.toml can.t be read'):
        load_file(configuration, {"ACME_KEY": "sk-acme"})
    configuration.write_text(text.replace('"acme.toml"', "5"))
    with pytest.raises(SettingsInvalid, match=r"options\.declaration_file: it must name a TOML file"):
        load_file(configuration, {"ACME_KEY": "sk-acme"})
