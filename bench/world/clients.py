"""Clients of the gateway: each wants one film, and some of them leave."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy.exc import DBAPIError

from app.components import Components
from app.errors import FilmgateError, InsufficientQuota, NotFound
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.tasks.service import RequestContext
from bench.world.clock import Clock
from bench.world.plan import WishPlan
from bench.world.template import PRICE

KEYS = (
    ClientKey(id="key0", name="key 0", owner="key:key0"),
    ClientKey(id="key1", name="key 1", owner="key:key1", budget_total=PRICE * 2),
)
BUDGETS: dict[str, Decimal] = {"key1": PRICE * 2}
AGAIN_SECONDS = 3.0


@dataclass
class Client:
    """``asked``: its request left at least once. ``task_id``: what it was answered. ``given_up``: it waits for nothing."""

    wish: WishPlan
    clock: Clock
    note: Callable[[str], None]
    asked: bool = False
    task_id: str | None = None
    refused: str | None = None
    asked_at: float = 0.0
    left: bool = False
    wants_to_leave: bool = False

    @property
    def is_done(self) -> bool:
        if self.refused is not None:
            return True
        if self.task_id is None:
            return self.asked and not self.wish.repeats
        return self.wish.leaves_at is None or self.left

    async def pursue(self, components: Components) -> None:
        """Goes on where it was when the process before died."""
        await self._sleep_until(self.wish.at)
        if self.task_id is None and not self.is_done:
            await self._ask(components)
        if self.task_id is not None and self.wish.leaves_at is not None and not self.left:
            await self._sleep_until(self.asked_at + self.wish.leaves_at)
            await self._leave(components, self.task_id)

    async def _sleep_until(self, moment: float) -> None:
        await asyncio.sleep(max(0.0, moment - self.clock.now))

    async def _ask(self, components: Components) -> None:
        wish, key = self.wish, KEYS[self.wish.key]
        request = GenerationRequest(kind="video", model=wish.model, prompt=wish.prompt)
        context = RequestContext(
            "openai_videos",
            idempotency_key=f"once-{wish.prompt}" if wish.repeats else None,
            hook_url=f"https://{wish.hook}/told" if wish.hook is not None else None,
            hook_base="https://gate.test",
        )
        while self.task_id is None:
            first, self.asked = not self.asked, True
            self.asked_at = self.clock.now if first else self.asked_at
            try:
                task = await components.tasks.create(request, key=key, context=context)
            except InsufficientQuota as error:
                self.refused = error.code
                return
            except (FilmgateError, DBAPIError, OSError) as error:
                self.note(f"{wish.prompt!r} is refused: {type(error).__name__}")
                if not wish.repeats:
                    self.refused = type(error).__name__
                    return
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                self.task_id = task.id
                self.note(f"{wish.prompt!r} is task {task.id}")

    async def _leave(self, components: Components, task_id: str) -> None:
        self.wants_to_leave = True
        key = KEYS[self.wish.key]
        while not self.left:
            try:
                task = await components.tasks.get(task_id, key)
                await (components.tasks.delete(task) if self.wish.deletes else components.tasks.cancel(task))
                self.left = True
            except NotFound:
                self.left = True  # an earlier delete that was not answered
            except (FilmgateError, DBAPIError, OSError):
                await asyncio.sleep(AGAIN_SECONDS)
        self.note(f"{self.wish.prompt!r} has left")
