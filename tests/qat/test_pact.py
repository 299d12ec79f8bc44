"""PACT and DoReFa against the equations, written a second time in plain Python."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pact_hw.errors import InputError
from pact_hw.qat.dorefa import dorefa, dorefa_codes
from pact_hw.qat.layers import QuantConv2d, QuantLinear
from pact_hw.qat.optimiser import ALPHA_MIN, with_alpha_group
from pact_hw.qat.pact import PACT, pact

WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 16)
DTYPES = (torch.float32, torch.float64)


def plain_pact(x, alpha, bits, number):
    """Equations 1 and 2 for one value; ``number`` is the floating-point type (numpy's)."""
    n, zero = number((1 << bits) - 1), number(0)
    y = zero if x < 0 else x if x < alpha else alpha
    return np.rint(y * n / alpha) * alpha / n


def plain_gradients(x, alpha, upstream):
    """Equation 3: gradients of x (a list) and of alpha."""
    dx = [g if 0 <= v < alpha else 0.0 for v, g in zip(x, upstream, strict=True)]
    return dx, math.fsum(g for v, g in zip(x, upstream, strict=True) if v >= alpha)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", WIDTHS)
@given(data=st.data())
def test_pact_is_equations_1_to_3(bits, dtype, data):
    number = np.float32 if dtype is torch.float32 else np.float64
    width = 32 if dtype is torch.float32 else 64
    alpha = data.draw(st.floats(2.0**-10, 100, width=width))
    n = (1 << bits) - 1
    tie = st.integers(0, n).map(lambda j: float(number((j + 0.5) * alpha / n)))
    edge = st.sampled_from(
        [0.0, -0.0, alpha, float(np.nextafter(number(alpha), number(0))), -alpha, 2 * alpha]
    )
    values = data.draw(st.lists(st.floats(-200, 200, width=width) | tie | edge, min_size=1, max_size=30))
    # Gradients that are small integers: their sums are exact in any order.
    upstream = data.draw(st.lists(st.integers(-9, 9).map(float), min_size=len(values), max_size=len(values)))
    x = torch.tensor(values, dtype=dtype, requires_grad=True)
    a = torch.tensor(alpha, dtype=dtype, requires_grad=True)
    y = pact(x, a, bits)
    y.backward(torch.tensor(upstream, dtype=dtype))
    expected = [plain_pact(number(v), number(alpha), bits, number) for v in values]
    assert y.tolist() == [float(e) for e in expected]
    dx, dalpha = plain_gradients(values, alpha, upstream)
    assert x.grad is not None
    assert a.grad is not None
    assert (x.grad.tolist(), a.grad.item()) == (dx, dalpha)


def test_pact_leaves_its_input_alone_and_keeps_shape():
    x = torch.linspace(-1, 5, 240).reshape(2, 30, 4)
    before = x.clone()
    layer = PACT(4, alpha=2.0)
    assert layer(x).shape == x.shape
    assert torch.equal(x, before)
    assert layer.levels(layer(x)).unique().tolist() == list(range(16))


def test_pact_learns_alpha_in_a_deep_copy():
    layer = copy.deepcopy(PACT(2, alpha=1.0))
    layer(torch.tensor([0.5, 3.0])).sum().backward()
    assert layer.alpha.grad is not None
    assert layer.alpha.grad.item() == 1.0


@pytest.mark.parametrize("bits", [0, 17])
def test_pact_refuses_widths(bits):
    with pytest.raises(InputError, match=rf"^act_bits must be an integer from 1 to 16, not {bits}$"):
        PACT(bits)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # raised by the compiler's own imports
def test_compiled_pact_is_eager_pact():
    x = torch.cat([torch.randn(4096, generator=torch.Generator().manual_seed(0)), torch.tensor([0.0, 1.5])])
    results = []
    for function in (pact, torch.compile(pact)):
        leaf, alpha = x.clone().requires_grad_(), torch.tensor(1.5, requires_grad=True)
        y = function(leaf, alpha, 4)
        y.backward(torch.ones_like(y))
        results.append((y.detach(), leaf.grad, alpha.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", WIDTHS)
def test_dorefa_is_its_equation(bits, dtype):
    w = torch.randn(8, 5, dtype=dtype, generator=torch.Generator().manual_seed(bits))
    t, n = torch.tanh(w), (1 << bits) - 1
    largest = max(abs(v) for v in t.flatten())
    q = torch.stack([torch.round(n * (v / (2 * largest) + 0.5)) for v in t.flatten()]).reshape(w.shape)
    assert torch.equal(dorefa(w, bits), 2 * q / n - 1)
    assert torch.equal(dorefa_codes(w, bits), q.long())
    odd = 2 * q.long() - n
    assert odd.min() == -n or odd.max() == n
    assert (odd % 2 == 1).all()


def test_dorefa_gradient_passes_only_the_rounding():
    w = torch.randn(6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    upstream = torch.randn(6, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    leaf = w.clone().requires_grad_()
    dorefa(leaf, 3).backward(upstream)
    # Without rounding the weight is t / max|t|: plain derivatives, the maximum's included.
    t, k = torch.tanh(w), int(torch.tanh(w).abs().argmax())
    m = t.flatten()[k].abs()
    dt = upstream / m
    dt.view(-1)[k] -= (upstream * t).sum() / m**2 * t.flatten()[k].sign()
    assert leaf.grad is not None
    torch.testing.assert_close(leaf.grad, dt * (1 - t**2), rtol=1e-12, atol=1e-12)


def test_all_zero_weights_are_finite():
    assert torch.isfinite(dorefa(torch.zeros(3, 3), 4)).all()


def test_layers_use_quantised_weights():
    conv, linear = QuantConv2d(2, 3, 3, weight_bits=2, stride=2, padding=1), QuantLinear(5, 4, weight_bits=8)
    x = torch.randn(1, 2, 6, 6)
    expected = torch.nn.functional.conv2d(x, (2 * conv.codes() - 3) / 3, stride=2, padding=1)
    torch.testing.assert_close(conv(x), expected)
    torch.testing.assert_close(linear(torch.ones(1, 5)), ((2 * linear.codes() - 255) / 255).sum(1)[None])


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


def test_the_clip_term_is_l2():
    model = torch.nn.Sequential(PACT(4, alpha=8.0))
    optimiser = with_alpha_group(torch.optim.SGD, model, weight_decay=0.25, lr=0.5)
    model[0].alpha.grad = torch.tensor(0.0)  # type: ignore[assignment]
    optimiser.step()
    assert model[0].alpha.item() == 7.0  # 8 - 0.5 (0.25 x 8)
