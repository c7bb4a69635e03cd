"""Lists of accounts as text: JSON, CSV with a header, or a line for each: its secret, or a name and a secret."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from urllib.parse import urlsplit

from app.accounts.column_aliases import ALIASES
from app.accounts.definition import AccountDraft, FieldShape, field_shape
from app.accounts.status import AccountStatus
from app.errors import InvalidRequest
from app.validation import validate_document

TextFormat = Literal["json", "csv", "lines"]
MOST_ROWS = 10_000
QUOTA_PARTS = ("limit", "unit", "period", "left")


def _csv_columns() -> tuple[str, ...]:
    """The fields of a draft, ``name`` first, with a column for each part of the quota."""
    names = [name for name in AccountDraft.model_fields if name != "name"]
    parts = [f"quota_{part}" for part in QUOTA_PARTS]
    return ("name", *(column for name in names for column in (parts if name == "quota" else [name])))


def _fields_of_shape(shape: FieldShape) -> frozenset[str]:
    return frozenset(name for name in AccountDraft.model_fields if field_shape(name) == shape)


COLUMNS = _csv_columns()
PAIR_FIELDS = _fields_of_shape("pairs")
WORD_FIELDS = _fields_of_shape("words")
DOCUMENT_FIELDS = _fields_of_shape("document")
# A spreadsheet reads a cell that begins with one of these as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
LINE_SEPARATORS = ("----", "\t", ",", "，")
"""Between the parts of a line: the first of these that it holds. No vendor's secret holds one, but for JSON."""
CSV_SEPARATORS = "\t;,"
SECRET_OPTION = re.compile(r"secret|token|password|key|session|cookie|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ImportRow:
    """One row of a list: its draft, or the error. ``number`` counts from 1, ``given`` names the fields it has."""

    number: int
    name: str
    draft: AccountDraft | None = field(default=None, repr=False)
    given: frozenset[str] = frozenset()
    error: InvalidRequest | None = None


def detect_format(text: str) -> TextFormat:
    """The format that the text seems to have. A heading of several columns, one of them a name or a secret, is CSV also
    where another column is unknown: as lines, each row would become a secret and be sent to the upstream."""
    stripped = text.lstrip("\ufeff \t\r\n")
    if stripped[:1] == "[" or (stripped[:1] == "{" and not _is_secret_document(stripped)):
        return "json"
    first = stripped.split("\n", 1)[0].strip()
    header = [_column_of(cell) for cell in first.split(_csv_separator(first))]
    named = {"name", "secret"} & set(header)
    return "csv" if named and (len(header) > 1 or header == ["name"]) else "lines"


def read_rows(
    text: str, *, form: TextFormat | None = None, defaults: Mapping[str, Any] | None = None
) -> list[ImportRow]:
    """Every row, with ``defaults`` for the fields that it leaves out. Raises ``InvalidRequest`` for a text that is
    not a list; an invalid row has its ``error``."""
    readers: dict[TextFormat, Callable[[str], list[Any]]] = {
        "json": _read_json,
        "csv": _read_csv,
        "lines": _read_lines,
    }
    documents = readers[form or detect_format(text)](text.lstrip("\ufeff"))
    if not documents:
        raise InvalidRequest("The list has no account.", param="text", reason="empty_list")
    if len(documents) > MOST_ROWS:
        raise InvalidRequest(f"At most {MOST_ROWS} accounts at once.", param="text", reason="too_many")
    return [_import_row(number, document, defaults or {}) for number, document in enumerate(documents, 1)]


def export_documents(statuses: Iterable[AccountStatus], *, secrets: bool) -> list[dict[str, Any]]:
    """Documents that ``read_rows`` reads again, without defaults, and without secrets unless ``secrets`` is set."""
    return [_export_document(status, secrets=secrets) for status in statuses]


def as_json(documents: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(documents, indent=2, ensure_ascii=False) + "\n"


def as_csv(documents: Sequence[Mapping[str, Any]]) -> str:
    """A list for spreadsheets; an apostrophe keeps a cell from being read as a formula."""
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
        text = "a row is a secret, or a name and a secret, with an address at most; or a JSON object"
        return ImportRow(number, "", error=InvalidRequest(text, param="row"))
    merged = {**defaults, **document}
    name = str(merged.get("name", ""))[:200]
    try:
        draft = validate_document(AccountDraft, {"name": f"row {number}", **merged}, whole="account")
    except InvalidRequest as error:
        return ImportRow(number, name, error=error)
    return ImportRow(number, name.strip(), draft, frozenset(document))


def _read_json(text: str) -> list[Any]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        if (documents := _json_lines(text)) is not None:
            return documents
        raise InvalidRequest(
            f"This is not valid JSON: {error}", param="text", reason="invalid_json"
        ) from error
    if isinstance(document, dict):
        document = document.get("accounts", [document])
    if not isinstance(document, list):
        raise InvalidRequest("The JSON must be a list of accounts.", param="text", reason="invalid_json")
    return document


def _json_lines(text: str) -> list[Any] | None:
    """One document a line; None for anything else."""
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return None


def _read_lines(text: str) -> list[Any]:
    lines = [line.strip() for line in text.splitlines()]
    return [_read_line(line) for line in lines if line and not line.startswith("#")]


def _read_line(line: str) -> Any:
    """A secret, or a name and a secret; an address may stand anywhere. What has more parts is no object: its row says so."""
    if line.startswith("{"):
        return {"secret": line} if _is_secret_document(line) else _json_object(line)
    separator = next((each for each in LINE_SEPARATORS if each in line), None)
    parts = [part.strip().strip('"') for part in line.split(separator)] if separator else [line]
    addresses = [part for part in parts if part.startswith(("http://", "https://"))]
    others = [part for part in parts if part and part not in addresses]
    if len(addresses) > 1 or not 0 < len(others) <= 2:
        return None
    document = dict(zip(("name", "secret") if len(others) == 2 else ("secret",), others, strict=True))
    return document | ({ALIASES["url"]: addresses[0]} if addresses else {})


def _json_object(line: str) -> Any:
    documents = _json_lines(line)
    return documents[0] if documents else None


def _is_secret_document(line: str) -> bool:
    """Whether it is JSON that is a secret itself, as of a service account, and no account."""
    try:
        document = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(document, dict) and not {"accounts", *COLUMNS, "quota"} & document.keys()


def _csv_separator(header: str) -> str:
    return max(CSV_SEPARATORS, key=header.count)


def _column_of(cell: str) -> str:
    name = cell.strip().strip('"').lower()
    return ALIASES.get(name, name)


def _read_csv(text: str) -> list[Any]:
    stripped = text.lstrip()
    separator = _csv_separator(stripped.split("\n", 1)[0])
    source = io.StringIO(stripped)
    reader = csv.DictReader(source, restkey="", restval="", skipinitialspace=True, delimiter=separator)
    reader.fieldnames = [_column_of(name) for name in reader.fieldnames or ()]
    unknown = [name for name in reader.fieldnames if name not in {*COLUMNS, ""}]
    if unknown:
        raise InvalidRequest(
            f"There is no column {unknown[0]}; there are {', '.join(COLUMNS)}.", param="text"
        )
    try:
        rows = [{name.strip(): str(cell).strip() for name, cell in row.items() if name} for row in reader]
    except csv.Error as error:
        raise InvalidRequest(f"This is not valid CSV: {error}", param="text", reason="invalid_csv") from error
    return [_read_cells(row) for row in rows if any(row.values())]


def _read_cells(row: Mapping[str, str]) -> dict[str, Any]:
    cells = {name: _without_guard(cell) for name, cell in row.items() if cell}
    quota = {part: cells.pop(f"quota_{part}") for part in QUOTA_PARTS if f"quota_{part}" in cells}
    values: dict[str, Any] = {name: _cell_value(name, cell) for name, cell in cells.items()}
    return values | ({"quota": quota} if quota else {})


def _cell_value(name: str, cell: str) -> Any:
    if name in DOCUMENT_FIELDS or (name in PAIR_FIELDS | WORD_FIELDS and cell[0] in "[{"):
        try:
            return json.loads(cell)
        except ValueError:
            return cell  # the draft reports what is wrong
    parts = [part.strip() for part in cell.split(";") if part.strip()]
    if name in PAIR_FIELDS:
        pairs = [part.partition("=") for part in parts]
        return {key.strip(): (value or key).strip() for key, _, value in pairs}
    return parts if name in WORD_FIELDS else cell


def _export_document(status: AccountStatus, *, secrets: bool) -> dict[str, Any]:
    draft = AccountDraft.of_status(status)
    document = draft.model_dump(mode="json", exclude_defaults=True, warnings=False)
    for name in WORD_FIELDS & document.keys():
        document[name] = sorted(document[name])
    if draft.expires_at is not None:
        document["expires_at"] = datetime.fromtimestamp(draft.expires_at, UTC).isoformat()
    if secrets:
        return document
    document.pop("secret", None)
    if draft.proxy and urlsplit(draft.proxy).username is not None:
        del document["proxy"]
    if "options" in document:
        document["options"] = {k: v for k, v in document["options"].items() if not SECRET_OPTION.search(k)}
    return document


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
