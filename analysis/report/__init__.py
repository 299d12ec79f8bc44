"""``pact-hw report``: a folder of results as one HTML page that needs no network and no scripts."""

from .page import write_report

__all__ = ["write_report"]
