"""Training as the command line asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..progress import SILENT, Progress
from .finetune import finetune
from .quantised import Quantised


def train(
    *,
    network: str = "digits",
    act_bits: int,
    weight_bits: int,
    edge_bits: int = 8,
    residual_bits: int = 8,
    tie_residuals: bool = False,
    weights: str = "dorefa",
    seed: int = 0,
    out: Path,
    progress: Progress = SILENT,
    **options: Any,
) -> dict[str, Any]:
    """Train ``network``; the digits network's float twin is trained with it.

    ``options`` are those of ``pact_hw.qat.finetune.finetune``, which see for files, result and errors.
    """
    made_of = Quantised(
        network=network,
        act_bits=act_bits,
        weight_bits=weight_bits,
        edge_bits=edge_bits,
        residual_bits=residual_bits,
        tie_residuals=tie_residuals,
        weights=weights,
        seed=seed,
    )
    return finetune(made_of, out=out, train_twin=network == "digits", progress=progress, **options)
