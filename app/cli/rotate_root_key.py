"""`filmgate rotate-root-key`: a new root key, and the store brought under it."""

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
from app.keys.rehashing import keys_of_old_root
from app.ops import resealing
from app.settings import Settings, load_settings

NO_OLD_KEY = (
    "FILMGATE_SECRET_KEY is the root key here, so this command can't make a new one. Put the present one in "
    "FILMGATE_OLD_SECRET_KEYS and a new one (openssl rand -hex 32) in FILMGATE_SECRET_KEY, then run it again."
)
NAMED = 10
"""So many keys are named; more are counted."""


@dataclass(frozen=True, slots=True)
class RotationResult:
    replaced: bool
    resealed: Mapping[str, int]
    unmoved_keys: list[str]
    """Client keys that only the old root key knows."""
    hook_owners: int
    """Owners whose tasks told a hook within what the delivery log keeps."""


def rotate_root_key() -> None:
    """Change the root key, and seal everything in the store with the new one.

    May be run again at any time: it goes on where it was, and says what still needs the old key.
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
    # What can't be opened now must be put right before there are two keys that it might belong to.
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
        waiting = await keys_of_old_root(connection, vault)
        hooked = int((await connection.execute(hooks)).scalar_one())
    return RotationResult(replaced, resealed, waiting, hooked)


def _result_lines(done: RotationResult, settings: Settings) -> list[str]:
    old = settings.data_dir / root_file.OLD_FILE_NAME
    if settings.secret_key:
        lines = ["The root key is FILMGATE_SECRET_KEY."]
        where = f"FILMGATE_OLD_SECRET_KEYS (and {old}, if it is there)"
    elif done.replaced:
        lines = [f"A new root key is in {settings.data_dir / root_file.FILE_NAME}; the old one is in {old}."]
        where = str(old)
    else:
        lines = [f"The root key was changed before, so it stays; another one is made when {old} is gone."]
        where = str(old)
    counts = ", ".join(f"{count} of {table}" for table, count in done.resealed.items())
    lines.append(f"Rows sealed anew: {counts}.")
    lines.append(
        "Restart every serve and worker that has not been since the change: until then it works with the old key."
    )
    return lines + _old_key_lines(done, settings, where=where)


def _old_key_lines(done: RotationResult, settings: Settings, *, where: str) -> list[str]:
    """What still depends on the old key, and when it may go."""
    lines = []
    if done.unmoved_keys:
        names = ", ".join(done.unmoved_keys[:NAMED]) + (", …" if len(done.unmoved_keys) > NAMED else "")
        lines.append(
            f"Client keys that still need the old root key: {len(done.unmoved_keys)} ({names}). Each moves by itself "
            "when it is next used; `filmgate keys rotate ID` moves one that nobody uses."
        )
    if done.hook_owners:
        lines.append(
            f"Owners whose tasks call a notify_hook: {done.hook_owners}. Their calls are signed with the old and the "
            "new secret; tell them to take the new one from GET /v1/webhook_endpoints/hook_secret."
        )
    first = (
        "Run this again to see when no client key needs it. Then"
        if done.unmoved_keys
        else "No client key needs it:"
    )
    lines.append(
        f"{first} {where} may go, {settings.link_ttl_seconds / 3600:g} hours after the restart, when no link of before "
        "is good any more. Keep a copy with the backups that were sealed with it."
    )
    return lines
