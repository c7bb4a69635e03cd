"""What operators and people of finance may do beyond the table of routes: budgets, documents, contents."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.admin.conftest import PASSWORD, Browser, browser
from tests.serving import GatewayProcess


@pytest.fixture
def operator(owner: Browser, gateway: GatewayProcess) -> Iterator[Browser]:
    yield from _signed_in(owner, gateway, "operator")


@pytest.fixture
def finance(owner: Browser, gateway: GatewayProcess) -> Iterator[Browser]:
    yield from _signed_in(owner, gateway, "finance")


def _signed_in(owner: Browser, gateway: GatewayProcess, role: str) -> Iterator[Browser]:
    body = {"name": f"one of {role}", "role": role, "password": PASSWORD}
    made = owner.post("/admins", status=201, json=body)
    found = browser(gateway)
    with found.http:
        assert found.sign_in(made["name"]).status_code == 200
        yield found
    owner.must("DELETE", f"/admins/{made['id']}", status=204)


def test_finance_changes_budgets_and_prices_and_nothing_else_of_a_key(finance: Browser, key: Any) -> None:
    path = f"/keys/{key['id']}"
    changed = finance.must("PATCH", path, json={"budget": {"daily": "12.50"}})
    assert changed["budget"]["daily"] == "12.5"
    for body in ({"rpm": 1}, {"enabled": False}, {"budget": {"daily": "1"}, "name": "mine"}):
        assert finance.refused("PATCH", path, json=body)[0] == 403, body
    after = finance.get(path)
    assert (after["budget"]["daily"], after["rpm"], after["name"]) == ("12.5", key["rpm"], key["name"])
    finance.must("PUT", "/prices/by-finance", json={"document": {"per_call": "0.1"}})
    finance.must("DELETE", "/prices/by-finance", status=204)


def test_an_operator_writes_settings_but_not_where_backups_go(operator: Browser, owner: Browser) -> None:
    value = operator.get("/settings/delivery")["value"]
    operator.must("PUT", "/settings/delivery", json={"value": value})
    backup = {"value": owner.get("/settings/backup")["value"]}
    assert operator.refused("PUT", "/settings/backup", json=backup)[0] == 403
    owner.must("PUT", "/settings/backup", json=backup)


def test_an_operator_sees_contents_and_finance_does_not(
    operator: Browser, finance: Browser, film: Any
) -> None:
    path = f"/tasks/{film['id']}"
    assert operator.get(path)["prompt"] == film["prompt"] != ""
    assert finance.get(path)["prompt"] == ""
    assert finance.refused("GET", "/tasks?q=boat")[0] == 403
