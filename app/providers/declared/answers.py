"""Reads answers by the picks of a declaration. What a pick does not find is missing, and never a failure."""

from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import RootModel

from app.foreign import clean_number
from app.providers.base import Failed, Operation, PollAnswer, Queued, ResultFile, Running, Succeeded
from app.providers.declared.declaration import Declaration
from app.providers.declared.templates import fill_path
from app.providers.http_errors import ErrorMeaning, missing_file, unknown_task
from app.providers.reading import ErrorDetail, State, mentions_moderation, read_state


class DeclaredAnswer(RootModel[Any]):
    """Any JSON."""

    def find(self, pick: str | None) -> Any:
        """What ``pick`` finds; None when it finds nothing, or something that its functions don't take."""
        if pick is None:
            return None
        try:
            return jmespath.search(pick, self.root)
        except (JMESPathError, TypeError, ValueError, ArithmeticError):
            return None

    def find_text(self, pick: str | None) -> str:
        """A text or a number; empty for anything else."""
        found = self.find(pick)
        return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def error_meaning(answer: DeclaredAnswer, declaration: Declaration) -> ErrorMeaning | None:
    """Of the code in an answer; None for one without a code that the declaration knows."""
    return declaration.errors.meanings.get(answer.find_text(declaration.errors.code))


def read_poll(
    answer: DeclaredAnswer, operation: Operation, declaration: Declaration, *, reason: str, provider: str
) -> PollAnswer:
    """``reason``: the vendor's text without secrets. Raises ``PollFailed`` for work that is done and names no film."""
    said = declaration.poll
    state = read_state(answer.find_text(said.state), said.meanings, provider=provider)
    if state == "queued":
        return Queued()
    if state == "succeeded":
        return _succeeded_answer(answer, operation, declaration)
    if state == "missing":
        raise unknown_task(declaration.title)
    if state == "running":
        return Running(progress=clean_number(answer.find(said.progress), 0.0, 100.0))
    return _failed_answer(answer, state, declaration, reason=reason)


def _succeeded_answer(answer: DeclaredAnswer, operation: Operation, declaration: Declaration) -> Succeeded:
    found = answer.find(declaration.poll.files)
    links = [
        link for link in (found if isinstance(found, list) else [found]) if isinstance(link, str) and link
    ]
    kind, content_type = _file_kind(declaration), declaration.content_type
    files = [ResultFile(kind, content_type, url=link) for link in links]
    if not files and declaration.fetch is not None:
        path = fill_path(declaration.fetch.path, {"id": operation.id})
        files = [ResultFile(kind, content_type, data={"path": path})]
    if not files:
        raise missing_file(declaration.title)
    usage = {name: answer.find(pick) for name, pick in declaration.poll.usage.items()}
    counted = {name: n for name, n in usage.items() if isinstance(n, int | float) and not isinstance(n, bool)}
    return Succeeded(tuple(files), usage=counted)


def _file_kind(declaration: Declaration) -> Any:
    """The kinds of work are those of files, but for characters, which no declaration makes."""
    return declaration.kind


def _failed_answer(answer: DeclaredAnswer, state: State, declaration: Declaration, *, reason: str) -> Failed:
    code = ErrorDetail("", code=answer.find_text(declaration.errors.code))
    text = reason or f"{declaration.title} gave no reason."
    if state == "moderated" or code.is_moderated or mentions_moderation(reason):
        return Failed("content_policy_violation", text)
    return Failed(state if state in ("cancelled", "expired") else "upstream_error", text)
