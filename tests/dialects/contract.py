"""The contract that every dialect keeps, as a suite: a dialect's test inherits one of the two classes here.

``DialectContract`` is for every dialect; ``TaskDialectContract`` adds what holds for those that create tasks. A subclass
names its dialect and says in few words how its clients ask. The test of ``app/dialects/<name>`` is
``tests/dialects/test_<name>.py``, where the others find how the dialect reads a task.
"""

import json
import re
import time
import uuid
from abc import abstractmethod
from collections.abc import Iterator
from importlib import import_module
from typing import Any, ClassVar

import httpx2
import pytest
from fastapi.routing import APIRoute

from app.dialects.base import Dialect
from app.dialects.registry import DIALECTS, envelopes_by_path
from app.errors import InvalidRequest
from app.tasks.states import PUBLIC_STATES
from app.tasks.task import parse_task_id
from tests.dialects.conftest import FilmGateway, ServedGateway
from tests.dialects.film_words import FilmRoute, misread_words
from tests.serving import until
from tests.webhooks.receiver import Receiver

PROMPT = "[studio:fast] a paper boat"
UNKNOWN_ID = "0" * 32
SMALL: dict[str, Any] = {"size": "64x64", "seconds": 1}
Document = dict[str, Any]


class DialectContract:
    """Holds for every dialect."""

    dialect: ClassVar[Dialect]
    bad_call: ClassVar[tuple[str, str, Document | None]]
    """Method, path and body of a request that is refused with 400."""
    read_path: ClassVar[str] = ""
    """Where the dialect reads one task, with ``{}`` for its id; empty where it reads none."""
    task_schema: ClassVar[str] = ""
    """The schema of what it reads there."""

    @pytest.fixture
    def http(self, served: ServedGateway) -> Iterator[httpx2.Client]:
        with served.client() as client:
            yield client

    @pytest.fixture
    def document(self, served: ServedGateway) -> Document:
        """What `/openapi.json` says."""
        document: Document = httpx2.get(f"{served.url}/openapi.json").json()
        return document

    def status_of(self, answer: Document) -> str:
        """The status word in what the dialect reads of a task."""
        return str(answer["status"])

    def paths(self) -> set[str]:
        routes = self.dialect.routes
        paths = [
            route.path_format
            for router in routes.routers
            for route in router.routes
            if isinstance(route, APIRoute)
        ]
        return {*paths, *(f"/v1/{relayed.path}" for relayed in routes.relayed)}

    def assert_own_envelope(self, answer: httpx2.Response) -> None:
        """The error has the form of the dialect's envelope, in the answer as in its schema."""
        envelope = self.dialect.error_envelope
        example = envelope.error_body(InvalidRequest("x", param="y"), request_id="z")
        assert answer.headers["content-type"] == "application/json"
        assert _form(answer.json()) == _form(example), answer.text
        if envelope.request_id_header:
            assert answer.headers[envelope.request_id_header] == answer.headers["x-request-id"]

    # ---- every dialect ----

    def test_its_name_is_its_package(self) -> None:
        assert type(self.dialect).__module__.split(".")[-2:] == [self.dialect.name, "answer"]

    def test_a_bad_request_is_refused_in_its_own_envelope(self, http: httpx2.Client) -> None:
        method, path, body = self.bad_call
        answer = http.request(method, path, json=body)
        assert answer.status_code == 400, answer.text
        self.assert_own_envelope(answer)

    def test_a_missing_key_is_refused_in_its_own_envelope(self, served: ServedGateway) -> None:
        method, path, body = self.bad_call
        answer = httpx2.request(method, f"{served.url}{path}", json=body)
        assert answer.status_code == 401
        self.assert_own_envelope(answer)

    def test_its_paths_answer_in_its_envelope(self) -> None:
        envelopes = envelopes_by_path((*DIALECTS, self.dialect))
        for path in self.paths():
            assert envelopes.envelope_for(path) is self.dialect.error_envelope, path

    def test_its_routes_stand_in_the_openapi_document(self, document: Document) -> None:
        tags = {tag["name"] for tag in document["tags"]}
        for path in self.paths():
            for operation in document["paths"][path].values():
                assert operation["summary"], path
                assert set(operation["tags"]) <= tags
                errors = operation["responses"]["401"]["$ref"]
                assert errors == f"#/components/responses/{self.dialect.error_schema}401"
                assert bool(operation.get("security")) == self.dialect.needs_key(path)

    def test_its_schemas_are_used(self, document: Document) -> None:
        used = re.findall(r"#/components/schemas/(\w+)", json.dumps(document))
        assert set(self.dialect.schemas) <= set(used)
        assert set(self.dialect.examples) <= set(self.dialect.schemas)

    def test_it_has_a_word_for_every_state(self, document: Document) -> None:
        words = self.dialect.status_words
        assert set(words) in (set(), set(PUBLIC_STATES))
        if self.task_schema:
            schema = _properties(document, self.task_schema)["status"]
            assert set(schema["enum"]) == set(words.values())


