"""The first owner by a one-time link, admins and their roles, and a reset from the command line."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pydantic import ValidationError

from app.errors import InvalidRequest, PermissionDenied
from app.secret_rules import GUESSABLE
from app.settings import Settings
from tests.admin.conftest import PASSWORD, Browser, browser
from tests.cli.running import filmgate, inside
from tests.serving import GatewayProcess

LINK = re.compile(r"http://127\.0\.0\.1:\d+/admin/#setup=(\S+)")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with GatewayProcess(tmp_path_factory.mktemp("fresh"), FILMGATE_STUDIO="off") as found:
        yield found


def setup_link(folder: Path) -> str:
    """The link that the command line prints."""
    done = inside("admin", "setup-link", data=folder, FILMGATE_STUDIO="off")
    assert done.exit_code == 0, done.output
    found = LINK.search(done.stdout)
    assert found
    return found[1]


def set_up(
    who: Browser, token: str, *, password: str = PASSWORD, address: str = "10.1.1.1"
) -> tuple[int, str]:
    body = {"token": token, "name": "boss", "password": password}
    answer = who.http.post("/setup", json=body, headers={"x-forwarded-for": address})
    return answer.status_code, "" if answer.is_success else answer.json()["error"]["code"]


def test_the_first_start_prints_a_link(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, FILMGATE_STUDIO="off", FILMGATE_LOG_FORMAT="console")
    with gateway:
        pass
    stored = _options(tmp_path)
    assert len(stored) == 1 and 1700 < stored[0]["expires_at"] - time.time() <= 1800


def _options(folder: Path, *, expires_at: float | None = None) -> list[dict[str, float]]:
    with closing(sqlite3.connect(folder / "filmgate.db", timeout=30)) as store, store:
        [(text,)] = store.execute("SELECT value FROM options WHERE name = 'admin_setup'").fetchall()
        links: list[dict[str, float]] = json.loads(text)
        if expires_at is not None:
            old = json.dumps([link | {"expires_at": expires_at} for link in links])
            store.execute("UPDATE options SET value = ? WHERE name = 'admin_setup'", (old,))
    return links


def test_a_link_works_once_and_for_half_an_hour(fresh: GatewayProcess) -> None:
    who = browser(fresh)
    with who.http:
        assert who.get("/session")["state"] == "setup"
        old = setup_link(fresh.folder)
        _options(fresh.folder, expires_at=time.time() - 1)
        assert set_up(who, old) == (400, "setup_invalid")
        token = setup_link(fresh.folder)
        assert token not in (fresh.folder / "filmgate.db").read_bytes().decode("latin-1")
        assert set_up(who, "x" * 43) == (400, "setup_invalid")
        assert set_up(who, token, password="short") == (400, "invalid_request")
        assert set_up(who, token, password="password123") == (400, "invalid_request")
        assert who.get("/session")["state"] == "setup"  # what was refused uses nothing up
        assert set_up(who, token) == (200, "")
        found = who.get("/session")
        assert (found["state"], found["admin"]["name"], found["admin"]["role"]) == (
            "signed_in",
            "boss",
            "owner",
        )
        assert set_up(who, token) == (400, "setup_invalid")


def test_setup_works_only_for_the_first_owner(fresh: GatewayProcess) -> None:
    done = inside("admin", "setup-link", data=fresh.folder, FILMGATE_STUDIO="off")
    assert isinstance(done.exception, PermissionDenied) and "reset-password" in str(done.exception)


def test_guessing_links_is_slowed_down(fresh: GatewayProcess) -> None:
    who = browser(fresh)
    with who.http:
        answers = [set_up(who, f"guess {number}", address="10.1.1.2")[0] for number in range(12)]
    assert answers[:8] == [400] * 8 and 429 in answers[8:]


def test_a_forgotten_password_is_reset_on_the_command_line(fresh: GatewayProcess) -> None:
    who = browser(fresh)
    with who.http:
        assert who.sign_in("boss").status_code == 200
        done = filmgate(
            "admin", "reset-password", "boss", cwd=fresh.folder, stdin="entirely new words\n",
            FILMGATE_DATA_DIR=str(fresh.folder), FILMGATE_STUDIO="off",
        )  # fmt: skip
        assert (done.returncode, done.stdout.strip()) == (0, "boss (owner) has a new password."), done.stderr
        assert who.get("/session")["state"] == "signed_out"  # whoever had the old one is out
        assert who.sign_in("boss").status_code == 401
        assert who.sign_in("boss", "entirely new words").status_code == 200
        row = who.newest_change()
        changed = who.get("/audit?actor=command line")["data"][0]
        assert changed["after"]["changed"] == "password" and "entirely" not in json.dumps([row, changed])
    listed = inside("admin", "list", data=fresh.folder, FILMGATE_STUDIO="off").stdout
    assert "boss" in listed and "owner" in listed
    for password in ("short", "boss", "password123", ""):
        refused = inside(
            "admin", "reset-password", "boss", data=fresh.folder, stdin=f"{password}\n", FILMGATE_STUDIO="off"
        )
        assert isinstance(refused.exception, InvalidRequest), password
        assert refused.exception.param == "password"


def test_the_password_of_the_environment_is_reset_there(gateway: GatewayProcess, tmp_path: Path) -> None:
    done = inside("admin", "reset-password", "admin", data=tmp_path, FILMGATE_ADMIN_PASSWORD=PASSWORD)
    assert isinstance(done.exception, InvalidRequest) and "FILMGATE_ADMIN_PASSWORD" in str(done.exception)


def test_owners_and_viewers(owner: Browser, gateway: GatewayProcess) -> None:
    made = owner.post("/admins", status=201, json={"name": " Ada ", "role": "viewer", "password": PASSWORD})
    assert (made["name"], made["role"]) == ("Ada", "viewer")
    path = f"/admins/{made['id']}"
    ada = browser(gateway)
    with ada.http:
        assert ada.sign_in("Ada").status_code == 200
        assert ada.refused("POST", "/keys", json={"name": "x"})[0] == 403
        # A new role is for new sessions: the old one ends.
        owner.must("PATCH", path, json={"role": "owner"})
        assert ada.refused("GET", "/keys")[0] == 401
        assert ada.sign_in("Ada").status_code == 200
        ada.post("/keys", status=201, json={"name": "hers"})
        owner.must("PATCH", path, json={"name": "Ada L."})
        assert ada.get("/session")["admin"]["name"] == "Ada L."
        owner.must("DELETE", path, status=204)
        assert ada.refused("GET", "/keys")[0] == 401
    assert owner.refused("PATCH", path, json={"role": "viewer"})[0] == 404


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": "admin"}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 81}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"password": "short"}, "password"),
        ({"password": "password123"}, "password"),
        ({"password": "aaaaaaaaaaaa"}, "password"),
        ({"name": "same as name", "password": "Same As Name"}, "password"),
        ({"role": "god"}, "role"),
        ({"shoe": 44}, "shoe"),
    ],
)
def test_invalid_admins_are_rejected(owner: Browser, body: dict[str, str], param: str) -> None:
    fields = {"name": "somebody", "role": "viewer", "password": PASSWORD} | body
    assert owner.refused("POST", "/admins", json=fields) == (400, param)


def test_the_last_owner_stays(fresh: GatewayProcess) -> None:
    boss = browser(fresh)
    with boss.http:
        boss.sign_in("boss", "entirely new words")
        [own] = boss.get("/admins")["data"]
        path = f"/admins/{own['id']}"
        for role in ("viewer", "finance", "operator"):
            assert boss.refused("PATCH", path, json={"role": role}) == (400, "role")
        assert boss.refused("DELETE", path) == (400, "role")
        assert boss.refused("PATCH", path, json={"password": "boss"}) == (400, "password")
        other = {"name": "second", "role": "owner", "password": PASSWORD}
        second = boss.post("/admins", status=201, json=other)
        boss.must("PATCH", path, json={"role": "viewer"})
    two = browser(fresh)
    with two.http:
        two.sign_in("second")
        assert two.refused("DELETE", f"/admins/{second['id']}") == (400, "role")
        two.must("DELETE", path, status=204)


@pytest.mark.parametrize("value", sorted(GUESSABLE))
def test_guessable_secrets_are_refused(value: str) -> None:
    for name in ("admin_password", "admin_token"):
        with pytest.raises(ValidationError, match="too easy to guess"):
            Settings.model_validate({name: value})


def test_the_gateway_does_not_start_with_a_guessable_secret(tmp_path: Path) -> None:
    done = filmgate("serve", cwd=tmp_path, FILMGATE_PORT="0", FILMGATE_ADMIN_PASSWORD="administrator")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "FILMGATE_ADMIN_PASSWORD" in done.stderr
    assert "administrator" not in done.stderr
