"""Every error that this service answers with or meets, in one tree. Each class says what may happen next."""

from typing import ClassVar, Literal

NextStep = Literal["fail", "retry_elsewhere", "retry_later", "investigate"]
ValueReason = Literal["missing", "too_short", "too_long", "too_small", "too_large", "not_a_number"]
FormReason = Literal["unknown_field", "not_an_option", "invalid_value", "invalid_address", "invalid_json"]
ListReason = Literal["invalid_csv", "empty_list", "too_many", "name_taken", "secret_taken", "other_rows"]
AdminReason = Literal["guessable", "password_length", "wrong_password", "last_owner", "set_by_environment"]
PlaceReason = Literal["declared_in_file", "built_in", "still_busy", "undo_over", "fixed_provider"]
TaskReason = Literal["prompts_not_kept", "inputs_removed", "nothing_reserved"]
Reason = ValueReason | FormReason | ListReason | AdminReason | PlaceReason | TaskReason
"""What is wrong with a request, where its code says too little: the panel has words for each in every language."""


def _writable(text: str) -> str:
    """Without halves of surrogate pairs: a client's JSON may hold them, and no answer or log can."""
    return text if text.isascii() else text.encode(errors="replace").decode()


IN_FILE = (
    "is declared in the configuration file: change it there. Where there is no file any more, `filmgate config release` "
    "frees it."
)


class FilmgateError(Exception):
    """Base of the tree. ``status``, ``type`` and ``code`` are what a client sees; ``next_step`` is what the worker does;
    ``retry_after`` is in seconds; ``should_retry`` False tells SDKs not to repeat the request."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    code: str = "internal_error"
    next_step: ClassVar[NextStep] = "fail"
    should_retry: ClassVar[bool | None] = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        reason: Reason | None = None,
    ):
        message = _writable(message)
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.param = _writable(param) if param else param
        self.retry_after = retry_after


# ---- caused by the client ----------------------------------------------------------------------


class InvalidRequest(FilmgateError):
    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class MissingField(InvalidRequest):
    def __init__(self, field: str):
        super().__init__(f"{field} is required", param=field, reason="missing")


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
    """In the panel: there is no session, or it has ended."""

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


class ModelNotAllowed(PermissionDenied):
    code = "model_not_allowed"

    def __init__(self, model: str):
        super().__init__(f"This API key may not use the model {model[:200]}.", param="model")


class AddressNotAllowed(PermissionDenied):
    code = "ip_not_allowed"

    def __init__(self) -> None:
        super().__init__("This API key may not be used from this address.")


class RateLimited(FilmgateError):
    """A key has sent too many requests in a minute, or has too many tasks in flight."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"
    next_step = "retry_later"


class InsufficientQuota(FilmgateError):
    """The key's budget does not cover the request. ``retry_after`` ends with the budget's day or month, if it has one."""

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


class TaskStillOpen(FilmgateError):
    """What exists only of a task that has ended."""

    status = 409
    type = "invalid_request_error"
    code = "task_open"
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
        """In bytes, for the header ``Content-Range: bytes */<size>`` of the answer."""


class GenerationFailed(FilmgateError):
    """A task that a client waited for has failed. SDKs must not repeat the request: that would pay for it again."""

    status = 502
    should_retry = False

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class WaitedTooLong(FilmgateError):
    """The client waited too long for a task. The task continues."""

    status = 504
    code = "timeout"
    should_retry = False


# ---- caused by the state of this service --------------------------------------------------------


class NoAvailableAccount(FilmgateError):
    status = 503
    code = "no_available_account"
    next_step = "retry_later"


class ServiceUnavailable(FilmgateError):
    """The process is shutting down, or the database does not answer."""

    status = 503
    code = "unavailable"
    next_step = "retry_later"


class SettingsInvalid(FilmgateError):
    """A setting is invalid. The message is one line and says what to write instead."""

    code = "settings_invalid"


