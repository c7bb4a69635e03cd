"""Prints, as JSON, where a field named ``region`` of accounts and of keys turns up; runs in a copy of the program."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from app.accounts.bulk_import import apply_import, plan_import
from app.accounts.definition import AccountChange, AccountDraft
from app.accounts.formats import as_csv, as_json, export_documents, read_rows
from app.admin.account_object import AccountObject, settable_fields
from app.admin.keys import KeyBody, KeyObject
from app.admin.keys import settable_fields as settable_key_fields
from app.assembly import assemble_components
from app.backup.accounts import AccountSection
from app.backup.keys import KeySection
from app.cli.accounts import _account_details
from app.components import Components
from app.configuration.toml_file import parse_text
from app.db import migrate
from app.db.tables import accounts, keys
from app.settings import Settings

ACCOUNT = {
    "provider": "openai_compatible",
    "name": "farm",
    "base_url": "http://127.0.0.1:9/v1",
    "secret": "s",
    "region": "eu",
}
ACCOUNT_TABLE = """
[[accounts]]
provider = "openai_compatible"
name = "farm"
base_url = "http://127.0.0.1:9/v1"
region = "us"
"""
KEY_TABLE = """
[[keys]]
name = "shop"
secret_env = "SHOP_KEY"
region = "us"
"""


async def account_places(components: Components) -> dict[str, Any]:
    """Added with ``eu``, changed to ``us``: every place must show ``us``."""
    await components.accounts.add(AccountDraft.model_validate(ACCOUNT))
    await components.accounts.update("farm", AccountChange.model_validate({"region": "us"}))
    status = await components.accounts.find("farm")
    async with components.database.read() as connection:
        row = (await connection.execute(sa.select(accounts.c.region))).scalar_one()
    documents = export_documents([status], secrets=True)
    [csv_row], [json_row] = read_rows(as_csv(documents)), read_rows(as_json(documents))
    copied = read_rows(as_csv([documents[0] | {"name": "copy", "secret": "other"}]))
    await apply_import(components.pool, await plan_import(components.pool, copied))
    [entry, _] = await AccountSection().export_entries(components.backup_sources, None)
    return {
        "draft": AccountDraft.of_status(status).region,
        "row": row,
        "list as CSV": csv_row.draft.region if csv_row.draft else None,
        "list as JSON": json_row.draft.region if json_row.draft else None,
        "import": AccountDraft.of_status(await components.accounts.find("copy")).region,
        "backup": entry["region"],
        "configuration file": parse_text(ACCOUNT_TABLE, {}).accounts[0].region,
        "command line": _account_details(status)["region"],
        "object of the API": settable_fields(status)["region"]
        if "region" in AccountObject.model_fields
        else "",
    }


async def key_places(components: Components) -> dict[str, Any]:
    """Created with ``eu``, changed to ``us``: every place must show ``us``."""
    body = KeyBody.model_validate({"name": "shop", "region": "eu"})
    key, _ = await components.keys.create_key(body.as_terms())
    await components.keys.update(key.id, KeyBody.model_validate({"region": "us"}).as_terms())
    key = await components.keys.get(key.id)
    async with components.database.read() as connection:
        row = (await connection.execute(sa.select(keys.c.region))).scalar_one()
    [entry] = await KeySection().export_entries(components.backup_sources, None)
    return {
        "key": key.region,
        "row": row,
        "backup": entry["terms"]["region"],
        "configuration file": parse_text(KEY_TABLE, {"SHOP_KEY": "k" * 20}).keys[0].terms["region"],
        "object of the API": settable_key_fields(key)["region"] if "region" in KeyObject.model_fields else "",
    }


async def work(kind: str, settings: Settings) -> dict[str, Any]:
    components = await assemble_components(settings)
    try:
        return await (account_places if kind == "account" else key_places)(components)
    finally:
        await components.close()


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    url = f"sqlite+aiosqlite:///{folder / 'test.db'}"
    migrate.upgrade(url)
    settings = Settings(data_dir=folder, database_url=url, studio="off", outbound_allow="127.0.0.1/32")
    print(json.dumps(asyncio.run(work(sys.argv[1], settings))))
