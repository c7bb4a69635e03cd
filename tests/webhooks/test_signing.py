"""Signatures that receivers' own libraries accept, and the retry schedule."""

import json
import time

import openai
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from app.webhooks.event_bodies import EVENT_TYPES, thin_event
from app.webhooks.sender import DELAYS, AttemptOutcome, decide_retry, retry_after
from app.webhooks.signing import new_secret, signed_headers

BODY = thin_event("video.completed", "0" * 32, at=1_700_000_000.9).encode()


def test_openai_and_standard_webhooks_accept_it() -> None:
    secret = new_secret()
    headers = signed_headers("wh_1", BODY, valid=[secret], now=time.time())
    assert Webhook(secret).verify(BODY, headers) == json.loads(BODY)
    with openai.OpenAI(api_key="x", webhook_secret=secret) as client:
        event = client.webhooks.unwrap(BODY, headers)
    assert (event.type, event.data.id) == ("video.completed", "video_" + "0" * 32)
    assert (event.object, event.created_at) == ("event", 1_700_000_000)
    assert event.id.startswith("evt_")


def test_every_valid_secret_signs() -> None:
    old, new = new_secret(), new_secret()
    headers = signed_headers("wh_1", BODY, valid=[new, old], now=time.time())
    for secret in (old, new):
        Webhook(secret).verify(BODY, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, headers)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_what_was_changed_on_the_way_is_refused(changed: str) -> None:
    secret = new_secret()
    headers = signed_headers("wh_1", BODY, valid=[secret], now=time.time())
    body = BODY + b" " if changed == "body" else BODY
    altered = {"webhook-id": "wh_2", "webhook-timestamp": str(int(time.time()) + 1)}
    headers |= {changed: altered[changed]} if changed in altered else {}
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_ten_attempts_in_about_three_days() -> None:
    now = 1000.0
    for made in range(1, 10):
        verdict = decide_retry(AttemptOutcome(500), made, now=now)
        assert verdict.state == "pending"
        assert DELAYS[made] <= verdict.next_at - now <= DELAYS[made] * 1.1 + 0.001
    assert decide_retry(AttemptOutcome(500), 10, now=now).state == "failed"
    assert 72 * 3600 <= sum(DELAYS) <= 80 * 3600


def test_what_counts_as_success() -> None:
    states = {
        status: decide_retry(AttemptOutcome(status), 1, now=0.0).state
        for status in (200, 204, 301, 302, 404, 410)
    }
    assert states == {
        200: "delivered",
        204: "delivered",
        301: "pending",
        302: "pending",
        404: "pending",
        410: "failed",
    }
    assert (
        decide_retry(AttemptOutcome(error="The address could not be reached."), 1, now=0.0).state == "pending"
    )


def test_a_receiver_that_asks_for_time_gets_it() -> None:
    for status in (429, 502, 503, 504):
        assert decide_retry(AttemptOutcome(status, retry_after=77.0), 1, now=0.0).next_at == 77.0
    assert decide_retry(AttemptOutcome(503, retry_after=1.0), 1, now=0.0).next_at >= 5
    assert decide_retry(AttemptOutcome(500, retry_after=77.0), 1, now=0.0).next_at < 6
    assert decide_retry(AttemptOutcome(429, retry_after=1e12), 1, now=0.0).next_at == 86_400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        ("-5", None),
        ("soon", None),
        ("Thu, 01 Jan 1970 00:01:40 GMT", 40.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("Thu, 01 Jan 99999 00:00:00 GMT", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_leniently(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=60.0) == seconds


def test_only_videos_can_be_subscribed_to() -> None:
    assert EVENT_TYPES == ("video.completed", "video.failed")
