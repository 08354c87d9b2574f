"""`toolbench hub`, `toolbench teacher`: the embedded services, also for use from elsewhere."""

import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Annotated

import typer

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0: any free one.")]
UntilEof = Annotated[bool, typer.Option("--until-eof", help="Stop when standard input ends, and print JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command()(hub)
    app.command()(teacher)


def hub(host: Host = "127.0.0.1", port: Port = 8701, until_eof: UntilEof = False) -> None:
    """Serve the demo hub: real REST APIs that work offline, with an OpenAPI document a tool.

    Example: toolbench hub --port 8701, then open http://127.0.0.1:8701/index.json
    """
    from toolbench.demo import serve

    serve(host, port, ready=announce("hub", host, until_eof, "/index.json"))


def teacher(
    host: Host = "127.0.0.1",
    port: Port = 8702,
    until_eof: UntilEof = False,
    api_key: Annotated[
        str | None, typer.Option(envvar="TOOLBENCH_OFFLINE_KEY", help="Ask clients for this key.")
    ] = None,
    latency_ms: Annotated[float, typer.Option(min=0, help="Milliseconds before each answer.")] = 0,
    jitter_ms: Annotated[float, typer.Option(min=0, help="At most so many milliseconds more, by request.")] = 0,
    rpm: Annotated[int | None, typer.Option(min=1, help="Requests a minute, then 429.")] = None,
    error_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of answers that are a 500.")] = 0,
    malformed_rate: Annotated[float, typer.Option(min=0, max=1, help="Share with broken JSON.")] = 0,
    hallucination_rate: Annotated[float, typer.Option(min=0, max=1, help="Share with invented names.")] = 0,
    refusal_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of refusals.")] = 0,
    leak_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of instructions that name an API.")] = 0,
    batch_ms: Annotated[float, typer.Option(min=0, help="Milliseconds that a batch takes.")] = 0,
    batch_reject_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of batches not accepted.")] = 0,
    batch_expire_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of batched requests too late.")] = 0,
    batch_drop_rate: Annotated[float, typer.Option(min=0, max=1, help="Share of batched requests with a 500.")] = 0,
) -> None:
    """Serve the offline teacher: an OpenAI-compatible endpoint that works by rules.

    Example: toolbench teacher --port 8702 --error-rate 0.1, then OPENAI_BASE_URL=http://127.0.0.1:8702/v1
    """
    from toolbench.teacher.offline import Faults, serve

    faults = Faults(
        latency_ms=latency_ms,
        jitter_ms=jitter_ms,
        rpm=rpm,
        error_rate=error_rate,
        malformed_rate=malformed_rate,
        hallucination_rate=hallucination_rate,
        refusal_rate=refusal_rate,
        leak_rate=leak_rate,
        batch_ms=batch_ms,
        batch_reject_rate=batch_reject_rate,
        batch_expire_rate=batch_expire_rate,
        batch_drop_rate=batch_drop_rate,
    )
    serve(host, port, faults, api_key=api_key, ready=announce("teacher", host, until_eof, "/v1"))


def announce(name: str, host: str, until_eof: bool, path: str) -> Callable[[int], None]:
    """What says on standard output that a server listens, and has it end with standard input if `until_eof`."""

    def ready(port: int) -> None:
        if until_eof:
            threading.Thread(target=_stop_at_eof, daemon=True).start()
            typer.echo(json.dumps({"port": port}))
        else:
            place = f"[{host}]" if ":" in host else host
            typer.echo(f"{name}: http://{place}:{port}{path} (Ctrl-C stops it)")
        sys.stdout.flush()

    return ready


def _stop_at_eof() -> None:
    """Our parent is gone, or wants us gone: the operating system closes its end of the pipe in both cases."""
    sys.stdin.buffer.read()
    os._exit(0)
