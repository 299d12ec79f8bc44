"""Records of operations and transfers as 32-bit words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.spec.program import FIELDS, TRANSFER_FIELDS, TRANSFER_WORDS, WORDS, decode, encode


def values(fields):
    ranges = {
        f.name: st.integers(-(1 << (f.bits - 1)), (1 << (f.bits - 1)) - 1)
        if f.signed
        else st.integers(0, (1 << f.bits) - 1)
        for f in fields
    }
    return st.fixed_dictionaries(ranges)


@pytest.mark.parametrize(("fields", "words"), [(FIELDS, WORDS), (TRANSFER_FIELDS, TRANSFER_WORDS)])
@given(st.data())
def test_words_give_the_values_back(fields, words, data):
    record = data.draw(values(fields))
    encoded = encode(fields, record, words)
    assert len(encoded) == words
    assert all(0 <= word < 1 << field.bits for word, field in zip(encoded, fields, strict=False))
    assert not any(encoded[len(fields) :])
    assert decode(fields, encoded) == record


def test_a_field_a_word_in_order():
    names = [field.name for field in FIELDS]
    assert len(set(names)) == len(names) <= WORDS
    for index, name in enumerate(names):
        assert [bool(word) for word in encode(FIELDS, {name: 1}, WORDS)] == [i == index for i in range(WORDS)]


WRONG = [
    ({"n_tiles": 1 << 16}, r"^n_tiles in a program must be from 0 to 65535, not 65536$"),
    ({"n_tiles": -1}, r"^n_tiles in a program must be from 0 to 65535, not -1$"),
    ({"origin_y": 1 << 15}, r"^origin_y in a program must be from -32768 to 32767, not 32768$"),
    ({"period": 1}, r"^a program has no field 'period'$"),
]


@pytest.mark.parametrize(("record", "message"), WRONG)
def test_what_does_not_fit_is_refused(record, message):
    with pytest.raises(InputError, match=message):
        encode(FIELDS, record, WORDS)
