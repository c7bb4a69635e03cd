"""The deployments of LiteLLM: entries of ``model_list`` in its config.yaml, or rows of its table of models.

Sources: https://docs.litellm.ai/docs/proxy/configs, BerriAI/litellm schema.prisma (LiteLLM_ProxyModelTable,
LiteLLM_CredentialsTable) and litellm/proxy/management_endpoints/model_management_endpoints.py.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.moving.fields import amount_of, document_of, is_stated, list_of, number_of, text_of
from app.moving.plan import LeftOut, Remark, Row, left_out
from app.moving.sealed_values import is_sealed, open_value
from app.moving.vendors import PeerVendor, prefix_of_name, vendors_of

FROM_ENVIRONMENT = "os.environ/"
COSTS = (
    "input_cost_per_token",
    "output_cost_per_token",
    "output_cost_per_second",
    "output_cost_per_video_per_second",
    "output_cost_per_image",
)
READ_FIELDS = frozenset(
    {
        "model",
        "api_base",
        "base_url",
        "custom_llm_provider",
        "litellm_credential_name",
        "weight",
        "order",
        "rpm",
    }
    | {"tags", "input_cost_per_second", *COSTS}
)
DEFAULT_PREFIX = "openai"


@dataclass(frozen=True, slots=True)
class PeerSecrets:
    """What opens values: the salt key (empty: not given), variables, and named credentials. ``in_clear``: nothing is
    encrypted, as in a file."""

    salt_key: str = field(default="", repr=False)
    in_clear: bool = False
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    credentials: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One way to serve the public name. ``order`` and ``weight`` are None where they are not stated."""

    public: str
    upstream: str
    vendor: PeerVendor
    address: str
    secret: str = field(repr=False)
    has_secret: bool = True
    options: Mapping[str, str] = field(default_factory=dict)
    weight: float | None = None
    order: int | None = None
    rpm: int | None = None
    tags: tuple[str, ...] = ()
    costs: Mapping[str, Any] = field(default_factory=dict)
    remarks: tuple[Remark, ...] = ()

    @property
    def credential(self) -> tuple[str, str, str, str]:
        """Deployments that share it are one account."""
        return self.vendor.provider, self.address, self.secret, json.dumps(dict(self.options), sort_keys=True)


class ClosedValue(Exception):
    """An encrypted value that no key was given for (``encrypted``), or that the given one does not open (``wrong_key``)."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


def read_deployment(row: Row, secrets: PeerSecrets) -> Deployment | LeftOut:
    """``row`` has ``model_name``, ``litellm_params`` and maybe ``model_info`` and ``blocked``."""
    public = text_of(row.get("model_name")).strip()
    if row.get("blocked"):
        return left_out("account", public, "disabled_there")
    try:
        params = open_document(document_of(row.get("litellm_params")), secrets)
    except ClosedValue as error:
        return left_out("account", public, error.word)
    named = secrets.credentials.get(text_of(params.get("litellm_credential_name")), {})
    params = {**named, **params}
    prefix, upstream = _split_model(params)
    vendor = vendors_of("litellm").get(prefix, PeerVendor(prefix))
    if not vendor.provider or not upstream.startswith(vendor.only):
        return left_out("account", public, "no_adapter", vendor=f"{vendor.name} ({upstream})")
    if "*" in public + upstream and (public, upstream) != ("*", "*"):
        return left_out("account", public, "wildcard", model=upstream)
    return _as_deployment(row, params, secrets=secrets, vendor=vendor, names=(prefix, public, upstream))


def open_document(document: Mapping[str, Any], secrets: PeerSecrets) -> dict[str, Any]:
    """With its values in clear. A row whose model is not encrypted was written so as a whole.

    Raises ``ClosedValue``.
    """
    marker = text_of(document.get("model"))
    if secrets.in_clear or (marker and not is_sealed(marker)):
        return dict(document)
    return {
        name: _open_sealed(value, secrets) if isinstance(value, str) and is_sealed(value) else value
        for name, value in document.items()
    }


def _open_sealed(value: str, secrets: PeerSecrets) -> str:
    if not secrets.salt_key:
        raise ClosedValue("encrypted")
    opened = open_value(value, secrets.salt_key)
    if opened is None:
        raise ClosedValue("wrong_key")
    return opened


def _split_model(params: Mapping[str, Any]) -> tuple[str, str]:
    """The prefix that names the vendor, and the vendor's name of the model."""
    model, stated = text_of(params.get("model")).strip(), text_of(params.get("custom_llm_provider")).strip()
    prefix, slash, rest = model.partition("/")
    if stated:
        return stated, rest if slash and prefix == stated else model
    if slash and (prefix in vendors_of("litellm") or not is_stated(params.get("api_base"))):
        return prefix, rest
    return prefix_of_name(model, default=DEFAULT_PREFIX), model


def _as_deployment(
    row: Row,
    params: Mapping[str, Any],
    *,
    secrets: PeerSecrets,
    vendor: PeerVendor,
    names: tuple[str, str, str],
) -> Deployment:
    prefix, public, upstream = names
    given = _resolve(text_of(params.get("api_base") or params.get("base_url")), secrets)
    address = vendor.address_of(given or "") or ""
    stated = text_of(params.get(vendor.secret)).strip()
    secret = _resolve(stated, secrets) if stated else secrets.variables.get(f"{prefix.upper()}_API_KEY", "")
    own_server = not stated and bool(given)
    remarks = [*_losses(params, vendor), *_secret_remarks(stated, secret, own_server=own_server)]
    info = document_of(row.get("model_info"))
    costs = {name: params.get(name, info.get(name)) for name in COSTS}
    weight, rpm = amount_of(params.get("weight")), number_of(params.get("rpm"))
    return Deployment(
        public,
        upstream,
        vendor,
        address,
        secret=secret or "",
        has_secret=bool(secret) or own_server,
        options={
            name: text_of(params[source]) for name, source in vendor.options.items() if params.get(source)
        },
        weight=float(weight) if weight is not None and weight > 0 else None,
        order=number_of(params["order"]) if is_stated(params.get("order")) else None,
        rpm=rpm if rpm > 0 else None,
        tags=tuple(map(text_of, list_of(params.get("tags")))),
        costs={name: value for name, value in costs.items() if value},
        remarks=tuple(remarks),
    )


def _resolve(text: str, secrets: PeerSecrets) -> str | None:
    """The value, or that of the variable that it names; None when there is no such variable."""
    if not text.startswith(FROM_ENVIRONMENT):
        return text.strip()
    return secrets.variables.get(text.removeprefix(FROM_ENVIRONMENT).strip())


def _secret_remarks(stated: str, secret: str | None, *, own_server: bool) -> list[Remark]:
    if secret or own_server:
        return []
    if stated.startswith(FROM_ENVIRONMENT):
        return [Remark("variable_missing", {"variable": stated.removeprefix(FROM_ENVIRONMENT)})]
    return [Remark("secret_missing")]


def _losses(params: Mapping[str, Any], vendor: PeerVendor) -> list[Remark]:
    known = {*READ_FIELDS, vendor.secret, "api_key", *vendor.options.values()}
    lost = sorted(name for name, value in params.items() if name not in known and value and is_stated(value))
    return [Remark("fields_lost", {"fields": ", ".join(lost)})] if lost else []
