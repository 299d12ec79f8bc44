"""What docs/models.md and docs/study.md say, recomputed."""

import re
from pathlib import Path

import numpy as np
import pytest

from analysis import figures
from analysis.area import libraries
from analysis.area_points import judged, summary
from analysis.peers import explained
from analysis.study import STUDIES
from analysis.workloads import NETWORKS, network, resnet50_v15

DOCS = Path(__file__).parents[2] / "docs"
MODELS = (DOCS / "models.md").read_text()
STUDY = (DOCS / "study.md").read_text()


def cells(text, first):
    """The cells of the first table row that begins with ``first``, without it."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def numbers(text, first):
    """The first number of each cell."""
    return [float(re.search(r"-?[\d.]+", cell.replace(",", ""))[0]) for cell in cells(text, first)]


def test_the_example_runs():
    for code in re.findall(r"```python\n(.*?)```", MODELS, re.DOTALL):
        exec(compile(code, "models.md", "exec"), {})  # noqa: S102 - our own documentation


@pytest.mark.parametrize(("first", "bandwidth"), [("unlimited", None), ("64 GB/s", 64.0), ("32 GB/s", 32.0)])
def test_the_papers_figure(first, bandwidth):
    model = [row["model"] for row in figures.fig6c() if row["bandwidth_gb_per_s"] == bandwidth]
    assert numbers(STUDY, first) == [round(value) for value in model]


@pytest.mark.parametrize(
    ("first", "policy"),
    [
        ("what fits is kept", "weights kept"),
        ("no weights kept", "no weights kept"),
        ("nothing kept between layers", "nothing kept"),
    ],
)
def test_traffic(first, policy):
    rows = [r for r in figures.traffic() if (r["policy"], r["bandwidth_gb_per_s"]) == (policy, 64)]
    assert numbers(STUDY, first) == [round(row["total_mb"], 1) for row in rows]
    waits = [int(re.search(r"\((\d+) %\)", cell)[1]) for cell in cells(STUDY, first)]
    assert waits == [round(100 * row["waiting_share"]) for row in rows]


def test_the_map():
    second = STUDY[STUDY.index("Where it begins and ends") :]
    rows = {
        (row["policy"], row["memory_mb"]): row
        for row in figures.superlinear_range(figures.superlinearity_map())
        if row["bits"] == 4
    }
    for first, policy in (
        ("what fits is kept", "weights kept"),
        ("no weights kept", "no weights kept"),
        ("nothing kept", "nothing kept"),
    ):
        for cell, memory in zip(cells(second, first), (2, 4, 8, 16, 32, 64), strict=True):
            row = rows[policy, memory]
            if row["to_gb_per_s"] is None:
                assert cell == "nowhere"
            else:
                assert cell == f"{row['to_gb_per_s']:.0f} GB/s, {row['best_over_peak']:.2f}"


@pytest.mark.parametrize(
    ("first", "name"),
    [
        ("ResNet-18", "resnet18"),
        ("ResNet-50", "resnet50"),
        ("ResNet-50 v1.5", "resnet50-v1.5"),
        ("AlexNet", "alexnet"),
        ("MobileNetV2", "mobilenet_v2"),
        ("BERT-base, 128 tokens", "bert_base"),
    ],
)
def test_networks(first, name):
    found = {
        (row["batch"], row["bits"]): row["speed_up"]
        for row in figures.networks()
        if row["network"] == name and row["bandwidth_gb_per_s"] == 64
    }
    points = ((1, 4), (1, 2), (64, 4), (64, 2))
    assert numbers(STUDY, first) == pytest.approx([found[point] for point in points], abs=0.051)


def test_every_network_is_in_the_table():
    for name in NETWORKS:
        weights, macs, layers = numbers(MODELS, f"`{name}`")
        found = network(name)
        assert weights == round(found.weights / 1e6, 1)
        assert macs == pytest.approx(found.macs / 1e9, abs=0.06)
        assert layers == len(found.layers) or (name, layers) == ("bert_base", 72)


def test_sensitivity():
    rows = {(r["constant"], round(r["value"] or 0, 2)): r for r in figures.sensitivity()}
    for value, mean in ((0.54, 3.6), (0.60, 2.0), (0.74, 1.2), (0.80, 2.2)):
        assert f"| {value:.2f} | {mean} % |" in MODELS
        assert 100 * rows["tensor_memory_share", value]["mean_error"] == pytest.approx(mean, abs=0.05)


def test_energy():
    table = MODELS[MODELS.index("| cores, bits | MACs") :]
    for row in figures.energy():
        if row["network"] == "resnet50":
            kinds = ("mac", "on_chip", "partial_sum", "dram", "total")
            expected = [row[f"{kind}_mj"] for kind in kinds]
            assert numbers(table, f"{row['cores']}, {row['bits']}") == pytest.approx(expected, abs=0.051)


def test_peers():
    for value in explained(resnet50_v15().columns, 32, 32).values():
        assert f"{value.sum():,.0f}" in MODELS


def test_area_table():
    for row in summary(judged()):
        if row["role"] == "held-out":
            errors = [
                row[name] for name in ("median_error", "worst_error", "pe_median_error", "pe_worst_error")
            ]
            found = numbers(MODELS, f"{row['library']}, held out")
            assert found == [row["designs"], *np.round(100 * np.array(errors), 1)]


def test_every_figure_is_named():
    assert all(f"`{name}`" in STUDY for name in STUDIES)


@pytest.mark.parametrize("library", libraries())
def test_our_own_arrays(library):
    rows = [
        row
        for row in figures.area_performance()
        if (row["library"], row["cores_chosen_by"]) == (library, "our arrays")
        and row["bandwidth_gb_per_s"] == 64
    ]
    speeds = [row["images_per_s"] for row in rows]
    expected = [*(round(speed) for speed in speeds), round(speeds[-1] / speeds[0], 1)]
    assert numbers(STUDY, library) == expected
    found = {
        (row["lanes"], row["bits"]): row["relative_area"]
        for row in figures.fig6b()
        if row["source"] == f"{library}, synthesised"
    }
    for lanes, name in ((1, "1 lane"), (16, "16 lanes")):
        ratios = [round(found[lanes, bits], 1) for bits in (16, 8, 4, 2)]
        assert numbers(STUDY, f"{library}, {name}") == ratios
