"""TensorBoard events, without torch and without TensorFlow."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import metadata as layout_metadata
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from rl_lab import files
from rl_lab.errors import BadInput

Plain = str | bool | int | float
# Category -> chart title -> (kind, tags), see `EventWriter.layout`.
Layout = Mapping[str, Mapping[str, tuple[str, Sequence[str]]]]

# A file's name and a number of bytes in it, see `EventWriter.place`.
Place = tuple[str, int]

_numbers = itertools.count()


class EventWriter:
    """Writes one TensorBoard event file into a folder; every call is on disk when it returns.

    TensorBoard's own `EventFileWriter` is not used: it starts a thread, which does not survive a
    fork, imports TensorFlow where that is installed, and puts the host's name in the file's name.

    Args:
        folder: Where the file goes; made if need be.
        after: Go on in an earlier writer's file after this `place`, forgetting what follows.

    Raises:
        Failed: The folder cannot be written to.
    """

    def __init__(self, folder: Path, after: Place | None = None) -> None:
        file = None if after is None else _reopened(folder, *after)
        self._file = file or _new_event_file(folder)
        self._path = folder
        self._records = RecordWriter(self._file)
        if file is None:
            self._write(event_pb2.Event(wall_time=time.time(), file_version="brain.Event:2"))

    def place(self) -> Place | None:
        """The file's name and its bytes so far, all on the disk; None where nothing is written."""
        try:
            files.sync(self._file.fileno())
            return Path(self._file.name).name, os.fstat(self._file.fileno()).st_size
        except OSError as error:
            raise files.cannot_write(self._path, error) from error

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Add one point to each of some curves.

        Args:
            step: Environment steps so far.
            values: Tag -> value; NaN is kept and shown as such.
        """
        if values:
            self._add(step, [_value(tag, simple_value=value) for tag, value in values.items()])

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """Add a text, shown as Markdown."""
        meta = text_metadata.create_summary_metadata(display_name=tag, description="")
        self._add(step, [_value(tag, metadata=meta, tensor=_string_tensor(markdown.encode()))])

    def image(self, tag: str, data: bytes, width: int, height: int, step: int = 0) -> None:
        """Add a picture that is already encoded.

        Args:
            tag: Its name.
            data: A PNG, GIF (may move) or WebP (may move) file.
            width: In pixels.
            height: In pixels.
            step: Environment steps so far.
        """
        picture = summary_pb2.Summary.Image(
            encoded_image_string=data, width=width, height=height, colorspace=4
        )
        self._add(step, [_value(tag, image=picture)])

    def hparams(
        self, values: Mapping[str, Plain], metrics: Mapping[str, float], step: int = 0
    ) -> None:
        """Enter the run in TensorBoard's table of hyperparameters.

        No `experiment` summary is written: TensorBoard takes the first it finds under its log
        folder for all runs, and would hide the hyperparameters that other agents have. Without
        one it collects the names from every run.

        Args:
            values: Flat names and plain values.
            metrics: Tag -> final value; written as scalars, which become columns of the table.
            step: Environment steps so far.
        """
        self.scalars(step, metrics)
        start = plugin_data_pb2.SessionStartInfo(start_time_secs=time.time())
        for name, value in values.items():
            start.hparams[name].CopyFrom(_struct_value(name, value))
        end = plugin_data_pb2.SessionEndInfo(
            status=api_pb2.STATUS_SUCCESS, end_time_secs=time.time()
        )
        infos = (
            (hparams_metadata.SESSION_START_INFO_TAG, {"session_start_info": start}),
            (hparams_metadata.SESSION_END_INFO_TAG, {"session_end_info": end}),
        )
        for tag, info in infos:
            data = plugin_data_pb2.HParamsPluginData(**info)
            meta = hparams_metadata.create_summary_metadata(data)
            self._add(step, [_value(tag, metadata=meta, tensor=hparams_metadata.NULL_TENSOR)])

    def layout(self, categories: Layout) -> None:
        """Arrange scalars on TensorBoard's custom scalars page.

        Args:
            categories: Category -> chart title -> (kind, tags). Kind "lines": tags are regular
                expressions; kind "band": tags are value, lower and upper, repeatedly.
        """
        charts = layout_pb2.Layout(
            category=[
                layout_pb2.Category(title=title, chart=[_chart(t, *c) for t, c in charts.items()])
                for title, charts in categories.items()
            ]
        )
        meta = layout_metadata.create_summary_metadata()
        tensor = _string_tensor(charts.SerializeToString(), scalar=True)
        self._add(0, [_value(layout_metadata.CONFIG_SUMMARY_TAG, metadata=meta, tensor=tensor)])

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()

    def __enter__(self) -> EventWriter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _add(self, step: int, values: list[Any]) -> None:
        summary = summary_pb2.Summary(value=values)
        self._write(event_pb2.Event(wall_time=time.time(), step=step, summary=summary))

    def _write(self, event: Any) -> None:
        try:
            self._records.write(event.SerializeToString())
            self._records.flush()
        except OSError as error:
            raise files.cannot_write(self._path, error) from error


class NullWriter(EventWriter):
    """Takes what an `EventWriter` takes and writes nothing."""

    def __init__(self) -> None:
        pass

    def _add(self, step: int, values: list[Any]) -> None:
        pass

    def place(self) -> Place | None:
        """Nothing is written."""
        return None

    def close(self) -> None:
        """Do nothing."""


def _new_event_file(folder: Path) -> IO[bytes]:
    """A new file whose name sorts after those of earlier seconds, as TensorBoard reads them."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while True:
            name = f"events.out.tfevents.{int(time.time()):010d}.{os.getpid()}.{next(_numbers)}"
            try:
                return (folder / name).open("xb")
            except FileExistsError:
                continue
    except OSError as error:
        raise files.cannot_write(folder, error) from error


