"""A call that a firewall before the upstream refuses costs nobody an account."""

from collections import Counter

import pytest

from tests.relay.gateway import CHAT, RelayGateway
from tests.relay.plain_upstream import Exchange, plain_upstream, whole_answer
from tests.upstream import FakeUpstream

WALL = b"<html>error code: 1010</html>"
BAD_KEY = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
NAMES = ("a", "b", "c", "d", "e")


async def test_one_poisonous_prompt_is_carried_to_one_more_account(gateway: RelayGateway) -> None:
    asked: Counter[str] = Counter()

    async def answer(exchange: Exchange) -> None:
        poison = b"UNION SELECT" in exchange.body
        asked["poison" if poison else "plain"] += 1
        status = "403 Forbidden" if poison else "200 OK"
        await exchange.write(whole_answer(WALL if poison else b"{}", status=status))

    async with plain_upstream(answer) as upstream:
        for name in NAMES:
            await gateway.add_account(upstream.origin, name=name)
        for _ in range(6):
            poisoned = await gateway.send_chat(messages=[{"role": "user", "content": "UNION SELECT"}])
            assert (poisoned.status_code, poisoned.content) == (403, WALL)
        stranger = await gateway.keys.create("stranger")
        for _ in range(5):
            served = await gateway.client.post(
                CHAT, json={"model": "bot"}, headers={"Authorization": f"Bearer {stranger}"}
            )
            assert served.status_code == 200
    statuses = await gateway.pool.current_statuses()
    assert [each.account.name for each in statuses if not each.enabled] == []
    assert asked == {"poison": 12, "plain": 5}


@pytest.mark.parametrize("status", [401, 402, 407])
async def test_a_page_never_speaks_to_the_client_of_its_own_key(
    gateway: RelayGateway, upstream: FakeUpstream, status: int
) -> None:
    await gateway.add_account(upstream.url)
    upstream.fault("chat", status=status, text="<html>Sign in</html>")
    response = await gateway.send_chat()
    assert (response.status_code, response.json()["error"]["code"]) == (502, "upstream_error")
    assert response.headers["x-should-retry"] == "false"
    [standing] = await gateway.pool.current_statuses()
    assert standing.enabled


async def test_an_incident_of_the_vendor_takes_half_of_the_accounts(
    gateway: RelayGateway, upstream: FakeUpstream
) -> None:
    for name in NAMES:
        await gateway.add_account(upstream.url, name=name)
    upstream.fault("any", status=401, body=BAD_KEY, times=None)
    for _ in range(6):
        assert (await gateway.send_chat()).status_code in (502, 503)
    enabled = [each for each in await gateway.pool.current_statuses() if each.enabled]
    assert len(enabled) == 3
    upstream.script()
    assert (await gateway.send_chat()).status_code == 200
