"""Documents of options: what is wrong is named, secrets stay inside, and a write may leave them out."""

import json
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import pytest
import sqlalchemy as sa
from pydantic import Field, SecretStr

from app.db.operator_tables import options as table
from app.db.session import Database
from app.errors import InvalidRequest, SettingsInvalid
from app.options import MASK, Address, DocumentSection, OptionsDocument, OptionsRepository
from app.vault import Vault

URL = "https://example.com/hook"


class Place(DocumentSection):
    name: str
    url: Address
    secret: SecretStr = SecretStr("")


class Sample(OptionsDocument):
    document: ClassVar[str] = "sample"
    places: tuple[Place, ...] = ()
    token: SecretStr = SecretStr("")
    tries: int = Field(default=3, ge=1)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    made = Database(database_url)
    yield made
    await made.close()


@pytest.fixture
def options(database: Database) -> OptionsRepository:
    return OptionsRepository(database, Vault(b"r" * 32))


async def text_of(database: Database) -> str:
    async with database.read() as connection:
        return str((await connection.execute(sa.select(table.c.value))).scalar_one())


async def test_an_empty_store_has_the_defaults(options: OptionsRepository) -> None:
    assert await options.read(Sample) == Sample()
    assert await options.read_masked(Sample) == {"places": [], "token": "", "tries": 3}


async def test_secrets_are_sealed_and_never_shown(options: OptionsRepository, database: Database) -> None:
    await options.write(Sample, {"token": "tok-1", "places": [{"name": "a", "url": URL, "secret": "sec-1"}]})
    stored = await text_of(database)
    assert "tok-1" not in stored
    assert "sec-1" not in stored
    shown = await options.read_masked(Sample)
    assert shown["token"] == MASK
    assert shown["places"] == [{"name": "a", "url": URL, "secret": MASK}]
    read = await options.read(Sample)
    assert read.token.get_secret_value() == "tok-1"
    assert "tok-1" not in repr(read)


async def test_a_write_that_leaves_secrets_out_keeps_them(options: OptionsRepository) -> None:
    places = [{"name": "a", "url": URL, "secret": "one"}, {"name": "b", "url": URL, "secret": "two"}]
    await options.write(Sample, {"token": "kept", "places": places})
    await options.write(Sample, await options.read_masked(Sample))  # what a form sends back
    await options.write(
        Sample, {"tries": 5, "places": [{"name": "b", "url": URL}, {"name": "c", "url": URL}]}
    )
    read = await options.read(Sample)
    assert read.tries == 5
    assert read.token.get_secret_value() == "kept"
    assert [place.secret.get_secret_value() for place in read.places] == ["two", ""]
    await options.write(Sample, {"token": ""})
    assert (await options.read(Sample)).token.get_secret_value() == ""


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"tries": 0}, "tries"),
        ({"tires": 1}, "tires"),
        ({"places": [{"name": "a", "url": "ftp://host/"}]}, "places.0.url"),
        ({"places": [{"name": "a", "url": "https://user:word@host/"}]}, "places.0.url"),
        ({"places": "none"}, "places"),
        ({"token": 7}, "token"),
    ],
)
async def test_what_is_wrong_is_named(options: OptionsRepository, wanted: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await options.write(Sample, wanted)
    assert caught.value.param == param


async def test_a_refused_secret_is_not_repeated(options: OptionsRepository) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await options.write(Sample, {"token": ["canary-7"]})
    assert "canary" not in caught.value.message


async def test_a_change_by_another_process_is_seen(database: Database) -> None:
    here, there = (OptionsRepository(database, Vault(b"r" * 32), seconds=0) for _ in range(2))
    assert (await here.read(Sample)).tries == 3
    await there.write(Sample, {"tries": 9})
    assert (await here.read(Sample)).tries == 9


async def test_another_root_key_is_said_and_survived(options: OptionsRepository, database: Database) -> None:
    await options.write(Sample, {"token": "tok"})
    assert json.loads(await text_of(database))["token"]["sealed"]
    stranger = OptionsRepository(database, Vault(b"s" * 32))
    with pytest.raises(SettingsInvalid):
        await stranger.read(Sample)
    assert await stranger.read_if_possible(Sample) == Sample()


async def test_a_mask_where_nothing_is_kept_is_no_secret(options: OptionsRepository) -> None:
    await options.write(Sample, {"token": MASK, "places": [{"name": "new", "url": URL, "secret": MASK}]})
    read = await options.read(Sample)
    assert read.token.get_secret_value() == ""
    assert read.places[0].secret.get_secret_value() == ""
