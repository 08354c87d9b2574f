"""`toolbench student serve`: a student as an endpoint."""

import shlex
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from toolbench.cli.options import Lake as LakeOption
from toolbench.cli.options import settings
from toolbench.cli.serve import Host, Port, UntilEof, announce
from toolbench.errors import LakeError, ToolbenchError, UsageError
from toolbench.lake import Lake


def serve(
    folder: Annotated[
        Path | None, typer.Argument(help="An adapter, a merged model or a base. Without: the lake's promoted student.")
    ] = None,
    base: Annotated[str | None, typer.Option(help="Where the adapter's base is, if it was moved.")] = None,
    lake: LakeOption = None,
    name: Annotated[str, typer.Option(help="The model's name at the endpoint.")] = "student",
    host: Host = "127.0.0.1",
    port: Port = 8703,
    api_key: Annotated[
        str | None, typer.Option(envvar="TOOLBENCH_STUDENT_KEY", help="Ask clients for this key.")
    ] = None,
    calls: Annotated[
        Literal["hermes", "llama3_json", "mistral", "react"] | None,
        typer.Option(help="How the model writes calls. Without: what its chat template shows."),
    ] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a reply where a request does not say.")] = 1024,
    engine: Annotated[
        Literal["transformers", "vllm"], typer.Option(help="transformers: small, here; vllm: fast, on a GPU.")
    ] = "transformers",
    vllm_env: Annotated[
        Path | None, typer.Option(help="The virtual environment that has vLLM. Without: only say how to start it.")
    ] = None,
    config: Annotated[Path, typer.Option(help="Where vLLM's configuration is written.")] = Path("vllm.yaml"),
    until_eof: UntilEof = False,
) -> None:
    """Serve a student as an OpenAI-compatible endpoint with tool calls, as any teacher.

    Example: toolbench student serve adapter, then OPENAI_BASE_URL=http://127.0.0.1:8703/v1 and --model student
    """
    from toolbench.student.serving import check_address

    check_address(host, api_key)
    if engine == "vllm":
        _vllm(folder, base, name, host, port, api_key, calls, vllm_env, config)
        return
    from toolbench.student.reply import Student
    from toolbench.student.serving import serve as run

    with ExitStack() as stack:
        place = str(folder) if folder else stack.enter_context(tempfile.TemporaryDirectory())
        if not folder:
            _fetch(lake, Path(place))
        student = Student.load(place, base, calls)
        ready = announce("student", host, until_eof, "/v1")
        run(student, host, port, name=name, api_key=api_key, most=max_tokens, ready=ready)


def _vllm(
    folder: Path | None,
    base: str | None,
    name: str,
    host: str,
    port: int,
    api_key: str | None,
    calls: Literal["hermes", "llama3_json", "mistral", "react"] | None,
    environment: Path | None,
    config: Path,
) -> None:
    from toolbench.student.vllm import VERSION, plan, start

    if folder is None:
        raise UsageError("vLLM serves from a folder: name the one that `toolbench student train --out` made.")
    made = plan(str(folder), base=base, how=calls, name=name, host=host, port=port)
    try:
        config.write_text(made.text(), encoding="utf-8")
    except OSError as error:
        raise ToolbenchError(f"vLLM's configuration cannot be written to {config} ({error.strerror}).") from error
    typer.echo(made.text(), nl=False)
    typer.echo(f"# vLLM {VERSION}, configuration in {config}")
    typer.echo(shlex.join(made.command(str(environment or "vllm-env"), config)))
    if environment is not None and (code := start(made, str(environment), config, api_key)):
        raise ToolbenchError(f"vLLM ended with exit code {code}: its own messages are above.")


def _fetch(lake: str | None, folder: Path) -> None:
    """The student that the lake publishes, below `folder`."""
    from toolbench.student import MODEL

    opened = Lake(settings(lake=lake).lake)
    models = opened.snapshot().models if opened.numbers() else {}
    if MODEL not in models:
        raise LakeError(
            f"{opened.uri} has no student: train and promote one (`toolbench student promote`), or name a folder."
        )
    opened.get_model(models[MODEL], folder)
