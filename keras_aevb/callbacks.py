"""A callback that draws pictures during training."""

import io
from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_aevb import arguments, plots
from keras_aevb.event_file import EventFile, tensorboard_protocol
from keras_aevb.models import LatentVariableModel, VariationalModel
from keras_aevb.models.parts import check_type
from keras_aevb.pictures import as_images
from keras_aevb.pictures.marginals import independent_marginals
from keras_aevb.training import inputs
from keras_aevb.typing import ArrayLike, ConditionLike, Config, Seed

KINDS = ("samples", "reconstructions", "traversals", "manifold", "encoded", "kl_by_dimension")
OF_EXAMPLES = ("reconstructions", "encoded", "kl_by_dimension")
OF_IMAGES = ("samples", "reconstructions", "traversals", "manifold")
DPI = 150


class Pictures(keras.callbacks.Callback):
    """Writes pictures of a model every few epochs: PNG files, images in TensorBoard, or both.

    The first pictures show the model before training, the last ones after it. `seed` fixes all
    noise, so pictures of different epochs show the same samples. With an integer `seed`, the
    callback does not use the model's seed generator: training is the same without it, to the last
    bit.

    Args:
        folder: folder for PNG files, such as `<folder>/<kind>/epoch-0005.png` after five epochs.
        log_dir: folder for TensorBoard. At least one of the two is required.
        every: epochs from one picture to the next.
        kinds: list of functions of `keras_aevb.plots`: `"samples"`, `"reconstructions"`,
            `"traversals"`, `"manifold"`, `"encoded"` and `"kl_by_dimension"`. Default: all that
            the model and the data allow.
        x: examples of shape `[N, *event_shape]`, preferably not used for training. The first
            `num_reconstructions` are reconstructed, all are encoded.
        labels: labels of x, which colour `"encoded"`.
        condition: y of x, of shape `[N, *condition.shape]`. Samples use its rows in turn,
            traversals and the manifold the first one.
        image_shape: as for `keras_aevb.pictures.as_images`. Default: the event shape. If that is
            not the shape of an image, only `"encoded"` and `"kl_by_dimension"` are drawn.
        value_range: values of x drawn as black and as white.
        num_samples: number of images in `"samples"`.
        num_reconstructions: number of examples in `"reconstructions"`.
        num_traversals: number of latent dimensions in `"traversals"`, starting from the first.
        seed: integer that fixes all noise. `None` takes it from the model's seed generator.

    Raises:
        ImportError: if Matplotlib, or TensorBoard for a `log_dir`, is not installed.
        ValueError: if neither `folder` nor `log_dir` is given or an argument is invalid; at the
            beginning of training, if a kind is not possible for the model or needs x.

    Example:
        >>> import tempfile, keras_aevb as kv
        >>> model = kv.AEVB(**kv.networks.bernoulli_mlp(16, latent_dim=2, hidden_units=8))
        >>> model.compile("adam")
        >>> x = np.random.default_rng(0).random((20, 16))
        >>> folder = Path(tempfile.mkdtemp())
        >>> pictures = Pictures(folder, every=2, x=x, image_shape=(4, 4), kinds=["encoded"])
        >>> _ = model.fit(x, epochs=3, verbose=0, callbacks=[pictures])
        >>> sorted(path.name for path in folder.glob("encoded/*.png"))
        ['epoch-0000.png', 'epoch-0002.png', 'epoch-0003.png']
    """

    def __init__(
        self,
        folder: str | PathLike[str] | None = None,
        log_dir: str | PathLike[str] | None = None,
        every: int = 5,
        kinds: Collection[str] | None = None,
        x: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        condition: ConditionLike | None = None,
        image_shape: Sequence[int] | None = None,
        value_range: tuple[float, float] = (0.0, 1.0),
        num_samples: int = 100,
        num_reconstructions: int = 30,
        num_traversals: int = 10,
        seed: Seed = 0,
    ) -> None:
        super().__init__()
        if folder is None and log_dir is None:
            raise ValueError("Expected a `folder` or a `log_dir`. Received: neither")
        plots.matplotlib("figure")
        if log_dir is not None:
            tensorboard_protocol()
        if kinds is not None:
            kinds = [arguments.choice("kinds", kind, KINDS) for kind in kinds]
        self.folder = None if folder is None else Path(folder)
        self.log_dir = None if log_dir is None else Path(log_dir)
        self.every = arguments.integer("every", every)
        self.kinds = kinds
        self.x = None if x is None else inputs.as_array(x)
        self.labels = labels
        self.condition = condition
        self.image_shape = image_shape
        self.value_range = value_range
        self.num_samples = arguments.integer("num_samples", num_samples)
        self.num_reconstructions = arguments.integer("num_reconstructions", num_reconstructions)
        self.num_traversals = arguments.integer("num_traversals", num_traversals)
        self.seed = arguments.seed(seed)
        self.last_drawn: int | None = None
        self.epochs_done = 0
        self.events: EventFile | None = None

    def on_train_begin(self, logs: Config | None = None) -> None:
        check_type("model", self.model, LatentVariableModel)
        possible = self._possible()
        for kind in self.kinds or ():
            if kind not in possible:
                raise ValueError(f"Expected kinds of {possible}. Received: {kind!r}, {NEEDS[kind]}")
        self.selected_kinds = self.kinds or possible
        self.last_drawn = None
        if self.log_dir is not None:
            self.events = EventFile(self.log_dir)

    def on_epoch_begin(self, epoch: int, logs: Config | None = None) -> None:
        self.epochs_done = epoch
        if self.last_drawn is None:
            self.draw(epoch)

    def on_epoch_end(self, epoch: int, logs: Config | None = None) -> None:
        self.epochs_done = epoch + 1
        if self.epochs_done % self.every == 0:
            self.draw(self.epochs_done)

    def on_train_end(self, logs: Config | None = None) -> None:
        if self.last_drawn not in (None, self.epochs_done):
            self.draw(self.epochs_done)
        if self.events is not None:
            self.events.close()

    def draw(self, epochs_done: int) -> None:
        """Draws and writes the pictures of the current model.

        Args:
            epochs_done: number of finished epochs, for titles and file names.
        """
        for kind in self.selected_kinds:
            png = self._png(kind, epochs_done)
            if self.folder is not None:
                path = self.folder / kind / f"epoch-{epochs_done:04d}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png)
            if self.events is not None:
                self.events.add_image(kind, png, epochs_done)
        self.last_drawn = epochs_done

    def _possible(self) -> list[str]:
        """The kinds of pictures that the model and the data allow."""
        model = self.model
        rows = self.conditions_for(1)
        with model.given(rows):
            independent = independent_marginals(model.prior_distribution()) is not None
        x = self.x if isinstance(model, VariationalModel) else None
        if x is not None:
            model.checked_conditions(self.condition, len(x))  # raises unless there is one per x
        wanted = {
            "reconstructions": x is not None,
            "encoded": x is not None and int(np.prod(model.prior.event_shape)) > 1,
            "kl_by_dimension": x is not None and independent and self._independent_posterior(x),
            "manifold": independent and model.prior.event_shape == (2,),
        }
        images = self._has_images()
        return [k for k in KINDS if wanted.get(k, True) and (images or k not in OF_IMAGES)]

    def _independent_posterior(self, x: np.ndarray) -> bool:
        with self.model.given(self.conditions_for(1)):
            return independent_marginals(self.model.encode(x[:1])) is not None

    def _has_images(self) -> bool:
        example = np.zeros((1, *self.model.likelihood.event_shape))
        if self.image_shape is not None:
            as_images(example, self.image_shape)  # raises if it is not an image
            return True
        try:
            as_images(example)
        except ValueError:
            return False
        return True

    def conditions_for(self, n: int) -> np.ndarray | None:
        """Conditions for n images, the rows of `condition` in turn; or `None`."""
        if self.condition is None:
            return None
        condition = self.condition
        if self.model.condition is not None:
            condition = self.model.condition.packed(condition)
        condition = inputs.as_array(condition, "the condition")
        if self.model.condition is not None and condition.shape == self.model.condition.shape:
            condition = condition[np.newaxis]  # one y
        if not condition.size:
            raise ValueError("Expected `condition` to have one y or more. Received: none")
        return condition[np.arange(n) % len(condition)]

    def _png(self, kind: str, epochs_done: int) -> bytes:
        """A picture as the bytes of a PNG file."""
        figure = plots.matplotlib("figure").Figure(figsize=(6, 6), dpi=DPI, layout="constrained")
        ax = figure.subplots()
        getattr(self, f"_draw_{kind}")(ax, *([self.x] if kind in OF_EXAMPLES else []))
        epochs = "epoch" if epochs_done == 1 else "epochs"
        ax.set_title(f"{kind.replace('_', ' ')} after {epochs_done} {epochs}")
        file = io.BytesIO()
        figure.savefig(file, format="png", bbox_inches="tight", metadata={"Software": None})
        return file.getvalue()

    def _of_images(self, ax: Any) -> Config:
        return {
            "image_shape": self.image_shape,
            "value_range": self.value_range,
            "seed": self.seed,
            "ax": ax,
        }

    def _draw_samples(self, ax: Any) -> None:
        condition = self.conditions_for(self.num_samples)
        plots.samples(self.model, self.num_samples, condition=condition, **self._of_images(ax))

    def _draw_reconstructions(self, ax: Any, x: np.ndarray) -> None:
        x = x[: self.num_reconstructions]
        plots.reconstructions(
            self.model, x, condition=self.conditions_for(len(x)), **self._of_images(ax)
        )

    def _draw_traversals(self, ax: Any) -> None:
        n = min(self.num_traversals, int(np.prod(self.model.prior.event_shape)))
        plots.traversals(
            self.model,
            dimensions=range(n),
            condition=self.conditions_for(1),
            **self._of_images(ax),
        )

    def _draw_manifold(self, ax: Any) -> None:
        plots.manifold(self.model, condition=self.conditions_for(1), **self._of_images(ax))

    def _draw_encoded(self, ax: Any, x: np.ndarray) -> None:
        condition = self.conditions_for(len(x))
        plots.encoded(self.model, x, self.labels, seed=self.seed, condition=condition, ax=ax)

    def _draw_kl_by_dimension(self, ax: Any, x: np.ndarray) -> None:
        condition = self.conditions_for(len(x))
        plots.kl_by_dimension(self.model, x, self.seed, condition, ax)


# The requirements of each kind of picture.
NEEDS = {
    "samples": "which needs images: pass their `image_shape`",
    "reconstructions": "which needs x, an encoder, and images: pass their `image_shape`",
    "traversals": "which needs images: pass their `image_shape`",
    "manifold": "which needs two latent variables that are independent under the prior, and images",
    "encoded": "which needs x, an encoder and at least two latent variables",
    "kl_by_dimension": "which needs x, and q(z|x) and p(z) with independent dimensions",
}


__all__ = ["Pictures"]
