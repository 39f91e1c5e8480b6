"""Writes images for TensorBoard without TensorFlow, so on any backend."""

import os
import time
from pathlib import Path
from types import ModuleType
from typing import Any


class EventFile:
    """A TensorBoard event file with images.

    Args:
        folder: folder of the new file.
    """

    def __init__(self, folder: Path) -> None:
        self.event_pb2, self.summary_pb2, record_writer = tensorboard_protocol()
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{os.getpid()}.pictures"
        self.file = open(folder / name, "wb")  # noqa: SIM115  closed when training ends
        self.writer = record_writer.RecordWriter(self.file)
        self._write(file_version="brain.Event:2")

    def add_image(self, tag: str, png: bytes, step: int) -> None:
        """Adds an image.

        Args:
            tag: name of the image in TensorBoard.
            png: content of a PNG file.
            step: position among the images of the same tag.
        """
        image = self.summary_pb2.Summary.Image(encoded_image_string=png)
        value = self.summary_pb2.Summary.Value(tag=tag, image=image)
        self._write(step=step, summary=self.summary_pb2.Summary(value=[value]))

    def close(self) -> None:
        self.writer.close()

    def _write(self, **content: Any) -> None:
        event = self.event_pb2.Event(wall_time=time.time(), **content)
        self.writer.write(event.SerializeToString())
        self.writer.flush()


def tensorboard_protocol() -> tuple[ModuleType, ModuleType, ModuleType]:
    """TensorBoard's modules `event_pb2`, `summary_pb2` and `record_writer`.

    Raises:
        ImportError: if TensorBoard is not installed.
    """
    try:
        from tensorboard.compat.proto import event_pb2, summary_pb2
        from tensorboard.summary.writer import record_writer
    except ImportError as error:
        raise ImportError(
            "Images for TensorBoard need its package. Expected the extra `plots`: "
            f"pip install 'keras-aevb[plots]'. Received: {error}"
        ) from error
    return event_pb2, summary_pb2, record_writer
