"""Pictures of a model, drawn with Matplotlib: `pip install 'keras-aevb[plots]'`.

Each function draws on `ax`, by default on axes of a new pyplot figure, and returns the axes. The
arrays come from `keras_aevb.pictures` and `keras_aevb.evaluation`.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_aevb import arguments, evaluation, pictures
from keras_aevb.models import LatentVariableModel, VariationalModel
from keras_aevb.pictures import as_images
from keras_aevb.training import inputs
from keras_aevb.typing import ArrayLike, ConditionLike, Seed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The palette of Okabe & Ito, safe for the colour-blind; then grey and purple.
COLOURS = (
    "#E69F00",
    "#F0E442",
    "#56B4E9",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#000000",
    "#0072B2",
    "#999999",
    "#7B3FA0",
)
WIDTH = 6.0  # of a new figure, in inches
MISSING = 0.5  # grey, for missing values
# With more bars than this, not every bar has a label.
MAX_LABELLED_BARS = 30
# The largest number of integers with an entry each in a legend.
MAX_CLASSES = 20


def matplotlib(module: str) -> Any:
    """A module of Matplotlib, which is imported on first use.

    Raises:
        ImportError: if it is not installed.
    """
    try:
        return importlib.import_module(f"matplotlib.{module}")
    except ImportError as error:
        raise ImportError(
            "Pictures need Matplotlib. Expected the extra `plots`: "
            f"pip install 'keras-aevb[plots]'. Received: {error}"
        ) from error


def mosaic(
    images: ArrayLike,
    columns: int | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    ax: Axes | None = None,
) -> Axes:
    """Draws images side by side.

    Args:
        images: array of shape `[N, height, width]` or `[N, height, width, 3]`.
        columns: images in a row. Default: as many as rows, or one more.
        value_range: values drawn as black and as white; those beyond are clipped. NaN is grey.
        ax: axes to draw on.

    Returns:
        The axes.

    Raises:
        ImportError: if Matplotlib is not installed.
        ValueError: if the array does not contain images, `columns` is not a positive integer, or
            the range is not two increasing numbers.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> ax = kv.plots.mosaic(np.random.default_rng(0).random((6, 8, 8)), columns=3)
        >>> ax.images[0].get_array().shape
        (16, 24)
    """
    low, high = value_range
    if not low < high:
        raise ValueError(
            f"Expected `value_range` to be two increasing numbers. Received: {value_range}"
        )
    shades = np.clip((np.asarray(images, "float64") - low) / (high - low), 0.0, 1.0)
    shades = np.where(np.isnan(shades), MISSING, shades)
    joined = pictures.mosaic(shades, columns)
    ax = _axes(ax, joined.shape[0] / joined.shape[1])
    ax.imshow(joined, cmap="gray", vmin=0.0, vmax=1.0)
    ax.set_axis_off()
    return ax


def samples(
    model: LatentVariableModel,
    n: int = 100,
    columns: int | None = None,
    image_shape: Sequence[int] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    seed: Seed = 0,
    condition: ConditionLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the means of p(x|z) at n samples z ~ p(z).

    Args:
        model, n, seed, condition: as for `keras_aevb.pictures.samples`.
        image_shape: as for `keras_aevb.pictures.as_images`.
        columns, value_range, ax: as for `mosaic`.

    Returns:
        The axes.

    Raises:
        ImportError: if Matplotlib is not installed.
        ValueError: as `keras_aevb.pictures.samples`, `as_images` and `mosaic`.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> ax = kv.plots.samples(model, 9, image_shape=(4, 4))
    """
    x = pictures.samples(model, n, seed=seed, condition=condition)
    return mosaic(as_images(x, image_shape), columns, value_range, ax)


