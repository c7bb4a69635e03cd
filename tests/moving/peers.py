"""Databases of other gateways, made with their own tables: columns as in the sources that `app/moving` names."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.dialects import postgresql

CLIENT_KEY = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V2w3X4"
"""As it is stored; programs send it behind ``sk-``."""
SALT_KEY = "sk-salt-0123456789"
# Made by litellm 1.110.2 with this salt key, in the two forms that it writes.
BOXED_MODEL = "CvKc5Ehqp8hU3q_rdMxrU6OgdJSK3-EiL0moIoSeSv1l04AQ7OvwQFZIOk2CZJ7inqaiauY="
BOXED_SECRET = "_trig2n_kEYzadAIwiMbadgqdjMQne9LlBZ6lTngxZKxMyX7Wn3XQhlpQsfH4b_remtHYc1m-CpZc6N-sOI="
HASHED_MODEL = "v2:gcm:b-nuxP6XZUOqfxbSK0q1gfqARxzMI1utiHdy6zgPU0VJ_99bQBdQ69k="
HASHED_SECRET = "v2:gcm:EP2jY6GQ4mqeXNmU-XrPjDsSGxg7rjMAWvSQw3O7q9iZvsQmC8M9cij5Fw5J89qG1r0="
OPENED_MODEL, OPENED_SECRET = "openai/gpt-4o", "sk-upstream-of-litellm"


def stretched(value: str) -> str:
    """The third form, of LiteLLM's present source."""
    key = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=b"litellm-at-rest-v3").derive(
        SALT_KEY.encode()
    )
    nonce = os.urandom(12)
    return (
        "v3:gcm:"
        + base64.urlsafe_b64encode(nonce + AESGCM(key).encrypt(nonce, value.encode(), None)).decode()
    )


def text_columns(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text) for name in names]


def number_columns(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.BigInteger) for name in names]


@dataclass(frozen=True)
class PeerStore:
    """Tables and their rows."""

    tables: sa.MetaData
    rows: Mapping[str, list[dict[str, Any]]]

    def fill(self, connection: sa.Connection) -> None:
        self.tables.create_all(connection)
        for name, rows in self.rows.items():
            for row in rows:
                connection.execute(sa.insert(self.tables.tables[name]).values(row))


def channel_tables(*, has_multiple_keys: bool) -> sa.MetaData:
    """new-api's with ``has_multiple_keys``, else one-api's."""
    tables = sa.MetaData()
    channels = [
        sa.Column("id", sa.Integer, primary_key=True),
        *number_columns("type", "status", "weight", "created_time", "test_time", "response_time", "used_quota", "priority"),
        *text_columns("key", "name", "base_url", "other", "models", "group", "model_mapping"),
        sa.Column("balance", sa.Float),
    ]  # fmt: skip
    tokens = [
        sa.Column("id", sa.Integer, primary_key=True),
        *number_columns("user_id", "status", "created_time", "accessed_time", "expired_time", "remain_quota", "used_quota"),
        sa.Column("key", sa.String(128)),
        sa.Column("unlimited_quota", sa.Boolean),
        *text_columns("name"),
    ]  # fmt: skip
    users = [
        sa.Column("id", sa.Integer, primary_key=True),
        *text_columns("username", "password", "display_name", "group"),
        *number_columns("role", "status", "quota", "used_quota"),
    ]
    if has_multiple_keys:
        channels += text_columns(
            "open_ai_organization", "test_model", "status_code_mapping", "other_info", "tag", "setting"
        )
        channels += [*text_columns("param_override", "header_override", "remark", "settings"), sa.Column("channel_info", sa.JSON), *number_columns("auto_ban")]  # fmt: skip
        tokens += [sa.Column("model_limits_enabled", sa.Boolean), *text_columns("model_limits", "allow_ips", "group"), sa.Column("deleted_at", sa.DateTime)]  # fmt: skip
        users += [sa.Column("deleted_at", sa.DateTime)]
    else:
        channels += text_columns("config", "system_prompt")
        tokens += text_columns("models", "subnet")
    sa.Table("channels", tables, *channels)
    sa.Table("tokens", tables, *tokens)
    sa.Table("users", tables, *users)
    sa.Table("options", tables, sa.Column("key", sa.String(191), primary_key=True), *text_columns("value"))
    return tables


