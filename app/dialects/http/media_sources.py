"""Pictures and clips as clients send them, in any of the forms, read into inputs of a task."""

from app.dialects.http.body import MediaSource, Upload
from app.dialects.http.gateway import Gateway
from app.errors import InvalidRequest
from app.generation import MediaInput, Role

ADDRESSES = ("image_url", "video_url", "url")


async def read_source(source: MediaSource, services: Gateway, *, role: Role, param: str) -> MediaInput:
    """A file, an address, base64, or an object with ``image_url``, ``video_url`` or ``url``."""
    return await services.inputs.read_input(_source_content(source, param), role=role, param=param)


def _source_content(source: MediaSource, param: str) -> str | bytes:
    if isinstance(source, Upload):
        return source.content
    if isinstance(source, str):
        return source
    if "file_id" in source:
        text = f"{param}.file_id is not taken: send the file, or {param}.image_url"
        raise InvalidRequest(text, param=param)
    address = next((source.value(name) for name in ADDRESSES if name in source), None)
    if isinstance(address, dict):  # as chat parts have it
        address = address.get("url")
    if not isinstance(address, str) or not address:
        raise InvalidRequest(f"{param} must hold {' or '.join(ADDRESSES)}", param=param)
    return address
