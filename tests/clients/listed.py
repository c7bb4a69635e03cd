"""Which clients `make clients` tries, and how."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ListedClient:
    """``packages`` are installed in their newest version; the first one's is shown. ``suite`` are tests of this repository
    that then run with it; without them ``program`` of the folder ``programs`` runs, and must end with 0."""

    name: str
    language: Literal["python", "node", ""]
    packages: tuple[str, ...] = ()
    suite: tuple[str, ...] = ()
    program: str = ""


CLIENTS = (
    ListedClient(
        "the manuals' programs",
        "",
        suite=("tests/contract/test_samples.py", "tests/e2e/test_manual_programs.py"),
    ),
    ListedClient(
        "openai",
        "python",
        ("openai",),
        (
            "tests/e2e/test_openai_python.py",
            "tests/e2e/test_openai_relayed.py",
            "tests/e2e/test_own_client.py",
        ),
    ),
    ListedClient("anthropic", "python", ("anthropic",), ("tests/e2e/test_anthropic_python.py",)),
    ListedClient("openrouter", "python", ("openrouter",), ("tests/e2e/test_openrouter.py",)),
    ListedClient(
        "openai, anthropic", "node", ("openai", "@anthropic-ai/sdk"), ("tests/e2e/test_node_sdks.py",)
    ),
    ListedClient("OpenRouter", "node", ("@openrouter/sdk",), program="openrouter.mjs"),
    ListedClient("MCP", "node", ("@modelcontextprotocol/sdk",), ("tests/mcp/test_typescript.py",)),
    ListedClient("MCP inspector", "node", ("@modelcontextprotocol/inspector",), program="mcp_inspector.mjs"),
    ListedClient("TanStack AI", "node", ("@tanstack/ai", "@tanstack/ai-openai"), program="tanstack.mjs"),
    ListedClient("genblaze", "python", ("genblaze", "genblaze-openai"), program="genblaze_video.py"),
    ListedClient("LangChain", "python", ("langchain-openai",), program="langchain_chat.py"),
    ListedClient("llm", "python", ("llm",), program="llm_prompt.py"),
    ListedClient("instructor", "python", ("instructor",), program="instructor_object.py"),
    ListedClient("AIPerf", "python", ("aiperf",), program="aiperf_profile.py"),
    ListedClient("LiteLLM in front", "python", ("litellm[proxy]",), program="litellm_in_front.py"),
    ListedClient("LiteLLM behind", "python", ("litellm[proxy]",), program="litellm_behind.py"),
    ListedClient("filmgate-client, the wheel", "python", ("./app/client",), program="own_wheel.py"),
    ListedClient(
        "filmgate-client, npm pack", "node", ("./clients/node", "typescript"), program="own_package.mjs"
    ),
)
