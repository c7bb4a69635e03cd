"""APIs whose requests may leave the model out."""

import json

from tests.relay.gateway import RelayGateway
from tests.relay.plain_upstream import Exchange, plain_upstream, whole_answer


async def test_moderations_without_a_model(gateway: RelayGateway) -> None:
    """As OpenAI's own pages write the call."""

    async def answer(exchange: Exchange) -> None:
        await exchange.write(whole_answer(b'{"results": []}'))

    async with plain_upstream(answer) as upstream:
        await gateway.add_account(upstream.origin, models={})
        await gateway.add_account(upstream.origin, name="mapped", models={"omni-moderation-latest": "own"})
        response = await gateway.client.post("/v1/moderations", json={"input": "x"})
        assert response.status_code == 200
        assert json.loads(upstream.seen[0].body) == {"input": "x", "model": "own"}
        named = await gateway.client.post("/v1/moderations", json={"input": "x", "model": ""})
        assert (named.status_code, named.json()["error"]["param"]) == (400, "model")
