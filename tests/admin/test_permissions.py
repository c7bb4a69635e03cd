"""Every route of the API, called without a session, by each role, with the token, and from another site."""

import itertools

import httpx2
import pytest
from fastapi.routing import APIRoute

from app.admin.app import ROUTERS, create_panel_app
from app.admin.rights import RIGHTS, ROLES, ROUTE_RIGHTS, AdminRole
from tests.admin.conftest import PASSWORD, TOKEN, Browser

Route = tuple[str, str]
PUBLIC: set[Route] = {
    ("GET", "/session"),
    ("POST", "/session"),
    ("POST", "/setup"),
    ("GET", "/oidc/start"),
    ("GET", "/oidc/callback"),
}
ENDS_THE_SESSION: set[Route] = {("DELETE", "/session"), ("POST", "/session/password")}
ADDRESSES = (f"10.9.{number // 250}.{number % 250 + 1}" for number in itertools.count())


def routes(description: dict[str, object]) -> list[Route]:
    """All routes but those for signing in."""
    paths = description["paths"]
    assert isinstance(paths, dict)
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    return [route for route in found if route not in PUBLIC]


ROUTES = routes(create_panel_app().openapi())


def answer_of(http: httpx2.Client, route: Route, **headers: str) -> tuple[int, str]:
    """The status and the code of the answer to an unknown name; of a stream only the head is read."""
    method, path = route
    filled = path.replace("{number}", "0").replace("{", "").replace("}", "")
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with http.stream(method, filled, headers=names) as answer:
        if answer.status_code < 400:
            return answer.status_code, ""
        answer.read()
        return answer.status_code, answer.json()["error"]["code"]


def test_the_description_has_every_route(nobody: Browser) -> None:
    described = nobody.http.get("/openapi.json").json()
    assert routes(described) == ROUTES
    known = {
        (method, route.path_format)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert known == {*ROUTES, *PUBLIC}
    assert len(known) > 70


def test_every_route_needs_a_session(nobody: Browser) -> None:
    found = {route: answer_of(nobody.http, route) for route in ROUTES}
    assert {route: told for route, told in found.items() if told != (401, "not_signed_in")} == {}


@pytest.mark.parametrize("token", ["Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer"])
def test_a_wrong_token_is_refused(nobody: Browser, token: str) -> None:
    # Each from an address of its own: who guesses is slowed down.
    found = {
        route: answer_of(nobody.http, route, authorization=token, x_forwarded_for=next(ADDRESSES))
        for route in ROUTES
    }
    assert {route: told for route, told in found.items() if told != (401, "not_signed_in")} == {}


def test_a_wrong_token_is_refused_despite_a_session(owner: Browser) -> None:
    told = answer_of(
        owner.http, ("GET", "/admins"), authorization="Bearer wrong", x_forwarded_for=next(ADDRESSES)
    )
    assert told == (401, "not_signed_in")


@pytest.mark.parametrize("csrf", ["", "0" * 64])
def test_a_session_changes_nothing_without_its_csrf_value(owner: Browser, csrf: str) -> None:
    found = {route: answer_of(owner.http, route, x_csrf_token=csrf) for route in ROUTES}
    refused = {route for route, told in found.items() if told == (403, "csrf_failed")}
    assert refused == {route for route in ROUTES if route[0] != "GET"}
    assert {route: told for route, told in found.items() if route[0] == "GET" and told[0] in (401, 403)} == {}


def test_every_route_states_the_right_it_needs() -> None:
    assert {f"{method} {path}" for method, path in ROUTES} == ROUTE_RIGHTS.keys()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_may_use_the_routes_of_its_rights_and_no_other(
    role: AdminRole, owner: Browser, nobody: Browser
) -> None:
    owner.post("/admins", status=201, json={"name": f"a {role}", "role": role, "password": PASSWORD})
    signed_in = nobody.sign_in(f"a {role}").json()["admin"]
    assert (signed_in["role"], set(signed_in["rights"])) == (role, set(RIGHTS[role]))
    wanted = [route for route in ROUTES if route not in ENDS_THE_SESSION]
    found = {route: answer_of(nobody.http, route, x_csrf_token=nobody.csrf) for route in wanted}
    refused = {route for route, told in found.items() if told[0] in (401, 403)}
    assert refused == {route for route in wanted if ROUTE_RIGHTS[" ".join(route)] not in RIGHTS[role]}
    assert {found[route] for route in refused} <= {(403, "permission_denied")}


def test_only_owners_see_the_sessions_of_others(owner: Browser, viewer: Browser) -> None:
    assert {row["admin_name"] for row in viewer.get("/sessions")["data"]} == {"looker"}
    assert {"admin", "looker"} <= {row["admin_name"] for row in owner.get("/sessions")["data"]}


def test_the_token_may_use_every_route(nobody: Browser) -> None:
    found = {route: answer_of(nobody.http, route, authorization=f"Bearer {TOKEN}") for route in ROUTES}
    assert {route: told for route, told in found.items() if told[0] in (401, 403) or told[0] >= 500} == {}


def test_a_page_of_another_site_changes_nothing(owner: Browser) -> None:
    changing = [route for route in ROUTES if route[0] != "GET"]
    for headers in ({"origin": "https://evil.example"}, {"sec_fetch_site": "cross-site"}, {"origin": "null"}):
        found = {
            route: answer_of(owner.http, route, x_csrf_token=owner.csrf, **headers) for route in changing
        }
        assert {route: told for route, told in found.items() if told != (403, "permission_denied")} == {}
