"""What a test client asked for and what it got: the figures of a fault test."""

import time
import uuid
from dataclasses import dataclass, field

import httpx2

from tests.serving import until
from tests.upstream import Counters

UNKNOWN = "submission_unknown"
LIMIT_SECONDS = 150.0


@dataclass(frozen=True)
class Tally:
    """All but the first three, ``submission_unknown`` and the seconds must be 0."""

    runs: int
    tasks: int
    in_flight: int
    lost: int
    sent_twice: int
    stuck: int
    wrong_state: int
    slots_left: int
    submission_unknown: int
    recovery_seconds: float
    restart_seconds: float
    billed_wrong: int = 0

    @property
    def good(self) -> bool:
        faults = self.lost, self.sent_twice, self.stuck, self.wrong_state, self.slots_left, self.billed_wrong
        return not any(faults)


@dataclass
class Asked:
    prompt: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    task_id: str = ""
    status: str = "queued"
    code: str = ""

    @property
    def ended(self) -> bool:
        return self.status in {"completed", "failed"}


class Ledger:
    """Asks as an SDK does: the same Idempotency-Key until an answer came."""

    def __init__(self, *, name: str = "film") -> None:
        self.asked: list[Asked] = []
        self._name = name

    @property
    def open(self) -> list[Asked]:
        return [one for one in self.asked if not one.ended]

    def keep_busy(self, client: httpx2.Client, count: int) -> None:
        """Keep so many tasks in flight until the server is gone."""
        try:
            while True:
                self.look(client)
                self.ask_more(client, count - len(self.open))
                time.sleep(0.05)
        except httpx2.TransportError:
            return

    def ask_more(self, client: httpx2.Client, count: int) -> None:
        for _ in range(count):
            self.asked.append(Asked(f"{self._name} {len(self.asked)}"))
            self.ask(client, self.asked[-1])

    def ask(self, client: httpx2.Client, one: Asked) -> None:
        answer = self._create(client, one)
        assert answer.status_code == 200, answer.text
        one.task_id = answer.json()["id"]

    def ask_until_taken(self, client: httpx2.Client) -> None:
        """Repeat one create while it is refused for a time."""
        self.asked.append(one := Asked(f"{self._name} {len(self.asked)}"))
        until(lambda: self._create(client, one).status_code == 200)
        self.ask(client, one)

    def _create(self, client: httpx2.Client, one: Asked) -> httpx2.Response:
        body = {"model": "sora-2", "prompt": one.prompt}
        return client.post("/v1/videos", json=body, headers={"Idempotency-Key": one.key})

    def look(self, client: httpx2.Client) -> None:
        for one in self.open:
            if not one.task_id:
                self.ask(client, one)
            video = client.get(f"/v1/videos/{one.task_id}").json()
            one.status = video["status"]
            one.code = (video.get("error") or {}).get("code", "")

    def until_made(self, client: httpx2.Client) -> None:
        """Wait until every film is being made: whoever dies from then on, its id at the upstream is recorded."""

        def all_made() -> bool:
            self.look(client)
            return all(one.status == "in_progress" for one in self.asked)

        until(all_made)

    def finish(self, client: httpx2.Client) -> None:
        """Wait until all have ended; the time limit is only there to end a test that hangs."""
        end = time.monotonic() + LIMIT_SECONDS
        while self.open and time.monotonic() < end:
            self.look(client)
            time.sleep(0.1)

    def tally(
        self,
        counters: Counters,
        *,
        runs: int,
        in_flight: int,
        slots: int,
        recovery: float,
        restart: float = 0.0,
        billed_wrong: int = 0,
    ) -> Tally:
        made = counters.prompts
        unknown = [one for one in self.asked if one.code == UNKNOWN]
        completed = [one for one in self.asked if one.status == "completed"]
        told = {one.prompt for one in unknown}
        return Tally(
            runs=runs,
            tasks=len(self.asked),
            in_flight=in_flight,
            lost=sum(
                1
                for one in self.asked
                if made.get(one.prompt) and one.status != "completed" and one.prompt not in told
            ),
            sent_twice=sum(1 for count in [*made.values(), *counters.accepted.values()] if count > 1),
            stuck=len(self.open),
            wrong_state=len(self.asked) - len(completed) - len(unknown) - len(self.open)
            + sum(1 for one in completed if made.get(one.prompt) != 1),
            slots_left=slots,
            submission_unknown=len(unknown),
            recovery_seconds=recovery,
            restart_seconds=restart,
            billed_wrong=billed_wrong,
        )  # fmt: skip


def table(title: str, tally: Tally) -> str:
    """The figures on two lines."""
    cells = {
        "runs": tally.runs,
        "tasks": tally.tasks,
        "in flight": tally.in_flight,
        "lost": tally.lost,
        "sent twice": tally.sent_twice,
        "stuck": tally.stuck,
        "wrong final state": tally.wrong_state,
        "slots left": tally.slots_left,
        "billed wrong": tally.billed_wrong,
        "submission_unknown": tally.submission_unknown,
        "recovery s": f"{tally.recovery_seconds:.1f}",
        "restart s": f"{tally.restart_seconds:.2f}",
    }
    head = " | ".join(cells)
    row = " | ".join(str(value).rjust(len(name)) for name, value in cells.items())
    return f"\n{title}\n{head}\n{row}"
