"""The snippets of the user's guide that are marked for it run as they stand; only address and key are replaced."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from app.components import Components
from app.generation import Kind
from app.providers.base import Account
from tests.conftest import leave_out
from tests.serving import KEY, ROOT, GatewayProcess
from tests.upstream import FakeUpstream
from tests.upstream.vendors.anthropic import AnthropicServer
from tests.upstream.vendors.openai_words import WordsServer

MARKED = re.compile(r"<!-- run -->\n```(\w+)\n(.*?)```", re.DOTALL)
PROGRAMS = {
    "python": (".py", [sys.executable, "-X", "utf8", "-W", "ignore"]),
    "bash": (".sh", ["bash", "-euo", "pipefail"]),
    "js": (".mjs", ["node"]),
}
PAGES = ("clients.md", "after-sora.md")


def snippets() -> Iterator[tuple[str, str, str]]:
    for page in PAGES:
        for number, found in enumerate(MARKED.finditer((ROOT / "docs" / page).read_text()), 1):
            yield f"{page} {number} {found[1]}", found[1], found[2]


SNIPPETS = list(snippets())


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """With accounts for the models that the pages speak of; images come from the studio."""
    found = GatewayProcess(tmp_path_factory.mktemp("documented"), FILMGATE_STUDIO="on")
    with ExitStack() as stack:
        films = stack.enter_context(FakeUpstream())
        words, claude = stack.enter_context(WordsServer()), stack.enter_context(AnthropicServer())

        async def fill(components: Components) -> None:
            account = Account(
                id="",
                provider="openai_compatible",
                name="films",
                base_url=f"{films.url}/v1",
                secret="x",
                models={"sora-2": "fake-video"},
                kinds=frozenset({"video"}),
                slots=20,
            )
            await components.pool.add(account)
            models = {name: name for name in ("gpt-5-mini", "gpt-4o-mini-tts")}
            kinds = frozenset[Kind]({"text", "audio"})
            spoken = replace(account, name="words", base_url=f"{words.url}/v1", models=models, kinds=kinds)
            await components.pool.add(spoken)
            native = {"claude-sonnet-4-5": "claude"}
            await components.pool.add(
                replace(
                    spoken,
                    name="claude",
                    provider="anthropic",
                    base_url=claude.url,
                    secret=AnthropicServer.key,
                    models=native,
                    kinds=frozenset({"text"}),
                )
            )

        found.prepare(fill)
        stack.enter_context(found)
        yield found


@pytest.mark.parametrize(("language", "source"), [s[1:] for s in SNIPPETS], ids=[s[0] for s in SNIPPETS])
def test_a_snippet(
    gateway: GatewayProcess, language: str, source: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    ending, program = PROGRAMS[language]
    if shutil.which(program[0]) is None:
        leave_out(f"{program[0]} is not installed")
    if language == "js":
        (tmp_path / "node_modules").mkdir()
        for package in (request.getfixturevalue("packages") / "node_modules").glob("[!.]*"):
            (tmp_path / "node_modules" / package.name).symlink_to(package)
        (tmp_path / "node_modules" / "filmgate-client").symlink_to(ROOT / "clients" / "node")
    (tmp_path / "filmgate_client").symlink_to(ROOT / "app" / "client")
    assert "http://127.0.0.1:8000" in source and "sk-fg-…" in source
    script = tmp_path / f"snippet{ending}"
    script.write_text(source.replace("http://127.0.0.1:8000", gateway.url).replace("sk-fg-…", KEY))
    done = subprocess.run(
        [*program, script.name],
        cwd=tmp_path,
        env=os.environ | {"NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert not re.search(r'False|"error": ?\{', done.stdout), done.stdout
    for name in re.findall(r"(?:write_to_file\(|writeFileSync\(|-o )\"?([\w.]+)", source):
        assert (tmp_path / name).stat().st_size > 0, name


@pytest.mark.parametrize("page", PAGES)
def test_the_chinese_page_shows_the_same_programs(page: str) -> None:
    chinese = (ROOT / "docs" / page.replace(".md", ".zh-CN.md")).read_text()
    assert [found.groups() for found in MARKED.finditer(chinese)] == [
        (language, source) for name, language, source in SNIPPETS if name.startswith(page)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_client_is_shown(page: str) -> None:
    languages = {language for name, language, _ in SNIPPETS if name.startswith(page)}
    assert languages == set(PROGRAMS)
