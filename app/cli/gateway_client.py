"""The official SDK as the client of a gateway, with its errors as one line each."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import openai
import typer

from app.errors import FilmgateError, InvalidRequest

# The SDK warns at every call that OpenAI shuts down its own Videos API; this is another service.
warnings.filterwarnings("ignore", category=DeprecationWarning, message="The Sora API")

DEFAULT_ADDRESS = "http://127.0.0.1:8000/v1"
BaseUrl = Annotated[
    str,
    typer.Option(
        envvar=["FILMGATE_BASE_URL", "OPENAI_BASE_URL"],
        help="The gateway's address, with /v1.",
        show_envvar=True,
    ),
]
ApiKey = Annotated[
    str, typer.Option(envvar=["FILMGATE_API_KEY", "OPENAI_API_KEY"], help="A key of the gateway.")
]


class GatewayFailed(FilmgateError):
    """The gateway answered with an error, or did not answer. The message is one line for the user."""


@contextmanager
def open_client(base_url: str, api_key: str) -> Iterator[openai.OpenAI]:
    """A client. Raises ``GatewayFailed`` for every error of the SDK inside the block."""
    if not api_key:
        raise InvalidRequest(
            "--api-key: name the key to use, here or in FILMGATE_API_KEY. `filmgate keys create NAME` creates one."
        )
    try:
        with openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=1) as client:
            yield client
    except openai.APIConnectionError as error:
        raise GatewayFailed(
            f"No gateway answers at {base_url}. Start one with `filmgate serve`, or give its address with --base-url."
        ) from error
    except openai.AuthenticationError as error:
        raise GatewayFailed(
            f"{base_url} rejects this key. `filmgate keys create NAME` creates one; pass it with --api-key."
        ) from error
    except openai.APIStatusError as error:
        raise GatewayFailed(f"{_error_message(error)} (HTTP {error.status_code})") from error
    except openai.OpenAIError as error:
        raise GatewayFailed(f"The answer of {base_url} can't be read: {type(error).__name__}") from error


def _error_message(error: openai.APIStatusError) -> str:
    if isinstance(error.body, dict) and isinstance(error.body.get("message"), str):
        return str(error.body["message"])
    return error.message[:300]
