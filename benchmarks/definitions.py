"""What blocks are proved against: Verilog that says what they compute, and no more (``proofs``)."""

from amaranth.utils import ceil_log2

from pact_hw.spec import HardwareSpec, RequantiserSpec, WeightEncoding
from rtl_gen.requantiser import output_bits, total_shape
from rtl_gen.structure import is_placed, multiply_accumulate
from rtl_gen.widths import acc_shape, act_sum_shape


def proof_module(inputs: dict[str, int], body: list[str]) -> str:
    ports = ["input clk", *(f"input [{width - 1}:0] {name}" for name, width in inputs.items())]
    lines = "\n".join(f"  {line}" for line in body)
    return f"module proof ({', '.join(ports)}, output fail);\n{lines}\nendmodule\n"


def _operands(act: int, weight: int, lanes: int, acc: int) -> str:
    terms = []
    for lane in range(lanes):
        a, w = lane * act, lane * weight
        terms.append(f"({acc}'d0 | act[{a + act - 1}:{a}]) * weight[{w + weight - 1}:{w}]")
    return " + ".join(terms)


def _carries(spec: HardwareSpec) -> tuple[int, ...]:
    """The columns of the carries that a PE's accumulator keeps, in bits above its number."""
    return multiply_accumulate(spec)[1] if is_placed(spec) else ()


def _value(spec: HardwareSpec, name: str) -> str:
    """What accumulator ``name`` stands for."""
    acc = acc_shape(spec).width
    kept = [f"({acc + 1}'d0 | {name}[{acc + k}]) << {column}" for k, column in enumerate(_carries(spec))]
    return " + ".join([f"{name}[{acc - 1}:0]", *(f"({carry})" for carry in kept)])


def product_sum(spec: HardwareSpec) -> str:
    """A PE: acc <- (shift ? acc_in : acc) + sum of products."""
    acc = acc_shape(spec).width
    width = acc + len(_carries(spec))
    act, weight = spec.act.bits, spec.weight.bits
    inputs = {"shift": 1, "act": spec.lanes * act, "weight": spec.lanes * weight, "acc_in": width}
    return proof_module(
        inputs,
        [
            f"wire [{width - 1}:0] acc;",
            "dut_pe dut (.clk(clk), .shift(shift), .act(act), .weight(weight), .acc_in(acc_in), .acc(acc));",
            f"reg [{acc - 1}:0] expected;",
            f"wire [{acc - 1}:0] value = {_value(spec, 'acc')};",
            f"wire [{acc - 1}:0] value_in = {_value(spec, 'acc_in')};",
            "always @(posedge clk) expected <= (shift ? value_in : expected) + "
            f"{_operands(act, weight, spec.lanes, acc)};",
            "assign fail = value != expected;",
        ],
    )


def serial_sum(spec: HardwareSpec) -> str:
    """A bit-serial PE: acc <- (shift ? acc_in : twice ? 2 acc : acc) + sum of gated weights.

    A shift excludes ``twice``.
    """
    acc = acc_shape(spec).width
    lanes, weight = spec.lanes, spec.weight.bits
    inputs = {"shift": 1, "next": 1, "act": lanes, "weight": lanes * weight, "acc_in": acc}
    return proof_module(
        inputs,
        [
            f"wire [{acc - 1}:0] acc;",
            "wire twice = next & ~shift;",
            "dut_pe dut (.clk(clk), .shift(shift), .twice(twice), .act(act), .weight(weight), "
            ".acc_in(acc_in), .acc(acc));",
            f"reg [{acc - 1}:0] expected;",
            "always @(posedge clk) expected <= (shift ? acc_in : twice ? 2 * expected : expected) + "
            f"{_operands(1, weight, lanes, acc)};",
            "assign fail = acc != expected;",
        ],
    )


def composable(spec: HardwareSpec, mode_bits: int) -> str:
    """A composable PE behind its operands' words, in one mode."""
    acc, bits, words, lanes = acc_shape(spec).width, spec.act.bits, spec.operand_words, spec.lanes
    n = bits // mode_bits
    used = words // n
    terms = []
    for lane in range(lanes):
        for i in range(n):
            for j in range(n):
                a = (lane * words + j * used) * bits + i * mode_bits
                w = (lane * words + i * used) * bits + j * mode_bits
                terms.append(f"({acc}'d0 | act[{a + mode_bits - 1}:{a}]) * weight[{w + mode_bits - 1}:{w}]")
    levels = len(spec.modes) - 1
    joins = f"{levels}'d{(1 << ceil_log2(mode_bits // spec.narrowest_bits)) - 1}"
    width = lanes * words * bits
    return proof_module(
        {"shift": 1, "act": width, "weight": width, "acc_in": acc},
        [
            f"wire [{acc - 1}:0] acc;",
            f"wire [{width - 1}:0] act_words, weight_words;",
            f"dut_act_words a (.joins({joins}), .operands(act), .words(act_words));",
            f"dut_weight_words w (.joins({joins}), .operands(weight), .words(weight_words));",
            f"dut_pe dut (.clk(clk), .shift(shift), .joined({joins}), .act(act_words), "
            ".weight(weight_words), .acc_in(acc_in), .acc(acc));",
            f"reg [{acc - 1}:0] expected;",
            f"always @(posedge clk) expected <= (shift ? acc_in : expected) + {' + '.join(terms)};",
            "assign fail = acc != expected;",
        ],
    )


