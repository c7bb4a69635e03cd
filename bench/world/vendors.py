"""Two vendors of films, each with a wire format of its own: what they make, bill, cancel and give back, and how they
answer. What is written down here is the truth that the product's books are compared with."""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.world.clock import Clock
from bench.world.plan import Plan, VendorPlan, WishPlan

FILM = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
FILM_END = b"<the end>"
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}
PAGE = b"<html><body>error code: 1010</body></html>"


@dataclass
class Job:
    """Work that a vendor accepted, and billed when it did. Times are true seconds."""

    id: str
    prompt: str
    account: int
    accepted_at: float
    ready_at: float
    ending: str
    stopped_at: float | None = None
    """When the vendor agreed to a cancel."""
    told_failed: bool = False
    told_at: float | None = None
    """When it was said for the first time that it failed."""
    told_unknown: int = 0
    looks: int = 0
    fetched: int = 0

    @property
    def refunded(self) -> bool:
        """Failed work and agreed cancels cost nothing."""
        return self.stopped_at is not None or self.told_failed


@dataclass
class Reply:
    """One answer on its way. ``delay``: seconds to its head, ``pieces``: the body with a delay before each piece.
    ``breaks``: the connection is cut after the pieces."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    delay: float = 0.05
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    breaks: bool = False


class NoReply(Exception):
    """The request meets ``what`` instead of an answer, after ``delay`` seconds."""

    def __init__(self, what: str, delay: float = 0.1) -> None:
        super().__init__(what)
        self.what = what
        self.delay = delay


class Faults:
    """Which fault strikes now: by windows of time, and by chance."""

    def __init__(self, plan: Plan, clock: Clock, chance: random.Random) -> None:
        self._plan = plan
        self._clock = clock
        self._chance = chance

    def strikes(self, fault: str, vendor: int | None = None) -> bool:
        now = self._clock.now
        if now >= self._plan.heals_at:
            return False
        if any(window.fault == fault and window.holds(now, vendor) for window in self._plan.windows):
            return True
        rate = self._plan.rates.get(fault)
        return rate is not None and self._chance.random() < rate

    def has(self, fault: str) -> bool:
        return self._clock.now < self._plan.heals_at and fault in self._plan.rates


class Vendor:
    """One vendor with two accounts. ``find_wish``: the wish of a prompt."""

    def __init__(
        self, number: int, plan: Plan, clock: Clock, *, chance: random.Random, note: Callable[[str], None]
    ) -> None:
        self.number = number
        self.plan: VendorPlan = plan.vendors[number]
        self.jobs: dict[str, Job] = {}
        self.spoke_of: set[int] = set()
        """Accounts that it refused in clear words of its own."""
        self._wishes: dict[str, WishPlan] = {wish.prompt: wish for wish in plan.wishes}
        self._faults = Faults(plan, clock, chance)
        self._clock = clock
        self._chance = chance
        self._note = note
        self._by_key: dict[tuple[int, str], Job] = {}

    # ---- what any server does -------------------------------------------------------------------

    def meets(self, fault: str) -> bool:
        return self._faults.strikes(fault, self.number)

    def talks_nonsense(self, fault: str, state: str) -> bool:
        """Now and then; of finished work always, in a world that has this fault."""
        return self.meets(fault) or (state == "film" and self._faults.has(fault))

    def connect(self) -> None:
        """Raises ``NoReply`` before the request is sent."""
        if self.meets("refused"):
            raise NoReply("refused")

    def receive(self) -> None:
        """Raises ``NoReply`` once it was sent, and before the vendor has read it."""
        if self.meets("reset_before"):
            raise NoReply("reset")
        if self.meets("hang_before"):
            raise NoReply("hang", 1e9)

    def send_off(self, reply: Reply) -> Reply:
        """The answer as it leaves, or ``NoReply``: the vendor has done what it was asked all the same."""
        if self.meets("reset_after"):
            raise NoReply("reset")
        if self.meets("hang_after"):
            raise NoReply("hang", 1e9)
        if self.meets("slow"):
            reply.delay = self._chance.uniform(1, 120)
        return reply

    # ---- submissions ----------------------------------------------------------------------------

    def refusal(self, account: int, prompt: str) -> Reply | None:
        if "UNION SELECT" in prompt or self.meets("waf"):
            return Reply(403, HTML, PAGE)
        if self.meets("banned"):
            self.spoke_of.add(account)
            return self.error(401, "invalid_api_key", "The API key of this account has been revoked.")
        if self.meets("empty"):
            return self.error(402, "insufficient_quota", "The account has no money left.")
        if self.meets("busy"):
            return self.error(429, "rate_limit_exceeded", "Too many requests.")
        if self.meets("busy_named"):
            reply = self.error(429, "rate_limit_exceeded", "Too many requests.")
            reply.headers = {**reply.headers, "retry-after": str(self._chance.randrange(1, 60))}
            return reply
        if self.meets("failed"):
            return self.error(500, "server_error", "Something broke.")
        if self.meets("rejected"):
            return self.error(400, "invalid_request_error", "Not like this.")
        if self.meets("html"):
            return Reply(502, HTML, PAGE)
        return None

    def accept(self, account: int, prompt: str, key: str) -> Job:
        """Makes and bills a job, unless the key names one already."""
        known = self._by_key.get((account, key)) if self.plan.honours_keys and key else None
        if known is not None:
            return known
        wish = self._wishes.get(prompt)
        seconds = wish.job_seconds if wish else 1.0
        now = self._clock.now
        job = Job(
            id=f"job-{self.number}-{len(self.jobs)}",
            prompt=prompt,
            account=account,
            accepted_at=now,
            ready_at=now + seconds,
            ending=self._ending_of(wish) if wish else "film",
        )
        self.jobs[job.id] = job
        if key:
            self._by_key[account, key] = job
        self._note(f"vendor {self.number} accepts {prompt!r} as {job.id}")
        return job

    def _ending_of(self, wish: WishPlan) -> str:
        return "film" if wish.ending == "failed" and self.number not in wish.fails_at else wish.ending

    def spoiled_acceptance(self) -> Reply | None:
        """The work is accepted, and the answer does not say so in a way that can be read."""
        if self.meets("html_accepted"):
            return Reply(502, HTML, PAGE)
        if self.meets("garbage_accepted"):
            return Reply(200, JSON, b'{"status": "que')
        if self.meets("conflict"):
            return self.error(409, "conflict", "Your first copy is being worked on.")
        return None

    # ---- looks ----------------------------------------------------------------------------------

    def find(self, job_id: str) -> Job | None:
        """The job, as far as the vendor knows it now."""
        job, now = self.jobs.get(job_id), self._clock.now
        if job is None or now < job.accepted_at + self.plan.lag:
            return None
        forgets = self.plan.forgets_after
        if forgets is not None and now > job.ready_at + forgets:
            return None
        return job

    def spoiled_look(self) -> Reply | None:
        if self.meets("look_page_404"):
            return Reply(404, {"content-type": "text/plain"}, b"no such page")
        if self.meets("look_html"):
            return Reply(502, HTML, PAGE)
        if self.meets("look_failed"):
            return self.error(500, "server_error", "Something broke.")
        if self.meets("look_busy"):
            return self.error(429, "rate_limit_exceeded", "Too many requests.")
        if self.meets("look_garbage"):
            return Reply(200, JSON, b'{"id": "job", "stat')
        return None

    def state(self, job: Job) -> str:
        """``queued``, ``running``, ``film``, ``failed`` or ``stopped``."""
        now = self._clock.now
        if job.stopped_at is not None:
            return "stopped"
        if job.ending == "stuck" or now < job.ready_at:
            return "queued" if now < job.accepted_at + 1 else "running"
        if job.ending == "failed":
            job.told_failed = True
            job.told_at = now if job.told_at is None else job.told_at
        return job.ending

    def cancel(self, job: Job) -> bool:
        if self.plan.cancels != "agrees" or self.state(job) in {"film", "failed"}:
            return False
        if job.stopped_at is None:
            job.stopped_at = self._clock.now
            self._note(f"vendor {self.number} stops {job.id}")
        return True

    # ---- films ----------------------------------------------------------------------------------

    def film(self, job_id: str) -> Reply:
        job = self.find(job_id)
        life = self.plan.link_life
        if job is None or self.state(job) != "film":
            return self.error(404, "not_found", "No such file.")
        if life is not None and self._clock.now > job.ready_at + life:
            return Reply(410, {"content-type": "text/plain"}, b"expired")
        if self.meets("away"):
            return Reply(503, HTML, PAGE)
        if self.meets("page"):
            return Reply(200, HTML, PAGE)
        body = film_of(job.prompt)
        head = {"content-type": "video/mp4", "content-length": str(len(body))}
        if self.meets("cut"):
            return Reply(200, head, pieces=[(0.1, body[:40])], breaks=True)
        if self.meets("drip"):
            return Reply(200, head, pieces=[(4.0, body[at : at + 1]) for at in range(len(body))])
        job.fetched += 1
        return Reply(200, head, body)

    def error(self, status: int, code: str, message: str) -> Reply:
        return Reply(status, JSON, json.dumps({"error": {"code": code, "message": message}}).encode())


def film_of(prompt: str) -> bytes:
    return FILM + prompt.encode() + FILM_END


ABSURD: tuple[dict[str, Any], ...] = (
    {"seconds": "1e14"},
    {"seconds": "-5"},
    {"usage": {"credits": 5e6, "seconds": 1e300}},
    {"progress": 1e308},
    {"seconds": "NaN"},
    {"usage": {"prompt_tokens": 2**31 - 1, "total_tokens": 2**63}},
)
UNWRITABLE: tuple[dict[str, Any], ...] = (
    {"progress": "\ud800"},
    {"usage": {"unit": "\udfff\x00"}},
    {"status_note": "\ud83d", "seconds": "\ud800"},
)
