"""Empty is not set: no setting, header, cookie or link opens anything with a secret that holds nothing."""

import asyncio
import os
import socket
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from pydantic import SecretStr

from app.admin.admin_repository import FIXED_NAME, AdminRepository, has_empty_password
from app.admin.audit_log import AuditLog
from app.admin.passwords import PasswordHashing
from app.admin.session_store import SessionStore
from app.backup.sealing import new_box
from app.components import Components
from app.configuration.toml_file import parse_text
from app.db.operator_tables import admins, sessions
from app.db.session import Database
from app.errors import InvalidRequest, SettingsInvalid
from app.settings import Settings, load_settings
from app.vault import Vault
from app.webhooks.notice_options import NoticeReceiver
from tests.cli.running import inside
from tests.serving import GatewayProcess

NOTHING = ("", " ", "   \t ", "\u200b", " " * 20, "\u200b" * 20)
SECRETS = [name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)]
WEAK = ("", " " * 12, "short", "password123", "aaaaaaaaaaaa", "change-me-now", "abababababab", "x" * 300)


@pytest.mark.parametrize("value", NOTHING)
def test_every_setting_that_is_empty_has_its_default(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"admin_password", "admin_token", "api_key", "secret_key", "redis_url"} < set(SECRETS)
    default = load_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"FILMGATE_{name.upper()}", value)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", value)
    found = load_settings()
    assert found == default
    assert not found.model_fields_set
    assert Settings.model_validate({name: SecretStr(value) for name in SECRETS}) == Settings()


def test_an_empty_key_of_the_object_store_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", " ")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    load_settings()
    assert "AWS_SECRET_ACCESS_KEY" not in os.environ and os.environ["AWS_REGION"] == "eu-west-1"


@pytest.mark.parametrize("value", NOTHING)
def test_an_empty_variable_declares_no_key_and_no_account(value: str) -> None:
    for text in (
        '[[keys]]\nname = "shop"\nsecret_env = "EMPTY"',
        '[[accounts]]\nname = "a"\nprovider = "openai_compatible"\nbase_url = "https://h/v1"\nsecret_env = "EMPTY"',
        '[[accounts]]\nname = "a"\nprovider = "openai_compatible"\n[accounts.options]\nthing_env = "EMPTY"',
    ):
        with pytest.raises(SettingsInvalid, match="EMPTY"):
            parse_text(text, {"EMPTY": value})


@pytest.mark.parametrize("value", NOTHING)
def test_a_blank_token_of_a_receiver_is_none(value: str) -> None:
    receiver = NoticeReceiver(name="pager", url="https://example.com/", token=value, secret=value)
    assert not receiver.token and not receiver.secret


async def test_a_blank_passphrase_seals_nothing() -> None:
    vault = Vault(b"0" * 32)
    assert (await new_box(vault, "")).seal_name == "root_key"
    with pytest.raises(InvalidRequest):
        await new_box(vault, " " * 20)


def repository(database: Database, passwords: PasswordHashing) -> AdminRepository:
    return AdminRepository(database, Vault(b"0" * 32), audit=AuditLog(database), passwords=passwords)


async def store_owner(database: Database, password: str, *, name: str = FIXED_NAME) -> None:
    row = {"id": "1" * 32, "name": name, "role": "owner", "created_at": 1.0}
    async with database.write() as connection:
        hashed = await asyncio.to_thread(PasswordHasher().hash, password)
        await connection.execute(sa.insert(admins), row | {"password": hashed})


async def test_the_environment_sets_no_password_that_the_panel_refuses(database_url: str) -> None:
    database = Database(database_url)
    try:
        known = repository(database, PasswordHashing())
        for password in WEAK:
            with pytest.raises(InvalidRequest):
                await known.ensure_fixed(password)
            with pytest.raises(InvalidRequest):
                await known.create("test", "somebody", role="owner", password=password)
        assert await known.count() == 0
    finally:
        await database.close()


async def test_an_owner_with_an_empty_password_is_locked_out(database_url: str) -> None:
    database = Database(database_url)
    try:
        passwords = PasswordHashing()
        known, open_sessions = repository(database, passwords), SessionStore(database, Vault(b"0" * 32))
        await store_owner(database, "")
        [owner] = await known.list()
        await open_sessions.open(owner, address="10.0.0.1", agent="a thief", method="password")
        assert await has_empty_password(database, passwords)
        for password in NOTHING[:2]:
            assert await known.verify_password(FIXED_NAME, password) is None
        assert await known.lock_out_empty_password()
        async with database.read() as connection:
            assert (await connection.execute(sa.select(sessions))).first() is None
        await known.reset_password("test", FIXED_NAME, password="a few random words")
        assert not await known.lock_out_empty_password()
        assert await known.verify_password(FIXED_NAME, "a few random words")
    finally:
        await database.close()


