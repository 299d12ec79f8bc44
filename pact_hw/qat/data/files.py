"""Data sets' folders: what must be where, said in one line when it is not."""

from __future__ import annotations

from pathlib import Path

from ...errors import InputError


def find_folder(data: Path, data_set: str, *, folders: tuple[str, ...], files: tuple[str, ...]) -> Path:
    """The first of ``data / folder`` (or ``data`` itself) that holds all ``files``.

    Raises:
        InputError: none does; the line says which files belong where.
    """
    for folder in (*(data / name for name in folders), data):
        if all((folder / name).is_file() for name in files):
            return folder
    where = " or ".join(f"{data}/{name}/" for name in folders) if folders else f"{data}/"
    raise InputError(f"{data}: {data_set} is not here: {', '.join(files)} belong in {where}")
