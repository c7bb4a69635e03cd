"""Authentication of the panel: sessions, CSRF, origins, the admin token, and slowed guessing."""

import sqlite3
import time

import httpx2

from app.admin.passwords import BY_ADDRESS, BY_NAME, SignInThrottle
from app.errors import SignInThrottled
from tests.admin.conftest import PASSWORD, TOKEN, Browser, browser
from tests.serving import GatewayProcess


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_another_site_cannot_sign_in(nobody: Browser) -> None:
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        answer = nobody.http.post("/session", headers=headers, json={"name": "admin", "password": PASSWORD})
        assert code(answer) == (403, "permission_denied")
        assert "FILMGATE_PUBLIC_URL" in answer.json()["error"]["message"]


def test_a_proxy_that_passes_no_host_on(nobody: Browser) -> None:
    """The browser says over https that the page is the panel's own, and then the cookie is only for https."""
    origin = {"origin": "https://video.example.com:8443", "sec-fetch-site": "same-origin"}
    answer = nobody.http.post("/session", json={"name": "admin", "password": PASSWORD}, headers=origin)
    assert answer.status_code == 200
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_proxy_that_asks_for_a_password_of_its_own(nobody: Browser) -> None:
    """Its name and password come along in ``Authorization``: they are no admin token, and no guess of one."""
    basic = {"authorization": "Basic YTpi"}
    body = {"name": "admin", "password": PASSWORD}
    signed_in = nobody.http.post("/session", json=body, headers=basic)
    csrf = {"x-csrf-token": signed_in.json()["csrf"]}
    for _ in range(12):
        assert nobody.http.get("/keys", headers=basic).status_code == 200
    made = nobody.http.post("/keys", json={"name": "behind basic auth"}, headers=basic | csrf)
    assert made.status_code == 201
    assert nobody.http.post("/keys", json={"name": "x"}, headers=basic).status_code == 403


def test_the_token_is_an_owner_without_cookie_and_csrf(nobody: Browser) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    assert nobody.http.get("/admins", headers=headers).status_code == 200
    made = nobody.http.post(
        "/admins", headers=headers, json={"name": "by token", "role": "viewer", "password": PASSWORD}
    )
    assert made.status_code == 201
    gone = nobody.http.delete(f"/admins/{made.json()['id']}", headers=headers)
    assert gone.status_code == 204
    wrong = nobody.http.get("/admins", headers={"authorization": "Bearer wrong"})
    assert code(wrong) == (401, "not_signed_in")


def test_the_cookie_is_http_only_and_same_site(nobody: Browser) -> None:
    cookie = nobody.sign_in("admin").headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/admin" in cookie
    assert "secure" not in cookie


def test_behind_https_the_cookie_is_secure(nobody: Browser) -> None:
    answer = nobody.http.post(
        "/session",
        json={"name": "admin", "password": PASSWORD},
        headers={"x-forwarded-proto": "https"},
    )
    assert "secure" in answer.headers["set-cookie"].lower()


def test_signing_out_ends_the_session_at_the_server(nobody: Browser, gateway: GatewayProcess) -> None:
    nobody.sign_in("admin")
    kept = nobody.http.cookies.get("filmgate_session")
    assert nobody.ask("DELETE", "/session").status_code == 204
    again = httpx2.get(f"{gateway.url}/admin/api/admins", headers={"cookie": f"filmgate_session={kept}"})
    assert code(again) == (401, "not_signed_in")
    assert nobody.get("/session")["state"] == "signed_out"


def test_a_session_can_end_another(nobody: Browser, owner: Browser) -> None:
    nobody.sign_in("admin")
    mine = next(row for row in nobody.get("/sessions")["data"] if row["current"])
    assert owner.ask("DELETE", f"/sessions/{mine['id']}").status_code == 204
    assert code(nobody.ask("GET", "/admins")) == (401, "not_signed_in")


