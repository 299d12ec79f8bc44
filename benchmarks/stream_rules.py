"""The rules of arrays' streams, as Verilog that says when one is broken (``proofs``)."""

from definitions import proof_module

from pact_hw.spec import HardwareSpec, MacKind


def streams(spec: HardwareSpec) -> str:
    """What is offered is held until taken; a tile gives its results, each with one beat of constants.

    Results are counted from the beats that went in, and none may be lost or come twice.
    """
    r = spec.requantiser
    bits = max(r.level_bits, spec.acc_bits) if r else spec.acc_bits
    inputs = {
        "rst_in": 1, "in_valid": 1, "in_act": spec.rows, "in_weight": spec.cols, "in_last": 1, "out_ready": 1,
    }  # fmt: skip
    if spec.mac_kind is MacKind.BIT_SERIAL:
        inputs["in_next_plane"] = 1
    pins = [f".{name}({name})" for name in inputs if name != "rst_in"]
    scale = []
    if r:
        constants = {"thresholds": r.threshold_bits(spec.acc_bits), "negative": 1}
        if r.kind.value == "multiply-shift":
            constants = {"mult": r.mult_bits, "add": r.add_bits, "shift": r.shift_bits, "limit": r.level_bits}
        inputs |= {"scale_valid": 1, **{f"scale_{name}": width for name, width in constants.items()}}
        pins += [f".scale_{name}(scale_{name})" for name in ("valid", "ready", *constants)]
        pins.append(".scale_raw(1'b0)")
        scale = ["wire scale_ready;", "wire scaled = scale_valid & scale_ready;"]
    count, beats = 6, spec.drain_cycles
    return proof_module(
        inputs,
        [
            "reg started = 0;",
            "wire rst = rst_in | ~started;",
            "wire in_ready, out_valid, out_last;",
            f"wire [{spec.values_per_beat * bits - 1}:0] out_data;",
            *scale,
            f"dut dut (.clk(clk), .rst(rst), .in_ready(in_ready), .out_valid(out_valid), "
            f".out_last(out_last), .out_data(out_data), {', '.join(pins)});",
            # Results that are due, and those whose constants were taken (or that need none).
            f"reg [{count - 1}:0] due = 0, scaled_due = 0;",
            "reg held = 0, held_last;",
            f"reg [{spec.values_per_beat * bits - 1}:0] held_data;",
            "wire taken = out_valid & out_ready;",
            "wire tile = in_valid & in_ready & in_last;",
            "always @(posedge clk) begin",
            "  started <= 1;",
            f"  due <= rst ? 0 : due + (tile ? {beats} : 0) - taken;",
            f"  scaled_due <= rst ? 0 : scaled_due + {'scaled' if r else 'taken'} - taken;",
            "  held <= out_valid & ~out_ready & ~rst;",
            "  held_last <= out_last;",
            "  held_data <= out_data;",
            "end",
            "wire changed = held & ~(out_valid & out_last == held_last & out_data == held_data);",
            "wire surplus = out_valid & due == 0;",
            f"wire wrong_last = out_valid & out_last != (due % {beats} == {1 % beats});",
            # Operands are taken while results of the tile before are at most in the requantiser.
            f"wire early = in_ready & due > {spec.requantiser_latency_cycles};",
            f"wire unscaled = {'out_valid & scaled_due == 0' if r else '0'};",
            f"wire unbounded = scaled_due > {spec.requantiser_latency_cycles};",
            "assign fail = started & ~rst & (changed | surplus | wrong_last | early | unscaled | unbounded);",
        ],
    )
