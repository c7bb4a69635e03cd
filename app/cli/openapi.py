"""`filmgate openapi`: what this gateway offers, for machines."""

import json

from app.main import create_app
from app.settings import load_settings


def openapi() -> None:
    """Print openapi.json."""
    print(json.dumps(create_app(load_settings()).openapi(), ensure_ascii=False, indent=2))
