"""Commands of the replication inside this process."""

from click.testing import CliRunner

from replication.cli import main


def invoke(*arguments, **environment):
    """The result of a command; without `AEVB_DATA_DIR`, unless it is given."""
    environment = {"AEVB_DATA_DIR": None, **environment}
    return CliRunner().invoke(main, [*map(str, arguments)], env=environment)
