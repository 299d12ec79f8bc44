import hashlib
import json

import pytest

from pact_hw.errors import InputError
from pact_hw.spec import SCHEMA_VERSION, canonical_json, digest, seal, unseal


def test_canonical_text_does_not_depend_on_the_order_of_members():
    assert (
        canonical_json({"b": 1, "a": [1, 2]}) == canonical_json({"a": [1, 2], "b": 1}) == '{"a":[1,2],"b":1}'
    )


def test_digest_is_the_sha256_of_the_canonical_text():
    assert digest({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


def test_a_sealed_document_survives_json():
    sealed = json.loads(json.dumps(seal({"x": 1})))
    assert unseal(sealed, name="f.json") == {"x": 1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": 2}, r"^f\.json: its digest '\w{12}' does not match its content"),
        ({"digest": "0" * 64}, r"^f\.json: its digest '000000000000' does not match"),
        ({"schema": SCHEMA_VERSION + 1}, r"^f\.json: schema 2 is not supported, expected 1$"),
    ],
)
def test_refuses_an_edited_document(change, message):
    with pytest.raises(InputError, match=message):
        unseal({**seal({"x": 1}), **change}, name="f.json")


@pytest.mark.parametrize("document", [None, [], "x", 1])
def test_refuses_what_is_no_object(document):
    with pytest.raises(InputError, match=r"^f\.json: expected a JSON object, got "):
        unseal(document, name="f.json")
