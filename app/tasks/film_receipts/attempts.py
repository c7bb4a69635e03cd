"""The attempts at a task: which account had it, from when to when, and how that ended. Read from its timeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from app.tasks.attempts import VERDICTS
from app.tasks.remaking import REMAKE

Verdict = Literal["made", "not_accepted", "forgotten", "failed", "moderated", "retired", "cancelled"]
ENDS: Mapping[str, Verdict] = {
    "completed": "made",
    "failed": "failed",
    "cancelled": "cancelled",
    "queued": "not_accepted",
    "attempt.ended": "failed",
}
"""The verdict that an event of the timeline is."""
LABELLED = "labelled"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Times in UTC seconds. ``sent``: whether the request left for the vendor; ``error``: a code, of one that failed;
    ``segment``: of a film that was joined of such, from 1."""

    number: int
    account_id: str
    model: str | None
    began: float
    sent: bool = False
    ended: float | None = None
    verdict: Verdict | None = None
    error: str | None = None
    segment: int | None = None


def attempts_of(timeline: Sequence[Mapping[str, Any]]) -> list[Attempt]:
    """One for each time that an account got the task."""
    found: list[Attempt] = []
    for row in timeline:
        event, detail = row["event"], row["detail"]
        if event == "dispatched":
            found.append(
                Attempt(len(found) + 1, str(detail.get("account")), detail.get("model"), float(row["at"]))
            )
        elif found:
            found[-1] = _after(found[-1], event, row)
    return found


def attempts_at_segments(timelines: Sequence[tuple[int, Sequence[Mapping[str, Any]]]]) -> list[Attempt]:
    """Those of a joined film, numbered through. ``timelines``: of each task that a segment had, with its place from 0."""
    found = [replace(each, segment=place + 1) for place, rows in timelines for each in attempts_of(rows)]
    return [replace(each, number=number) for number, each in enumerate(found, start=1)]


def labels_of(timeline: Sequence[Mapping[str, Any]]) -> list[str]:
    """The layers of labels that the film got when it was copied for the last time."""
    found = [row["detail"].get("layers") for row in timeline if row["event"] == LABELLED]
    layers = found[-1] if found else []
    return [str(layer) for layer in layers] if isinstance(layers, list) else []


def _after(attempt: Attempt, event: str, row: Mapping[str, Any]) -> Attempt:
    detail = row["detail"]
    if event == "submitting":
        return replace(attempt, sent=True)
    if event == "running" and attempt.error:
        return replace(attempt, verdict=None, ended=None, error=None)  # its receipt came late
    verdict = ENDS.get(event)
    if verdict is None:
        return attempt
    if REMAKE in detail:
        verdict = "forgotten"
    error = detail.get("code") if verdict == "failed" else None
    return replace(attempt, verdict=VERDICTS.get(error or "", verdict), ended=float(row["at"]), error=error)
