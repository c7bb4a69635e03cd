"""Characters: made from a clip or a task, named in any prompt, one thing behind two doors."""

import base64
import re
from typing import Any

import httpx2
import pytest

from app.components import Components
from app.providers.base import Account
from tests.e2e.conftest import Setting
from tests.e2e.footage import read_clip, read_picture
from tests.e2e.test_features import contents, finished
from tests.serving import until

USERNAME = r"[a-z0-9_]+\.[0-9a-f]{8}"


@pytest.fixture(scope="module")
def source(http: httpx2.Client) -> str:
    """A finished task of four seconds."""
    body = {"prompt": "[studio:fast] a duck", "seconds": 4, "size": "128x72", "async_mode": True}
    task_id = str(http.post("/v1/videos/generate", json=body).json()["task_id"])
    assert finished(http, task_id)["status"] == "completed"
    return task_id


@pytest.fixture(scope="module")
def clip(http: httpx2.Client, source: str) -> bytes:
    return http.get(f"/v1/videos/{source}/content").content


@pytest.fixture(scope="module")
def character(http: httpx2.Client, source: str) -> dict[str, Any]:
    made = http.post("/sora/v1/characters", json={"from_task": source, "timestamps": "1,3"})
    assert made.status_code == 200, made.text
    found: dict[str, Any] = made.json()
    return found


def test_the_answer_is_that_of_the_manual(
    http: httpx2.Client, keyless: httpx2.Client, character: dict[str, Any]
) -> None:
    assert set(character) == {"id", "username", "permalink", "profile_picture_url"}
    assert re.fullmatch(r"ch_[0-9a-f]{32}", character["id"])
    assert re.fullmatch(USERNAME, character["username"])
    assert read_picture(keyless.get(character["profile_picture_url"]).content)[0] == "webp"
    assert keyless.get(character["profile_picture_url"] + "x").status_code == 403
    assert http.get(character["permalink"]).json()["id"] == character["id"]
    assert (
        f"/v1/characters/{character['id']}?" in character["permalink"]
    )  # a username is unique to its key only
    opened = keyless.get(character["permalink"], follow_redirects=True)  # as a browser does
    assert read_clip(opened.content).seconds == 2.0
    assert keyless.get(character["permalink"] + "x").status_code == 403
    assert keyless.get(character["permalink"].partition("?")[0]).status_code == 401


def test_an_own_film_is_a_clip_by_any_of_its_names(http: httpx2.Client, source: str) -> None:
    """The outbound guard need not let our own address through: the film comes from our store."""
    link = http.get(f"/v1/videos/{source}").json()["url"].replace("127.0.0.1", "video.example.com")
    for named in (link, f"https://video.example.com/v1/videos/video_{source}/content", f"task_{source}"):
        body = {"url": named, "timestamps": "0,1", "from_task": "video_637efe22-3b6a-47ad-ab02-ee01a686a0bd"}
        made = http.post("/sora/v1/characters", json=body)
        assert made.status_code == 200, made.text
        assert http.post("/v1/characters/create", json={"video": named}).status_code == 200


def test_the_clip_is_cut_to_the_moment(
    http: httpx2.Client, setting: Setting, character: dict[str, Any]
) -> None:
    folder = setting.gateway.folder / "files" / "characters" / character["id"].replace("ch_", "char_")
    kept = read_clip((folder / "clip.mp4").read_bytes())
    assert (kept.codec, kept.size, kept.seconds) == ("h264", "128x72", 2.0)


