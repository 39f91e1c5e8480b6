"""Examples as images, and images side by side."""

from collections.abc import Sequence

import numpy as np

from keras_aevb import arguments

CHANNELS = (1, 3)  # grey, or red, green and blue


def as_images(x: np.ndarray, image_shape: Sequence[int] | None = None) -> np.ndarray:
    """Reshapes examples to grey or colour images.

    Args:
        x: array of shape `[N, *event_shape]`.
        image_shape: `(height, width)`, `(height, width, 1)` or `(height, width, 3)`. Default: the
            event shape, if it is one of these.

    Returns:
        Array of shape `[N, height, width]` or `[N, height, width, 3]`.

    Raises:
        ValueError: if the shape is not that of an image, or has another number of elements than
            an example.

    Example:
        >>> as_images(np.zeros((5, 784)), (28, 28)).shape
        (5, 28, 28)
        >>> as_images(np.zeros((5, 32, 32, 3))).shape
        (5, 32, 32, 3)
    """
    event_shape = x.shape[1:]
    shape = event_shape if image_shape is None else tuple(image_shape)
    if not (
        len(shape) in (2, 3)
        and (len(shape) == 2 or shape[2] in CHANNELS)
        and np.prod(shape) == np.prod(event_shape)
    ):
        raise ValueError(
            "Expected `image_shape` to be (height, width), with 1 or 3 channels as a third "
            f"dimension, and with as many elements as an example of shape {event_shape}. "
            f"Received: {image_shape}"
        )
    x = x.reshape(-1, *shape)
    return x[..., 0] if len(shape) == 3 and shape[2] == 1 else x


def mosaic(images: np.ndarray, columns: int | None = None, fill: float = 1.0) -> np.ndarray:
    """Joins images in rows, without margins.

    Args:
        images: array of shape `[N, height, width]` or `[N, height, width, channels]`.
        columns: images in a row. Default: as many as rows, or one more.
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
