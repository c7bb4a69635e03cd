"""Option documents: their base class, and masking, sealing and keeping of the secrets in them."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, TypeVar

import httpx2
from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr
from pydantic_core import PydanticCustomError

from app.validation import validate_document

MASK = "********"
"""Shown in place of a secret; written back, it means: keep the stored secret."""
SEALED = "sealed"
MAX_ADDRESS_LENGTH = 2048


class DocumentSection(BaseModel):
    """Part of a document. Unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OptionsDocument(DocumentSection):
    """A document. A subclass names its row and gives every field a default, which an empty database then has."""

    document: ClassVar[str]


def web_address(text: str) -> str:
    try:
        parsed = httpx2.URL(text.strip())
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        parsed = httpx2.URL("")
    plain = parsed.scheme in ("http", "https") and parsed.host and not parsed.userinfo
    if not plain or len(text) > MAX_ADDRESS_LENGTH:
        raise PydanticCustomError("address", "must be a URL like https://example.com/path")
    return str(parsed)


Address = Annotated[str, AfterValidator(web_address)]
OptionalAddress = Annotated[str, AfterValidator(lambda text: web_address(text) if text.strip() else "")]


DocumentType = TypeVar("DocumentType", bound=OptionsDocument)


def read_document(kind: type[DocumentType], wanted: Mapping[str, Any]) -> DocumentType:
    """Raises ``InvalidRequest`` that names the field, for example ``resolvers.0.url``."""
    return validate_document(kind, wanted, whole=kind.document)


def masked_values(document: OptionsDocument) -> dict[str, Any]:
    """The values to show, with every secret as ``MASK``."""
    return _plain_values(document, lambda secret: MASK if secret else "")


def sealed_values(document: OptionsDocument, seal: Callable[[str], str]) -> dict[str, Any]:
    """The values to store, with every secret sealed."""
    return _plain_values(document, lambda secret: {SEALED: seal(secret)} if secret else "")


def opened_values(stored: Any, unseal: Callable[[str], Any]) -> Any:
    """The stored values with every secret unsealed."""
    if isinstance(stored, dict):
        if stored.keys() == {SEALED}:
            return unseal(stored[SEALED])
        return {name: opened_values(value, unseal) for name, value in stored.items()}
    if isinstance(stored, list):
        return [opened_values(value, unseal) for value in stored]
    return stored


def with_kept_secrets(wanted: Mapping[str, Any], old: OptionsDocument) -> dict[str, Any]:
    """``wanted`` with the old secrets where it leaves them out or has ``MASK``; list items are matched by ``name``."""
    filled = _fill_secrets(dict(wanted), old.model_dump())
    assert isinstance(filled, dict)
    return filled


def _fill_secrets(new: Any, old: Any) -> Any:
    if isinstance(old, SecretStr):
        return old.get_secret_value() if new in (None, MASK) else new
    if isinstance(old, dict) and isinstance(new, Mapping):
        kept = {
            name: _fill_secrets(new.get(name), value)
            for name, value in old.items()
            if _is_given(new, name, value)
        }
        return {**new, **kept}
    if isinstance(new, list):
        items = old if isinstance(old, list | tuple) else ()
        known = {item["name"]: item for item in items if isinstance(item, dict) and "name" in item}
        return [_fill_secrets(item, known.get(_name_of(item))) for item in new]
    if isinstance(new, Mapping):
        return {name: _fill_secrets(value, None) for name, value in new.items()}
    return new if new != MASK else ""


def _name_of(item: Any) -> str | None:
    name = item.get("name") if isinstance(item, Mapping) else None
    return name if isinstance(name, str) else None


def _is_given(new: Mapping[str, Any], name: str, old: Any) -> bool:
    return name in new or isinstance(old, SecretStr)


def _plain_values(document: OptionsDocument, show: Callable[[str], Any]) -> dict[str, Any]:
    def show_value(value: Any) -> Any:
        if isinstance(value, SecretStr):
            return show(value.get_secret_value())
        if isinstance(value, dict):
            return {name: show_value(item) for name, item in value.items()}
        return [show_value(item) for item in value] if isinstance(value, list | tuple) else value

    plain = show_value(document.model_dump())
    assert isinstance(plain, dict)
    return plain
