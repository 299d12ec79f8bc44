"""The page: sections one below the other, style and script inside, nothing fetched from anywhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib import resources
from pathlib import Path

import pact_hw
from pact_hw.errors import InputError
from pact_hw.files import read_json, write_text
from pact_hw.progress import SILENT, Progress

from .designs import designs, figures
from .exploration import RESULT, exploration

PAGE = "report.html"


def write_report(folder: Path, *, progress: Progress = SILENT) -> Path:
    """Write ``folder``/report.html about what lies in ``folder``: exploration, designs, figures.

    Raises:
        InputError: there is no such folder, nothing to report in it, or something damaged.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    sections = []
    with progress.task("report", total=3) as advance:
        for make in (exploration, designs, lambda where: figures(where, _drawn_here(where))):
            if section := make(folder):
                sections.append(section)
            advance(1)
    if not sections:
        raise InputError(
            f"{folder}: nothing to report: no {RESULT} (pact-hw explore), no design.json (generate), "
            "no SVG figure (study)"
        )
    write_text(folder / PAGE, page(_title(folder), sections))
    return folder / PAGE


def _title(folder: Path) -> str:
    """The exploration's name, or the folder's."""
    result = folder / RESULT
    return str(read_json(result)["name"]) if result.is_file() else folder.resolve().name


def _drawn_here(folder: Path) -> set[str]:
    """The exploration's own figures: the page draws them anew."""
    result = folder / RESULT
    return set(read_json(result)["files"]) if result.is_file() else set()


def _asset(name: str) -> str:
    return (resources.files("analysis.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def page(title: str, sections: list[tuple[str, str]]) -> str:
    """The whole page; its policy lets exactly our script run, and nothing be loaded."""
    script, style = _asset("page.js"), _asset("page.css")
    policy = f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}"
    anchors = "".join(f'<a href="#s{i}">{escape(name)}</a>' for i, (name, _) in enumerate(sections))
    navigation = f"<nav>{anchors}</nav>" if len(sections) > 1 else ""
    body = "".join(
        f'<section id="s{i}"><h2>{escape(name)}</h2>{html}</section>'
        for i, (name, html) in enumerate(sections)
    )
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{style}</style></head><body>"
        f"<header><h1>{escape(title)}</h1>{navigation}</header><main>{body}</main>"
        f"<footer>pact-hw {escape(pact_hw.__version__)}</footer>"
        f"<script>{script}</script></body></html>\n"
    )
