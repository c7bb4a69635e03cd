"""`demo`: a prompt becomes a playable MP4 through the official SDK."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.media.analysis import measure_clip
from tests.cli.running import filmgate
from tests.serving import KEY, GatewayProcess


def test_demo_makes_an_mp4_of_the_asked_size_and_length(tmp_path: Path) -> None:
    done = filmgate(
        "demo", "--once", "--seconds", "4", "--size", "640x360", "--out", "film.mp4", cwd=tmp_path,
        FILMGATE_DATABASE_URL="postgresql://an:operators@own.invalid/database",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Deprecat" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]
    film = measure_clip(tmp_path / "film.mp4")
    assert (film.width, film.height, film.codec) == (640, 360, "h264")
    assert film.seconds == pytest.approx(4, abs=0.1)
    assert "640x360 · 4.0 s" in done.stdout


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with GatewayProcess(tmp_path_factory.mktemp("served")) as gateway:
        yield {"FILMGATE_BASE_URL": f"{gateway.url}/v1", "FILMGATE_API_KEY": KEY}


def test_generate_saves_a_video_and_tasks_show_it(tmp_path: Path, served: dict[str, str]) -> None:
    wish = ("A kite over dunes", "--seconds", "2", "--size", "320x180", "-o", "kite.mp4")
    done = filmgate("generate", *wish, cwd=tmp_path, **served)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "kite.mp4\n"
    assert "320x180 · 2.0 s" in done.stderr
    listed = filmgate("tasks", "list", cwd=tmp_path, **served).stdout
    assert "A kite over dunes" in listed
    identity = listed.splitlines()[1].split()[0]
    shown = filmgate("tasks", "show", identity, cwd=tmp_path, **served).stdout
    assert "completed" in shown
    assert "http://" in shown
    cancelled = filmgate("tasks", "cancel", identity, cwd=tmp_path, **served)
    assert cancelled.returncode == 0
    assert "completed" in cancelled.stdout  # what has ended stays as it is


def test_generate_says_why_a_video_failed(tmp_path: Path, served: dict[str, str]) -> None:
    done = filmgate("generate", "[studio:fail] never", "-o", "x.mp4", cwd=tmp_path, **served)
    assert done.returncode == 1
    assert done.stderr.startswith("error: The video could not be made: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "given", "says"),
    [
        (("--seconds", "9999"), {}, "HTTP 400"),
        (("--api-key", "sk-wrong"), {}, "rejects this key"),
        (("--api-key", ""), {}, "--api-key"),
        (("-o", "no/such/folder.mp4"), {}, "--out"),
        ((), {"FILMGATE_BASE_URL": "http://127.0.0.1:1/v1"}, "Start one with `filmgate serve`"),
    ],
)
def test_generate_says_in_one_line_what_is_wrong(
    arguments: tuple[str, ...], given: dict[str, str], says: str, tmp_path: Path, served: dict[str, str]
) -> None:
    done = filmgate("generate", "A kite", *arguments, cwd=tmp_path, **(served | given))
    assert done.returncode in (1, 2)
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
