"""`filmgate labels`: what signs films."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.cli.output import err, out
from app.errors import InvalidRequest
from app.media.labels.signing import CERTIFICATE_SETTING, KEY_SETTING, write_development_pair

commands = typer.Typer(help="Prepare the signing of films (C2PA).", no_args_is_help=True)


@commands.command("development-certificate")
def make_certificate(
    folder: Annotated[Path, typer.Argument(help="Where both files are written.")] = Path(),
) -> None:
    """Make a certificate and a key for trials. No reader trusts them: films show "unknown signer"."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = write_development_pair(folder)
    except OSError as error:
        raise InvalidRequest(f"FOLDER: {error.filename or folder}: {error.strerror}") from error
    out.print(f"{CERTIFICATE_SETTING}={escape(str(certificate.resolve()))}", soft_wrap=True)
    out.print(f"{KEY_SETTING}={escape(str(key.resolve()))}", soft_wrap=True)
    err.print("For trials only, and for a year: readers say that they do not know who signed.")
