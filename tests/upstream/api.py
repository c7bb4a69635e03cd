"""OpenAI's API as the fake upstream speaks it: jobs in dicts, faults from the script."""

import asyncio
import base64
import itertools
import json
import re
import struct
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.script import SUBMITS, Call, Counters, Fault, Script, Seen
from tests.upstream.server import Connection, Reply, Request

ROUTES: list[tuple[str, str, Call]] = [
    ("POST", r"/v1/videos", "create"),
    ("GET", r"/v1/videos", "list"),
    ("POST", r"/v1/videos/edits", "edit"),
    ("POST", r"/v1/videos/extensions", "extend"),
    ("POST", r"/v1/videos/([^/]+)/remix", "remix"),
    ("GET", r"/v1/videos/([^/]+)/content", "content"),
    ("GET", r"/v1/videos/([^/]+)", "poll"),
    ("DELETE", r"/v1/videos/([^/]+)", "delete"),
    ("POST", r"/v1/images/(?:generations|edits)", "images"),
    ("POST", r"/v1/chat/completions", "chat"),
    ("POST", r"/v1/embeddings", "embeddings"),
    ("POST", r"/v1/moderations", "moderations"),
    ("GET", r"/v1/models", "models"),
    ("GET", r"/files/(video\.mp4|image\.png)", "file"),
]
FINISHED = {"completed", "succeeded", "success"}
TERMINAL = FINISHED | {"failed", "cancelled", "expired", "error"}


@dataclass
class Job:
    id: str
    key: str
    call: Call
    fields: dict[str, Any]
    started: float
    seconds: float
    source: str | None = None
    polls: int = 0
    fails: bool = False
    timer: asyncio.TimerHandle | None = field(default=None, repr=False)


class Refused(Exception):
    """The request is answered with an error of OpenAI's form."""

    def __init__(self, status: int, message: str, code: str = "invalid_request", param: str | None = None):
        self.reply = error(status, message, code, param)


