"""`toolbench annotate --replay`: every solution made again from its journal, and compared."""

import typer

from toolbench.cli.lake import published
from toolbench.lake import Lake


def replay(uri: str) -> None:
    """Say of each shard of the lake at `uri` how it came out. Exit code 1 if one differs or its journal has gaps."""
    from toolbench.solutions import replay as again

    lake = Lake(uri)
    snapshot = published(lake, None)

    def told(shard: again.Replayed) -> None:
        typer.echo(f"{shard.spec}  {shard.solutions:5,}  {'different' if shard.problem else 'equal':9s}  {shard.label}")
        if shard.problem:
            typer.echo(f"  {shard.problem}")

    report = again.replay(lake, told)
    if report.imported:
        typer.echo(f"{report.imported:,} shards of imported answers have no journal and were left out")
    different = sum(bool(shard.problem) for shard in report.shards)
    typer.echo(
        f"snapshot {snapshot.number}: {len(report.shards):,} shards, {report.total('solutions'):,} solutions, "
        f"{report.total('replies'):,} replies and {report.total('responses'):,} responses replayed, "
        f"{report.total('asked'):,} asked, {len(report.shards) - different:,} equal, {different:,} different"
    )
    if not report.equal:
        raise typer.Exit(1)
