"""Lines are broken where a reader would break them."""

import unicodedata

import pytest

from app.providers.studio.captions import break_lines, drawable_text, fit_text, load_font
from app.providers.studio.writing import FONT_PLACES, Language, language_of, shot_title


def test_lines_stay_within_the_width_and_lose_nothing() -> None:
    text = "一只橘猫坐在老城的屋顶上，望着远处的群山。Then the wind turns, and it rains."
    lines = break_lines(text, load_font(30), 300)
    assert all(load_font(30).getlength(line) <= 300 for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_punctuation_does_not_begin_a_line() -> None:
    lines = break_lines("望着远处，的群山。" * 20, load_font(30), 157)
    assert [line for line in lines if line[0] in "，。"] == []


def test_words_stay_whole_unless_longer_than_a_line() -> None:
    assert break_lines("quiet evening", load_font(30), 130) == ["quiet", "evening"]
    assert len(break_lines("x" * 100, load_font(30), 130)) > 5


def test_a_short_prompt_is_large_and_a_long_one_ends_in_dots() -> None:
    large, _ = fit_text("Dawn", 720, (800, 360))
    small, lines = fit_text("A long tale. " * 200, 720, (800, 360))
    assert large > 2 * small
    assert lines[-1].endswith("…")


def test_signs_without_a_glyph_go_and_letters_become_boxes() -> None:
    assert drawable_text("cat 🐈‍⬛ roof") == "cat roof"
    assert drawable_text("ไทย") == "□□□"
    assert drawable_text("\u202eabc\x00") == "abc"


PROMPTS = {
    "SC": "一只可爱的猫在阳台上看风景",
    "TC": "一隻可愛的貓在陽臺上看風景，龍與鳳凰飛過臺灣的夜市",
    "JP": "ベランダで景色を眺める可愛い猫、桜の駅前",
    "KR": "발코니에서 풍경을 보는 귀여운 고양이",
    "": "A cat on a balcony: Straße, Ωμεγα, Москва, Việt Nam",
}


@pytest.mark.parametrize("language", PROMPTS)
def test_nothing_of_these_languages_is_a_box(language: Language) -> None:
    text = PROMPTS[language]
    assert language_of(text) == language
    assert drawable_text(unicodedata.normalize("NFD", text)) == text


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (PROMPTS["SC"], "镜头 1 / 3"),
        (PROMPTS["TC"], "鏡頭 1 / 3"),
        (PROMPTS["JP"], "ショット 1 / 3"),
        ("東京駅", "ショット 1 / 3"),
        (PROMPTS["KR"], "샷 1 / 3"),
        ("a boat", "Shot 1 / 3"),
        ("", "Shot 1 / 3"),
    ],
)
def test_a_shot_is_called_what_its_language_calls_it(text: str, title: str) -> None:
    assert shot_title(text, 1, 3) == title
    assert drawable_text(title) == title


def test_each_language_has_its_own_forms() -> None:
    """One code, another drawing: 骨 is turned the other way in Simplified Chinese."""
    masks = {language: bytes(load_font(40, language).getmask("骨")) for language in FONT_PLACES if language}
    assert masks["SC"] not in (masks["TC"], masks["JP"])


def test_every_character_of_the_national_sets_is_there() -> None:
    for codec, first, last in (
        ("gb2312", 0x4E00, 0x9FFF),
        ("shift_jis", 0x4E00, 0x9FFF),
        ("utf-8", 0xAC00, 0xD7A3),
    ):
        characters = "".join(map(chr, range(first, last + 1))).encode(codec, "ignore").decode(codec)
        assert drawable_text(characters) == characters


def test_korean_words_stay_whole() -> None:
    assert break_lines("귀여운 고양이", load_font(30, "KR"), 110) == ["귀여운", "고양이"]
