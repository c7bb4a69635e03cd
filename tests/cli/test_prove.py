"""`filmgate prove`, as its users run it: the whole story with real processes, real kills and a receipt at the end."""

import re
import string
import subprocess
from pathlib import Path

from app.cli.prove import WORDS
from tests.cli.running import COMMAND, environment

MOST_SECONDS = 1500
"""Only ends a test that hangs: on a machine that does nothing else it takes less than a minute."""


def test_one_film_through_everything_is_made_once_and_paid_once(tmp_path: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    folder = tmp_path / "folder"
    folder.mkdir()
    done = subprocess.run(
        [*COMMAND, "prove", "--lang", "en"],
        cwd=folder,
        env=environment(
            TMPDIR=str(temporary), FILMGATE_DATABASE_URL="postgresql://an:operators@own.invalid/x"
        ),
        text=True,
        capture_output=True,
        timeout=MOST_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = [
        re.escape(text)
        for text in ("Vendor A refuses", "Pod B dies", "has retired", "itself is killed", "starts again")
    ]
    assert re.search(".*".join(told), done.stdout, re.DOTALL), done.stdout
    assert "signature ✓  film ✓  prompt ✓" in done.stdout
    assert "Made once: vendor D has made 1 film. Paid once: the key was charged $0.40." in done.stdout
    assert "640x360 · 4.0 s" in done.stdout
    attempts = re.findall(r"^  \d+\. (film-\w|sora-2): ", done.stdout, re.MULTILINE)
    assert list(dict.fromkeys(attempts)) == ["film-a", "film-b", "film-c", "sora-2"]
    assert list(temporary.iterdir()) == list(folder.iterdir()) == []


def test_the_story_is_the_same_in_both_languages() -> None:
    def blanks(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text)} - {None}

    english, chinese = WORDS["en"], WORDS["zh"]
    assert {name: blanks(text) for name, text in english.items()} == {
        name: blanks(text) for name, text in chinese.items()
    }
