"""The encoder of BERT-base (Devlin et al., 2019) as matrix products: 12 blocks, 85 million weights.

Embedding, softmax and layer normalisation are no matrix products and are not counted. Every layer has the
chip's precision: there is no image and no classifier.
"""

from __future__ import annotations

from .layer import Layer, Operand, Workload

BLOCKS, WIDTH, HEADS, HIDDEN = 12, 768, 12, 3072


def bert_base(tokens: int = 128) -> Workload:
    """BERT-base's encoder on a sequence of ``tokens`` tokens."""
    layers = [layer for block in range(BLOCKS) for layer in _block(f"block{block + 1}", tokens)]
    return Workload(
        name="bert_base",
        image_elements=tokens * WIDTH,
        layers=tuple(layers),
        edges=(),
        unit=f"sequences of {tokens} tokens",
    )


def _block(name: str, tokens: int) -> list[Layer]:
    values = tokens * WIDTH
    scores = HEADS * tokens**2

    def product(
        part: str,
        inputs: int,
        outputs: int,
        elements: int,
        *,
        groups: int = 1,
        operand: Operand = Operand.WEIGHTS,
    ) -> Layer:
        return Layer(
            name=f"{name}_{part}",
            in_channels=inputs,
            out_channels=outputs,
            kernel=1,
            stride=1,
            out_pixels=tokens,
            act_elements=elements,
            stream_elements=values,
            groups=groups,
            operand=operand,
        )

    def attention(part: str, inputs: int, outputs: int, elements: int) -> Layer:
        return product(part, inputs, outputs, elements, groups=HEADS, operand=Operand.ACTIVATIONS)

    return [
        product("qkv", WIDTH, 3 * WIDTH, 4 * values),
        # Queries times keys, then scores times values: the values wait meanwhile.
        attention("scores", WIDTH, HEADS * tokens, 3 * values + scores),
        attention("context", HEADS * tokens, WIDTH, 2 * values + scores),
        product("out", WIDTH, WIDTH, 2 * values),
        product("ffn1", WIDTH, HIDDEN, values + tokens * HIDDEN),
        product("ffn2", HIDDEN, WIDTH, values + tokens * HIDDEN),
    ]
