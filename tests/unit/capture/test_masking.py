"""What leaves of a value: keyed hash, character classes, kinds of secrets."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from forensics.agent.stream import VALUE, ValueKind
from forensics.capture import masking
from forensics.capture.masking import ValueTable, secret_kind, siphash


def block(*values: tuple[int, bytes, ValueKind]) -> bytes:
    return b"".join(VALUE.pack(address, len(raw), len(raw), kind) + raw for address, raw, kind in values)


def test_the_hash_is_siphash_2_4() -> None:
    # Appendix A of the paper: key 00..0f, input 00..0e. The last byte is the tag.
    key = struct.unpack("<QQ", bytes(range(16)))
    text = np.arange(14, dtype=np.uint8)
    assert int(siphash(text, 0, 14, 14, np.uint64(key[0]), np.uint64(key[1]))) == 0xA129CA6149BE45E5


@pytest.mark.parametrize("size", [0, 1, 6, 7, 8, 9, 15, 16, 17, 1000])
def test_equal_values_have_equal_hashes_and_others_do_not(size: int) -> None:
    # GIVEN two equal values, one that differs in its last byte, and equal bytes that are no string
    raw = bytes(65 + i % 26 for i in range(size))
    other = raw[:-1] + b"~" if size else b"~"
    values = ((8, raw, ValueKind.LATIN1), (16, raw, ValueKind.LATIN1))
    values = (*values, (24, other, ValueKind.LATIN1), (32, raw, ValueKind.BYTES))
    table = ValueTable()

    # WHEN they are taken in
    table.add(block(*values), 4)

    # THEN only the equal strings share a hash
    hashes = table.rows.column("hash")
    assert hashes[0] == hashes[1]
    assert len(set(hashes.tolist())) == 3


def test_two_captures_do_not_share_hashes() -> None:
    tables = [ValueTable(), ValueTable()]
    for table in tables:
        table.add(block((8, b"the same", ValueKind.LATIN1)), 1)
    assert tables[0].rows.column("hash")[0] != tables[1].rows.column("hash")[0]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("AKIAIOSFODNN7EXAMPLE", "AWS access key id"),
        ("key=ASIAY34FZKBOKMUTVV7A;", "AWS access key id"),
        ("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS secret access key"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc-_123", "JSON web token"),
        ("4111 1111 1111 1111", "payment card number"),
        ("5500005555555559", "payment card number"),
        ("someone.else+tag@mail.example.org", "e-mail address"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", "private key"),
        ("ghp_0123456789abcdefghijABCDEFGHIJ012345", "API token"),
        # and what must not be taken for one
        ("4111111111111112", ""),
        ("da39a3ee5e6b4b0d3255bfef95601890afd80709", ""),
        ("2026-11-21T03:40:00.000000+00:00", ""),
        ("ORDER#000000001234567", ""),
        ("user at example dot org", ""),
        ("AKIASHORT", ""),
        ("a@b", ""),
    ],
)
@pytest.mark.parametrize("encoding", [ValueKind.LATIN1, ValueKind.UTF8, ValueKind.UCS2])
def test_secrets_are_told_by_kind(text: str, kind: str, encoding: ValueKind) -> None:
    raw = text.encode("utf-16-le") if encoding is ValueKind.UCS2 else text.encode()
    if encoding is not ValueKind.UCS2:
        assert masking.SECRET_KINDS[secret_kind(raw)] == kind
        table = ValueTable()
        table.add(block((8, raw, encoding)), 1)
        assert masking.SECRET_KINDS[int(table.rows.column("class")[0]) >> masking.SECRET_SHIFT] == kind


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("abc", masking.LOWER | masking.HEX_ONLY),
        ("xyz", masking.LOWER),
        ("A1f", masking.LOWER | masking.UPPER | masking.DIGIT | masking.HEX_ONLY),
        ("12", masking.DIGIT | masking.NUMERIC | masking.HEX_ONLY),
        ("a b", masking.LOWER | masking.SPACE),
        ("ü-", masking.NON_ASCII | masking.PUNCTUATION),
        ("", 0),
    ],
)
def test_character_classes(text: str, bits: int) -> None:
    table = ValueTable()
    table.add(block((8, text.encode(), ValueKind.UTF8)), 1)
    assert int(table.rows.column("class")[0]) == bits
