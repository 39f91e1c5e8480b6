"""Errors that the user can fix; the command line prints them as one line."""


class ReplicationError(Exception):
    """Base class; the message says what was expected, what was received, and the remedy."""


class DatasetError(ReplicationError):
    """A data set is missing or damaged, or differs from the published one."""


class ProtocolError(ReplicationError):
    """The options do not determine the figure's runs."""


class BackendError(ReplicationError):
    """The Keras backend is not supported or not installed."""


class BackendMismatchError(ReplicationError):
    """A run was started on another Keras backend."""


class MissingCheckpointError(ReplicationError):
    """A run cannot resume because its weights are missing, as in a fresh clone."""


class DamagedFileError(ReplicationError):
    """A file of the results is damaged."""


class BusyError(ReplicationError):
    """Another command trains the same run or writes the same files."""


class WorkerError(ReplicationError):
    """A worker ended, cannot be reached, or has another environment than the command."""
