"""Prices before a film is made: quotes, bounds, and the question to the person."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp_types import ElicitResult

from tests.cli.running import ROOT, environment
from tests.mcp.conftest import FILM, Era, House, facts, refusal
from tests.serving import KEY

WISH = FILM | {"wait_seconds": 0}


def person(asked: list[str], action: Any, **content: Any) -> Callable[..., Any]:
    async def answer(_context: Any, params: Any) -> ElicitResult:
        asked.append(params.message)
        return ElicitResult(action=action, content=content or None)

    return answer


async def test_a_quote_makes_nothing(house: House) -> None:
    async with house.agent() as agent:
        quote = facts(await agent.call_tool("quote_video", FILM))
        assert (float(quote["price"]), quote["model"], quote["seconds"]) == (0.5, "sora-2", "4")
        assert "field: size" in refusal(await agent.call_tool("quote_video", FILM | {"size": "large"}))
        dear = await agent.call_tool("make_video", WISH | {"max_cost": 0.2})
        assert "field: max_cost" in refusal(dear)
    assert house.upstream.counters().jobs == 0


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_who_can_ask_nobody_is_told_the_price(house: House, era: Era) -> None:
    async with house.agent(era) as agent:
        said = refusal(await agent.call_tool("make_video", WISH | {"confirm_above": 0.4}))
        assert "0.5" in said and "confirmed true" in said and "confirmation_required" in said
        assert house.upstream.counters().jobs == 0
        facts(await agent.call_tool("make_video", WISH | {"confirm_above": 0.6}))
        facts(await agent.call_tool("make_video", WISH | {"confirm_above": 0.4, "confirmed": True}))
    await house.upstream.until(lambda seen: seen.jobs == 2)


async def test_the_person_decides(house: House) -> None:
    wish, asked = WISH | {"confirm_above": 0.4}, list[str]()
    for no in (person(asked, "decline"), person(asked, "accept", make_it=False)):
        async with house.agent(asks=no) as agent:
            assert "declined" in refusal(await agent.call_tool("make_video", wish))
    assert house.upstream.counters().jobs == 0
    async with house.agent(asks=person(asked, "accept", make_it=True)) as agent:
        facts(await agent.call_tool("make_video", wish))
        facts(await agent.call_tool("make_video", WISH))
    await house.upstream.until(lambda seen: seen.jobs == 2)
    assert len(asked) == 3 and all("0.5" in question for question in asked)


async def test_the_host_has_a_bound_too(house: House) -> None:
    bound = {"x-filmgate-confirm-above": "0.40"}
    async with house.agent(**bound) as agent:
        for above in (None, 9.0):
            said = refusal(await agent.call_tool("make_video", WISH | {"confirm_above": above}))
            assert "confirmation_required" in said
    async with house.agent(**{"x-filmgate-confirm-above": "cheap"}) as agent:
        assert "x-filmgate-confirm-above" in refusal(await agent.call_tool("make_video", WISH))
    assert house.upstream.counters().jobs == 0


@pytest.mark.parametrize("era", ["auto", "legacy"])
async def test_the_command_asks_as_well(house: House, era: Era) -> None:
    given = environment(FILMGATE_BASE_URL=f"{house.gateway.url}/v1", FILMGATE_API_KEY=KEY)
    arguments = ["-m", "app.cli", "mcp", "--confirm-above", "0.4"]
    command = StdioServerParameters(command=sys.executable, args=arguments, env=given, cwd=str(ROOT))
    asked: list[str] = []
    yes = person(asked, "accept", make_it=True)
    async with Client(stdio_client(command), mode=era, elicitation_callback=yes) as agent:
        facts(await agent.call_tool("make_video", WISH))
    await house.upstream.until(lambda seen: seen.jobs == 1)
    assert len(asked) == 1
