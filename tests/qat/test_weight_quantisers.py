"""DoReFa, SAWB and binary weights against their equations, written a second time in plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from pact_hw.errors import InputError
from pact_hw.golden import decode_weights
from pact_hw.qat.binary import Binary
from pact_hw.qat.dorefa import DoReFa, dorefa, dorefa_codes
from pact_hw.qat.layers import QuantConv2d, QuantLinear
from pact_hw.qat.sawb import COEFFICIENTS, SAWB, Levels, WeightGradient, sawb_clip

WIDTHS = (1, 2, 3, 4, 5, 6, 7, 8, 16)
DTYPES = (torch.float32, torch.float64)
ALL_SAWB = [(bits, levels) for levels in Levels for bits in range(2, 9)]


def weights(dtype=torch.float32):
    width = 32 if dtype is torch.float32 else 64
    number = np.float32 if width == 32 else np.float64
    shapes = arrays.array_shapes(min_dims=1, max_dims=4, max_side=4)
    return arrays.arrays(number, shapes, elements=st.floats(-3, 3, width=width)).map(torch.from_numpy)


QUANTISERS = [*map(DoReFa, WIDTHS), *(SAWB(bits, levels) for bits, levels in ALL_SAWB), Binary()]


@pytest.mark.parametrize("quantiser", QUANTISERS, ids=str)
@settings(max_examples=20)
@given(w=weights())
def test_levels_times_scale_are_the_weights_and_codes_decode_to_levels(quantiser, w):
    levels = quantiser.levels(w)
    assert levels.dtype is torch.int64
    assert quantiser.format.min <= levels.min() <= levels.max() <= quantiser.format.max
    torch.testing.assert_close(quantiser(w), levels.to(w.dtype) * quantiser.scale(w), rtol=1e-5, atol=1e-6)
    codes = quantiser.codes(w)
    assert 0 <= codes.min() <= codes.max() <= quantiser.format.levels
    np.testing.assert_array_equal(decode_weights(codes.numpy(), quantiser.format), levels.numpy())


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


@settings(max_examples=50)
@given(w=weights(torch.float64), seed=st.integers(0, 99))
def test_dorefa_gradient_passes_only_the_rounding(w, seed):
    """That of ``t / max|t|``, by torch's own derivatives."""
    assume(not w.any() or w.abs().max() > 1e-300)  # 1 / max|t| overflows
    upstream = torch.randn(w.shape, dtype=w.dtype, generator=torch.Generator().manual_seed(seed))
    plain, leaf = w.clone().requires_grad_(), w.clone().requires_grad_()
    t = torch.tanh(plain)
    (t / t.abs().amax() if w.any() else t).backward(upstream)
    dorefa(leaf, 3).backward(upstream)
    assert leaf.grad is not None
    assert plain.grad is not None
    scale = 1 + plain.grad.abs().max().item()
    torch.testing.assert_close(leaf.grad, plain.grad, rtol=1e-12, atol=1e-12 * scale)


def test_dorefa_gradient_of_one_largest_weight_by_hand():
    # w = (2 a, a) in t: q depends on t/max: d(t1/t0) = dt1/t0 - t1/t0^2 dt0, and nothing from t0/t0.
    w = torch.atanh(torch.tensor([0.5, 0.25], dtype=torch.float64)).requires_grad_()
    dorefa(w, 4).backward(torch.tensor([7.0, 1.0], dtype=torch.float64))
    assert w.grad is not None
    expected = [(-0.25 / 0.25) * (1 - 0.25), (1 / 0.5) * (1 - 0.0625)]
    assert w.grad.tolist() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("bits", "levels"), ALL_SAWB)
@settings(max_examples=15)
@given(data=st.data())
def test_sawb_is_its_equation(bits, levels, dtype, data):
    w = data.draw(weights(dtype))
    number = w.numpy().dtype.type
    a = number(sawb_clip(w, bits, levels).item())
    n = (1 << bits) - 1 if levels is Levels.ODD else (1 << (bits - 1)) - 1
    expected, inside = [], []
    for v in w.numpy().flatten():
        y = min(max(v, -a), a)
        if levels is Levels.ODD:
            q = np.rint(number(n) * (y / (number(2) * a) + number(0.5)))
            expected.append((number(2) * q / number(n) - number(1)) * a)
        else:
            expected.append(np.rint(y * number(n) / a) * a / number(n))
        inside.append(bool(-a <= v <= a))
    upstream = torch.arange(1.0, w.numel() + 1, dtype=dtype).reshape(w.shape)
    for gradient in WeightGradient:
        leaf = w.clone().requires_grad_()
        y = SAWB(bits, levels, gradient)(leaf)
        y.backward(upstream)
        assert leaf.grad is not None
        assert y.flatten().tolist() == expected
        passes = torch.tensor(inside).reshape(w.shape) | (gradient is WeightGradient.FREE)
        assert torch.equal(leaf.grad, upstream * passes)


