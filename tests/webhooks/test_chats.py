"""Notices in chats and mailboxes: in each service's own form, and a refusal inside a 200 is a refusal."""

from collections.abc import Iterator
from typing import Any

import pytest

from app.errors import InvalidRequest, NotFound
from app.webhooks.chat_forms import TITLES
from app.webhooks.notice_options import TOPICS, NoticeOptions
from app.webhooks.notices import OPERATOR
from tests.tasks.conftest import until
from tests.webhooks.chat_services import (
    BOT,
    CHAT,
    DINGTALK_SECRET,
    FEISHU_SECRET,
    MAIL_PASSWORD,
    MAIL_USER,
    Chats,
    Mailbox,
    chat_services,
    mail_server,
)
from tests.webhooks.conftest import Post, one_store

LONG = "长" * 3000
MAIL = {"sender": "filmgate@example.com", "recipients": ["operator@example.com"], "user": MAIL_USER}


@pytest.fixture
def chats() -> Iterator[Chats]:
    with chat_services() as found:
        yield found


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with mail_server() as found:
        yield found


def receivers_of(url: str) -> dict[str, tuple[dict[str, str], dict[str, str], str]]:
    """By kind: how it is set right, what is wrong in another one, and what the service says to that."""
    return {
        "feishu": (
            {"url": f"{url}/open-apis/bot/v2/hook/x", "secret": FEISHU_SECRET}, {"secret": "another"}, "19021",
        ),
        "dingtalk": (
            {"url": f"{url}/robot/send?access_token=token", "secret": DINGTALK_SECRET}, {"secret": ""}, "310000",
        ),
        "wecom": (
            {"url": f"{url}/cgi-bin/webhook/send?key=good"}, {"url": f"{url}/cgi-bin/webhook/send?key=bad"}, "93000",
        ),
        "telegram": ({"url": url, "token": BOT, "chat": CHAT}, {"chat": "-1"}, "chat not found"),
        "slack": ({"url": f"{url}/services/T0/B0/good"}, {"url": f"{url}/services/T0/B0/gone"}, "no_service"),
        "discord": (
            {"url": f"{url}/api/webhooks/1/good"}, {"url": f"{url}/api/webhooks/1/bad"}, "Invalid Webhook Token",
        ),
    }  # fmt: skip


async def listen(post: Post, *receivers: dict[str, Any]) -> None:
    await post.bench.components.options.write(NoticeOptions, {"receivers": list(receivers)})


@one_store
async def test_each_service_takes_a_sample_and_its_refusal_is_one(post: Post, chats: Chats) -> None:
    rows = receivers_of(chats.url)
    right = [{"name": kind, "kind": kind, "language": "zh"} | told for kind, (told, _, _) in rows.items()]
    wrong = [
        {"name": f"not {kind}", "kind": kind} | told | change for kind, (told, change, _) in rows.items()
    ]
    await listen(post, *right, *wrong[:4])
    notices = post.bench.components.notices
    sent = dict(await notices.send_samples())
    assert {name: sent[name].error for name in rows} == dict.fromkeys(rows)
    assert all(sent[name].is_delivered for name in rows)
    await listen(post, *wrong)
    for kind, (_, _, said) in rows.items():
        [(name, outcome)] = await notices.send_samples(f"not {kind}")
        assert name == f"not {kind}" and not outcome.is_delivered
        assert outcome.error and said in outcome.error, (kind, outcome)
    with pytest.raises(NotFound):
        await notices.send_samples("nobody")


