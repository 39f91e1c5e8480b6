"""Every source of the data gives the published pixels, any other file a `DatasetError`."""

import contextlib
import gzip
import hashlib
import http.server
import os
import pickle
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from replication.errors import DatasetError
from replication.train import data_files, datasets
from replication.train.groups import Folders

FILES = {
    "train-images-idx3-ubyte": "x_train",
    "t10k-images-idx3-ubyte": "x_test",
    "t10k-labels-idx1-ubyte": "y_test",
}


def idx(values):
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    return header + values.tobytes()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


@pytest.fixture(autouse=True)
def keras_home(tmp_path, monkeypatch):
    """An empty cache, and no folder in the environment."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("AEVB_DATA_DIR", raising=False)
    (tmp_path / "datasets").mkdir()
    return tmp_path


@pytest.fixture
def cache(keras_home):
    return keras_home / "datasets"


@pytest.fixture
def small(monkeypatch):
    """Small arrays in place of the published MNIST, by name in `mnist.npz`."""
    rng = np.random.default_rng(1)
    shapes = [(6, 28, 28), (3, 28, 28), (3,)]
    arrays = {key: rng.integers(256, size=s, dtype="u1") for key, s in zip(FILES.values(), shapes)}
    for file, key in FILES.items():
        content = (arrays[key].shape, sha256(arrays[key].tobytes()))
        monkeypatch.setitem(datasets.CONTENTS, file, content)
    return arrays


@pytest.fixture
def server(monkeypatch):
    """Serves `pages`, a dict of `(bytes, promised length)` by path, and notes the requests."""

    class Handler(http.server.BaseHTTPRequestHandler):
        pages, requests = {}, []

        def do_GET(self):
            self.requests.append(self.path)
            if self.path not in self.pages:
                return self.send_error(404)
            body, length = self.pages[self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            for name, (url, _) in datasets.DOWNLOADS.items():
                address = f"http://127.0.0.1:{httpd.server_port}/{url.rsplit('/', 1)[-1]}"
                monkeypatch.setitem(datasets.DOWNLOADS, name, (address, None))
            yield Handler
        finally:
            httpd.shutdown()
            thread.join()


class Bomb:
    """Unpickling it creates a folder."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


# --- the published data -------------------------------------------------------------------------

REAL = os.environ.get("AEVB_DATA_DIR") or Path(__file__).parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def real():
    if not Path(REAL).is_dir():
        pytest.skip("AEVB_DATA_DIR names no folder with MNIST and the Frey faces")
    return Path(REAL)


@pytest.fixture
def mnist(real):
    return datasets.load("mnist", real)  # not kept: 188 MB


@pytest.fixture(scope="module")
def frey(real):
    return datasets.load("frey", real)


def test_mnist_is_real_valued_in_the_unit_interval(mnist):
    assert (mnist.name, mnist.image_shape) == ("mnist", (28, 28))
    assert (mnist.train.shape, mnist.test.shape) == ((50_000, 784), (10_000, 784))
    assert mnist.train.dtype == mnist.test.dtype == np.float32
    for images in (mnist.train, mnist.test):
        assert (images.min(), images.max()) == (0, 1)
        assert len(np.unique(images[:1000])) == 256


def test_mnist_keeps_the_published_order(mnist, real):
    path = real / "mnist" / "train-images-idx3-ubyte.gz"
    pixels = data_files.read(path, "x_train").reshape(60_000, 784)
    for i in range(0, 50_000, 5_000):  # in parts: a copy of all is 157 MB
        part = slice(i, i + 5_000)
        np.testing.assert_array_equal(mnist.train[part], pixels[part] / np.float32(255))
    assert mnist.test_labels.dtype == np.uint8
    assert mnist.test_labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


@pytest.mark.parametrize(
    "name, digest",  # of the files as published, with their headers
    [
        (
            "train-images-idx3-ubyte",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        ),
        (
            "t10k-images-idx3-ubyte",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        ),
        (
            "t10k-labels-idx1-ubyte",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ),
    ],
)
def test_mnist_contents_are_the_published_files(real, name, digest):
    values = data_files.read(real / "mnist" / f"{name}.gz", None)
    assert sha256(idx(values)) == digest
    assert datasets.CONTENTS[name] == (values.shape, sha256(values.tobytes()))


def test_mnist_from_keras_file_is_the_same(real, cache):
    def contents(mnist):
        arrays = (mnist.train, mnist.test, mnist.test_labels)
        return [mnist.digest, *(sha256(np.ascontiguousarray(values)) for values in arrays)]

    arrays = {
        key: data_files.read(real / "mnist" / f"{file}.gz", None) for file, key in FILES.items()
    }
    np.savez(cache / "mnist.npz", **arrays)
    del arrays
    # pytest would keep the data sets of an assertion's calls.
    from_keras = contents(datasets.load("mnist"))
    published = contents(datasets.load("mnist", real))
    assert from_keras == published


