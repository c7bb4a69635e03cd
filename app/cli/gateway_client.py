"""Our own client (`app/client`) with its errors as one line each."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from app import client
from app.errors import FilmgateError, InvalidRequest
from app.secret_rules import is_blank

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
def open_client(base_url: str, api_key: str) -> Iterator[client.Filmgate]:
    """A client. Raises ``GatewayFailed`` for every error of the client inside the block."""
    if is_blank(api_key):
        raise InvalidRequest(
            "--api-key: name the key to use, here or in FILMGATE_API_KEY. `filmgate keys create NAME` creates one."
        )
    try:
        with client.Filmgate(base_url=base_url, api_key=api_key, max_retries=1) as gateway:
            yield gateway
    except client.APIConnectionError as error:
        raise GatewayFailed(
            f"No gateway answers at {base_url}. Start one with `filmgate serve`, or give its address with --base-url."
        ) from error
    except client.AuthenticationError as error:
        raise GatewayFailed(
            f"{base_url} rejects this key. `filmgate keys create NAME` creates one; pass it with --api-key."
        ) from error
    except client.APIStatusError as error:
        raise GatewayFailed(f"{error.message[:300]} (HTTP {error.status_code})") from error
    except client.ClientError as error:
        raise GatewayFailed(str(error)) from error
