"""Lines are broken where a reader would break them."""

from app.providers.studio.captions import break_lines, drawable_text, fit_text, load_font


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
    assert drawable_text("한글") == "□□"
    assert drawable_text("\u202eabc\x00") == "abc"
