"""SPACE.toml: what is declared, and what is refused in one line."""

import math
import re

import numpy as np
import pytest

from analysis.explore.space import Space
from pact_hw.errors import InputError

GOOD = {
    "space": {"network": "alexnet", "bits": [8, 2], "cores": {"from": 1, "to": 8, "factor": 2}},
    "objectives": {"images_per_s": "maximise", "area_ge": "minimise"},
}


def space(**tables):
    return Space.from_toml({**GOOD, **tables})


def axes(**changes):
    return {"space": {**GOOD["space"], **changes}}


def test_values_lists_and_ranges():
    found = Space.from_toml(
        {**GOOD, **axes(memory_mb={"from": 0.5, "to": 2, "step": 0.5}, bandwidth_gb_per_s=[math.inf, 8])}
    ).axes
    assert found["bits"] == (2, 8)
    assert found["cores"] == (1, 2, 4, 8)
    assert found["memory_mb"] == (0.5, 1.0, 1.5, 2.0)
    assert found["bandwidth_gb_per_s"] == (8.0, math.inf)
    assert found["batch"] == (1,)


def test_a_range_ends_at_its_last_value_below_the_end():
    assert space(**axes(rows={"from": 1, "to": 8, "step": 3})).axes["rows"] == (1, 4, 7)


def test_every_design_has_one_number():
    found = space()
    columns = found.columns(np.arange(found.size))
    assert found.size == 8
    assert len(set(zip(columns["bits"].tolist(), columns["cores"].tolist(), strict=True))) == 8
    assert (columns["act_bits"] == columns["bits"]).all()
    assert (columns["weight_bits"] == columns["bits"]).all()


def test_widths_of_their_own():
    declared = {key: value for key, value in GOOD["space"].items() if key != "bits"}
    found = space(space={**declared, "act_bits": [2, 4], "weight_bits": [1, 2, 3]})
    assert found.size == 24
    assert "bits" not in found.columns(np.arange(3))


