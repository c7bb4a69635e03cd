"""The one way in: what a place of another gateway holds, as a plan."""

from collections.abc import Callable, Mapping

from app.errors import InvalidRequest
from app.moving import channel_gateways, litellm, web_accounts
from app.moving.databases import names_database, read_tables
from app.moving.deployments import PeerSecrets
from app.moving.plan import MovedPart, Peer, Tables

TABLES: Mapping[Peer, tuple[str, ...]] = {
    "new-api": channel_gateways.TABLES,
    "one-api": channel_gateways.TABLES,
    "sora2api": web_accounts.TABLES,
    "litellm": litellm.TABLES,
}
EXPORTS: Mapping[Peer, Callable[[str], Tables]] = {
    "new-api": channel_gateways.tables_of_export,
    "one-api": channel_gateways.tables_of_export,
    "sora2api": web_accounts.tables_of_export,
    "litellm": litellm.tables_of_config,
}


async def read_plan(
    peer: Peer, place: str, *, read_file: Callable[[str], str], secrets: PeerSecrets, slots: int
) -> list[MovedPart]:
    """``place``: the address of a database, or a file; ``slots``: those of each account, as the others have none.

    Raises ``InvalidRequest`` when it can't be read, or is not that gateway's.
    """
    if place.startswith(("http://", "https://")):
        raise InvalidRequest("PLACE: save the export as a file, or give the address of its database")
    from_database = names_database(place)
    tables = await read_tables(place, TABLES[peer]) if from_database else EXPORTS[peer](read_file(place))
    if peer == "litellm":
        opened = PeerSecrets(secrets.salt_key, not from_database, secrets.variables)
        return litellm.plan_litellm(tables, opened, slots=slots)
    if peer == "sora2api":
        return web_accounts.plan_web_accounts(tables)
    return channel_gateways.plan_channel_gateway(tables, peer, slots=slots)
