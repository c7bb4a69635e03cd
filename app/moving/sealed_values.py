"""Values that LiteLLM encrypts in its database, in each of the three forms that its versions write.

Source: BerriAI/litellm litellm/proxy/common_utils/encrypt_decrypt_utils.py. The key is ``LITELLM_SALT_KEY``, else the
master key: hashed with SHA-256 for XSalsa20-Poly1305 (no prefix) and ``v2:gcm:``, stretched by HKDF for ``v3:gcm:``.
"""

import base64
import binascii
import hashlib
import importlib
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.moving.databases import needed_package

HASHED, STRETCHED = "v2:gcm:", "v3:gcm:"
STRETCHED_FOR = b"litellm-at-rest-v3"
NONCE_BYTES = 12
UNMARKED = re.compile(r"[A-Za-z0-9_-]{54,}={0,2}")
"""At least a nonce and a tag of XSalsa20-Poly1305 (40 bytes). A model's name or an address is no such text."""


def is_sealed(text: str) -> bool:
    """Whether a value looks like an encrypted one."""
    return text.startswith((HASHED, STRETCHED)) or bool(len(text) % 4 == 0 and UNMARKED.fullmatch(text))


def open_value(text: str, salt_key: str) -> str | None:
    """The value in clear; None when this key does not open it. Raises ``InvalidRequest`` when the package that opens
    the oldest form is missing."""
    hashed = hashlib.sha256(salt_key.encode()).digest()
    try:
        if text.startswith(HASHED):
            return _open_gcm(text.removeprefix(HASHED), hashed)
        if text.startswith(STRETCHED):
            stretched = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=STRETCHED_FOR)
            return _open_gcm(text.removeprefix(STRETCHED), stretched.derive(salt_key.encode()))
        return _open_box(base64.urlsafe_b64decode(text), hashed)
    except (InvalidTag, ValueError, binascii.Error):
        return None


def _open_gcm(text: str, key: bytes) -> str:
    raw = base64.urlsafe_b64decode(text)
    return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None).decode()


def _open_box(raw: bytes, key: bytes) -> str | None:
    try:
        secret, exceptions = (
            importlib.import_module("nacl.secret"),
            importlib.import_module("nacl.exceptions"),
        )
    except ModuleNotFoundError as error:
        raise needed_package(error) from None
    try:
        opened: bytes = secret.SecretBox(key).decrypt(raw)
    except exceptions.CryptoError:
        return None
    return opened.decode()
