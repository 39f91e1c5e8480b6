"""Command classes that print user errors as one line."""

import errno
import sys

import click

from replication import environment
from replication.errors import ReplicationError

BACKENDS = ("tensorflow", "jax")
OURS = ("keras_aevb", "replication")
REMEDIES = {
    errno.ENOSPC: "Free disk space",
    errno.EDQUOT: "Free disk space",
    errno.EFBIG: "Allow larger files",
    errno.EACCES: "Change the permissions, or choose another folder",
    errno.EPERM: "Change the permissions, or choose another folder",
    errno.EROFS: "Choose another folder",
}


class Command(click.Command):
    """A command that prints user errors as one line, and after Ctrl-C how to resume."""

    def invoke(self, ctx):
        try:
            _require_backend()
            return super().invoke(ctx)
        except ReplicationError as error:
            raise _one_line_error(str(error)) from None
        except ImportError as error:
            raise _one_line_error(_not_imported(error)) from None
        except BrokenPipeError:
            raise  # click exits without a message
        except OSError as error:
            raise _one_line_error(_system_error_message(error)) from None
        except KeyboardInterrupt:
            click.echo("\nInterrupted. Run the same command again to resume.", err=True)
            sys.exit(130)


class Commands(click.Group):
    """A group of such commands."""

    command_class = Command


def _one_line_error(message):
    """An error with its message on one line, even if a library's message has several."""
    return click.ClickException(" ".join(message.split()))


def _require_backend():
    backend = environment.backend()
    if backend not in BACKENDS:
        raise ReplicationError(
            f"Expected KERAS_BACKEND to be {' or '.join(BACKENDS)}. Received: {backend}. Set it to "
            "one of them"
        )


def _not_imported(error):
    if (error.name or "").partition(".")[0] in OURS:
        raise error  # not the user's error
    return (
        f"Expected all packages that the command needs. Received: {error}. Install them, for "
        "example with `pip install 'keras-aevb[jax,replication]'`, or set KERAS_BACKEND to an "
        "installed backend"
    )


def _system_error_message(error):
    """The message for an `OSError`, with the file and the remedy."""
    file = error.filename or "a file"
    return (
        f"Expected to read or write {file}. Received: {error.strerror or error}. "
        f"{REMEDIES.get(error.errno, 'Fix this')} and run the same command again: saved results "
        "are still there"
    )