def _reopened(folder: Path, name: str, size: int) -> IO[bytes] | None:
    """An earlier file cut to a size, other event files being gone; None where it is too short."""
    path = folder / name
    try:
        for other in folder.glob("events.out.tfevents.*"):
            if other.name != name:
                other.unlink()
        if not path.is_file() or path.stat().st_size < size:
            return None
        os.truncate(path, size)
        return path.open("ab")
    except OSError as error:
        raise files.cannot_write(path, error) from error


def _value(tag: str, **content: Any) -> Any:
    return summary_pb2.Summary.Value(tag=tag, **content)


def _string_tensor(data: bytes, scalar: bool = False) -> Any:
    dim = [] if scalar else [tensor_shape_pb2.TensorShapeProto.Dim(size=1)]
    shape = tensor_shape_pb2.TensorShapeProto(dim=dim)
    return tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[data], tensor_shape=shape)


def _struct_value(name: str, value: Plain) -> Any:
    kind = type(plugin_data_pb2.SessionStartInfo().hparams[""])
    if isinstance(value, bool):
        return kind(bool_value=value)
    if isinstance(value, int | float):
        return kind(number_value=value)
    if isinstance(value, str):
        return kind(string_value=value)
    raise BadInput(
        f"hyperparameter {name!r} is a {type(value).__name__}",
        "str, bool, int or float",
        "Flatten nested values, and write others as text.",
    )


def _chart(title: str, kind: str, tags: Sequence[str]) -> Any:
    if kind == "lines":
        return layout_pb2.Chart(
            title=title, multiline=layout_pb2.MultilineChartContent(tag=list(tags))
        )
    if kind != "band" or len(tags) % 3:
        raise BadInput(
            f"chart {title!r} of kind {kind!r} with {len(tags)} tags",
            "kind lines, or kind band with value, lower and upper",
        )
    series = [
        layout_pb2.MarginChartContent.Series(value=value, lower=lower, upper=upper)
        for value, lower, upper in zip(tags[::3], tags[1::3], tags[2::3], strict=True)
    ]
    return layout_pb2.Chart(title=title, margin=layout_pb2.MarginChartContent(series=series))
