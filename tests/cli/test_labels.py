"""`filmgate labels` and what `doctor` says about labels."""

from pathlib import Path
from typing import Any

import pytest

from app.components import Components
from app.media.labels.options import LabelOptions
from app.media.labels.signing import load_identity
from tests.cli.running import inside
from tests.cli.test_every_command import printed
from tests.serving import GatewayProcess

pytestmark = pytest.mark.slow


def doctor_says(data: Path) -> dict[str, Any]:
    [row] = [row for row in printed("doctor", data=data)["rows"] if row["check"] == "labels"]
    return dict(row)


def test_doctor_knows_whether_films_can_be_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    GatewayProcess(tmp_path, FILMGATE_DATA_DIR=str(data)).prepare(_sign_films)
    assert "no certificate is set" in doctor_says(data)["found"]
    done = inside("labels", "development-certificate", str(tmp_path / "pair"), data=data)
    assert done.exit_code == 0, done.output
    settings = dict(line.split("=", 1) for line in done.stdout.splitlines() if line.startswith("FILMGATE_"))
    identity = load_identity(*(Path(path) for path in settings.values()))
    assert identity is not None
    again = inside("labels", "development-certificate", str(tmp_path / "pair"), data=data)
    assert again.exit_code and "File exists" in str(again.exception)  # a key is never replaced
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    told = doctor_says(data)
    assert "implicit, c2pa" in told["found"] and identity.subject in told["found"]
    assert "warn" in told["state"]
    identity.key.write_text("spoilt")
    told = doctor_says(data)
    assert "fail" in told["state"] and "FILMGATE_C2PA_KEY" in told["found"]


async def _sign_films(components: Components) -> None:
    await components.options.write(LabelOptions, {"enabled": True, "c2pa": True})
