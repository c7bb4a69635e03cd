"""Makes the studio's font from Noto Sans CJK: ``python tests/providers/studio/make_fonts.py NotoSansCJK-Regular.ttc``.

Needs fonttools (``pip install fonttools``); the source is Debian's fonts-noto-cjk, or the release of
https://github.com/notofonts/noto-cjk. One collection of four fonts, which share their outlines: Simplified and Traditional
Chinese, Japanese, Korean. The same character has another form in each, as in the source. A few minutes.
"""

import io
import sys
from pathlib import Path
from typing import Any

from fontTools import subset  # type: ignore[import-not-found]
from fontTools.ttLib import TTCollection, TTFont, newTable  # type: ignore[import-not-found]
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable  # type: ignore[import-not-found]

FONTS = Path(__file__).parents[3] / "app" / "providers" / "studio" / "fonts"
TARGET = FONTS / "NotoSansCJK-Regular-subset.ttc"
ORDER = {"SC": 2, "TC": 3, "JP": 0, "KR": 1}
"""Our order, with each one's place in the source."""
SIGNS = [
    (0x20, 0x17F), (0x18F, 0x18F), (0x192, 0x192), (0x1A0, 0x1B0), (0x1CD, 0x1DC), (0x2C6, 0x2DD), (0x370, 0x3FF),
    (0x400, 0x45F), (0x1E00, 0x1EFF), (0x2000, 0x206F), (0x20A0, 0x20BF), (0x2100, 0x218F), (0x2190, 0x21FF),
    (0x2200, 0x22FF), (0x2460, 0x24FF), (0x2500, 0x25FF), (0x2600, 0x266F), (0x3000, 0x303F), (0x3040, 0x30FF),
    (0x3100, 0x312F), (0x3130, 0x318F), (0x3220, 0x32FF), (0xFF00, 0xFFEF),
]  # fmt: skip
"""Letters, punctuation and symbols of all four."""


def encodable(codec: str, first: int, last: int) -> set[int]:
    """Of the characters from ``first`` to ``last``, those of a national character set."""
    found = set()
    for number in range(first, last + 1):
        try:
            chr(number).encode(codec)
        except UnicodeEncodeError:
            continue
        found.add(number)
    return found


def characters() -> dict[str, set[int]]:
    """GB 2312; Big5's first level, which holds what is in use; JIS X 0208; every syllable of Korean."""
    signs = {number for first, last in SIGNS for number in range(first, last + 1)}
    first_level = {each for each in encodable("big5", 0x4E00, 0x9FFF) if chr(each).encode("big5")[0] <= 0xC6}
    return {
        "SC": signs | encodable("gb2312", 0x4E00, 0x9FFF),
        "TC": first_level,
        "JP": signs | encodable("shift_jis", 0x4E00, 0x9FFF),
        "KR": set(range(0xAC00, 0xD7A4)),
    }


def make_collection(source: Path) -> TTCollection:
    wanted = characters()
    fonts = TTCollection(source, lazy=True).fonts
    maps: dict[str, dict[int, str]] = {name: fonts[place].getBestCmap() for name, place in ORDER.items()}
    glyphs = {
        maps[name][number] for name, numbers in wanted.items() for number in numbers & maps[name].keys()
    }
    outlines = subset_outlines(fonts[ORDER["SC"]], glyphs)
    every = set().union(*wanted.values())
    collection = TTCollection()
    for name in ORDER:
        kept = [each for each in (name, *ORDER) if each in maps]
        cmap = {}
        for number in every:
            found = [glyph for each in kept if (glyph := maps[each].get(number)) in glyphs]
            if found:
                cmap[number] = found[0]
        collection.fonts.append(with_characters(outlines, cmap))
    return collection


def subset_outlines(font: TTFont, glyphs: set[str]) -> bytes:
    options = subset.Options()
    options.hinting = options.glyph_names = False
    options.notdef_outline = True
    options.layout_features = []
    options.drop_tables += ["VORG", "vhea", "vmtx", "BASE", "GPOS", "GSUB", "GDEF"]
    subsetter = subset.Subsetter(options)
    subsetter.populate(glyphs=glyphs, unicodes=[0x20])
    subsetter.subset(font)
    kept = io.BytesIO()
    font.save(kept)
    return kept.getvalue()


def with_characters(outlines: bytes, cmap: dict[int, str]) -> TTFont:
    font = TTFont(io.BytesIO(outlines))
    table: Any = CmapSubtable.newSubtable(12)
    table.platformID, table.platEncID, table.language, table.cmap = 3, 10, 0, cmap
    font["cmap"] = newTable("cmap")
    font["cmap"].tableVersion, font["cmap"].tables = 0, [table]
    return font


if __name__ == "__main__":
    make_collection(Path(sys.argv[1])).save(TARGET, shareTables=True)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1e6:.1f} MB")
