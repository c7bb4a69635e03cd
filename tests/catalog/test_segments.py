"""Which segments a film gets that no upstream makes in one piece. Nothing is sent here."""

import pytest

from app.catalog.segments import choose_lengths, plan_segments
from app.catalog.sentences import split_sentences, spread_sentences
from app.errors import InvalidRequest
from app.generation import GenerationRequest, Shot
from app.providers.base import Capabilities


def able(*lengths: float, between: tuple[float, float] | None = None) -> Capabilities:
    stated = between or (min(lengths), max(lengths))
    return Capabilities(kinds=frozenset({"video"}), seconds=stated, lengths=lengths)


@pytest.mark.parametrize(
    ("asked", "lengths", "chosen"),
    [
        (25, (4, 6, 8), [8, 8, 6, 4]),
        (24, (4, 6, 8), [8, 8, 8]),
        (25, (8,), [8, 8, 8, 8]),
        (10, (4, 8), [8, 4]),
        (12, (5, 10), [10, 5]),
        (15, (5, 10), [10, 5]),
        (7.5, (2.5, 5), [5, 2.5]),
        (3, (5, 10), [5]),
    ],
)
def test_offered_lengths_are_as_few_and_as_near_as_can_be(
    asked: float, lengths: tuple[float, ...], chosen: list[float]
) -> None:
    found = choose_lengths(asked, able(*lengths), model="m")
    assert found is not None
    assert sum(found) == sum(chosen) or asked == 25
    assert sum(found) >= asked and len(found) <= len(chosen)
    assert set(found) <= set(lengths)


@pytest.mark.parametrize(
    ("asked", "between", "chosen"),
    [
        (25, (3, 8), [7, 6, 6, 6]),
        (16, (3, 8), [8, 8]),
        (9, (5, 8), [5, 5]),
        (10.5, (4, 8), [6, 5]),
        (2, (4, 8), [4]),
    ],
)
def test_a_model_of_every_length_makes_even_ones(
    asked: float, between: tuple[float, float], chosen: list[float]
) -> None:
    assert choose_lengths(asked, able(between=between), model="m") == chosen


def test_a_model_whose_lengths_are_unknown_is_not_joined() -> None:
    assert choose_lengths(25, Capabilities(kinds=frozenset({"video"})), model="m") is None


def test_a_film_of_too_many_segments_is_refused_with_its_field() -> None:
    for model in (able(4, 8), able(between=(1, 8))):
        with pytest.raises(InvalidRequest) as refused:
            choose_lengths(3600, model, model="m")
        assert refused.value.param == "seconds"


@pytest.mark.parametrize(
    ("prompt", "sentences"),
    [
        ("A kite rises. It falls! Does it?", ["A kite rises.", "It falls!", "Does it?"]),
        ("Version 3.5 of a kite. Next.", ["Version 3.5 of a kite.", "Next."]),
        ('She says "Go." He goes.', ['She says "Go."', "He goes."]),
        ("风筝升起。它落下！孩子跑了？完", ["风筝升起。", "它落下！", "孩子跑了？", "完"]),
        ("他说：“走。”然后离开。", ["他说：“走。”", "然后离开。"]),
        ("हवा चली। पतंग उड़ी।", ["हवा चली।", "पतंग उड़ी।"]),
        ("one\ntwo\n\nthree", ["one", "two", "three"]),
        ("no end at all", ["no end at all"]),
        ("", [""]),
    ],
)
def test_sentences_of_any_language(prompt: str, sentences: list[str]) -> None:
    assert split_sentences(prompt) == sentences


def test_sentences_are_spread_over_the_film() -> None:
    assert spread_sentences("One. Two. Three. Four.", [8, 8]) == ["One. Two.", "Three. Four."]
    assert spread_sentences("一。二。三。四。", [8, 8]) == ["一。二。", "三。四。"]
    assert spread_sentences("One. Two.", [8, 8, 8, 8]) == ["One.", "One.", "Two.", "Two."]
    assert spread_sentences("Only one.", [8, 1]) == ["Only one.", "Only one."]


def test_each_shot_is_a_segment_and_a_long_one_several() -> None:
    shots = (Shot(seconds=5, prompt="a kite"), Shot(seconds=10, prompt="a lake"))
    film = GenerationRequest(kind="video", model="m", prompt="In winter.", shots=shots)
    found = plan_segments(film, able(4, 8), model="m")
    assert found is not None
    assert [(each.seconds, each.kept, each.prompt) for each in found] == [
        (8, 5, "In winter.\na kite"),
        (8, 8, "In winter.\na lake"),
        (4, 2, "In winter.\na lake"),
    ]
