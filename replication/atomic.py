"""Files that are replaced as a whole: a reader finds the old one or the new one, never a part."""

import contextlib
import os
from pathlib import Path

# A name of its own, so that nothing but what a killed command left is ever removed by it.
UNFINISHED = ".unfinished.tmp"


def write(path, content):
    """Writes or replaces a file, and makes its folder if there is none.

    One process at a time may write a file: `lock` sees to it.

    Args:
        path: of the file.
        content: bytes, or text, which is stored as UTF-8.

    Raises:
        OSError: with the file's name, if the system refuses. The old file is still there then.
    """
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(path.name + UNFINISHED)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            error.filename, error.filename2 = str(path), None
        raise


def remove_unfinished(folder):
    """Removes what a command that was killed while it wrote left in a folder that is locked now."""
    for path in Path(folder).glob("*" + UNFINISHED):
        path.unlink(missing_ok=True)
