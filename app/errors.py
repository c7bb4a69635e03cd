"""Every error this service can answer with or meet, one tree; each says what may happen next."""

from typing import ClassVar, Literal

NextStep = Literal["fail", "retry_elsewhere", "retry_later", "investigate"]


class FilmgateError(Exception):
    """Base of the tree.

    ``status``, ``type`` and ``code`` are what a client sees; ``next_step`` is what the worker does;
    ``retry_after`` is in seconds; ``should_retry`` False tells SDKs not to repeat the request.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: str = "internal_error"
    next_step: ClassVar[NextStep] = "fail"
    should_retry: ClassVar[bool | None] = None

    def __init__(self, message: str, *, param: str | None = None, retry_after: float | None = None):
        super().__init__(message)
        self.message = message
        self.param = param
        self.retry_after = retry_after


# ---- what a client did -------------------------------------------------------------------------


class InvalidRequest(FilmgateError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class MissingField(InvalidRequest):
    def __init__(self, field: str):
        super().__init__(f"{field} is required", param=field)


class UnknownModel(InvalidRequest):
    code = "model_not_found"

    def __init__(self, model: str):
        super().__init__(f"Invalid model: {model}", param="model")


class ContentPolicyViolation(InvalidRequest):
    code = "content_policy_violation"
    should_retry = False


class AuthenticationFailed(FilmgateError):
    status = 401
    type = "authentication_error"
    code = "invalid_api_key"

    def __init__(self, message: str = "Invalid API key"):
        super().__init__(message)


class PermissionDenied(FilmgateError):
    status = 403
    type = "permission_error"
    code = "permission_denied"


class NotSignedIn(FilmgateError):
    """Of the panel: no session, or one that has ended."""

    status = 401
    type = "authentication_error"
    code = "not_signed_in"


class SignInRefused(NotSignedIn):
    code = "invalid_credentials"


class CsrfFailed(PermissionDenied):
    code = "csrf_failed"


class SignInThrottled(FilmgateError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class ResourceInUse(FilmgateError):
    """What is asked for can't be done while something still uses it."""

    status = 409
    type = "invalid_request_error"
    code = "busy"


class ModelNotAllowed(PermissionDenied):
    code = "model_not_allowed"

    def __init__(self, model: str):
        super().__init__(f"This API key may not use the model {model[:200]}.", param="model")


class AddressNotAllowed(PermissionDenied):
    code = "ip_not_allowed"

    def __init__(self) -> None:
        super().__init__("This API key may not be used from this address.")


class RateLimited(FilmgateError):
    """Too many requests of a key in a minute, or tasks at the same time."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    next_step = "retry_later"


class InsufficientQuota(FilmgateError):
    """The key's budget does not cover it; ``retry_after`` leads to the next day or month where there is one."""

    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"
    should_retry = False


class NotFound(FilmgateError):
    status = 404
    type = "invalid_request_error"
    code = "not_found"


class ModelNotFound(NotFound):
    code = "model_not_found"


class MethodNotAllowed(FilmgateError):
    status = 405
    type = "invalid_request_error"
    code = "method_not_allowed"


class IdempotencyConflict(FilmgateError):
    status = 409
    type = "invalid_request_error"
    code = "idempotency_conflict"
    should_retry = False


class ResourceExpired(FilmgateError):
    status = 410
    type = "invalid_request_error"
    code = "expired"


class PayloadTooLarge(FilmgateError):
    status = 413
    type = "invalid_request_error"
    code = "payload_too_large"


class RangeNotSatisfiable(FilmgateError):
    status = 416
    type = "invalid_request_error"
    code = "range_not_satisfiable"

    def __init__(self, size: int):
        super().__init__(f"The range lies outside the file, which has {size} bytes.")
        self.size = size
        """In bytes; belongs into ``Content-Range: bytes */<size>`` of the answer."""


class GenerationFailed(FilmgateError):
    """A task that a client waited for has failed; an SDK that repeated it would buy it again."""

    status = 502
    should_retry = False

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class WaitedTooLong(FilmgateError):
    """The task goes on; only the waiting ends."""

    status = 504
    code = "timeout"
    should_retry = False


# ---- what this service can't do just now --------------------------------------------------------


class NoAvailableAccount(FilmgateError):
    status = 503
    code = "no_available_account"
    next_step = "retry_later"


class ServiceUnavailable(FilmgateError):
    """Draining, or the database is away."""

    status = 503
    code = "unavailable"
    next_step = "retry_later"


class SettingsInvalid(FilmgateError):
    """A setting that can't work; the message is one line and says what to write instead."""

    code = "settings_invalid"


class OutboundRefused(FilmgateError):
    """The outbound guard refused an address; the client reads the same text as for "unreachable"."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class DeliveryFailed(FilmgateError):
    """A stage of delivery gave no link; the link of the stage before it is given out."""

    status = 502
    code = "delivery_failed"
    next_step: ClassVar[NextStep] = "retry_later"


class DeliveryRefused(DeliveryFailed):
    """Trying again would change nothing."""

    next_step = "fail"


# ---- what an upstream did -----------------------------------------------------------------------


class UpstreamError(FilmgateError):
    """An upstream failed; subclasses say whether it can have accepted the work."""

    status = 502
    code = "upstream_error"


class UpstreamUnreachable(UpstreamError):
    """The request never left: no address, connection refused, TLS failed."""

    next_step = "retry_elsewhere"


class LocalConnectionsExhausted(UpstreamUnreachable):
    """It never left, as this machine has no connection left to give."""


class NetworkDown(UpstreamUnreachable):
    """It never left, as nothing seems to lead out of here; for an upstream of another network it may be so always."""


class UpstreamBusy(UpstreamError):
    """429 or 503: surely not accepted; ``retry_after`` as the upstream said it."""

    next_step = "retry_elsewhere"


class UpstreamAuthFailed(UpstreamError):
    """401 or 403: this account's secret is refused."""

    next_step = "retry_elsewhere"


class UpstreamModelForbidden(UpstreamError):
    """403, 404 or ``model_not_found``: this account may not use it, another may."""

    next_step = "retry_elsewhere"


class UpstreamQuotaExhausted(UpstreamError):
    """402 or the vendor's own word for an empty balance."""

    next_step = "retry_elsewhere"


class UpstreamRejected(UpstreamError):
    """The upstream read the request and refused it; another account would refuse it too."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    should_retry = False


class UpstreamModerated(UpstreamRejected):
    code = "content_policy_violation"


class UpstreamFailed(UpstreamError):
    """The upstream said in its own error form that it failed; not repeated, as it may have billed."""

    should_retry = False


class OperationNotFound(UpstreamError):
    """404 for an operation that was accepted earlier."""

    next_step = "retry_later"


class OutcomeUnknown(UpstreamError):
    """Sent, and no readable answer came: it may have been accepted. Never sent again."""

    code = "submission_unknown"
    next_step = "investigate"
    should_retry = False


class PollFailed(UpstreamError):
    """A look at a running operation failed; it only delays the next look."""

    next_step = "retry_later"


class ResultUnreadable(UpstreamError):
    """A result arrived but is no whole video, picture or sound; a fresh download may be."""

    next_step = "retry_later"
