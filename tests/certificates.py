"""One certificate that nobody uses: every server of the tests is on 127.0.0.1.

Without it each HTTP client reads the 150 public ones, which takes 20 ms and happens thousands of times. One must be
there, because the object store's client refuses to start without any.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


def trust_one_certificate() -> None:
    """For this process and those that it starts."""
    path = Path(mkdtemp(prefix="filmgate-certificate-")) / "one.pem"
    path.write_bytes(_certificate())
    os.environ["SSL_CERT_FILE"] = str(path)
    os.environ.pop("SSL_CERT_DIR", None)


def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests of filmgate")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
