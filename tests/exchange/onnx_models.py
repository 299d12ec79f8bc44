"""Models of the shapes that other tools write, built by hand, with random numbers."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

QONNX = "qonnx.custom_op.general"


class Graph:
    """Collects nodes and constants; equal ones are shared under the first one's name, as Brevitas does."""

    def __init__(self, shape, *, seed=0, elem_type=TensorProto.FLOAT):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.constants = [], {}
        self.input = helper.make_tensor_value_info("x", elem_type, [1, *shape])

    def constant(self, values, dtype=np.float32):
        array = np.asarray(values, dtype=dtype)
        for name, known in self.constants.items():
            if known.dtype == array.dtype and np.array_equal(known, array) and known.shape == array.shape:
                return name
        name = f"c{len(self.constants)}"
        self.constants[name] = array
        return name

    def node(self, op, *inputs, domain="", **attributes):
        output = f"{op.lower()}_{len(self.nodes)}"
        names = [i if isinstance(i, str) else self.constant(i) for i in inputs]
        self.nodes.append(
            helper.make_node(op, names, [output], name=f"n_{output}", domain=domain, **attributes)
        )
        return output

    def quant(self, x, scale, bits, *, signed=1, narrow=0, zero=0.0, rounding="ROUND"):
        return self.node(
            "Quant",
            x,
            scale,
            zero,
            float(bits),
            domain=QONNX,
            signed=signed,
            narrow=narrow,
            rounding_mode=rounding,
        )

    def weights(self, *shape, bits=4, scale=0.037, **attributes):
        values = self.constant(self.rng.normal(0, 2.5 * scale * 2 ** (bits - 3), shape))
        return self.quant(values, scale, bits, **{"narrow": 1, **attributes})

    def conv(self, x, k, c, *, kernel=3, stride=1, padding=1, group=1, bias=False, **weights):
        inputs = [x, self.weights(k, c // group, kernel, kernel, **weights)]
        if bias:
            inputs.append(self.rng.normal(0, 0.3, k))
        return self.node(
            "Conv", *inputs, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[padding] * 4, group=group,
            dilations=[1, 1],
        )  # fmt: skip

    def norm(self, x, n):
        gamma = self.rng.uniform(0.5, 1.5, n) * self.rng.choice([1, 1, 1, -1], n)
        parameters = (
            gamma,
            self.rng.normal(0, 0.3, n),
            self.rng.normal(0, 0.2, n),
            self.rng.uniform(0.5, 2, n),
        )
        return self.node("BatchNormalization", x, *parameters, epsilon=1e-5)

    def relu_quant(self, x, bits=4, scale=0.21, **attributes):
        """Brevitas' QuantReLU: a Relu stands before an unsigned Quant."""
        return self.quant(self.node("Relu", x), scale, bits, signed=0, **attributes)

    def model(self, output, functions=(), extra=()):
        graph = helper.make_graph(
            self.nodes,
            "g",
            [self.input],
            [onnx.ValueInfoProto(name=output)],
            [numpy_helper.from_array(np.array(v), n) for n, v in self.constants.items()],
        )
        graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT
        opsets = [
            helper.make_opsetid("", 18),
            helper.make_opsetid(QONNX, 1),
            helper.make_opsetid("com.microsoft", 1),
        ]
        return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def save(model, path):
    path.write_bytes(model.SerializeToString())
    return path


def brevitas_like(seed=0, *, act_bits=4, weight_bits=4, scale=0.21):
    """Convolutions, batch normalisation, a residual add of two scales, pooling, a last layer with bias."""
    g = Graph((3, 8, 8), seed=seed)
    x = g.quant("x", 0.0293, 8)
    a = g.relu_quant(g.norm(g.conv(x, 8, 3, bits=weight_bits), 8), act_bits, scale)
    b = g.relu_quant(g.norm(g.conv(a, 8, 8, bits=weight_bits), 8), act_bits, scale * 0.7)
    c = g.quant(g.norm(g.conv(b, 8, 8, bits=weight_bits), 8), scale * 0.6, act_bits)
    d = g.relu_quant(g.node("Add", c, a), act_bits, scale * 1.3)
    e = g.node("MaxPool", d, kernel_shape=[2, 2], strides=[2, 2], pads=[0] * 4)
    f = g.relu_quant(g.conv(e, 16, 8, stride=2, bits=weight_bits, bias=True), act_bits, scale)
    p = g.node("GlobalAveragePool", f)
    flat = g.node("Flatten", p, axis=1)
    weights = g.weights(10, 16, bits=8, scale=0.004)
    return g.model(g.node("Gemm", flat, weights, g.rng.normal(0, 0.1, 10), transB=1))
