"""Finds, downloads and reads the raw data files."""

import gzip
import math
import os
import struct
import sys
from pathlib import Path

import numpy as np

from replication.errors import DatasetError

REPLACE = (
    "Delete or replace this file; without `--data-dir` and AEVB_DATA_DIR it is downloaded again."
)


def find(names, url, sha256, data_dir=None):
    """Finds a data file, or downloads it if no folder is given.

    The folder is `data_dir`, or else the environment variable AEVB_DATA_DIR, or else Keras' cache,
    `$KERAS_HOME/datasets`. Files are downloaded only to the cache.

    Args:
        names: possible paths of the file inside the folder, in order of preference.
        url: source of the download.
        sha256: hash of the downloaded file; `None` if it is unknown.
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
        "there, choose another folder with `--data-dir` or AEVB_DATA_DIR, or set neither to "
        f"download {url}."
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
    except Exception as error:  # from pooch, requests or the system
        raise DatasetError(
            f"Expected to download {url}. Received: {error}. Without a network, put {name} into a "
            "folder and pass it by `--data-dir` or AEVB_DATA_DIR."
        ) from error


def read(path, variable):
    """Reads an array from a file, without unpickling.

    Args:
        path: a NumPy `.npz`, a MATLAB `.mat`, or else an IDX file, which may be a `.gz`.
        variable: the array's name in a `.npz` or `.mat`; an IDX file has one array without a name.

    Returns:
        The stored array.

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
    # NumPy leaves a damaged file open if it opens it itself.
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return arrays[variable]


def _read_mat(path, variable):
    from scipy.io import loadmat

    return loadmat(path, appendmat=False, variable_names=[variable])[variable]


def _read_idx(path, _variable):
    """IDX: bytes 0, 0, 8 (uint8) and the rank; the shape as big-endian uint32; the values."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        data = file.read()
    if len(data) < 4 or data[:3] != b"\0\0\x08":
        raise ValueError(f"expected the first bytes 000008 of IDX, received {data[:3].hex()!r}")
    shape = struct.unpack_from(f">{data[3]}I", data, offset=4)
    values = data[4 + 4 * len(shape) :]
    if len(values) != math.prod(shape):
        raise ValueError(f"expected {math.prod(shape)} values, received {len(values)}")
    return np.frombuffer(values, np.uint8).reshape(shape)
