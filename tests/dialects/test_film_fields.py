"""How the words for a film go together: spellings that differ, names of models that imply something, roles of pictures."""

from typing import Any

import pytest

from tests.dialects.conftest import HEARING, FilmGateway, roles_in
from tests.dialects.film_words import PROMPT, data_uri

VIDEOS = "/v1/videos"
ARK = "/api/v3/contents/generations/tasks"
NEW_API = "/v1/video/generations"
UNIFIED = "/v2/videos/generations"
OPENROUTER = "/api/v1/videos"
GENERATE = "/v1/videos/generate"
ONE, TWO, THREE = (data_uri("image", shade=shade) for shade in (10, 20, 30))
CLIP, SOUND = data_uri("video"), data_uri("audio")


def studio(**fields: Any) -> dict[str, Any]:
    return {"model": "studio", "prompt": PROMPT, **fields}


def sora(**fields: Any) -> dict[str, Any]:
    return studio(**{"model": "sora-2"} | fields)


# ---- one thing in two words ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"seconds": 4, "duration": 8}, ("seconds", "duration")),
        ({"duration": "8", "n_seconds": "9"}, ("duration", "n_seconds")),
        ({"aspect_ratio": "16:9", "ratio": "9:16"}, ("aspect_ratio", "ratio")),
        ({"ratio": "16:9", "orientation": "portrait"}, ("ratio", "orientation")),
        ({"resolution": "720p", "quality": "1080p"}, ("resolution", "quality")),
        ({"resolution": "480p", "hd": True}, ("resolution", "hd")),
        ({"size": "1280x720", "width": 720, "height": 1280}, ("size", "width")),
        ({"size": "1280x720", "aspect_ratio": "9:16"}, ("size", "aspect_ratio")),
        ({"width": 1280, "height": 720, "orientation": "portrait"}, ("width", "orientation")),
        ({"size": "1280x720", "resolution": "1080p"}, ("size", "resolution")),
        ({"size": "1280x720", "resolution": "1920x1080"}, ("size", "resolution")),
        ({"generate_audio": True, "sound": False}, ("generate_audio", "sound")),
        ({"generate_sound": "on", "audio": "off"}, ("generate_sound", "audio")),
        (
            {"notify_hook": "https://a.example/", "callback_url": "https://b.example/"},
            ("notify_hook", "callback_url"),
        ),
        ({"first_frame": ONE, "first_frame_image": TWO}, ("first_frame", "first_frame_image")),
        ({"last_frame": ONE, "image_tail": TWO}, ("last_frame", "image_tail")),
        ({"video": CLIP, "remix_target_id": "$own"}, ("video", "remix_target_id")),
    ],
    ids=lambda value: "+".join(value),
)
@pytest.mark.parametrize("path", [VIDEOS, NEW_API, UNIFIED, GENERATE])
def test_two_words_that_differ_are_refused_and_both_named(
    films: FilmGateway, path: str, fields: dict[str, Any], names: tuple[str, str]
) -> None:
    sent = {name: films.own if value == "$own" else value for name, value in fields.items()}
    param, message = films.refused(path, studio(**sent))
    assert param in names
    assert all(name in message for name in names)


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ({"seconds": "4", "duration": 4.0}, {"seconds": 4.0}),
        ({"aspect_ratio": "9:16", "orientation": "portrait"}, {"aspect_ratio": "9:16"}),
        ({"resolution": "720P", "quality": "720p"}, {"resolution": "720P"}),
        ({"size": "1280x704", "aspect_ratio": "16:9", "resolution": "720p"}, {"size": "1280x704"}),
        ({"size": "96x64", "width": 96, "height": 64, "resolution": "96x64"}, {"size": "96x64"}),
        ({"audio": False, "generate_audio": "false"}, {"sound": False}),
        ({"size": None, "duration": None, "image": None, "images": None, "n": None, "shots": None}, {}),
        ({"aspect_ratio": "", "resolution": " ", "image": "", "last_frame": ""}, {}),
        ({"n": 1, "n_variants": "1"}, {}),
    ],
    ids=lambda value: "+".join(value),
)
def test_words_that_agree_and_nulls(films: FilmGateway, fields: dict[str, Any], read: dict[str, Any]) -> None:
    request = films.read(VIDEOS, studio(**fields))
    assert request.items() >= read.items()
    assert "extra" not in request
    assert "media" not in request


