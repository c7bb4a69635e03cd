"""`filmgate doctor`: whether the labels that films must have can be added."""

from datetime import UTC, datetime

from app.cli.doctor_catalog import CheckResult
from app.db.session import Database
from app.errors import FilmgateError, SettingsInvalid
from app.media.labels.options import LabelOptions
from app.media.labels.signing import SigningIdentity, load_identity
from app.options import read_without_secrets
from app.settings import Settings

NEARLY_OVER_DAYS = 30
ADVICE = (
    "See docs/labels.md; `filmgate labels development-certificate` makes a pair for trials. Until then films "
    "that must be signed are kept and not served."
)


async def check_labels(settings: Settings, database: Database | None) -> CheckResult:
    """``database``: None when it can't be used."""
    try:
        identity = load_identity(settings.c2pa_certificate, settings.c2pa_key)
    except SettingsInvalid as error:
        return CheckResult("fail", "labels", error.message, ADVICE)
    rules = LabelOptions()
    if database is not None:
        try:
            async with database.read() as connection:
                rules = await read_without_secrets(connection, LabelOptions)
        except FilmgateError as error:
            return CheckResult(
                "fail", "labels", error.message, "Correct them in the panel: Settings, Labels."
            )
    layers = rules.layers_for(None)
    if "c2pa" in layers and identity is None:
        return CheckResult("fail", "labels", "films must be signed, and no certificate is set", ADVICE)
    shown = f"every film gets: {', '.join(layers)}" if layers else "off"
    return _check_identity(identity, shown) if identity else CheckResult("ok", "labels", shown)


def _check_identity(identity: SigningIdentity, shown: str) -> CheckResult:
    summary = f"{shown}; signed by {identity.subject} until {identity.expires_at:%Y-%m-%d}"
    if identity.is_development:
        return CheckResult("warn", "labels", summary, "No reader trusts this certificate: it is for trials.")
    if (identity.expires_at - datetime.now(UTC)).days < NEARLY_OVER_DAYS:
        return CheckResult("warn", "labels", summary, "Renew the certificate before that day.")
    return CheckResult("ok", "labels", summary)