class Api:
    def __init__(self) -> None:
        self.url = ""
        self.connections: set[Connection] = set()
        self._numbers = itertools.count(1)
        self._busy = 0
        self._calls: dict[str, Callable[[Request, list[str]], Reply]] = {
            "create": self._create, "edit": self._create, "extend": self._create, "remix": self._remix,
            "list": self._list, "poll": self._poll, "content": self._content, "delete": self._delete,
            "images": self._images, "chat": self._chat, "embeddings": self._embeddings,
            "models": self._models, "file": self._file,
            "moderations": self._moderations,
        }  # fmt: skip
        self.reset()

    def reset(self) -> None:
        for job in getattr(self, "jobs", {}).values():
            if job.timer:
                job.timer.cancel()
        self.script = Script()
        self.counters = Counters()
        self.jobs: dict[str, Job] = {}
        self._running: dict[str, set[str]] = {}
        self._by_idempotency: dict[str, str] = {}

    async def answer(self, request: Request, connection: Connection) -> None:
        if request.path.startswith("/_control/"):
            await connection.send(self._control(request))
            return
        self._busy += 1
        self.counters.concurrent_max = max(self.counters.concurrent_max, self._busy)
        try:
            await self._answer(request, connection)
        finally:
            self._busy -= 1

    async def _answer(self, request: Request, connection: Connection) -> None:
        call, found = self._route(request)
        fields = self._count(call, request)
        fault = self._fault(call, request.key, str(fields.get("prompt", "")))
        if self.script.latency:
            await asyncio.sleep(self.script.latency)
        if fault is None or fault.accepts or fault.do in {"cut", "stall", "drip"}:
            reply = self._carry_out(call, request, found)
        else:
            reply = Reply()
        if fault is None:
            await connection.send(reply)
        else:
            await _go_wrong(fault, reply, connection)

    def _route(self, request: Request) -> tuple[Call, list[str]]:
        for method, pattern, call in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return call, [unquote(part) for part in found.groups()]
        return "other", []

    def _count(self, call: Call, request: Request) -> dict[str, Any]:
        fields, files = request.form() if request.body else ({}, {})
        counters = self.counters
        counters.last[call] = Seen(
            method=request.method, path=request.target, headers=request.headers, fields=fields, files=files
        )
        _add(counters.requests, call)
        _add(counters.keys, request.key)
        if call in SUBMITS:
            _add(counters.submissions, request.headers.get("idempotency-key", ""))
        return fields

    def _fault(self, call: Call, key: str, prompt: str) -> Fault | None:
        for fault in self.script.faults:
            if fault.on not in (call, "any") or fault.times == 0:
                continue
            if (fault.key is not None and fault.key != key) or (fault.prompt or "") not in prompt:
                continue
            if fault.skip:
                fault.skip -= 1
                continue
            if fault.times is not None:
                fault.times -= 1
            return fault
        return None

    def _carry_out(self, call: Call, request: Request, found: list[str]) -> Reply:
        if self.script.keys is not None and call != "file" and request.key not in self.script.keys:
            return error(401, f"Incorrect API key provided: {request.key}", "invalid_api_key")
        if call == "other":
            return error(404, f"No such route: {request.method} {request.path}", "not_found")
        try:
            return self._calls[call](request, found)
        except Refused as refused:
            return refused.reply

    # ---- videos ----

    def _create(self, request: Request, found: list[str]) -> Reply:
        fields, _ = request.form()
        if not fields.get("prompt"):
            raise Refused(
                400, "Missing required parameter: 'prompt'.", "missing_required_parameter", "prompt"
            )
        token = request.headers.get("idempotency-key", "")
        earlier = self._by_idempotency.get(token)
        if self.script.honour_idempotency and token and earlier:
            return self._reply(self._shown(self.jobs[earlier]))
        running = self._running.setdefault(request.key, set())
        if self.script.max_running is not None and len(running) >= self.script.max_running:
            raise Refused(429, "Too many jobs at the same time.", "rate_limit_exceeded")
        call, _ = self._route(request)
        source = found[0] if found else None
        shown = self._shown(self._begin(request, fields, call=call, source=source))
        return self._reply(shown, 200, **self.script.submit_headers)

    def _begin(self, request: Request, fields: dict[str, Any], *, call: Call, source: str | None) -> Job:
        loop = asyncio.get_running_loop()
        job = Job(
            id=f"video_{next(self._numbers):08d}", key=request.key, call=call, fields=fields, source=source,
            started=time.time(), seconds=self.script.job_seconds,
        )  # fmt: skip
        token = request.headers.get("idempotency-key", "")
        self.jobs[job.id] = job
        self._by_idempotency[token] = job.id
        self.counters.jobs += 1
        _add(self.counters.accepted, token)
        _add(self.counters.prompts, str(fields["prompt"]))
        _add(self.counters.jobs_by_key, job.key)
        prompt = str(fields["prompt"])
        job.fails = self.counters.prompts[prompt] <= self.script.failing.get(prompt, 0)
        running = self._running.setdefault(job.key, set())
        running.add(job.id)
        self.counters.running_max[job.key] = max(self.counters.running_max.get(job.key, 0), len(running))
        if self.script.statuses is None:
            job.timer = loop.call_later(job.seconds, running.discard, job.id)
        return job

    def _remix(self, request: Request, found: list[str]) -> Reply:
        self._job(found[0])
        return self._create(request, found)

    def _job(self, job_id: str) -> Job:
        job = self.jobs.get(job_id)
        if job is None:
            raise Refused(404, f"Video with id '{job_id}' not found.", "not_found", "video_id")
        return job

    def _status(self, job: Job) -> tuple[str, int]:
        words = self.script.statuses
        if words:
            word = words[min(job.polls, len(words) - 1)]
            return word, 100 if word in FINISHED else min(99, job.polls * 10)
        gone = time.time() - job.started
        if gone >= job.seconds:
            return ("failed" if job.fails else self.script.final), 100
        return ("queued", 0) if gone < job.seconds / 10 else ("in_progress", int(100 * gone / job.seconds))

    def _shown(self, job: Job, *, created: bool = True) -> dict[str, Any]:
        word, progress = ("queued", 0) if created else self._status(job)
        done = word in FINISHED
        if word in TERMINAL:
            self._running.get(job.key, set()).discard(job.id)
        return {
            "id": job.id, "object": "video", "model": job.fields.get("model", ""), "status": word,
            "progress": progress, "created_at": int(job.started), "expires_at": None,
            "completed_at": int(time.time()) if done else None, "prompt": job.fields.get("prompt"),
            "seconds": str(job.fields.get("seconds", "4")), "size": job.fields.get("size", "720x1280"),
            "remixed_from_video_id": job.source, "error": self.script.error if word == "failed" else None,
            **(self.script.fields if done else {}),
            **({"usage": self.script.failed_usage} if word == "failed" and self.script.failed_usage else {}),
        }  # fmt: skip

    def _reply(self, shown: dict[str, Any], status: int = 200, **headers: str) -> Reply:
        reply = Reply.json(shown, status, **headers)
        if self.script.raw_fields:
            assert isinstance(reply.body, bytes)
            reply.body = reply.body[:-1] + f", {self.script.raw_fields}}}".encode()
        return reply

    def _poll(self, request: Request, found: list[str]) -> Reply:
        _add(self.counters.polls, found[0])
        job = self._job(found[0])
        shown = self._shown(job, created=False)
        job.polls += 1
        status = self.script.failed_http if shown["status"] == "failed" else None
        pace = self.script.poll_after_ms
        headers = {"openai-poll-after-ms": str(pace)} if pace is not None else {}
        return self._reply(shown, status or 200, **headers)

    def _content(self, request: Request, found: list[str]) -> Reply:
        job = self._job(found[0])
        if self.script.statuses is None and self._status(job)[0] not in FINISHED:
            raise Refused(404, "Video is not ready yet.", "not_found")
        _add(self.counters.downloads, job.id)
        return Reply(200, self._video(job), {"content-type": "video/mp4"})

    def _video(self, job: Job | None = None) -> bytes:
        padded, seconds = self.script.video_bytes, self.script.film_seconds
        if job is not None and self.script.film_as_asked:
            seconds = round(float(job.fields.get("seconds", seconds)))
        return tiny_mp4(seconds) if padded is None else bytes(padded)

    def _delete(self, request: Request, found: list[str]) -> Reply:
        job = self._job(found[0])
        self.counters.deletes.append(job.id)
        self._running.get(job.key, set()).discard(job.id)
        del self.jobs[job.id]
        return Reply.json({"id": job.id, "object": "video.deleted", "deleted": True})

    def _list(self, request: Request, found: list[str]) -> Reply:
        ids = sorted(self.jobs, reverse=request.query.get("order", "desc") == "desc")
        after = request.query.get("after")
        start = ids.index(after) + 1 if after in ids else 0
        page = ids[start : start + int(request.query.get("limit", "20"))]
        return Reply.json(
            {
                "object": "list",
                "data": [self._shown(self.jobs[one], created=False) for one in page],
                "first_id": page[0] if page else None,
                "last_id": page[-1] if page else None,
                "has_more": start + len(page) < len(ids),
            }
        )

    def _file(self, request: Request, found: list[str]) -> Reply:
        if found[0] == "image.png":
            return Reply(200, tiny_png(), {"content-type": "image/png"})
        return Reply(200, self._video(), {"content-type": "video/mp4"})

    # ---- the rest ----

    def _images(self, request: Request, found: list[str]) -> Reply:
        fields, _ = request.form()
        self.counters.jobs += 1
        _add(self.counters.accepted, request.headers.get("idempotency-key", ""))
        _add(self.counters.prompts, str(fields.get("prompt", "")))
        _add(self.counters.jobs_by_key, request.key)
        image = {
            "b64_json": base64.b64encode(tiny_png()).decode(),
            "url": f"{self.url}/files/image.png",
        }[self.script.image_as]
        return Reply.json(
            {
                "created": int(time.time()),
                "data": [{self.script.image_as: image}],
                "usage": {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105},
            }
        )

    def _chat(self, request: Request, found: list[str]) -> Reply:
        fields, _ = request.form()
        words = self.script.chat_words
        usage = {"prompt_tokens": 7, "completion_tokens": len(words), "total_tokens": 7 + len(words)}
        common = {"id": "chatcmpl-fake", "created": int(time.time()), "model": fields.get("model", "")}
        if fields.get("stream"):
            wants = bool((fields.get("stream_options") or {}).get("include_usage"))
            chunks = _chat_chunks(self.script, common, usage=usage if wants else None)
            return Reply(200, chunks, {"content-type": "text/event-stream; charset=utf-8"})
        message = {"role": "assistant", "content": "".join(words)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return Reply.json({**common, "object": "chat.completion", "choices": [choice], "usage": usage})

    def _moderations(self, request: Request, found: list[str]) -> Reply:
        fields, _ = request.form()
        texts = [fields["input"]] if isinstance(fields["input"], str) else fields["input"]
        flags = [bool(self.script.flagged and self.script.flagged in text) for text in texts]
        results = [{"flagged": flag, "categories": {"violence": flag, "self-harm": False}} for flag in flags]
        return Reply.json({"id": "modr-1", "model": fields["model"], "results": results})

    def _embeddings(self, request: Request, found: list[str]) -> Reply:
        fields, _ = request.form()
        texts = fields.get("input", "")
        numbers = [0.25, -0.5, 0.75, 1.0]
        packed: Any = numbers
        if fields.get("encoding_format") == "base64":
            packed = base64.b64encode(struct.pack("<4f", *numbers)).decode()
        count = len(texts) if isinstance(texts, list) else 1
        data = [{"object": "embedding", "index": n, "embedding": packed} for n in range(count)]
        usage = {"prompt_tokens": count, "total_tokens": count}
        return Reply.json({"object": "list", "data": data, "model": fields.get("model", ""), "usage": usage})

    def _models(self, request: Request, found: list[str]) -> Reply:
        names = ("fake-video", "fake-image", "fake-chat")
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "fake"} for name in names]
        return Reply.json({"object": "list", "data": data})

    # ---- control ----

    def _control(self, request: Request) -> Reply:
        what = request.path.removeprefix("/_control/")
        try:
            if what == "script":
                self.script = Script.model_validate_json(bytes(request.body))
            elif what == "fault":
                self.script.faults.append(Fault.model_validate_json(bytes(request.body)))
            elif what == "reset":
                self.reset()
            elif what != "counters":
                return error(404, f"No such control: {what}", "not_found")
        except ValidationError as wrong:
            return error(400, str(wrong), "invalid_request")
        self.counters.running = {key: len(ids) for key, ids in self._running.items() if ids}
        return Reply.json(self.counters.model_dump())


