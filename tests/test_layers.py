"""Who may import whom, and what may not be imported at all."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "rl_lab"

PURE = {
    "adaptations",
    "arrays",
    "drift_records",
    "energy",
    "errors",
    "files",
    "garbage",
    "paths",
    "provenance",
    "records",
    "runs",
    "scores_file",
    "seeding",
    "statistics",
}
CONTRACT = {"agent", "environments", "shifts", "spaces", "states", "wrappers"}
PARTS = {"checkpoints", "drift", "episodes", "frozen_policy", "tracking"}
VERBS = {"training", "freezing", "evaluation", "replay", "doctor", "listing", "search"}
READING = {"comparison", "reporting"}
LAYERS = [PURE, CONTRACT, PARTS, VERBS]

STANDARD = set(sys.stdlib_module_names)
PLAIN = {"numpy", "scipy", "rich"}
ALLOWED_OUTSIDE = {
    "pure": PLAIN,
    "contract": PLAIN | {"gymnasium"},
    "parts": PLAIN | {"gymnasium", "onnxruntime", "tensorboard", "google"},
    "verbs": PLAIN | {"gymnasium", "PIL", "packaging"},
    "reading": PLAIN | {"jinja2", "markupsafe"},
}
# Torch where weights live; onnx where graphs are checked and their operations counted.
ALSO = {
    "training": {"torch"},
    "search": {"optuna", "sqlalchemy"},
    "freezing": {"torch", "onnx"},
    "evaluation": {"onnx"},
    "frozen_policy": {"onnx"},
    "reporting": {"vl_convert"},
}


def modules() -> dict[str, list[Path]]:
    """Top-level module -> its files."""
    found: dict[str, list[Path]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        found.setdefault(name, []).append(path)
    return found


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def inside(names: set[str]) -> set[str]:
    return {n.split(".")[1] for n in names if n.startswith("rl_lab.")}


def outside(names: set[str]) -> set[str]:
    return {n.split(".")[0] for n in names} - STANDARD - {"rl_lab"}


def layer_of(module: str) -> str:
    for name, members in zip(
        ("pure", "contract", "parts", "verbs", "reading"), [*LAYERS, READING], strict=True
    ):
        if module in members:
            return name
    return ""


def test_every_module_has_a_layer() -> None:
    doors = {"cli", "__main__", "__init__"}
    assert {m for m in modules() if not layer_of(m)} == doors


@pytest.mark.parametrize("module", sorted(PURE | CONTRACT | PARTS | VERBS | READING))
def test_imports_stay_within_the_layers(module: str) -> None:
    layer = layer_of(module)
    known = [PURE, PURE | CONTRACT, PURE | CONTRACT | PARTS, PURE | CONTRACT | PARTS]
    names = ("pure", "contract", "parts", "verbs")
    below = PURE | READING if layer == "reading" else known[names.index(layer)]
    if layer == "reading":
        below = below | {"environments"}
    for path in modules()[module]:
        found = imports(path)
        assert inside(found) <= below | {module, "__version__"}, path
        allowed = ALLOWED_OUTSIDE[layer] | ALSO.get(module, set())
        assert outside(found) <= allowed, path


def test_only_the_door_imports_hydra() -> None:
    for name, paths in modules().items():
        for path in paths:
            if outside(imports(path)) & {"hydra", "omegaconf"}:
                assert path.relative_to(PACKAGE).as_posix() == "cli/config.py", name


def test_the_lab_never_names_its_agents() -> None:
    for path in PACKAGE.rglob("*.py"):
        assert not outside(imports(path)) & {"rl_lab_agents", "stable_baselines3", "sb3_contrib"}


def test_agents_know_only_the_contract() -> None:
    for path in sorted((ROOT / "agents" / "rl_lab_agents").rglob("*.py")):
        assert inside(imports(path)) <= {"agent", "environments", "errors", "seeding", "states"}, (
            path
        )


def test_nothing_at_the_top_is_called_agents() -> None:
    code = "import importlib.util; assert importlib.util.find_spec('agents') is None"
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


FOREIGN = ROOT / "agents" / "rl_lab_agents" / "foreign"


@pytest.mark.parametrize("banned", ["pickle", "cloudpickle", "dill", "marshal", "shelve"])
def test_nothing_unpickles(banned: str) -> None:
    # One file has an unpickler, which builds nothing but numbers and inert placeholders.
    allowed = {FOREIGN / "statistics.py"} if banned == "pickle" else set()
    for root in (PACKAGE, ROOT / "agents"):
        for path in set(root.rglob("*.py")) - allowed:
            assert banned not in {name.split(".")[0] for name in imports(path)}, path


def test_one_file_lets_a_library_unpickle() -> None:
    """`load` of stable-baselines3's algorithms, policies and VecNormalize unpickles."""
    plain = {"np.load", "torch.load", "json.load"}
    for path in (ROOT / "agents").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if name.rpartition(".")[2] in {"load", "load_from_pkl", "load_from_zip_file"}:
                known = name in plain or path in {FOREIGN / "trusted.py", FOREIGN / "statistics.py"}
                assert known, f"{path}:{node.lineno}"


def test_nothing_evaluates_text() -> None:
    calls = {"eval", "exec", "compile", "__import__"}
    for root in (PACKAGE, ROOT / "agents"):
        for path in root.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = node.func.id if isinstance(node.func, ast.Name) else ""
                    attribute = node.func.attr if isinstance(node.func, ast.Attribute) else ""
                    assert name not in calls, f"{path}:{node.lineno}"
                    assert attribute not in {"extractall", "unsafe_load"}, path
                    assert ast.unparse(node.func) != "os.system", path
                    words = {k.arg: k.value for k in node.keywords}
                    for word, bad in (("shell", True), ("weights_only", False)):
                        value = words.get(word)
                        assert not (isinstance(value, ast.Constant) and value.value is bad), path
