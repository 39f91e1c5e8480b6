"""Commands of the replication inside this process."""

from click.testing import CliRunner

from replication.cli import main


def invoke(*arguments, **environment):
    """Runs a command without `AEVB_DATA_DIR`, unless it is given, and returns the result."""
    environment = {"AEVB_DATA_DIR": None, **environment}
    return CliRunner().invoke(main, [*map(str, arguments)], env=environment)
