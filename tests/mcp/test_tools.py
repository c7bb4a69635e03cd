"""The tools as the official Python client calls them, over HTTP."""

from typing import Any

import httpx2
import pytest

from tests.mcp.conftest import FILM, Era, House, facts, refusal

ERAS = pytest.mark.parametrize("era", ["auto", "legacy"])
DONE = ("completed", "failed")


@ERAS
async def test_a_film_from_order_to_link(house: House, era: Era) -> None:
    heard: list[float] = []

    async def hear(progress: float, _total: float | None, _message: str | None) -> None:
        heard.append(progress)

    house.upstream.script(statuses=["queued", "in_progress", "completed"])
    async with house.agent(era) as agent:
        made = await agent.call_tool("make_video", FILM, progress_callback=hear)
        film = facts(made)
        while film["status"] not in DONE:
            made = await agent.call_tool("get_video", {"video_id": film["id"], "wait_seconds": 50})
            film = facts(made)
    assert (film["status"], film["model"], film["price_usd"]) == ("completed", "sora-2", 0.5)
    assert heard and heard == sorted(set(heard))
    assert [block.type for block in made.content] == ["text", "image"]
    assert made.content[1].mime_type == "image/webp"
    answer = httpx2.get(film["url"])  # without a key
    assert (answer.status_code, answer.headers["content-type"]) == (200, "video/mp4")
    assert house.upstream.counters().jobs == 1


@ERAS
async def test_a_film_that_takes_long_is_answered_with_its_id(house: House, era: Era) -> None:
    house.upstream.script(statuses=["in_progress"])
    async with house.agent(era) as agent:
        begun = facts(await agent.call_tool("make_video", FILM | {"wait_seconds": 0}))
        assert begun["status"] in ("queued", "in_progress")
        assert begun["id"] in begun["next"] and "get_video" in begun["next"]
        assert "price_usd" not in begun
        await house.upstream.until(lambda seen: seen.jobs == 1)
        house.upstream.script()
        film = begun
        while film["status"] not in DONE:
            look = {"video_id": begun["id"], "wait_seconds": 50}
            film = facts(await agent.call_tool("get_video", look))
    assert (film["id"], film["status"]) == (begun["id"], "completed")
    assert house.upstream.counters().jobs == 1


async def test_a_budget_is_the_key_s(house: House) -> None:
    async with house.agent(key=house.poor) as agent:
        said = refusal(await agent.call_tool("make_video", FILM))
        assert "insufficient_quota" in said and "request id: req_" in said
        models = facts(await agent.call_tool("list_models", {}))["models"]
    [sora] = [model for model in models if model["name"] == "sora-2"]
    assert sora["price"] == {"per_call": "0.5"}
    assert house.upstream.counters().jobs == 0


async def test_films_of_another_key_are_not_found(house: House) -> None:
    house.upstream.script(statuses=["in_progress"])
    async with house.agent() as agent:
        film = facts(await agent.call_tool("make_video", FILM | {"wait_seconds": 0}))
    async with house.agent(key=house.other) as stranger:
        for tool, arguments in (
            ("get_video", {"video_id": film["id"]}),
            ("cancel_video", {"video_id": film["id"]}),
            ("edit_video", {"video": film["id"], "prompt": "snow"}),
            ("extend_video", {"video": film["id"], "prompt": "it sails on", "seconds": 4}),
        ):
            assert "not_found" in refusal(await stranger.call_tool(tool, arguments)), tool
    async with house.agent() as agent:
        assert facts(await agent.call_tool("get_video", {"video_id": film["id"]}))["status"] != "failed"


async def test_a_cancelled_film_ends(house: House) -> None:
    house.upstream.script(statuses=["in_progress"])
    async with house.agent() as agent:
        film = facts(await agent.call_tool("make_video", FILM | {"wait_seconds": 0}))
        await agent.call_tool("cancel_video", {"video_id": film["id"]})
        ended = film
        while ended["status"] not in DONE:
            ended = facts(await agent.call_tool("get_video", {"video_id": film["id"], "wait_seconds": 50}))
        again = facts(await agent.call_tool("cancel_video", {"video_id": film["id"]}))
    assert (ended["status"], ended["error"]["code"]) == ("failed", "cancelled")
    assert again["status"] == "failed"


async def test_edits_and_extensions_are_films_of_their_own(house: House) -> None:
    async with house.agent() as agent:
        source = await _finished(agent, "make_video", FILM)
        edited = await _finished(agent, "edit_video", {"video": source["id"], "prompt": "snow"})
        more = {"video": source["id"], "prompt": "it sails on", "seconds": 4}
        longer = await _finished(agent, "extend_video", more)
    assert len({source["id"], edited["id"], longer["id"]}) == 3
    seen = house.upstream.counters()
    assert (seen.jobs, edited["status"], longer["status"]) == (3, "completed", "completed")


async def test_a_picture_is_shown(house: House) -> None:
    async with house.agent() as agent:
        wish = {"prompt": "a lighthouse", "model": "gpt-image-1", "size": "1024x1024"}
        made = await agent.call_tool("make_image", wish)
    assert len(facts(made)["images"]) == 1
    assert [block.type for block in made.content] == ["text", "image"]
    assert house.upstream.counters().requests["images"] == 1


async def test_wrong_arguments_name_their_field(house: House) -> None:
    async with house.agent() as agent:
        assert "wait_seconds" in refusal(await agent.call_tool("make_video", FILM | {"wait_seconds": 90}))
        said = refusal(await agent.call_tool("make_video", FILM | {"size": "large"}))
        assert "field: size" in said and "1280x720" in said
        assert "prompt" in refusal(await agent.call_tool("make_video", {"model": "sora-2"}))
    assert house.upstream.counters().jobs == 0


async def test_what_a_host_is_told_beforehand(house: House) -> None:
    async with house.agent() as agent:
        tools = {tool.name: tool for tool in (await agent.list_tools()).tools}
    buying = {name for name, tool in tools.items() if "COSTS MONEY" in (tool.description or "")}
    assert buying == {"make_video", "edit_video", "extend_video", "make_image"}
    for name, tool in tools.items():
        hints = tool.annotations
        assert hints is not None and hints.read_only_hint is (
            name in {"get_video", "list_models", "quote_video"}
        )
        assert hints.destructive_hint is (name == "cancel_video")
        assert tool.output_schema is not None, name
        assert all("description" in field for field in tool.input_schema["properties"].values()), name


async def _finished(agent: Any, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    film = facts(await agent.call_tool(tool, arguments))
    while film["status"] not in DONE:
        film = facts(await agent.call_tool("get_video", {"video_id": film["id"], "wait_seconds": 50}))
    return film
