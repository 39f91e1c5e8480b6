"""Errors that the user can fix; the command line prints them as one line."""


class ReplicationError(Exception):
    """Base class; the message says what was expected, what was received, and the remedy."""


class DatasetError(ReplicationError):
    """A data set is missing or damaged, or differs from the published one."""


class DamagedFileError(ReplicationError):
    """A file of the results is damaged."""


class BusyError(ReplicationError):
    """Another command trains the same run or writes the same files."""