def correction(spec: HardwareSpec) -> str:
    """A row's sum from an accumulator of codes and the sum of activations.

    Both come from stand-ins for the PE and the activations' adder, which give what stands at the row's
    operands.
    """
    number, total = acc_shape(spec).width, act_sum_shape(spec, spec.max_reduction).width
    acc = number + len(_carries(spec))
    out = spec.acc_bits
    act, weight = spec.lanes * spec.act.bits, spec.lanes * spec.weight.bits
    wide = out + 2
    codes, levels = f"($signed({wide}'d0) | $signed({{1'b0, number}}))", "$signed({1'b0, total})"
    if spec.weight.encoding is WeightEncoding.ODD:
        value = f"2 * {codes} - {spec.weight.levels} * {levels}"
    else:
        value = f"{codes} - {1 << spec.weight.bits - 1} * {levels}"
    stand_ins = (
        f"module dut_pe (input clk, shift, input [{act - 1}:0] act, input [{weight - 1}:0] weight, "
        f"input [{acc - 1}:0] acc_in, output [{acc - 1}:0] acc);\n  assign acc = weight;\nendmodule\n"
        f"module dut_act_total (input clk, clear, input [{act - 1}:0] act, output [{total - 1}:0] total);\n"
        f"  assign total = act;\nendmodule\n"
    )
    return stand_ins + proof_module(
        {"act": act, "weight": weight},
        [
            f"wire [{acc - 1}:0] acc = weight;",
            # An accumulator is a sum of bits of which none was lost, so that it may count as it stands.
            f"wire [{number}:0] number = {_value(spec, 'acc')};",
            f"wire [{total - 1}:0] total = act;",
            f"wire [{out - 1}:0] sum;",
            "dut_row dut (.clk(clk), .accept(1'b1), .shift(1'b0), .clear(1'b0), .act(act), .weight(weight), "
            ".sum(sum));",
            f"wire signed [{wide - 1}:0] value = {value};",
            f"assign fail = sum != value[{out - 1}:0];",
        ],
    )


