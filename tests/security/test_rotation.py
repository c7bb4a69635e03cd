"""A change of the root key: nothing that was sealed, hashed or signed before is lost, wherever it is killed."""

import asyncio
import hashlib
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import pyotp
import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from app.admin.admin_repository import AdminUser
from app.admin.audit_log import AuditLog
from app.admin.second_factors import SecondFactors
from app.admin.session_store import SessionStore
from app.assembly import assemble_components
from app.backup import archive
from app.backup.schedule_options import BackupOptions
from app.components import Components
from app.db.tables import keys, metadata
from app.errors import AuthenticationFailed, PermissionDenied, SettingsInvalid
from app.keys.projects import ProjectRepository
from app.providers.base import Account
from app.settings import Settings
from app.vault import admin_totp_place
from app.webhooks.notice_options import NoticeOptions
from app.webhooks.signing import new_secret, signed_headers
from tests.cli.running import ROOT, environment, filmgate, inside

pytestmark = pytest.mark.slow

BOX = re.compile(r"v1\.[A-Za-z0-9_-]{30,}=*")
API_KEY = "sk-fg-operator-chosen-0123456789"
FIRST, SECOND = "the-first-secret-key-0123456789", "the-second-secret-key-9876543210"
NAMES = {"root.key", "root.key.old"}
PATH = "/files/" + "0" * 32 + "/video.mp4"
Answer = TypeVar("Answer")


@dataclass
class House:
    """A gateway's data and settings, and what was handed out before the change."""

    data: Path
    variables: dict[str, str]
    raw: str = ""
    overlapping: str = ""
    link: str = ""
    hook: str = ""
    owner: str = ""
    session: tuple[str, str] = ("", "")
    recovery: list[str] = field(default_factory=list)
    secrets: dict[str, Any] = field(default_factory=dict)
    backup: dict[str, Any] = field(default_factory=dict)

    def within(self, work: Callable[[Components], Coroutine[Any, Any, Answer]]) -> Answer:
        async def done() -> Answer:
            names = {name.removeprefix("FILMGATE_").lower(): value for name, value in self.variables.items()}
            components = await assemble_components(Settings.model_validate(names | {"data_dir": self.data}))
            try:
                return await work(components)
            finally:
                await components.close()

        return asyncio.run(done())

    def rotate(self) -> str:
        done = inside("rotate-root-key", data=self.data, **self.variables)
        assert done.exit_code == 0, (done.output, done.exception)
        return " ".join(done.stdout.split())

    def fill(self) -> None:
        self.within(lambda components: _fill(components, self))
        self.secrets = self.within(_secrets)

    def check(self) -> None:
        """All of before is good."""
        assert self.within(_secrets) == self.secrets
        self.within(lambda components: _still_good(components, self))


async def _fill(components: Components, house: House) -> None:
    for name, proxy in (("one", None), ("two", "http://user:word@10.9.8.7:3128")):
        account = Account("", "openai_compatible", name, "https://example.com/v1", secret=f"of-{name}")
        await components.pool.add(account if proxy is None else replace(account, proxy=proxy))
    receiver = {"name": "pager", "url": "https://example.com/", "token": "a-token"}
    await components.options.write(NoticeOptions, {"receivers": [receiver, receiver | {"name": "other"}]})
    await components.options.write(BackupOptions, {"passphrase": "words of a passphrase"})
    house.raw = await components.keys.create("client")
    await components.keys.create("nobody uses it")
    house.overlapping = await components.keys.create("rotated")
    rotated = await components.keys.authenticate(house.overlapping)
    await components.keys.rotate(rotated.id, overlap_seconds=3600)
    await components.keys.ensure(API_KEY, name="fixed")
    house.owner = (await components.keys.authenticate(house.raw)).owner
    endpoint, _ = await components.endpoints.create(
        house.owner, name="e", url="https://example.com/hook", event_types=["video.failed"]
    )
    await components.endpoints.rotate_secret(endpoint.id, owner=house.owner, keep_old=True)
    projects = _projects(components)
    await projects.set_credit_secret((await projects.create({"name": "team"})).id, new_secret())
    house.link = components.signer.sign(PATH, now=time.time())
    house.hook = components.endpoints.hook_secret(house.owner)
    house.backup = await archive.make_backup(components.backup_sources, secrets=True)
    await _admin(components, house)


