"""Letters of ASCII are squeezed by a table, as others are one by one."""

from __future__ import annotations

from keyback.domain.passwords.folding import squeeze, unleet

ASCII = "".join(map(chr, range(128)))


def test_the_table_says_what_each_letter_says() -> None:
    other = "é"  # which keeps it from the table
    assert squeeze(ASCII) + other == squeeze(ASCII + other)
    assert squeeze("P@ss-w0rd !") == "P@ssw0rd!"
    assert unleet(squeeze("p@ss w0rd")) == "password"
