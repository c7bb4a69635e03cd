"""The configuration file is read whole or refused with one line that says where."""

from decimal import Decimal
from pathlib import Path

import pytest

from app.configuration.toml_file import load_file, parse_text
from app.errors import SettingsInvalid

ROOT = Path(__file__).parent.parent.parent
SECRETS = {"KLING_KEY": "sk-kling", "GPU_KEY": "sk-gpu", "WEB_KEY": "sk-web-0123456789abcdef"}


def test_the_example_can_be_loaded() -> None:
    declared = load_file(ROOT / "filmgate.example.toml", SECRETS)
    kling, gpu = declared.accounts
    assert (kling.name, kling.secret, gpu.secret) == ("kling-main", "sk-kling", "sk-gpu")
    assert kling.expires_at == 1_896_048_000
    assert [route.model for route in declared.routes] == ["sora-2", "cheap", "veo*"]
    first, second = declared.routes[0].candidates
    assert first.overrides.map.seconds == {"4": 5.0, "8": 10.0, "12": 10.0}
    assert second.model == "wan-2.2"
    assert [order for order, _ in declared.routes[2].numbered_candidates()] == [0, 0]
    assert (declared.keys[0].terms["name"], declared.keys[0].secret) == ("web", SECRETS["WEB_KEY"])
    assert declared.prices[0].price.per_second == {"720p": Decimal("0.1"), "1080p": Decimal("0.3")}
    assert declared.accounts_with_enabled == frozenset()
    for secret in SECRETS.values():
        assert secret not in repr(declared)


def test_the_example_lists_every_variable_that_it_needs() -> None:
    needed = set(SECRETS)
    for name in needed:
        with pytest.raises(
            SettingsInvalid, match=f"^filmgate.example.toml: .*: secret_env: .* {name} "
        ) as told:
            load_file(ROOT / "filmgate.example.toml", {other: SECRETS[other] for other in needed - {name}})
        assert not any(secret in told.value.message for secret in SECRETS.values())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = ?", "this is no TOML: Invalid value (at line 1, column 5)"),
        ("[[acounts]]", "acounts: there is no such table; there are accounts, routes, keys, prices"),
        ("[accounts]\nname = 'x'", "accounts: write each row under [[accounts]]"),
        ("[[accounts]]\nprovider = 'kling'", "accounts, row 1: name is required"),
        ("[[routes]]\nalias_of = 'x'", "routes, row 1: model is required"),
        (
            "[[accounts]]\nname = 'a'\nprovider = 'kling'\nslots = 'many'",
            'accounts "a": slots: should be a valid integer, unable to parse string as an integer',
        ),
        (
            "[[accounts]]\nname = 'a'\nprovider = 'kling'\nslot = 1",
            'accounts "a": slot: there is no such field; did you mean slots?',
        ),
        (
            "[[prices]]\nmodel = 'm'\nxyz = 1",
            'prices "m": xyz: there is no such field; there are model, per_call, per_second, per_image, '
            "per_million_input, per_million_output, per_unit, most_output_tokens",
        ),
        ("[[prices]]\nmodel = 'a*b'\nper_call = 1", 'prices "a*b": model must be a name, or a family like veo*'),
        (
            "[[accounts]]\nname = 'a'\nprovider = 'kling'\nsecret = 'sk-in-the-clear'",
            'accounts "a": secret: keep it out of this file; secret_env names the variable that holds it',
        ),
        (
            "[[accounts]]\nname = 'a'\nprovider = 'kling'\nsecret_env = 'NOT_THERE'",
            'accounts "a": secret_env: there is no variable NOT_THERE in this environment; set it, or correct its name',
        ),
        (
            "[[accounts]]\nname = 'a'\nprovider = 'x'\n[[accounts]]\nname = 'a'\nprovider = 'x'",
            'accounts "a": there are two rows with this name',
        ),
        (
            "[[routes]]\nmodel = 'm'\ncandidates = [{any = true}, {account = 'a', weight = 0}]",
            'routes "m": candidates.1.weight: should be greater than 0',
        ),
        (
            "[[keys]]\nname = 'k'\nsecret_env = 'LONG'\nrpm = 0",
            'keys "k": rpm: should be greater than or equal to 1',
        ),
        (
            "[[prices]]\nmodel = 'm'\nper_call = -1",
            'prices "m": per_call: should be greater than or equal to 0',
        ),
        ("[[keys]]\nname = 'k'", 'keys "k": secret_env is required: it names the variable that holds the key'),
        (
            "[[keys]]\nname = 'k'\nsecret_env = 'LONG'\n[[keys]]\nname = 'l'\nsecret_env = 'LONG'",
            "keys: k and l have the same secret; give each its own",
        ),
        (
            "[[keys]]\nname = 'k'\nsecret_env = 'SHORT'",
            'keys "k": secret_env: the key is too easy to guess; use at least 16 random characters',
        ),
    ],
)  # fmt: skip
def test_what_can_not_be_is_one_line_with_table_and_field(text: str, line: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        parse_text(text, {"SHORT": "123456", "LONG": "sk-0123456789abcdef"})
    assert caught.value.message == line


def test_secrets_may_stand_in_options_too() -> None:
    text = "[[accounts]]\nname = 'a'\nprovider = 'jimeng'\noptions = { region = 'cn', session_env = 'S' }"
    [account] = parse_text(text, {"S": "from outside"}).accounts
    assert account.options == {"region": "cn", "session": "from outside"}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"FILMGATE_CONFIG: .*gone\.toml can't be read: No such file"):
        load_file(tmp_path / "gone.toml", {})