async def _admin(components: Components, house: House) -> None:
    admin = AdminUser("a" * 32, "owner", "owner", time.time())
    row = {"id": admin.id, "name": admin.name, "role": admin.role, "password": "", "created_at": 0.0}
    async with components.database.write() as connection:
        await connection.execute(sa.insert(metadata.tables["admins"]), row)
    raw, session = await SessionStore(components.database, components.vault).open(
        admin, address="", agent="", method="password"
    )
    house.session = (raw, session.csrf)
    factors = _factors(components)
    offer = factors.offer_secret(admin)
    code = pyotp.TOTP(offer.secret).now()
    house.recovery = await factors.turn_on(admin, offer.ticket, code=code, session_id=session.id)


def _projects(components: Components) -> ProjectRepository:
    return ProjectRepository(components.database, components.vault, components.keys)


def _factors(components: Components) -> SecondFactors:
    return SecondFactors(components.database, components.vault, audit=AuditLog(components.database))


async def _secrets(components: Components) -> dict[str, Any]:
    """Every sealed thing in the clear."""
    standings = await components.pool.current_statuses()
    found: dict[str, Any] = {s.account.name: (s.account.secret, s.account.proxy) for s in standings}
    for kind in (NoticeOptions, BackupOptions):
        found[kind.document] = await components.options.read(kind)
    async with components.database.read() as connection:
        endpoints = (await connection.execute(sa.text("SELECT id, owner FROM webhook_endpoints"))).all()
        totp = (await connection.execute(sa.text("SELECT id, totp_secret FROM admins"))).one()
    for row in endpoints:
        found[row.id] = await components.endpoints.valid_secrets(row.id, owner=row.owner)
    found["totp"] = components.vault.unseal(totp.totp_secret, place=admin_totp_place(totp.id))
    projects = _projects(components)
    found["project"] = await projects.credit_secret((await projects.find("team")).id)
    assert len(found) == 7 + ("studio" in found)
    return found


async def _still_good(components: Components, house: House) -> None:
    for raw in (house.raw, house.overlapping, API_KEY):
        await components.keys.authenticate(raw)
    count = await components.keys.count()
    await components.keys.ensure(API_KEY, name="again")
    assert await components.keys.count() == count
    with pytest.raises(AuthenticationFailed):
        await components.keys.authenticate(house.raw + "x")
    asked = dict(parse_qsl(urlsplit(house.link).query))
    components.signer.verify(PATH, asked["expires"], asked["signature"], now=time.time())
    with pytest.raises(PermissionDenied):
        components.signer.verify(PATH + "x", asked["expires"], asked["signature"], now=time.time())
    valid = await components.endpoints.valid_secrets(None, owner=house.owner)
    signed = signed_headers("wh_1", b"{}", valid=valid, now=time.time())
    assert house.hook in valid
    Webhook(house.hook).verify(b"{}", signed)
    cookie, csrf = house.session
    session = await SessionStore(components.database, components.vault).find(cookie)
    assert session
    assert session.csrf == csrf
    assert session.admin.second_factor
    factors = _factors(components)
    assert await factors.accept_code(session.admin, house.recovery[0])
    house.recovery = await factors.renew_codes(session.admin)
    changes = await archive.plan_restore(components.backup_sources, house.backup)
    assert {change.result for change in changes} == {"same"}, changes


async def _boxes(components: Components) -> set[str]:
    """Whatever looks sealed in any column of any table."""
    async with components.database.read() as connection:
        rows = [
            str(tuple(row))
            for table in metadata.sorted_tables
            for row in await connection.execute(sa.select(table))
        ]
    return set(BOX.findall("\n".join(rows)))


async def _hashes(components: Components) -> dict[str, tuple[str, str | None]]:
    async with components.database.read() as connection:
        return {row.name: (row.hash, row.old_hash) for row in await connection.execute(sa.select(keys))}


@pytest.fixture(params=["file", "variable"])
def house(request: pytest.FixtureRequest, tmp_path: Path, database_url: str) -> House:
    """Filled, and about to get a new root key; on both stores."""
    variables = {"FILMGATE_DATABASE_URL": database_url}
    if request.param == "variable":
        variables["FILMGATE_SECRET_KEY"] = FIRST
    made = House(tmp_path / "data", variables)
    made.fill()
    return made


