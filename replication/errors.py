"""Errors that the user can mend; the command line prints them as one line."""


class ReplicationError(Exception):
    """Base class; its message says what was expected, what was received and the way out."""


class DatasetError(ReplicationError):
    """A data set is missing, damaged or not the one expected."""


class ProtocolError(ReplicationError):
    """What was asked for does not give the figure's runs."""


class BackendError(ReplicationError):
    """Keras was told to run on a backend that is not one of ours, or is not installed."""


class BackendMismatchError(ReplicationError):
    """A run was begun on another Keras backend than the one that should continue it."""


class MissingCheckpointError(ReplicationError):
    """A run cannot be continued because its weights are not there, as in a fresh clone."""


class DamagedFileError(ReplicationError):
    """A file of the results cannot be read back as it was written."""


class BusyError(ReplicationError):
    """Another command trains the same run or writes the same files."""


class WorkerError(ReplicationError):
    """Who was to train runs ended, cannot be reached or is not fit for it."""
