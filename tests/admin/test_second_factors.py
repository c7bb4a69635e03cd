"""The second factor in the store: each code works once, whoever comes at the same time; secrets are sealed."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pyotp
import pytest
import pytest_asyncio
import sqlalchemy as sa

from app.admin.admin_repository import AdminRepository, AdminUser
from app.admin.audit_log import AuditLog
from app.admin.passwords import BY_CODE, PasswordHashing, SignInThrottle
from app.admin.second_factors import RECOVERY_CODES, SETUP_SECONDS, SecondFactors
from app.db.operator_tables import admins, audit, recovery_codes
from app.db.session import Database
from app.errors import InvalidRequest, SignInThrottled
from app.vault import Vault
from tests.admin.conftest import PASSWORD

ROOT = b"r" * 32


@dataclass
class Desk:
    """One admin, and what reads and changes her second factor."""

    database: Database
    admins: AdminRepository
    factors: SecondFactors
    admin: AdminUser
    code: str = ""
    """That which confirmed the secret."""

    async def turn_on(self) -> tuple[pyotp.TOTP, list[str]]:
        offer = self.factors.offer_secret(self.admin)
        app = pyotp.TOTP(offer.secret)
        self.code = app.now()
        codes = await self.factors.turn_on(self.admin, offer.ticket, code=self.code, session_id="")
        return app, codes

    async def forget_step(self) -> None:
        """As if the last code had been used long ago."""
        async with self.database.write() as connection:
            await connection.execute(sa.update(admins).values(totp_step=0))


@pytest_asyncio.fixture
async def desk(database_url: str) -> AsyncIterator[Desk]:
    database = Database(database_url)
    log = AuditLog(database)
    repository = AdminRepository(database, Vault(ROOT), audit=log, passwords=PasswordHashing())
    admin = await repository.create("test", "ada", role="viewer", password=PASSWORD)
    yield Desk(database, repository, SecondFactors(database, Vault(ROOT), audit=log), admin)
    await database.close()


async def test_a_code_works_once_also_for_those_who_come_together(desk: Desk) -> None:
    app, _ = await desk.turn_on()
    assert not await desk.factors.accept_code(desk.admin, desk.code)
    await desk.forget_step()
    # The steps around now, so that the test needs no luck at their borders.
    code = app.at(time.time())
    results = await asyncio.gather(*(desk.factors.accept_code(desk.admin, code) for _ in range(8)))
    assert results.count(True) == 1
    assert not await desk.factors.accept_code(desk.admin, app.at(time.time() - 30))  # an older one, neither


async def test_clocks_may_be_off_by_a_step_and_no_more(desk: Desk) -> None:
    app, _ = await desk.turn_on()
    for seconds in (-3600, -120, 120, 3600):
        await desk.forget_step()
        assert not await desk.factors.accept_code(desk.admin, app.at(time.time() + seconds)), seconds
    for text in ("", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "\ud800"):
        assert not await desk.factors.accept_code(desk.admin, text), text
    code = app.now()
    assert await desk.factors.accept_code(desk.admin, f" {code[:3]} {code[3:]} ")


async def test_recovery_codes_work_once_each_and_are_stored_as_hashes(desk: Desk) -> None:
    _, codes = await desk.turn_on()
    assert len(set(codes)) == RECOVERY_CODES == await desk.factors.count_codes(desk.admin.id)
    async with desk.database.read() as connection:
        stored = str((await connection.execute(sa.select(recovery_codes))).all())
        secret = (await connection.execute(sa.select(admins.c.totp_secret))).scalar_one()
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)
    assert secret.startswith("v1.")
    results = await asyncio.gather(*(desk.factors.accept_code(desk.admin, codes[0]) for _ in range(5)))
    assert results.count(True) == 1
    assert await desk.factors.accept_code(desk.admin, codes[1].upper().replace("-", " "))
    assert await desk.factors.count_codes(desk.admin.id) == RECOVERY_CODES - 2
    other = await desk.admins.create("test", "eve", role="owner", password=PASSWORD)
    assert not await desk.factors.accept_code(other, codes[2])
    admin = await desk.admins.get(desk.admin.id)
    fresh = await desk.factors.renew_codes(admin)
    assert not await desk.factors.accept_code(admin, codes[2])
    assert await desk.factors.accept_code(admin, fresh[2])


async def test_nothing_is_turned_on_without_a_right_code_in_time(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer = desk.factors.offer_secret(desk.admin)
    wrong = f"{(int(pyotp.TOTP(offer.secret).now()) + 1) % 10**6:06}"
    with pytest.raises(InvalidRequest, match="wrong"):
        await desk.factors.turn_on(desk.admin, offer.ticket, code=wrong, session_id="")
    other = await desk.admins.create("test", "eve", role="owner", password=PASSWORD)
    right = pyotp.TOTP(offer.secret).now()
    for admin, ticket in ((other, offer.ticket), (desk.admin, offer.ticket[:-6]), (desk.admin, "v1.x")):
        with pytest.raises(InvalidRequest, match="too old"):
            await desk.factors.turn_on(admin, ticket, code=right, session_id="")
    monkeypatch.setattr("app.admin.second_factors.SETUP_SECONDS", -SETUP_SECONDS)
    late = desk.factors.offer_secret(desk.admin)
    with pytest.raises(InvalidRequest, match="too old"):
        await desk.factors.turn_on(desk.admin, late.ticket, code=pyotp.TOTP(late.secret).now(), session_id="")
    assert not (await desk.admins.get(desk.admin.id)).second_factor


async def test_off_is_off_and_every_change_is_in_the_log(desk: Desk) -> None:
    app, codes = await desk.turn_on()
    admin = await desk.admins.named("ada")
    assert admin.second_factor
    assert await desk.factors.accept_code(admin, codes[0])
    await desk.factors.renew_codes(admin)
    await desk.factors.turn_off("boss", admin)
    await desk.forget_step()
    assert not await desk.factors.accept_code(admin, app.now())
    assert not await desk.factors.accept_code(admin, codes[1])
    with pytest.raises(InvalidRequest, match="no second factor"):
        await desk.factors.turn_off("boss", await desk.admins.named("ada"))
    async with desk.database.read() as connection:
        rows = (await connection.execute(sa.select(audit).order_by(audit.c.id))).all()
    assert [(row.actor, row.action) for row in rows[1:]] == [
        ("ada", "admin.second_factor_on"),
        ("ada", "admin.recovery_code_used"),
        ("ada", "admin.recovery_codes_renewed"),
        ("boss", "admin.second_factor_off"),
    ]
    assert {row.target for row in rows} == {f"admins/{admin.id}"}


async def test_the_codes_of_a_removed_admin_go_too(desk: Desk) -> None:
    await desk.turn_on()
    await desk.admins.delete("boss", desk.admin.id)
    assert await desk.factors.count_codes(desk.admin.id) == 0


def test_guesses_of_codes_are_counted_wherever_they_come_from() -> None:
    throttle = SignInThrottle()
    for number in range(BY_CODE.free):
        throttle.begin_attempt(address=f"10.0.0.{number}", name="ada", now=0)
        throttle.begin_code("ada", now=0)
    throttle.begin_attempt(address="10.1.0.1", name="ada", now=0)
    with pytest.raises(SignInThrottled):
        throttle.begin_code("Ada", now=0)
    throttle.begin_code("ada", device="device x", now=0)  # the owner's own browser is not delayed
    throttle.forget_codes("ada")
    throttle.begin_code("ada", now=0)


def test_a_password_without_a_code_neither_counts_nor_forgets() -> None:
    throttle = SignInThrottle()
    for _ in range(20):
        throttle.begin_attempt(address="10.0.0.1", name="ada", now=0)
        throttle.withdraw_attempt(address="10.0.0.1", name="ada")
    with pytest.raises(SignInThrottled):
        for _ in range(20):
            throttle.begin_attempt(address="10.0.0.1", name="ada", now=0)  # a wrong code
            throttle.begin_attempt(address="10.0.0.1", name="ada", now=0)
            throttle.withdraw_attempt(address="10.0.0.1", name="ada")
