"""Why a live call has no answer."""


class Refused(Exception):
    """A call that is not allowed; the message says why and what would allow it."""

    def __init__(self, code: str, reason: str, hint: str = "") -> None:
        super().__init__(f"{reason}: {hint}" if hint else reason)
        self.reason = reason
        """The message without what would allow it, which concerns only who writes the settings."""
        self.code = code
        """A few words to count by: no valid URL, unknown host, http only, not public, method."""


class Failed(Exception):
    """A call that was allowed and came to nothing."""

    def __init__(self, message: str, *, status: int = 12, lost: bool = False) -> None:
        super().__init__(message)
        self.status = status
        """The status code it is answered with, see `toolbench.apis.chain`."""
        self.lost = lost
        """The connection failed: another try may help, and an API that does it often is left alone."""
