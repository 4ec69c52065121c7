"""A section for each connector there is, so that a start has all of them to load. Nothing answers there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from keyback.registry import CONNECTORS, OWN

NOWHERE = "127.0.0.1:9"


def every_system(folder: Path) -> dict[str, dict[str, Any]]:
    """The sections, by name; their files are written into `folder`."""
    secret, key, certificate = folder / "secret", folder / "key.pem", folder / "certificate.pem"
    secret.write_text("a secret of the benchmark", encoding="ascii")
    _certify(key, certificate)
    for file in (secret, key):
        file.chmod(0o600)
    web = {"url": f"http://{NOWHERE}", "secret_file": str(secret)}
    ldap = {
        "url": f"ldap://{NOWHERE}",
        "secret_file": str(secret),
        "base": "dc=example,dc=com",
        "bind_dn": "cn=keyback",
    }
    cloud = {"client_id": "client", "secret_file": str(secret)}
    signed = {"client_id": "client", "private_key_file": str(key)}
    options: dict[str, dict[str, Any]] = {
        "active_directory": ldap,
        "creme": {"url": f"postgresql://{NOWHERE}/creme", "login": "keyback", "secret_file": str(secret)},
        "demo": {"url": f"http://{NOWHERE}", "secret": "x"},
        "dynamics365": {
            **signed, "url": "https://acme.crm.dynamics.com", "tenant": "acme.example.com",
            "principal_id": "66666666-7777-8888-9999-000000000000", "client_id": "11111111-2222-3333-4444-555555555555",
            "certificate_file": str(certificate),
        },
        "fxiaoke": {
            "app_id": "FSAID_1234567", "secret_file": str(secret), "permanent_code_file": str(secret),
            "user_id": "FSUID_0123456789ABCDEF", "privileged_accounts": ["crm.admin@example.com"],
        },
        "guided": {"preset": "hubspot"},
        "http": {**web, "recipe": "demo"},
        "ldap": ldap,
        "odoo": {**web, "database": "example", "login": "keyback"},
        "salesforce": {**signed, "url": "https://acme.my.salesforce.com", "username": "keyback@acme.example.com"},
        "scim": web,
        "sql": {
            "url": f"postgresql://{NOWHERE}/crm", "login": "keyback", "secret_file": str(secret), "table": "users",
            "username_column": "login", "id_column": "id", "hash_column": "hash", "hash_format": "bcrypt",
            "privileged": "role=admin",
        },
        "tryton": {**web, "database": "example", "login": "keyback"},
        "zoho": {**cloud, "data_center": "com", "refresh_token_file": str(secret), "zoid": "12345678"},
    }  # fmt: skip
    assert set(options) == set(OWN[CONNECTORS]), "a connector is missing here"
    return {f"s_{kind}"[:20]: {"kind": kind, "title": kind, **more} for kind, more in options.items()}


def _certify(key: Path, certificate: Path) -> None:
    made = rsa.generate_private_key(65537, 2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    key.write_bytes(made.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "keyback benchmark")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(made, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(pem))
