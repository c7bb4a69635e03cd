"""What a TOML file declares of an upstream, validated: a mistake is told with the file, the field and what to do."""

import tomllib
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from app.errors import InvalidRequest
from app.generation import MediaKind
from app.providers.base import Account, PollInterval
from app.providers.declared.checked_fields import (
    ID_NAMES,
    SECRET_NAMES,
    SUBMIT_NAMES,
    IdPath,
    IdTemplate,
    Pick,
    Words,
    check_names,
    check_path,
)
from app.providers.declared.templates import Template, names_in
from app.providers.http_errors import ErrorMeaning
from app.providers.model_facts import ModelFacts, VendorFacts
from app.providers.reading import State
from app.validation import validate_document

OPTION = "declaration"
OPTION = "declaration"


class DeclaredForm(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class DeclaredAuth(DeclaredForm):
    """The header with the account's secret."""

    header: str = "Authorization"
    value: Annotated[str, check_names(SECRET_NAMES)] = "Bearer {secret}"


class DeclaredSubmit(DeclaredForm):
    """One POST that begins the work. ``id``: the vendor's name of it in the answer."""

    path: Annotated[str, AfterValidator(check_path), check_names(frozenset({"model"}))]
    body: Annotated[dict[str, Template], check_names(SUBMIT_NAMES)]
    id: Pick
    defaults: dict[str, str | int | float | bool] = {}
    """Values for names that a request leaves open."""
    reserved: tuple[str, ...] = ()
    """More fields of the vendor that a client may not set."""
    idempotency_header: str = ""
    """Only where the vendor answers a repetition with the first work."""


class DeclaredPoll(DeclaredForm):
    """One request that asks how far the work is."""

    path: IdPath
    method: Literal["GET", "POST"] = "GET"
    body: IdTemplate = {}
    params: Annotated[dict[str, str], check_names(ID_NAMES)] = {}
    state: Pick
    states: Mapping[State, Words]
    files: Pick | None = None
    """A link or a list of links."""
    reason: Pick | None = None
    progress: Pick | None = None
    usage: Mapping[str, Pick] = {}
    first_seconds: float = Field(default=5.0, gt=0)
    cap_seconds: float = Field(default=20.0, gt=0)

    @property
    def interval(self) -> PollInterval:
        return PollInterval(first=self.first_seconds, cap=max(self.first_seconds, self.cap_seconds))

    @property
    def meanings(self) -> dict[str, State]:
        """By the vendor's word."""
        return {word: state for state, words in self.states.items() for word in words}


class DeclaredCancel(DeclaredForm):
    path: IdPath
    method: Literal["POST", "PUT", "DELETE"] = "POST"


class DeclaredFetch(DeclaredForm):
    """Where the film lies that needs the key."""

    path: IdPath


class DeclaredErrors(DeclaredForm):
    """Codes in the vendor's answers, whatever their HTTP status."""

    code: Pick = "code"
    message: Pick = "message"
    codes: Mapping[ErrorMeaning, Words] = {}

    @property
    def meanings(self) -> dict[str, ErrorMeaning]:
        return {code: meaning for meaning, codes in self.codes.items() for code in codes}


class DeclaredBalance(DeclaredForm):
    path: Annotated[str, AfterValidator(check_path)]
    left: Pick
    unit: str


class Declaration(DeclaredForm):
    """The whole file. ``models`` are as in ``app/catalog/models``."""

    file: str = ""
    """Its name, for what is said of it."""
    title: str
    base_url: str = ""
    kind: MediaKind = "video"
    content_type: str = "video/mp4"
    text_path: Annotated[str, AfterValidator(check_path)] | None = None
    """What stands before ``/chat/completions``, where the upstream serves text in OpenAI's form too."""
    auth: DeclaredAuth = DeclaredAuth()
    submit: DeclaredSubmit
    poll: DeclaredPoll
    cancel: DeclaredCancel | None = None
    fetch: DeclaredFetch | None = None
    errors: DeclaredErrors = DeclaredErrors()
    balance: DeclaredBalance | None = None
    models: tuple[ModelFacts, ...] = ()

    @model_validator(mode="after")
    def _check_whole(self) -> "Declaration":
        if "succeeded" not in self.poll.states or "failed" not in self.poll.states:
            raise ValueError("poll.states must say which words mean succeeded, and which mean failed")
        if self.poll.files is None and self.fetch is None:
            raise ValueError("poll.files or fetch must say where the film is")
        unused = sorted(self.submit.defaults.keys() - names_in(self.submit.body))
        if unused:
            raise ValueError(f"submit.defaults.{unused[0]} is not used: submit.body has no {{{unused[0]}}}")
        return self

    def facts_of(self, model: str) -> ModelFacts | None:
        return VendorFacts(source="", checked=date.min, models=self.models).find_model(model)


def read_declaration(account: Account) -> Declaration:
    """Of the account's option. Raises ``InvalidRequest`` that names the file and the field."""
    given = account.options.get(OPTION)
    if isinstance(given, str):  # as it is pasted into the panel
        given = _parse_text(given)
    if not isinstance(given, Mapping):
        text = f"options.{OPTION} is required: the content of a TOML file, as docs/providers.md explains"
        raise InvalidRequest(text, param=f"options.{OPTION}", reason="missing")
    try:
        return validate_document(Declaration, dict(given), whole=OPTION)
    except InvalidRequest as error:
        where = str(given.get("file") or f"options.{OPTION}")
        raise InvalidRequest(
            f"{where}: {error.message}", param=f"options.{OPTION}", reason=error.reason
        ) from error


def _parse_text(text: str) -> Mapping[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = f"options.{OPTION}"
        raise InvalidRequest(f"{where} is no TOML: {error}", param=where, reason="invalid_value") from error
