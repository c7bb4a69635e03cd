"""The implicit label of GB 45438-2025: a field ``AIGC`` in a file's metadata, whose value is JSON."""

import json
from collections.abc import Mapping
from typing import Any

from app.foreign import read_json

FIELD = "AIGC"
MADE = "1"
"""That it was made by a machine; 2 is "possibly", 3 "suspected"."""
LONGEST = 8_000


def field_text(metadata: Mapping[str, str]) -> str:
    """The field as it is, whether it can be read or not; empty where there is none."""
    return next((value for name, value in metadata.items() if name.upper() == FIELD), "")


def has_label(metadata: Mapping[str, str]) -> bool:
    return bool(field_text(metadata))


def label_text(metadata: Mapping[str, str], *, service: str, number: str, integrity: str) -> str:
    """The value of the field in a film that came with ``metadata``. Whose label it has already, keeps every word: then we
    are the one who passes it on, if nobody else is named; else the one who made it."""
    if not has_label(metadata):
        ours = {
            "Label": MADE,
            "ContentProducer": service,
            "ProduceID": number,
            "ReservedCode1": integrity,
            "ContentPropagator": "",
            "PropagateID": "",
            "ReservedCode2": "",
        }
        return json.dumps(ours, ensure_ascii=False)
    found = read_label(metadata)
    if found is None or found.get("ContentPropagator"):
        return field_text(metadata)
    passed = {"ContentPropagator": service, "PropagateID": number, "ReservedCode2": integrity}
    return json.dumps({**found, **passed}, ensure_ascii=False)


def read_label(metadata: Mapping[str, str]) -> dict[str, Any] | None:
    """The label in a file's metadata; None where there is none, or nothing that can be read."""
    text = field_text(metadata)
    if not text or len(text) > LONGEST:
        return None
    try:
        document = read_json(text.encode())
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
