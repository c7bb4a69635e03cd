"""The dashboard is what Grafana loads, the alerts are what Prometheus loads, and they fire when they should."""

import json
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.conftest import leave_out
from tests.ops.shipped import ALERTS, dashboard, queries, rules

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def promtool() -> str:
    """Of Debian's package ``prometheus``."""
    found = shutil.which("promtool")
    if found is None:
        leave_out("promtool is not installed (the package prometheus)")
    assert found
    return found


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_what_grafana_loads() -> None:
    schema = json.loads((HERE / "dashboard.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(dashboard())
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)
    places = [
        {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        for g in (panel["gridPos"] for panel in panels)
    ]
    assert len(set().union(*places)) == sum(map(len, places)), "panels overlap"


def test_prometheus_loads_the_alerts_and_they_fire_when_they_should(promtool: str, tmp_path: Path) -> None:
    for source in (ALERTS, HERE / "alerts_test.yml"):
        shutil.copy(source, tmp_path / source.name)
    run(promtool, "check", "rules", tmp_path / ALERTS.name)
    run(promtool, "test", "rules", tmp_path / "alerts_test.yml")


def test_prometheus_understands_every_query_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    made = [{"record": f"panel:query:{number}", "expr": query} for number, query in enumerate(queries())]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": made}]}))
    run(promtool, "check", "rules", tmp_path / "panels.yml")


def test_every_alert_says_what_to_look_at_in_both_languages() -> None:
    for rule in rules():
        assert rule["annotations"].keys() == {"summary", "summary_zh"}, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
