"""The examples of docs/qat.md run."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "qat.md"


def test_the_examples_run():
    examples = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert len(examples) == 2
    names: dict[str, object] = {}
    for example in examples:  # one after the other, as a reader would
        exec(example, names)  # noqa: S102 - our own page
