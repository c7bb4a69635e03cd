"""Reads the configuration file: four tables of rows, secrets from the environment, errors in one line."""

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from app.accounts.definition import AccountDraft
from app.catalog.price import ModelPrice, read_price
from app.catalog.prices import price_name
from app.catalog.route_documents import RouteDocument, read_route
from app.errors import InvalidRequest, SettingsInvalid
from app.keys.key import KeyTerms, read_terms
from app.secret_rules import check_token, is_blank
from app.validation import validate_document

TABLES = {"accounts": "name", "routes": "model", "keys": "name", "prices": "model"}
"""Each table with the field that identifies a row."""
FIELDS: Mapping[str, tuple[str, ...]] = {
    "accounts": tuple(AccountDraft.model_fields),
    "routes": tuple(RouteDocument.model_fields),
    "keys": ("secret", *KeyTerms.model_fields),
    "prices": ("model", *ModelPrice.model_fields),
}
SECRETS = frozenset({"secret", "proxy", "key"})
"""Fields that the file must not contain; ``secret_env`` names the variable that holds the value."""
FROM_ENVIRONMENT = "_env"
FROM_FILE = "_file"
FILE_NAME = "file"
"""The field of an option's file that names it, for what is said of it later."""
RowType = TypeVar("RowType")


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A client key: its secret and its terms."""

    secret: str = field(repr=False)
    terms: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PriceRow:
    """The price of a model, or of a family like ``veo*``."""

    model: str
    price: ModelPrice


@dataclass(frozen=True, slots=True)
class DeclaredConfiguration:
    """The contents of the file. ``accounts_with_enabled``: names of accounts whose row has ``enabled``."""

    accounts: tuple[AccountDraft, ...] = ()
    routes: tuple[RouteDocument, ...] = ()
    keys: tuple[KeyRow, ...] = ()
    prices: tuple[PriceRow, ...] = ()
    accounts_with_enabled: frozenset[str] = frozenset()
    file_name: str = ""


def load_file(path: Path, environment: Mapping[str, str]) -> DeclaredConfiguration:
    """Raises ``SettingsInvalid`` with one line that names the file, the row and the field."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise SettingsInvalid(f"FILMGATE_CONFIG: {path} can't be read: {reason}") from error
    try:
        declared = parse_text(text, environment, folder=path.parent)
        return replace(declared, file_name=path.name)
    except SettingsInvalid as error:
        raise SettingsInvalid(f"{path.name}: {error.message}") from error


def parse_text(text: str, environment: Mapping[str, str], *, folder: Path = Path()) -> DeclaredConfiguration:
    """Files that it names lie in ``folder``. Raises ``SettingsInvalid`` with one line."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"this is no TOML: {error}") from error
    for name in document:
        if name not in TABLES:
            raise SettingsInvalid(f"{name}: there is no such table; there are {', '.join(TABLES)}")
    keys = _read_rows(document, "keys", _read_key_row, environment=environment)

    def read_account(row: dict[str, Any]) -> AccountDraft:
        return _read_account(_fill_from_files(row, folder))

    _check_distinct_secrets(keys)
    return DeclaredConfiguration(
        accounts=_read_rows(document, "accounts", read_account, environment=environment),
        routes=_read_rows(document, "routes", read_route, environment=environment),
        keys=keys,
        prices=_read_rows(document, "prices", _read_price_row, environment=environment),
        accounts_with_enabled=frozenset(
            row["name"] for row in document.get("accounts", ()) if "enabled" in row
        ),
    )


def _read_rows(
    document: Mapping[str, Any],
    table: str,
    reader: Callable[[dict[str, Any]], RowType],
    *,
    environment: Mapping[str, str],
) -> tuple[RowType, ...]:
    rows = document.get(table, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SettingsInvalid(f"{table}: write each row under [[{table}]]")
    result: dict[str, RowType] = {}
    for number, row in enumerate(rows, 1):
        name = row.get(TABLES[table])
        if not isinstance(name, str) or not name.strip():
            raise SettingsInvalid(f"{table}, row {number}: {TABLES[table]} is required")
        where = f'{table} "{name}"'
        if name in result:
            raise SettingsInvalid(f"{where}: there are two rows with this {TABLES[table]}")
        try:
            _check_names(row, FIELDS[table])
            result[name] = reader(_fill_from_environment(_dates_as_seconds(row), environment))
        except InvalidRequest as error:
            raise SettingsInvalid(f"{where}: {' '.join(error.message.split())}") from error
    return tuple(result.values())


def _check_names(row: Mapping[str, Any], fields: tuple[str, ...]) -> None:
    """Raises ``InvalidRequest`` for a field that the table doesn't have."""
    for name in row:
        if name in fields or name.removesuffix(FROM_ENVIRONMENT) in fields:
            continue
        near = get_close_matches(name, fields, n=1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(fields)}"
        raise InvalidRequest(f"{name}: there is no such field; {advice}")