class OutboundRefused(FilmgateError):
    """The outbound guard refused an address. The text is the same as for an unreachable address."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"


class DeliveryFailed(FilmgateError):
    """A delivery stage produced no link. The link of the stage before it is used."""

    status = 502
    code = "delivery_failed"
    next_step: ClassVar[NextStep] = "retry_later"


class DeliveryRefused(DeliveryFailed):
    """Another attempt would fail in the same way."""

    next_step = "fail"


# ---- caused by an upstream ----------------------------------------------------------------------


class UpstreamError(FilmgateError):
    """An upstream failed. Subclasses say whether it may have accepted the work."""

    status = 502
    code = "upstream_error"


class UpstreamUnreachable(UpstreamError):
    """The request was not sent: no address, connection refused, or TLS failed."""

    next_step = "retry_elsewhere"


class LocalConnectionsExhausted(UpstreamUnreachable):
    """The request was not sent: this process has no free connection."""


class NetworkDown(UpstreamUnreachable):
    """The request was not sent: our own network seems to be down. An upstream in another network may never be reachable."""


class UpstreamBusy(UpstreamError):
    """HTTP 429 or 503: not accepted. ``retry_after`` is the upstream's."""

    next_step = "retry_elsewhere"


class UpstreamAuthFailed(UpstreamError):
    """The vendor says that this account's secret is bad. ``vague``: its answer may mean the request as well, so only a
    look of our own tells."""

    next_step = "retry_elsewhere"

    def __init__(self, message: str, *, retry_after: float | None = None, vague: bool = False):
        super().__init__(message, retry_after=retry_after)
        self.vague = vague


class RequestBlocked(UpstreamError):
    """HTTP 401 to 407 without a word of the vendor: a firewall, a proxy or a portal refused this request, or none is
    there. It says nothing about the account, and one other account, but not all of them, may be asked."""

    next_step = "retry_elsewhere"
    should_retry = False


class UpstreamModelForbidden(UpstreamError):
    """HTTP 403, 404 or ``model_not_found``: this account may not use the model, or not from where it is. Another may."""

    next_step = "retry_elsewhere"


class UpstreamModelRetired(UpstreamModelForbidden):
    code = "model_retired"  # the vendor says so itself: none of its accounts serves the model any more


class UpstreamQuotaExhausted(UpstreamError):
    """HTTP 402, or the vendor's own code for an empty balance."""

    next_step = "retry_elsewhere"


class UpstreamRejected(UpstreamError):
    """The upstream refused the content of the request. Another account would refuse it too."""

    status = 400
    type = "invalid_request_error"
    code = "invalid_request"
    should_retry = False


class UpstreamModerated(UpstreamRejected):
    code = "content_policy_violation"


class UnsupportedWish(UpstreamRejected):
    """This upstream can't be told what the client wishes. Nothing was sent, and another account may be able to."""

    next_step = "retry_elsewhere"


class AddressNeeded(UnsupportedWish):
    """The upstream takes an input only at a public address, and this one has none. ``param`` is its role."""


class AdapterFailed(UnsupportedWish):
    """Our adapter fell over before anything was sent."""

    status = 500
    type = "api_error"
    code = "internal_error"


class UpstreamFailed(UpstreamError):
    """The upstream reported a failure in its own error format. It may have billed, so the request is not repeated."""

    should_retry = False


class OperationNotFound(UpstreamError):
    """HTTP 404 for an operation that was accepted earlier."""

    next_step = "retry_later"


class OutcomeUnknown(UpstreamError):
    """The request was sent and no readable answer came. It may have been accepted, so it is never sent again."""

    code = "submission_unknown"
    next_step = "investigate"
    should_retry = False


class PollFailed(UpstreamError):
    """Polling a running operation failed. The next poll is delayed."""

    next_step = "retry_later"


class ResultUnreadable(UpstreamError):
    """The downloaded result is no complete video, picture or sound. Another download may be."""

    next_step = "retry_later"


class ResultUndecodable(ResultUnreadable):
    """The downloaded result may be whole, but nothing here decodes it: it is kept as it came."""


class LabelsFailed(PollFailed):
    """A label that the operator requires could not be added: the result is kept, not served, and labelled later."""
