"""The answer to parameters that FastAPI finds invalid."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app.errors import InvalidRequest
from app.ops.envelope import EnvelopesByPath
from app.ops.error_answers import answer_errors
from app.validation import describe_problem, problem_reason


def answer_api_errors(app: FastAPI, envelopes: EnvelopesByPath) -> None:
    """``answer_errors``, and those that only FastAPI knows."""
    answer_errors(app, envelopes)

    @app.exception_handler(RequestValidationError)
    async def answer_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        field, text = describe_problem(
            {**first, "loc": first["loc"][1:]}
        )  # the first part says "body" or "query"
        where = field or str(first["loc"][0])
        answer = InvalidRequest(f"{where}: {text}", param=where, reason=problem_reason(first))
        return JSONResponse(envelopes.envelope_for(request.url.path).error_body(answer), answer.status)
