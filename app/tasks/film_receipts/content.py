"""What a receipt says, as plain texts and whole numbers: see docs/receipt.md for each field.

It quotes neither the prompt nor what a vendor said, which may quote the prompt.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

from app.db.tables import format_money
from app.generation import MediaInput
from app.tasks.film_receipts.attempts import Attempt
from app.tasks.states import JOINED, TERMINAL
from app.tasks.task import HEX_ID, StoredFile, Task

KIND, VERSION = "filmgate.film_receipt", 1
Reader = Literal["client", "operator"]
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class GatewayFacts:
    """Who signs. ``address`` is the operator's public one, where there is one."""

    name: str
    address: str | None
    version: str


@dataclass(frozen=True)
class MadeBy:
    """An account as a receipt names it; ``provider`` is None for one that is gone."""

    provider: str | None
    name: str | None


@dataclass(frozen=True)
class ReceiptFacts:
    """What a receipt is made of, beside the task. ``salt``: of this receipt; ``film_hashes``: SHA-256 by file name;
    ``labels``: what this gateway has added to the film to say how it was made; ``cost``: what the vendor took, where that is known."""

    gateway: GatewayFacts
    salt: bytes
    attempts: Sequence[Attempt]
    accounts: Mapping[str, MadeBy]
    film_hashes: Mapping[str, str]
    labels: Sequence[str]
    cost: Decimal | None


def receipt_content(task: Task, facts: ReceiptFacts, reader: Reader) -> dict[str, Any]:
    """``client`` sees what it paid; ``operator`` also what the film cost, and whose account made it."""
    assert task.state in TERMINAL
    keeps = keeps_prompt(task)
    return {
        "kind": KIND,
        "version": VERSION,
        "reader": reader,
        "gateway": {
            "name": facts.gateway.name,
            "address": facts.gateway.address,
            "software": f"Filmgate {facts.gateway.version}",
        },
        "task": _task_part(task),
        "times": {
            "created": time_text(task.created_at),
            "started": time_text(task.started_at),
            "made": time_text(task.made_at),
            "finished": time_text(task.finished_at),
        },
        "asked": _asked_part(task),
        "made": _made_part(task, facts, reader),
        "prompt": _prompt_part(task, facts.salt) if keeps else None,
        "inputs": [_input_part(item) for item in task.request.media] if keeps else None,
        "files": [_file_part(file, facts.film_hashes) for file in (task.result.files if task.result else ())],
        "labels": list(facts.labels),
        "attempts": [_attempt_part(each, facts, reader) for each in facts.attempts],
        "money": _money_part(task, facts, reader),
    }


def keeps_prompt(task: Task) -> bool:
    """False for a key that keeps no prompts: a hash of a short prompt gives it away to whoever may guess."""
    return task.prompt_removed is None


def time_text(moment: float | None) -> str | None:
    """RFC 3339 in UTC, to the millisecond."""
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number_text(number: float | None) -> str | None:
    """Decimal digits, to a thousandth, without trailing zeros."""
    return None if number is None else f"{number:.3f}".rstrip("0").rstrip(".")


def salted_hash(salt: bytes, text: str) -> str:
    return hashlib.sha256(salt + text.encode()).hexdigest()


def _task_part(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "kind": task.kind,
        "action": task.request.action,
        "dialect": task.dialect,
        "state": task.state,
        "error": task.error_code,
    }


def _asked_part(task: Task) -> dict[str, Any]:
    request = task.request
    return {
        "model": task.model,
        "seconds": number_text(request.seconds),
        "size": request.size,
        "shots": len(request.shots) or None,
        "remix_of": request.remix_of,
    }


def _made_part(task: Task, facts: ReceiptFacts, reader: Reader) -> dict[str, Any] | None:
    if task.account_id is None:
        return None
    if task.account_id == JOINED:
        return {"segments": max((each.segment or 0 for each in facts.attempts), default=0)}
    maker = facts.accounts.get(task.account_id, MadeBy(None, None))
    operation, changes = task.operation, task.told_changes
    part = {
        "provider": maker.provider,
        "model": task.upstream_model,
        "job_sha256": salted_hash(facts.salt, operation.id) if operation else None,
        "fitted": _plain_changes(changes) if changes else None,
    }
    return part | ({"account": maker.name or task.account_id} if reader == "operator" else {})


def _plain_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: plain(each) for name, each in value.items()}
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return number_text(float(value)) if is_number else value

    return {name: plain(value) for name, value in changes.items()}


def _prompt_part(task: Task, salt: bytes) -> dict[str, str]:
    return {"salt": salt.hex(), "sha256": salted_hash(salt, task.request.prompt)}


def _input_part(item: MediaInput) -> dict[str, Any]:
    """A film of this gateway that went in is named by its task, whose own receipt has its hash."""
    return {
        "role": item.role,
        "content_type": item.content_type,
        "sha256": item.sha256 if SHA256.fullmatch(item.sha256) else None,
        "task": item.sha256 if HEX_ID.fullmatch(item.sha256) else None,
    }


def _file_part(file: StoredFile, hashes: Mapping[str, str]) -> dict[str, Any]:
    return {
        "name": file.name,
        "content_type": file.content_type,
        "bytes": file.bytes,
        "sha256": hashes.get(file.name),
        "width": file.width,
        "height": file.height,
        "seconds": number_text(file.seconds),
        "frames_per_second": number_text(file.fps),
        "codec": file.codec,
        "sound": file.sound,
    }


def _attempt_part(attempt: Attempt, facts: ReceiptFacts, reader: Reader) -> dict[str, Any]:
    maker = facts.accounts.get(attempt.account_id, MadeBy(None, None))
    part = {
        "number": attempt.number,
        "segment": attempt.segment,
        "provider": maker.provider,
        "model": attempt.model,
        "began": time_text(attempt.began),
        "ended": time_text(attempt.ended),
        "sent": attempt.sent,
        "verdict": attempt.verdict,
        "error": attempt.error,
    }
    return part | ({"account": maker.name or attempt.account_id} if reader == "operator" else {})


def _money_part(task: Task, facts: ReceiptFacts, reader: Reader) -> dict[str, Any]:
    part = {
        "currency": "USD",
        "state": task.money,
        "sale": None if task.cost is None else format_money(task.cost),
    }
    cost = None if facts.cost is None else format_money(facts.cost)
    return part | ({"cost": cost} if reader == "operator" else {})
