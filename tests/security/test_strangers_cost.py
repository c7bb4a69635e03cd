"""What works without a key costs little, however often it is asked for: looks are shared, passwords wait their turn."""

import asyncio
import os
from pathlib import Path

import httpx2
import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from app.admin.passwords import (
    MOST_WAITING,
    MOST_WAITING_OF_ADDRESS,
    PasswordHashing,
    SignInThrottle,
    source_of,
)
from app.admin.session_store import SessionStore
from app.components import Components
from app.errors import SignInThrottled
from app.main import create_app
from app.settings import Settings
from app.shared_reads import SharedRead
from app.vault import Vault
from tests.serving import GatewayProcess

ASKED = int(os.environ.get("FILMGATE_TEST_HEALTH_CHECKS", "600"))
TOKEN = "a-token-for-the-metrics-0123"
PASSWORD = "correct horse battery"


async def test_thousands_of_health_checks_are_one_look(database_url: str, tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, database_url=database_url, studio="off", worker=False)
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        components = app.state.components
        writes: list[str] = []
        put = components.store.put

        async def counted_put(key: str, content: bytes, **options: str) -> int:
            writes.append(key)
            return int(await put(key, content, **options))

        object.__setattr__(components.store, "put", counted_put)
        statements: list[str] = []
        sa.event.listen(
            sa.engine.Engine,
            "before_cursor_execute",
            counted := lambda _c, _cursor, statement, *_: statements.append(statement),
        )
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            await asyncio.gather(*(http.get("/readyz") for _ in range(50)))
            for path in ("/readyz", "/metrics", "/healthz"):
                for _ in range(ASKED // 60):
                    answers = await asyncio.gather(*(http.get(path) for _ in range(20)))
                    assert {answer.status_code for answer in answers} == {200}
        sa.event.remove(sa.engine.Engine, "before_cursor_execute", counted)
    looks = 20  # some, because a slow machine needs more than five seconds for all of them
    print(f"{ASKED} requests: {len(statements)} statements, {len(writes)} writes")
    assert len(writes) <= looks
    assert len(statements) <= 10 * looks


async def test_one_look_at_a_time_and_its_error_is_shared() -> None:
    begun, may_end = 0, asyncio.Event()

    async def look() -> int:
        nonlocal begun
        begun += 1
        await may_end.wait()
        if begun == 1:
            raise OSError("away")
        return begun

    shared = SharedRead(look, seconds=0.0)
    asking = [asyncio.create_task(shared.get()) for _ in range(100)]
    await asyncio.sleep(0)
    asking[0].cancel()  # whoever began it may leave
    may_end.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert begun == 1 and all(isinstance(one, OSError) for one in found[1:])
    await asyncio.sleep(0.01)
    assert await shared.get() == 2


def test_metrics_can_have_a_token(tmp_path: Path) -> None:
    with GatewayProcess(tmp_path, FILMGATE_STUDIO="off", FILMGATE_METRICS_TOKEN=TOKEN) as gateway:

        def asked(**headers: str) -> int:
            return httpx2.get(f"{gateway.url}/metrics", headers=headers, timeout=60).status_code

        assert asked(authorization=f"Bearer {TOKEN}") == 200
        for wrong in ("", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN}x", TOKEN, "Bearer None"):
            assert asked(**({"authorization": wrong} if wrong else {})) == 401
        assert httpx2.get(f"{gateway.url}/readyz", timeout=60).status_code == 200
    with pytest.raises(ValidationError):
        Settings(metrics_token="short")  # type: ignore[arg-type]


# ---- signing in ----------------------------------------------------------------------------------


def attempts(throttle: SignInThrottle, count: int, **who: str) -> int:
    """How many of so many attempts at one moment may be made."""
    made = 0
    for _ in range(count):
        try:
            throttle.begin_attempt(
                address=who["address"], name=who["name"], device=who.get("device", ""), now=1.0
            )
        except SignInThrottled:
            continue
        made += 1
    return made


def test_strangers_guesses_delay_nobody_else() -> None:
    throttle = SignInThrottle()
    assert attempts(throttle, 50, address="10.0.0.1", name="admin") == 5
    for number in range(50):  # names that don't exist, all through one proxy that is not trusted
        attempts(throttle, 1, address="10.0.0.9", name=f"made up {number}")
    assert attempts(throttle, 1, address="10.0.0.9", name="admin") == 1
    assert attempts(throttle, 1, address="10.0.0.2", name="admin") == 1
    assert attempts(throttle, 1, address="10.0.0.1", name="admin", device="device x") == 1
    assert attempts(throttle, 50, address="10.0.0.1", name="ADMIN") == 0


def test_addresses_of_one_customer_are_one_source() -> None:
    throttle = SignInThrottle()
    made = [
        attempts(throttle, 1, address=f"2001:db8:0:1::{number:x}", name="admin") for number in range(1, 50)
    ]
    assert sum(made) == 5
    assert source_of("::ffff:10.0.0.1") == source_of("10.0.0.1") == "10.0.0.1"
    assert source_of("x" * 10_000) == source_of("") == "unknown"


def test_a_device_is_known_by_its_cookie_alone() -> None:
    store = SessionStore(None, Vault(b"0" * 32))  # type: ignore[arg-type]
    cookie = store.new_device("Ada")
    assert store.known_device(cookie, "ada").startswith("device ")
    wrong = [
        "",
        ".",
        f".{cookie.partition('.')[2]}",
        cookie[:-1],
        cookie + "x",
        "x" * 5000,
        f"{cookie}\u00e9",
    ]
    assert [store.known_device(each, "ada") for each in wrong] == [""] * len(wrong)
    assert store.known_device(cookie, "bob") == ""


async def test_few_passwords_wait_to_be_hashed() -> None:
    passwords = PasswordHashing()
    with pytest.raises(SignInThrottled):
        _hold(passwords, ["10.0.0.1"] * (MOST_WAITING_OF_ADDRESS + 1))
    passwords = PasswordHashing()
    with pytest.raises(SignInThrottled):
        _hold(passwords, [f"10.0.0.{number}" for number in range(MOST_WAITING + 1)])
    _hold(PasswordHashing(), [f"10.0.0.{number}" for number in range(MOST_WAITING)])


def _hold(passwords: PasswordHashing, addresses: list[str]) -> None:
    if addresses:
        with passwords.reserve_turn(addresses[0]):
            _hold(passwords, addresses[1:])


# ---- behind a proxy ------------------------------------------------------------------------------


def sign_in(gateway: GatewayProcess, forwarded: str, password: str = "wrong wrong wrong") -> int:
    answer = httpx2.post(
        f"{gateway.url}/admin/api/session",
        json={"name": "admin", "password": password},
        headers={"x-forwarded-for": forwarded, "x-forwarded-proto": "https"},
        timeout=60,
    )
    return answer.status_code


def test_addresses_are_believed_from_trusted_proxies_only(tmp_path: Path) -> None:
    own = {"FILMGATE_STUDIO": "off", "FILMGATE_ADMIN_PASSWORD": PASSWORD}
    with GatewayProcess(tmp_path / "a", FILMGATE_TRUSTED_PROXIES="10.0.0.0/8", **own) as gateway:
        # We are no proxy here: whatever we say about our address, our guesses are one client's.
        assert 429 in [sign_in(gateway, f"192.0.2.{number}") for number in range(20)]
    with GatewayProcess(tmp_path / "b", FILMGATE_TRUSTED_PROXIES="127.0.0.0/8,10.0.0.0/8", **own) as gateway:
        # What a client writes itself stands left of what the proxies add, and is not read.
        found = [sign_in(gateway, f"192.0.2.{number}, 203.0.113.7, 10.1.2.3") for number in range(20)]
        assert 429 in found
        assert sign_in(gateway, "203.0.113.8, 10.1.2.3", PASSWORD) == 200


def test_networks_of_keys_work_behind_a_proxy(tmp_path: Path) -> None:
    gateway = GatewayProcess(tmp_path, FILMGATE_STUDIO="off")

    async def add_key(components: Components) -> str:
        return await components.keys.create("office", networks=["203.0.113.0/24"])

    secret = gateway.prepare(add_key)
    with gateway, gateway.client(key=secret) as http:
        assert http.get("/v1/models").status_code == 403
        assert http.get("/v1/models", headers={"x-forwarded-for": "203.0.113.5"}).status_code == 200
        told = "203.0.113.5, 198.51.100.1"
        assert http.get("/v1/models", headers={"x-forwarded-for": told}).status_code == 403


@pytest.mark.parametrize("value", ["*", "proxy.lan", "10.0.0.0/99", "10.0.0.1;10.0.0.2"])
def test_a_proxy_is_an_address_or_a_network(value: str) -> None:
    with pytest.raises(ValidationError):
        Settings(trusted_proxies=value)


def test_proxies_of_both_families_are_known() -> None:
    networks = Settings(trusted_proxies="172.16.0.0/12, 10.0.0.5,fd00::/8").proxy_networks
    assert networks == [
        "172.16.0.0/12",
        "10.0.0.5/32",
        "fd00::/8",
        "::ffff:172.16.0.0/108",
        "::ffff:10.0.0.5/128",
    ]