def new_api() -> PeerStore:
    """A film channel with two keys, a text channel behind a mapping, one that nothing here serves, and three tokens."""
    channels = [
        {"id": 1, "type": 50, "name": "kling", "key": "AK1|SK1\nAK2|SK2", "status": 1, "weight": 0, "priority": 10,
         "base_url": "", "models": "kling-v2-5-turbo,sora-2-pro", "group": "vip", "tag": "films",
         "model_mapping": '{"sora-2-pro": "kling-master", "kling-master": "kling-v2-master"}', "remark": "paid by card",
         "channel_info": {"is_multi_key": True, "multi_key_size": 2, "multi_key_status_list": {"1": 3}}},
        {"id": 2, "type": 1, "name": "relay", "key": "sk-relay-1", "status": 1, "weight": 30, "priority": 0,
         "base_url": "https://relay.example.com", "models": "gpt-4o,sora-2,dall-e-3", "group": "default,vip",
         "model_mapping": "", "setting": '{"proxy": "http://user:pw@proxy.example.com:8080", "force_format": true}',
         "param_override": '{"temperature": 0}', "channel_info": {}},
        {"id": 3, "type": 1, "name": "relay", "key": "sk-relay-2", "status": 3, "weight": 1, "priority": 0,
         "base_url": "", "models": "gpt-4o", "group": "default", "channel_info": {}},
        {"id": 4, "type": 3, "name": "azure", "key": "az", "status": 1, "models": "gpt-4o", "group": "default",
         "channel_info": {}},
    ]  # fmt: skip
    tokens = [
        {"id": 1, "user_id": 1, "key": CLIENT_KEY, "status": 1, "name": "shop", "expired_time": -1, "remain_quota": 1_500_000,
         "unlimited_quota": False, "model_limits_enabled": True, "model_limits": "gpt-4o,sora-2", "allow_ips": "10.0.0.0/8\n192.0.2.1",
         "group": "vip"},
        {"id": 2, "user_id": 1, "key": "short", "status": 2, "name": "old", "expired_time": 4_102_444_800, "remain_quota": 0,
         "unlimited_quota": True, "model_limits_enabled": False, "model_limits": "", "allow_ips": "", "group": ""},
    ]  # fmt: skip
    users = [{"id": 1, "username": "root", "group": "default", "role": 100, "status": 1, "quota": 5_000_000}]
    options = {
        "QuotaPerUnit": "500000.000000",
        "ModelRatio": '{"gpt-4o": 1.25}',
        "CompletionRatio": '{"gpt-4o": 4}',
        "ModelPrice": '{"sora-2": 0.1, "dall-e-3": 0.04, "kling-v2-5-turbo": 0.35}',
        "GroupRatio": '{"default": 1, "vip": 0.8}',
    }
    rows = {"channels": channels, "tokens": tokens, "users": users}
    rows["options"] = [{"key": name, "value": value} for name, value in options.items()]
    return PeerStore(channel_tables(has_multiple_keys=True), rows)


def one_api() -> PeerStore:
    """The number 35 is another vendor than in new-api."""
    channels = [
        {"id": 1, "type": 8, "name": "custom", "key": "sk-custom", "status": 1, "weight": 5, "priority": 0,
         "base_url": "https://custom.example.com", "models": "a,b", "model_mapping": '{"a": "b", "b": "c"}', "group": "default"},
        {"id": 2, "type": 35, "name": "cohere", "key": "co", "status": 1, "models": "command", "group": "default"},
    ]  # fmt: skip
    tokens = [
        {"id": 1, "user_id": 7, "key": CLIENT_KEY, "status": 4, "name": "", "expired_time": -1, "remain_quota": -5,
         "unlimited_quota": False, "models": "a", "subnet": "192.0.2.0/24,198.51.100.0/24"},
    ]  # fmt: skip
    return PeerStore(
        channel_tables(has_multiple_keys=False),
        {"channels": channels, "tokens": tokens, "users": [], "options": []},
    )


