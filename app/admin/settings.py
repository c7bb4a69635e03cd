"""`/admin/api/settings`, `/backup` and `/restore`: the environment, health, documents of options, and backups."""

from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import Field

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import PanelAnswer, PanelBody
from app.admin.lists import download_headers
from app.admin.masking import mask_secrets
from app.admin.panel import PanelServices
from app.admin.rights import Right
from app.admin.sign_in import confirm_password
from app.backup import archive, schedule
from app.backup.places import as_text
from app.backup.schedule_options import BackupOptions
from app.db.operator_tables import options
from app.errors import FilmgateError, InvalidRequest, NotFound
from app.media.delivery.chain import StageTest
from app.media.labels.options import LabelOptions
from app.options import MASK, OptionsDocument, masked_values

router = APIRouter(route_class=AdminRoute)
BACKUP_FILE_NAME = "filmgate-backup.json"


class DocumentBody(PanelBody):
    value: dict[str, Any]


class BackupBody(PanelBody):
    secrets: bool = False
    password: str | None = Field(default=None, repr=False)
    passphrase: str = Field(default="", max_length=1000, repr=False)


class RestoreBody(PanelBody):
    backup: dict[str, Any] = Field(repr=False)
    passphrase: str = Field(default="", max_length=1000, repr=False)


class EnvironmentVariable(PanelAnswer):
    """A setting of the process; the value of a secret is masked."""

    name: str
    value: str
    set: bool
    secret: bool


class ProcessHealth(PanelAnswer):
    """``checks`` holds `ok` or an error code for each part of the process."""

    version: str
    database: str
    storage: str
    worker: bool
    studio: str
    started_at: float
    checks: dict[str, str]


class SettingsAnswer(PanelAnswer):
    """``documents`` are the names for `/settings/{name}`; ``mask`` stands in them for a stored secret."""

    environment: list[EnvironmentVariable]
    health: ProcessHealth
    documents: list[str]
    mask: str


class DocumentObject(PanelAnswer):
    """A document of options. ``default`` is true until it is first written."""

    name: str
    value: dict[str, Any]
    updated_at: float | None
    default: bool
    json_schema: dict[str, Any] = Field(serialization_alias="schema")


class StepResult(PanelAnswer):
    step: str
    ok: bool
    message: str
    milliseconds: float | None = None


class StepReport(PanelAnswer):
    """``ok`` when every step was."""

    ok: bool
    steps: list[StepResult]


class RestoreRow(PanelAnswer):
    """What a restore does with one entry of the backup."""

    thing: str
    name: str
    result: str
    message: str


class RestoreAnswer(PanelAnswer):
    """``same`` and ``error`` count rows."""

    dry_run: bool
    rows: list[RestoreRow]
    same: int
    error: int


@router.post("/backup", summary="Download a backup", response_class=Response)
async def make_backup(request: AdminRequest, *, body: BackupBody | None = None) -> Response:
    """Accounts, routes, prices, keys (as hashes), webhook endpoints and settings.

    With `secrets` an admin must send their password again; the admin token need not. Secrets are sealed with
    `passphrase`, or with the root key without one.
    """
    body = body or BackupBody()
    if body.secrets and request.actor.session is not None:
        await confirm_password(request, body.password or "")
    document = await archive.make_backup(
        request.panel.backup_sources, secrets=body.secrets, passphrase=body.passphrase
    )
    await request.record_change("backup.made", "backup", after={"with_secrets": body.secrets})
    headers = download_headers(BACKUP_FILE_NAME)
    return Response(as_text(document), media_type="application/json", headers=headers)


@router.post("/restore", summary="Restore a backup")
async def restore_backup(
    body: RestoreBody, request: AdminRequest, *, dry_run: bool = Query(True)
) -> RestoreAnswer:
    """Lists the changes; `dry_run=false` makes them. What the backup does not contain stays as it is."""
    changes = await archive.plan_restore(
        request.panel.backup_sources, body.backup, passphrase=body.passphrase
    )
    if not dry_run:
        changes = await archive.apply_changes(request.panel.backup_sources, changes)
        done = [f"{c.thing}/{c.name} {c.result}" for c in changes if c.result in ("added", "updated")]
        await request.record_change("backup.restored", "backup", after={"changes": done})
    rows = [RestoreRow(**mask_secrets(change.as_json())) for change in changes]
    same, error = (sum(row.result == word for row in rows) for word in ("same", "error"))
    return RestoreAnswer(dry_run=dry_run, rows=rows, same=same, error=error)