class TaskDialectContract(DialectContract):
    """Holds for every dialect that creates tasks."""

    create_path: ClassVar[str]
    create_status: ClassVar[int] = 200
    webhook_field: ClassVar[str] = "notify_hook"
    film_routes: ClassVar[tuple[FilmRoute, ...]]
    """Its routes that make films. Empty for a dialect whose words are not those of films."""

    @abstractmethod
    def create_body(self, prompt: str) -> Document:
        """What a client sends to make a small video or picture of ``prompt``."""

    def task_id_in(self, answer: httpx2.Response) -> str:
        """The id of the new task, as the dialect writes it."""
        return str(answer.json()["id"])

    def create(
        self,
        http: httpx2.Client,
        *,
        headers: dict[str, str] | None = None,
        fields: dict[str, str] | None = None,
    ) -> str:
        body = self.create_body(PROMPT) | (fields or {})
        answer = http.post(self.create_path, json=body, headers=headers)
        assert answer.status_code == self.create_status, answer.text
        return self.task_id_in(answer)

    def finish(self, http: httpx2.Client, name: str) -> Document:
        """The task as `/v1/tasks` writes it, when it has completed."""

        def completed() -> Document | None:
            task: Document = http.get(f"/v1/tasks/{name}").json()
            assert task["status"] != "failed", task
            return task if task["status"] == "completed" else None

        return until(completed)

    # ---- every dialect that creates tasks ----

    def test_it_writes_its_own_ids(self, http: httpx2.Client) -> None:
        name = self.create(http)
        assert name.startswith(self.dialect.id_prefix)
        assert parse_task_id(name, prefixes=[self.dialect.id_prefix])

    def test_every_dialect_reads_its_tasks(self, http: httpx2.Client) -> None:
        name = self.create(http)
        self.finish(http, name)
        for reader in [*readers(), type(self)]:
            if reader.read_path:
                answer = http.get(reader.read_path.format(name))
                assert answer.status_code == 200, answer.text
                assert reader().status_of(answer.json()) == reader.dialect.status_words["completed"]

    def test_an_unknown_id(self, http: httpx2.Client) -> None:
        for name in (f"{self.dialect.id_prefix}{UNKNOWN_ID}", "nothing"):
            self._assert_not_found(http, name)

    def test_another_owner(self, http: httpx2.Client, served: ServedGateway) -> None:
        name = self.create(http)
        with served.client(served.other_key) as stranger:
            self._assert_not_found(stranger, name)

    def _assert_not_found(self, http: httpx2.Client, name: str) -> None:
        path = self.read_path or "/v1/tasks/{}"
        answer = http.get(path.format(name))
        assert answer.status_code == 404
        if self.read_path:
            self.assert_own_envelope(answer)

    def test_the_webhook_gets_what_a_get_answers(self, http: httpx2.Client) -> None:
        with Receiver() as receiver:
            name = self.create(http, fields={self.webhook_field: receiver.url})
            self.finish(http, name)
            [event] = until(lambda: [seen.event for seen in receiver.seen])
        if type(self.dialect).webhook_body is Dialect.webhook_body:
            assert event["object"] == "event"
            assert event["type"] in ("video.completed", "image.completed")
            task_id = parse_task_id(event["data"]["id"], prefixes=["video_"])
            assert task_id == parse_task_id(name, prefixes=[self.dialect.id_prefix])
        else:
            path = self.read_path or "/v1/tasks/{}"
            assert _unsigned(event) == _unsigned(http.get(path.format(name)).json())

    def test_every_word_for_a_film_is_used_or_refused_with_its_name(self, films: FilmGateway) -> None:
        wrong = {
            (route.path, form): found
            for route in self.film_routes
            for form in route.forms
            if (found := misread_words(films, route, form=form))
        }
        assert wrong == {}

    def test_one_idempotency_key_makes_one_task(self, http: httpx2.Client) -> None:
        headers = {"idempotency-key": uuid.uuid4().hex}
        first = self.create(http, headers=headers)
        assert self.create(http, headers=headers) == first
        body = self.create_body(f"{PROMPT} at {time.time()}")
        conflict = http.post(self.create_path, json=body, headers=headers)
        assert conflict.status_code == 409
        self.assert_own_envelope(conflict)


def contract_of(dialect: Dialect) -> type[DialectContract]:
    """The test class of a dialect. Raises ``LookupError`` that names what is missing."""
    name = f"tests.dialects.test_{dialect.name}"
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        raise LookupError(f"app/dialects/{dialect.name} has no {name.replace('.', '/')}.py") from error
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, DialectContract) and value.__module__ == name:
            return value
    raise LookupError(f"{name.replace('.', '/')}.py holds no DialectContract for {dialect.name}")


def readers() -> list[type[DialectContract]]:
    return [contract_of(dialect) for dialect in DIALECTS]


def _form(value: Any) -> Any:
    """The keys of an object, at every depth."""
    return {key: _form(inner) for key, inner in value.items()} if isinstance(value, dict) else None


def _properties(document: Document, schema: str) -> Document:
    found = document["components"]["schemas"][schema]
    parts = found.get("allOf", [found])
    properties: Document = {}
    for part in parts:
        name = part.get("$ref", "").rpartition("/")[2]
        properties |= _properties(document, name) if name else part["properties"]
    return properties


def _unsigned(value: Any) -> Any:
    """Without the queries of links: signatures depend on the second they are made in."""
    if isinstance(value, dict):
        return {key: _unsigned(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_unsigned(inner) for inner in value]
    return value.partition("?")[0] if isinstance(value, str) and value.startswith("http") else value