def test_an_idle_session_ends(nobody: Browser, gateway: GatewayProcess) -> None:
    nobody.sign_in("admin")
    mine = next(row for row in nobody.get("/sessions")["data"] if row["current"])
    with sqlite3.connect(gateway.folder / "filmgate.db", timeout=30) as store:
        store.execute("UPDATE sessions SET expires_at = ? WHERE id = ?", (time.time() - 1, mine["id"]))
    store.close()
    assert code(nobody.ask("GET", "/admins")) == (401, "not_signed_in")


def test_a_new_password_ends_the_other_sessions(
    nobody: Browser, owner: Browser, gateway: GatewayProcess
) -> None:
    owner.post("/admins", status=201, json={"name": "changer", "role": "viewer", "password": PASSWORD})
    other = browser(gateway)
    with other.http:
        assert (nobody.sign_in("changer").status_code, other.sign_in("changer").status_code) == (200, 200)
        wrong = nobody.ask("POST", "/session/password", json={"current": "wrong", "new": "another good one"})
        assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "current")
        weak = nobody.ask("POST", "/session/password", json={"current": PASSWORD, "new": "1234567890"})
        assert (weak.status_code, weak.json()["error"]["param"]) == (400, "new")
        fresh = nobody.post("/session/password", json={"current": PASSWORD, "new": "another good one"})
        nobody.csrf = fresh["csrf"]
        assert nobody.get("/session")["state"] == "signed_in"
        assert other.get("/session")["state"] == "signed_out"
        assert other.sign_in("changer").status_code == 401
        assert other.sign_in("changer", "another good one").status_code == 200


def test_a_password_from_the_environment_cannot_be_changed(owner: Browser) -> None:
    answer = owner.ask("POST", "/session/password", json={"current": PASSWORD, "new": "another good one"})
    assert answer.status_code == 400 and "FILMGATE_ADMIN_PASSWORD" in answer.text
    admin = next(row for row in owner.get("/admins")["data"] if row["name"] == "admin")
    assert owner.ask("DELETE", f"/admins/{admin['id']}").status_code == 400


def test_wrong_passwords_are_slowed_down(nobody: Browser) -> None:
    answers: list[httpx2.Response] = []
    # A try takes its time too; as the wait doubles, it is soon longer than that.
    while not answers or answers[-1].status_code == 401:
        answers.append(nobody.sign_in("guessed", f"wrong number {len(answers)}"))
    assert len(answers) > BY_NAME.free
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert code(answers[-1]) == (429, "rate_limit_exceeded")
    assert nobody.sign_in("admin").status_code == 200


def test_the_wait_doubles_up_to_a_limit() -> None:
    throttle, now = SignInThrottle(), 0.0
    waits: list[float] = []
    for _ in range(40):
        try:
            throttle.begin_attempt(address="10.0.0.1", name=None, now=now)
        except SignInThrottled as error:
            assert error.retry_after
            waits.append(error.retry_after)
            now += error.retry_after
            throttle.begin_attempt(address="10.0.0.1", name=None, now=now)
    assert waits[:4] == [1, 2, 4, 8]
    assert max(waits) == BY_ADDRESS.longest
    throttle.begin_attempt(address="10.0.0.2", name=None, now=now)
    throttle.forget_failures(address="10.0.0.1", name=None)
    throttle.begin_attempt(address="10.0.0.1", name=None, now=now)


def test_a_large_body_is_refused_without_a_session(nobody: Browser) -> None:
    answer = nobody.http.post("/session", content=b"x" * 20_000)
    assert code(answer) == (413, "payload_too_large")
    streamed = nobody.http.post("/session", content=iter([b"{}"]))
    assert code(streamed) == (413, "payload_too_large")


def test_a_nul_character_is_a_client_error(owner: Browser) -> None:
    for path in ("/tasks?model=%00", "/tasks/%00", "/audit?target=a%00b"):
        assert owner.ask("GET", path).status_code == 400, path
    answer = owner.ask("POST", "/admins", json={"name": "a\0b", "role": "viewer", "password": PASSWORD})
    assert answer.status_code == 400
    unknown = owner.ask("POST", "/admins", json={"name": "x", "nope": 1, "password": PASSWORD})
    assert (unknown.status_code, unknown.json()["error"]["param"]) == (400, "nope")
