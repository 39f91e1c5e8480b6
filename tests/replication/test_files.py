"""Atomic replacement of files."""

import errno
import os

import pytest
from matplotlib.figure import Figure

from replication.figures.images import write_png
from replication.measurements import files


def test_text_is_utf_8_and_bytes_are_as_they_are(tmp_path):
    files.write(tmp_path / "new" / "text", "−104.8 ± 0.3\n")
    assert (tmp_path / "new" / "text").read_bytes() == "−104.8 ± 0.3\n".encode()
    files.write(tmp_path / "new" / "text", b"\r\n\xff")
    assert (tmp_path / "new" / "text").read_bytes() == b"\r\n\xff"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["text"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux' /dev/full")
def test_a_full_disk_leaves_the_old_file_and_is_named(tmp_path):
    """A real error of the system: the content goes to /dev/full."""
    path = tmp_path / "metrics.csv"
    path.write_text("old")
    (tmp_path / f"metrics.csv{files.UNFINISHED}").symlink_to("/dev/full")
    with pytest.raises(OSError) as error:
        files.write(path, "new")
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(path))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_does_not_change_the_old_file(tmp_path, monkeypatch):
    def interrupt(_):
        raise KeyboardInterrupt

    path = tmp_path / "metrics.csv"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_picture_is_replaced_atomically(tmp_path, monkeypatch):
    """While a picture is drawn and written, the old one is still there."""
    path = tmp_path / "figure2.png"
    write_png(Figure(figsize=(1, 1)), path)
    first = path.read_bytes()
    assert first.startswith(b"\x89PNG") and b"Software" not in first
    seen = []
    for module, name in ((Figure, "savefig"), (os, "fsync"), (os, "replace")):
        original = getattr(module, name)

        def look(*args, original=original, **kwargs):
            seen.append(path.read_bytes())
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, look)
    write_png(Figure(figsize=(2, 1)), path)
    assert seen == [first] * 3
    assert path.read_bytes() != first
