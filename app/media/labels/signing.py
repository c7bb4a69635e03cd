"""The certificate and the key that sign C2PA manifests: whether they fit, and a pair of one's own for development."""

import importlib.util
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from app.errors import SettingsInvalid

CERTIFICATE_SETTING, KEY_SETTING = "FILMGATE_C2PA_CERTIFICATE", "FILMGATE_C2PA_KEY"
CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
SIGNING_PURPOSES = {
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # signing of documents
    ObjectIdentifier("1.3.6.1.4.1.62558.2.1"),  # signing of C2PA claims
}
DEVELOPMENT = "Filmgate development (not trusted)"
DEVELOPMENT_DAYS = 365
LEAST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningIdentity:
    """A certificate whose key is there. ``algorithm`` as C2PA names it."""

    certificate: Path
    key: Path
    algorithm: str
    subject: str
    expires_at: datetime
    is_development: bool


def load_identity(certificate: Path | None, key: Path | None) -> SigningIdentity | None:
    """None where neither is set. Raises ``SettingsInvalid`` that names the setting and says what to do."""
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        missing, other = (
            (CERTIFICATE_SETTING, KEY_SETTING) if certificate is None else (KEY_SETTING, CERTIFICATE_SETTING)
        )
        raise SettingsInvalid(f"{missing}: is needed with {other}")
    if importlib.util.find_spec("c2pa") is None:
        raise SettingsInvalid(f"{CERTIFICATE_SETTING} needs c2pa-python: pip install 'filmgate[c2pa]'")
    chain, private = _read_chain(certificate), _read_key(key)
    leaf = chain[0]
    encoding = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if leaf.public_key().public_bytes(*encoding) != private.public_key().public_bytes(*encoding):
        raise SettingsInvalid(
            f"{KEY_SETTING}: {key} is not the key of the first certificate in {certificate}"
        )
    _check_chain(chain, certificate)
    return SigningIdentity(
        certificate.absolute(),
        key.absolute(),
        algorithm=_algorithm_of(private, key),
        subject=leaf.subject.rfc4514_string(),
        expires_at=leaf.not_valid_after_utc,
        is_development=DEVELOPMENT in leaf.subject.rfc4514_string(),
    )


def _read_chain(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise SettingsInvalid(f"{CERTIFICATE_SETTING}: {path} can't be read ({error.strerror})") from error
    except ValueError as error:
        text = f"{CERTIFICATE_SETTING}: {path} holds no certificates in PEM; put your own first, then those above it"
        raise SettingsInvalid(text) from error


def _read_key(path: Path) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SettingsInvalid(f"{KEY_SETTING}: {path} can't be read ({error.strerror})") from error
    except (TypeError, ValueError, UnsupportedAlgorithm) as error:
        text = f"{KEY_SETTING}: {path} holds no private key in PEM without a password (openssl pkcs8 -topk8 -nocrypt)"
        raise SettingsInvalid(text) from error


def _check_chain(chain: list[x509.Certificate], path: Path) -> None:
    leaf, now = chain[0], datetime.now(UTC)
    if not leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc:
        span = f"from {leaf.not_valid_before_utc:%Y-%m-%d} to {leaf.not_valid_after_utc:%Y-%m-%d}"
        raise SettingsInvalid(f"{CERTIFICATE_SETTING}: the certificate in {path} is valid {span}; renew it")
    if leaf.issuer == leaf.subject:
        text = "signs itself, which C2PA forbids: an authority's certificate has to follow it"
        raise SettingsInvalid(f"{CERTIFICATE_SETTING}: the first certificate in {path} {text}")
    if not _purposes_of(leaf) & SIGNING_PURPOSES:
        text = "may not sign content: its extended key usage needs emailProtection, document or C2PA claim signing"
        raise SettingsInvalid(f"{CERTIFICATE_SETTING}: the certificate in {path} {text}")
    for lower, upper in pairwise(chain):
        try:
            lower.verify_directly_issued_by(upper)
        except (InvalidSignature, TypeError, ValueError) as error:
            text = (
                f"{lower.subject.rfc4514_string()} is not issued by the certificate that follows it in {path}"
            )
            raise SettingsInvalid(f"{CERTIFICATE_SETTING}: {text}") from error


def _purposes_of(certificate: x509.Certificate) -> set[ObjectIdentifier]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return set()


def _algorithm_of(private: PrivateKeyTypes, path: Path) -> str:
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in CURVES:
        return CURVES[private.curve.name]
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, rsa.RSAPrivateKey) and private.key_size >= LEAST_RSA_BITS:
        return "ps256"
    raise SettingsInvalid(
        f"{KEY_SETTING}: {path} is of a kind that C2PA does not sign with; use P-256 or Ed25519"
    )


def write_development_pair(folder: Path) -> tuple[Path, Path]:
    """A chain and its key that no reader trusts, for trials. Raises ``OSError``, and ``FileExistsError`` rather than
    replacing one."""
    certificate, key = folder / "c2pa-development.pem", folder / "c2pa-development.key"
    authority, private = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    leaf = _issue(private.public_key(), authority, name=DEVELOPMENT, is_authority=False)
    root = _issue(authority.public_key(), authority, name=f"{DEVELOPMENT}: root", is_authority=True)
    key.touch(mode=0o600, exist_ok=False)
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with certificate.open("xb") as file:
        file.write(leaf.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    return certificate, key


def _issue(
    public: ec.EllipticCurvePublicKey, authority: ec.EllipticCurvePrivateKey, *, name: str, is_authority: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    usage = x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(f"{DEVELOPMENT}: root"))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=DEVELOPMENT_DAYS))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(issuer, critical=False)
    )
    if not is_authority:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(authority, hashes.SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Filmgate"),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )
