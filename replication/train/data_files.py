"""The files that hold the raw data: where they are found and how they are read."""

import gzip
import math
import os
import struct
import sys
from pathlib import Path

import numpy as np

from replication.errors import DatasetError

REPLACE = (
    "Delete or replace this file; without `--data-dir` and AEVB_DATA_DIR it is downloaded anew."
)


def find(names, url, sha256, data_dir=None):
    """Finds a data file, or downloads it if no folder is given.

    Searched is `data_dir`; if that is not given, the folder that the environment variable
    AEVB_DATA_DIR names; if that is not set, the cache of Keras, `$KERAS_HOME/datasets`. Only to
    the cache is the file downloaded.

    Args:
        names: the file's possible paths inside the folder, best first.
        url: where to download it from.
        sha256: of the file that is downloaded; `None` if it is not known.
        data_dir: a folder.

    Returns:
        The path of an existing file.

    Raises:
        DatasetError: if a given folder has no such file, or the download fails.
    """
    given = data_dir or os.environ.get("AEVB_DATA_DIR")
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    folder = Path(given).expanduser() if given else home / "datasets"
    for name in names:
        if os.path.isfile(folder / name):
            return folder / name
    if not given:
        return _download(url, sha256, folder)
    raise DatasetError(
        f"Expected {' or '.join(names)} in the folder {folder}. Received: "
        f"{'none of these files' if os.path.isdir(folder) else 'no such folder'}. Put the file "
        "there, name another folder by `--data-dir` or AEVB_DATA_DIR, or name none to have "
        f"{url} downloaded."
    )


def _download(url, sha256, folder):
    import pooch

    pooch.get_logger().setLevel("WARNING")
    name = url.rsplit("/", 1)[-1]
    try:
        progress = sys.stderr.isatty()
        return Path(pooch.retrieve(url, sha256, fname=name, path=folder, progressbar=progress))
    except ImportError:
        raise
    except Exception as error:  # of pooch, of requests or of the system
        raise DatasetError(
            f"Expected to download {url}. Received: {error}. If there is no network, put {name} "
            "into a folder and name the folder by `--data-dir` or AEVB_DATA_DIR."
        ) from error


def read(path, variable):
    """Reads one array from a file, and never unpickles anything.

    Args:
        path: a NumPy `.npz`, a MATLAB `.mat`, or else an IDX file, which may be a `.gz`.
        variable: the array's name in a `.npz` or `.mat`; an IDX file holds one nameless array.

    Returns:
        The array as it is stored.

    Raises:
        DatasetError: if the file cannot be read or has no such array.
    """
    kind, reader = {".npz": ("a NumPy", _read_npz), ".mat": ("a MATLAB", _read_mat)}.get(
        path.suffix, ("an IDX", _read_idx)
    )
    try:
        return np.asarray(reader(path, variable))
    except ImportError:
        raise
    except Exception as error:  # a damaged file makes the libraries raise errors of any type
        raise DatasetError(
            f"Expected {path} to be {kind} file. Received: {error!r}. {REPLACE}"
        ) from error


def _read_npz(path, variable):
    with np.load(path, allow_pickle=False) as arrays:
        return arrays[variable]


def _read_mat(path, variable):
    from scipy.io import loadmat

    return loadmat(path, appendmat=False, variable_names=[variable])[variable]


def _read_idx(path, _variable):
    """Bytes 0, 0, 8 (for uint8) and the rank; the shape as big-endian uint32; the values."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        data = file.read()
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"expected the first bytes 000008 of IDX, received {data[:3].hex()!r}")
    shape = struct.unpack_from(f">{data[3]}I", data, offset=4)
    values = data[4 + 4 * len(shape) :]
    if len(values) != math.prod(shape):
        raise ValueError(f"expected {math.prod(shape)} values, received {len(values)}")
    return np.frombuffer(values, np.uint8).reshape(shape)
