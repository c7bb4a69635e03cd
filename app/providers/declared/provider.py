"""Upstreams that no adapter speaks: a TOML file says what is sent and where the answers hold what."""

import tomllib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from app.errors import InvalidRequest, PollFailed
from app.generation import GenerationRequest, Kind
from app.providers.base import (
    Account,
    AccountBalance,
    Capabilities,
    Operation,
    PollAnswer,
    Provider,
    RelayTarget,
    ResultFile,
    Submission,
    base_url_or,
)
from app.providers.declared.answers import DeclaredAnswer, error_meaning, read_poll
from app.providers.declared.declaration import OPTION, read_declaration
from app.providers.declared.requests import roles_said, submit_body
from app.providers.declared.templates import fill_path, fill_template
from app.providers.http import REFUSED_STATUSES, UpstreamClient
from app.providers.http_errors import poll_error, submit_error, unnamed_task

EXAMPLE = Path(__file__).with_name("example.toml")


def _sample_declaration() -> dict[str, Any]:
    """The example without its address, as every declaration has its own."""
    return {name: part for name, part in tomllib.loads(EXAMPLE.read_text()).items() if name != "base_url"}


class DeclaredProvider(Provider):
    """``options.declaration``: the content of the file (``example.toml`` is one)."""

    name = "declared"
    title = "Declared in a TOML file"
    auth_scheme = "as declared"
    verified = "documented"
    sample_models = ("Wan-AI/Wan2.2-T2V-A14B", "Wan-AI/Wan2.2-I2V-A14B")
    sample_options: ClassVar[Mapping[str, Any]] = {OPTION: _sample_declaration()}

    def __init__(self, account: Account, http: UpstreamClient) -> None:
        self.declaration = read_declaration(account)
        self.poll_interval = self.declaration.poll.interval
        super().__init__(account, http)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        declaration = read_declaration(account)
        if not account.base_url.strip() and not declaration.base_url:
            text = "base_url is required here, or in the declaration"
            raise InvalidRequest(text, param="base_url", reason="missing")
        return base_url_or(account, declaration.base_url)

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        auth = read_declaration(account).auth
        return {auth.header: fill_template(auth.value, {"secret": account.secret})} if account.secret else {}

    def capabilities(self, model: str) -> Capabilities:
        facts, said = self.declaration.facts_of(model), self.declaration
        if facts is None:
            makes: set[Kind] = {said.kind, "text"} if said.text_path else {said.kind}
            known = Capabilities(kinds=self.account.kinds or frozenset(makes), roles=roles_said(said))
        else:
            known = facts.capabilities()
        asks_again = bool(said.submit.idempotency_header)
        return replace(known, cancel=said.cancel is not None, idempotency_key=asks_again)

    def check(self, request: GenerationRequest) -> None:
        submit_body(request, self.declaration)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        said = self.declaration.submit
        header = said.idempotency_header
        answer = await self.http.post_json(
            fill_path(said.path, {"model": request.model}),
            submit_body(request, self.declaration),
            answer=DeclaredAnswer,
            headers={header: submission.idempotency_key} if header else None,
            even_if=self._has_error,
        )
        meaning = error_meaning(answer.body, self.declaration)
        if meaning is not None:
            text = self._error_text(answer.body)
            raise submit_error(meaning, text, status=answer.status, headers=answer.headers)
        name = answer.body.find_text(said.id)
        if not name:
            raise unnamed_task(self.declaration.title)
        return Operation(id=name)

    async def recover(self, request: GenerationRequest, submission: Submission) -> Operation | None:
        if not self.declaration.submit.idempotency_header:
            return await super().recover(request, submission)
        return await self.start_again(request, submission)

    async def poll(self, operation: Operation) -> PollAnswer:
        said, values = self.declaration.poll, {"id": operation.id}
        path, params = fill_path(said.path, values), fill_template(dict(said.params), values) or None
        if said.method == "GET":
            answer = await self.http.get(path, answer=DeclaredAnswer, params=params, even_if=self._has_error)
        else:
            body = fill_template(dict(said.body), values) or {}
            answer = await self.http.post_json(
                path, body, answer=DeclaredAnswer, params=params, purpose="poll", even_if=self._has_error
            )
        meaning = error_meaning(answer.body, self.declaration)
        if meaning is not None:
            text = self._error_text(answer.body)
            raise poll_error(meaning, text, status=answer.status, headers=answer.headers)
        reason = self.http.clean_text(answer.body.find_text(said.reason))
        return read_poll(answer.body, operation, self.declaration, reason=reason, provider=self.name)

    async def cancel(self, operation: Operation) -> bool:
        said = self.declaration.cancel
        if said is None:
            return False
        path = fill_path(said.path, {"id": operation.id})
        if said.method == "POST":
            answer = await self.http.post_json(
                path, {}, answer=DeclaredAnswer, purpose="poll", even_if=lambda _: True
            )
            if answer.status >= 300 and answer.status not in REFUSED_STATUSES:
                raise poll_error(
                    None, self._error_text(answer.body), status=answer.status, headers=answer.headers
                )
            return answer.status < 300
        return await (self.http.put(path) if said.method == "PUT" else self.http.delete(path))

    def fetch(self, operation: Operation, file: ResultFile) -> AsyncIterator[bytes]:
        return self.download(str(file.data["path"]), what="a film")

    def relay_target(self, path: str) -> RelayTarget | None:
        before = self.declaration.text_path
        if before is None:
            return None
        url = self.http.absolute_url(f"{before}/{path.lstrip('/')}")
        return RelayTarget(url, self.auth_headers(self.account))

    async def balance(self) -> AccountBalance | None:
        said = self.declaration.balance
        if said is None:
            return None
        left = (await self.http.get(said.path, answer=DeclaredAnswer)).body.find(said.left)
        try:
            return AccountBalance(float(left), said.unit)
        except (TypeError, ValueError) as error:
            raise PollFailed(f"{self.declaration.title} states no balance that can be read") from error

    def _has_error(self, answer: DeclaredAnswer) -> bool:
        return error_meaning(answer, self.declaration) is not None

    def _error_text(self, answer: DeclaredAnswer) -> str:
        errors = self.declaration.errors
        return self.http.clean_text(f"{answer.find_text(errors.message)} ({answer.find_text(errors.code)})")
