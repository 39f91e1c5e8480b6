"""How every command ends: the errors that the user can mend are one line."""

import errno
import os
import sys

import click

from replication.errors import BackendError, ReplicationError

BACKENDS = ("tensorflow", "jax")
OURS = ("keras_aevb", "replication")
WAYS_OUT = {
    errno.ENOSPC: "Make room",
    errno.EDQUOT: "Make room",
    errno.EFBIG: "Allow larger files",
    errno.EACCES: "Get the permission, or name another folder",
    errno.EPERM: "Get the permission, or name another folder",
    errno.EROFS: "Name another folder",
}


class Command(click.Command):
    """Turns the errors that a user can mend into one line, and Ctrl-C into what to do next."""

    def invoke(self, ctx):
        try:
            _require_backend()
            return super().invoke(ctx)
        except ReplicationError as error:
            raise _line(str(error)) from None
        except ImportError as error:
            raise _line(_not_imported(error)) from None
        except BrokenPipeError:
            raise  # click ends without a word
        except OSError as error:
            raise _line(_refused(error)) from None
        except KeyboardInterrupt:
            click.echo("\nInterrupted. Give the same command again to continue.", err=True)
            sys.exit(130)


class Commands(click.Group):
    """A group of such commands."""

    command_class = Command


def _line(message):
    """An error that is printed on one line, though a library's message has several."""
    return click.ClickException(" ".join(message.split()))


def _require_backend():
    backend = os.environ.get("KERAS_BACKEND") or BACKENDS[0]
    if backend not in BACKENDS:
        raise BackendError(
            f"Expected KERAS_BACKEND to be {' or '.join(BACKENDS)}. Received: {backend}. Set it to "
            "one of them"
        )


def _not_imported(error):
    if (error.name or "").partition(".")[0] in OURS:
        raise error  # that is no fault of the user's
    return (
        f"Expected all packages that the command needs. Received: {error}. Install them, as by "
        "`pip install 'keras-aevb[jax,replication]'`, or set KERAS_BACKEND to a backend that is "
        "installed"
    )


def _refused(error):
    """What the system refused, which file, and what to do about it."""
    file = error.filename or "a file"
    return (
        f"Expected to read or write {file}. Received: {error.strerror or error}. "
        f"{WAYS_OUT.get(error.errno, 'Mend this')} and give the same command again: what was kept "
        "so far is still there"
    )