def _check_distinct_secrets(keys: tuple[KeyRow, ...]) -> None:
    """Keys are identified by their secret: two rows with the same one would overwrite each other at every start."""
    secret, number = Counter(row.secret for row in keys).most_common(1)[0] if keys else ("", 0)
    if number > 1:
        names = " and ".join(str(row.terms["name"]) for row in keys if row.secret == secret)
        raise SettingsInvalid(f"keys: {names} have the same secret; give each its own")


def _fill_from_environment(row: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The row with its ``…_env`` fields replaced by the variables' values, in ``options`` too."""
    result: dict[str, Any] = {}
    for name, value in row.items():
        if name in SECRETS:
            raise InvalidRequest(
                f"{name}: keep it out of this file; {name}_env names the variable that holds it"
            )
        if name == "options" and isinstance(value, dict):
            result[name] = _fill_from_environment(value, environment)
        elif not name.endswith(FROM_ENVIRONMENT):
            result[name] = value
        elif not isinstance(value, str) or value not in environment:
            raise InvalidRequest(
                f"{name}: there is no variable {value} in this environment; set it, or correct its name"
            )
        elif is_blank(environment[value]):
            raise InvalidRequest(f"{name}: the variable {value} is empty; give it its value")
        else:
            result[name.removesuffix(FROM_ENVIRONMENT)] = environment[value]
    return result


def _dates_as_seconds(value: Any) -> Any:
    """Replaces TOML dates by UTC seconds; one without a zone is UTC, whatever the zone of this machine is."""
    if isinstance(value, dict):
        return {name: _dates_as_seconds(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_dates_as_seconds(each) for each in value]
    if not isinstance(value, date):
        return value
    moment = value if isinstance(value, datetime) else datetime.combine(value, time.min)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def read_option_file(path: Path) -> dict[str, Any]:
    """A TOML file that is an option of an account: its content is kept, so that no other process needs the file.

    Raises ``InvalidRequest`` that names the file, and the line of a mistake.
    """
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise InvalidRequest(f"{path} can't be read: {reason}") from error
    except tomllib.TOMLDecodeError as error:
        raise InvalidRequest(f"{path.name} is no TOML: {error}") from error
    return {FILE_NAME: path.name} | document


def _fill_from_files(row: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The row with the ``…_file`` fields of its ``options`` replaced by the files' content."""
    options = row.get("options")
    if not isinstance(options, dict):
        return row
    filled: dict[str, Any] = {}
    for name, value in options.items():
        if not name.endswith(FROM_FILE):
            filled[name] = value
        elif isinstance(value, str):
            filled[name.removesuffix(FROM_FILE)] = read_option_file(folder / value)
        else:
            raise InvalidRequest(f"options.{name}: it must name a TOML file")
    return row | {"options": filled}


def _read_account(row: dict[str, Any]) -> AccountDraft:
    return validate_document(AccountDraft, row, whole="account")


def _read_key_row(row: dict[str, Any]) -> KeyRow:
    secret = row.pop("secret", None)
    if secret is None:
        raise InvalidRequest("secret_env is required: it names the variable that holds the key")
    check_token(secret, param="secret_env")
    read_terms(row)
    return KeyRow(secret, row)


def _read_price_row(row: dict[str, Any]) -> PriceRow:
    return PriceRow(price_name(row.pop("model")), read_price(row))
