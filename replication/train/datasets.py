"""The data sets of the experiments: verified, scaled to [0, 1] and split.

Symbols: N images of D pixels.
"""

import dataclasses
import hashlib

import numpy as np

from replication.errors import DatasetError
from replication.plan.experiment import IMAGE_SHAPES, SPLIT_SEED
from replication.train.data_files import REPLACE, find, read

# The URL of a data set's file, and its published sha256, if any.
DOWNLOADS = {
    "mnist": (
        "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",
    ),
    "frey": ("https://cs.nyu.edu/~roweis/data/frey_rawface.mat", None),
}

# Shape of the uint8 values, and sha256 of their bytes in C order, without any file's header.
CONTENTS = {
    "train-images-idx3-ubyte": (
        (60_000, 28, 28),
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    ),
    "t10k-images-idx3-ubyte": (
        (10_000, 28, 28),
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    ),
    "t10k-labels-idx1-ubyte": (
        (10_000,),
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
    "Frey faces": (
        (1965, 560),
        "2438ba4f0d2a6bd8bac43de756141eaa33c8d248dd613d464bdb1210d9b7af78",
    ),
    "digits": (
        (1797, 64),
        "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3",
    ),
    "digits' labels": (
        (1797,),
        "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0",
    ),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images for training and for testing.

    Attributes:
        name: `"mnist"`, `"frey"` or `"digits"`.
        train: float32 of shape `[N, D]` in [0, 1].
        test: the held-out images, in the same format.
        digest: sha256 of all uint8 pixels as published, before any split.
        test_labels: uint8 of shape `[N]`, the digit of each test image; `None` for faces.
    """

    name: str
    train: np.ndarray
    test: np.ndarray
    digest: str
    test_labels: np.ndarray | None = None

    @property
    def image_shape(self):
        """Height and width; D is their product."""
        return IMAGE_SHAPES[self.name]

    def first(self, n_train):
        """The data set with the first `n_train` training images only; `None` keeps all.

        Raises:
            DatasetError: if `n_train` is not from 1 to the number of training images.
        """
        if n_train is not None and not 1 <= n_train <= len(self.train):
            raise DatasetError(
                f"Expected 1 to {len(self.train)} training images of {self.name}. Received: "
                f"{n_train}. Choose another `--n-train`"
            )
        return dataclasses.replace(self, train=self.train[:n_train])


def load(name, data_dir=None, split_seed=SPLIT_SEED):
    """Loads a data set from files, or downloads it if no folder is given.

    - `"mnist"`: the first 50 000 training images (the other 10 000 are not used) and the 10 000
      test images, real-valued: x = pixel / 255.
    - `"frey"`: 1965 faces, split at random into 1600 and 365 because the paper does not state its
      split; x = pixel / 256.
    - `"digits"`: the 1797 digits of scikit-learn, split at random into 1500 and 297;
      x = pixel / 16. It needs no file.

    Args:
        name: one of these.
        data_dir: folder with `mnist/*-ubyte.gz` or `mnist.npz`, and `frey_rawface.mat`. Default:
            the environment variable AEVB_DATA_DIR, else a download to Keras' cache.
        split_seed: seed of the random split. MNIST has a fixed split.

    Returns:
        A `Dataset`.

    Raises:
        DatasetError: if a file is missing or damaged, or does not contain the published data.

    Example:
        >>> digits = load("digits")
        >>> digits.train.shape, digits.test.shape, digits.image_shape
        ((1500, 64), (297, 64), (8, 8))
    """
    return _LOADERS[name](data_dir, split_seed)


def _mnist(data_dir, _split_seed):
    def part(name, variable):
        names = [f"mnist/{name}.gz", f"mnist/{name}", f"{name}.gz", name, "mnist.npz"]
        path = find(names, *DOWNLOADS["mnist"], data_dir)
        return _verified(read(path, variable), name, path)

    train = part("train-images-idx3-ubyte", "x_train")
    test = part("t10k-images-idx3-ubyte", "x_test")
    return Dataset(
        "mnist",
        train=_scaled(train[:50_000], 255),
        test=_scaled(test, 255),
        digest=_sha256(train, test),
        test_labels=part("t10k-labels-idx1-ubyte", "y_test"),
    )


def _frey(data_dir, split_seed):
    path = find(["frey_rawface.mat"], *DOWNLOADS["frey"], data_dir)
    faces = _verified(read(path, "ff").T, "Frey faces", path)  # a column of the file is one face
    return _split("frey", faces, 1600, split_seed, scale=256)


def _digits(_data_dir, split_seed):
    from sklearn.datasets import load_digits

    pixels, labels = (a.astype(np.uint8) for a in load_digits(return_X_y=True))
    source = "scikit-learn's `load_digits`"
    for name, values in {"digits": pixels, "digits' labels": labels}.items():
        _verified(values, name, source, "Install another version of scikit-learn.")
    return _split("digits", pixels, 1500, split_seed, scale=16, labels=labels)


_LOADERS = {"mnist": _mnist, "frey": _frey, "digits": _digits}


def _verified(values, name, source, remedy=REPLACE):
    shape, digest = CONTENTS[name]
    expected = f"uint8 of shape {shape} with sha256 {digest}"
    received = f"{values.dtype} of shape {values.shape}"
    if values.dtype == np.uint8 and values.shape == shape:  # `_sha256` needs plain bytes
        received += f" with sha256 {_sha256(values)}"
    if received != expected:
        raise DatasetError(
            f"Expected {name} from {source} to be {expected}. Received: {received}. {remedy}"
        )
    return values


def _sha256(*arrays):
    digest = hashlib.sha256()
    for values in arrays:
        digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def _scaled(pixels, scale):
    values = pixels.reshape(len(pixels), -1).astype(np.float32)
    values /= scale  # in place: 50 000 images of MNIST take 157 MB
    return values


def _split(name, pixels, num_train, seed, scale, labels=None):
    """Splits at random a data set without a published split."""
    train, test = np.split(np.random.default_rng(seed).permutation(len(pixels)), [num_train])
    return Dataset(
        name,
        train=_scaled(pixels[train], scale),
        test=_scaled(pixels[test], scale),
        digest=_sha256(pixels),
        test_labels=None if labels is None else labels[test],
    )
