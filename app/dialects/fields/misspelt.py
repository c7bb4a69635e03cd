"""Fields that are one slip of the finger away from a word of ours: passed on, they would change nothing and tell nobody."""

from collections.abc import Collection, Iterable

from app.errors import InvalidRequest

SHORTEST = 5
"""Shorter words have too many real neighbours, as seed and speed."""
REAL_WORDS = frozenset({"mode", "modes", "modal", "weight", "radio"})
"""Fields of vendors that look like a slip and are none."""


def refuse_misspelt(names: Iterable[str], known: Collection[str]) -> None:
    """Raises ``InvalidRequest`` that names the field and the word that was meant."""
    for name in names:
        if name in REAL_WORDS:
            continue
        meant = next((word for word in sorted(known) if is_slip(name, word)), None)
        if meant is not None:
            raise InvalidRequest(f"There is no field {name}; did you mean {meant}?", param=name)


def is_slip(name: str, word: str) -> bool:
    """Whether one letter of ``word`` is missing, doubled, wrong or swapped with the next; not its first. A plural is no slip,
    nor is a number: vendors have ``video_urls`` and ``image2``."""
    if len(word) < SHORTEST or name == word or abs(len(name) - len(word)) > 1 or name[:1] != word[0]:
        return False
    same = next(
        (at for at, (left, right) in enumerate(zip(name, word, strict=False)) if left != right),
        min(len(name), len(word)),
    )
    if name == word + "s" or name[same : same + 1].isdigit():
        return False
    longer, shorter = (name, word) if len(name) > len(word) else (word, name)
    if len(name) != len(word):
        return longer[same + 1 :] == shorter[same:]
    swapped = name[same + 1 : same + 2] + name[same : same + 1] + name[same + 2 :]
    return name[same + 1 :] == word[same + 1 :] or swapped == word[same:]
