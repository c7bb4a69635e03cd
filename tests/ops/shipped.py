"""The dashboard and the alerts that we ship, and the metrics that they name."""

import json
import re
from typing import Any

import yaml

from tests.serving import ROOT

DASHBOARD = ROOT / "deploy" / "grafana" / "filmgate.json"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
METRIC = re.compile(r"\bfilmgate_\w+")
DECLARED = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)
PARTS = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return found


def queries() -> list[str]:
    """Of the dashboard, with Grafana's variables filled in as it does."""
    told = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]
    return [
        re.sub(r"\$(provider|account|model)\b", ".*", text.replace("$__rate_interval", "5m")) for text in told
    ]


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def unknown_metrics(exposition: str) -> set[str]:
    """Names in the dashboard and the alerts that a gateway's ``/metrics`` does not declare."""
    variables = [each.get("definition", "") for each in dashboard()["templating"]["list"]]
    named = {
        name
        for text in (*queries(), *variables, *(rule["expr"] for rule in rules()))
        for name in METRIC.findall(text)
    }
    declared = {name + part for name, kind in DECLARED.findall(exposition) for part in PARTS.get(kind, ())}
    assert len(named) > 15
    return named - declared
