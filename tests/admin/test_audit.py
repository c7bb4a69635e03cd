"""Every route that changes something writes an audit row, and the log can be read."""

import csv
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import app.admin
from tests.admin.conftest import (
    OPTION_SECRET,
    PASSWORD,
    PROXY_PASSWORD,
    SEALED,
    TOKEN,
    UPSTREAM_SECRET,
    Browser,
    account,
    browser,
    make,
)
from tests.admin.test_permissions import ROUTES
from tests.serving import GatewayProcess, until
from tests.upstream import FakeUpstream
from tests.webhooks.receiver import Receiver

SLOW = "a long film"
UNCHANGING = {
    "POST /session/second-factor",
    "POST /accounts/{which}/test",
    "POST /accounts/test",
    "POST /accounts/try",
    "POST /webhooks/endpoints/{endpoint_id}/test",
    "POST /playground/quote",
    "POST /tasks/{name}/takes/quote",
    "POST /settings/delivery/test",
    "POST /settings/notices/test",
}
"""These change nothing."""


@dataclass(frozen=True)
class World:
    owner: Browser
    gateway: GatewayProcess
    upstream: FakeUpstream
    receiver: Receiver
    farm: Any
    key: Any
    film: Any

    def account(self, name: str, **given: Any) -> str:
        other = {"secret": f"{UPSTREAM_SECRET}-{name}", "models": {"side": "side-up"}}
        body = account(name, self.upstream, **other | given)
        return str(self.owner.post("/accounts", status=201, json=body)["id"])

    def removed_account(self, name: str) -> str:
        made = self.account(name)
        self.owner.must("DELETE", f"/accounts/{made}", status=204)
        return made

    def put(self, path: str, body: dict[str, Any]) -> str:
        self.owner.must("PUT", path, json=body)
        return path

    def draft(self, name: str) -> str:
        body = {"name": name, "inputs": {"prompt": name}}
        return str(self.owner.post("/drafts", status=201, json=body)["id"])

    def paused(self, model: str) -> dict[str, str]:
        asked = {"side": "model", "name": model}
        self.owner.post("/pauses", status=201, json=asked)
        return asked

    def project(self, name: str) -> str:
        return str(self.owner.post("/projects", status=201, json={"name": name})["id"])

    def admin(self, name: str) -> str:
        body = {"name": name, "role": "viewer", "password": PASSWORD}
        return str(self.owner.post("/admins", status=201, json=body)["id"])

    def new_key(self, name: str) -> str:
        return str(self.owner.post("/keys", status=201, json={"name": name})["id"])

    def open_task(self) -> str:
        """A task that runs until it is cancelled."""
        body = {"model": "studio", "prompt": f"{SLOW} [studio:slow=60]", "seconds": 2}
        return str(self.owner.post("/playground", status=201, json=body)["id"])

    def endpoint(self, name: str) -> str:
        body = {"owner": self.key["owner"], "name": name, "url": self.receiver.url}
        return str(self.owner.post("/webhooks/endpoints", status=201, json=body)["id"])

    def delivery(self) -> str:
        """A delivery about a task that ended after the endpoint was added."""
        endpoint = self.endpoint("told")
        task = make(self.gateway, self.key["secret"])
        self.owner.ended(task)
        found = until(
            lambda: self.owner.get(f"/webhooks/deliveries?endpoint={endpoint}&state=delivered")["data"]
        )
        self.owner.must("DELETE", f"/webhooks/endpoints/{endpoint}", status=204)
        return str(found[0]["id"])

    def session(self) -> str:
        other = browser(self.gateway)
        with other.http:
            other.sign_in("admin")
            mine = next(row for row in other.get("/sessions")["data"] if row["current"])
        return str(mine["id"])

    def unknown_task(self) -> str:
        """The upstream accepted the task and closed the connection."""
        self.owner.must("PUT", "/prices/film", json={"document": {"per_call": "0.5"}})
        self.upstream.fault("create", do="reset", accepts=True, prompt="lost")
        task = make(self.gateway, self.key["secret"], prompt="lost")
        assert self.owner.ended(task)["actions"]["settle"]
        self.owner.post(f"/accounts/{self.farm['id']}/clear")
        self.owner.must("DELETE", "/prices/film", status=204)
        return task

    def character(self) -> str:
        body = {"name": "Rosa", "from_task": self.film["id"]}
        return str(self.owner.post("/characters", status=201, json=body)["id"])


@pytest.fixture(scope="module")
def world(
    owner: Browser,
    gateway: GatewayProcess,
    upstream: FakeUpstream,
    receiver: Receiver,
    farm: Any,
    key: Any,
    film: Any,
) -> Iterator[World]:
    yield World(owner, gateway, upstream, receiver, farm, key, film)
    owner.post("/tasks/cancel", json={"filter": {"key": "panel"}})


