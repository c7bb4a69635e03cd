"""What calls raise: the names and attributes that openai-python has."""

from typing import Any

import httpx2

# fmt: off
__all__ = [
    "APIConnectionError", "APIError", "APIStatusError", "APITimeoutError", "AuthenticationError", "BadRequestError",
    "ClientError", "ConflictError", "InternalServerError", "NotFoundError", "PermissionDeniedError", "RateLimitError",
    "UnprocessableEntityError",
]
# fmt: on


class ClientError(Exception):
    """Every error of this client."""


class APIError(ClientError):
    """``code``, ``type`` and ``param`` are the gateway's words; None where it said nothing."""

    def __init__(self, message: str, *, body: object = None) -> None:
        super().__init__(message)
        fields: dict[str, Any] = body if isinstance(body, dict) else {}
        self.message, self.body = message, body
        self.code, self.type, self.param = (fields.get(name) for name in ("code", "type", "param"))


class APIConnectionError(APIError):
    """No whole answer came, also not to the repetitions."""


class APITimeoutError(APIConnectionError):
    """Nothing came in time."""


class APIStatusError(APIError):
    """The gateway refused."""

    def __init__(self, response: httpx2.Response) -> None:
        try:
            body = response.json()
            body = body.get("error", body) if isinstance(body, dict) else body
        except ValueError:
            body = response.text
        said = body.get("message") if isinstance(body, dict) else body
        super().__init__(str(said or f"HTTP {response.status_code}")[:2000], body=body)
        self.response, self.status_code = response, response.status_code
        self.request_id: str | None = response.headers.get("x-request-id")


# fmt: off
class BadRequestError(APIStatusError): ...
class AuthenticationError(APIStatusError): ...
class PermissionDeniedError(APIStatusError): ...
class NotFoundError(APIStatusError): ...
class ConflictError(APIStatusError): ...
class UnprocessableEntityError(APIStatusError): ...
class RateLimitError(APIStatusError): ...
class InternalServerError(APIStatusError): ...


# fmt: on
BY_STATUS = dict(zip((400, 401, 403, 404, 409, 422, 429), APIStatusError.__subclasses__(), strict=False))
"""In the order of the classes above."""


def connection_error(error: httpx2.TransportError) -> APIConnectionError:
    kind = APITimeoutError if isinstance(error, httpx2.TimeoutException) else APIConnectionError
    return kind(f"The gateway does not answer: {str(error) or type(error).__name__}")


def status_error(response: httpx2.Response) -> APIStatusError:
    """The error for an answer that is none of 2xx."""
    fallback = InternalServerError if response.status_code >= 500 else APIStatusError
    return BY_STATUS.get(response.status_code, fallback)(response)
