"""What TensorBoard itself makes of a folder of logs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups


def steps_of(folder: Path) -> dict[tuple[str, str], list[int]]:
    """The steps of every curve below a folder of logs: (run, tag) -> steps."""
    runs = plugin_event_multiplexer.EventMultiplexer(size_guidance={"tensors": 0})
    runs.AddRunsFromDirectory(str(folder)).Reload()
    return {
        (run, tag): [event.step for event in runs.Tensors(run, tag)]
        for run, content in runs.Runs().items()
        for tag in content["tensors"]
        if runs.SummaryMetadata(run, tag).plugin_data.plugin_name == "scalars"
    }


def _backend(folder: Path) -> tuple[Any, Any]:
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(folder))
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider))
    return backend, context.RequestContext()


def experiment_of(folder: Path) -> tuple[Any, Any]:
    """What TensorBoard's table of hyperparameters holds, and the provider it came from."""
    backend, request = _backend(folder)
    runs = backend.hparams_metadata(request, "")
    return backend.experiment_from_metadata(request, "", True, runs, []), runs


def table_of(folder: Path) -> list[dict[str, float]]:
    """The metrics in each row of the table of hyperparameters."""
    backend, request = _backend(folder)
    experiment, _ = experiment_of(folder)
    asked = api_pb2.ListSessionGroupsRequest(
        start_index=0,
        slice_size=1_000,
        allowed_statuses=[api_pb2.STATUS_SUCCESS],
        col_params=[api_pb2.ColParams(metric=info.name) for info in experiment.metric_infos],
    )
    handler = list_session_groups.Handler(request, backend, "", asked)
    return [
        {
            f"{value.name.group}/{value.name.tag}".lstrip("/"): value.value
            for value in g.metric_values
        }
        for g in handler.run().session_groups
    ]
