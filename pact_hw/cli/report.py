"""``pact-hw report``: results as one page for a browser."""

from __future__ import annotations

from pathlib import Path

from click import argument

from .options import FOLDER, command
from .output import Output, facts


@command("report", example="report out/space")
@argument("folder", metavar="DIR", type=FOLDER)
def report(folder: Path, as_json: bool) -> None:
    """Write DIR/report.html: what DIR holds of explorations, designs and figures, on one page.

    The page is one file, loads nothing, and can be read without scripts. Links to designs are relative.
    """
    from analysis.report import write_report

    output = Output(as_json=as_json)
    path = write_report(folder, progress=output.progress)
    result = {"report": str(path), "bytes": path.stat().st_size}
    output.finish(result, facts("Report", result))