def test_unknown_fields_go_on_as_they_are(films: FilmGateway) -> None:
    unknown = {"mode": "pro", "camera_control": {"type": "simple"}, "quality": "high", "loras": [1]}
    for path in (VIDEOS, NEW_API, UNIFIED, OPENROUTER, GENERATE):
        body = studio(**unknown, nothing=None, async_mode=True) if path == GENERATE else studio(**unknown)
        assert films.read(path, body)["extra"] == unknown, path


def test_a_word_in_another_spelling_is_no_unknown_field(films: FilmGateway) -> None:
    assert films.refused(VIDEOS, studio(Duration=8))[0] == "duration"
    assert films.refused(VIDEOS, studio(IMAGE=ONE))[0] == "image"


# ---- what a model's name implies ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "size", "seconds"),
    [
        ({}, "720x1280", 4.0),
        ({"aspect_ratio": "16:9"}, "1280x720", 4.0),
        ({"orientation": "landscape"}, "1280x720", 4.0),
        ({"ratio": "16:9", "duration": 8}, "1280x720", 8.0),
        ({"width": 1280, "height": 720}, "1280x720", 4.0),
        ({"resolution": "1080p"}, "1080x1920", 4.0),
        ({"resolution": "480p", "orientation": "landscape"}, "854x480", 4.0),
        ({"shots": [{"seconds": 3, "prompt": "a"}, {"seconds": 6, "prompt": "b"}]}, "720x1280", 9.0),
        ({"model": "sora_video2-landscape", "aspect_ratio": "9:16"}, "704x1280", 10.0),
        ({"model": "sora_video2-landscape", "quality": "1080p"}, "1920x1080", 10.0),
        ({"model": "sora2-landscape-10s", "duration": 15}, "1280x720", 15.0),
        ({"model": "sora2pro-hd-landscape-10s"}, "1920x1080", 10.0),
        ({"model": "sora2pro-hd-portrait-15s"}, "1080x1920", 15.0),
        ({"model": "sora_video2-landscape-hd"}, "1920x1080", 10.0),
        ({"model": "sora_video2-hd", "size": "96x64"}, "96x64", 10.0),
        ({"model": "sora_video2-hd-25s"}, "704x1280", 25.0),
    ],
    ids=str,
)
def test_it_never_wins_over_what_the_client_says(
    films: FilmGateway, fields: dict[str, Any], size: str, seconds: float
) -> None:
    request = films.read(VIDEOS, sora(**fields))
    assert (request["size"], request["seconds"]) == (size, seconds)
    assert "aspect_ratio" not in request  # the size says it
    if "resolution" in request:
        assert str(min(int(side) for side in size.split("x"))) in request["resolution"]


def test_hd_in_a_prompt_and_beside_a_size(films: FilmGateway) -> None:
    told = films.read(
        GENERATE, {"model": "sora-2-pro", "prompt": f"横屏，高清，{PROMPT}", "async_mode": True}
    )
    assert (told["size"], told["resolution"]) == ("1920x1080", "1080p")
    pro = {"model": "sora-2-pro", "prompt": PROMPT, "hd": True}
    for size, made in (("1280x720", "1920x1080"), ("1792x1024", "1792x1024"), ("1080x1920", "1080x1920")):
        request = films.read(VIDEOS, pro | {"size": size})
        assert (request["size"], request["resolution"]) == (made, "1080p")


def test_the_answer_tells_what_was_asked(films: FilmGateway) -> None:
    video = films.http.post(VIDEOS, json=sora(orientation="landscape", duration=8)).json()
    assert (video["size"], video["seconds"]) == ("1280x720", "8")


