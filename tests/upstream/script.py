"""What the fake upstream can be told, and what it can be asked."""

from typing import Any, Literal

from pydantic import BaseModel, Field

Call = Literal[
    "create", "remix", "edit", "extend", "poll", "content", "delete", "list",
    "chat", "embeddings", "models", "moderations", "images", "file", "other",
]  # fmt: skip
SUBMITS: frozenset[str] = frozenset({"create", "remix", "edit", "extend", "images"})


class Fault(BaseModel):
    """Something that goes wrong with the next ``times`` matching requests."""

    on: Call | Literal["any"] = "any"
    do: Literal["status", "reset", "hang", "cut", "stall", "drip", "huge", "garbage"] = "status"
    """``reset``: RST in place of an answer. ``cut``: half of the true answer, then RST. ``stall``: half of it, then nothing. ``drip``: the true
    answer's head, then one space per ``delay`` seconds. ``huge``: a JSON answer of 40 MiB. ``garbage``: not
    HTTP. ``hang``: nothing, until the client goes away."""
    status: int = 500
    body: Any = None
    """JSON for ``status``."""
    text: str | None = None
    """Text in place of ``body``, sent as HTML."""
    headers: dict[str, str] = Field(default_factory=dict)
    times: int | None = 1
    """None: always."""
    skip: int = 0
    """Let so many matching requests pass first."""
    accepts: bool = False
    """The request is carried out and counted before it goes wrong."""
    delay: float = 0.0
    """Seconds before it happens; between bytes for ``drip``."""
    key: str | None = None
    """Only for requests with this API key."""
    prompt: str | None = None
    """Only for requests whose prompt contains this."""


class Script(BaseModel):
    """How the fake upstream behaves."""

    job_seconds: float = 0.0
    statuses: list[str] | None = None
    """The status words of successive polls, the last one for ever; in place of ``job_seconds``."""
    final: str = "completed"
    """The status word when ``job_seconds`` are over."""
    error: Any = None
    """The ``error`` of a job that failed."""
    failed_usage: dict[str, Any] | None = None
    """The ``usage`` of a job that failed."""
    failed_http: int | None = None
    """The HTTP status of a poll of a failed job, as vLLM-Omni answers."""
    fields: dict[str, Any] = Field(default_factory=dict)
    """Added to a finished job, for example ``{"url": "http://…"}``."""
    raw_fields: str = ""
    """The text of more fields in every answer about a job: JSON that no program here would write."""
    submit_headers: dict[str, str] = Field(default_factory=dict)
    """Of the answers that accept a job."""
    honour_idempotency: bool = False
    poll_after_ms: int | None = None
    latency: float = 0.0
    """Seconds before every answer."""
    keys: list[str] | None = None
    """The API keys that are let in; None: all, and none."""
    max_running: int | None = None
    """How many jobs of one key may run; more are answered 429."""
    video_bytes: int | None = None
    """Length of the result, made of padding; None: a real MP4."""
    film_seconds: int = 1
    film_as_asked: bool = False
    """Films are as long as their requests say."""
    failing: dict[str, int] = Field(default_factory=dict)
    """How many jobs of a prompt fail, the first ones."""
    image_as: Literal["b64_json", "url"] = "b64_json"
    flagged: str | None = None
    """What a text must hold to be flagged by ``/v1/moderations``."""
    chat_words: list[str] = ["Hello", " from", " upstream"]
    chat_delay: float = 0.0
    """Seconds between two chunks of a stream."""
    faults: list[Fault] = Field(default_factory=list)


class Seen(BaseModel):
    """One request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    fields: dict[str, Any]
    """Of the JSON body or the form's text parts."""
    files: dict[str, list[str]]
    """Per form field: ``type;length`` of each file."""


class Counters(BaseModel):
    """What has been seen since the start or the last reset."""

    requests: dict[str, int] = Field(default_factory=dict)
    """Per call (``create``, ``poll`` …)."""
    jobs: int = 0
    """Jobs really started: what would be billed."""
    submissions: dict[str, int] = Field(default_factory=dict)
    """Requests to start a job, per Idempotency-Key, accepted or not."""
    accepted: dict[str, int] = Field(default_factory=dict)
    """Jobs started, per Idempotency-Key."""
    prompts: dict[str, int] = Field(default_factory=dict)
    """Jobs started, per prompt."""
    keys: dict[str, int] = Field(default_factory=dict)
    """Requests per API key; ``""`` when none was sent."""
    jobs_by_key: dict[str, int] = Field(default_factory=dict)
    polls: dict[str, int] = Field(default_factory=dict)
    """Polls per job id."""
    downloads: dict[str, int] = Field(default_factory=dict)
    deletes: list[str] = Field(default_factory=list)
    running: dict[str, int] = Field(default_factory=dict)
    """Unfinished jobs per API key, now."""
    running_max: dict[str, int] = Field(default_factory=dict)
    concurrent_max: int = 0
    """Most requests in work at the same time."""
    last: dict[str, Seen] = Field(default_factory=dict)
    """The newest request of each call."""
