"""How the Verilog that Yosys writes is laid out for people: nothing here changes what it means."""

from __future__ import annotations

import re
import textwrap
from collections import Counter

from pact_hw.design import Port

from .block import Block

_ONE_BIT = re.compile(r"^  wire (\\\$\S+) ;\n", re.MULTILINE)
_WIDTH = 100


def inline_conditions(module: str) -> str:
    """Put the expressions of unnamed one-bit wires where they are used, if that is one place.

    One-bit operators have one-bit operands here (``verilog.widen``), so that a place's width
    cannot change what they mean.
    """
    uses = Counter(re.findall(r"\\\$\S+ ", module))
    for name in _ONE_BIT.findall(module):
        token = f"{name} "
        found = re.search(rf"^  assign {re.escape(token)} = (.*);\n", module, re.MULTILINE)
        if found is None or uses[token] != 3:  # declared, assigned, used once
            continue
        # A function as replacement: the text is taken as it is.
        module = module.replace(found[0], "").replace(f"  wire {token};\n", "")
        # All that is assigned needs no parentheses; what is compared does (== and, beside assign, <=).
        assigned = rf"^  assign [^=]* = {re.escape(token)};|^(?!  assign ).*<= {re.escape(token)};"
        place = re.search(assigned, module, re.MULTILINE)
        module = module.replace(token, found[1] if place else f"({found[1]})")
    return module


_LOGICAL_NOT = re.compile(r"! ((?:\\\$\S+ |[a-z]\w*)(?:\[[\d:]+\])?)")


def plain_zero_tests(module: str) -> str:
    """``! a`` of a vector, as Yosys spells ``a == 0``, as ``~ (| a)``."""
    return _LOGICAL_NOT.sub(r"~ (| \1)", module)


_REPEATED = re.compile(r"(?<=[{ ])((?:\\\$\S+ |[a-z]\w*)(?:\[\d+\])?)((?:, \1(?![\w\[' ]))+)")


def collapse_repeats(module: str) -> str:
    """``{ a[3], a[3], a[3], a }`` as ``{ {3{a[3]}}, a }``."""
    return _REPEATED.sub(lambda match: f"{{{match[0].count(match[1])}{{{match[1].strip()}}}}}", module)


def _port_line(port: Port, kind: str, *, last: bool) -> str:
    span = f"[{port.width - 1}:0]" if port.width > 1 else ""
    declaration = f"  {port.direction:<6} {kind:<4} {span:>9} {port.name}{'' if last else ','}"
    return f"{declaration:<44} // {port.description}"


def with_body(block: Block, body: list[str]) -> str:
    """The module of ``block`` with lines ``body``."""
    ports = block.ports
    kinds = {"input": "wire", "output": "reg"}
    head = [_port_line(port, kinds[port.direction], last=port is ports[-1]) for port in ports]
    lines = [f"  {line}" for line in body]
    return "\n".join([f"module {block.module_name} (", *head, ");", *lines, "endmodule\n"])


def with_port_list(module: str, block: Block) -> str:
    """``module`` with its ports declared once, in the block's order, each with its meaning."""
    kinds = {}
    for port in block.ports:
        declaration = re.compile(
            rf"^  {port.direction} (\[\d+:0\] )?{port.name};\n  (wire|reg) (\[\d+:0\] )?{port.name};\n",
            re.MULTILINE,
        )
        found = declaration.search(module)
        if found is None:
            raise RuntimeError(f"Yosys did not write port {port.name} of {block.module_name} as expected")
        kinds[port.name] = found[2]
        module = module.replace(found[0], "")
    last = block.ports[-1]
    lines = [_port_line(port, kinds[port.name], last=port is last) for port in block.ports]
    _, _, body = module.partition(");\n")
    return "\n".join([f"module {block.module_name} (", *lines, ");", body])


def comment(text: str) -> str:
    """``text`` (paragraphs) as Verilog comment lines."""
    lines = [line for paragraph in text.split("\n") for line in textwrap.wrap(paragraph, _WIDTH - 3) or [""]]
    return "".join(f"// {line}".rstrip() + "\n" for line in lines)


def with_structure(module: str, body: list[str] | None) -> str:
    """``module`` whose body is ``body`` (lines) in synthesis."""
    if body is None:
        return module
    head, _, operators = module.partition("\n);\n")
    operators = operators.removesuffix("endmodule\n")
    lines = "".join(f"  {line}\n" for line in body)
    return f"{head}\n);\n`ifdef SYNTHESIS\n{lines}`else\n{operators}`endif\nendmodule\n"


def laid_out(module: str, block: Block) -> str:
    """The module of ``block`` as it is written to the file."""
    if (body := block.body()) is not None:
        return comment(block.summary) + with_body(block, body)
    module = with_port_list(collapse_repeats(plain_zero_tests(inline_conditions(module))), block)
    return comment(block.summary) + with_structure(module, block.structure())
