"""Pictures as PNG files."""

import io

from replication import atomic


def write(figure, path):
    """Writes a Matplotlib figure, without the version that drew it.

    Args:
        figure: `matplotlib.figure.Figure`.
        path: of the file.
    """
    file = io.BytesIO()
    figure.savefig(file, format="png", metadata={"Software": None})
    atomic.write(path, file.getvalue())