Asked = tuple[str, dict[str, Any]]
CHANGES: dict[str, Callable[[World], Asked]] = {
    "PATCH /admins/{admin_id}": lambda w: (f"/admins/{w.admin('p1')}", {"role": "owner", "password": "new words 12"}),
    "POST /admins": lambda w: ("/admins", {"name": "p2", "role": "viewer", "password": PASSWORD}),
    "DELETE /admins/{admin_id}": lambda w: (f"/admins/{w.admin('p3')}", {}),
    "DELETE /sessions/{session_id}": lambda w: (f"/sessions/{w.session()}", {}),
    "POST /tasks/cancel": lambda w: ("/tasks/cancel", {"ids": [w.open_task()]}),
    "POST /tasks/replay": lambda w: ("/tasks/replay", {"batch": "b1", "filter": {"model": "nobody-made-it"}}),
    "DELETE /tasks/{name}": lambda w: (f"/tasks/{make(w.gateway, w.key['secret'])}", {}),
    "POST /tasks/{name}/cancel": lambda w: (f"/tasks/{w.open_task()}/cancel", {}),
    "POST /tasks/{name}/retry": lambda w: (f"/tasks/{w.film['id']}/retry", {}),
    "POST /tasks/{name}/takes": lambda w: (f"/tasks/{w.film['id']}/takes", {"account": w.farm["id"]}),
    "POST /drafts": lambda w: ("/drafts", {"name": "storm", "inputs": {"prompt": "a storm"}}),
    "PATCH /drafts/{draft_id}": lambda w: (f"/drafts/{w.draft('rain')}", {"name": "hail"}),
    "DELETE /drafts/{draft_id}": lambda w: (f"/drafts/{w.draft('snow')}", {}),
    "POST /tasks/{name}/settle": lambda w: (f"/tasks/{w.unknown_task()}/settle", {"outcome": "spent"}),
    "POST /accounts/import": lambda w: (
        "/accounts/import",
        {
            "text": f"name,provider,secret,base_url\nimported,openai_compatible,{UPSTREAM_SECRET}-i,{w.upstream.url}",
            "dry_run": False,
            "defaults": {"kinds": ["text"]},
        },
    ),
    "POST /accounts/export": lambda w: ("/accounts/export", {"secrets": True, "password": PASSWORD}),
    "POST /accounts": lambda w: (
        "/accounts",
        account("added", w.upstream, models={"side": "up"}, secret=f"{UPSTREAM_SECRET}-0", proxy=f"http://me:{PROXY_PASSWORD}@p.example:1"),
    ),
    "POST /accounts/bulk": lambda w: ("/accounts/bulk", {"ids": [w.account("a1")], "action": "disable"}),
    "PATCH /accounts/{which}": lambda w: (f"/accounts/{w.account('a2')}", {"note": "new", "options": {"api_key": OPTION_SECRET}}),
    "DELETE /accounts/{which}": lambda w: (f"/accounts/{w.account('a3')}", {}),
    "POST /accounts/{which}/enable": lambda w: (f"/accounts/{w.account('a4', enabled=False)}/enable", {}),
    "POST /accounts/{which}/disable": lambda w: (f"/accounts/{w.account('a5')}/disable", {}),
    "POST /accounts/{which}/drain": lambda w: (f"/accounts/{w.account('a6')}/drain", {}),
    "POST /accounts/{which}/clear": lambda w: (f"/accounts/{w.account('a7')}/clear", {}),
    "POST /accounts/{which}/rotate": lambda w: (f"/accounts/{w.account('a8')}/rotate", {"secret": f"{UPSTREAM_SECRET}-new"}),
    "POST /accounts/{which}/duplicate": lambda w: (f"/accounts/{w.account('a9')}/duplicate", {"name": "a10"}),
    "POST /accounts/restore": lambda w: ("/accounts/restore", {"ids": [w.removed_account("a11")]}),
    "PUT /routes/{model}": lambda w: ("/routes/sora-2", {"alias_of": "film"}),
    "DELETE /routes/{model}": lambda w: (w.put("/routes/sora-1", {"alias_of": "film"}), {}),
    "POST /webhooks/endpoints": lambda w: ("/webhooks/endpoints", {"owner": w.key["owner"], "name": "e0", "url": w.receiver.url}),
    "PATCH /webhooks/endpoints/{endpoint_id}": lambda w: (f"/webhooks/endpoints/{w.endpoint('e1')}", {"name": "e2"}),
    "DELETE /webhooks/endpoints/{endpoint_id}": lambda w: (f"/webhooks/endpoints/{w.endpoint('e3')}", {}),
    "POST /webhooks/endpoints/{endpoint_id}/disable": lambda w: (f"/webhooks/endpoints/{w.endpoint('e4')}/disable", {}),
    "POST /webhooks/endpoints/{endpoint_id}/rotate": lambda w: (f"/webhooks/endpoints/{w.endpoint('e5')}/rotate", {}),
    "POST /webhooks/deliveries/{delivery_id}/resend": lambda w: (f"/webhooks/deliveries/{w.delivery()}/resend", {}),
    "POST /characters": lambda w: ("/characters", {"name": "Juan", "from_task": w.film["id"]}),
    "DELETE /characters/{character_id}": lambda w: (f"/characters/{w.character()}", {}),
    "POST /playground": lambda w: ("/playground", {"model": "film", "prompt": "from the panel"}),
    "POST /keys": lambda w: ("/keys", {"name": "k0", "budget": {"daily": "2.5"}}),
    "PATCH /keys/{key_id}": lambda w: (f"/keys/{w.new_key('k1')}", {"rpm": 5}),
    "DELETE /keys/{key_id}": lambda w: (f"/keys/{w.new_key('k2')}", {}),
    "POST /keys/{key_id}/rotate": lambda w: (f"/keys/{w.new_key('k3')}/rotate", {}),
    "POST /keys/{key_id}/forget": lambda w: (f"/keys/{w.new_key('k4')}/forget", {}),
    "POST /keys/{key_id}/endpoints": lambda w: (f"/keys/{w.key['id']}/endpoints", {"name": "e6", "url": w.receiver.url}),
    "POST /pauses": lambda w: ("/pauses", {"side": "model", "name": "held"}),
    "POST /pauses/end": lambda w: ("/pauses/end", w.paused("kept")),
    "POST /projects": lambda w: ("/projects", {"name": "j0", "budget_total": "0"}),
    "PATCH /projects/{project_id}": lambda w: (f"/projects/{w.project('j1')}", {"rpm": 5}),
    "DELETE /projects/{project_id}": lambda w: (f"/projects/{w.project('j2')}", {}),
    "POST /projects/{project_id}/secret": lambda w: (f"/projects/{w.project('j3')}/secret", {}),
    "POST /projects/{project_id}/credit": lambda w: (f"/projects/{w.project('j4')}/credit", {"amount": "5", "reference": "p-1"}),
    "POST /backup": lambda w: ("/backup", {"secrets": True, "password": PASSWORD}),
    "POST /settings/backup/test": lambda w: ("/settings/backup/test", {}),
    "POST /restore": lambda w: ("/restore?dry_run=false", {"backup": w.owner.post("/backup", json={})}),
    "PUT /prices/{model}": lambda w: ("/prices/clip", {"document": {"per_call": "0.25"}}),
    "DELETE /prices/{model}": lambda w: (w.put("/prices/clip", {"document": {"per_call": "1"}}), {}),
    "PUT /settings/{name}": lambda w: (
        "/settings/delivery",
        {"value": {"resolvers": [{"name": "r", "url": "http://127.0.0.1:1/", "secret": UPSTREAM_SECRET, "enabled": False}]}},
    ),
}  # fmt: skip
ELSEWHERE = {
    "DELETE /session",
    "POST /session/password",
    "PUT /session/second-factor",
    "POST /session/second-factor/disable",
    "POST /session/recovery-codes",
    "DELETE /admins/{admin_id}/second-factor",
}
"""They change the session of the request, which is tested below, or a second factor (test_second_factor.py)."""


