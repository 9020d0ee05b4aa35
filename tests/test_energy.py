"""Counters of energy, against a powercap folder and a driver library made for the test."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rl_lab.energy import Counter, Counters, Meter, Meters, nvml, rapl
from rl_lab.training.costs import Clock


def make_zone(root: Path, folder: str, name: str, energy_uj: object = 100) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    for file, text in (("name", name), ("energy_uj", energy_uj), ("max_energy_range_uj", 1_000)):
        (path / file).write_text(f"{text}\n")
    return path


def test_only_packages_count_and_each_once(tmp_path: Path) -> None:
    make_zone(tmp_path, "intel-rapl:0", "package-0", 1)
    make_zone(tmp_path, "intel-rapl:1", "package-1", 2)
    make_zone(tmp_path, "intel-rapl:0:0", "core", 3)
    make_zone(tmp_path, "intel-rapl:2", "psys", 4)
    make_zone(tmp_path, "intel-rapl-mmio:0", "package-0", 5)
    found = rapl.counters(tmp_path)
    assert [counter.read_uj() for counter in found.found] == [1, 2]
    assert found.reason == ""


def test_an_unreadable_package_is_a_reason(tmp_path: Path) -> None:
    assert rapl.counters(tmp_path).reason == "no RAPL package under powercap"
    make_zone(tmp_path, "intel-rapl:0", "package-0", energy_uj="?")
    found = rapl.counters(tmp_path)
    assert found.found == ()
    assert found.reason.startswith("RAPL cannot be read")


def test_a_counter_that_starts_again_loses_nothing(tmp_path: Path) -> None:
    zone = make_zone(tmp_path, "intel-rapl:0", "package-0", energy_uj=900)
    meter = Meter(rapl.counters(tmp_path))
    for energy_uj, spent_uj in ((950, 50), (150, 250), (950, 1050), (149, 1249)):
        (zone / "energy_uj").write_text(str(energy_uj))
        assert meter.read() == pytest.approx(spent_uj / 1e6)


def counting(*readings_uj: int) -> Counters:
    readings: Iterator[int] = iter(readings_uj)
    return Counters("NVML GPU", (Counter(lambda: next(readings), None),), "")


def test_a_counter_that_was_set_back_leaves_the_sum_unknown() -> None:
    meter = Meter(counting(5, 10, 3, 20))
    assert meter.read() == 5e-6
    assert meter.read() is None
    assert meter.read() is None
    assert "set back" in meter.reason


def test_a_counter_that_is_gone_leaves_the_sum_unknown(tmp_path: Path) -> None:
    zone = make_zone(tmp_path, "intel-rapl:0", "package-0")
    meter = Meter(rapl.counters(tmp_path))
    (zone / "energy_uj").unlink()
    assert meter.read() is None
    assert meter.reason.startswith("RAPL package could not be read to the end")


def test_parts_of_a_training_add_up() -> None:
    none = Meter(Counters("RAPL package", (), "no package"))
    first = Clock(Meters(none, Meter(counting(0, 2_000_000))))
    kept = first.state()
    second = Clock(Meters(none, Meter(counting(9_000_000, 10_500_000))))
    second.restore(kept)
    assert second.energy() == {
        "source": "NVML GPU",
        "joules": None,
        "joules_reason": "no package",
        "gpu_joules": 3.5,
    }


def test_a_part_that_did_not_count_leaves_the_whole_unknown() -> None:
    def clock() -> Clock:
        return Clock(Meters(Meter(Counters("", (), "no package")), Meter(counting(*range(9)))))

    first, second, third = clock(), clock(), clock()
    # A state of the time before energy was counted.
    first.restore({"seconds": 1.0, "cpu_seconds": 1.0})
    second.restore(first.state())
    third.restore(second.state())
    assert third.energy()["gpu_joules"] is None
    assert third.energy()["gpu_joules_reason"] == (
        "not known of an earlier part: its version of rl-lab did not count energy"
    )
    assert third.energy()["joules_reason"] == "no package"
    assert third.energy()["source"] == "unavailable"


class Driver(SimpleNamespace):
    """NVML with GPUs whose counters stand at `energy_mj`; None has no counter."""

    def __init__(self, *energy_mj: int | None, start: int = 0) -> None:
        def count(out: Any) -> int:
            out._obj.value = len(energy_mj)
            return 0

        def handle(index: Any, out: Any) -> int:
            out._obj.value = index.value + 0x1000
            return 0

        def energy(gpu: Any, out: Any) -> int:
            found = energy_mj[gpu.value - 0x1000]
            out._obj.value = found or 0
            return 3 if found is None else 0

        def text(code: Any) -> bytes:
            return {3: b"Not Supported", 9: b"Driver Not Loaded"}[code.value]

        super().__init__(
            nvmlInit_v2=lambda: start,
            nvmlDeviceGetCount_v2=count,
            nvmlDeviceGetHandleByIndex_v2=handle,
            nvmlDeviceGetTotalEnergyConsumption=energy,
            nvmlErrorString=text,
        )


def test_every_gpu_with_a_counter_counts() -> None:
    found = nvml.counters(lambda name: Driver(7, None, 2**40))
    assert [counter.read_uj() for counter in found.found] == [7_000, 2**40 * 1_000]
    assert found.reason == ""


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (Driver(), "NVML shows no GPU"),
        (Driver(None), "NVML cannot be read: Not Supported"),
        (Driver(7, start=9), "NVML cannot be read: Driver Not Loaded"),
        (SimpleNamespace(), "NVML cannot be read: "),
    ],
)
def test_a_gpu_without_a_counter_is_a_reason(driver: Any, reason: str) -> None:
    found = nvml.counters(lambda name: driver)
    assert found.found == ()
    assert found.reason.startswith(reason)


def test_a_machine_without_the_driver_is_a_reason() -> None:
    def load(name: str) -> Any:
        raise OSError(f"{name}: cannot open shared object file")

    assert nvml.counters(load).reason.startswith("no NVIDIA driver")


LIBRARY = """
#include <stdint.h>
static unsigned long long millijoules[2] = {5000000000ULL, 40};
int nvmlInit_v2(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned int *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void **handle) {
    *handle = &millijoules[index]; return 0; }
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *energy) {
    unsigned long long *mine = handle; *energy = *mine; *mine += 1500; return 0; }
const char *nvmlErrorString(int code) { return "wrong"; }
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_the_calls_fit_the_prototypes_of_a_real_library(tmp_path: Path) -> None:
    source, library = tmp_path / "nvml.c", tmp_path / "nvml.so"
    source.write_text(LIBRARY)
    subprocess.run(["cc", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    found = nvml.counters(lambda name: ctypes.CDLL(str(library)))
    # Handles are addresses of 64 bits; finding the counters has read each of them once.
    assert [c.read_uj() for c in found.found] == [5_000_001_500_000, 1_540_000]
    meter = Meter(found)
    assert meter.read() == pytest.approx(3.0)
