"""What a finished task adds to reports: films, their length, and what its vendor charges, where
exactly that is known."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from app.generation import GenerationRequest
from app.providers.model_facts import read_facts
from app.tasks.made_films import film_figures
from app.tasks.states import JOINED, SEGMENT_DIALECT
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
        "account_id": "ark-1",
        "dialect": "openai_videos",
        "cost_factor": 1.0,
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
        ({"cost_factor": 0.8}, 4 * RATE),
        ({"cost_factor": 0.8, "provider": None}, None),
        ({"cost_factor": 0.8, "size": (2560, 1440)}, None),
        # Who pays nobody knows what it costs, whatever was made.
        ({"cost_factor": 0.0, "size": (2560, 1440)}, Decimal(0)),
        ({"cost_factor": 0.0, "provider": "openai_compatible", "state": "failed"}, Decimal(0)),
        # What the vendor says is what it charges: neither list price nor factor count.
        ({"provider": "openrouter", "reported": {"cost": 0.42}, "cost_factor": 0.5}, Decimal("0.42")),
        ({"provider": "xai", "reported": {"cost_in_usd_ticks": 3_500_000_000}}, Decimal("0.35")),
        ({"provider": "bfl", "reported": {"cost": 7}}, Decimal("0.07")),
        ({"provider": "runway", "reported": {"credits": 25}}, Decimal("0.25")),
        ({"provider": "openai_compatible", "reported": {"cost": "0.1"}}, Decimal("0.1")),
        ({"provider": "openai_compatible", "reported": {"cost": "a lot"}}, None),
        ({"provider": "ark", "reported": {"cost": 99}}, 5 * RATE),  # of this vendor that is no money
    ],
)
def test_the_list_price_counts_where_it_is_known(given: dict[str, Any], cost: Decimal | None) -> None:
    assert film_figures(row(**given))["vendor_cost"] == cost


@pytest.mark.parametrize(
    ("told", "cost"), [({"cost": 0.2}, Decimal("0.2")), ({}, None), (None, None), (Decimal(3), Decimal(3))]
)
def test_a_vendor_may_charge_for_what_it_did_not_make(told: Any, cost: Decimal | None) -> None:
    for state in ("failed", "cancelled"):
        given = row(state=state, result=None, provider="openrouter")
        assert film_figures(given, told)["vendor_cost"] == cost


def test_films_and_their_length() -> None:
    assert film_figures(row()) | {"vendor_cost": 0} == {
        "films": 1,
        "film_milliseconds": 5040,
        "vendor_cost": 0,
    }
    assert film_figures(row(made_seconds=8.5))["film_milliseconds"] == 8500
    nothing = {"films": 0, "film_milliseconds": 0, "vendor_cost": None}
    assert film_figures(row(state="failed")) == film_figures(row(result=None)) == nothing


def test_a_joined_film_is_one_film_and_its_segments_are_what_its_vendors_charge() -> None:
    segment = film_figures(row(dialect=SEGMENT_DIALECT))
    assert segment == {"films": 0, "film_milliseconds": 0, "vendor_cost": 5 * RATE}
    film = film_figures(row(account_id=JOINED, provider=None, cost_factor=None, seconds=25.0))
    assert film == {"films": 1, "film_milliseconds": 25_000, "vendor_cost": 0}
