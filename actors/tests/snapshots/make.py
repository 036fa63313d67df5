"""Writes the snapshot files beside this one, from the description of the format alone (needs `cryptography`).

They are never written again: what an older version wrote has to stay readable as it is.
"""

import zlib
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY = bytes(range(32))
FULL, INCREMENTAL = 0, 1


def varint(number):
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return varint(len(value)) + value


def derived(info, length):
    return HKDF(SHA256(), length, b"wavetank snapshot", info).derive(KEY)


def name(sealed):
    return b"\x01" + derived(b"wavetank: name of the key", 8) if sealed else b"\x00"


def file(version, header, body, sealed):
    start = b"WTsnap\r\n" + version.to_bytes(2, "little") + len(header).to_bytes(4, "little") + header
    if sealed:
        body = ChaCha20Poly1305(derived(start, 32)).encrypt(bytes(12), body, start)
    whole = start + len(body).to_bytes(8, "little") + body
    return whole + zlib.crc32(whole).to_bytes(4, "little")


def version_1(kind, number, body, sealed=False):
    return file(1, kind + varint(1 << 100) + varint(number) + text("per-minute") + varint(0xFEED) + name(sealed), body, sealed)


def version_2(kind, number, body, sealed=False):
    header = kind + varint(1 << 100) + varint(5) + varint(number) + text("per-minute") + varint(0xFEED)
    return file(2, header + varint(len(body)) + varint(0) + name(sealed), body, sealed)


# Part `by key`: 1 -> 258, 2 -> 3; part `count`: 7.
state = varint(2)
state += text("by key") + varint(2) + text(b"\x01") + text(varint(258)) + text(b"\x02") + text(varint(3))
state += text("count") + varint(1) + text(b"") + text(varint(7))
# Key 2 is gone, the count is 8.
changes = varint(2)
changes += text("by key") + text(b"\x02") + b"\x00"
changes += text("count") + text(b"") + b"\x01" + text(varint(8))

folder = Path(__file__).parent
for version, write in [("v1", version_1), ("v2", version_2)]:
    (folder / f"{version}-full.state").write_bytes(write(varint(FULL), 12, state))
    (folder / f"{version}-changes.state").write_bytes(write(varint(INCREMENTAL) + varint(12), 13, changes))
    (folder / f"{version}-sealed.state").write_bytes(write(varint(FULL), 12, state, sealed=True))