def corrected(spec: HardwareSpec, mode_bits: int | None = None) -> str:
    """An array of one PE holds the sum of activations times the *values* of weights, from a reset on."""
    set_to, acc, words = spec.in_mode(mode_bits), spec.acc_bits, spec.operand_words
    act, weight = set_to.act.bits, set_to.weight.bits
    n = spec.act.bits // act
    odd = spec.weight.encoding is WeightEncoding.ODD
    products = []
    for lane in range(spec.lanes):
        for i in range(n):
            for j in range(n):
                a = (lane * words + j * (words // n)) * spec.act.bits + i * act
                w = (lane * words + i * (words // n)) * spec.weight.bits + j * weight
                code = f"weight_q[{w + weight - 1}:{w}]"
                value = (
                    f"(2 * $signed({{1'b0, {code}}}) - {(1 << weight) - 1})" if odd else f"$signed({code})"
                )
                products.append(f"$signed({{1'b0, act_q[{a + act - 1}:{a}]}}) * {value}")
    widths = [spec.lanes * words * bits for bits in (spec.act.bits, spec.weight.bits)]
    mode = f".in_mode({spec.modes.index(act)}), " if spec.modes else ""
    return proof_module(
        {
            "rst_in": 1,
            "in_valid": 1,
            "in_act": widths[0],
            "in_weight": widths[1],
            "in_last": 1,
            "out_ready": 1,
        },
        [
            "reg started = 0;",
            "wire rst = rst_in | ~started;",
            "wire in_ready, out_valid, out_last;",
            f"wire [{acc - 1}:0] out_data;",
            f"dut dut (.clk(clk), .rst(rst), {mode}.in_valid(in_valid), .in_ready(in_ready), "
            ".in_act(in_act), .in_weight(in_weight), .in_last(in_last), .out_valid(out_valid), "
            ".out_ready(out_ready), .out_data(out_data), .out_last(out_last));",
            f"reg [{widths[0] - 1}:0] act_q;",
            f"reg [{widths[1] - 1}:0] weight_q;",
            "reg there, known = 0, too_long = 0;",
            "reg [7:0] beats = 0;",
            f"reg signed [{acc - 1}:0] expected;",
            f"wire signed [{acc - 1}:0] sum = {' + '.join(products)};",
            "wire accepted = in_valid & in_ready & ~rst;",
            "always @(posedge clk) begin",
            "  started <= 1;",
            "  act_q <= in_act;",
            "  weight_q <= in_weight;",
            "  there <= accepted;",
            "  known <= ~rst & (known | in_ready);",
            # More products than there are exact accumulators for: nothing is said of these.
            "  beats <= rst | accepted & in_last ? 0 : beats + accepted;",
            f"  too_long <= too_long | beats == {spec.max_reduction // set_to.lanes} & accepted;",
            # After the last result the sum begins again.
            "  expected <= (known & ~(out_valid & out_ready) ? expected : 0) + (there ? sum : 0);",
            "end",
            "assign fail = known & ~too_long & out_data != expected;",
        ],
    )


def multiply_shift(spec: HardwareSpec) -> str:
    """clip((acc mult + residual residual_mult + add) >> shift, 0, limit), or the sum before the shift."""
    r = _requantiser(spec)
    wide = total_shape(spec, r).width + 1
    inputs = {
        "acc": spec.acc_bits, "mult": r.mult_bits, "add": r.add_bits, "shift": r.shift_bits,
        "limit": r.level_bits, "raw": 1,
    }  # fmt: skip
    # Exact products, of the width that holds them: a wider one is the same, but harder to see through.
    products = [f"wire signed [{spec.acc_bits + r.mult_bits - 1}:0] product = $signed(acc) * $signed(mult);"]
    total = "product + $signed(add)"
    if r.residual_bits:
        inputs |= {"residual": r.residual_bits, "residual_mult": r.mult_bits}
        products.append(
            f"wire signed [{r.residual_bits + r.mult_bits}:0] residual_product = "
            "$signed({1'b0, residual}) * $signed(residual_mult);"
        )
        total += " + residual_product"
    pins = ", ".join(f".{name}({name})" for name in inputs)
    out = output_bits(spec, r)
    return proof_module(
        inputs,
        [
            f"wire [{out - 1}:0] data;",
            f"dut_requantiser dut (.clk(clk), .advance(1'b1), {pins}, .data(data));",
            *products,
            f"wire signed [{wide - 1}:0] total = {total};",
            f"wire signed [{wide - 1}:0] shifted = total >>> shift;",
            f"wire signed [{wide - 1}:0] level = shifted < 0 ? 0 : shifted > $signed({{1'b0, limit}}) ? "
            "$signed({1'b0, limit}) : shifted;",
            f"wire [{out - 1}:0] expected = raw ? total : level;",
            "assign fail = data != expected;",
        ],
    )


def threshold(spec: HardwareSpec) -> str:
    """The number of thresholds that are not above the sum, or what is left; if they ascend."""
    r, acc = _requantiser(spec), spec.acc_bits
    out = output_bits(spec, r)
    inputs = {"acc": acc, "negative": 1, "raw": 1, "thresholds": r.threshold_bits(acc)}
    if r.residual_bits:
        inputs["residual"] = r.residual_bits
    pins = ", ".join(f".{name}({name})" for name in inputs)
    chosen = f" >> residual * {r.steps * acc}" if r.residual_bits else ""
    body = [
        f"wire [{out - 1}:0] data;",
        f"dut_requantiser dut (.clk(clk), .advance(1'b1), {pins}, .data(data));",
        f"wire [{r.steps * acc - 1}:0] t = thresholds{chosen};",
    ]
    terms, ascending = [], ["1'b1"]
    for number in range(r.steps):
        body.append(f"wire signed [{acc - 1}:0] t{number} = t[{number * acc + acc - 1}:{number * acc}];")
        terms.append(f"($signed(acc) >= t{number})")
        if number:
            ascending.append(f"(t{number - 1} <= t{number})")
    return proof_module(
        inputs,
        [
            *body,
            f"wire [{r.level_bits - 1}:0] count = {' + '.join(terms)};",
            f"wire [{r.level_bits - 1}:0] level = negative ? {r.steps} - count : count;",
            f"wire [{out - 1}:0] expected = raw ? $signed(acc) : $signed({{1'b0, level}});",
            f"assign fail = {' & '.join(ascending)} & (data != expected);",
        ],
    )


def _requantiser(spec: HardwareSpec) -> RequantiserSpec:
    assert spec.requantiser is not None
    return spec.requantiser
