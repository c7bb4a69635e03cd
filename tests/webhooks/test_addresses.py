"""Which webhook URLs are accepted, and which of them without encryption."""

import pytest

from app.errors import InvalidRequest
from app.media.guard import OutboundGuard
from app.webhooks.addresses import check_address, receiver_of

GUARD = OutboundGuard(("hooks.internal", "10.1.0.0/16", "::1"))


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com:8443/a?b=c",
        "https://xn--bcher-kva.example/",
        "http://hooks.internal/",
        "http://HOOKS.internal.:9000/",
        "http://10.1.2.3:9000/x",
        "http://[::1]:8000/",
    ],
)
def test_these_are_taken(url: str) -> None:
    assert check_address(url, param="url", plain=GUARD.lists_host)


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://10.2.0.1/", "http://[::2]/", "http://internal/"]
)
def test_in_the_open_only_where_the_operator_says_so(url: str) -> None:
    with pytest.raises(InvalidRequest, match="url must begin with https://"):
        check_address(url, param="url", plain=GUARD.lists_host)
    assert check_address(url, param="notify_hook")


def test_one_host_is_one_receiver() -> None:
    assert receiver_of("https://A.example/1") == receiver_of("http://a.example:99/2?x") == "a.example"