@router.post("/settings/backup/test", summary="Upload a backup now", response_model_exclude_unset=True)
async def test_backup(request: AdminRequest) -> StepReport:
    """To the place that the document `backup` names, as it is saved now."""
    error = ""
    try:
        wanted = await request.panel.options.read(BackupOptions)
        await schedule.send_backup(request.panel.backup_sources, request.panel.guard, wanted)
    except FilmgateError as failure:
        error = failure.message
    await request.record_change("backup.sent", "backup", after={"error": error})
    return StepReport(ok=not error, steps=[StepResult(step="backup", ok=not error, message=error)])


@router.get("/settings", summary="Show settings and health")
async def get_settings(request: AdminRequest) -> SettingsAnswer:
    """Settings from the environment are read-only; for a secret only whether it is set."""
    facts = request.panel.facts
    checks = await _check_health(request.panel)
    return SettingsAnswer(
        environment=[EnvironmentVariable(**entry) for entry in facts.environment],
        health=ProcessHealth(**facts.health, checks=checks),
        documents=sorted(request.panel.documents),
        mask=MASK,
    )


@router.get("/settings/{name}", summary="Read a document of options")
async def get_document(name: str, request: AdminRequest) -> DocumentObject:
    return await _document_object(request.panel, _document_class(request.panel, name))


@router.put("/settings/{name}", summary="Write a document of options")
async def put_document(name: str, body: DocumentBody, request: AdminRequest) -> DocumentObject:
    """Replaces the whole document. A secret that is sent as its mask or left out keeps its value. Other processes
    notice within a few seconds."""
    kind = _document_class(request.panel, name)
    if kind is BackupOptions:
        request.actor.require(Right.SECURITY)
    if kind is LabelOptions:
        _require_certificate(request.panel, body.value)
    before = await request.panel.options.read_masked(kind)
    async with request.panel.database.write() as connection:
        written = await request.panel.options.write_within(connection, kind, body.value)
        await request.panel.audit.record(
            connection,
            request.actor.name,
            "settings.written",
            target=f"settings/{name}",
            before=before,
            after=masked_values(written),
        )
    request.panel.options.forget()
    return await _document_object(request.panel, kind)


@router.post("/settings/delivery/test", summary="Test every stage of delivery")
async def test_delivery(request: AdminRequest) -> StepReport:
    """With the saved options; the request to a resolver is marked as a test."""
    results = await request.panel.delivery_chain.test_stages()
    return StepReport(ok=all(each.ok for each in results), steps=[_step_result(each) for each in results])


@router.post("/settings/notices/test", summary="Send a sample to every receiver of notices")
async def test_notices(
    request: AdminRequest, *, receiver: Annotated[str | None, Query(max_length=32)] = None
) -> StepReport:
    """With the saved options, at once and without the outbox; to one `receiver` by its name, or to all."""
    sent = await request.panel.notices.send_samples(receiver)
    steps = [
        StepResult(
            step=name,
            ok=outcome.is_delivered,
            message=outcome.error or f"It answered with HTTP {outcome.status}.",
            milliseconds=round(outcome.milliseconds, 1),
        )
        for name, outcome in sent
    ]
    return StepReport(ok=all(step.ok for step in steps), steps=steps)


async def _check_health(panel: PanelServices) -> dict[str, str]:
    results: dict[str, str] = {}
    for name, check in panel.facts.checks.items():
        try:
            await check()
        except FilmgateError as error:
            results[name] = error.code
        else:
            results[name] = "ok"
    return results


def _step_result(result: StageTest) -> StepResult:
    return StepResult(
        step=f"{result.stage} {result.name}",
        ok=result.ok,
        message=result.error,
        milliseconds=result.milliseconds,
    )


def _require_certificate(panel: PanelServices, value: dict[str, Any]) -> None:
    """Raises ``InvalidRequest`` for films that would wait for a signature that nobody can make."""
    if value.get("enabled") and value.get("c2pa") and not panel.facts.can_sign:
        text = "needs FILMGATE_C2PA_CERTIFICATE and FILMGATE_C2PA_KEY, which are read at the start; see docs/labels.md"
        raise InvalidRequest(f"c2pa {text}", param="c2pa")


def _document_class(panel: PanelServices, name: str) -> type[OptionsDocument]:
    """Raises ``NotFound``."""
    kind = panel.documents.get(name)
    if kind is None:
        raise NotFound(f"There is no document of options named {name[:100]}.")
    return kind


async def _document_object(panel: PanelServices, kind: type[OptionsDocument]) -> DocumentObject:
    query = sa.select(options.c.updated_at).where(options.c.name == kind.document)
    async with panel.database.read() as connection:
        updated_at = (await connection.execute(query)).scalar()
    return DocumentObject(
        name=kind.document,
        value=await panel.options.read_masked(kind),
        updated_at=updated_at,
        default=updated_at is None,
        json_schema=kind.model_json_schema(),
    )