@pytest.mark.parametrize(("bits", "levels"), ALL_SAWB)
def test_sawb_clip_is_its_statistic_and_falls_back_on_the_largest(bits, levels):
    w = torch.randn(2000, dtype=torch.float64, generator=torch.Generator().manual_seed(bits))
    c1, c2 = COEFFICIENTS[levels][bits]
    values = w.tolist()
    rms = math.sqrt(math.fsum(v * v for v in values) / len(values))
    mean = math.fsum(abs(v) for v in values) / len(values)
    assert sawb_clip(w, bits, levels).item() == pytest.approx(c1 * rms - c2 * mean, rel=1e-12)
    # |w| all but equal: sqrt(E w^2) = E|w|, so a has the sign of c1 - c2.
    flat = torch.tensor([0.5, -0.5, 0.5], dtype=torch.float64)
    assert sawb_clip(flat, bits, levels).item() == pytest.approx(0.5 * (c1 - c2) if c1 > c2 else 0.5)
    assert sawb_clip(torch.zeros(3), bits, levels) > 0


def best_clip(w, n, step):
    """The clip of the least squared error for weights ``w`` >= 0, levels ``step`` apart up to n."""
    low, high = 0.3 * w.mean(), w.max()
    for _ in range(3):
        clips = np.linspace(low, high, 60)
        if step == 2:
            errors = [
                ((w - np.clip(2 * np.floor(w * n / a / 2) + 1, 1, n) * a / n) ** 2).mean() for a in clips
            ]
        else:
            errors = [((w - np.minimum(np.rint(w * n / a), n) * a / n) ** 2).mean() for a in clips]
        i = int(np.argmin(errors))
        low, high = clips[max(i - 1, 0)], clips[min(i + 1, 59)]
    return clips[i]


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "levels"), ALL_SAWB)
def test_the_coefficients_are_those_of_the_fit(bits, levels):
    """The least squared error over six distributions; the published ones agree within 6 %."""
    stats = pytest.importorskip("scipy.stats")
    half = 0.5 + (np.arange(1 << 14) + 0.5) / (1 << 15)
    shapes = [stats.norm, stats.uniform(-1, 2), stats.laplace, stats.logistic, stats.triang(0.5, -1, 2)]
    n, step = ((1 << bits) - 1, 2) if levels is Levels.ODD else ((1 << (bits - 1)) - 1, 1)
    ratios, clips = [], []
    for distribution in [*shapes, stats.vonmises(1.0)]:
        w = np.abs(distribution.ppf(half))
        ratios.append(np.sqrt((w**2).mean()) / w.mean())
        clips.append(best_clip(w, n, step) / w.mean())
    c1, minus_c2 = np.polyfit(ratios, clips, 1)
    published = bits in ((2, 3, 4, 5, 8) if levels is Levels.ODD else (2, 4, 8))
    assert COEFFICIENTS[levels][bits] == pytest.approx((c1, -minus_c2), rel=0.06 if published else 0.01)


@settings(max_examples=50)
@given(w=weights(torch.float64))
def test_binary_weights_are_signs_times_their_mean(w):
    mean = math.fsum(abs(v) for v in w.flatten().tolist()) / w.numel()
    leaf = w.clone().requires_grad_()
    y = Binary()(leaf)
    y.backward(torch.full_like(w, 3.0))
    assert leaf.grad is not None
    assert (leaf.grad == 3).all()
    assert y.flatten().tolist() == pytest.approx([mean if v >= 0 else -mean for v in w.flatten()], rel=1e-12)
    assert y.unique().numel() <= 2


@pytest.mark.parametrize("quantiser", QUANTISERS, ids=str)
def test_all_zero_weights_have_finite_values_and_gradients(quantiser):
    w = torch.zeros(3, 3, requires_grad=True)
    y = quantiser(w)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert w.grad is not None
    assert torch.isfinite(w.grad).all()


def test_layers_use_quantised_weights():
    conv, linear = QuantConv2d(2, 3, 3, weight_bits=2, stride=2, padding=1), QuantLinear(5, 4, weight_bits=8)
    x = torch.randn(1, 2, 6, 6)
    expected = torch.nn.functional.conv2d(x, (2 * conv.codes() - 3) / 3, stride=2, padding=1)
    torch.testing.assert_close(conv(x), expected)
    torch.testing.assert_close(linear(torch.ones(1, 5)), ((2 * linear.codes() - 255) / 255).sum(1)[None])


def test_a_layer_takes_over_what_it_replaces():
    conv = torch.nn.Conv2d(4, 6, (3, 1), stride=(2, 1), padding=(1, 0), groups=2, bias=True)
    quantised = QuantConv2d.of(conv, SAWB(4, Levels.SYMMETRIC))
    assert quantised.weight is conv.weight
    assert not hasattr(conv, "weight_quantiser")
    x = torch.randn(2, 4, 7, 5)
    weight = quantised.weight_quantiser(conv.weight)
    expected = torch.nn.functional.conv2d(x, weight, conv.bias, (2, 1), (1, 0), groups=2)
    assert torch.equal(quantised(x), expected)
    assert list(quantised.state_dict()) == ["weight", "bias"]


def test_widths_without_coefficients_are_refused():
    with pytest.raises(InputError, match=r"^SAWB has weights of 2 to 8 bits, not 16$"):
        SAWB(16)
    with pytest.raises(InputError, match=r"^weight_bits must be an integer from 1 to 16, not 17$"):
        DoReFa(17)