@one_store
async def test_a_long_notice_goes_out_whole_or_cut_but_is_taken(post: Post, chats: Chats) -> None:
    rows = receivers_of(chats.url)
    await listen(post, *({"name": kind, "kind": kind} | told for kind, (told, _, _) in rows.items()))
    data = {"account": "a", "name": "farm <1> & @everyone", "reason": LONG, "until": 1795240000.0}
    post.bench.components.notices.notify("account_cooling_down", data)
    async with post.delivering():
        found = await post.reach("delivered", count=len(rows))
    assert all(
        "/" not in delivery.url.removeprefix("http://") for delivery in found
    )  # the address is the secret
    texts = [str(body) for body in chats.seen]
    assert all("Filmgate: an account cools down" in text for text in texts)
    assert any("farm &lt;1&gt; &amp; @everyone" in text for text in texts)  # Slack
    assert {"parse": []} in [body.get("allowed_mentions") for body in chats.seen]  # Discord pings nobody


@one_store
async def test_a_refusal_in_a_200_is_sent_again(post: Post, chats: Chats) -> None:
    told, change, _ = receivers_of(chats.url)["feishu"]
    receiver = {"name": "chat", "kind": "feishu"} | told
    await listen(post, receiver | change)
    post.bench.components.notices.notify("backup_failed", {"reason": "full"})
    async with post.delivering(delays=(0, *([0.02] * 4000))):

        async def refused() -> bool:
            rows = await post.all(owner=OPERATOR)
            attempts = await post.deliveries.list_attempts(rows[0].id) if rows else []
            return any(each.status == 200 and "19021" in (each.error or "") for each in attempts)

        await until(refused)
        await listen(post, receiver)  # the operator mends it
        [delivery] = await post.reach("delivered")
    assert delivery.event == "backup_failed"


@one_store
async def test_mail_is_sent_over_smtp(post: Post, mailbox: Mailbox) -> None:
    server = f"127.0.0.1:{mailbox.port}"
    right = {"name": "mail", "kind": "email", "url": f"smtp+plain://{server}", "token": MAIL_PASSWORD, **MAIL}
    wrong: dict[str, dict[str, Any]] = {
        "535": {"token": "another"},
        "550": {"recipients": ["nobody@example.com"]},
        "TLS": {"url": f"smtp://{server}"},
        "SSL": {"url": f"smtps://{server}"},
    }
    await listen(post, right, *(right | {"name": name} | change for name, change in wrong.items()))
    notices = post.bench.components.notices
    sent = dict(await notices.send_samples())
    assert sent["mail"].is_delivered, sent["mail"]
    [mail] = mailbox.mails
    assert "Subject: Filmgate: a test" in mail and "To: operator@example.com" in mail
    assert "Message-ID: <wh_" in mail
    assert {name: sent[name].is_delivered for name in wrong} == dict.fromkeys(wrong, False)
    assert (sent["535"].status, sent["550"].status) == (535, 550)
    assert "offers no TLS" in (sent["TLS"].error or "")
    # Without TLS no password leaves, unless the operator says so.
    tries = [line for line in mailbox.lines if line.startswith("AUTH")]
    assert len(tries) == 3


@pytest.mark.parametrize(
    ("told", "param"),
    [
        ({"kind": "feishu", "url": "ftp://example.com"}, "receivers.0.url"),
        ({"kind": "slack"}, "receivers.0.url"),
        ({"kind": "telegram", "token": "no token", "chat": "1"}, "receivers.0.token"),
        ({"kind": "telegram", "token": BOT}, "receivers.0.chat"),
        ({"kind": "email", "url": "https://example.com", **MAIL}, "receivers.0.url"),
        ({"kind": "email", "url": "smtp://example.com", **MAIL, "recipients": []}, "receivers.0.recipients"),
        (
            {"kind": "email", "url": "smtp://example.com", **MAIL, "sender": "me\nBcc: x@y"},
            "receivers.0.sender",
        ),
        ({"kind": "webhook", "url": "https://example.com", "secret": "SEC1"}, "receivers.0.secret"),
    ],
)
@one_store
async def test_what_can_not_work_is_refused_by_its_field(
    post: Post, told: dict[str, Any], param: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        await listen(post, {"name": "one"} | told)
    assert refusal.value.param == param


def test_every_topic_has_a_title() -> None:
    assert set(TOPICS) < TITLES.keys()
