"""Making environments of recipes: registered ids, their arguments, wrappers that are trusted."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import gymnasium

from rl_lab.environments.recipe import EnvironmentRecipe
from rl_lab.errors import BadInput, closest

# Packages whose wrappers a recipe may name without the user saying that they are trusted.
_TRUSTED_WRAPPERS = ("gymnasium.wrappers.", "rl_lab.")
_WRITING_WRAPPERS = ("RecordVideo",)
_EXTRAS = {"Box2D": "box2d", "box2d": "box2d", "mujoco": "mujoco", "ale_py": "atari"}


def register(packages: Iterable[str]) -> None:
    """Import the user's packages, so that their environments are registered.

    Raises:
        BadInput: A package cannot be imported.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise BadInput(
                f"package {package!r} cannot be imported: {error}",
                "an installed package that registers environments",
                "Install it where rl-lab is installed, or take it out of the imports.",
            ) from error


def require_known(environment: str) -> None:
    """Refuse an id that is not registered.

    Raises:
        BadInput: The id is unknown, or would import a module.
    """
    if environment in gymnasium.registry:
        return
    if ":" in environment:
        raise BadInput(
            f"environment id {environment!r} names a module to import",
            "a registered Gymnasium id",
            f"Give env.imports=[{environment.split(':')[0]}] and the id without it.",
        )
    raise BadInput(
        f"unknown environment {environment!r}",
        "a registered Gymnasium id",
        closest(environment, gymnasium.registry)
        or "If a package of yours registers it, name that: imports=[PACKAGE].",
    )


def make(
    recipe: EnvironmentRecipe,
    render_mode: str | None = None,
    imports: Iterable[str] = (),
    put_in: Callable[[gymnasium.Env[Any, Any]], gymnasium.Env[Any, Any]] | None = None,
) -> gymnasium.Env[Any, Any]:
    """Make one environment.

    Args:
        recipe: What to make.
        render_mode: As for `gymnasium.make`.
        imports: Packages the user trusts; wrappers in them may be named by the recipe.
        put_in: Changes the world below the recipe's wrappers, which are the agent's own.

    Raises:
        BadInput: The id is unknown, an argument is refused, or a package is missing.
    """
    register(imports)
    require_known(recipe.id)
    options: dict[str, Any] = dict(recipe.kwargs)
    if recipe.max_episode_steps is not None:
        options["max_episode_steps"] = recipe.max_episode_steps
    try:
        with warnings.catch_warnings():
            # Gymnasium announces newer versions of an id; the recipe says which one is meant.
            warnings.simplefilter("ignore")
            env = gymnasium.make(
                recipe.id, render_mode=render_mode, disable_env_checker=True, **options
            )
    except Exception as error:
        raise _cannot_make(recipe, error) from error
    if put_in is not None:
        try:
            env = put_in(env)
        except BaseException:
            env.close()
            raise
    for wrapper in recipe.wrappers:
        env = _wrap(env, wrapper, tuple(imports))
    return env


def _cannot_make(recipe: EnvironmentRecipe, error: Exception) -> BadInput:
    missing = isinstance(error, ImportError | gymnasium.error.DependencyNotInstalled)
    extra = next((e for word, e in _EXTRAS.items() if missing and word in _chain(error)), None)
    if extra:
        return BadInput(
            f"environment {recipe.id} needs a package that is not installed",
            f"the extra {extra!r}",
            f'Install it: pip install "rl-lab[{extra}]"',
        )
    text = " ".join(str(error).split())[:300]
    return BadInput(
        f"environment {recipe.id} cannot be made: {type(error).__name__}: {text}",
        "arguments that its constructor takes",
        "Look at env.kwargs and env.max_episode_steps.",
    )


def _chain(error: BaseException) -> str:
    return f"{error} {_chain(error.__cause__) if error.__cause__ else ''}"


def _wrap(
    env: gymnasium.Env[Any, Any], wrapper: Mapping[str, Any], imports: tuple[str, ...]
) -> gymnasium.Env[Any, Any]:
    name = str(wrapper.get("name", ""))
    trusted = (*_TRUSTED_WRAPPERS, *(f"{package}." for package in imports))
    if not name.startswith(trusted):
        raise BadInput(
            f"wrapper {name!r}",
            f"a dotted path that starts with {' or '.join(trusted)}",
            "To use a wrapper of your own, name its package in env.imports=[PACKAGE].",
        )
    return applied(env, wrapper)


def applied(env: gymnasium.Env[Any, Any], wrapper: Mapping[str, Any]) -> gymnasium.Env[Any, Any]:
    """An environment in a wrapper that the user has named, wherever that comes from.

    Raises:
        BadInput: It cannot be imported, is none, or refuses its arguments.
    """
    name = str(wrapper.get("name", ""))
    module, _, attribute = name.rpartition(".")
    try:
        kind = getattr(importlib.import_module(module), attribute)
        if not (isinstance(kind, type) and issubclass(kind, gymnasium.Wrapper)):
            raise TypeError("no gymnasium.Wrapper")
        if attribute in _WRITING_WRAPPERS:
            raise TypeError("it writes files, and a policy's card must not choose where")
        wrapped: gymnasium.Env[Any, Any] = kind(env, **wrapper.get("kwargs", {}))
    except Exception as error:
        raise BadInput(
            f"wrapper {name} cannot be applied: {type(error).__name__}: {error}",
            "a gymnasium.Wrapper and arguments that it takes",
            "Look at env.wrappers.",
        ) from error
    return wrapped
