"""Signing in through an OpenID Connect provider, and everything that must not let anybody in."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from pydantic import ValidationError

from app.admin.oidc_options import OidcOptions, read_roles
from app.settings import Settings
from tests.admin.conftest import PASSWORD, TOKEN, Browser, browser
from tests.admin.identity_provider import CLIENT_SECRET, Claims, IdentityProvider
from tests.cli.running import inside
from tests.serving import GatewayProcess

OWNERS = {"sub": "u-1", "preferred_username": "ada", "groups": ["filmgate-owners", "everybody"]}


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider(person=dict(OWNERS)) as found:
        yield found


def started(folder: Path, provider: IdentityProvider, **more: str) -> GatewayProcess:
    own = {"FILMGATE_STUDIO": "off", "FILMGATE_ADMIN_PASSWORD": PASSWORD, "FILMGATE_ADMIN_TOKEN": TOKEN}
    return GatewayProcess(folder, **(own | provider.settings(**more)))


@pytest.fixture
def gateway(tmp_path: Path, provider: IdentityProvider) -> Iterator[GatewayProcess]:
    with started(tmp_path, provider) as found:
        yield found


@pytest.fixture
def who(gateway: GatewayProcess) -> Iterator[Browser]:
    found = browser(gateway)
    with found.http:
        yield found


def go(address: str) -> str:
    """Where the provider sends the browser."""
    answer = httpx2.get(address, trust_env=False)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def problem_of(answer: httpx2.Response) -> str:
    """The code that the sign-in page shows; empty where the panel opens."""
    assert answer.status_code == 303, answer.text
    address, _, fragment = answer.headers["location"].partition("#")
    assert address == "../../"
    return parse_qs(fragment.partition("?")[2]).get("problem", [""])[0]


def sign_in(who: Browser) -> str:
    """There and back; the code of the problem, or none."""
    begun = who.http.get("/oidc/start")
    if begun.headers["location"].startswith("../"):
        return problem_of(begun)
    problem = problem_of(who.http.get(go(begun.headers["location"])))
    who.csrf = who.get("/session")["csrf"] or ""
    return problem


def test_who_has_a_role_is_signed_in_as_others_are(who: Browser, provider: IdentityProvider) -> None:
    state = who.get("/session")
    assert state["provider"] == {"name": "Example Login", "start": "api/oidc/start"}
    assert sign_in(who) == ""
    state = who.get("/session")
    assert (state["admin"]["name"], state["admin"]["role"], state["lacks_factor"]) == ("ada", "owner", False)
    assert "/realm/userinfo" not in provider.requests
    mine = next(row for row in who.get("/sessions")["data"] if row["current"])
    assert (mine["admin_name"], mine["method"]) == ("ada", "oidc")
    who.post("/keys", status=201, json={"name": "made by ada"})
    actions = [(row["actor"], row["action"]) for row in who.get("/audit")["data"][:3]]
    assert actions == [("ada", "key.made"), ("ada", "session.opened"), ("oidc", "admin.created")]
    assert who.ask("DELETE", "/session").status_code == 204
    assert who.get("/session")["state"] == "signed_out"


def test_groups_decide_the_role_at_each_sign_in(who: Browser, provider: IdentityProvider) -> None:
    assert sign_in(who) == ""
    [ada] = [row for row in who.get("/admins")["data"] if row["name"] == "ada"]
    assert ada["from_provider"] is True
    provider.person["groups"] = ["everybody", "finance-team"]
    assert sign_in(who) == ""
    state = who.get("/session")["admin"]
    assert (state["id"], state["role"]) == (ada["id"], "finance")
    provider.person["groups"] = "everybody"  # one group, which some providers write without a list
    assert sign_in(who) == "" and who.get("/session")["admin"]["role"] == "viewer"
    for groups in (["strangers"], [], None, 7):
        provider.person["groups"] = groups
        assert sign_in(who) == "oidc_no_role"
        assert who.get("/session")["state"] == "signed_out"  # also the session of before


def test_a_role_from_the_provider_is_changed_there(who: Browser, gateway: GatewayProcess) -> None:
    assert sign_in(who) == ""
    own = who.get("/session")["admin"]
    owner = browser(gateway)
    with owner.http:
        owner.sign_in("admin")
        assert owner.refused("PATCH", f"/admins/{own['id']}", json={"role": "viewer"}) == (400, "role")
        assert owner.ask("DELETE", f"/admins/{own['id']}").status_code == 204
    assert who.get("/session")["state"] == "signed_out"


def test_a_name_gives_nobody_the_account_of_another(who: Browser, provider: IdentityProvider) -> None:
    provider.person |= {"preferred_username": "admin"}
    assert sign_in(who) == ""
    assert who.get("/session")["admin"]["name"] == "admin (2)"
    provider.person |= {"sub": "u-2", "preferred_username": "admin\n"}
    assert sign_in(who) == "" and who.get("/session")["admin"]["name"] == "admin (3)"
    provider.person |= {"sub": "u-1"}
    assert sign_in(who) == "" and who.get("/session")["admin"]["name"] == "admin (2)"
    for name in ("admin (2)", "admin (3)"):
        for password in ("", PASSWORD):
            assert who.sign_in(name, password).status_code in (400, 401)


def test_groups_may_lie_in_userinfo_or_below_another_claim(
    tmp_path: Path, provider: IdentityProvider
) -> None:
    more = {"FILMGATE_OIDC_ROLE_CLAIM": "realm_access.roles", "FILMGATE_OIDC_CLIENT_SECRET": CLIENT_SECRET}
    with started(tmp_path, provider, **more) as gateway, browser(gateway).http as http:
        who = Browser(http)
        provider.change_claims = lambda claims: claims.update(realm_access={"roles": ["finance-team"]})
        assert sign_in(who) == "" and who.get("/session")["admin"]["role"] == "finance"
        provider.change_claims = lambda claims: claims.pop("groups", None)
        provider.person["realm_access"] = {"roles": ["filmgate-owners"]}
        provider.change_claims = lambda claims: claims.pop("realm_access", None)
        assert sign_in(who) == "" and who.get("/session")["admin"]["role"] == "owner"
        assert provider.requests[-1] == "/realm/userinfo"


def _other_nonce(claims: Claims) -> None:
    claims["nonce"] = "that of another sign-in"


def _no_nonce(claims: Claims) -> None:
    del claims["nonce"]


def _other_audience(claims: Claims) -> None:
    claims["aud"] = "another-client"


def _many_audiences(claims: Claims) -> None:
    claims |= {"aud": ["filmgate-panel", "another-client"], "azp": "another-client"}


def _expired(claims: Claims) -> None:
    claims |= {"iat": int(time.time()) - 7200, "exp": int(time.time()) - 3600}


def _other_issuer(claims: Claims) -> None:
    claims["iss"] = "https://evil.example"


def _nobody(claims: Claims) -> None:
    del claims["sub"]


LIES: dict[str, dict[str, Any]] = {
    "wrong signature": {"forge": "stranger"},
    "signed by the client's secret": {"forge": "secret"},
    "no signature": {"forge": "none"},
    **{
        lie.__name__.strip("_"): {"change_claims": lie}
        for lie in (
            _other_nonce,
            _no_nonce,
            _other_audience,
            _many_audiences,
            _expired,
            _other_issuer,
            _nobody,
        )
    },
}


def test_a_token_that_is_not_right_lets_nobody_in(who: Browser, provider: IdentityProvider) -> None:
    for lie, how in LIES.items():
        honest = {name: getattr(provider, name) for name in how}
        for name, value in how.items():
            setattr(provider, name, value)
        assert sign_in(who) == "oidc_refused", lie
        assert who.get("/session")["state"] == "signed_out", lie
        for name, value in honest.items():
            setattr(provider, name, value)
        assert sign_in(who) == "", lie  # and the throttle forgets
        who.must("DELETE", "/session", status=204)


def test_a_state_is_good_once_and_in_its_own_browser(
    who: Browser, provider: IdentityProvider, gateway: GatewayProcess
) -> None:
    begun = who.http.get("/oidc/start")
    cookie = begun.headers["set-cookie"]
    assert all(word in cookie for word in ("HttpOnly", "SameSite=lax", "Path=/admin/api/oidc"))
    back = go(begun.headers["location"])
    other = browser(gateway)
    with other.http:
        assert problem_of(other.http.get(back)) == "oidc_outdated"  # somebody who was sent the address
        assert other.get("/session")["state"] == "signed_out"
    kept = who.http.cookies.get("filmgate_oidc")
    for address in (back.replace("state=", "state=x"), back.partition("&state")[0]):
        assert problem_of(who.http.get(address)) == "oidc_outdated"
        who.http.cookies.set("filmgate_oidc", kept, path="/admin/api/oidc", domain="127.0.0.1")
    assert problem_of(who.http.get(back)) == ""
    who.must("DELETE", "/session", status=204) if who.csrf else who.http.cookies.clear()
    fresh = go(begun.headers["location"])  # the same state with a code that is new
    replay = {"cookie": f"filmgate_oidc={kept}"}
    assert problem_of(who.http.get(fresh, headers=replay)) == "oidc_outdated"
    assert who.get("/session")["state"] == "signed_out"


def test_what_the_provider_refuses_is_said(who: Browser, provider: IdentityProvider) -> None:
    location = who.http.get("/oidc/start").headers["location"]
    state = parse_qs(urlsplit(location).query)["state"][0]
    assert problem_of(who.http.get(f"/oidc/callback?error=access_denied&state={state}")) == "oidc_refused"
    location = who.http.get("/oidc/start").headers["location"]
    back = go(location)
    assert problem_of(who.http.get(f"{back}&iss=https://evil.example")) == "oidc_refused"
    location = who.http.get("/oidc/start").headers["location"]
    provider.codes.clear()
    state = parse_qs(urlsplit(location).query)["state"][0]
    assert problem_of(who.http.get(f"/oidc/callback?code=guessed&state={state}")) == "oidc_refused"


def test_guesses_are_slowed_down(who: Browser) -> None:
    found = [problem_of(who.http.get("/oidc/callback?code=x&state=y")) for _ in range(12)]
    assert found[0] == "oidc_outdated" and "rate_limit_exceeded" in found


def test_new_keys_of_the_provider_are_found(
    who: Browser, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sign_in(who) == ""
    provider.rotate_key()
    deadline = time.monotonic() + 120
    while sign_in(who) != "":  # not more often than every few seconds is the provider asked
        assert time.monotonic() < deadline
        time.sleep(1)
    assert provider.requests.count("/realm/keys") >= 2
    assert provider.requests.count("/realm/.well-known/openid-configuration") == 1


def test_a_provider_that_is_away_is_said(tmp_path: Path, provider: IdentityProvider) -> None:
    provider.is_down = True
    with started(tmp_path, provider) as gateway, browser(gateway).http as http:
        who = Browser(http)
        assert sign_in(who) == "oidc_unreachable"
        assert sign_in(who) == "oidc_unreachable"
        assert len(provider.requests) <= 2
        assert who.sign_in("admin").status_code == 200  # passwords go on


def test_outbound_rules_hold_for_the_provider(tmp_path: Path, provider: IdentityProvider) -> None:
    more = {"FILMGATE_OUTBOUND_ALLOW": "10.0.0.0/8"}
    with started(tmp_path, provider, **more) as gateway, browser(gateway).http as http:
        assert sign_in(Browser(http)) == "oidc_unreachable"
    assert provider.requests == []


def test_the_public_url_is_where_people_come_back(tmp_path: Path, provider: IdentityProvider) -> None:
    more = {"FILMGATE_PUBLIC_URL": "https://video.example.com/filmgate"}
    with started(tmp_path, provider, **more) as gateway, browser(gateway).http as http:
        who = Browser(http)
        button = who.get("/session")["provider"]
        assert button["start"] == "https://video.example.com/filmgate/admin/api/oidc/start"
        begun = http.get("/oidc/start")
        assert "Path=/filmgate/admin/api/oidc" in begun.headers["set-cookie"]
        assert "Secure" in begun.headers["set-cookie"]
        back = go(begun.headers["location"])
        public = "https://video.example.com/filmgate/admin/api/oidc/callback?"
        assert back.startswith(public)
        kept = begun.headers["set-cookie"].partition(";")[0]
        answer = http.get(f"/oidc/callback?{back.removeprefix(public)}", headers={"cookie": kept})
        assert problem_of(answer) == ""
        cookies = [text for text in answer.headers.get_list("set-cookie") if "filmgate_session=" in text]
        assert "Path=/filmgate/admin;" in cookies[0] and "Secure" in cookies[0]


def test_passwords_may_be_off_and_there_is_still_a_way_in(tmp_path: Path, provider: IdentityProvider) -> None:
    more = {"FILMGATE_PASSWORD_SIGN_IN": "false"}
    with started(tmp_path, provider, **more) as gateway, browser(gateway).http as http:
        who = Browser(http)
        assert who.get("/session")["password_sign_in"] is False
        refused = who.sign_in("admin")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "password_sign_in_off")
        assert "filmgate admin reset-password admin" in refused.json()["error"]["message"]
        assert sign_in(who) == "" and who.get("/session")["admin"]["role"] == "owner"
        where = {"data": gateway.folder, **provider.settings(**more)}
        done = inside("admin", "reset-password", "rescue", stdin=f"{PASSWORD}\n", **where)
        assert done.exit_code == 0 and "for an hour" in " ".join(done.stdout.split()), done.output
        assert who.sign_in("rescue").status_code == 200
        assert who.get("/session")["admin"]["role"] == "owner"
        assert who.sign_in("admin").status_code == 403


def test_a_recent_sign_in_stands_for_the_password(who: Browser) -> None:
    assert sign_in(who) == ""
    made = who.ask("POST", "/backup", json={"secrets": True, "passphrase": "some words to seal"})
    assert made.status_code == 200
    assert who.refused("POST", "/session/second-factor", json={"password": "x"})[0] == 400


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"password_sign_in": False}, "can be off only with"),
        ({"oidc_issuer": "https://login.example"}, "is needed with"),
        (
            {"oidc_issuer": "https://login.example", "oidc_client_id": "a", "oidc_roles": "a=boss"},
            "a=boss is not",
        ),
        (
            {"oidc_issuer": "https://login.example", "oidc_client_id": "a", "oidc_roles": "=owner"},
            "is not like",
        ),
        ({"oidc_issuer": "login.example", "oidc_client_id": "a", "oidc_roles": "a=owner"}, "URL"),
    ],
)
def test_settings_that_let_nobody_in_are_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Settings(**given)


def test_the_highest_role_of_all_groups_counts() -> None:
    mapping = read_roles("a=finance, b = owner ,*=viewer")
    options = OidcOptions("https://x", "a", "", "X", "openid", "groups", mapping)
    assert options.role_of(["a", "b"]) == "owner"
    assert options.role_of(["a", "c"]) == "finance"
    assert options.role_of([]) == "viewer"
    assert read_roles("cn=boss,dc=x=owner; cn=all,dc=x=viewer;") == {
        "cn=boss,dc=x": "owner",
        "cn=all,dc=x": "viewer",
    }


def test_a_session_of_a_provider_ends_after_half_a_day_though_it_is_used(
    who: Browser, gateway: GatewayProcess, provider: IdentityProvider
) -> None:
    """Else who has lost the group would keep the role for a week. A session of a password is extended by its use."""
    assert sign_in(who) == ""
    made = time.time() - 11 * 3600
    with closing(sqlite3.connect(gateway.folder / "filmgate.db", timeout=30)) as store, store:
        store.execute("UPDATE sessions SET created_at = ?, seen_at = ?", (made, made))
    assert who.get("/session")["state"] == "signed_in"
    assert who.get("/session")["expires_at"] == pytest.approx(made + 12 * 3600, abs=5)
    with closing(sqlite3.connect(gateway.folder / "filmgate.db", timeout=30)) as store, store:
        store.execute("UPDATE sessions SET seen_at = ?, method = 'password'", (made,))
    assert who.get("/session")["expires_at"] > made + 20 * 3600