REFUSED = [
    (axes(colour=1), r"\[space\]: 'colour' is not known here, only .*bits"),
    (
        {"objective": {}},
        r"the file: 'objective' is not known here, only limits, method, name, objectives, space",
    ),
    (axes(bits=0), r"\[space\] bits must be an integer from 1 to 16, not 0"),
    (axes(bits=[2, 17]), r"\[space\] bits must be an integer from 1 to 16, not 17"),
    (axes(bits=2.5), r"\[space\] bits must be an integer from 1 to 16, not 2\.5"),
    (axes(bits=True), r"\[space\] bits must be an integer from 1 to 16, not True"),
    (axes(bits="4"), r"\[space\] bits must be an integer from 1 to 16, not '4'"),
    (axes(bits=[]), r"\[space\] bits must have 1 to 100000 values, not 0"),
    (axes(bits=[4, 4]), r"\[space\] bits must name each value once, not 4 again"),
    (axes(act_bits=4), r"\[space\] must have bits, or both act_bits and weight_bits, not bits, act_bits"),
    (
        {"space": {"network": "alexnet"}},
        r"\[space\] must have bits, or both act_bits and weight_bits, not none of them",
    ),
    ({"space": {"bits": 4}}, r"\[space\] network is missing: what runs on the chip, .*alexnet.*"),
    (axes(network="lenet"), r"\[space\] network must be .*\"resnet50\".*, not 'lenet'"),
    (axes(memory_mb=math.nan), r"\[space\] memory_mb must be a number from 0 to 100000, not nan"),
    (axes(memory_mb=math.inf), r"\[space\] memory_mb must be a number from 0 to 100000, not inf"),
    (axes(bandwidth_gb_per_s=-1), r"\[space\] bandwidth_gb_per_s must be a number from .* or inf, not -1"),
    (axes(cores={"from": 1, "to": 8}), r"\[space\] cores must be a value, a list, \{from, to, step\} or .*"),
    (axes(cores={"from": 8, "to": 1, "step": 1}), r"\[space\] cores: to must be .* at least from, not 1"),
    (axes(cores={"from": 1, "to": 8, "step": 0}), r"\[space\] cores: step must be a number above 0, not 0"),
    (axes(cores={"from": 1, "to": 8, "factor": 1}), r"\[space\] cores: factor must be .* above 1, not 1"),
    (axes(cores={"from": 1, "to": 8, "step": 0.5}), r"\[space\] cores must be an integer .*, not 1\.5"),
    (axes(memory_mb={"from": 0, "to": 1, "step": 1e-7}), r"\[space\] memory_mb must have 1 to 100000 .*"),
    (axes(network={"from": 1, "to": 8, "step": 1}), r"\[space\] network must be a value, a list, not .*"),
    ({"space": 4}, r"\[space\] must be a table, not 4"),
    ({"objectives": {}}, r"\[objectives\] must have 1 to 4 entries, not 0"),
    ({"objectives": {"speed": "maximise"}}, r"\[objectives\]: 'speed' is no metric, only images_per_s, .*"),
    ({"objectives": {"images_per_s": "max"}}, r"\[objectives\] images_per_s must be 'maximise' or .*'max'"),
    (
        {"limits": {"area_ge": {"below": 3}}},
        r"\[limits\] area_ge: 'below' is not known here, only at_least, .*",
    ),
    ({"limits": {"area_ge": {}}}, r"\[limits\] area_ge must have at_least, at_most or both, not neither"),
    ({"limits": {"area_ge": {"at_most": math.inf}}}, r"\[limits\] area_ge at_most must be a finite .* inf"),
    (
        {"limits": {"area_ge": {"at_least": 5, "at_most": 4}}},
        r"\[limits\] area_ge: at_most must not be below at_least = 5, not 4",
    ),
    ({"method": {"kind": "luck"}}, r"\[method\] kind must be 'exhaustive' or 'search', not 'luck'"),
    ({"method": {"seed": 1}}, r"\[method\] seed belongs to kind = \"search\", not to \"exhaustive\""),
    (
        {"method": {"kind": "search", "points": 0}},
        r"\[method\] points must be an integer from 1 to .*, not 0",
    ),
    ({"method": {"points": 7}}, r"\[space\] has 8 designs, more than \[method\] points = 7: raise it, or .*"),
    ({"name": "a\nb"}, r"name must be 1 to 100 printable characters, not 'a\\nb'"),
]


@pytest.mark.parametrize(("tables", "line"), REFUSED)
def test_refusals_name_key_value_and_what_is_allowed(tables, line):
    with pytest.raises(InputError) as refused:
        space(**tables)
    assert re.fullmatch(line, str(refused.value))


def test_too_many_designs_for_64_bits():
    every = {"from": 1, "to": 1024, "step": 1}
    many = axes(rows=every, cols=every, lanes=every, memory_mb={"from": 1, "to": 90000, "step": 1}) | {
        "method": {"kind": "search"}
    }
    assert space(**many).size == 1024**3 * 90000 * 8
    many["space"] |= {"batch": {"from": 1, "to": 60000, "step": 1}}
    with pytest.raises(InputError, match=r"^\[space\] has 4\.64e\+19 designs; at most"):
        space(**many)


@pytest.mark.parametrize("text", ["[space", "\x00", "space = 1\nspace = 2"])
def test_what_is_no_toml(tmp_path, text):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"^\S*bad\.toml: cannot be read: ") as refused:
        Space.load(path)
    assert "\n" not in str(refused.value)


def test_the_digest_follows_the_designs_and_not_the_wishes():
    base = space()
    assert base.digest == space(name="else", objectives={"latency_ms": "minimise"}).digest
    assert base.digest != space(**axes(bits=[2, 4])).digest
    assert base.digest != space(**axes(memory_mb=8)).digest
    search = {"method": {"kind": "search"}}
    assert space(**search).digest != space(**search, objectives={"latency_ms": "minimise"}).digest