def sora2api() -> PeerStore:
    tables = sa.MetaData()
    sa.Table(
        "tokens",
        tables,
        sa.Column("id", sa.Integer, primary_key=True),
        *text_columns(
            "token", "email", "username", "name", "st", "rt", "client_id", "proxy_url", "remark", "plan_type"
        ),
        sa.Column("is_active", sa.Boolean),
    )
    admin = text_columns("admin_username", "admin_password", "api_key")
    sa.Table("admin_config", tables, sa.Column("id", sa.Integer, primary_key=True), *admin)
    proxy = [sa.Column("proxy_enabled", sa.Boolean), *text_columns("proxy_url")]
    sa.Table("proxy_config", tables, sa.Column("id", sa.Integer, primary_key=True), *proxy)
    return PeerStore(
        tables,
        {
            "tokens": [{"id": 1, "token": "eyJ", "email": "a@example.com", "name": "a", "is_active": True}],
            "admin_config": [{"id": 1, "admin_username": "admin", "api_key": "han1234"}],
            "proxy_config": [{"id": 1, "proxy_enabled": True, "proxy_url": "http://127.0.0.1:7890"}],
        },
    )


def litellm() -> PeerStore:
    """Two models, each encrypted in one of the forms, a key with a monthly budget, and one of its own pages."""
    tables, json_type, words = sa.MetaData(), postgresql.JSONB, postgresql.ARRAY(sa.Text)
    sa.Table(
        "LiteLLM_ProxyModelTable",
        tables,
        sa.Column("model_id", sa.Text, primary_key=True),
        *text_columns("model_name", "created_by", "updated_by"),
        sa.Column("litellm_params", json_type),
        sa.Column("model_info", json_type),
        sa.Column("blocked", sa.Boolean, server_default=sa.false()),
    )
    sa.Table(
        "LiteLLM_VerificationToken",
        tables,
        sa.Column("token", sa.Text, primary_key=True),
        *text_columns(
            "key_name", "key_alias", "user_id", "team_id", "budget_duration", "budget_id", "organization_id"
        ),
        sa.Column("spend", sa.Float, server_default="0"),
        sa.Column("expires", postgresql.TIMESTAMP(precision=3)),
        sa.Column("models", words),
        *[
            sa.Column(name, json_type, server_default="{}")
            for name in ("aliases", "permissions", "model_max_budget")
        ],
        sa.Column("blocked", sa.Boolean),
        *number_columns("tpm_limit", "rpm_limit", "max_parallel_requests"),
        sa.Column("max_budget", sa.Float),
    )
    sa.Table(
        "LiteLLM_TeamTable",
        tables,
        sa.Column("team_id", sa.Text, primary_key=True),
        *text_columns("team_alias"),
        sa.Column("models", words),
        sa.Column("max_budget", sa.Float),
        sa.Column("blocked", sa.Boolean, server_default=sa.false()),
    )
    config = [sa.Column("param_name", sa.Text, primary_key=True), sa.Column("param_value", json_type)]
    sa.Table("LiteLLM_Config", tables, *config)
    models = [
        {"model_id": "1", "model_name": "gpt-4o", "litellm_params": {"model": BOXED_MODEL, "api_key": BOXED_SECRET, "weight": 3}},
        {"model_id": "2", "model_name": "gpt-4o", "model_info": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05},
         "litellm_params": {"model": HASHED_MODEL, "api_key": HASHED_SECRET, "api_base": stretched("https://gpu.example.com/v1"),
                            "weight": 1, "use_in_pass_through": False}},
    ]  # fmt: skip
    keys = [
        {"token": hashlib.sha256(b"sk-1").hexdigest(), "key_name": "sk-...1", "key_alias": "shop", "team_id": "t1",
         "models": ["all-team-models"], "max_budget": 20.0, "budget_duration": "30d", "spend": 3.0, "rpm_limit": 60, "tpm_limit": 1000},
        {"token": hashlib.sha256(b"sk-2").hexdigest(), "key_name": "sk-...2", "team_id": "litellm-dashboard", "models": []},
    ]  # fmt: skip
    teams = [{"team_id": "t1", "team_alias": "films", "models": ["gpt-4o"], "max_budget": 100.0}]
    settings = {"fallbacks": [{"gpt-4o": ["spare"]}], "model_group_alias": {"chat": "gpt-4o"}}
    rows = {"LiteLLM_ProxyModelTable": models, "LiteLLM_VerificationToken": keys, "LiteLLM_TeamTable": teams}
    return PeerStore(
        tables, {**rows, "LiteLLM_Config": [{"param_name": "router_settings", "param_value": settings}]}
    )


def as_export(store: PeerStore) -> str:
    """The rows as their API answers them: a page of channels, without keys."""
    rows = [{name: value for name, value in row.items() if name != "key"} for row in store.rows["channels"]]
    return json.dumps({"success": True, "data": {"items": rows, "total": len(rows)}})
