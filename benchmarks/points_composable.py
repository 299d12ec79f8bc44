"""Composable arrays and threshold requantisers for ``area_points.py``: fitted to, and held out."""

from collections.abc import Iterator

from pact_hw.spec import (
    ActFormat,
    HardwareSpec,
    MacKind,
    RequantiserKind,
    RequantiserSpec,
    WeightEncoding,
    WeightFormat,
)

ODD, TWOS = WeightEncoding.ODD, WeightEncoding.TWOS_COMPLEMENT


def composable(bits, narrowest, lanes, *, encoding=ODD, rows=4, cols=4):
    return HardwareSpec(
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=bits, encoding=encoding),
        rows=rows,
        cols=cols,
        lanes=lanes,
        name="probe",
        mac_kind=MacKind.COMPOSABLE,
        narrowest_bits=narrowest,
    )


def thresholds(bits, residual, *, rows=4, cols=4):
    return HardwareSpec(
        act=ActFormat(bits=bits),
        weight=WeightFormat(bits=bits),
        rows=rows,
        cols=cols,
        lanes=1,
        name="probe",
        requantiser=RequantiserSpec(kind=RequantiserKind.THRESHOLD, level_bits=bits, residual_bits=residual),
    )


def more_fit_points() -> Iterator[HardwareSpec]:
    for bits, narrowest, lanes in (
        (4, 2, 1),
        (4, 2, 4),
        (4, 2, 16),
        (8, 2, 1),
        (8, 2, 2),
        (8, 2, 4),
        (8, 4, 1),
        (8, 4, 4),
        (16, 2, 1),
        (16, 4, 1),
        (16, 8, 2),
    ):
        yield composable(bits, narrowest, lanes)
    yield composable(8, 2, 2, rows=2, cols=2)
    yield composable(4, 2, 4, cols=16)
    for bits, lanes in ((4, 4), (8, 2)):
        yield composable(bits, 2, lanes, encoding=TWOS)
    for bits, residual in ((1, 0), (2, 0), (3, 0), (4, 0), (6, 0), (1, 1), (2, 2), (3, 2), (4, 2), (5, 1)):
        yield thresholds(bits, residual)


def more_held_out_points() -> Iterator[HardwareSpec]:
    for bits, narrowest, lanes in ((4, 2, 8), (8, 2, 3), (8, 4, 2), (16, 4, 2), (16, 8, 1)):
        yield composable(bits, narrowest, lanes)
    yield composable(8, 2, 4, rows=8, cols=8)
    yield composable(8, 4, 3, encoding=TWOS)
    for bits, residual in ((5, 0), (2, 1), (3, 1), (4, 1)):
        yield thresholds(bits, residual)