def test_every_write_route_is_tested() -> None:
    changing = {f"{method} {path}" for method, path in ROUTES if method != "GET"}
    assert changing == CHANGES.keys() | UNCHANGING | ELSEWHERE


@pytest.mark.parametrize("route", CHANGES)
def test_a_change_writes_a_row(world: World, route: str) -> None:
    method = route.split()[0]
    path, body = CHANGES[route](world)
    owner, last = world.owner, world.owner.newest_change()["id"]
    answer = owner.ask(method, path, **({"json": body} if body or method in ("POST", "PATCH", "PUT") else {}))
    assert answer.is_success, answer.text
    rows = [row for row in owner.get("/audit")["data"] if row["id"] > last]
    assert [row["actor"] for row in rows] == ["admin"], rows
    assert rows[0]["before"] or rows[0]["after"], rows
    kind = rows[0]["target"].split("/")[0].replace("webhook_", "")
    assert kind in path or (route, kind) in {("POST /playground", "tasks"), ("POST /restore", "backup")}, rows


def test_reading_writes_no_row(world: World) -> None:
    owner = world.owner
    endpoint = world.endpoint("looked at")
    last = owner.newest_change()
    owner.post(f"/accounts/{world.farm['id']}/test")
    owner.post(f"/webhooks/endpoints/{endpoint}/test")
    owner.post("/playground/quote", json={"model": "film", "prompt": "x"})
    for name in ("delivery", "notices"):
        owner.post(f"/settings/{name}/test")
    refused = owner.ask("POST", "/keys", json={"name": "", "rpm": -1})
    assert refused.status_code == 400
    assert owner.newest_change() == last


