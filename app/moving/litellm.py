"""LiteLLM: its config.yaml or its database as a plan."""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from app.errors import InvalidRequest
from app.moving.databases import needed_package
from app.moving.deployments import ClosedValue, Deployment, PeerSecrets, open_document, read_deployment
from app.moving.fields import document_of, is_stated, list_of, text_of
from app.moving.model_groups import group_deployments, read_accounts, read_costs, read_routes
from app.moving.plan import MovedPart, Tables, in_order, left_out
from app.moving.virtual_keys import read_keys

MODELS, KEYS, TEAMS = "LiteLLM_ProxyModelTable", "LiteLLM_VerificationToken", "LiteLLM_TeamTable"
BUDGETS, CREDENTIALS, CONFIG = "LiteLLM_BudgetTable", "LiteLLM_CredentialsTable", "LiteLLM_Config"
TABLES = (MODELS, KEYS, TEAMS, BUDGETS, CREDENTIALS, CONFIG)
VARIABLES = "environment_variables"
SECTIONS = ("model_list", "router_settings", "litellm_settings", "general_settings")


def plan_litellm(tables: Tables, secrets: PeerSecrets, *, slots: int) -> list[MovedPart]:
    """``secrets``: the salt key and this machine's variables. Raises ``InvalidRequest`` when it is not what LiteLLM
    keeps."""
    if not any(tables.get(name) for name in (MODELS, KEYS, CONFIG)):
        raise InvalidRequest(f"PLACE: it has no rows in {MODELS} and {KEYS}, so it is not what LiteLLM keeps")
    config = {text_of(row.get("param_name")): row.get("param_value") for row in tables.get(CONFIG, ())}
    closed: list[MovedPart] = []
    secrets = _with_own(tables, secrets, closed)
    found = [read_deployment(row, secrets) for row in tables.get(MODELS, ())]
    deployments = [each for each in found if isinstance(each, Deployment)]
    groups = group_deployments(deployments)
    parts: list[MovedPart] = [each for each in found if not isinstance(each, Deployment)]
    parts += [*read_accounts(groups, slots=slots), *read_routes(groups, _router_settings(config))]
    parts += read_keys(tables.get(KEYS, ()), tables.get(TEAMS, ()), tables.get(BUDGETS, ()))
    parts += [*read_costs(deployments), *_master_key(config), *closed]
    return in_order(parts)


def _with_own(tables: Tables, secrets: PeerSecrets, closed: list[MovedPart]) -> PeerSecrets:
    """With the variables and credentials that LiteLLM keeps itself; what can't be opened is added to ``closed``."""

    def open_or_tell(name: str, value: Any) -> dict[str, Any]:
        try:
            return open_document(document_of(value), secrets)
        except ClosedValue as error:
            closed.append(left_out("rest", name, error.word))
            return {}

    variables: dict[str, Any] = {}
    for row in tables.get(CONFIG, ()):
        if row.get("param_name") == VARIABLES:
            variables |= open_or_tell(VARIABLES, row.get("param_value"))
    credentials = {
        name: open_or_tell(name, row.get("credential_values"))
        for row in tables.get(CREDENTIALS, ())
        if (name := text_of(row.get("credential_name")))
    }
    return replace(secrets, variables={**variables, **secrets.variables}, credentials=credentials)


def _router_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Fallbacks may stand in either section."""
    return document_of(config.get("litellm_settings")) | document_of(config.get("router_settings"))


def _master_key(config: Mapping[str, Any]) -> Iterator[MovedPart]:
    if is_stated(document_of(config.get("general_settings")).get("master_key")):
        yield left_out("key", "master_key", "master_key")


def tables_of_config(text: str) -> Tables:
    """Of a config.yaml, as the tables of the database would hold it. Raises ``InvalidRequest``."""
    try:
        yaml = importlib.import_module("yaml")
    except ModuleNotFoundError as error:
        raise needed_package(error) from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidRequest(
            f"PLACE: this is neither a database nor YAML: {str(error).splitlines()[0]}"
        ) from error
    if not isinstance(document, dict) or not any(name in document for name in SECTIONS):
        raise InvalidRequest(f"PLACE: a config.yaml of LiteLLM has one of {', '.join(SECTIONS)}")
    credentials = [document_of(each) for each in list_of(document.get("credential_list"))]
    return {
        MODELS: [document_of(each) for each in list_of(document.get("model_list"))],
        CREDENTIALS: credentials,
        CONFIG: [{"param_name": name, "param_value": value} for name, value in document.items()],
    }
