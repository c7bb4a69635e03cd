"""A description held against a running gateway: whatever is sent, no 5xx and no undocumented answer."""

from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

Operations = dict[str, schemathesis.schemas.APIOperation]


def no_server_error(_: Any, response: Any, __: schemathesis.Case) -> bool | None:
    """But for a true answer: that no account here makes what was asked for."""
    absent = response.status_code == 503 and "No available tokens for" in response.json()["error"]["message"]
    assert response.status_code < 500 or absent, response.text
    return None


CHECKS = [
    no_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
WAYS = settings(
    max_examples=4,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def operations(document: dict[str, Any]) -> Operations:
    """By method and path."""
    schema = schemathesis.openapi.from_dict(document)
    found = (one.ok() for one in schema.get_all_operations())
    return {f"{one.method.upper()} {one.path}": one for one in found}