def test_frey_faces_are_split_completely(frey, real):
    assert (frey.train.shape, frey.test.shape) == ((1600, 560), (365, 560))
    assert frey.train.dtype == frey.test.dtype == np.float32
    assert frey.test_labels is None
    split = np.concatenate([frey.train, frey.test])
    assert split.min() >= 0
    assert split.max() <= 255 / 256
    faces = data_files.read(real / "frey_rawface.mat", "ff").T / np.float32(256)
    assert sorted(map(bytes, split)) == sorted(map(bytes, np.ascontiguousarray(faces)))


def test_frey_split_is_always_the_same(frey):
    assert sha256((frey.train * 256).astype(np.uint8).tobytes()).startswith("fce95fe373e7c9a9")
    assert frey.digest == datasets.CONTENTS["Frey faces"][1]


def test_the_split_of_frey_face_inferred_from_the_papers_plateaus(frey, real):
    """Independent Gaussian pixels come within 0.2 nats of the paper's plateaus, 578.5 and 569.2."""
    order = np.random.default_rng(11).permutation(1965)
    assert [*order[:5]] == [846, 1922, 1947, 139, 1524]
    faces = data_files.read(real / "frey_rawface.mat", "ff").T / np.float32(256)
    split = datasets.load("frey", real, split_seed=11)
    np.testing.assert_array_equal(split.train, faces[order[:1600]])
    np.testing.assert_array_equal(split.test, faces[order[1600:]])
    assert split.digest == frey.digest

    train, test = split.train.astype("float64"), split.test.astype("float64")
    mean, variance = train.mean(0), train.var(0)
    densities = [
        -0.5 * (np.log(2 * np.pi * variance) + (x - mean) ** 2 / variance).sum(1).mean()
        for x in (train, test)
    ]
    assert densities == pytest.approx([578.648, 569.079], abs=1e-3)  # to the digits given


def test_another_split_of_the_digits():
    first, other = (datasets.load("digits", split_seed=seed) for seed in (0, 1))
    order = np.random.default_rng(0).permutation(1797)
    inverse = np.argsort(order)
    images = np.concatenate([first.train, first.test])[inverse]
    order = np.random.default_rng(1).permutation(1797)
    np.testing.assert_array_equal(np.concatenate([other.train, other.test]), images[order])


def test_frey_faces_are_28_rows_of_20_pixels(frey):
    def roughness(shape):
        images = frey.test.reshape(-1, *shape)
        return np.abs(np.diff(images, axis=1)).mean() + np.abs(np.diff(images, axis=2)).mean()

    assert frey.image_shape == (28, 20)
    assert roughness((28, 20)) < 0.6 * roughness((20, 28))  # measured: 0.57


def test_environment_variable_names_the_folder(frey, real, monkeypatch):
    monkeypatch.setenv("AEVB_DATA_DIR", str(real))
    np.testing.assert_array_equal(datasets.load("frey").train, frey.train)


# --- the digits ---------------------------------------------------------------------------------


def test_digits_are_split_completely():
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    digits = datasets.load("digits")
    assert (digits.train.shape, digits.test.shape) == ((1500, 64), (297, 64))
    assert digits.train.dtype == digits.test.dtype == np.float32
    assert (digits.image_shape, digits.test_labels.dtype) == ((8, 8), np.uint8)
    assert digits.digest == sha256(pixels.astype(np.uint8).tobytes())
    order = np.random.default_rng(0).permutation(1797)
    np.testing.assert_array_equal(np.concatenate([digits.train, digits.test]), pixels[order] / 16)
    np.testing.assert_array_equal(digits.test_labels, labels[order[1500:]])


def test_digits_split_is_always_the_same():
    pixels = (datasets.load("digits").train * 16).astype(np.uint8)
    assert sha256(pixels.tobytes()).startswith("03ba0cd2e7c55fe1")


def test_digits_need_no_folder(tmp_path):
    assert datasets.load("digits", tmp_path / "nowhere").train.max() == 1


def test_other_digits_in_scikit_learn_are_refused(monkeypatch):
    monkeypatch.setitem(datasets.CONTENTS, "digits", ((1797, 64), "0" * 64))
    with pytest.raises(DatasetError, match="Install another version of scikit-learn"):
        datasets.load("digits")


def test_workers_find_the_home_folder(monkeypatch):
    """A shell does not expand the ~ of `--data-dir=~/data`."""
    monkeypatch.setenv("HOME", "/home/someone")
    assert Folders.of("results", "~/data").data_dir == "/home/someone/data"
    assert Folders.of("results", None).data_dir is None


