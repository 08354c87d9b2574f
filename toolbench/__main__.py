"""The command: `toolbench`, or `python -m toolbench`."""

import sys


def main() -> None:
    """Run the command line. Reading its code takes a moment, in which Ctrl-C ends it as at any other."""
    try:
        from toolbench.cli import main as run

        run()
    except KeyboardInterrupt:
        print("\ntoolbench: stopped.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
