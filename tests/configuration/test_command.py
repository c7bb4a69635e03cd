"""`filmgate config` and `FILMGATE_CONFIG` as operators meet them: real processes, and one line per error."""

import shutil
import subprocess
from pathlib import Path

import pytest

from app.components import Components
from app.configuration.applying import LEFT_THE_FILE
from app.errors import SettingsInvalid
from tests.cli.running import COMMAND, environment, filmgate, inside
from tests.configuration.test_toml_file import ROOT, SECRETS
from tests.serving import GatewayProcess

ROWS = (
    'accounts "kling-main" added', 'accounts "gpu" added', 'routes "sora-2" added', 'routes "cheap" added',
    'routes "veo*" added', 'keys "web" added', 'prices "sora-2" added',
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The example, as `filmgate.toml`."""
    return Path(shutil.copy(ROOT / "filmgate.example.toml", tmp_path / "filmgate.toml"))


def test_check_says_whether_it_can_work_and_applies_nothing(path: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    good = inside("config", "check", path, data=data, **SECRETS)
    assert (good.exit_code, good.stderr) == (0, "")
    assert good.stdout == "The file is valid: 2 accounts, 3 routes, 1 keys, 1 prices.\n"
    text = path.read_text()
    path.write_text(text.replace('account = "gpu"', 'account = "cpu"'))
    doubtful = inside("config", "check", data=data, FILMGATE_CONFIG=str(path), **SECRETS)
    assert (doubtful.exit_code, doubtful.stderr) == (0, 'routes "sora-2": there is no account cpu\n')
    path.write_text(text.replace('"kling"', '"clink"'))
    wrong = inside("config", "check", path, data=data, **SECRETS)
    assert isinstance(wrong.exception, SettingsInvalid)
    assert wrong.exception.message.startswith('filmgate.toml: accounts "kling-main": provider: ')
    assert "No routes" in inside("routes", "list", data=data).stderr
    nowhere = inside("config", "apply", data=data)
    assert str(nowhere.exception) == "FILMGATE_CONFIG: name a file, as an argument or in that variable"


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_two_processes_that_apply_it_at_once_apply_it_once(
    path: Path, store: str, request: pytest.FixtureRequest
) -> None:
    given = SECRETS | {"FILMGATE_SECRET_KEY": "0123456789abcdef0123456789abcdef"}
    if store == "postgres":
        given["FILMGATE_DATABASE_URL"] = request.getfixturevalue("postgres_url")
    inside("config", "check", path, data=path.parent / "data", **given)  # makes the store
    running = [
        subprocess.Popen(
            [*COMMAND, "config", "apply", path.name],
            cwd=path.parent,
            env=environment(**given),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=120) for process in running]
    assert [process.returncode for process in running] == [0, 0], told
    assert sorted(out for out, _ in told) == ["Nothing to change.\n", "\n".join(ROWS) + "\n"]
    assert not any(secret in part for secret in SECRETS.values() for pair in told for part in pair)


def test_a_start_applies_it_and_a_file_that_can_not_work_ends_the_start(path: Path) -> None:
    gateway = GatewayProcess(
        path.parent / "data",
        FILMGATE_CONFIG=str(path),
        FILMGATE_STUDIO="off",
        FILMGATE_WORKER="false",
        **SECRETS,
    )
    with gateway, gateway.client(key=SECRETS["WEB_KEY"]) as client:
        names = {model["id"] for model in client.get("/v1/models").json()["data"]}
        made = client.post("/v1/videos", json={"model": "sora-2", "prompt": "a kite", "seconds": "4"})
        assert made.status_code == 200, made.text
        [budget] = client.get("/v1/usage").json()["budgets"]
    assert (budget["period"], budget["budget"], names) == ("monthly", "50.00", {"sora-2", "cheap"})
    assert not any(secret in gateway.log.read_text() for secret in SECRETS.values())
    text = path.read_text()
    path.write_text(text.replace("slots = 4", "slots = 0.5"))
    wrong = filmgate("serve", cwd=path.parent, **gateway.environment)
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines()[-1].startswith('error: filmgate.toml: accounts "kling-main": slots: ')
    assert "Traceback" not in wrong.stderr
    path.write_text(text[: text.index("# ---- keys")])
    with gateway, gateway.client(key=SECRETS["WEB_KEY"]) as client:
        answer = client.get("/v1/models")
        assert (answer.status_code, answer.json()["error"]["message"]) == (403, "This API key is disabled.")
    assert gateway.prepare(_notes) == [LEFT_THE_FILE]


async def _notes(components: Components) -> list[str]:
    return [key.note for key in await components.keys.list() if key.name == "web"]
