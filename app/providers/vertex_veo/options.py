"""The options of an account at Vertex AI, and the address of its region."""

import re

from pydantic import BaseModel

from app.errors import InvalidRequest


class VertexVeoOptions(BaseModel):
    """``account.options``, all optional."""

    project: str = ""
    """Default: the project of the service account."""
    location: str = "us-central1"
    storage_uri: str | None = None
    """``gs://bucket/folder``: Veo writes videos there instead of into its answers."""
    user_project: str | None = None
    """The project to bill instead of ``project``."""
    token_url: str | None = None
    storage_url: str = "https://storage.googleapis.com"


def default_address(location: str) -> str:
    """Raises ``InvalidRequest`` for what is no location."""
    if not re.fullmatch(r"[a-z0-9-]+", location):
        raise InvalidRequest("location must be like us-central1 or global", param="options.location")
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in {"us", "eu"}:
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"
