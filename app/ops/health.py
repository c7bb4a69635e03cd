"""`/healthz` (the process runs), `/readyz` (its database and store answer), `/metrics` (Prometheus), of `serve` and of
`worker`.

They need no key, and what they ask of the database and the store costs money or time: so they ask every few seconds at
most, and one at a time, however many want to know.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping

import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import AuthenticationFailed, FilmgateError
from app.ops.metrics import DATABASE_UP, exposition, forget_counted

log = structlog.get_logger()
CHECK_SECONDS = 5.0
FRESH_SECONDS = 5.0
"""For so long an answer is given again."""
Check = Callable[[], Awaitable[None]]


class Readiness:
    """Whether the checks succeed, and the outcome of each. ``away`` are the errors of a database that is away."""

    def __init__(self, checks: Mapping[str, Check], away: tuple[type[BaseException], ...]) -> None:
        self._checks = checks
        self._away = away

    async def outcomes(self) -> dict[str, str]:
        names = list(self._checks)
        found = await asyncio.gather(*(self._run_check(self._checks[name]) for name in names))
        return dict(zip(names, found, strict=True))

    async def _run_check(self, check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await check()
        except FilmgateError as error:
            return error.code
        except TimeoutError:
            return "timeout"
        except self._away:
            return "away"
        return "ok"


async def report_liveness(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def report_readiness(request: Request) -> Response:
    """200 when every check succeeds, else 503. The body has the outcome of each check."""
    outcomes = await request.app.state.readiness.get()
    ready = all(answer == "ok" for answer in outcomes.values())
    return JSONResponse(
        {"status": "ready" if ready else "not ready", "checks": outcomes}, 200 if ready else 503
    )


async def report_metrics(request: Request) -> Response:
    """What this process counted itself is told also while the database is away; what is counted there is left out then.

    Raises ``AuthenticationFailed`` when a token is set and another one, or none, is given.
    """
    _check_token(request, request.app.state.metrics_token)
    await request.app.state.gauges.get()
    return Response(exposition(), media_type=CONTENT_TYPE_LATEST)


class DatabaseGauges:
    """The gauges that are counted in the database, and whether it answered. ``away`` are the errors of one that does not."""

    def __init__(self, update: Check, away: tuple[type[BaseException], ...]) -> None:
        self._update = update
        self._away: tuple[type[BaseException], ...] = (*away, TimeoutError)

    async def refresh(self) -> bool:
        """Whether the database has answered."""
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._update()
        except self._away as error:
            log.warning("metrics.database_away", error=type(error).__name__)
            forget_counted()
            return False
        DATABASE_UP.set(1)
        return True


def _check_token(request: Request, wanted: str | None) -> None:
    if wanted is None:
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    sides = (hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (given.strip(), wanted))
    if scheme.lower() != "bearer" or not hmac.compare_digest(*sides):
        raise AuthenticationFailed("The metrics need the token of FILMGATE_METRICS_TOKEN.")


def health_routes() -> list[Route]:
    return [
        Route("/healthz", report_liveness),
        Route("/readyz", report_readiness),
        Route("/metrics", report_metrics),
    ]
