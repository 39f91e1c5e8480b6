"""Errors that the user can mend; the command line prints them as one line."""


class ReplicationError(Exception):
    """Base class; its message says what is wrong and the way out."""


class DatasetError(ReplicationError):
    """A data set is missing, damaged or not the one expected."""


class ProtocolError(ReplicationError):
    """What was asked for does not give the figure's runs."""


class BackendMismatchError(ReplicationError):
    """A run was begun on another Keras backend than the one that should continue it."""


class MissingCheckpointError(ReplicationError):
    """A run cannot be continued because its weights are not there, as in a fresh clone."""
