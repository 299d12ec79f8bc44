"""The exception that means "the simulation itself did not work", as opposed to "the design is wrong"."""

from pact_hw.errors import ToolError


class SimulationError(ToolError):
    """The design could not be built or run; its text is one line, and names the log file if there is one."""