def test_all_of_before_goes_on_and_then_needs_the_old_key_no_more(house: House) -> None:
    sealed, hashed = house.within(_boxes), house.within(_hashes)
    assert len(sealed) == 3 + 3 + 1 + 2 + 1
    if "FILMGATE_SECRET_KEY" in house.variables:
        house.variables |= {"FILMGATE_SECRET_KEY": SECOND, "FILMGATE_OLD_SECRET_KEYS": f"{FIRST}, {'x' * 16}"}
    told = house.rotate()
    assert "2 of accounts, 1 of webhook_endpoints, 1 of admins, 1 of projects, 2 of options" in told
    assert "Client keys that still need the old root key: 4" in told
    fresh = house.within(_boxes)
    assert len(fresh) == len(sealed)
    assert not fresh & sealed
    house.check()
    moved = house.within(_hashes)
    assert {name for name, pair in moved.items() if pair != hashed[name]} == {"client", "rotated", "fixed"}
    assert moved["rotated"][0] == hashed["rotated"][0]  # the newer secret was not used yet
    again = house.rotate()
    assert ("A new one can be created when" in again) is ("FILMGATE_SECRET_KEY" not in house.variables)
    assert "0 of accounts, 0 of webhook_endpoints, 0 of admins, 0 of projects, 0 of options" in again
    assert "still need the old root key: 2" in again
    house.variables.pop("FILMGATE_OLD_SECRET_KEYS", None)
    (house.data / "root.key.old").unlink(missing_ok=True)
    assert house.within(_secrets) == house.secrets
    for raw in (house.raw, house.overlapping, API_KEY):
        house.within(lambda components, raw=raw: components.keys.authenticate(raw))  # type: ignore[misc]


STEPS = ("link", "replace", "accounts", "webhook_endpoints", "admins", "options")


@pytest.mark.slow
def test_killed_at_every_step_one_after_the_other_it_loses_nothing(tmp_path: Path) -> None:
    house = House(tmp_path / "data", {})
    house.fill()
    first = (house.data / "root.key").read_bytes()
    for moment in [f"{step}:{when}" for step in STEPS for when in ("before", "after")]:
        died = subprocess.run(
            [sys.executable, "-m", "tests.security.mortal_rotation", "rotate-root-key"],
            cwd=ROOT,
            env=environment(MORTAL=moment, FILMGATE_DATA_DIR=str(house.data)),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert died.returncode == -signal.SIGKILL, (moment, died.stdout, died.stderr)
        kept = {path.read_bytes() for path in house.data.glob("root.key*")}
        assert first in kept, moment
        house.check()
    told = house.rotate()
    assert "0 of accounts, 0 of webhook_endpoints, 0 of admins, 0 of projects, 0 of options" in told
    house.check()
    files = list(house.data.glob("root.key*"))
    assert {path.name for path in files} == NAMES
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert (house.data / "root.key.old").read_bytes() == first != (house.data / "root.key").read_bytes()


def test_a_wrong_root_key_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    house = House(tmp_path / "data", {})
    house.fill()
    wrong = hashlib.sha256(b"another").digest()
    right = (house.data / "root.key").read_bytes()
    (house.data / "root.key").write_bytes(wrong)
    done = filmgate("rotate-root-key", cwd=tmp_path)
    assert done.returncode == 2
    assert "can't be opened with this root key. Restore the root.key" in done.stderr
    assert (house.data / "root.key").read_bytes() == wrong
    assert not (house.data / "root.key.old").exists()
    (house.data / "root.key").write_bytes(right)
    house.check()


def test_a_key_from_the_environment_is_changed_there(tmp_path: Path) -> None:
    house = House(tmp_path / "data", {"FILMGATE_SECRET_KEY": FIRST})
    done = inside("rotate-root-key", data=house.data, **house.variables)
    assert isinstance(done.exception, SettingsInvalid)
    assert "Put the present one in FILMGATE_OLD_SECRET_KEYS" in str(done.exception)
    house.variables["FILMGATE_OLD_SECRET_KEYS"] = "short"
    done = inside("rotate-root-key", data=house.data, **house.variables)
    assert str(done.exception).startswith("FILMGATE_OLD_SECRET_KEYS: holds a key of less than 16 characters")


def test_a_process_that_runs_meanwhile_opens_what_is_sealed_anew(tmp_path: Path) -> None:
    house = House(tmp_path / "data", {})
    house.fill()

    async def work(components: Components) -> None:
        await asyncio.to_thread(house.rotate)
        await components.pool.refresh()
        assert await _secrets(components) == house.secrets

    house.within(work)
