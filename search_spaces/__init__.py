"""Declared search spaces, and the loader that turns them into Optuna distributions."""

from search_spaces.errors import SpaceError
from search_spaces.loading import load_space, packaged_spaces
from search_spaces.space import Fixed, Parameter, Space, Value

__all__ = ["Fixed", "Parameter", "Space", "SpaceError", "Value", "load_space", "packaged_spaces"]
