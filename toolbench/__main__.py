"""`python -m toolbench` is the same as `toolbench`."""

from toolbench.cli import main

main()
