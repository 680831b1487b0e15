"""Make an authority and what it vouches for. Argument: the directory."""

import datetime
import pathlib
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.timezone.utc)
RESPONDER = "http://127.0.0.1:2560"


def certificate(key, name, issuer_key, issuer, serial, *extensions):
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=80))
    )
    for extension in extensions:
        builder = builder.add_extension(extension, isinstance(extension, x509.BasicConstraints))
    return builder.sign(issuer_key, hashes.SHA256())


def write(directory, name, key, *chain):
    pem = serialization.Encoding.PEM
    (directory / f"{name}.crt").write_bytes(b"".join(one.public_bytes(pem) for one in chain))
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / f"{name}.key").write_bytes(private)


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(mode=0o700, exist_ok=True)
    key = rsa.generate_private_key(65537, 2048)
    ours = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer = certificate(
        key, "Test CA", key, "Test CA", 1, x509.BasicConstraints(ca=True, path_length=0), ours
    )
    write(directory, "ca", key, issuer)
    # The text's own second pair stands for what comes when it is renewed, the other one for files.
    for serial, (name, hosts, kind) in enumerate(
        [
            ("files", ["files.example.org", "www.files.example.org"], "rsa"),
            ("renewed", ["files.example.org", "www.files.example.org"], "rsa"),
            ("text", ["text.example.org"], "ec"),
            ("next", ["text.example.org"], "ec"),
            ("pebble", ["localhost"], "ec"),
        ],
        start=16,
    ):
        own = (
            rsa.generate_private_key(65537, 2048)
            if kind == "rsa"
            else ec.generate_private_key(ec.SECP256R1())
        )
        extensions = [
            x509.BasicConstraints(ca=False, path_length=None),
            x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()),
        ]
        if kind == "rsa":
            access = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(RESPONDER)
            )
            extensions.append(x509.AuthorityInformationAccess([access]))
        made = certificate(own, hosts[0], key, "Test CA", serial, *extensions)
        write(directory, name, own, made, issuer)
    # For openssl ocsp: all of them are good.
    (directory / "index.txt").write_text(
        "".join(f"V\t351231235959Z\t\t{each:X}\tunknown\t/CN={each}\n" for each in range(16, 32))
    )


main()
