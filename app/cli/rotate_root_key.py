"""`filmgate rotate-root-key`: creates a new root key and seals the store with it."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from rich.markup import escape

from app import root_file
from app.assembly import open_vault
from app.cli.output import out
from app.cli.store_access import with_store
from app.components import Components
from app.db.tables import webhook_deliveries
from app.errors import SettingsInvalid
from app.keys.records import keys_of_old_root
from app.ops import resealing
from app.settings import Settings, load_settings

NO_OLD_KEY = (
    "The root key is FILMGATE_SECRET_KEY, so this command can't create a new one. Put the present one in "
    "FILMGATE_OLD_SECRET_KEYS and a new one (openssl rand -hex 32) in FILMGATE_SECRET_KEY, then run it again."
)
MOST_NAMED = 10
"""At most so many keys are listed by name."""


@dataclass(frozen=True, slots=True)
class RotationResult:
    """``resealed``: sealed rows by table."""

    replaced: bool
    resealed: Mapping[str, int]
    unmoved_keys: list[str]
    """Client keys that are still hashed with the old root key."""
    hook_owners: int
    """Number of owners with a ``notify_hook`` in the delivery log."""


def rotate_root_key() -> None:
    """Create a new root key and seal the store with it.

    Can be repeated at any time: it continues an interrupted run and reports what still needs the old key.
    """
    settings = load_settings()
    for line in _result_lines(with_store(_rotate_locked), settings):
        out.print(escape(line), soft_wrap=True)


async def _rotate_locked(components: Components) -> RotationResult:
    with root_file.exclusive_access(components.settings.data_dir):
        return await _rotate_and_reseal(components)


async def _rotate_and_reseal(components: Components) -> RotationResult:
    if components.settings.secret_key and not components.vault.has_old_roots:
        raise SettingsInvalid(NO_OLD_KEY)
    # Values that can't be opened must be corrected first: with two keys nobody knows which one they need.
    await resealing.check_sealed_values(components.database, components.vault)
    replaced = components.settings.secret_key is None and root_file.replace_root_key(
        components.settings.data_dir
    )
    vault = open_vault(components.settings)
    resealed = await resealing.reseal_store(components.database, vault)
    hooks = sa.select(sa.func.count(webhook_deliveries.c.owner.distinct())).where(
        webhook_deliveries.c.endpoint_id.is_(None), webhook_deliveries.c.task_id.is_not(None)
    )
    async with components.database.read() as connection:
        unmoved_keys = await keys_of_old_root(connection, vault)
        hook_owners = int((await connection.execute(hooks)).scalar_one())
    return RotationResult(replaced, resealed, unmoved_keys, hook_owners)


def _result_lines(result: RotationResult, settings: Settings) -> list[str]:
    old = settings.data_dir / root_file.OLD_FILE_NAME
    if settings.secret_key:
        lines = ["The root key is FILMGATE_SECRET_KEY."]
        where = f"FILMGATE_OLD_SECRET_KEYS (and {old}, if it exists)"
    elif result.replaced:
        lines = [f"A new root key is in {settings.data_dir / root_file.FILE_NAME}; the old one is in {old}."]
        where = str(old)
    else:
        lines = [
            f"The root key was changed before, so it stays. A new one can be created when {old} is deleted."
        ]
        where = str(old)
    counts = ", ".join(f"{count} of {table}" for table, count in result.resealed.items())
    lines.append(f"Rows sealed with the new key: {counts}.")
    lines.append(
        "Restart every serve and worker process that is older than the change: it still uses the old key."
    )
    return lines + _old_key_lines(result, settings, where=where)


def _old_key_lines(result: RotationResult, settings: Settings, *, where: str) -> list[str]:
    """What still depends on the old key, and when it can be deleted."""
    lines = []
    if result.unmoved_keys:
        names = ", ".join(result.unmoved_keys[:MOST_NAMED]) + (
            ", …" if len(result.unmoved_keys) > MOST_NAMED else ""
        )
        lines.append(
            f"Client keys that still need the old root key: {len(result.unmoved_keys)} ({names}). Each moves to the new one "
            "when it is next used; `filmgate keys rotate ID` moves an unused one."
        )
    if result.hook_owners:
        lines.append(
            f"Owners whose tasks call a notify_hook: {result.hook_owners}. Their calls are signed with the old and the "
            "new secret; tell them to take the new one from GET /v1/webhook_endpoints/hook_secret."
        )
    first = (
        "Run this again to see when no client key needs it any more. Then"
        if result.unmoved_keys
        else "No client key needs it any more:"
    )
    lines.append(
        f"{first} {where} can be deleted {settings.link_ttl_seconds / 3600:g} hours after the restart, when all earlier "
        "links have expired. Keep a copy with the backups that were sealed with it."
    )
    return lines
