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

from app.accounts.definition import AccountDraft
from app.accounts.status import AccountStatus
from app.errors import InvalidRequest
from app.validation import validate_document

TextFormat = Literal["json", "csv", "lines"]
MOST_ROWS = 10_000
QUOTA_PARTS = ("limit", "unit", "period", "left")
COLUMNS = (
    "name", "provider", "base_url", "secret", "models", "kinds", "slots", "limits", "options", "tags", "plan",
    "note", "weight", "tier", "rpm", *(f"quota_{part}" for part in QUOTA_PARTS), "expires_at", "proxy", "enabled",
)  # fmt: skip
PAIR_FIELDS, WORD_FIELDS = frozenset({"models", "limits"}), frozenset({"kinds", "tags"})
# What a spreadsheet takes for a formula when a cell begins with it.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
SECRET_OPTION = re.compile(r"secret|token|password|key|session|cookie|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One row of a list, ``number`` from 1: a draft, or what is wrong with it. ``given`` names its fields."""

    number: int
    name: str
    draft: AccountDraft | None = field(default=None, repr=False)
    given: frozenset[str] = frozenset()
    error: InvalidRequest | None = None


def detect_format(text: str) -> TextFormat:
    """What a text looks like."""
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped[:1] in ("[", "{"):
        return "json"
    header = stripped.split("\n", 1)[0].strip().split(",")
    return "csv" if "name" in header and set(header) <= {*COLUMNS, ""} else "lines"


def read_rows(
    text: str, *, form: TextFormat | None = None, defaults: Mapping[str, Any] | None = None
) -> list[ImportRow]:
    """Every row with what ``defaults`` say where it says nothing. Raises ``InvalidRequest`` for a text that is no
    list at all; a bad row is told in the row."""
    readers: dict[TextFormat, Callable[[str], list[Any]]] = {
        "json": _read_json,
        "csv": _read_csv,
        "lines": _read_lines,
    }
    documents = readers[form or detect_format(text)](text.lstrip("\ufeff"))
    if not documents:
        raise InvalidRequest("There is no account in it.", param="text")
    if len(documents) > MOST_ROWS:
        raise InvalidRequest(f"At most {MOST_ROWS} accounts at once.", param="text")
    return [_import_row(number, document, defaults or {}) for number, document in enumerate(documents, 1)]


def export_documents(standings: Iterable[AccountStatus], *, secrets: bool) -> list[dict[str, Any]]:
    """What ``read_rows`` would read again, without what is only default, and without what must stay secret."""
    return [_export_document(standing, secrets=secrets) for standing in standings]


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
        writer.writerow([_csv_cell(column, flat.get(column)) for column in columns])
    return buffer.getvalue()


def _import_row(number: int, document: Any, defaults: Mapping[str, Any]) -> ImportRow:
    if not isinstance(document, dict):
        return ImportRow(number, "", error=InvalidRequest("a row must be an object", param="row"))
    merged = {**defaults, **document}
    name = str(merged.get("name", ""))[:200]
    try:
        draft = validate_document(AccountDraft, {"name": f"row {number}", **merged}, whole="account")
    except InvalidRequest as error:
        return ImportRow(number, name, error=error)
    return ImportRow(number, name.strip(), draft, frozenset(document))


def _read_json(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"This is no valid JSON: {error}", param="text") from error
    if isinstance(found, dict):
        found = found.get("accounts", [found])
    if not isinstance(found, list):
        raise InvalidRequest("The JSON must be a list of accounts.", param="text")
    return found


def _read_lines(text: str) -> list[Any]:
    lines = [line.strip() for line in text.splitlines()]
    return [{"secret": line} for line in lines if line and not line.startswith("#")]


def _read_csv(text: str) -> list[Any]:
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
    cells = {name: _without_guard(cell) for name, cell in row.items() if cell}
    quota = {part: cells.pop(f"quota_{part}") for part in QUOTA_PARTS if f"quota_{part}" in cells}
    found: dict[str, Any] = {name: _cell_value(name, cell) for name, cell in cells.items()}
    return found | ({"quota": quota} if quota else {})


def _cell_value(name: str, cell: str) -> Any:
    if name == "options" or (name in PAIR_FIELDS | WORD_FIELDS and cell[0] in "[{"):
        try:
            return json.loads(cell)
        except ValueError:
            return cell  # its form says what it wants
    parts = [part.strip() for part in cell.split(";") if part.strip()]
    if name in PAIR_FIELDS:
        pairs = [part.partition("=") for part in parts]
        return {key.strip(): (value or key).strip() for key, _, value in pairs}
    return parts if name in WORD_FIELDS else cell


def _export_document(standing: AccountStatus, *, secrets: bool) -> dict[str, Any]:
    draft = AccountDraft.of_status(standing)
    found = draft.model_dump(mode="json", exclude_defaults=True, warnings=False)
    for name in WORD_FIELDS & found.keys():
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


def _csv_cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        plain = all(isinstance(each, str | int) and not isinstance(each, bool) for each in value.values())
        text = ";".join(f"{k}={v}" for k, v in value.items())
        simple = (
            name in PAIR_FIELDS
            and plain
            and not any(sign in f"{k}{v}" for k, v in value.items() for sign in ";=")
        )
        value = text if simple and value and set(value) - {""} else json.dumps(value)
    elif isinstance(value, list):
        value = ";".join(value) if not any(";" in each for each in value) else json.dumps(value)
    text = str(value)
    return f"'{text}" if text.startswith((*FORMULA_STARTS, "'")) else text


def _without_guard(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:].startswith((*FORMULA_STARTS, "'")) else cell
