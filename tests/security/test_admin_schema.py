"""The description of the panel's API, tested against a running gateway with the admin token."""

from collections.abc import Iterator

import pytest
import requests
import schemathesis
from hypothesis import given
from schemathesis import GenerationMode

from app.admin.app import create_panel_app
from tests.security.holding import CHECKS, WAYS, operations
from tests.serving import GatewayProcess

TOKEN = "admin-token-for-the-schema-0123456789"
OWNER = {"authorization": f"Bearer {TOKEN}"}
ENDLESS = "GET /events"
"""It streams until the session ends; ``tests/admin`` reads it."""
OPERATIONS = operations(create_panel_app().openapi())


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("panel")
    with GatewayProcess(
        folder, FILMGATE_STUDIO="on", FILMGATE_OUTBOUND_ALLOW="", FILMGATE_ADMIN_TOKEN=TOKEN
    ) as found:
        url = f"{found.url}/admin/api"
        assert requests.get(f"{url}/overview", headers=OWNER, timeout=60).status_code == 200
        yield url


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda m: m.value)
@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != ENDLESS])
def test_an_operation(panel: str, name: str, mode: GenerationMode) -> None:
    with requests.Session() as session:

        @WAYS
        @given(case=OPERATIONS[name].as_strategy(mode))
        def check(case: schemathesis.Case) -> None:
            response = case.call(base_url=panel, session=session, headers=OWNER)
            case.validate_response(response, checks=CHECKS)

        check()
