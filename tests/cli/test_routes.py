"""`filmgate routes` and `filmgate config` on the store directly."""

import json
from pathlib import Path

import pytest

from app.errors import InvalidRequest, NotFound, SettingsInvalid
from tests.cli.running import inside

pytestmark = pytest.mark.slow


def test_a_route_is_set_listed_explained_and_removed(tmp_path: Path) -> None:
    assert "No routes" in inside("routes", "list", data=tmp_path).stderr
    inside("accounts", "add", "farm", "--base-url", "https://host/v1", "--secret", "s", data=tmp_path)
    done = inside(
        "routes", "set", "sora-2", "farm=wan-2.2@2,tag:fast", "ghost", "any", "--note", "mine", data=tmp_path
    )
    assert done.exit_code == 0, done.exception
    assert "account farm as wan-2.2 ×2 | tag fast, then account ghost, then any" in done.stdout
    assert "no account ghost" in done.stderr
    listed = inside("routes", "list", data=tmp_path).stdout
    for word in ("sora-2", "enabled", "store", "mine"):
        assert word in listed
    told = inside("routes", "explain", "sora-2", data=tmp_path).stdout
    assert "video: sora-2, by the route sora-2" in told
    assert "wan-2.2" in told
    assert "chosen" in told
    farm, studio = json.loads(inside("routes", "explain", "sora-2", "--json", data=tmp_path).stdout)
    assert (studio["account"], studio["verdict"]) == ("studio", "stands_in")  # farm has proven nothing yet
    assert (farm["account"], farm["verdict"], farm["rank"], farm["weight"]) == ("farm", "chosen", 1, 2.0)
    assert inside("routes", "remove", "sora-2", data=tmp_path).exit_code == 0
    gone = inside("routes", "remove", "sora-2", data=tmp_path)
    assert isinstance(gone.exception, NotFound)


def test_a_route_may_be_an_alias_or_a_document(tmp_path: Path) -> None:
    inside("routes", "set", "cheap", "--alias", "veo3-fast", data=tmp_path)
    path = tmp_path / "route.json"
    overrides = {"set": {"seconds": 8}}
    path.write_text(json.dumps({"candidates": [{"any": True, "overrides": overrides}]}))
    inside("routes", "set", "veo*", "--json", str(path), data=tmp_path)
    told = inside("routes", "explain", "cheap", data=tmp_path).stdout
    assert "video: cheap → veo3-fast, by the route veo*" in told


def test_a_route_says_how_often_a_failure_goes_on(tmp_path: Path) -> None:
    assert (
        inside("routes", "set", "sora-2", "any", "--retry", "failed=2,moderated=1", data=tmp_path).exit_code
        == 0
    )
    listed = inside("routes", "list", "--json", data=tmp_path).stdout
    assert "any; again 2× after failed; again 1× after moderated" in json.loads(listed)["rows"][0].values()
    wrong = inside("routes", "set", "sora-2", "any", "--retry", "failed=often", data=tmp_path)
    assert isinstance(wrong.exception, InvalidRequest) and "retry.failed" in str(wrong.exception)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("x",), "alias_of"),
        (("x", "any", "--alias", "y"), "alias_of"),
        (("x*y", "any"), "model"),
        (("x", "any", "--json", "nowhere.json"), "--json"),
    ],
)
def test_a_route_that_can_not_be_is_refused(tmp_path: Path, arguments: tuple[str, ...], word: str) -> None:
    done = inside("routes", "set", *arguments, data=tmp_path)
    assert isinstance(done.exception, InvalidRequest)
    assert word in done.exception.message


def test_a_configuration_is_checked_and_applied(tmp_path: Path) -> None:
    path = tmp_path / "filmgate.toml"
    path.write_text(
        '[[accounts]]\nname = "farm"\nprovider = "openai_compatible"\nbase_url = "https://host/v1"\n'
        '[[routes]]\nmodel = "sora-2"\ncandidates = [{account = "farm"}, {account = "ghost"}]\n'
    )
    data = tmp_path / "data"
    checked = inside("config", "check", str(path), data=data)
    assert checked.stdout.strip() == "The file is valid: 1 accounts, 1 routes, 0 keys, 0 prices."
    assert "No routes" in inside("routes", "list", data=data).stderr
    applied = inside("config", "apply", data=data, FILMGATE_CONFIG=str(path))
    assert 'accounts "farm" added' in applied.stdout
    assert "there is no account ghost" in applied.stderr
    again = inside("config", "apply", str(path), data=data)
    assert again.stdout.strip() == "Nothing to change."
    path.write_text('[[accounts]]\nname = "farm"\nprovider = "openai_compatible"\nbase_url = "host"\n')
    bad = inside("config", "check", str(path), data=data)
    assert isinstance(bad.exception, SettingsInvalid)
    assert 'accounts "farm": base_url' in bad.exception.message
    assert isinstance(inside("config", "check", data=data).exception, SettingsInvalid)


def test_a_model_is_explained_for_what_is_asked_of_it(tmp_path: Path) -> None:
    inside(
        "accounts", "add", "ark", "--provider", "ark", "--secret", "s", "--model", "film=doubao-seedance-2-0", data=tmp_path
    )  # fmt: skip
    inside("accounts", "add", "farm", "--base-url", "https://host/v1", "--model", "own=odd", data=tmp_path)
    told = inside("routes", "explain", "film", "--seconds", "45", data=tmp_path).stdout
    assert "video: film" in told
    assert "incapable" in told
    assert "text: own" in inside("routes", "explain", "own", data=tmp_path).stdout
    assert "video: own" in inside("routes", "explain", "own", "--size", "1280x720", data=tmp_path).stdout
    assert "image: own" in inside("routes", "explain", "own", "--kind", "image", data=tmp_path).stdout
    refused = inside("routes", "explain", "own", "--kind", "films", data=tmp_path)
    assert isinstance(refused.exception, InvalidRequest)
