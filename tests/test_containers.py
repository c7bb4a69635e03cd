"""The image and both compose files, as docs/deploying.md says, with a real engine: needs Docker, its Compose and the base
images. ``.ci/run`` says whether it found them; elsewhere set ``FILMGATE_TEST_DOCKER=1``."""

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from openai import OpenAI

from tests.serving import KEY, ROOT, until

LARGEST_IMAGE = 450_000_000
FILMS = 6

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),  # the image is built from nothing
    pytest.mark.skipif(
        os.environ.get("FILMGATE_TEST_DOCKER") != "1",
        reason="NOT RUN: no Docker engine (FILMGATE_TEST_DOCKER=1); the image was not built and compose not run",
    ),
]


class Project:
    """A compose project of its own, in a folder that holds what the image is built from."""

    def __init__(self, folder: Path, file: str) -> None:
        self._folder = folder
        self._base = ["compose", "--project-name", f"filmgate-{secrets.token_hex(4)}", "--file", file]

    def compose(self, *arguments: str) -> str:
        return docker(*self._base, *arguments, cwd=self._folder)

    def maker(self) -> str:
        """A container that makes films."""
        service = "worker" if "worker" in self.compose("config", "--services").split() else "filmgate"
        return self.compose("ps", "--quiet", service).split()[0]

    def client(self) -> OpenAI:
        address = self.compose("port", "filmgate", "8000").strip()
        return OpenAI(base_url=f"http://{address}/v1", api_key=KEY)


def docker(*arguments: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(["docker", *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a fresh clone holds of it, with the image built: over the host's network, as some engines have no other."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in (
        ".dockerignore",
        "Dockerfile",
        "requirements.lock",
        *(one.name for one in ROOT.glob("docker-compose*")),
    ):
        shutil.copy(ROOT / name, folder / name)
    for name in ("app", "migrations", "admin_static"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    settings = {
        "FILMGATE_API_KEY": KEY,
        "FILMGATE_PUBLISH": "127.0.0.1:0",
        "FILMGATE_SECRET_KEY": secrets.token_hex(32),
        "POSTGRES_PASSWORD": secrets.token_hex(16),
    }
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    docker("build", "--network", "host", "--tag", "filmgate", ".", cwd=folder)
    return folder


@pytest.fixture(params=["docker-compose.yml", "docker-compose.scale.yml"])
def project(request: pytest.FixtureRequest, checkout: Path) -> Iterator[Project]:
    project = Project(checkout, request.param)
    scaled = ("--scale", "worker=2") if "scale" in request.param else ()
    try:
        project.compose("up", "--detach", "--no-build", "--wait", *scaled)
        yield project
    finally:
        project.compose("down", "--volumes", "--timeout", "30")


def test_the_image_is_small_and_holds_no_installer(checkout: Path) -> None:
    (image,) = json.loads(docker("image", "inspect", "filmgate"))
    assert image["Size"] < LARGEST_IMAGE
    assert image["Config"]["User"] == "filmgate"
    program = "import importlib.util as u; print([n for n in ('pip', 'setuptools') if u.find_spec(n)])"
    assert docker("run", "--rm", "--entrypoint", "python", "filmgate", "-c", program) == "[]\n"


def test_films_are_made_though_a_container_is_killed(project: Project) -> None:
    client = project.client()
    films = [
        client.videos.create(model="sora-2", prompt=f"A kite {number}", seconds="4", size="720x1280").id
        for number in range(FILMS)
    ]
    docker("kill", "--signal", "KILL", project.maker())
    project.compose("up", "--detach", "--no-build", "--wait", "--no-recreate")
    client = project.client()
    ended = [until(partial(ended_film, client, film), timeout=600) for film in films]
    assert ended == ["completed"] * FILMS
    assert len(client.videos.download_content(films[0]).read()) > 1000
    project.compose("exec", "-T", "filmgate", "filmgate", "doctor")  # ends with 1 where something is wrong


def ended_film(client: OpenAI, film: str) -> str | None:
    """How it ended; none as long as it goes on."""
    status = client.videos.retrieve(film).status
    return status if status in ("completed", "failed") else None