async def serve(port: int) -> tuple[asyncio.Server, Api]:
    api = Api()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(api), "127.0.0.1", port, backlog=1024
    )
    api.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    return server, api


def error(status: int, message: str, code: str, param: str | None = None) -> Reply:
    body = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
    return Reply.json({"error": body}, status)


def _add(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


async def _go_wrong(fault: Fault, reply: Reply, connection: Connection) -> None:
    if fault.do != "drip" and fault.delay:
        await asyncio.sleep(fault.delay)
    if fault.do == "status":
        await connection.send(_told(fault))
    elif fault.do == "reset":
        connection.reset()
    elif fault.do == "hang":
        await connection.gone.wait()
    elif fault.do == "huge":
        await connection.send(Reply(200, _huge(), {"content-type": "application/json"}))
    elif fault.do == "garbage":
        await connection.write(b"\x00\x01 this is not HTTP\r\n\r\n")
        connection.transport.close()
    elif fault.do == "cut":
        await _send_half(reply, connection)
        # A clean end, as RST could overtake the first half; the length that was promised tells that it is cut.
        connection.transport.close()
    elif fault.do == "stall":
        await _send_half(reply, connection)
        await connection.gone.wait()
    else:
        await _drip(reply, connection, max(fault.delay, 0.01))


def _told(fault: Fault) -> Reply:
    if fault.text is not None:
        return Reply(fault.status, fault.text.encode(), {"content-type": "text/html", **fault.headers})
    if fault.body is not None:
        return Reply.json(fault.body, fault.status, **fault.headers)
    said = error(fault.status, f"Scripted answer {fault.status}.", "scripted")
    said.headers.update(fault.headers)
    return said


async def _send_half(reply: Reply, connection: Connection) -> None:
    if isinstance(reply.body, bytes):
        await connection.write(reply.head() + reply.body[: len(reply.body) // 2])
    else:
        await connection.write(reply.head())
        first = await anext(reply.body)
        await connection.write(b"%x\r\n%b\r\n" % (len(first), first))


async def _drip(reply: Reply, connection: Connection, pause: float) -> None:
    await connection.write(Reply(reply.status, _spaces(pause), reply.headers).head())
    while not connection.gone.is_set():
        await connection.write(b"1\r\n \r\n")
        await asyncio.sleep(pause)


async def _spaces(pause: float) -> AsyncIterator[bytes]:
    yield b" "


async def _huge() -> AsyncIterator[bytes]:
    yield b'{"id": "video_huge", "status": "queued", "padding": "'
    for _ in range(40):
        yield b"x" * (1024 * 1024)
    yield b'"}'


async def _chat_chunks(
    script: Script, common: dict[str, Any], *, usage: dict[str, int] | None
) -> AsyncIterator[bytes]:
    base = {**common, "object": "chat.completion.chunk", **({"usage": None} if usage else {})}
    for word in script.chat_words:
        yield _event({**base, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        await asyncio.sleep(script.chat_delay)
    yield _event({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage:
        yield _event({**base, "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _event(body: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"
