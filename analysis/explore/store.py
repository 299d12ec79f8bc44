"""The table of results on disk: one Parquet file for each chunk of designs, named by what is in it.

A file appears whole or not at all, and its name says which designs of which space under which models
it holds: so a killed run goes on with what is missing, and no design stands in the table twice.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pact_hw.errors import InputError
from pact_hw.files import atomic_path, read, read_json, write_json

from .extras import extra

POINTS = "points"
MANIFEST = "run.json"
COLUMN = "point"
"""The designs' numbers in their space."""


class Store:
    """Results below ``folder``: ``points/*.parquet``, readable as one data set by any Parquet reader."""

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder = folder / POINTS
        self._manifest = folder / MANIFEST
        self._digest = digest

    @contextmanager
    def open(self) -> Iterator[None]:
        """Claim the folder for one run, and check that it holds no other space's results.

        Raises:
            InputError: it does, or another process is at work in it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder.parent / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the system, even after kill -9
            except OSError:
                raise InputError(f"{self.folder.parent}: another exploration is at work here") from None
            if self._manifest.exists():
                found = read(self._manifest, lambda: str(read_json(self._manifest)["digest"]))
                if found != self._digest:
                    raise InputError(
                        f"{self.folder.parent}: holds results of another space or other models "
                        f"(digest {found[:12]}, now {self._digest[:12]}): name another folder"
                    )
            elif self.keys():
                raise InputError(
                    f"{self.folder.parent}: holds results but no {MANIFEST}: name another folder"
                )
            else:
                write_json(self._manifest, {"digest": self._digest})
            for leftover in self.folder.glob(".*"):  # of a killed run
                leftover.unlink()
            yield

    def path(self, key: str) -> Path:
        """Where the chunk of this key is, or will be."""
        return self.folder / f"{key}.parquet"

    def keys(self) -> set[str]:
        """The chunks that are there."""
        return {path.stem for path in self.folder.glob("[!.]*.parquet")}

    def write(self, key: str, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write one chunk; NaN (no model of it) becomes null."""
        pa, parquet = extra("pyarrow"), extra("pyarrow.parquet")
        arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}
        table = pa.table(arrays).replace_schema_metadata({"pact_hw_digest": self._digest})
        with atomic_path(self.path(key)) as temporary:
            parquet.write_table(table, temporary, compression="zstd")
            with temporary.open("rb") as file:
                os.fsync(file.fileno())  # the name must not outlive its content

    def read(self, key: str, columns: Sequence[str] | None = None) -> dict[str, npt.NDArray[Any]]:
        """The columns of one chunk; null becomes NaN.

        Raises:
            InputError: the file is damaged.
        """
        path = self.path(key)
        table = read(
            path, lambda: extra("pyarrow.parquet").read_table(path, columns=columns, partitioning=None)
        )
        return {name: np.asarray(table[name].to_numpy()) for name in table.column_names}
