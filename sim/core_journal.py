"""What is done of a long run, kept in its folder, so that one that was killed goes on where it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pact_hw.errors import InputError
from pact_hw.files import read_json, write_json
from pact_hw.spec import seal, unseal
from pact_hw.spec.formats import check_int

from .core_check import Difference, LayerResult
from .core_report import summed

FILE = "images.json"


@dataclass(frozen=True, kw_only=True)
class Done:
    """Images that have been simulated and compared, from the first on."""

    images: int = 0
    layers: tuple[LayerResult, ...] = ()
    """Summed up over the images."""
    problems: tuple[str, ...] = ()
    classes: tuple[int, ...] = ()
    cycles: int = 0
    """That the simulator ran."""
    seconds: float = 0.0

    def and_then(
        self,
        layers: Sequence[Sequence[LayerResult]],
        problems: Sequence[str],
        classes: Sequence[int],
        cycles: int,
        seconds: float,
    ) -> Done:
        """With some more images, whose layers are given image by image."""
        before = [self.layers] if self.layers else []
        return Done(
            images=self.images + len(layers),
            layers=summed([*before, *layers]),
            problems=(*self.problems, *problems),
            classes=(*self.classes, *classes),
            cycles=self.cycles + cycles,
            seconds=self.seconds + seconds,
        )


@dataclass(frozen=True)
class Journal:
    """Keeps ``Done`` in a folder, of the run that ``key`` stands for: design, network and data."""

    folder: Path
    key: str
    _path: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_path", self.folder / FILE)

    def load(self, images: int) -> Done:
        """What was kept of this run of ``images``; nothing of another one, or of a damaged file."""
        try:
            body = unseal(read_json(self._path), name=str(self._path))
            done = _done(body["done"])
            check_int("images", done.images, 1, images)
            return done if body["key"] == self.key else Done()
        except (InputError, KeyError, TypeError, ValueError):
            return Done()

    def keep(self, done: Done) -> None:
        """Replace what was kept."""
        write_json(self._path, seal({"key": self.key, "done": asdict(done)}))

    def close(self) -> None:
        """The run has ended: the next one begins anew."""
        self._path.unlink(missing_ok=True)


def _done(members: dict[str, Any]) -> Done:
    layers = tuple(
        LayerResult(**{**layer, "first": layer["first"] and Difference(**layer["first"])})
        for layer in members["layers"]
    )
    named = {name: tuple(members[name]) for name in ("problems", "classes")}
    return Done(**{**members, **named, "layers": layers})
