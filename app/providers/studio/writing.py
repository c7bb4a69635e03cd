"""Which language a prompt is written in, as far as it decides how its characters look and what a shot is called."""

from functools import lru_cache
from typing import Literal, TypeAlias

Language: TypeAlias = Literal["", "SC", "TC", "JP", "KR"]
"""Simplified and Traditional Chinese, Japanese, Korean; empty for everything else."""
FONT_PLACES: dict[Language, int] = {"": 0, "SC": 0, "TC": 1, "JP": 2, "KR": 3}
"""In the collection of fonts."""
_SHOT_TITLES: dict[Language, str] = {
    "": "Shot {number} / {count}",
    "SC": "镜头 {number} / {count}",
    "TC": "鏡頭 {number} / {count}",
    "JP": "ショット {number} / {count}",
    "KR": "샷 {number} / {count}",
}
_CODECS: dict[Language, str] = {"SC": "gb2312", "TC": "big5", "JP": "shift_jis"}
"""The national character sets; of equal ones the first counts."""


def shot_title(text: str, number: int, count: int) -> str:
    """``text`` is what the film's prompts say."""
    return _SHOT_TITLES[language_of(text)].format(number=number, count=count)


@lru_cache(maxsize=256)
def language_of(text: str) -> Language:
    """By letters that one language alone has; Chinese characters are those of the language that writes most of them so."""
    if any(is_hangul(character) for character in text):
        return "KR"
    if any("ぁ" <= character <= "ヺ" for character in text):
        return "JP"
    characters = [character for character in text if "\u3400" <= character <= "\u9fff"]
    if not characters:
        return ""
    return max(
        _CODECS, key=lambda language: sum(_is_encodable(each, _CODECS[language]) for each in characters)
    )


def is_hangul(character: str) -> bool:
    return "가" <= character <= "힣" or "ᄀ" <= character <= "ᇿ" or "ㄱ" <= character <= "ㆎ"


def _is_encodable(character: str, codec: str) -> bool:
    try:
        character.encode(codec)
    except UnicodeEncodeError:
        return False
    return True
