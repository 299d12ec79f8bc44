"""Technology tables, and the energy counted with them."""

import numpy as np
import pytest

from analysis.energy import energy
from analysis.figures import energy as energy_rows
from analysis.performance import CoreKind, System, evaluate
from analysis.process import UNITS, between, paper_process, processes
from analysis.workloads import Layer, Workload, network, resnet50
from pact_hw.errors import InputError

GOOD = "\n".join(
    f'{name} = {{ value = 1.0, unit = "{unit}", source = "me" }}' for name, unit in UNITS.items()
)


def test_every_packaged_constant_has_unit_and_source():
    known = processes()
    assert set(known) == {"45nm", "7nm"}
    for process in known.values():
        assert set(process.sources) == set(UNITS)
        assert all(process.sources.values())
    # Horowitz, ISSCC 2014, figure 1.1.9: an 8-bit product 0.2 pJ, 8 bytes from 1 MB 100 pJ.
    assert known["45nm"].multiply_8x8_pj == 0.2
    assert known["45nm"].sram_large_pj_per_bit * 64 == pytest.approx(100, rel=0.01)


def test_interpolation_goes_through_both_and_says_what_it_is():
    low, high = processes()["7nm"], processes()["45nm"]
    for end in (low, high):
        same = between(low, high, end.node_nm)
        assert same.multiply_8x8_pj == pytest.approx(end.multiply_8x8_pj)
    middle = paper_process()
    assert middle.node_nm == pytest.approx(14)
    assert low.dram_pj_per_bit < middle.dram_pj_per_bit < high.dram_pj_per_bit
    assert "interpolated" in middle.name
    assert all("interpolated" in source for source in middle.sources.values())


def test_memory_area():
    process = processes()["7nm"]
    one = process.sram_um2(1e6)
    assert one == pytest.approx(8e6 * 0.027 / 0.7)
    assert process.sram_um2(1e6, ports=3) == pytest.approx(one * (1 + 2 * process.sram_port_area))


def test_a_users_own_table(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(f"[mine]\n{GOOD}\n")
    rows = energy_rows(path)
    assert {row["process"] for row in rows} == {"mine"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no process"),
        ("[mine]\n", r"\[mine\] must have exactly node, .*, not \[\]"),
        (f"[mine]\n{GOOD}\nextra = 1\n", "must have exactly"),
        (f"[mine]\n{GOOD}\n".replace('"um2"', '"mm2"'), r"sram_bitcell must be in um2, not 'mm2'"),
        (
            f"[mine]\n{GOOD}\n".replace('source = "me"', 'source = ""', 1),
            "node must have value, unit and source",
        ),
        (f"[mine]\n{GOOD}\n".replace("1.0", "-1.0", 1), "node must be a positive number, not -1.0"),
        ("mine = 3", "must have exactly"),
        ("[", "cannot be read"),
    ],
)
def test_a_bad_table_is_refused_in_one_line(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as refusal:
        processes(path)
    assert "mine.toml" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def one_layer(**changes):
    shape = {"in_channels": 16, "out_channels": 8, "kernel": 1, "stride": 1, "out_pixels": 10}
    layer = Layer(name="l", act_elements=240, **(shape | changes))
    return Workload(name="one", image_elements=160, layers=(layer,), edges=())


def chip(core, **changes):
    return System(
        **(
            {"bits": 4, "cores": 1, "bandwidth_bytes_per_s": 1e9, "rows": 8, "cols": 4, "core": core}
            | changes
        )
    )


@pytest.mark.parametrize(
    ("core", "act_reads", "weight_reads", "partial_sums"),
    [
        # 2 channel tiles each read 16 x 10 activations; weights once, or once per 8 pixels.
        (CoreKind.PACT, 2 * 160, 128, 2 * 80 * 1),
        (CoreKind.WEIGHT_STATIONARY, 2 * 160, 128, 2 * 80 * 1),
        (CoreKind.OUTPUT_STATIONARY, 2 * 160, 2 * 128, 0),
    ],
)
def test_energy_by_hand(core, act_reads, weight_reads, partial_sums):
    system, process = chip(core), processes()["45nm"]
    performance = evaluate(one_layer(), system)
    found = energy(one_layer(), system, performance, process)
    acc_bits = 4 + 4 + 4 + 1
    assert found.mac_pj[0] == pytest.approx(1280 * (0.2 / 4 + 0.0031 * acc_bits))
    assert found.on_chip_pj[0] == pytest.approx((act_reads + weight_reads + 80) * 4 * 1.56)
    assert found.partial_sum_pj[0] == pytest.approx(partial_sums * acc_bits * 0.156)
    assert found.dram_pj[0] == pytest.approx(performance.bytes_per_image[0] * 8 * 20.3)
    assert found.total_pj == found.mac_pj + found.on_chip_pj + found.partial_sum_pj + found.dram_pj


def test_a_batch_shares_the_reading_of_weights():
    single, many = (chip(CoreKind.OUTPUT_STATIONARY, batch=batch) for batch in (1, 8))
    process = paper_process()
    alone, together = (
        energy(one_layer(), system, evaluate(one_layer(), system), process).on_chip_pj[0]
        for system in (single, many)
    )
    # 10 pixels are 2 row tiles, 80 are 10: 1.25 loads of the weights an image instead of 2.
    assert (alone - together) / process.sram_large_pj_per_bit == pytest.approx(0.75 * 128 * 4)


@pytest.mark.parametrize("name", ["resnet50", "alexnet", "mobilenet_v2", "bert_base"])
def test_fewer_bits_take_less_energy_of_every_kind(name):
    system = System(bits=[16, 8, 4, 2], cores=[4, 8, 16, 32], bandwidth_bytes_per_s=64e9)
    found = energy(network(name), system, evaluate(network(name), system), paper_process())
    for kind in (found.mac_pj, found.on_chip_pj, found.partial_sum_pj, found.dram_pj):
        assert (np.diff(kind) <= 0).all()


def test_a_newer_node_takes_less_energy():
    system = System(bits=8, cores=8, bandwidth_bytes_per_s=64e9)
    performance = evaluate(resnet50(), system)
    known = processes()
    totals = [energy(resnet50(), system, performance, known[name]).total_pj[0] for name in ("45nm", "7nm")]
    assert totals[1] < totals[0] / 2
