"""Quantised networks under PyTorch's own tools: copies, states, compiler, DDP, autocast, CUDA."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.checkpoint import checkpoint

from pact_hw.qat.optimiser import with_alpha_group
from pact_hw.qat.pact import PACT, PACTPlus
from pact_hw.qat.quantise import quantise
from pact_hw.qat.sawb import SAWB


class Residual(nn.Module):
    """Two convolutions around a shortcut."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.conv2, self.bn2 = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.fc = nn.Linear(4, 3)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)) + x)
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def network(**options):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return quantise(Residual(), alpha=1.0, **options)


def images(count=8):
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def step(model, x):
    """Outputs and gradients by name."""
    model.zero_grad()
    y = model(x)
    y.square().sum().backward()
    return y.detach(), {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def assert_same(a, b, **tolerance):
    torch.testing.assert_close(a, b, **(tolerance or {"rtol": 0, "atol": 0}))


def test_deep_copies_are_independent_and_equal():
    model = network()
    twin = copy.deepcopy(model)
    assert_same(step(twin, images()), step(model, images()))
    with torch.no_grad():
        twin.get_submodule("relu").alpha.fill_(0.5)
    assert model.get_submodule("relu").alpha.item() == 1.0


def test_states_are_restored_and_float_states_fit(tmp_path):
    model = network(weights=SAWB, activation=PACTPlus)
    optimiser = with_alpha_group(torch.optim.SGD, model, weight_decay=1e-4, lr=0.1)
    step(model, images())
    optimiser.step()
    torch.save(model.state_dict(), tmp_path / "state.pt")
    other = quantise(Residual(), weights=SAWB, activation=PACTPlus)
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_same(step(other.eval(), images()), step(model.eval(), images()))
    floats = Residual().state_dict()
    missing, unexpected = other.load_state_dict(floats, strict=False)
    assert unexpected == []
    assert all(name.endswith("alpha") for name in missing)


def test_double_precision():
    model = network().double()
    y, gradients = step(model, images().double())
    assert {g.dtype for g in gradients.values()} == {y.dtype} == {torch.float64}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_keeps_float32_parameters_and_levels(dtype):
    model = network()
    pact = model.get_submodule("relu")
    assert isinstance(pact, PACT)
    seen = []
    pact.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.autocast("cpu", dtype=dtype):
        y, gradients = step(model, images())
    assert y.dtype is dtype
    assert {g.dtype for g in gradients.values()} == {torch.float32}
    assert all(torch.isfinite(g).all() for g in gradients.values())
    y32, gradients32 = step(model, images())
    assert_same(y.float(), y32, rtol=0.2, atol=0.1)
    assert gradients.keys() == gradients32.keys()
    low = seen[0]
    assert torch.equal(low, (pact.levels(low.float()) * pact.alpha / pact.format.max).to(low.dtype))


def test_activation_checkpoints():
    model = network()
    _, gradients = step(model, images())
    model.zero_grad()
    checkpoint(model, images(), use_reentrant=False).square().sum().backward()
    assert_same({name: p.grad for name, p in model.named_parameters() if p.grad is not None}, gradients)


def test_the_result_is_an_ordinary_module():
    """An ``fx.GraphModule`` is an ordinary module: hooks, replacement of submodules, printing."""
    model = network()
    model.set_submodule("relu", nn.ReLU())
    model(images())
    assert "QuantConv2d" in str(model)
    assert "DoReFa(bits=4)" in str(model)


def worker(rank: int, folder: str) -> None:
    """One of two processes: its half of the images, gradients averaged by DDP."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    try:
        model = network().eval()  # statistics apart, halves then add up to the whole
        parallel = nn.parallel.DistributedDataParallel(model)
        optimiser = with_alpha_group(torch.optim.SGD, model, weight_decay=1e-4, lr=0.1)
        _, gradients = step(parallel, images()[rank::2])
        optimiser.step()
        torch.save((gradients, model.state_dict()), f"{folder}/{rank}.pt")
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo")
def test_two_processes_have_the_mean_gradient_and_the_same_clips(tmp_path: Path):
    torch.multiprocessing.spawn(worker, (str(tmp_path),), nprocs=2)
    (gradients, state), (others, other_state) = (
        torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)
    )
    assert_same(gradients, others)
    assert_same(state, other_state)
    model = network().eval()
    halves = [step(model, images()[rank::2])[1] for rank in range(2)]
    mean = {f"module.{name}": (halves[0][name] + halves[1][name]) / 2 for name in halves[0]}
    assert_same(gradients, mean, rtol=1e-5, atol=1e-6)
    assert gradients["module.relu.alpha"] != 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # raised by the compiler's own imports
@pytest.mark.parametrize("options", [{}, {"weights": SAWB, "activation": PACTPlus}, {"weight_bits": 1}])
def test_compiled_networks_agree_with_eager_ones(options):
    model = network(**options)
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True)
    y, gradients = step(model, images())
    cy, compiled_gradients = step(compiled, images())
    assert_same(cy, y, rtol=1e-4, atol=1e-4)
    assert_same(
        {name.removeprefix("_orig_mod."): g for name, g in compiled_gradients.items()},
        gradients, rtol=1e-3, atol=1e-3,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*")  # raised by the compiler's own imports
def test_compiled_networks_take_batches_of_any_size():
    model = network()
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True, dynamic=True)
    for count in (8, 5):
        assert_same(step(compiled, images(count))[0], step(model, images(count))[0], rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("options", [{}, {"weights": SAWB, "activation": PACTPlus}, {"weight_bits": 1}])
def test_cuda_agrees_with_the_cpu(options):
    model = network(**options).double()
    y, gradients = step(copy.deepcopy(model).cuda(), images().double().cuda())
    expected = step(model, images().double())
    assert_same((y.cpu(), {name: g.cpu() for name, g in gradients.items()}), expected, rtol=1e-9, atol=1e-9)
    with torch.autocast("cuda", dtype=torch.float16):
        y, gradients = step(network(**options).cuda(), images().cuda())
    assert {g.dtype for g in gradients.values()} == {torch.float32}
