"""TLS in front of a port that speaks plain HTTP, under a name and all names below it: for a browser on this machine.

Bytes are passed on as they are. A browser finds the names by ``rules`` and takes the certificate by ``FLAGS``.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FLAGS = ("--ignore-certificate-errors",)


def rules(hostname: str, port: int) -> str:
    """Chromium's option by which a name, and all below it, lead to a port of this machine."""
    names = ",".join(f"MAP {name}:443 127.0.0.1:{port}" for name in (hostname, f"*.{hostname}"))
    return f"--host-resolver-rules={names}"


def certificate(hostname: str, folder: Path) -> ssl.SSLContext:
    """A context of a server with a certificate of its own for ``hostname`` and ``*.hostname``, for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName(hostname), x509.DNSName(f"*.{hostname}")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = folder / "relay.pem"
    file.write_bytes(private + made.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError, ssl.SSLError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()


@contextmanager
def relay(hostname: str, folder: Path, port: int, host: str, to: int) -> Iterator[None]:
    """Listen at ``port`` of the loopback, and pass on to ``host``:``to``, until the context ends."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(host, to)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))

    loop = asyncio.new_event_loop()
    context = certificate(hostname, folder)
    loop.run_until_complete(asyncio.start_server(connected, "127.0.0.1", port, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
