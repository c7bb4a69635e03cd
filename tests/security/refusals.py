"""What every refusal looks like, whatever was refused."""

import httpx2

TYPES = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "insufficient_quota",
    "rate_limit_error",
    "server_error",
}
LEAKS = ("Traceback", "detail", 'File "', "sqlalchemy", "/app/", "site-packages")


def refusal(answer: httpx2.Response) -> dict[str, str | None]:
    """The error of an answer, once it is seen to be the one envelope and to tell nothing of our inside."""
    assert answer.status_code >= 400, answer.text[:500]
    assert answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    assert not [word for word in LEAKS if word in answer.text], answer.text[:500]
    document = answer.json()
    assert list(document) == ["error"]
    error: dict[str, str | None] = document["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"] and error["code"]
    assert error["type"] in TYPES
    return error
