"""One relayed call: authenticate, find accounts, open the first that answers, pass raw bytes."""

import time
from dataclasses import dataclass
from decimal import Decimal

import aiohttp
from starlette.types import Receive, Scope, Send

from app.catalog.routes import Catalog
from app.errors import FilmgateError, UpstreamModelForbidden
from app.keys.service import Key, KeyRing
from app.relay.charging import Charge, Charging
from app.relay.doors import Door, DoorBook
from app.relay.hangup import HangUp
from app.relay.passing import Passing, pass_refusal
from app.relay.request import Wish, key_in, read_body
from app.relay.translating import Translated, Translation
from app.relay.upstream import Answered, NeverSent, Upstreams
from app.usage.recorder import UsageRecorder, UsageRow

NOTHING = Decimal(0)
GONE = 499
"""The status kept for a client that left, as nginx has it."""
BROKEN = 502
PASSED_REFUSALS = frozenset({425, 429, 503})


@dataclass(slots=True)
class Call:
    """One client's request, as far as it has come. With a ``translation`` it can go where another API is spoken."""

    scope: Scope
    key: Key
    wish: Wish
    path: str
    began: float
    account_id: str = ""
    status: int = GONE
    passing: Passing | None = None
    charge: Charge | None = None
    translation: Translation | None = None

    def asked(self, door: Door) -> Wish:
        """What ``door`` is asked. Raises ``InvalidRequest`` for what can't be said there."""
        if door.path == self.path or self.translation is None:
            return self.wish
        return self.translation.request(door.model, limit_name=door.limit_name)

    def answered(self, door: Door, response: aiohttp.ClientResponse) -> Passing:
        account_id, path = door.account.id, self.scope["path"]
        if door.path == self.path or self.translation is None:
            return Passing(response, account_id=account_id, path=path)
        return Translated(response, account_id=account_id, path=path, translation=self.translation)

    def refused(self, refusal: Answered) -> Answered:
        if refusal.door.path == self.path or self.translation is None:
            return refusal
        return self.translation.refusal(refusal)


class Relay:
    """Finds accounts, passes bytes both ways, notes what was used.

    ``max_body_bytes`` bounds a request. Errors before the first byte are raised (``FilmgateError``) for the
    outermost layer to answer.
    """

    def __init__(
        self,
        *,
        keys: KeyRing,
        catalog: Catalog,
        upstreams: Upstreams,
        recorder: UsageRecorder,
        charging: Charging,
        max_body_bytes: int,
    ) -> None:
        self.doors = DoorBook(catalog)
        self._keys = keys
        self._upstreams = upstreams
        self._recorder = recorder
        self.charging = charging
        self._max = max_body_bytes

    async def identify(self, scope: Scope) -> Key:
        """The client's key. Raises 401, 403 and 429."""
        return await self._keys.admit(key_in(scope["headers"]), scope)

    async def admit(self, scope: Scope, receive: Receive) -> tuple[Key, bytes]:
        """The client's key, then its body: a stranger's body is never read. Raises ``ClientGone`` too."""
        key = await self.identify(scope)
        return key, await read_body(receive, limit=self._max)

    async def relay(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        path: str,
        wish: Wish,
        key: Key,
        translation: Translation | None = None,
    ) -> None:
        """Pass ``wish`` to ``/v1/<path>`` of the first account that answers, and its answer back."""
        call = Call(scope, key, wish, path, began=time.perf_counter(), translation=translation)
        key.require_model(wish.model)
        doors = await self.doors.usable(wish.model, path)
        call.charge = await self.charging.enter(key, wish, path)
        hangup = HangUp(receive)
        try:
            async with hangup:
                # Put in order only now: between this and the first account's call nothing may wait.
                await self._ask(call, self._upstreams.order(doors), send)
        except FilmgateError as error:
            call.status = error.status
            raise
        finally:
            self._note(call, gone=hangup.happened)

    @property
    def upstreams(self) -> Upstreams:
        return self._upstreams

    def note(self, row: UsageRow) -> None:
        """Of a call that went its own way."""
        self._recorder.note(row)

    async def _ask(self, call: Call, doors: list[Door], send: Send) -> None:
        answers: list[Answered] = []
        unreached: NeverSent | None = None
        for door in doors:
            call.account_id = door.account.id
            self._upstreams.enter(door)
            try:
                found = await self._upstreams.open(door, call.asked(door), call.scope["headers"])
                if not isinstance(found, Answered):
                    call.status = found.status
                    call.passing = call.answered(door, found)
                    await call.passing.run(send)
                    return
            except NeverSent as error:
                unreached = error
                continue
            finally:
                self._upstreams.leave(door)
            if not await self._upstreams.rest(found):
                await self._refuse(call, found, send)
                return
            answers.append(found)
        await self._give_up(call, answers, unreached=unreached, send=send)

    async def _refuse(self, call: Call, refusal: Answered, send: Send) -> None:
        call.status = refusal.status
        await pass_refusal(call.refused(refusal), send)

    async def _give_up(
        self, call: Call, answers: list[Answered], *, unreached: NeverSent | None, send: Send
    ) -> None:
        """An upstream's own "not now" or "not this model" says most; "your key is bad" was said to us, not to the
        client."""
        for answer in reversed(answers):
            if answer.status in PASSED_REFUSALS or isinstance(answer.error, UpstreamModelForbidden):
                await self._refuse(call, answer, send)
                return
        if unreached is not None and not answers:
            raise unreached
        raise await self.doors.unavailable(call.wish.model, call.path)

    def _note(self, call: Call, *, gone: bool) -> None:
        passing, status = call.passing, call.status
        input_tokens = output_tokens = None
        cost = NOTHING
        if passing is not None:
            input_tokens, output_tokens = passing.tail.tokens()
            status = status if passing.whole else BROKEN
        if call.charge is not None:
            cost = self.charging.leave(call.charge, passing if gone or status < BROKEN else None)
        self._recorder.note(
            UsageRow(
                at=time.time(),
                key_id=call.key.id,
                account_id=call.account_id,
                model=call.wish.model,
                path=f"/v1/{call.path}",
                status=GONE if gone else status,
                milliseconds=(time.perf_counter() - call.began) * 1000,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cost=cost,
            )
        )
