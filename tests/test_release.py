"""A release as users install it: the files that are published, in an environment that has no checkout."""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import httpx2
import pytest

from app import __version__, client
from app.db import revision
from app.media.analysis import measure_clip
from tests.serving import KEY, ROOT, GatewayProcess

FOREIGN = "raise RuntimeError('the package of another project was imported')\n"


def run(*command: str | Path, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Nothing in the environment leads to this checkout."""
    hidden = ("FILMGATE_", "OPENAI_", "PYTHON")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=kept, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def build(source: Path, folder: Path) -> Path:
    """The wheel, made as pip makes it: of the source package, not of the checkout."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=source)
    (packed,) = folder.glob("*.tar.gz")
    with tarfile.open(packed) as files:
        files.extractall(folder / "source", filter="data")
    (unpacked,) = (folder / "source").iterdir()
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=unpacked)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with both wheels. The packages that they depend on are those of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    own = build(ROOT / "app" / "client", folder / "client")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    python = folder / "venv" / "bin" / "python"
    packages = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).stdout
    (Path(packages.strip()) / "packages.pth").write_text(sysconfig.get_path("purelib"))
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps")
    run(*pip, wheel, own, cwd=folder)
    return python.parent


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder that holds other packages of our names, as that of a project with an ``app`` does."""
    for name in ("app", "migrations", "admin_static"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(FOREIGN)
    return tmp_path


def tracked(*folders: str) -> set[str]:
    listed = run("git", "ls-files", "--", *folders, cwd=ROOT).stdout.split()
    return {name for name in listed if (ROOT / name).is_file()}


def test_the_wheel_holds_every_file_that_it_needs_and_no_other(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = {name for name in files.namelist() if ".dist-info/" not in name}
    assert names == tracked("app", "migrations", "admin_static")
    assert wheel.name == f"filmgate-{__version__}-py3-none-any.whl"


def test_the_installed_command_makes_a_film_in_a_folder_of_other_packages(
    installed: Path, elsewhere: Path
) -> None:
    filmgate = installed / "filmgate"
    assert run(filmgate, "--version", cwd=elsewhere).stdout == f"filmgate {__version__}\n"
    wish = ("--once", "--seconds", "1", "--size", "320x180", "-o", "film.mp4")
    run(filmgate, "demo", *wish, cwd=elsewhere)
    film = measure_clip(elsewhere / "film.mp4")
    assert (film.width, film.height, film.codec) == (320, 180, "h264")


class InstalledGateway(GatewayProcess):
    def __init__(self, folder: Path, program: Path) -> None:
        super().__init__(folder / "data", FILMGATE_STUDIO="on")
        self._folder, self._program = folder, program

    def _open_process(self, arguments: list[str], environment: dict[str, str]) -> "subprocess.Popen[str]":
        clean = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
        command = [str(self._program), *arguments]
        with self.log.open("a") as log:
            return subprocess.Popen(
                command, cwd=self._folder, env=clean, stdout=subprocess.PIPE, stderr=log, text=True
            )


def test_the_installed_gateway_serves_its_panel_and_the_installed_client_reads_it(
    installed: Path, elsewhere: Path
) -> None:
    with InstalledGateway(elsewhere, installed / "filmgate") as gateway:
        with httpx2.Client(base_url=gateway.url) as browser:
            for path in sorted(tracked("admin_static")):
                if path.endswith((".js", ".css", ".woff2", ".svg")) and "/docs/" not in path:
                    served = browser.get(path.replace("admin_static", "/admin", 1))
                    assert (path, served.status_code) == (path, 200)
            assert browser.get("/docs").status_code == 200
        program = (
            f"import filmgate_client as f; c = f.Filmgate(base_url='{gateway.url}/v1', api_key='{KEY}');"
            "print(f.__version__, len(c.videos.list().data), f.__file__)"
        )
        version, films, path = run(installed / "python", "-c", program, cwd=elsewhere).stdout.split()
    assert (version, films) == (__version__, "0")
    assert path.startswith(str(installed.parent))


def test_what_is_released_together_has_one_version() -> None:
    node = json.loads((ROOT / "clients" / "node" / "package.json").read_text())
    assert {client.__version__, node["version"]} == {__version__}
    for name in ("pyproject.toml", "app/client/pyproject.toml"):
        assert "version" in tomllib.loads((ROOT / name).read_text())["project"]["dynamic"]


def test_the_changelog_and_the_way_back_know_every_release() -> None:
    """A release is first in the changelog, and from each a store can be brought back to any before it."""
    headings = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == __version__
    assert set(headings) == set(revision.RELEASES)
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", one) for one in headings)
    revisions = [revision.RELEASES[one] for one in headings]
    assert revisions == sorted(revisions, reverse=True)
