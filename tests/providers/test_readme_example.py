"""The worked example of ``app/providers/README.md``: linted, typed, run, and its places counted."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from app.errors import UpstreamAuthFailed
from app.generation import GenerationRequest
from app.providers.base import Account, Failed, Provider, Queued, Running, Submission, Succeeded
from app.providers.http import UpstreamClient
from tests.upstream.transport import loopback_transport
from tests.upstream.vendors.base import VendorServer

ROOT = Path(__file__).parent.parent.parent
README = ROOT / "app/providers/README.md"
PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)


class AcmeServer(VendorServer):
    """The vendor that the page describes."""

    states = ("waiting", "drawing", "polishing", "ready")

    def routes(self) -> list[BaseRoute]:
        return [Route("/jobs", self.start, methods=["POST"]), Route("/jobs/{id}", self.look)]

    async def start(self, request: Request) -> Response:
        await self.record_request(request)
        if request.headers.get("x-acme-key") != "acme-secret":
            return JSONResponse({"error": "who are you?"}, 401)
        return JSONResponse({"job": self.create_job(await request.json()).id})

    async def look(self, request: Request) -> Response:
        phase = self.jobs[request.path_params["id"]].next_state()
        told: dict[str, Any] = {"phase": phase}
        if phase == "ready":
            told["file"] = "https://files.acme.example/17.mp4"
        return JSONResponse(told)


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    code, _ = PYTHON_BLOCK.findall(README.read_text())
    path = tmp_path_factory.mktemp("example") / "acme.py"
    path.write_text(code)
    spec = importlib.util.spec_from_file_location("acme", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["acme"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["acme"]


@asynccontextmanager
async def open_provider(module: ModuleType, vendor: AcmeServer, *, secret: str) -> AsyncIterator[Provider]:
    kind: type[Provider] = module.AcmeProvider
    account = Account(id="a", provider="acme", name="acme", base_url=vendor.url, secret=secret)
    async with loopback_transport() as transport:
        http = UpstreamClient(
            transport, base_url=kind.base_url_for(account), headers=kind.auth_headers(account)
        )
        provider = kind(account, http)
        yield provider
        await provider.close()


WISH = GenerationRequest(kind="video", model="acme-1", prompt="a kite", seconds=4)


async def test_the_example_makes_a_video(acme: ModuleType) -> None:
    with AcmeServer() as vendor:
        async with open_provider(acme, vendor, secret="acme-secret") as provider:
            operation = await provider.start(WISH, Submission("key"))
            looks = [await provider.poll(operation) for _ in range(4)]
    assert [type(look) for look in looks] == [Queued, Running, Running, Succeeded]
    assert isinstance(looks[-1], Succeeded)
    assert looks[-1].files[0].url == "https://files.acme.example/17.mp4"
    assert vendor.jobs[operation.id].fields == {"model": "acme-1", "text": "a kite", "seconds": 4.0}


async def test_the_example_says_what_went_wrong(acme: ModuleType) -> None:
    with AcmeServer() as vendor:
        vendor.states = ("broken",)
        async with open_provider(acme, vendor, secret="acme-secret") as provider:
            operation = await provider.start(WISH, Submission("key"))
            assert isinstance(await provider.poll(operation), Failed)
        async with open_provider(acme, vendor, secret="another") as stranger:
            with pytest.raises(UpstreamAuthFailed):
                await stranger.start(WISH, Submission("key"))


# ---- the three places ----


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project in which Acme has been added as the page says."""
    folder = tmp_path_factory.mktemp("with_acme")
    unneeded = shutil.ignore_patterns("__pycache__", "*.otf", "contract", "panel", "e2e")
    for name in ("app", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=unneeded)
    shutil.copy2(ROOT / "pyproject.toml", folder)
    code, contract_test = PYTHON_BLOCK.findall(README.read_text())
    package = folder / "app/providers/acme"
    package.mkdir()
    (package / "__init__.py").write_text('"""Acme\'s video API."""\n')
    (package / "provider.py").write_text(code)
    (folder / "tests/providers/test_acme.py").write_text(contract_test)
    registry = folder / "app/providers/registry.py"
    registry.write_text(registry.read_text().replace('    "anthropic",\n', '    "acme",\n    "anthropic",\n'))
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    paths = [path for name in ("app", "tests") for path in (folder / name).rglob("*.py")]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_it_touches_three_places(tree: Path) -> None:
    before, after = files_of(ROOT), files_of(tree)
    changed = {name for name, content in after.items() if before.get(name) != content}
    assert {name.replace("__init__", "provider") for name in changed} == {
        "app/providers/acme/provider.py", "app/providers/registry.py", "tests/providers/test_acme.py",
    }  # fmt: skip
    lines = [len(files["app/providers/registry.py"].splitlines()) for files in (before, after)]
    assert lines[1] - lines[0] == 1


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "--no-cache"),
        ("ruff", "format", "--check", "--no-cache"),
        ("mypy", "--cache-dir", str(ROOT / ".mypy_cache/readme_example")),
    ],
    ids=["style", "format", "types"],
)
def test_it_passes_the_linters(tree: Path, command: tuple[str, ...]) -> None:
    run_in(tree, *command, "app/providers/acme", "app/providers/registry.py", "tests/providers/test_acme.py")


def test_it_passes_the_contract(tree: Path) -> None:
    """And the tests over all providers know it, but for the printed table of the docs."""
    rest = ("-q", "-p", "no:cacheprovider", "-p", "no:randomly")
    run_in(tree, "pytest", "tests/providers/test_acme.py", *rest)
    run_in(tree, "pytest", "tests/providers/test_overview.py", "-k", "acme", *rest)


def run_in(tree: Path, *command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=tree, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
