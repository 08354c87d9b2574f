"""toolbench: a data factory for language models that use tools (ToolLLM, Qin et al. 2023)."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("toolbench")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0.0.0"