def test_sessions_write_rows(world: World, nobody: Browser) -> None:
    world.admin("guest")
    assert nobody.sign_in("guest").status_code == 200
    opened = world.owner.newest_change()
    assert (opened["actor"], opened["action"], opened["after"]["address"]) == (
        "guest",
        "session.opened",
        "127.0.0.1",
    )
    answer = nobody.ask("POST", "/session/password", json={"current": PASSWORD, "new": "other good words"})
    nobody.csrf = answer.json()["csrf"]
    changed = world.owner.get("/audit?actor=guest&action=admin.updated")["data"][0]
    assert changed["after"]["changed"] == "password" and "other good words" not in str(changed)
    assert nobody.ask("DELETE", "/session").status_code == 204
    closed = world.owner.newest_change()
    assert (closed["actor"], closed["action"]) == ("guest", "session.closed")


def test_the_token_is_recorded_as_token(world: World, nobody: Browser) -> None:
    body = {"name": "by automation", "role": "viewer", "password": PASSWORD}
    made = nobody.http.post("/admins", headers={"authorization": f"Bearer {TOKEN}"}, json=body)
    row = world.owner.newest_change()
    assert (row["actor"], row["action"], row["target"]) == (
        "token",
        "admin.created",
        f"admins/{made.json()['id']}",
    )


def test_before_and_after(world: World) -> None:
    """The stored values have no secret on either side."""
    which = world.account("sides", proxy=f"http://me:{PROXY_PASSWORD}@p.example:1")
    world.owner.must("PATCH", f"/accounts/{which}", json={"note": "was empty", "weight": 2})
    row = world.owner.newest_change()
    assert (row["before"]["note"], row["after"]["note"]) == ("", "was empty")
    assert (row["before"]["weight"], row["after"]["weight"]) == (1.0, 2.0)
    world.owner.post(f"/accounts/{which}/rotate", json={"secret": f"{UPSTREAM_SECRET}-9999"})
    hints = [world.owner.newest_change()[side]["secret_hint"] for side in ("before", "after")]
    assert hints == ["…ides", "…9999"]


def test_the_log_is_read_by_filters_and_cursors(world: World) -> None:
    owner = world.owner
    assert {row["action"] for row in owner.get("/audit?action=key.")["data"]} <= {
        "key.made", "key.updated", "key.revoked", "key.rotated", "key.forgotten",
    }  # fmt: skip
    assert {row["target"] for row in owner.get(f"/audit?target=keys/{world.key['id']}")["data"]} == {
        f"keys/{world.key['id']}"
    }
    assert owner.get("/audit?actor=nobody")["data"] == []
    seen: list[int] = []
    cursor: str | None = ""
    while cursor is not None:
        page = owner.get(f"/audit?limit=7&after={cursor}")
        seen += [row["id"] for row in page["data"]]
        cursor = page["next"]
    assert seen == sorted(set(seen), reverse=True) and len(seen) > 40
    assert owner.refused("GET", "/audit?after=x") == (400, "after")
    middle = owner.get("/audit?limit=10")["data"][-1]["at"]
    assert all(row["at"] < middle for row in owner.get(f"/audit?to={middle}")["data"])


def test_the_log_as_csv(world: World) -> None:
    answer = world.owner.ask("GET", "/audit.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert len(rows) == world.owner.newest_change()["id"]
    assert list(rows[0]) == [
        *("id", "at", "actor", "action", "target", "before", "after"),
        *("actor_name", "target_name", "target_exists"),
    ]
    assert "attachment" in answer.headers["content-disposition"]


def test_no_secret_is_stored_in_the_clear(world: World) -> None:
    stored = b"".join(path.read_bytes() for path in world.gateway.folder.glob("filmgate.db*"))
    assert [canary for canary in SEALED if canary.encode() in stored] == []


def test_which_changes_write_their_row_in_one_transaction() -> None:
    """ARCHITECTURE.md says which; all others use ``record_change``, with a transaction of its own."""
    folder = Path(app.admin.__file__).parent
    found = {path.stem for path in folder.glob("*.py") if re.search(r"audit\.record\(", path.read_text())}
    assert found == {"account_bulk", "admin_repository", "provider_admins", "second_factors", "settings"}
