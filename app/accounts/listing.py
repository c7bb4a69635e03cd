"""Accounts as text: JSON, CSV with a header, or one secret per line."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from app.accounts.drafts import AccountDraft
from app.accounts.standing import AccountStatus
from app.documents import read
from app.errors import InvalidRequest

Form = Literal["json", "csv", "lines"]
MOST_ROWS = 10_000
QUOTA = ("limit", "unit", "period", "left")
COLUMNS = (
    "name", "provider", "base_url", "secret", "models", "kinds", "slots", "limits", "options", "tags", "plan",
    "note", "weight", "tier", "rpm", *(f"quota_{part}" for part in QUOTA), "expires_at", "proxy", "enabled",
)  # fmt: skip
PAIRS, WORDS = frozenset({"models", "limits"}), frozenset({"kinds", "tags"})
# What a spreadsheet takes for a formula when a cell begins with it.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
SECRET_OPTION = re.compile(r"secret|token|password|key|session|cookie|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a list, ``number`` from 1: a draft, or what is wrong with it. ``given`` names its fields."""

    number: int
    name: str
    draft: AccountDraft | None = field(default=None, repr=False)
    given: frozenset[str] = frozenset()
    error: InvalidRequest | None = None


def form_of(text: str) -> Form:
    """What a text looks like."""
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped[:1] in ("[", "{"):
        return "json"
    header = stripped.split("\n", 1)[0].strip().split(",")
    return "csv" if "name" in header and set(header) <= {*COLUMNS, ""} else "lines"


def read_rows(text: str, *, form: Form | None = None, defaults: Mapping[str, Any] | None = None) -> list[Row]:
    """Every row with what ``defaults`` say where it says nothing. Raises ``InvalidRequest`` for a text that is no
    list at all; a bad row is told in the row."""
    readers: dict[Form, Callable[[str], list[Any]]] = {"json": _json, "csv": _csv, "lines": _lines}
    documents = readers[form or form_of(text)](text.lstrip("\ufeff"))
    if not documents:
        raise InvalidRequest("There is no account in it.", param="text")
    if len(documents) > MOST_ROWS:
        raise InvalidRequest(f"At most {MOST_ROWS} accounts at once.", param="text")
    return [_row(number, document, defaults or {}) for number, document in enumerate(documents, 1)]


def exported(standings: Iterable[AccountStatus], *, secrets: bool) -> list[dict[str, Any]]:
    """What ``read_rows`` would read again, without what is only default, and without what must stay secret."""
    return [_document(standing, secrets=secrets) for standing in standings]


def as_json(documents: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(documents, indent=2, ensure_ascii=False) + "\n"


def as_csv(documents: Sequence[Mapping[str, Any]]) -> str:
    """A list for spreadsheets: no cell of it is taken for a formula."""
    columns = [name for name in COLUMNS if name != "secret" or any(name in each for each in documents)]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    for document in documents:
        flat = {**document, **{f"quota_{k}": v for k, v in document.get("quota", {}).items()}}
        writer.writerow([_cell(column, flat.get(column)) for column in columns])
    return buffer.getvalue()


def _row(number: int, document: Any, defaults: Mapping[str, Any]) -> Row:
    if not isinstance(document, dict):
        return Row(number, "", error=InvalidRequest("a row must be an object", param="row"))
    merged = {**defaults, **document}
    name = str(merged.get("name", ""))[:200]
    try:
        draft = read(AccountDraft, {"name": f"row {number}", **merged}, whole="account")
    except InvalidRequest as error:
        return Row(number, name, error=error)
    return Row(number, name.strip(), draft, frozenset(document))


def _json(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"This is no valid JSON: {error}", param="text") from error
    if isinstance(found, dict):
        found = found.get("accounts", [found])
    if not isinstance(found, list):
        raise InvalidRequest("The JSON must be a list of accounts.", param="text")
    return found


def _lines(text: str) -> list[Any]:
    lines = [line.strip() for line in text.splitlines()]
    return [{"secret": line} for line in lines if line and not line.startswith("#")]


def _csv(text: str) -> list[Any]:
    reader = csv.DictReader(io.StringIO(text), restkey="", restval="", skipinitialspace=True)
    unknown = [name for name in reader.fieldnames or () if name.strip() not in {*COLUMNS, ""}]
    if unknown:
        raise InvalidRequest(
            f"There is no column {unknown[0]}; there are {', '.join(COLUMNS)}.", param="text"
        )
    try:
        rows = [{name.strip(): str(cell).strip() for name, cell in row.items() if name} for row in reader]
    except csv.Error as error:
        raise InvalidRequest(f"This is no valid CSV: {error}", param="text") from error
    return [_read_cells(row) for row in rows if any(row.values())]


def _read_cells(row: Mapping[str, str]) -> dict[str, Any]:
    cells = {name: _unguarded(cell) for name, cell in row.items() if cell}
    quota = {part: cells.pop(f"quota_{part}") for part in QUOTA if f"quota_{part}" in cells}
    found: dict[str, Any] = {name: _value(name, cell) for name, cell in cells.items()}
    return found | ({"quota": quota} if quota else {})


def _value(name: str, cell: str) -> Any:
    if name == "options" or (name in PAIRS | WORDS and cell[0] in "[{"):
        try:
            return json.loads(cell)
        except ValueError:
            return cell  # its form says what it wants
    parts = [part.strip() for part in cell.split(";") if part.strip()]
    if name in PAIRS:
        pairs = [part.partition("=") for part in parts]
        return {key.strip(): (value or key).strip() for key, _, value in pairs}
    return parts if name in WORDS else cell


def _document(standing: AccountStatus, *, secrets: bool) -> dict[str, Any]:
    draft = AccountDraft.of(standing)
    found = draft.model_dump(mode="json", exclude_defaults=True, warnings=False)
    for name in WORDS & found.keys():
        found[name] = sorted(found[name])
    if draft.expires_at is not None:
        found["expires_at"] = datetime.fromtimestamp(draft.expires_at, UTC).isoformat()
    if secrets:
        return found
    found.pop("secret", None)
    if draft.proxy and urlsplit(draft.proxy).username is not None:
        del found["proxy"]
    if "options" in found:
        found["options"] = {k: v for k, v in found["options"].items() if not SECRET_OPTION.search(k)}
    return found


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        plain = all(isinstance(each, str | int) and not isinstance(each, bool) for each in value.values())
        text = ";".join(f"{k}={v}" for k, v in value.items())
        simple = (
            name in PAIRS and plain and not any(sign in f"{k}{v}" for k, v in value.items() for sign in ";=")
        )
        value = text if simple and value and set(value) - {""} else json.dumps(value)
    elif isinstance(value, list):
        value = ";".join(value) if not any(";" in each for each in value) else json.dumps(value)
    text = str(value)
    return f"'{text}" if text.startswith((*FORMULA, "'")) else text


def _unguarded(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith((*FORMULA, "'")) else cell