async def store_empty_owner(components: Components) -> None:
    await store_owner(components.database, "")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """With every secret empty, on a store that an older version has opened to everybody."""
    empty = {f"FILMGATE_{name.upper()}": "" for name in SECRETS}
    gateway = GatewayProcess(tmp_path_factory.mktemp("empty"), FILMGATE_STUDIO="off")
    gateway.prepare(store_empty_owner)
    gateway.environment |= empty
    with gateway:
        yield gateway


@pytest.mark.parametrize("password", NOTHING[:4])
def test_nobody_signs_in_with_an_empty_password(opened: GatewayProcess, password: str) -> None:
    with httpx2.Client(base_url=f"{opened.url}/admin/api", timeout=60) as http:
        headers = {"x-forwarded-for": f"10.3.0.{NOTHING.index(password)}"}
        answer = http.post("/session", json={"name": FIXED_NAME, "password": password}, headers=headers)
        assert answer.status_code == 401 and "set-cookie" not in answer.headers
        assert http.get("/session").json()["state"] == "signed_out"


def test_the_log_and_doctor_say_so(opened: GatewayProcess) -> None:
    assert "admin.locked" in opened.log.read_text()
    given = {"FILMGATE_STUDIO": "off", "FILMGATE_PORT": "0", "FILMGATE_ADMIN_PASSWORD": "", "COLUMNS": "300"}
    told = inside("doctor", data=opened.folder, **given)
    assert told.exit_code == 1
    assert "FILMGATE_ADMIN_PASSWORD is empty" in told.output
    assert "filmgate admin reset-password admin" in told.output


EMPTY_HEADERS: list[list[tuple[str, str]]] = [
    [("authorization", "")],
    [("authorization", "Bearer")],
    [("authorization", "Bearer ")],
    [("authorization", "Bearer  \t")],
    [("authorization", "Bearer \u00a0")],
    [("authorization", "Basic Og==")],
    [("authorization", "Basic ")],
    [("x-api-key", "")],
    [("x-api-key", "  ")],
    [("authorization", "Bearer "), ("x-api-key", "")],
    [("cookie", "filmgate_session=")],
    [("cookie", "filmgate_session")],
    [("cookie", "")],
    [("authorization", ""), ("cookie", "filmgate_session=")],
    [("sec-websocket-protocol", "openai-insecure-api-key.")],
]


@pytest.mark.parametrize("headers", EMPTY_HEADERS, ids=str)
@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/videos", "/v1/tasks", "/admin/api/keys", "/admin/api/admins"]
)
def test_an_empty_header_opens_nothing(
    opened: GatewayProcess, path: str, headers: list[tuple[str, str]]
) -> None:
    wire = HTTPConnection(opened.url.removeprefix("http://"), timeout=60)
    wire.putrequest("GET", path)
    wire.putheader("x-forwarded-for", f"10.3.2.{EMPTY_HEADERS.index(headers)}")
    for name, value in headers:
        wire.putheader(name, value.encode("latin-1"))
    wire.endheaders()
    assert wire.getresponse().status == 401
    wire.close()


@pytest.mark.parametrize(
    "query", ["", "?expires=&signature=", "?expires=99999999999&signature=", "?signature="]
)
def test_an_empty_signature_opens_no_file(opened: GatewayProcess, query: str) -> None:
    answer = httpx2.get(f"{opened.url}/files/videos/{'0' * 32}{query}", timeout=60)
    assert answer.status_code in (400, 401, 403, 404)


@pytest.mark.parametrize("token", NOTHING)
def test_an_empty_setup_token_makes_no_owner(opened: GatewayProcess, token: str) -> None:
    body = {"token": token, "name": "boss", "password": "correct horse battery"}
    headers = {"x-forwarded-for": f"10.3.1.{NOTHING.index(token)}"}
    answer = httpx2.post(f"{opened.url}/admin/api/setup", json=body, headers=headers, timeout=60)
    assert answer.status_code == 400


def test_an_empty_host_is_not_every_network(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, FILMGATE_STUDIO="off", FILMGATE_HOST="") as gateway:
        port = int(gateway.url.rpartition(":")[2])
        assert gateway.url.startswith("http://127.0.0.1:")
        with socket.socket() as other:
            other.settimeout(30)
            assert other.connect_ex(("127.0.0.2", port)) != 0
