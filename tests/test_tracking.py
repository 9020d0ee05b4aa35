"""Everything written is read back, by TensorBoard's own readers where it is TensorBoard's."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from boards import experiment_of
from tensorboard.backend.event_processing import plugin_event_multiplexer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams import plugin_data_pb2

from rl_lab.errors import BadInput, Failed
from rl_lab.tracking import EventWriter, MetricsLog, NullWriter, read_metrics, tags

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d4944415478da63fccfc0500f00048401807f8dd8f00000000049454e44ae426082"
)


def events(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    return accumulator


def test_scalars_read_back(tmp_path: Path) -> None:
    values = [(step, math.sin(step), np.float32(step) / 3) for step in range(0, 30_000, 7)]
    with EventWriter(tmp_path / "new") as writer:
        for step, reward, length in values:
            writer.scalars(step, {tags.EPISODE_RETURN: reward, tags.EPISODE_LENGTH: length})
        writer.scalars(30_000, {})
    read = events(tmp_path / "new")
    assert read.Tags()["scalars"] == [tags.EPISODE_RETURN, tags.EPISODE_LENGTH]
    expected = [(step, np.float32(reward)) for step, reward, _ in values]
    assert [(e.step, e.value) for e in read.Scalars(tags.EPISODE_RETURN)] == expected


def test_points_are_on_disk_before_the_file_is_closed(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    writer.scalars(1, {"a": math.nan})
    assert math.isnan(events(tmp_path).Scalars("a")[0].value)
    writer.close()
    writer.close()


def test_two_writers_in_one_second_are_two_files_that_read_as_one(tmp_path: Path) -> None:
    for step in (1, 2):
        with EventWriter(tmp_path) as writer:
            writer.scalars(step, {"a": step})
    assert len(list(tmp_path.glob("events.out.tfevents.*"))) == 2
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(tmp_path))
    multiplexer.Reload()
    assert [e.step for e in multiplexer.Tensors(".", "a")] == [1, 2]


def test_text_and_image_read_back(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as writer:
        writer.text(tags.VERDICT, "**a** beats b")
        writer.image("episode", PNG, 1, 1, step=5)
    read = events(tmp_path)
    assert read.Tensors(tags.VERDICT)[0].tensor_proto.string_val[0] == b"**a** beats b"
    assert read.PluginTagToContent("text").keys() == {tags.VERDICT}
    (picture,) = read.Images("episode")
    assert (picture.step, picture.width, picture.encoded_image_string) == (5, 1, PNG)


def test_hparams_of_different_agents_all_appear(tmp_path: Path) -> None:
    table = {
        "ppo": {"agent": "ppo", "clip": 0.2, "normalise": True},
        "dqn": {"agent": "dqn", "buffer": 10},
    }
    for name, values in table.items():
        with EventWriter(tmp_path / name) as writer:
            writer.hparams(values, {tags.BEST_RETURN: 3.0})
    experiment, runs = experiment_of(tmp_path)
    names = {info.name for info in experiment.hparam_infos}
    assert names == {"agent", "buffer", "clip", "normalise"}
    assert [info.name.tag for info in experiment.metric_infos] == [tags.BEST_RETURN]
    content = runs["ppo"][hparams_metadata.SESSION_START_INFO_TAG]
    start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    assert start["agent"].string_value == "ppo"
    assert start["clip"].number_value == 0.2
    assert start["normalise"].bool_value is True
    assert hparams_metadata.SESSION_END_INFO_TAG in runs["ppo"]


def test_hparams_must_be_flat(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as writer, pytest.raises(BadInput, match="net_arch"):
        writer.hparams({"net_arch": [64, 64]}, {})  # type: ignore[dict-item]


def test_layout_reads_back(tmp_path: Path) -> None:
    with EventWriter(tmp_path) as writer:
        band = ["mean", "low", "high"]
        writer.layout({"reward": {"all": ("lines", ["rollout/.*"]), "one": ("band", band)}})
        with pytest.raises(BadInput):
            writer.layout({"reward": {"one": ("band", ["mean", "low"])}})
    (event,) = events(tmp_path).Tensors("custom_scalars__config__")
    (category,) = layout_pb2.Layout.FromString(event.tensor_proto.string_val[0]).category
    lines, margin = category.chart
    assert (category.title, lines.title, list(lines.multiline.tag)) == (
        "reward",
        "all",
        ["rollout/.*"],
    )
    (series,) = margin.margin.series
    assert [series.value, series.lower, series.upper] == band


def test_the_null_writer_takes_the_same_calls(tmp_path: Path) -> None:
    with NullWriter() as writer:
        writer.scalars(1, {"a": 1.0})
        writer.text("a", "b")
        writer.image("a", PNG, 1, 1)
        writer.hparams({"a": 1}, {"b": 1.0})
        writer.layout({})
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written_is_a_lab_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="cannot write"):
        EventWriter(tmp_path / "file")
    with pytest.raises(Failed, match="cannot write"):
        MetricsLog(tmp_path / "file")


def test_metrics_read_back_and_missing_is_null(tmp_path: Path) -> None:
    with MetricsLog(tmp_path / "run") as log:
        log.append(10, 0.123456, {"a": 1, "b": np.float32(0.5)})
        log.append(20, 1.0, {"a": math.nan, "b": math.inf})
    first, second = read_metrics(tmp_path / "run")
    assert first == {"step": 10, "time_s": 0.123, "a": 1, "b": 0.5}
    assert math.isnan(second["a"])
    assert math.isnan(second["b"])
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[1]) == {"step": 20, "time_s": 1.0, "a": None, "b": None}


def test_a_half_last_line_is_left_out_and_overwritten(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path)
    log.append(1, 1.0, {})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "ti')
    assert [p["step"] for p in read_metrics(tmp_path)] == [1]
    log.close()
    with MetricsLog(tmp_path) as log:
        log.append(3, 3.0, {})
    assert [p["step"] for p in read_metrics(tmp_path)] == [1, 3]


@pytest.mark.parametrize("content", [None, "nonsense\n", "[1]\n"])
def test_what_is_no_log_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    with pytest.raises(BadInput):
        read_metrics(tmp_path)


def test_tracking_works_without_torch_and_tensorflow(tmp_path: Path) -> None:
    code = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "tensorflow", "stable_baselines3"):
            raise AssertionError(name)
sys.meta_path.insert(0, Blocked())
from pathlib import Path
from rl_lab.tracking import EventWriter
with EventWriter(Path({str(tmp_path)!r})) as writer:
    writer.scalars(1, {{"a": 1.0}})
    writer.text("b", "c")
    writer.hparams({{"d": 1}}, {{"e": 1.0}})
    writer.layout({{"f": {{"g": ("lines", ["a"])}}}})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert events(tmp_path).Scalars("a")[0].value == 1.0