def test_a_remix_keeps_what_its_source_had_unless_told(films: FilmGateway) -> None:
    path = f"{VIDEOS}/{films.own}/remix"
    same = films.read(path, {"prompt": PROMPT})
    assert (same["seconds"], same["size"], same["action"], same["remix_of"]) == (
        1.0,
        "64x64",
        "remix",
        films.own,
    )
    told = films.read(path, {"prompt": PROMPT, "duration": 2, "size": "96x64", "seed": 7, "audio": False})
    assert (told["seconds"], told["size"], told["seed"], told["sound"]) == (2.0, "96x64", 7, False)
    assert films.refused(path, {"prompt": PROMPT, "model": "sora-2"})[0] == "model"
    assert films.refused(path, {"prompt": PROMPT, "video": CLIP})[0] == "video"


def test_an_uploaded_clip_is_not_forced_into_the_size_of_a_name(films: FilmGateway) -> None:
    request = films.read(f"{VIDEOS}/edits", {"prompt": PROMPT, "video": CLIP})
    assert (request["action"], roles_in(request)) == ("edit", ["source_video"])
    assert {"size", "seconds"}.isdisjoint(request)


# ---- pictures, clips, sounds --------------------------------------------------------------------

FIRST, LAST, REFERENCE = "first_frame", "last_frame", "reference_image"


