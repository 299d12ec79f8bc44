"""The one exception that means "the input is wrong", as opposed to "the program is wrong"."""


class InputError(ValueError):
    """A value or a file from outside is unusable.

    Its text is one line that names the value and what is allowed. The command line prints that
    line and exits with status 2, without a traceback.
    """


class ToolError(RuntimeError):
    """A program that we call (simulator, synthesiser) did not do its work; its text is one line.

    The command line prints that line and exits with status 3, without a traceback.
    """