def test_import_loads_no_large_package():
    code = "import sys, replication.train.datasets; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    assert "replication.train.datasets" in modules.split()
    assert not {"keras", "jax", "tensorflow", "scipy", "sklearn"} & set(modules.split())


# --- where files are found ----------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["mnist/{}.gz", "mnist/{}", "{}.gz", "{}", "mnist.npz"])
def test_all_layouts_give_the_same(small, tmp_path, layout):
    folder = tmp_path / "data"
    (folder / "mnist").mkdir(parents=True)
    if layout == "mnist.npz":
        np.savez_compressed(folder / layout, **small)
    else:
        for file, key in FILES.items():
            opener = gzip.open if layout.endswith(".gz") else open
            with opener(folder / layout.format(file), "wb") as stream:
                stream.write(idx(small[key]))
    mnist = datasets.load("mnist", folder)
    np.testing.assert_array_equal(mnist.train, small["x_train"].reshape(6, 784) / np.float32(255))
    np.testing.assert_array_equal(mnist.test, small["x_test"].reshape(3, 784) / np.float32(255))
    np.testing.assert_array_equal(mnist.test_labels, small["y_test"])
    assert mnist.digest == sha256(small["x_train"].tobytes() + small["x_test"].tobytes())


def test_precedence_of_argument_environment_and_cache(small, tmp_path, cache, monkeypatch):
    np.savez(cache / "mnist.npz", **small)
    assert datasets.load("mnist").train.shape == (6, 784)
    monkeypatch.setenv("AEVB_DATA_DIR", str(tmp_path / "environment"))
    with pytest.raises(DatasetError, match=r"environment. Received: no such folder"):
        datasets.load("mnist")
    with pytest.raises(DatasetError, match=r"argument. Received: no such folder"):
        datasets.load("mnist", tmp_path / "argument")
    assert datasets.load("mnist", cache).train.shape == (6, 784)


@pytest.mark.parametrize("name, file", [("mnist", "mnist.npz"), ("frey", "frey_rawface.mat")])
def test_given_folder_without_the_file_is_an_error_and_no_download(name, file, tmp_path, server):
    with pytest.raises(DatasetError, match=f"{file} in the folder .* none of these files.*AEVB"):
        datasets.load(name, tmp_path)
    assert server.requests == []


# --- downloads ----------------------------------------------------------------------------------


def test_download_goes_to_the_cache_of_keras_once(small, cache, server, tmp_path):
    np.savez(tmp_path / "source.npz", **small)
    body = (tmp_path / "source.npz").read_bytes()
    server.pages["/mnist.npz"] = (body, len(body))
    first, second = datasets.load("mnist"), datasets.load("mnist")
    assert server.requests == ["/mnist.npz"]
    assert (cache / "mnist.npz").read_bytes() == body
    np.testing.assert_array_equal(first.train, second.train)


def test_no_network(monkeypatch, cache):
    with socket.socket() as closed:  # bound, but not listening
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/frey_rawface.mat"
        monkeypatch.setitem(datasets.DOWNLOADS, "frey", (url, None))
        with pytest.raises(DatasetError, match=f"download {url}.*refused.*frey_rawface.mat into"):
            datasets.load("frey")
    assert list(cache.iterdir()) == []


def test_no_such_page(server, cache):
    with pytest.raises(DatasetError, match=r"Expected to download .*mnist.npz. Received: .*404"):
        datasets.load("mnist")
    assert list(cache.iterdir()) == []


def test_interrupted_download_leaves_no_file(server, cache):
    server.pages["/mnist.npz"] = (b"PK", 1000)
    with pytest.raises(DatasetError, match="2 bytes read, 998 more expected"):
        datasets.load("mnist")
    assert list(cache.iterdir()) == []


def test_a_file_that_differs_from_the_published_one_is_deleted(
    small, cache, server, tmp_path, monkeypatch
):
    np.savez(tmp_path / "source.npz", **small)
    body = (tmp_path / "source.npz").read_bytes()
    server.pages["/mnist.npz"] = (body, len(body))
    url, _ = datasets.DOWNLOADS["mnist"]
    monkeypatch.setitem(datasets.DOWNLOADS, "mnist", (url, "0" * 64))
    with pytest.raises(DatasetError, match=r"Expected to download .* Received: SHA256 hash"):
        datasets.load("mnist")
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name, file", [("mnist", "mnist.npz"), ("frey", "frey_rawface.mat")])
def test_a_web_page_instead_of_the_file(server, cache, name, file):
    page = b"<html><body>Please log in to this network.</body></html>" * 20
    server.pages[f"/{file}"] = (page, len(page))
    with pytest.raises(DatasetError, match=rf"Expected {cache / file} .* Delete or replace this"):
        datasets.load(name)


