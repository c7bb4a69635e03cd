"""What a finished task adds to reports: films, their length, and the vendor's list price where exactly that is known."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from app.generation import GenerationRequest
from app.providers.model_facts import read_facts
from app.tasks.made_films import film_figures
from app.tasks.task import StoredFile, TaskResult


def row(**given: Any) -> Any:
    size = given.pop("size", (1280, 720))
    film = StoredFile(
        name="video.mp4", key="k", content_type="video/mp4", bytes=1, width=size[0], height=size[1],
        seconds=given.pop("seconds", 5.04), made_seconds=given.pop("made_seconds", None),
    )  # fmt: skip
    result = TaskResult(files=(film,), usage=given.pop("reported", {}))
    request = GenerationRequest(kind="video", model="m", prompt="p")
    told = {
        "state": "completed",
        "result": result.model_dump_json(),
        "request": request.model_dump_json(),
        "fitted": None,
        "provider": "ark",
        "upstream_model": "doubao-seedance-2-5-pro",
    }
    return SimpleNamespace(**told | given)


RATE = Decimal(str(read_facts("ark").find_model("doubao-seedance-2-5-pro").prices["720p"]))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("given", "cost"),
    [
        ({}, 5 * RATE),
        ({"size": (720, 1280)}, 5 * RATE),
        ({"made_seconds": 8.0}, 8 * RATE),  # ours was trimmed, the vendor made more
        ({"reported": {"seconds": 7}}, 7 * RATE),
        ({"size": (2560, 1440)}, None),  # of this resolution no price is known
        ({"upstream_model": "doubao-seedance-2-0-pro"}, None),
        ({"upstream_model": None}, None),
        ({"provider": None}, None),
        ({"provider": "openai_compatible"}, None),
    ],
)
def test_the_list_price_counts_where_it_is_known(given: dict[str, Any], cost: Decimal | None) -> None:
    assert film_figures(row(**given))["vendor_cost"] == cost


def test_films_and_their_length() -> None:
    assert film_figures(row()) | {"vendor_cost": 0} == {
        "films": 1,
        "film_milliseconds": 5040,
        "vendor_cost": 0,
    }
    assert film_figures(row(made_seconds=8.5))["film_milliseconds"] == 8500
    nothing = {"films": 0, "film_milliseconds": 0, "vendor_cost": None}
    assert film_figures(row(state="failed")) == film_figures(row(result=None)) == nothing
