"""Signing in with a second factor, through the panel's API and the command line."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pyotp
import pytest

from tests.admin.conftest import PASSWORD, TOKEN, Browser, browser
from tests.cli.running import inside
from tests.serving import GatewayProcess, until


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that requires a second factor of everybody."""
    with GatewayProcess(
        tmp_path_factory.mktemp("strict"),
        FILMGATE_STUDIO="off",
        FILMGATE_ADMIN_PASSWORD=PASSWORD,
        FILMGATE_ADMIN_TOKEN=TOKEN,
        FILMGATE_ADMIN_TOTP="required",
    ) as found:
        yield found


def code_of(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def sign_in(who: Browser, name: str, code: str = "", *, address: str = "10.3.0.1") -> Any:
    body = {"name": name, "password": PASSWORD, "code": code}
    answer = who.http.post("/session", json=body, headers={"x-forwarded-for": address})
    if answer.is_success:
        who.csrf = answer.json()["csrf"]
    return answer


def turn_on(who: Browser) -> tuple[pyotp.TOTP, list[str]]:
    offer = who.post("/session/second-factor", json={"password": PASSWORD})
    app = pyotp.parse_uri(offer["uri"])
    assert isinstance(app, pyotp.TOTP)
    body = {"ticket": offer["ticket"], "code": app.now()}
    return app, who.must("PUT", "/session/second-factor", json=body)["codes"]


def new_code(app: pyotp.TOTP) -> str:
    """A code of a later step than those before: each is used once. The gateway takes that of the next step too."""
    used = getattr(app, "used", int(time.time()) // 30)
    step = int(until(lambda: max(now, used + 1) if (now := int(time.time()) // 30) >= used else None))
    app.used = step  # type: ignore[attr-defined]
    return str(app.generate_otp(step))


@dataclass
class Person(Browser):
    name: str = ""


@pytest.fixture
def ada(owner: Browser, gateway: GatewayProcess, request: pytest.FixtureRequest) -> Iterator[Person]:
    """An admin who is signed in; gone afterwards. Each test has one of its own, whose guesses nobody else has made."""
    name = f"ada of {request.node.name}"[:80]
    made = owner.post("/admins", status=201, json={"name": name, "role": "viewer", "password": PASSWORD})
    found = Person(browser(gateway).http, name=name)
    with found.http:
        assert sign_in(found, name).is_success
        yield found
    owner.must("DELETE", f"/admins/{made['id']}", status=204)


def test_signing_in_takes_a_code_that_works_once(ada: Person, nobody: Browser, owner: Browser) -> None:
    app, codes = turn_on(ada)
    assert ada.get("/session")["admin"]["second_factor"] is True  # this session goes on
    assert ada.get("/session/second-factor") == {"on": True, "recovery_codes": 10}
    assert code_of(sign_in(nobody, ada.name)) == (401, "second_factor_needed")
    wrong = nobody.http.post("/session", json={"name": ada.name, "password": "another one", "code": codes[0]})
    assert code_of(wrong) == (401, "invalid_credentials")
    code = new_code(app)
    assert code_of(sign_in(nobody, ada.name, f"{(int(code) + 1) % 10**6:06}")) == (
        401,
        "second_factor_refused",
    )
    assert sign_in(nobody, ada.name, code).is_success
    assert code_of(sign_in(nobody, ada.name, code)) == (401, "second_factor_refused")
    assert sign_in(nobody, ada.name, codes[3]).is_success
    assert code_of(sign_in(nobody, ada.name, codes[3])) == (401, "second_factor_refused")
    used = owner.get("/audit?action=admin.recovery_code_used")["data"][0]
    assert used["actor"] == ada.name and codes[3] not in str(used)


def test_the_offer_is_what_an_app_scans(ada: Person) -> None:
    assert ada.refused("POST", "/session/second-factor", json={"password": "not hers"}) == (400, "password")
    offer = ada.post("/session/second-factor", json={"password": PASSWORD})
    address = urlsplit(offer["uri"])
    assert (address.scheme, address.netloc, address.path) == (
        "otpauth",
        "totp",
        f"/Filmgate:{quote(ada.name)}",
    )
    assert parse_qs(address.query) == {"secret": [offer["secret"]], "issuer": ["Filmgate"]}
    drawn = re.findall(r"M(\d+) (\d+)\.5h(\d+)", offer["qr"]["path"])
    size = offer["qr"]["size"]
    assert "".join(f"M{x} {y}.5h{n}" for x, y, n in drawn) == offer["qr"]["path"]
    # A finder pattern in the corner, and a quiet border of four modules.
    assert drawn[0] == ("4", "4", "7")
    assert max(int(x) + int(n) for x, _, n in drawn) == size - 4
    assert ada.get("/session/second-factor")["on"] is False  # nothing is on before it is confirmed
    body = {"ticket": offer["ticket"], "code": "000000x"}
    assert ada.refused("PUT", "/session/second-factor", json=body) == (400, "code")


def test_other_sessions_end_when_it_is_turned_on(ada: Person, nobody: Browser) -> None:
    assert sign_in(nobody, ada.name).is_success
    turn_on(ada)
    assert nobody.get("/session")["state"] == "signed_out"


def test_new_recovery_codes_and_turning_off(ada: Person, nobody: Browser) -> None:
    refused = ada.ask("POST", "/session/recovery-codes", json={"password": PASSWORD})
    assert code_of(refused) == (400, "invalid_request")
    _, old = turn_on(ada)
    for path in ("/session/recovery-codes", "/session/second-factor/disable"):
        assert ada.refused("POST", path, json={"password": "not hers"}) == (400, "password")
    new = ada.post("/session/recovery-codes", json={"password": PASSWORD})["codes"]
    assert code_of(sign_in(nobody, ada.name, old[0])) == (401, "second_factor_refused")
    assert sign_in(nobody, ada.name, new[0]).is_success
    ada.must("POST", "/session/second-factor/disable", status=204, json={"password": PASSWORD})
    assert sign_in(nobody, ada.name).is_success


def test_wrong_codes_are_slowed_down_like_wrong_passwords(ada: Person, nobody: Browser) -> None:
    turn_on(ada)
    answers = []
    # A try takes its time too; as the wait doubles, it is soon longer than that.
    while not answers or answers[-1].status_code == 401:
        answers.append(sign_in(nobody, ada.name, "not-a-code", address="10.3.0.9"))
    assert code_of(answers[-1]) == (429, "rate_limit_exceeded") and len(answers) > 5
    assert code_of(sign_in(nobody, ada.name, "", address="10.3.0.9")) == (429, "rate_limit_exceeded")


def test_an_owner_turns_it_off_for_somebody_else(ada: Person, nobody: Browser, owner: Browser) -> None:
    turn_on(ada)
    row = next(row for row in owner.get("/admins")["data"] if row["name"] == ada.name)
    assert row["second_factor"] is True
    path = f"/admins/{row['id']}/second-factor"
    assert ada.ask("DELETE", path).status_code == 403
    owner.must("DELETE", path, status=204)
    change = owner.newest_change()
    assert (change["actor"], change["action"]) == ("admin", "admin.second_factor_off")
    assert owner.ask("DELETE", path).status_code == 400
    assert sign_in(nobody, ada.name).is_success


def test_where_everybody_must_have_one_nothing_goes_without(strict: GatewayProcess) -> None:
    boss = browser(strict)
    with boss.http:
        state = sign_in(boss, "admin").json()
        assert (state["state"], state["lacks_factor"]) == ("signed_in", True)
        for method, path in (("GET", "/overview"), ("GET", "/keys"), ("POST", "/keys"), ("GET", "/events")):
            answer = boss.ask(method, path)
            assert code_of(answer) == (403, "second_factor_missing"), path
        assert boss.ask("GET", "/admins", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
        turn_on(boss)
        assert boss.get("/session")["lacks_factor"] is False
        assert boss.ask("GET", "/keys").status_code == 200


def test_a_lost_phone_is_helped_on_the_command_line(strict: GatewayProcess) -> None:
    boss = browser(strict)
    where = {"data": strict.folder, "FILMGATE_STUDIO": "off"}
    body = {"name": "lost", "role": "viewer", "password": PASSWORD}
    with boss.http:
        boss.http.post("/admins", json=body, headers={"authorization": f"Bearer {TOKEN}"})
        assert sign_in(boss, "lost").is_success
        turn_on(boss)
        listed = inside("admin", "list", **where).stdout
        assert re.search(r"lost +viewer +yes", listed), listed
        done = inside("admin", "reset-password", "lost", stdin=f"{PASSWORD}\n", **where)
        assert "second factor is still asked for" in " ".join(done.stdout.split())
        assert code_of(sign_in(boss, "lost")) == (401, "second_factor_needed")
        done = inside("admin", "reset-totp", "lost", **where)
        assert done.exit_code == 0 and "without a second factor" in done.stdout, done.output
        assert sign_in(boss, "lost").is_success
    assert inside("admin", "reset-totp", "lost", **where).exit_code != 0
    assert inside("admin", "reset-totp", "nobody", **where).exit_code != 0
