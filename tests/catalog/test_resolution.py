"""Which route a name resolves to, and what a route may contain."""

import itertools
from typing import Any

import pytest

from app.catalog.candidates import MAX_ALIASES, resolve_name
from app.catalog.route_documents import RouteDocument, read_route, route_json
from app.errors import InvalidRequest


def routes(**given: Any) -> dict[str, RouteDocument]:
    """Names to the account or, with a ``@``, the alias they lead to; ``_`` stands for ``-``, ``ALL`` for ``*``."""
    made = {}
    for name, target in given.items():
        model = name.replace("_", "-").replace("ALL", "*")
        way = {"alias_of": target[1:]} if target.startswith("@") else {"candidates": [{"account": target}]}
        made[model] = read_route({"model": model, **way})
    return made


@pytest.mark.parametrize(
    ("model", "account", "name"),
    [
        ("sora-2", "exact", "sora-2"),
        ("my-cut", "exact", "sora-2"),  # an alias of a name with a route
        ("her-cut", "exact", "sora-2"),  # and an alias of that
        ("sora2-landscape-10s", "exact", "sora-2"),  # a variant goes where its base goes
        ("veo3-fast", "family", "veo3-fast"),  # a family's members keep their names
        ("veo3.1", "longer", "veo3.1"),  # the longest family
        ("veo3-fast-frames", "family", "veo3-fast-frames"),
        ("sora-2-pro", None, "sora-2-pro"),
        ("off", None, "off"),
    ],
)
def test_a_name_resolves_to_its_route(model: str, account: str | None, name: str) -> None:
    known = routes(sora_2="exact", my_cut="@sora-2", her_cut="@my-cut", veoALL="family")
    known |= {"veo3.*": read_route({"model": "veo3.*", "candidates": [{"account": "longer"}]})}
    known |= {"off": read_route({"model": "off", "candidates": [{"any": True}], "enabled": False})}
    found = resolve_name(known, model)
    assert (found.route.candidates[0].account if found.route else None) == account
    assert found.name == name
    assert found.path[0] == model


def test_an_alias_may_stand_for_a_name_without_a_route() -> None:
    found = resolve_name(routes(cheap="@veo3-fast"), "cheap")
    assert (found.route, found.name, found.path) == (None, "veo3-fast", ("cheap", "veo3-fast"))


def test_a_circle_of_aliases_is_a_problem() -> None:
    found = resolve_name(routes(a="@b", b="@c", c="@a"), "a")
    assert found.route is None
    assert found.problem == "the chain of aliases a → b → c → a goes round in a circle"


def test_a_chain_of_aliases_is_followed_only_so_far() -> None:
    names = [f"n{number}" for number in range(MAX_ALIASES + 3)]
    known = {
        each: read_route({"model": each, "alias_of": after}) for each, after in itertools.pairwise(names)
    }
    assert "longer than" in (resolve_name(known, "n0").problem or "")
    assert resolve_name(known, "n2").problem is None


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([None, None, None], [0, 1, 2]),  # each one step behind the one before
        ([0, 0, None], [0, 0, 1]),
        ([2, None, 0], [0, 2, 3]),
    ],
)
def test_the_order_of_candidates(orders: list[int | None], expected: list[int]) -> None:
    candidates = [{"tag": str(n)} | ({} if o is None else {"order": o}) for n, o in enumerate(orders)]
    route = read_route({"model": "m", "candidates": candidates})
    assert [order for order, _ in route.numbered_candidates()] == expected


@pytest.mark.parametrize(
    ("document", "param"),
    [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"model": "a*b", "alias_of": "c"}, "model"),
        ({"model": "a"}, "candidates"),
        ({"model": "a", "alias_of": "a"}, "alias_of"),
        ({"model": "a", "alias_of": "b*"}, "alias_of"),
        ({"model": "a", "alias_of": "b", "candidates": [{"any": True}]}, "candidates"),
        ({"model": "a", "candidates": [{}]}, "candidates.0"),
        ({"model": "a", "candidates": [{"any": False}]}, "candidates.0"),
        ({"model": "a", "candidates": [{"any": True, "tag": "x"}]}, "candidates.0"),
        ({"model": "a", "candidates": [{"account": "x"}, {"account": "x", "model": "y"}]}, "candidates"),
        ({"model": "a", "candidates": [{"any": True}, {"tag": "x", "weight": 0}]}, "candidates.1.weight"),
        ({"model": "a", "candidates": [{"any": True, "colour": "red"}]}, "candidates.0.colour"),
        (
            {"model": "a", "candidates": [{"any": True, "overrides": {"set": {"size": "big"}}}]},
            "candidates.0.overrides.set.size",
        ),
        (
            {"model": "a", "candidates": [{"any": True, "overrides": {"set": {"extra": {"model": "x"}}}}]},
            "candidates.0.overrides.set.extra",
        ),
        (
            {"model": "a", "candidates": [{"any": True, "overrides": {"rename": {"x": "api_key"}}}]},
            "candidates.0.overrides.rename",
        ),
    ],
)
def test_an_invalid_route_names_its_field(document: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_route(document)
    assert caught.value.param == param
    assert caught.value.message.startswith(f"{param}: ")


def test_a_route_is_written_as_it_was_read() -> None:
    overrides = {"set": {"seconds": 8.0, "extra": {"mode": "pro"}}, "rename": {"cfg": "guidance"}}
    document = {
        "model": "sora-2",
        "candidates": [{"account": "kling", "weight": 2.0, "overrides": overrides}, {"any": True}],
        "note": "since Sora went",
    }
    assert route_json(read_route(document)) == document
