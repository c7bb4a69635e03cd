"""How commands that use a gateway reach it: the official SDK, and its errors in one line each."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import openai
import typer

from app.errors import FilmgateError, InvalidRequest

# The SDK announces the end of OpenAI's own Videos API at every call; here another service answers.
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
    """What a gateway answered, or that none did; the message is one line for people."""


@contextmanager
def open_client(base_url: str, api_key: str) -> Iterator[openai.OpenAI]:
    """A client. Raises ``GatewayFailed`` for whatever goes wrong inside the block."""
    if not api_key:
        raise InvalidRequest(
            "--api-key: say which key to use, here or in FILMGATE_API_KEY. `filmgate keys create NAME` makes one."
        )
    try:
        with openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=1) as client:
            yield client
    except openai.APIConnectionError as error:
        raise GatewayFailed(
            f"No gateway answers at {base_url}. Start one with `filmgate serve`, or say where it is with --base-url."
        ) from error
    except openai.AuthenticationError as error:
        raise GatewayFailed(
            f"{base_url} does not know this key. `filmgate keys create NAME` makes one; pass it with --api-key."
        ) from error
    except openai.APIStatusError as error:
        raise GatewayFailed(f"{_error_message(error)} (HTTP {error.status_code})") from error
    except openai.OpenAIError as error:
        raise GatewayFailed(f"The answer of {base_url} can't be read: {type(error).__name__}") from error


def _error_message(error: openai.APIStatusError) -> str:
    if isinstance(error.body, dict) and isinstance(error.body.get("message"), str):
        return str(error.body["message"])
    return error.message[:300]
