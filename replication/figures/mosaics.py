"""Pictures made of images side by side, one pixel of an image on a square of pixels."""

import numpy as np

from replication.figures import png

DPI = 120
# In pixels: around and between the panels, and above them for a line of text.
MARGIN, TITLE = 16, 36


def mosaic(images, columns):
    """Images in rows, without margins.

    Args:
        images: array of shape `[rows * columns, height, width]`.
        columns: images in a row.

    Returns:
        Array of shape `[rows * height, columns * width]`.

    Example:
        >>> mosaic(np.array([[[1, 2]], [[3, 4]], [[5, 6]], [[7, 8]]]), columns=2)
        array([[1, 2, 3, 4],
               [5, 6, 7, 8]])
    """
    _, height, width = images.shape
    grid = images.reshape(-1, columns, height, width)
    return grid.transpose(0, 2, 1, 3).reshape(-1, columns * width)


def draw(panels, height, path):
    """Writes mosaics beside each other, black for 0 and white for 1.

    Args:
        panels: dict from a title to an array of shape `[H, W]` in [0, 1], all of one height.
        height: of the panels in the picture, in pixels; it is met to whole multiples of H.
        path: file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    scaled = [_grey(values, max(1, round(height / len(values)))) for values in panels.values()]
    tall = TITLE + len(scaled[0]) + MARGIN
    wide = sum(pixels.shape[1] + MARGIN for pixels in scaled) + MARGIN
    figure = Figure(figsize=(wide / DPI, tall / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    left = MARGIN
    for title, pixels in zip(panels, scaled):
        figure.figimage(pixels, left, MARGIN)
        middle = (left + pixels.shape[1] / 2) / wide
        figure.text(middle, 1 - TITLE / 2 / tall, title, ha="center", va="center")
        left += pixels.shape[1] + MARGIN
    png.write(figure, path)


def _grey(values, scale):
    """Values in [0, 1] as squares of pixels, uint8 of shape `[scale * H, scale * W, 3]`."""
    shades = np.rint(255 * values).astype("uint8")
    return np.kron(shades[..., None], np.ones((scale, scale, 3), "uint8"))
