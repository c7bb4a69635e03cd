"""The table of words for a film is whole: the contract of dialects holds every route that makes one against it."""

from fastapi.routing import APIRoute

from app.dialects.fields.options import FIELD_WORDS
from app.dialects.fields.schemas import FILM_FIELDS
from app.dialects.registry import DIALECTS
from tests.dialects.contract import TaskDialectContract, contract_of
from tests.dialects.film_words import SAMPLES

NO_FILMS = {
    "/v1/videos/characters": "makes a character",
    "/v1/videos/quote": "says what /v1/videos would make",
    "/v1/content_provenance_checks": "says what is known of a file",
    "/v1/files": "keeps the lines of a batch",
    "/v1/batches": "makes what each line asks, as /v1/videos does",
    "/v1/batches/{batch_id}/cancel": "cancels them",
    "/v1/characters/create": "makes a character",
    "/v1/characters/generate": "makes a character, and then what /v1/videos/generate makes",
}
"""Other POST routes of dialects that make films, and what they do."""


def test_every_word_has_a_sample_and_a_schema() -> None:
    assert set(SAMPLES) == FIELD_WORDS
    assert set(FILM_FIELDS) == FIELD_WORDS


def test_every_route_is_held_against_the_table_or_makes_no_film() -> None:
    contracts = [contract_of(dialect) for dialect in DIALECTS]
    makers = [each for each in contracts if issubclass(each, TaskDialectContract) and each.film_routes]
    routes = [
        route
        for maker in makers
        for router in maker.dialect.routes.routers
        for route in router.routes
        if isinstance(route, APIRoute) and "POST" in route.methods
    ]
    paths = {route.path for maker in makers for route in maker.film_routes}
    held = {route.path_format for route in routes if any(route.path_regex.match(path) for path in paths)}
    assert {route.path_format for route in routes} - held == set(NO_FILMS)
