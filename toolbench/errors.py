"""The exceptions a user can cause. Each message is one sentence that names the thing and the way out."""


class ToolbenchError(Exception):
    """Something failed that the user can act on. The command line prints the message and exits with `exit_code`."""

    exit_code = 1


class UsageError(ToolbenchError):
    """The command, a flag, a setting or a named file is wrong: nothing was started."""

    exit_code = 2


class SourceError(UsageError):
    """A catalogue, response or instruction source cannot be read at all."""


class LakeError(ToolbenchError):
    """The lake cannot be read or written."""


class ConflictError(LakeError):
    """Another writer published first."""


class TeacherError(ToolbenchError):
    """The teacher cannot be used: unreachable, wrong key, unknown model."""


class TransientError(ToolbenchError):
    """The outside world failed in a way that a later try may cure."""


class GateError(ToolbenchError):
    """A result is worse than what was asked for."""


class BudgetError(ToolbenchError):
    """A limit in calls, tokens or dollars is reached."""


class StoppedError(ToolbenchError):
    """Somebody stopped it."""
