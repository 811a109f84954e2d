"""The one exception that means "the user can fix this"."""


class UserError(Exception):
    """A mistake in what the user passed: a path, a file, an option.

    The message is one line that names the file, says what is wrong and what to do about it.
    The command line prints it on stderr and exits with code 2, a notebook shows the line alone; mistakes of a
    *programmer* (a wrong shape, a wrong dtype) raise ValueError instead.
    """

    def _render_traceback_(self) -> list[str]:
        """What a notebook's cell shows in place of a traceback: IPython asks an exception for this."""
        return [f"UserError: {self}"]