def reconstructions(
    model: VariationalModel,
    x: ArrayLike,
    columns: int = 10,
    image_shape: Sequence[int] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    seed: Seed = 0,
    condition: ConditionLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws rows of examples, each above a row of their reconstructions.

    Args:
        model, x, seed, condition: as for `keras_aevb.pictures.reconstructions`.
        columns: examples in a row.
        image_shape: as for `keras_aevb.pictures.as_images`.
        value_range, ax: as for `mosaic`.

    Returns:
        The axes.

    Raises:
        ImportError: if Matplotlib is not installed.
        ValueError: as `keras_aevb.pictures.reconstructions`, `as_images` and `mosaic`.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> x = np.random.default_rng(0).random((12, 16))
        >>> ax = kv.plots.reconstructions(model, x, columns=6, image_shape=(4, 4))
        >>> ax.images[0].get_array().shape
        (16, 24)
    """
    array = inputs.as_array(x)
    columns = min(arguments.integer("columns", columns), len(array))
    decoded = pictures.reconstructions(model, x, seed=seed, condition=condition)
    rows = [as_images(shown, image_shape) for shown in (array, decoded)]
    left_over = -len(array) % columns
    blank = np.full((left_over, *rows[0].shape[1:]), value_range[1], rows[0].dtype)
    shape = (-1, columns, *rows[0].shape[1:])
    pairs = np.stack([np.concatenate([row, blank]).reshape(shape) for row in rows], axis=1)
    return mosaic(pairs.reshape(-1, *rows[0].shape[1:]), columns, value_range, ax)


def traversals(
    model: LatentVariableModel,
    z: ArrayLike | None = None,
    num_values: int = 10,
    dimensions: Sequence[int] | np.ndarray | None = None,
    image_shape: Sequence[int] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    seed: Seed = 0,
    condition: ConditionLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws a row of images for each latent dimension, along the prior's quantiles.

    Args:
        model, z, num_values, dimensions, seed, condition: as for `keras_aevb.pictures.traversals`.
        image_shape: as for `keras_aevb.pictures.as_images`.
        value_range, ax: as for `mosaic`.

    Returns:
        The axes.

    Raises:
        ImportError: if Matplotlib is not installed.
        ValueError: as `keras_aevb.pictures.traversals`, `as_images` and `mosaic`.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> ax = kv.plots.traversals(model, image_shape=(4, 4))
        >>> [label.get_text() for label in ax.get_yticklabels()]
        ['z[0]', 'z[1]']
    """
    x = pictures.traversals(model, z, num_values, dimensions, seed=seed, condition=condition)
    images = as_images(x.reshape(-1, *x.shape[2:]), image_shape)
    ax = mosaic(images, num_values, value_range, ax)
    shape = model.prior.event_shape
    numbers = range(len(x)) if dimensions is None else dimensions
    ax.set_axis_on()
    ax.spines[:].set_visible(False)
    height = images.shape[1]
    ax.set_xticks([])
    ax.set_xlabel("quantiles of the prior, from low to high")
    ax.set_yticks((np.arange(len(x)) + 0.5) * height - 0.5, [_name(j, shape) for j in numbers])
    ax.tick_params(length=0)
    return ax


def manifold(
    model: LatentVariableModel,
    n: int = 20,
    image_shape: Sequence[int] | None = None,
    value_range: tuple[float, float] = (0.0, 1.0),
    seed: Seed = 0,
    condition: ConditionLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the decoded plane of two latent variables, with z₁ to the right and z₂ upwards.

    Args:
        model, n, seed, condition: as for `keras_aevb.pictures.manifold`.
        image_shape: as for `keras_aevb.pictures.as_images`.
        value_range, ax: as for `mosaic`.

    Returns:
        The axes.

    Raises:
        ImportError: if Matplotlib is not installed.
        ValueError: as `keras_aevb.pictures.manifold`, `as_images` and `mosaic`.

    Reference: Kingma & Welling (2013), fig. 4.

    Example:
        >>> import keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> ax = kv.plots.manifold(model, 5, image_shape=(4, 4))
    """
    x = pictures.manifold(model, n, seed=seed, condition=condition)
    images = as_images(x.reshape(-1, *x.shape[2:]), image_shape)
    return mosaic(images, n, value_range, ax)


def encoded(
    model: VariationalModel,
    x: ArrayLike,
    labels: ArrayLike | None = None,
    dimensions: Sequence[int] = (0, 1),
    unit_square: bool = False,
    seed: Seed = 0,
    condition: ConditionLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the mean of q(z|x) of each example as a point, coloured by its label.

    Args:
        model, x, seed, condition: as for `keras_aevb.pictures.encoded`.
        labels: N integers or strings, with one colour for each; or N real numbers, or integers
            with more than 20 different values, on a colour scale.
        dimensions: indices of two elements of the flattened z.
        unit_square: whether to show probabilities under the prior
            (`keras_aevb.pictures.prior_probabilities`) instead of values.
        ax: axes to draw on.

    Returns:
        The axes.

    Raises:
        ImportError: if Matplotlib is not installed.
        ValueError: as `keras_aevb.pictures.encoded` and `prior_probabilities`; if
            `dimensions` are not two indices of z, or there is not one label for each example.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> x = np.random.default_rng(0).random((12, 16))
        >>> ax = kv.plots.encoded(model, x, labels=["cat", "dog"] * 6)
        >>> [text.get_text() for text in ax.get_legend().get_texts()]
        ['cat', 'dog']
    """
    z = pictures.encoded(model, x, seed=seed, condition=condition)
    shape, size = z.shape[1:], z[0].size
    if len(dimensions) != 2 or not np.isin(dimensions, range(size)).all():
        raise ValueError(
            f"Expected `dimensions` to be two integers from 0 to {size - 1}. Received: {dimensions}"
        )
    if unit_square:
        z = pictures.prior_probabilities(model, z, condition)
    points = z.reshape(len(z), -1)[:, list(dimensions)]
    ax = _axes(ax)
    style: dict[str, Any] = {
        "s": float(np.clip(60_000 / len(z), 6, 24)),
        "linewidths": 0,
        "alpha": 0.8,
    }
    order = np.random.default_rng(0).permutation(len(z))  # so that no class hides another
    across, up = points[order].T
    if labels is None:
        ax.scatter(across, up, **style)
    else:
        labels = _labels(labels, len(z))
        if labels.dtype.kind == "f" or _are_many_integers(labels):
            shown = ax.scatter(across, up, c=labels[order], **style)
            ax.figure.colorbar(shown, ax=ax)
        else:
            classes, index = np.unique(labels, return_inverse=True)
            colours = _colours(len(classes))
            ax.scatter(across, up, c=colours[index[order]], **style)
            for name, colour in zip(classes, colours):
                ax.scatter([], [], s=50, color=colour, label=str(name))
            ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    names = [_name(j, shape) for j in dimensions]
    if unit_square:
        names = [f"F({name})" for name in names]
        ax.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    ax.set(xlabel=names[0], ylabel=names[1], aspect="equal")
    return ax


def kl_by_dimension(
    model: VariationalModel,
    x: ArrayLike,
    seed: Seed = 0,
    condition: ConditionLike | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws the mean of KL(q(z_j|x) ‖ p(z_j)) over examples as a bar for each latent dimension.

    Args:
        model, x, seed, condition: as for `keras_aevb.evaluation.kl_by_dimension`.
        ax: axes to draw on.

    Returns:
        The axes.

    Raises:
        ImportError: if Matplotlib is not installed.
        ValueError: as `keras_aevb.evaluation.kl_by_dimension`.

    Example:
        >>> import numpy as np, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> x = np.random.default_rng(0).random((12, 16))
        >>> len(kv.plots.kl_by_dimension(model, x).patches)
        2
    """
    kl = evaluation.kl_by_dimension(model, x, seed=seed, condition=condition)
    means = kl.mean(axis=0, dtype="float64")
    ax = _axes(ax, height=0.6)
    ax.bar(np.arange(means.size), means.reshape(-1), color=COLOURS[7])
    if means.size <= MAX_LABELLED_BARS:
        numbers = range(means.size)
        ax.set_xticks(numbers, [_name(j, means.shape, letter="") for j in numbers])
    ax.set(xlabel="latent dimension", ylabel="KL, nats")
    return ax


def _are_many_integers(labels: np.ndarray) -> bool:
    return labels.dtype.kind in "iu" and len(np.unique(labels)) > MAX_CLASSES


def _axes(ax: Axes | None, height: float = 1.0) -> Axes:
    """`ax`, or the axes of a new figure of `height` times its width."""
    if ax is not None:
        return ax
    size = WIDTH, WIDTH * float(np.clip(height, 0.15, 2.0))
    _, ax = matplotlib("pyplot").subplots(figsize=size, layout="constrained")
    return ax


def _labels(labels: ArrayLike, n: int) -> np.ndarray:
    labels = np.asarray(labels)
    if labels.dtype.kind == "O" and all(isinstance(label, str) for label in labels.flat):
        labels = labels.astype(str)  # a column of strings of a DataFrame
    if labels.shape != (n,) or labels.dtype.kind not in "biufU":
        raise ValueError(
            f"Expected `labels` to be {n} numbers or strings, one for each example. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    return labels


def _colours(n: int) -> np.ndarray:
    """n distinct colours, safe for colour-blind readers if n ≤ 8."""
    if n <= len(COLOURS):
        return np.array(COLOURS[:n])
    shades = matplotlib("cm").ScalarMappable(cmap="turbo").to_rgba(np.linspace(0.0, 1.0, n))
    return np.array([matplotlib("colors").to_hex(shade) for shade in shades])


def _name(j: int, shape: Sequence[int], letter: str = "z") -> str:
    """The name of an element of z, from its index in the flattened z."""
    numbers = ", ".join(str(int(i)) for i in np.unravel_index(j, shape))
    return f"{letter}[{numbers}]" if letter else numbers


__all__ = [
    "encoded",
    "kl_by_dimension",
    "manifold",
    "mosaic",
    "reconstructions",
    "samples",
    "traversals",
]
