"""The services of the family: where each takes work and says how far it is, and how it wants the key."""

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from app.errors import InvalidRequest
from app.providers.base import Account


@dataclass(frozen=True, slots=True)
class PredictionsService:
    """``submit_path`` without ``{model}``: the model's name stands in the body."""

    name: str
    title: str
    host: str
    submit_path: str
    poll_path: str
    balance_path: str = ""
    """Empty: it does not report what is left."""
    key_header: str = ""
    """Empty: the key is a bearer token."""
    takes_bytes: bool = True
    """Whether inputs may be data URIs; else only public addresses."""
    relays_text: bool = False
    """Whether it has OpenAI's text API at ``/v1``."""

    @property
    def names_model_in_path(self) -> bool:
        return "{model}" in self.submit_path

    def submit_path_of(self, model: str) -> str:
        return self.submit_path.format(model=model)

    def poll_path_of(self, prediction: str) -> str:
        return self.poll_path.format(id=quote(prediction, safe=""))


SERVICES = (
    PredictionsService(
        name="wavespeed",
        title="WaveSpeed",
        host="https://api.wavespeed.ai",
        submit_path="/api/v3/{model}",
        poll_path="/api/v3/predictions/{id}/result",
        balance_path="/api/v3/balance",
    ),
    PredictionsService(
        name="atlascloud",
        title="Atlas Cloud",
        host="https://api.atlascloud.ai",
        submit_path="/api/v1/model/generateVideo",
        poll_path="/api/v1/model/prediction/{id}",
        relays_text=True,
    ),
    PredictionsService(
        name="muapi",
        title="MuAPI",
        host="https://api.muapi.ai",
        submit_path="/api/v1/{model}",
        poll_path="/api/v1/predictions/{id}/result",
        balance_path="/api/v1/account/balance",
        key_header="x-api-key",
        takes_bytes=False,
    ),
)
BY_NAME = {service.name: service for service in SERVICES}


def service_of(account: Account) -> PredictionsService:
    """By ``options.api``, else by the host of ``base_url``, else WaveSpeed. Raises ``InvalidRequest``."""
    named = account.options.get("api")
    if named is not None:
        if named not in BY_NAME:
            raise InvalidRequest(f"api must be one of {', '.join(BY_NAME)}", param="options.api")
        return BY_NAME[named]
    host = (urlsplit(account.base_url.strip()).hostname or "").removeprefix("api.")
    return next((service for service in SERVICES if host and host in service.host), SERVICES[0])