def test_two_doors_to_one_thing(http: httpx2.Client, clip: bytes, character: dict[str, Any]) -> None:
    other_door = http.get(f"/v1/videos/characters/{character['id']}").json()
    assert other_door["id"] == character["id"].replace("ch_", "char_")
    files = {"video": ("mossy.mp4", clip, "video/mp4")}
    mossy = http.post("/v1/videos/characters", data={"name": "Mossy"}, files=files).json()
    found = http.get(f"/v1/characters/{mossy['id']}").json()
    assert (found["display_name"], found["created_at"]) == ("Mossy", mossy["created_at"])
    assert re.fullmatch(r"mossy\.[0-9a-f]{8}", found["username"])
    assert http.get(f"/v1/characters/@{found['username']}").json()["id"] == found["id"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"timestamps": None}, "timestamps"),
        ({"timestamps": "3,1"}, "timestamps"),
        ({"timestamps": "1,1.9"}, "timestamps"),
        ({"timestamps": "0,3.5"}, "timestamps"),
        ({"timestamps": "3,5"}, "timestamps"),
        ({"timestamps": "one,three"}, "timestamps"),
        ({"from_task": None}, "url or from_task"),
        ({"url": "http://127.0.0.1:1/a.mp4"}, "url"),  # the manual's own example sends both: the clip counts
        ({"from_task": None, "url": "http://127.0.0.1:1/a.mp4"}, "url"),
        ({"from_task": None, "url": "bm8gdmlkZW8="}, "url"),
    ],
    ids=str,
)
def test_each_rule_names_its_field(
    http: httpx2.Client, source: str, fields: dict[str, Any], param: str
) -> None:
    body = {"from_task": source, "timestamps": "1,3"} | fields
    answer = http.post("/sora/v1/characters", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_by_address_and_the_same_twice(http: httpx2.Client, source: str, character: dict[str, Any]) -> None:
    link = http.get(f"/v1/tasks/{source}").json()["result_urls"][0]
    first, again = (
        http.post("/sora/v1/characters", json={"url": link, "timestamps": "0,1"}).json() for _ in range(2)
    )
    assert first["username"] == again["username"] != character["username"]


@pytest.mark.parametrize("form", ["@{}", "@{{{}}}"])
def test_a_username_in_the_prompt_of_every_dialect(
    http: httpx2.Client, setting: Setting, character: dict[str, Any], form: str
) -> None:
    """What the studio is given is on the task: a subject."""
    prompt = f"{form.format(character['username'])} on a stage [studio:reject]"
    message = [{"role": "user", "content": prompt}]
    small = {"size": "64x64", "seconds": 1}
    http.post("/v1/videos", json={"prompt": prompt, **small})
    http.post("/v1/chat/completions", json={"model": "sora-2", "messages": message, **small})
    http.post("/v2/videos/generations", json={"prompt": prompt, "model": "sora-2"})
    http.post("/v1/videos/generate", json={"prompt": prompt, "async_mode": True})

    async def media(components: Components) -> list[list[str]]:
        tasks, _ = await components.tasks.page(
            await components.keys.authenticate(setting_key(setting)), limit=4
        )
        return [[item.role for item in task.request.media] for task in tasks]

    assert setting.gateway.prepare(media) == [["subject"]] * 4


def setting_key(setting: Setting) -> str:
    return setting.gateway.environment["FILMGATE_API_KEY"]


def test_the_character_is_seen_in_the_video(http: httpx2.Client, character: dict[str, Any]) -> None:
    bodies = [
        {"prompt": f"[studio:fast] {who} waves", "size": "64x64", "seconds": 1, "async_mode": True, "seed": 1}
        for who in (f"@{character['username']}", "@nobody.at.all")
    ]
    made = [http.post("/v1/videos/generate", json=body).json()["task_id"] for body in bodies]
    assert [finished(http, task_id)["status"] for task_id in made] == ["completed"] * 2


def test_somebody_elses_character_is_nobodys(
    http: httpx2.Client, setting: Setting, character: dict[str, Any], source: str
) -> None:
    with setting.gateway.client(key=setting.keys.other) as stranger:
        assert stranger.get(f"/v1/characters/{character['username']}").status_code == 404
        assert stranger.delete(f"/v1/characters/{character['username']}").status_code == 404
        assert stranger.get("/v1/characters").json()["data"] == []
        theft = {"from_task": source, "timestamps": "1,3"}
        assert stranger.post("/sora/v1/characters", json=theft).status_code == 404


def test_told_like_a_chat(http: httpx2.Client, clip: bytes) -> None:
    video = "data:video/mp4;base64," + base64.b64encode(clip).decode()
    lines = contents(http.post("/v1/characters/create", json={"video": video, "stream": True}).text)
    told = re.fullmatch(rf"✨ 角色已识别: (.+) \(@({USERNAME})\)\n", lines[-2])
    assert told, lines
    assert lines[-1] == f"角色创建成功，角色名@{told[2]}\n"
    assert http.get(f"/v1/characters/{told[2]}").json()["display_name"] == told[1]
    whole = http.post("/v1/characters/create", json={"video": video, "name": "Daisy Duck"}).json()
    assert whole["choices"][0]["message"]["content"].startswith("✨ 角色已识别: Daisy Duck (@daisyduck.")
    assert whole["character"]["username"].startswith("daisyduck.")
    refused = http.post("/v1/characters/create", json={"video": video, "async_mode": True})
    assert refused.json()["error"]["param"] == "async_mode"


def test_a_character_and_a_video_with_it(http: httpx2.Client, clip: bytes) -> None:
    video = base64.b64encode(clip).decode()
    body = {"prompt": "[studio:fast] dances", "video": video, "seconds": 1, "size": "64x64"}
    lines = contents(http.post("/v1/characters/generate", json=body | {"stream": True}).text)
    assert lines[0].startswith("✨ 角色已识别: ")
    assert lines[-1].startswith("```html")
    whole = http.post("/v1/characters/generate", json=body).json()["choices"][0]["message"]["content"]
    assert whole.startswith("✨")
    assert whole.endswith("</video>\n```")
    task_id = http.post("/v1/characters/generate", json=body | {"async_mode": True}).json()["task_id"]
    assert finished(http, task_id)["status"] == "completed"


def test_list_pages_and_delete(http: httpx2.Client, setting: Setting, clip: bytes) -> None:
    with setting.gateway.client(key=setting.keys.lister) as own:
        made = []
        for name in ("One", "Two", "Three"):
            files = {"video": ("a.mp4", clip, "video/mp4")}
            made.append(own.post("/v1/videos/characters", data={"name": name}, files=files).json()["id"])
        first = own.get("/v1/characters?limit=2").json()
        assert [c["display_name"] for c in first["data"]] == ["Three", "Two"]
        assert first["has_more"] is True
        rest = own.get(f"/v1/characters?after={first['data'][-1]['username']}").json()
        assert ([c["display_name"] for c in rest["data"]], rest["has_more"]) == (["One"], False)
        link = rest["data"][0]["profile_picture_url"]
        gone = own.delete(f"/v1/characters/{made[0]}").json()
        assert gone == {"id": rest["data"][0]["id"], "object": "character.deleted", "deleted": True}
        assert own.get(f"/v1/characters/{made[0]}").status_code == 404
        assert own.get(link).status_code == 404
        assert not (setting.gateway.folder / "files" / "characters" / made[0]).exists()


def test_a_model_whose_upstreams_take_none(http: httpx2.Client, setting: Setting, character: Any) -> None:
    """Such an account is there for a moment only, and for no other model."""

    async def add(components: Components) -> None:
        account = Account(
            id="",
            provider="minimax",
            name="without characters",
            base_url=setting.upstream.url,
            secret="x",
            models={"plain-video": "MiniMax-Hailuo-02"},
            kinds=frozenset({"video"}),
            options={"default_model": "*"},
        )
        await components.pool.add(account)

    setting.gateway.prepare(add)

    def known() -> bool:
        return http.get("/v1/models/plain-video").status_code == 200

    until(known)
    body = {"prompt": f"@{character['username']} waves", "model": "plain-video", "duration": 6}
    answer = http.post("/v2/videos/generations", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "characters")

    async def remove(components: Components) -> None:
        await components.accounts.remove("without characters")

    setting.gateway.prepare(remove)
