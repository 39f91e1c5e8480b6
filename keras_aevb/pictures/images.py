"""Examples as images, and images side by side."""

from collections.abc import Sequence

import numpy as np

from keras_aevb import arguments

CHANNELS = (1, 3)  # grey, or red, green and blue


def as_images(x: np.ndarray, image_shape: Sequence[int] | None = None) -> np.ndarray:
    """Reshapes examples to grey or colour images.

    Args:
        x: array of shape `[N, *event_shape]`.
        image_shape: `(height, width)`, or a shape with 1 or 3 channels, last or first:
            `(height, width, channels)` or `(channels, height, width)`. Default: the event shape.
            Unless x is flat, it may differ from the event shape only in dimensions of size 1.

    Returns:
        Array of shape `[N, height, width]` or `[N, height, width, 3]`.

    Raises:
        ValueError: if the shape is not that of an image, has a different number of elements from an
            example, or reorders the dimensions of examples that are not flat.

    Example:
        >>> as_images(np.zeros((5, 784)), (28, 28)).shape
        (5, 28, 28)
        >>> as_images(np.zeros((5, 3, 32, 32))).shape
        (5, 32, 32, 3)
    """
    event_shape = x.shape[1:]
    shape = event_shape if image_shape is None else tuple(image_shape)
    if not (
        len(shape) in (2, 3)
        and (len(shape) == 2 or shape[2] in CHANNELS or shape[0] in CHANNELS)
        and np.prod(shape) == np.prod(event_shape)
        and (len(event_shape) == 1 or _without_ones(shape) == _without_ones(event_shape))
    ):
        raise ValueError(
            "Expected `image_shape` to be (height, width), with 1 or 3 channels as last or first "
            f"dimension, and to fit examples of shape {event_shape}. Received: {image_shape}"
        )
    x = x.reshape(-1, *shape)
    if len(shape) == 3 and shape[2] not in CHANNELS:
        x = np.moveaxis(x, 1, -1)
    return x[..., 0] if x.ndim == 4 and x.shape[3] == 1 else x


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]


def mosaic(images: np.ndarray, columns: int | None = None, fill: float = 1.0) -> np.ndarray:
    """Joins images in rows, without margins.

    Args:
        images: array of shape `[N, height, width]` or `[N, height, width, channels]`.
        columns: images per row. Default: as many as rows, or one more.
        fill: value of the empty cells in the last row.

    Returns:
        Array of shape `[rows * height, columns * width]` or, with channels,
        `[rows * height, columns * width, channels]`.

    Raises:
        ValueError: if the array does not contain images, or `columns` is not a positive integer.

    Example:
        >>> mosaic(np.array([[[1, 2]], [[3, 4]], [[5, 6]], [[7, 8]]]), columns=2)
        array([[1, 2, 3, 4],
               [5, 6, 7, 8]])
    """
    if images.ndim not in (3, 4) or not len(images):
        raise ValueError(
            "Expected images of shape [N, height, width] or [N, height, width, channels]. "
            f"Received: shape {images.shape}"
        )
    n, height, width, *channels = images.shape
    columns = int(np.ceil(np.sqrt(n))) if columns is None else arguments.integer("columns", columns)
    left_over = np.full((-n % columns, *images.shape[1:]), fill, images.dtype)
    grid = np.concatenate([images, left_over]).reshape(-1, columns, height, width, *channels)
    return grid.swapaxes(1, 2).reshape(-1, columns * width, *channels)
