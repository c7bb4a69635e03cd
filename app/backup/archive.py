"""Makes backups (one JSON document) and plans and applies their restore."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from app import __version__
from app.backup.accounts import AccountSection
from app.backup.endpoints import EndpointSection
from app.backup.keys import KeySection
from app.backup.projects import ProjectSection
from app.backup.routes import PriceSection, RouteSection
from app.backup.sealing import SecretBox, box_of, new_box
from app.backup.sections import BackupSection, BackupSources, RestoreChange, RestoreContext
from app.backup.settings import SettingsSection
from app.errors import InvalidRequest, SettingsInvalid
from app.vault import Vault

FORMAT = "filmgate-backup"
VERSION = 1
NO_SECRETS = {"sealed_with": "none"}
SECTIONS: tuple[BackupSection[Any], ...] = (
    AccountSection(),
    RouteSection(),
    PriceSection(),
    ProjectSection(),
    KeySection(),
    EndpointSection(),
    SettingsSection(),
)
"""In the order in which they are restored."""
HEADING = ("format", "version", "made_at", "made_by", "root_key", "secrets")
MAX_ENTRIES = 100_000


async def make_backup(
    sources: BackupSources, *, secrets: bool = False, passphrase: str = ""
) -> dict[str, Any]:
    """A backup. With ``secrets``, they are sealed with the passphrase if there is one, else with the root key.

    Raises ``InvalidRequest`` for a passphrase that is too short.
    """
    box = await new_box(sources.vault, passphrase) if secrets else None
    heading = {
        "format": FORMAT,
        "version": VERSION,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": __version__,
        "root_key": _key_fingerprints(sources.vault)[0],
        "secrets": box.secrets_heading() if box else NO_SECRETS,
    }
    return heading | {section.name: await section.export_entries(sources, box) for section in SECTIONS}


async def plan_restore(sources: BackupSources, document: Any, *, passphrase: str = "") -> list[RestoreChange]:
    """The changes that a restore would make; writes nothing. Entries that are not in the backup stay as they are.

    Raises ``InvalidRequest`` for a document that is no backup or whose secrets can't be unsealed.
    """
    backup = check_backup(document)
    box: SecretBox | None = None
    if backup["secrets"] != NO_SECRETS:
        box = await box_of(backup["secrets"], sources.vault, passphrase)
    made_under = str(backup["root_key"]).encode()
    own = any(hmac.compare_digest(made_under, known.encode()) for known in _key_fingerprints(sources.vault))
    context = RestoreContext(sources, box, own_root_key=own)
    changes: list[RestoreChange] = []
    try:
        for section in SECTIONS:
            changes += await section.plan_restore(context, backup.get(section.name, []))
    except SettingsInvalid as error:
        raise InvalidRequest(f"The backup is damaged or was edited: {error.message}") from error
    return changes


async def apply_changes(sources: BackupSources, changes: Sequence[RestoreChange]) -> list[RestoreChange]:
    """Apply the changes one by one; a failed one is reported and does not stop the others."""
    done = [await change.apply() for change in changes]
    await sources.routes.refresh()
    await sources.pool.refresh()
    return done


def check_backup(document: Any) -> dict[str, Any]:
    """The backup document. Raises ``InvalidRequest`` for anything else and for unknown versions.

    JSON stores such as JSONBin return it inside ``{"record": …}``.
    """
    if isinstance(document, dict) and "format" not in document and isinstance(document.get("record"), dict):
        document = document["record"]
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidRequest(f'This is no backup of Filmgate: its "format" must be {FORMAT}.', param="format")
    if document.get("version") != VERSION:
        raise InvalidRequest(
            f"This backup has version {document.get('version')!a:.20}, made by Filmgate "
            f"{document.get('made_by')!a:.40}; this one ({__version__}) reads version {VERSION}. "
            "Restore it with the Filmgate that made it, or a newer one.",
            param="version",
        )
    for name in ("root_key", "secrets"):
        if name not in document:
            raise InvalidRequest(f"{name} is missing: the backup is damaged", param=name)
    if not isinstance(document["secrets"], dict):
        raise InvalidRequest("secrets must be an object", param="secrets")
    _check_sections(document)
    return document


def _check_sections(document: dict[str, Any]) -> None:
    names = {section.name for section in SECTIONS}
    for name, entries in document.items():
        if name in HEADING:
            continue
        if name not in names:
            text = ascii(name)[1:80].rstrip("'")
            raise InvalidRequest(f"{text}: a backup has no such section", param=text)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InvalidRequest(f"{name} must be a list of objects", param=name)
        if len(entries) > MAX_ENTRIES:
            raise InvalidRequest(f"{name} has more than {MAX_ENTRIES} entries", param=name)


def _key_fingerprints(vault: Vault) -> list[str]:
    """Short digests that tell root keys apart without revealing them; the current key first."""
    return [known[:16] for known in vault.keyed_hashes("backup-fingerprint", FORMAT)]
