"""Prompt directives, styles, remix links and mentions: what is taken, and what is left alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.dialects.prompt.directives import SHARE as LINK
from app.dialects.prompt.directives import Directives, read_directives, share_id
from app.tasks.characters import mentioned_usernames

SHARE = "s_68e3a06dcd888191b150971da152c1f5"
OTHER = "s_" + "0a" * 16

TAKEN = [
    # platform manual, Chat: 在提示词中添加要求即可
    ("竖屏 动起来", Directives("动起来", "portrait")),
    ("(竖屏,15s,高清）一只猫", Directives("一只猫", "portrait", 15, hd=True)),
    ("（横屏，10s，高清）一只猫", Directives("一只猫", "landscape", 10, hd=True)),
    ("(竖屏、横屏,15s,高清)猫", Directives("猫", "landscape", 15, hd=True)),  # the last one counts
    ("竖屏、15s、高清：一只猫", Directives("一只猫", "portrait", 15, hd=True)),
    # client-api §3: in any order, with or without brackets, Chinese or English commas
    ("竖屏,10s 一只猫", Directives("一只猫", "portrait", 10)),
    ("竖屏,10s a cat", Directives("a cat", "portrait", 10)),
    ("高清，15s，横屏，一只猫", Directives("一只猫", "landscape", 15, hd=True)),
    ("25s 横屏 海浪", Directives("海浪", "landscape", 25)),
    ("10s 一只猫", Directives("一只猫", seconds=10)),
    ("10s, a cat", Directives("a cat", seconds=10)),
    ("10s: a cat", Directives("a cat", seconds=10)),
    ("【竖屏】【15s】一只猫", Directives("一只猫", "portrait", 15)),
    ("[横屏, hd] a cat", Directives("a cat", "landscape", hd=True)),
    ("(竖屏)(15s) 一只猫", Directives("一只猫", "portrait", 15)),
    ("  \n竖屏  高清  一只猫", Directives("一只猫", "portrait", hd=True)),
    ("竖屏高清 一只猫", Directives("一只猫", "portrait", hd=True)),
    ("竖屏15s，一只猫", Directives("一只猫", "portrait", 15)),
    ("竖屏\n一只猫", Directives("一只猫", "portrait")),
    ("竖屏", Directives("", "portrait")),  # with a picture and nothing else to say
    ("(portrait) a cat", Directives("a cat", "portrait")),
    ("Landscape, 15s, HD: a cat", Directives("a cat", "landscape", 15, hd=True)),
    ("landscape, 15s, hd a cat", Directives("a cat", "landscape", 15, hd=True)),
    ("portrait 15s a cat", Directives("a cat", "portrait", 15)),
    ("portrait\na cat", Directives("a cat", "portrait")),
    ("landscape, a cat", Directives("a cat", "landscape")),
    ("(竖屏) 15s a cat", Directives("a cat", "portrait", 15)),
    # feature manual, 视频风格; client-api §3
    ("{anime}a cat", Directives("a cat", style="anime")),
    ("{ Retro } 一只猫", Directives("一只猫", style="retro")),
    ("{anime}竖屏,15s,一只猫", Directives("一只猫", "portrait", 15, style="anime")),
    ("竖屏,{comic} 15s, 一只猫", Directives("一只猫", "portrait", 15, style="comic")),
    ("(hd){news} a cat", Directives("a cat", hd=True, style="news")),
    # feature manual, Remix
    (f"https://sora.chatgpt.com/p/{SHARE} 改成水墨画风格", Directives("改成水墨画风格", remix_of=SHARE)),
    (f"{SHARE} 改成水墨画风格", Directives("改成水墨画风格", remix_of=SHARE)),
    (f"改成水墨画风格 {SHARE}", Directives("改成水墨画风格", remix_of=SHARE)),
    (
        f"make it rain https://sora.chatgpt.com/p/{SHARE}?psh=abc%3D&x=1, please",
        Directives("make it rain , please", remix_of=SHARE),
    ),
    (f"sora.chatgpt.com/p/{SHARE}，下雨", Directives("，下雨", remix_of=SHARE)),
    (f"Remix {SHARE.upper().replace('S_', 's_')}.", Directives("Remix .", remix_of=SHARE)),
    (f"https://sora.chatgpt.com/p/{SHARE}\n竖屏, 下雨", Directives("下雨", "portrait", remix_of=SHARE)),
    (f"{SHARE} and {OTHER}", Directives("and", remix_of=SHARE)),
    # what follows a storyboard's directives stays whole
    ("竖屏,[5.0s]猫 [5.0s]狗", Directives("[5.0s]猫 [5.0s]狗", "portrait")),
    ("{anime}[10s]猫 [5s]狗", Directives("[10s]猫 [5s]狗", style="anime")),
    # a directive ends where plain text begins
    ("竖屏 portrait of a lady", Directives("portrait of a lady", "portrait")),
    ("横屏，10s of thousands of birds", Directives("10s of thousands of birds", "landscape")),
    ("(竖屏) hd camera on a table", Directives("hd camera on a table", "portrait")),
    ("竖屏，高清晰度的猫", Directives("高清晰度的猫", "portrait")),
    ("竖屏 {unknown} 猫", Directives("{unknown} 猫", "portrait")),
]

LEFT = [
    "",
    "   ",
    "a cat",
    "Portrait of a lady",
    "portrait of a lady, 10s, hd",
    "10s of thousands of birds",
    "10s music loop",
    "hd camera on a table",
    "HD wallpaper of a lake",
    "landscape",
    "Landscape photography in winter",
    "landscape in fog",
    "portrait hd camera",
    "hdhd, a cat",
    "10seconds, a cat",
    "30s, a cat",
    "横屏游戏机的广告",
    "竖屏动起来",
    "高清晰度的猫",
    "(a cat) 竖屏 sits",
    "(竖屏的电视) 猫",
    "() a cat",
    "[10s] a cat",
    "[10s]a cat [5s]a dog",
    "{unknown}a cat",
    "{anime a cat",
    "a cat {anime}",
    "a cat, 竖屏",
    f"see https://example.com/{SHARE}",
    f"https://sora.chatgpt.com/p/{SHARE}0",
    "s_68e3a06dcd888191b150971da152c1f",
    f"file_{SHARE}",
]


@pytest.mark.parametrize(("prompt", "expected"), TAKEN)
def test_taken(prompt: str, expected: Directives) -> None:
    assert read_directives(prompt) == expected


@pytest.mark.parametrize("prompt", LEFT)
def test_left_alone(prompt: str) -> None:
    assert read_directives(prompt) == Directives(prompt)


PIECES = st.sampled_from(
    [
        "竖屏",
        "横屏",
        "高清",
        "10s",
        "15s",
        "hd",
        "portrait",
        "landscape",
        " ",
        "\n",
        ",",
        "，",
        "、",
        "：",
        "(",
        "）",
        "[",
        "]",
        "{anime}",
        "{x}",
        "of",
        "cat",
        "猫",
        SHARE,
        f"https://sora.chatgpt.com/p/{SHARE}",
        "/",
        "?",
        ".",
        "-",
        "[5.0s]",
    ]
)
PROMPTS = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=60))


@settings(max_examples=400, deadline=None)
@given(PROMPTS)
def test_reading_twice_takes_nothing_more(prompt: str) -> None:
    once = read_directives(prompt).prompt
    assert read_directives(once) == Directives(once)


@settings(max_examples=400, deadline=None)
@given(PROMPTS)
def test_no_other_text_is_lost(prompt: str) -> None:
    read = read_directives(prompt)
    kept = LINK.sub("", prompt)  # a link goes with all of its path
    assert all(kept.count(word) == read.prompt.count(word) for word in ("cat", "猫", "of", "{x}", "[5.0s]"))
    if read.remix_of is None:
        assert prompt.endswith(read.prompt)
        taken = prompt.removesuffix(read.prompt).lower()
        for word in ("竖屏", "横屏", "高清", "10s", "15s", "25s", "hd", "portrait", "landscape", "{anime}"):
            taken = taken.replace(word, "")
        assert set("".join(taken.split())) <= set(",，、;；:：/|()（）[]【】")


@pytest.mark.parametrize(
    ("prompt", "names"),
    [
        # platform manual, 创建角色: set off by spaces
        ("@alice 在一个舞台上和 @bob.2 牵手跳舞", ("alice", "bob.2")),
        ("@{alice} 在一个舞台上和 @{bob} 牵手跳舞", ("alice", "bob")),
        ("@sama", ("sama",)),  # chat-video manual §5
        ("hello @sama, and @sama again @other.", ("sama", "other")),
        ("你好 @sama。", ("sama",)),
        ("write to me@example.com", ()),
        ("write to me.too@example.com", ()),
        ("https://example.com/@alice", ()),
        # Chinese has no spaces, and the feature manual writes 角色名@username123
        ("和@alice跳舞", ("alice",)),
        ("让@bob.2和@{alice}跳舞", ("bob.2", "alice")),
        ("角色名@username123", ("username123",)),
        ("＠alice跳舞", ("alice",)),
        ("(@alice)", ("alice",)),
        ("@ alice", ()),
        ("@alice在跳舞", ("alice",)),
        ("@alice，跳舞", ("alice",)),
        ("", ()),
    ],
)
def test_mentions(prompt: str, names: tuple[str, ...]) -> None:
    assert mentioned_usernames(prompt) == names


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (SHARE, SHARE),
        (f" https://sora.chatgpt.com/p/{SHARE}?psh=1 ", SHARE),
        (f"https://example.com/{SHARE}", None),
        ("video_68e3a06dcd888191b150971da152c1f5", None),
        (f"{SHARE} and more", None),
    ],
)
def test_share_id(text: str, expected: str | None) -> None:
    assert share_id(text) == expected


@pytest.mark.parametrize(
    "piece", [" ", "\t", "@a", "@a,", "[ ", "s_", "竖屏 ", "hd ", "(", "{", "sora.chatgpt.com/p/"]
)
def test_long_texts_of_one_piece_are_read(piece: str) -> None:
    prompt = piece * 50_000
    assert read_directives(prompt + "x").prompt.endswith("x")
    assert len(mentioned_usernames(prompt)) <= 1