# --- damaged files ------------------------------------------------------------------------------


def error_of_reading(tmp_path, name, data, variable="x"):
    """The error from reading these bytes."""
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="Delete or replace this file") as caught:
        data_files.read(path, variable)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_idx_of_any_rank(tmp_path):
    for shape in [(5,), (2, 3), (2, 3, 4), (0, 3)]:
        values = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        (tmp_path / "file").write_bytes(idx(values))
        np.testing.assert_array_equal(data_files.read(tmp_path / "file", None), values)


def test_idx_cut_anywhere(tmp_path):
    data = idx(np.arange(6, dtype=np.uint8).reshape(1, 2, 3))
    for length in range(len(data)):
        error_of_reading(tmp_path, "idx3-ubyte", data[:length])
    assert "expected 6 values, received 5" in error_of_reading(tmp_path, "idx3-ubyte", data[:-1])
    assert "expected 6 values, received 7" in error_of_reading(tmp_path, "idx3-ubyte", data + b"\0")


def test_not_idx(tmp_path):
    assert "received '3c6874'" in error_of_reading(tmp_path, "idx3-ubyte", b"<html></html>")
    int32 = b"\0\0\x0c\x01" + struct.pack(">2I", 1, 7)
    assert "received '00000c'" in error_of_reading(tmp_path, "idx1-int", int32)


def test_gzip_cut_anywhere(tmp_path):
    data = gzip.compress(idx(np.arange(6, dtype=np.uint8)))
    for length in range(len(data)):
        error_of_reading(tmp_path, "idx1-ubyte.gz", data[:length])
    assert "Not a gzipped file" in error_of_reading(
        tmp_path, "idx1-ubyte.gz", gzip.decompress(data)
    )


def test_npz_cut_anywhere(tmp_path):
    np.savez(tmp_path / "whole.npz", x=np.arange(6, dtype=np.uint8))
    data = (tmp_path / "whole.npz").read_bytes()
    for length in range(len(data)):
        error_of_reading(tmp_path, "cut.npz", data[:length])
    assert "KeyError" in error_of_reading(tmp_path, "whole.npz", data, variable="y")


@pytest.mark.parametrize("compressed", [False, True])
def test_mat_cut_anywhere(tmp_path, compressed):
    savemat(tmp_path / "whole.mat", {"x": np.arange(64, dtype="u1")}, do_compression=compressed)
    data = (tmp_path / "whole.mat").read_bytes()
    for length in range(len(data)):
        error_of_reading(tmp_path, "cut.mat", data[:length])
    assert "KeyError" in error_of_reading(tmp_path, "whole.mat", data, variable="y")


def test_folder_in_place_of_a_file(tmp_path):
    with pytest.raises(DatasetError, match="IsADirectoryError"):
        data_files.read(tmp_path, None)


@pytest.mark.parametrize("file", FILES)
def test_one_wrong_pixel_is_noticed(small, tmp_path, file):
    small[FILES[file]].flat[-1] ^= 1
    np.savez(tmp_path / "mnist.npz", **small)
    with pytest.raises(DatasetError, match=rf"{file} from .* sha256 .* Delete or replace this"):
        datasets.load("mnist", tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((560, 1964), np.uint8),
        np.zeros((560, 1965), np.float64),
        np.zeros((560, 1965), np.uint8),
        np.zeros((2, 2), object),
    ],
    ids=["shape", "type", "pixels", "cells"],
)
def test_other_faces_are_refused(tmp_path, wrong):
    savemat(tmp_path / "frey_rawface.mat", {"ff": wrong})
    expected = r"Expected Frey faces .* uint8 of shape \(1965, 560\) with sha256 2438.* Received: "
    with pytest.raises(DatasetError, match=f"{expected}{wrong.dtype} of shape"):
        datasets.load("frey", tmp_path)


@pytest.mark.parametrize("name", ["arrays.npz", "array.npz", "bare.npz", "bare.mat", "bare-ubyte"])
def test_nothing_is_unpickled(tmp_path, name):
    crater = tmp_path / "crater"
    bomb = np.array([Bomb(crater)], dtype=object)
    path = tmp_path / name
    if name == "arrays.npz":
        np.savez(path, x=bomb)
    elif name == "array.npz":
        with path.open("wb") as file:
            np.save(file, bomb)
    else:
        path.write_bytes(pickle.dumps(bomb))
    error_of_reading(tmp_path, name, path.read_bytes())
    assert not crater.exists()
    with contextlib.suppress(ValueError, pickle.UnpicklingError):
        pickle.loads(pickle.dumps(bomb))
    assert crater.exists()  # the bomb was live
