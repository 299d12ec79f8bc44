"""Activation quantisers against their equations, written a second time in plain Python."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.qat.optimiser import ALPHA_MIN, with_alpha_group
from pact_hw.qat.pact import PACT, PACTPlus, SignedPACT, _part, pact, pact_plus, signed_pact

WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 16)
DTYPES = {torch.float32: np.float32, torch.float64: np.float64}


def steps(bits, signed):
    return (1 << (bits - 1)) - 1 if signed else (1 << bits) - 1


def plain_value(x, alpha, n, signed):
    """Equations 1 and 2 for one value, in the floating-point type of x and alpha."""
    lowest = -alpha if signed else type(alpha)(0)
    y = lowest if x < lowest else x if x < alpha else alpha
    return np.rint(y * type(x)(n) / alpha) * alpha / type(x)(n)


def plain_gradients(function, x, alpha, n, g):
    """Gradients of one x and of alpha for the upstream gradient g: equation 3, and its variants."""
    zero = type(x)(0)
    if x >= alpha:
        return zero, g
    if function is signed_pact:
        return (zero, -g) if x <= -alpha else (g, zero)
    if x < 0:
        return zero, zero
    z = x * type(x)(n) / alpha
    return g, (g * ((np.rint(z) - z) / type(x)(n)) if function is pact_plus else zero)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", WIDTHS)
@pytest.mark.parametrize("function", [pact, pact_plus, signed_pact])
@settings(max_examples=25)
@given(data=st.data())
def test_values_and_gradients_are_those_of_the_equations(function, bits, dtype, data):
    signed, number = function is signed_pact, DTYPES[dtype]
    bits = max(bits, 2) if signed else bits
    width, n = np.finfo(number).bits, steps(bits, signed)
    alpha = number(data.draw(st.floats(2.0**-10, 100, width=width)))
    tie = st.integers(-n, n).map(lambda j: number((j + 0.5) * alpha / n))
    smallest = np.nextafter(number(0), number(1))
    around = [np.nextafter(alpha, number(0)), alpha, number(2) * alpha, smallest, number(np.inf)]
    edge = st.sampled_from([number(0), *around, *(-a for a in around), number(-0.0)])
    values = data.draw(
        st.lists(st.floats(-200, 200, width=width).map(number) | tie | edge, min_size=1, max_size=20)
    )
    seed = data.draw(st.integers(0, 999))
    upstream = [number(g) for g in np.random.default_rng(seed).integers(-9, 10, len(values))]
    expected = [plain_gradients(function, v, alpha, n, g) for v, g in zip(values, upstream, strict=True)]

    x = torch.tensor(np.array(values), requires_grad=True)
    a = torch.tensor(alpha, requires_grad=True)
    y = function(x, a, bits)
    y.backward(torch.tensor(np.array(upstream)))
    assert x.grad is not None
    assert a.grad is not None
    assert y.tolist() == [plain_value(v, alpha, n, signed) for v in values]
    assert x.grad.tolist() == [dx for dx, _ in expected]
    if function is pact_plus:  # its terms are no integers: exact one by one, their sum nearly
        assert a.grad.item() == pytest.approx(math.fsum(da for _, da in expected), rel=1e-5, abs=1e-5)
        one = torch.tensor(alpha, requires_grad=True)
        function(x.detach()[:1], one, bits).backward(torch.tensor([upstream[0]]))
        assert one.grad is not None
        assert one.grad.item() == expected[0][1]
    else:
        assert a.grad.item() == sum(da for _, da in expected)


@pytest.mark.parametrize("kind", [PACT, PACTPlus, SignedPACT])
def test_modules_keep_their_input_and_give_all_levels(kind):
    x = torch.linspace(-5, 5, 240).reshape(2, 30, 4)
    before = x.clone()
    layer = kind(4, alpha=2.0)
    assert layer(x).shape == x.shape
    assert torch.equal(x, before)
    levels = layer.levels(layer(x)).unique().tolist()
    assert levels == list(range(layer.format.min, layer.format.max + 1))
    assert levels == list(range(-7, 8) if kind is SignedPACT else range(16))


def test_infinite_gradients_stay_where_they_belong():
    x, alpha = torch.tensor([-1.0, 0.5, 3.0], requires_grad=True), torch.tensor(1.0, requires_grad=True)
    pact(x, alpha, 4).backward(torch.tensor([math.inf, 1.0, math.inf]))
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 1.0, 0.0]


def test_memory_formats_and_odd_shapes():
    x = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    results = []
    for v in (x.contiguous(), x.contiguous(memory_format=torch.channels_last), x.transpose(1, 3)):
        leaf, alpha = v.clone().requires_grad_(), torch.tensor(0.7, requires_grad=True)
        y = pact(leaf, alpha, 3)
        y.sum().backward()
        assert leaf.grad is not None
        assert alpha.grad is not None
        results.append((y, leaf.grad, alpha.grad))
    assert all(torch.equal(a, b) for a, b in zip(results[0], results[1], strict=True))
    assert torch.equal(results[2][0].transpose(1, 3), results[0][0])
    assert torch.equal(results[2][1].transpose(1, 3), results[0][1])
    assert pact(torch.empty(0, 3), torch.tensor(1.0), 4).shape == (0, 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("function", [pact, pact_plus, signed_pact])
def test_halves_are_worked_out_in_float32(function, dtype):
    x = torch.randn(500, generator=torch.Generator().manual_seed(1)).to(dtype)
    alpha = torch.tensor(1.3, requires_grad=True)
    half, single = x.clone().requires_grad_(), x.float().requires_grad_()
    y = function(half, alpha, 8)
    assert y.dtype is dtype
    assert torch.equal(y, function(single, torch.tensor(1.3), 8).to(dtype))
    y.sum().backward()
    function(single, alpha.detach(), 8).sum().backward()
    assert half.grad is not None
    assert single.grad is not None
    assert torch.equal(half.grad, single.grad.to(dtype))
    assert alpha.grad is not None
    assert alpha.grad.dtype is torch.float32


def test_alpha_is_learned_in_a_deep_copy():
    layer = copy.deepcopy(PACT(2, alpha=1.0))
    layer(torch.tensor([0.5, 3.0])).sum().backward()
    assert layer.alpha.grad is not None
    assert layer.alpha.grad.item() == 1.0


@pytest.mark.parametrize("bits", [0, 17])
def test_widths_are_refused(bits):
    with pytest.raises(InputError, match=rf"^act_bits must be an integer from 1 to 16, not {bits}$"):
        PACT(bits)
    with pytest.raises(InputError, match=r"^act_bits must be "):
        SignedPACT(bits)


def test_a_signed_bit_and_bad_clips_are_refused():
    with pytest.raises(InputError, match=r"^act_bits must be at least 2 for symmetric levels, not 1$"):
        SignedPACT(1)
    for alpha in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError, match=rf"^alpha must be positive and finite, not {alpha}$"):
            PACT(4, alpha)


@given(alpha=st.floats(2.0**-40, 2.0**40, width=32), values=st.lists(st.floats(width=32, allow_nan=False)))
def test_the_bytes_that_compiled_pact_keeps_are_the_comparisons(alpha, values):
    for dtype, number in DTYPES.items():
        smallest, below = np.nextafter(number(0), number(1)), np.nextafter(number(alpha), number(0))
        around = [0.0, -0.0, smallest, -smallest, alpha, below, -alpha]
        x, a = torch.tensor([*values, *map(float, around)], dtype=dtype), torch.tensor(alpha, dtype=dtype)
        assert torch.equal(_part(x, a), ((x >= 0).to(torch.uint8) + (x >= a).to(torch.uint8)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # raised by the compiler's own imports
@pytest.mark.parametrize("clip", [1.5, 10.0])
@pytest.mark.parametrize("function", [pact, pact_plus, signed_pact])
def test_compiled_is_eager(function, clip):
    """Gradients at the edges too: 0, the numbers next to 0, alpha and the number below it."""
    below = float(np.nextafter(np.float32(clip), 0))
    edges = torch.tensor([0.0, -0.0, 2.0**-149, -(2.0**-149), clip, below, -clip, math.inf, -math.inf])
    x = torch.cat([clip * torch.randn(4096, generator=torch.Generator().manual_seed(0)), edges])
    results = []
    for f in (function, torch.compile(function)):
        leaf, alpha = x.clone().requires_grad_(), torch.tensor(clip, requires_grad=True)
        y = f(leaf, alpha, 4)
        y.backward(torch.ones_like(y))
        results.append((y.detach(), leaf.grad, alpha.grad))
    assert all(torch.equal(a, b) for a, b in zip(results[0][:2], results[1][:2], strict=True))
    if function is pact_plus:  # its sum has terms that are no integers
        torch.testing.assert_close(results[0][2], results[1][2])
    else:
        assert torch.equal(results[0][2], results[1][2])


def test_optimiser_groups_and_positive_clips():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), PACT(4, alpha=0.5), torch.nn.Linear(2, 2), PACT(4))
    optimiser = with_alpha_group(torch.optim.SGD, model, weight_decay=1e-4, alpha_decay=1e-2, lr=1.0)
    weights, clips, vectors = optimiser.param_groups
    assert [group["weight_decay"] for group in (weights, clips, vectors)] == [1e-4, 1e-2, 0.0]
    assert [len(group["params"]) for group in (weights, clips, vectors)] == [2, 2, 2]
    first = model[1]
    assert isinstance(first, PACT)
    first.alpha.grad = torch.tensor(5.0)
    optimiser.step()
    assert first.alpha.item() == pytest.approx(ALPHA_MIN)


def test_the_optimiser_leaves_out_what_is_not_trained_and_counts_shared_clips_once():
    shared, frozen = PACT(4), SignedPACT(8)
    frozen.alpha.requires_grad_(False)
    model = torch.nn.ModuleList([shared, torch.nn.Sequential(shared), frozen])
    (clips,) = with_alpha_group(torch.optim.SGD, model, weight_decay=0.1, lr=0.1).param_groups
    assert clips["params"] == [shared.alpha]


def test_the_clip_term_is_l2():
    model = torch.nn.Sequential(PACT(4, alpha=8.0))
    optimiser = with_alpha_group(torch.optim.SGD, model, weight_decay=0.25, lr=0.5)
    model[0].alpha.grad = torch.tensor(0.0)  # type: ignore[assignment]
    optimiser.step()
    assert model[0].alpha.item() == 7.0  # 8 - 0.5 (0.25 x 8)
