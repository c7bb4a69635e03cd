"""`/healthz` (the process runs), `/readyz` (its database and store answer), `/metrics` (Prometheus)."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from app.errors import FilmgateError

CHECK_SECONDS = 5.0
Check = Callable[[], Awaitable[None]]


async def report_liveness(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def report_readiness(request: Request) -> Response:
    """200 when every check succeeds, else 503. The body has the outcome of each check."""
    checks: Mapping[str, Check] = request.app.state.checks
    outcomes = {name: await _run_check(check, request.app.state.away) for name, check in checks.items()}
    ready = all(answer == "ok" for answer in outcomes.values())
    return JSONResponse(
        {"status": "ready" if ready else "not ready", "checks": outcomes}, 200 if ready else 503
    )


async def report_metrics(request: Request) -> Response:
    await request.app.state.gauges()
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _run_check(check: Check, away: tuple[type[BaseException], ...]) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except FilmgateError as error:
        return error.code
    except TimeoutError:
        return "timeout"
    except away:
        return "away"
    return "ok"


def health_routes() -> list[Route]:
    return [
        Route("/healthz", report_liveness),
        Route("/readyz", report_readiness),
        Route("/metrics", report_metrics),
    ]
