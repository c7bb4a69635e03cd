"""The TLS context of outbound connections, whose trusted roots are read with the first of them."""

import ssl
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import httpx2


class LateContext(ssl.SSLContext):
    """Reading the roots takes 45 ms and 3 MB, which a start can do without. One context is shared by all clients."""

    def __new__(cls) -> "LateContext":
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    @cached_property
    def _whole(self) -> ssl.SSLContext:
        context = httpx2.create_ssl_context()
        context.set_alpn_protocols(["http/1.1"])
        return context

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        self._whole.set_alpn_protocols(alpn_protocols)

    def wrap_bio(self, *given: Any, **options: Any) -> ssl.SSLObject:
        return self._whole.wrap_bio(*given, **options)

    def wrap_socket(self, *given: Any, **options: Any) -> ssl.SSLSocket:
        return self._whole.wrap_socket(*given, **options)
