"""Asks gates about a request, the cheapest first, and rewrites its prompt where one says so."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import httpx2
import structlog

from app.errors import ContentPolicyViolation, FilmgateError, ServiceUnavailable
from app.generation import GenerationRequest
from app.keys.gate_options import Gate, GateOptions
from app.keys.key import ClientKey
from app.ops.metrics import GATE_VERDICTS
from app.tasks.gate_keeper import JudgedRequest, TextCalls
from app.tasks.gates.webhook import GateWebhook
from app.tasks.gates.words import find_word

log = structlog.get_logger()
Outcome = Literal["allow", "deny", "rewrite", "failed"]
LONGEST_REASON = 300
LONGEST_PROMPT = 32_000
MODERATIONS, CHAT = "moderations", "chat/completions"
REFUSED = "The prompt was refused before anything was sent or reserved"


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """``prompt``: what takes the place of the prompt. ``reason``: for the client, or (failed) for the operator."""

    outcome: Outcome
    reason: str = ""
    prompt: str = ""


class GateAsker:
    """``open_calls`` gives the calls to text accounts, or raises ``ServiceUnavailable`` where there are none."""

    def __init__(self, transport: httpx2.AsyncBaseTransport, open_calls: Callable[[], TextCalls]) -> None:
        self._webhook = GateWebhook(transport)
        self._open_calls = open_calls

    async def close(self) -> None:
        await self._webhook.close()

    async def judge_request(
        self,
        request: GenerationRequest,
        options: GateOptions,
        gates: tuple[Gate, ...],
        *,
        enhances: bool,
        key: ClientKey,
        request_id: str,
    ) -> JudgedRequest:
        """Raises as ``GateKeeper.ask_gates`` does."""
        told: list[dict[str, str]] = []
        judged = request
        for gate in gates:
            verdict = await self._ask_gate(gate, judged, options, key=key, request_id=request_id)
            told.append({"gate": gate, "verdict": verdict.outcome})
            self._refuse_if_denied(gate, verdict, options)
            if verdict.outcome == "rewrite":
                judged = _rewritten(judged, verdict.prompt)
        if enhances and judged.prompt:
            verdict = await self._enhance(judged, options, key=key, request_id=request_id)
            told.append({"gate": "enhance", "verdict": verdict.outcome})
            if verdict.outcome == "rewrite":
                judged = _rewritten(judged, verdict.prompt)
        return JudgedRequest(judged, {"gates": told} if told else {})

    def _refuse_if_denied(self, gate: Gate, verdict: GateVerdict, options: GateOptions) -> None:
        if verdict.outcome == "deny":
            text = f": {verdict.reason}" if verdict.reason else "."
            raise ContentPolicyViolation(REFUSED + text, param="prompt")
        if verdict.outcome == "failed" and options.on_failure == "deny":
            raise ServiceUnavailable(
                f"What judges prompts here ({gate}) does not answer, so nothing was made: {verdict.reason}",
                retry_after=10,
            )

    async def _ask_gate(
        self, gate: Gate, request: GenerationRequest, options: GateOptions, *, key: ClientKey, request_id: str
    ) -> GateVerdict:
        if not options.is_set_up(gate):
            failed = GateVerdict("failed", "The operator has not set it up (Settings, Gates).")
            return _counted(gate, failed)
        asking: Mapping[Gate, Callable[[], Awaitable[GateVerdict]]] = {
            "words": lambda: _ask_words(request, options),
            "moderation": lambda: self._ask_moderation(request, options, key=key, request_id=request_id),
            "webhook": lambda: self._ask_webhook(request, options, key=key, request_id=request_id),
        }
        return _counted(gate, await _within(asking[gate], options.gate_seconds))

    async def _ask_moderation(
        self, request: GenerationRequest, options: GateOptions, *, key: ClientKey, request_id: str
    ) -> GateVerdict:
        body = {"model": options.moderation_model, "input": list(judged_texts(request))}
        answer = await self._ask_account(MODERATIONS, body, key=key, request_id=request_id)
        results = answer.get("results") if isinstance(answer, dict) else None
        if (
            not isinstance(results, list)
            or not all(isinstance(each, dict) for each in results)
            or not results
        ):
            return GateVerdict("failed", "Its answer is none of /v1/moderations.")
        flagged = [each for each in results if each.get("flagged") is True]
        if not flagged:
            return GateVerdict("allow")
        categories = {
            str(name)[:50]
            for each in flagged
            if isinstance(each.get("categories"), dict)
            for name, found in each["categories"].items()
            if found is True
        }
        return GateVerdict("deny", ", ".join(sorted(categories))[:LONGEST_REASON] or "flagged")

    async def _ask_webhook(
        self, request: GenerationRequest, options: GateOptions, *, key: ClientKey, request_id: str
    ) -> GateVerdict:
        body = {
            "request_id": request_id,
            "key": {"id": key.id, "name": key.name, "project": key.project},
            "kind": request.kind,
            "model": request.model,
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "shots": [shot.prompt for shot in request.shots],
        }
        answer = await self._webhook.ask(options.webhook_url, body, secret=options.webhook_secret)
        verdict, reason = answer.get("verdict"), str(answer.get("reason") or "")[:LONGEST_REASON]
        if verdict == "allow" or verdict == "deny":
            return GateVerdict(verdict, reason)
        prompt = answer.get("prompt")
        if (
            verdict != "rewrite"
            or not isinstance(prompt, str)
            or not 0 < len(prompt.strip()) <= LONGEST_PROMPT
        ):
            return GateVerdict("failed", "Its answer is neither allow, deny, nor rewrite with a prompt.")
        return GateVerdict("rewrite", prompt=prompt)

    async def _enhance(
        self, request: GenerationRequest, options: GateOptions, *, key: ClientKey, request_id: str
    ) -> GateVerdict:
        """One that fails leaves the prompt as it was: it judges nothing, and the timeline says so."""

        async def ask() -> GateVerdict:
            messages = [
                {"role": "system", "content": options.enhance_instructions},
                {"role": "user", "content": request.prompt},
            ]
            body = {"model": options.enhance_model, "messages": messages}
            answer = await self._ask_account(CHAT, body, key=key, request_id=request_id)
            prompt = _chat_text(answer).strip()
            if not 0 < len(prompt) <= LONGEST_PROMPT or find_word(options.words, [prompt]):
                return GateVerdict("failed", "Its answer is no prompt.")
            return GateVerdict("rewrite", prompt=prompt)

        if not options.enhance_model:
            return _counted("enhance", GateVerdict("failed", "No model is set."))
        return _counted("enhance", await _within(ask, options.gate_seconds))

    async def _ask_account(
        self, path: str, body: Mapping[str, Any], *, key: ClientKey, request_id: str
    ) -> Any:
        return await self._open_calls().ask(path, body, key=key, request_id=request_id)


def judged_texts(request: GenerationRequest) -> tuple[str, ...]:
    """Every text of a client that an upstream may read."""
    texts = (request.prompt, request.negative_prompt or "", *(shot.prompt for shot in request.shots))
    return tuple(text for text in texts if text)


def _rewritten(request: GenerationRequest, prompt: str) -> GenerationRequest:
    """With the client's own prompt beside the one that is sent."""
    own = request.prompt if request.prompt_asked is None else request.prompt_asked
    return request.model_copy(update={"prompt": prompt, "prompt_asked": own})


async def _ask_words(request: GenerationRequest, options: GateOptions) -> GateVerdict:
    found = find_word(options.words, judged_texts(request))
    return GateVerdict("deny", "it holds a word that is not allowed here") if found else GateVerdict("allow")


async def _within(ask: Callable[[], Awaitable[GateVerdict]], seconds: float) -> GateVerdict:
    try:
        async with asyncio.timeout(seconds):
            return await ask()
    except TimeoutError:
        return GateVerdict("failed", f"No answer within {seconds:g} seconds.")
    except FilmgateError as error:
        return GateVerdict("failed", error.message[:LONGEST_REASON])


def _counted(gate: str, verdict: GateVerdict) -> GateVerdict:
    GATE_VERDICTS.labels(gate, verdict.outcome).inc()
    if verdict.outcome == "failed":
        log.warning("gate.failed", gate=gate, reason=verdict.reason)
    return verdict


def _chat_text(answer: Any) -> str:
    """The text of a chat completion; empty for anything else."""
    try:
        content = answer["choices"][0]["message"]["content"]
    except (KeyError, IndexError, TypeError):
        return ""
    return content if isinstance(content, str) else ""