@pytest.mark.parametrize(
    ("fields", "roles"),
    [
        ({"image": ONE}, [FIRST]),
        ({"image": {"url": ONE}}, [FIRST]),
        ({"image_url": {"image_url": ONE}}, [FIRST]),
        ({"images": [{"image_url": {"url": ONE}}]}, [FIRST]),
        ({"input_reference": [ONE, TWO]}, [REFERENCE, REFERENCE]),
        ({"images": [ONE, TWO, THREE]}, [REFERENCE] * 3),
        ({"image": ONE, "images": [TWO]}, [REFERENCE, REFERENCE]),
        ({"image": ONE, "image_url": ONE, "images": [ONE]}, [FIRST]),
        ({"image": ONE, "last_frame": TWO}, [FIRST, LAST]),
        ({"image": ONE, "image_tail": ONE}, [FIRST, LAST]),
        ({"first_frame": ONE, "last_frame": TWO}, [FIRST, LAST]),
        ({"last_frame": ONE}, [LAST]),
        ({"image": ONE, "first_frame": ONE}, [FIRST]),
        ({"image": ONE, "reference_images": [ONE, TWO]}, [REFERENCE, REFERENCE]),
        ({"image": ONE, "reference_images": [TWO]}, [REFERENCE, REFERENCE]),
        (
            {"images": [{"url": ONE, "role": "first_frame"}, {"url": TWO, "role": "last_frame"}]},
            [FIRST, LAST],
        ),
        ({"image": ONE, "video": CLIP}, [REFERENCE, "source_video"]),
        ({"model": "veo3-fast-frames", "images": [ONE, TWO]}, [FIRST, LAST]),
        ({"model": "veo3-fast-frames", "image": ONE, "first_frame": TWO}, [FIRST, LAST]),
        ({"model": "veo2-fast-components", "image": ONE}, [REFERENCE]),
        ({"model": HEARING, "videos": [CLIP, data_uri("video")]}, ["reference_video"] * 2),
        (
            {"model": HEARING, "input_references": [{"type": "video_url", "video_url": {"url": CLIP}}]},
            ["reference_video"],
        ),
        ({"model": HEARING, "reference_images": ONE, "audio": SOUND}, [REFERENCE, "audio"]),
    ],
    ids=lambda value: "+".join(map(str, value))[:60],
)
@pytest.mark.parametrize("path", [VIDEOS, NEW_API, UNIFIED])
def test_roles(films: FilmGateway, path: str, fields: dict[str, Any], roles: list[str]) -> None:
    assert sorted(roles_in(films.read(path, studio(**fields)))) == sorted(roles)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"first_frame": [ONE, TWO]}, "first_frame"),
        ({"image": "no picture"}, "image"),
        ({"last_frame": {"file_id": "file-1"}}, "last_frame"),
        ({"images": [{"url": ONE, "role": "hero"}]}, "images"),
        ({"model": "veo3-fast-frames", "image_urls": [ONE, TWO, THREE]}, "image_urls"),
        ({"reference_images": [CLIP]}, "reference_images"),
        ({"frame_images": [ONE]}, "frame_images"),
        ({"remix_target_id": "s_" + "0" * 32}, "remix_target_id"),
        ({"width": 1280}, "height"),
        ({"orientation": "sideways"}, "orientation"),
        ({"n": 2}, "n"),
        ({"shots": 2}, "shots[0]"),
        ({"shots": [{"seconds": 2}]}, "shots[0].prompt"),
        ({"shots": [{"seconds": 2, "prompt": "a", "camera": "pan"}]}, "shots[0].camera"),
        ({"shots": [{"seconds": 9, "prompt": "a"}], "seconds": 4}, "shots"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_each_refusal_names_the_clients_field(films: FilmGateway, fields: dict[str, Any], param: str) -> None:
    assert films.refused(VIDEOS, studio(**fields))[0] == param


def test_an_own_video_is_named_by_its_id(films: FilmGateway) -> None:
    for named in ({"id": films.own}, f"video_{films.own}"):
        request = films.read(VIDEOS, studio(video=named))
        assert (request["action"], request["remix_of"]) == ("edit", films.own)


def own_addresses(films: FilmGateway) -> list[str]:
    signed = str(films.http.get(f"/v1/videos/{films.own}").json()["url"])
    base = signed.partition("/files/")[0]
    return [
        f"https://sora.chatgpt.com/p/s_{films.own}",
        signed,
        signed.partition("?")[0].replace(base, "https://video.example.com/gate"),
        f"{base}/v1/videos/video_{films.own}/content",
        f"{base}/v1/videos/{films.own}",
        f"https://bucket.example.com/tasks/{films.own}/video.mp4?X-Amz-Signature=ab%2Fc",
    ]


def test_an_own_video_is_named_by_a_link_to_it(films: FilmGateway) -> None:
    """Also in a prompt, where Sora's share links stood."""
    for address in own_addresses(films):
        remixed = films.read(VIDEOS, studio(remix_target_id=address))
        assert (remixed["action"], remixed["remix_of"]) == ("remix", films.own), address
        told = films.read(GENERATE, studio(prompt=f"{address} [studio:reject] at night", async_mode=True))
        assert (told["action"], told["remix_of"], told["prompt"]) == (
            "remix",
            films.own,
            "[studio:reject] at night",
        )
    edited = films.read(VIDEOS, studio(video={"url": own_addresses(films)[3]}))
    assert (edited["action"], edited["remix_of"]) == ("edit", films.own)


def test_a_link_to_nothing_of_ours_stays_text(films: FilmGateway) -> None:
    prompt = f"[studio:reject] a sign reads https://example.com/files/{'0' * 32}/video.mp4"
    assert films.read(GENERATE, studio(prompt=prompt, async_mode=True))["prompt"] == prompt


def test_shots_stand_in_the_prompt_too(films: FilmGateway) -> None:
    shots = [{"duration": 1, "text": "a door"}, {"seconds": 2, "scene": "a hall"}]
    request = films.read(VIDEOS, studio(shots=shots))
    assert request["prompt"] == f"{PROMPT}\n[1s]a door\n[2s]a hall"
    assert request["seconds"] == 3.0


# ---- what is a dialect's own --------------------------------------------------------------------


def test_ark_takes_roles_from_its_content_and_words_beside_it(films: FilmGateway) -> None:
    content = [
        {"type": "text", "text": f"{PROMPT} --rt 9:16 --dur 3"},
        {"type": "image_url", "image_url": {"url": ONE}},
    ]
    body = {"model": "studio", "content": content, "generate_audio": False, "last_frame": TWO}
    request = films.read(ARK, body)
    assert roles_in(request) == [FIRST, LAST]
    assert (request["sound"], request["aspect_ratio"], request["seconds"]) == (False, "9:16", 3.0)
    assert films.refused(ARK, body | {"aspect_ratio": "16:9"})[0] == "aspect_ratio"

    content[1]["role"] = "first_frame"
    assert films.refused(ARK, body | {"first_frame": TWO})[0] == "content"


def test_openrouters_references_have_a_type(films: FilmGateway) -> None:
    parts = [
        {"type": kind, kind: {"url": address}}
        for kind, address in (("image_url", ONE), ("video_url", CLIP), ("audio_url", SOUND))
    ]
    request = films.read(OPENROUTER, studio(model=HEARING, input_references=parts))
    assert roles_in(request) == [REFERENCE, "reference_video", "audio"]


def test_new_api_reads_the_words_in_its_metadata_too(films: FilmGateway) -> None:
    inner = {"generate_audio": False, "last_frame": TWO, "aspect_ratio": "9:16", "mode": "pro", "duration": 0}
    request = films.read(NEW_API, studio(image=ONE, metadata=inner, width=0, height=0, seconds="3"))
    assert roles_in(request) == [FIRST, LAST]
    assert (request["sound"], request["aspect_ratio"], request["seconds"]) == (False, "9:16", 3.0)
    assert request["extra"] == {"mode": "pro"}
    assert films.refused(NEW_API, studio(metadata={"notify_hook": "nowhere"}))[0] == "notify_hook"


def test_chat_takes_roles_of_parts_and_refuses_parts_that_it_does_not_know(films: FilmGateway) -> None:
    def said(*parts: dict[str, Any]) -> dict[str, Any]:
        content = [{"type": "text", "text": PROMPT}, *parts]
        return {"model": "studio", "messages": [{"role": "user", "content": content}], "stream": True}

    frames = [
        {"type": "image_url", "image_url": {"url": ONE}, "role": "first_frame"},
        {"type": "image_url", "image_url": {"url": TWO}, "role": "last_frame"},
    ]
    made = films.http.post("/v1/chat/completions", json=said(*frames))
    assert roles_in(films.request_of(made.headers["x-task-id"])) == [FIRST, LAST]
    file = {"type": "file", "file": {"file_data": "x"}}
    assert films.refused("/v1/chat/completions", said(file))[0] == "messages"


def test_a_clip_alone_in_chat_is_a_character_only_without_other_inputs(films: FilmGateway) -> None:
    part = {"type": "video_url", "video_url": {"url": CLIP}}
    body = {
        "model": "studio",
        "messages": [{"role": "user", "content": [part]}],
        "stream": True,
        "image": ONE,
    }
    made = films.http.post("/v1/chat/completions", json=body)
    assert roles_in(films.request_of(made.headers["x-task-id"])) == ["source_video", REFERENCE]


def clip_message(*texts: str, **fields: Any) -> dict[str, Any]:
    parts = [{"type": "text", "text": text} for text in texts]
    clip = {"type": "video_url", "video_url": {"url": CLIP}}
    return {"model": "studio", "messages": [{"role": "user", "content": [*parts, clip]}], **fields}


def test_a_clip_with_a_text_in_chat_is_what_the_manual_of_the_model_says(films: FilmGateway) -> None:
    """The feature manual: chat has the same effect as /v1/characters/generate. Other models change the clip."""
    chat, generate = "/v1/chat/completions", "/v1/characters/generate"
    fields = {"name": "Mossy", "async_mode": True, "size": "64x64"}
    body = clip_message(PROMPT, **fields, model="sora2-landscape-10s")
    by_chat = films.read(chat, body)
    by_feature = films.read(generate, {"prompt": PROMPT, "video": CLIP, **fields})
    assert by_chat == by_feature
    assert roles_in(by_chat) == ["subject"]
    flat = {"model": "sora2-landscape-10s", "messages": [{"role": "user", "content": PROMPT}], "video": CLIP}
    assert films.read(chat, flat | fields) == by_chat

    edited = films.read(chat, clip_message(PROMPT, async_mode=True))
    assert (edited["action"], roles_in(edited)) == ("edit", ["source_video"])
    own = films.read(chat, flat | {"video": f"video_{films.own}", "async_mode": True})
    assert (own["action"], own["remix_of"]) == ("edit", films.own)
    streamed = films.http.post(chat, json=body | {"async_mode": False, "stream": True})
    assert "✨ 角色已识别: Mossy (@mossy." in streamed.text


def test_a_clip_alone_takes_a_characters_fields_and_no_films(films: FilmGateway) -> None:
    made = films.http.post("/v1/chat/completions", json=clip_message(name="Fern"))
    assert "✨ 角色已识别: Fern (@fern." in made.json()["choices"][0]["message"]["content"]
    for field, value in (
        ("seconds", 4),
        ("style", "anime"),
        ("stlye", "anime"),
        ("notify_hook", "https://a.example"),
    ):
        assert films.refused("/v1/chat/completions", clip_message(**{field: value}))[0] == field
        assert films.refused("/v1/characters/create", {"video": CLIP, field: value})[0] == field
    short = clip_message(timestamps="0,1"), {"video": CLIP, "timestamps": "0,1"}
    assert films.refused("/v1/chat/completions", short[0])[0] == "timestamps"
    assert films.refused("/v1/characters/create", short[1])[0] == "timestamps"
    chatty = {"temperature": 1, "max_tokens": 100, "user": "x"}
    assert films.http.post("/v1/chat/completions", json=clip_message(**chatty)).status_code == 200


def test_a_slip_of_the_finger_is_named_and_a_vendors_own_field_goes_on(films: FilmGateway) -> None:
    slips = {"stlye": "style", "resoluton": "resolution", "asepct_ratio": "aspect_ratio", "imgae": "image"}
    for path in (VIDEOS, NEW_API, UNIFIED, OPENROUTER, GENERATE):
        for slip, meant in slips.items():
            field, message = films.refused(path, studio(**{slip: "x"}))
            assert (field, message) == (slip, f"There is no field {slip}; did you mean {meant}?"), path
    assert films.refused(GENERATE, studio(steam=True))[0] == "steam"
    own = {"mode": "pro", "weight": 1, "video_urls": [], "image2": "x", "seeds": [1], "end_image_url": "x"}
    assert films.read(VIDEOS, studio(**own))["extra"] == own


def test_what_stands_in_an_input_and_is_not_read_is_named(films: FilmGateway) -> None:
    odd = {"url": ONE, "weight": 2}
    for path, body, param in (
        (VIDEOS, studio(image=odd), "image"),
        (UNIFIED, studio(images=[ONE, odd]), "images"),
        (GENERATE, studio(video={"id": films.own, "start": 3}), "video"),
        (ARK, {"model": "studio", "content": [{"type": "image_url", "image_url": odd}]}, "content"),
        ("/v1/chat/completions", chat_with({"type": "image_url", "image_url": odd}), "messages"),
        ("/v1/chat/completions", chat_with({"type": "image_url", "image_url": ONE, "x": 1}), "messages"),
    ):
        assert films.refused(path, body)[0] == param
    detailed = chat_with({"type": "image_url", "image_url": {"url": ONE, "detail": "low"}}, async_mode=True)
    assert roles_in(films.read("/v1/chat/completions", detailed)) == [FIRST]


def chat_with(part: dict[str, Any], **fields: Any) -> dict[str, Any]:
    content = [{"type": "text", "text": PROMPT}, part]
    return {"model": "studio", "messages": [{"role": "user", "content": content}], **fields}


@pytest.mark.parametrize("content", ["", [], None])
def test_an_empty_message_is_called_empty(films: FilmGateway, content: Any) -> None:
    body = {"model": "studio", "messages": [{"role": "user", "content": content}]}
    assert films.refused("/v1/chat/completions", body) == ("messages", EMPTY)


EMPTY = "messages: the content of the last message is empty"
