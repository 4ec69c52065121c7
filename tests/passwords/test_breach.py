"""Where a leaked password stands in a breach file."""

from __future__ import annotations

import hashlib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyback.domain.passwords.breach_filter import LEAST_FP, MAX_ENTRIES, MAX_FP, Shape, prefix_of, shape_for
from tests.support.each import each

PREFIX = st.integers(0, 2**64 - 1)
SHAPES = st.builds(shape_for, st.integers(1, MAX_ENTRIES), st.floats(LEAST_FP, MAX_FP))


@given(st.integers(1, MAX_ENTRIES), st.floats(LEAST_FP, MAX_FP))
def test_a_shape_keeps_its_share_and_stays_small(count: int, fp: float) -> None:
    shape = shape_for(count, fp)
    assert shape.false_positives(count) <= fp * (1 + 1e-9)
    bits = 8 * shape.width + 16 * shape.buckets / count
    assert bits <= 34 or shape.buckets == 1, "never more than a 24-bit value with a bucket of its own"


@given(SHAPES, PREFIX, PREFIX)
def test_places_are_in_the_order_of_the_hashes(shape: Shape, one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert shape.place(low) <= shape.place(high)
    bucket, kept = shape.split(shape.place(high))
    assert 0 <= bucket < shape.buckets
    assert len(kept) == shape.width


@each("count, fp", [(0, 1e-4), (MAX_ENTRIES + 1, 1e-4), (5, 1e-7), (5, 0.5)])
def test_what_no_file_can_be(count: int, fp: float) -> None:
    with pytest.raises(ValueError, match=r"must be|takes"):
        shape_for(count, fp)


@pytest.mark.covers("N-P9")
@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_a_password_is_known_by_the_sha1_of_its_normal_form(text: str) -> None:
    whole = hashlib.sha1(unicodedata.normalize("NFC", text).encode()).hexdigest()
    assert f"{prefix_of(text):016x}" == whole[:16]
    assert prefix_of(unicodedata.normalize("NFD", text)) == prefix_of(text)
