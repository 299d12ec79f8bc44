"""Truth tables of Liberty's Boolean expressions."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TOKEN = re.compile(r"[A-Za-z_][\w\[\]]*|[01!'&*|+^()]")


def truth_table(expression: str, inputs: Sequence[str]) -> int:
    """The truth table of ``expression`` over ``inputs``, as an integer.

    Bit i is the value for the number i, whose bit j is input j. -1 where the expression uses another name
    (an internal state) or is malformed. Liberty's operators, the strongest first: ``!a`` and ``a'``;
    ``a ^ b``; ``a & b``, ``a * b``, ``a b``; ``a | b``, ``a + b``.
    """
    try:
        return _Parser(expression, inputs).table()
    except (KeyError, IndexError, RecursionError):
        return -1


class _Parser:
    """Recursive descent; a value is the table as an integer of 2**inputs bits."""

    def __init__(self, expression: str, inputs: Sequence[str]) -> None:
        rows = 1 << len(inputs)
        self._all = (1 << rows) - 1
        self._values = {
            name: sum(1 << row for row in range(rows) if row >> j & 1) for j, name in enumerate(inputs)
        } | {"0": 0, "1": self._all}
        self._tokens = [*_TOKEN.findall(expression), ""]

    def table(self) -> int:
        value = self._or()
        if self._tokens != [""]:
            raise IndexError
        return value

    def _or(self) -> int:
        value = self._and()
        while self._tokens[0] in ("|", "+"):
            self._tokens.pop(0)
            value |= self._and()
        return value

    def _and(self) -> int:
        value = self._xor()
        while self._tokens[0] not in ("", ")", "|", "+"):
            if self._tokens[0] in ("&", "*"):
                self._tokens.pop(0)
            value &= self._xor()
        return value

    def _xor(self) -> int:
        value = self._unary()
        while self._tokens[0] == "^":
            self._tokens.pop(0)
            value ^= self._unary()
        return value

    def _unary(self) -> int:
        symbol = self._tokens.pop(0)
        if symbol == "!":
            return self._all ^ self._unary()
        if symbol == "(":
            value = self._or()
            if self._tokens.pop(0) != ")":
                raise IndexError
        else:
            value = self._values[symbol]
        while self._tokens[0] == "'":
            self._tokens.pop(0)
            value ^= self._all
        return value
