"""`toolbench doctor`: what would be called, what is missing, told without calling anything."""

import asyncio
import os
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table

from toolbench.cli.options import Lake as LakeOption
from toolbench.cli.options import settings
from toolbench.errors import ToolbenchError
from toolbench.settings import HostSettings, Settings

if TYPE_CHECKING:
    from toolbench.apis.allowance import HostAllowance

_SHOWN = 30
_OPENAI = "https://api.openai.com"
_EXTRAS = ("demo", "train")
_REQUIREMENT = re.compile(r"""([A-Za-z0-9_.-]+).*;.*\bextra\s*==\s*['"](\w+)['"]""")


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    fine: bool
    text: str


def register(app: typer.Typer) -> None:
    """Add the command to `app`."""
    app.command()(doctor)


def doctor(
    urls: Annotated[list[str] | None, typer.Argument(help="URLs to explain; without any, the lake's APIs.")] = None,
    lake: LakeOption = None,
    online: Annotated[bool, typer.Option("--online", help="Ask the teacher's endpoint whether it is there.")] = False,
    method: Annotated[str, typer.Option(help="The HTTP method the URLs are explained for.")] = "GET",
) -> None:
    """Explain which APIs may be called and why others may not, and check the whole set-up. No API is called.

    Example: toolbench doctor https://api.example.com/v1/find
    """
    effective = with_hub(settings(lake=lake))
    console = Console(markup=False, highlight=False)
    fine = explain(console, urls, method, effective) if urls else examine(console, effective, online)
    raise typer.Exit(0 if fine else 1)


def with_hub(effective: Settings) -> Settings:
    """The settings as a run has them: without a source it starts the demo hub, and may call it."""
    from toolbench.demo import HOST

    if effective.catalogue.source or HOST in effective.apis.hosts:
        return effective
    hub = HostSettings(connect="http://127.0.0.1", methods=("POST",))
    return effective.with_(apis={"hosts": {**effective.apis.hosts, HOST: hub}})


def explain(console: Console, urls: list[str], method: str, effective: Settings) -> bool:
    """Print for each URL whether it may be called, and the addresses it leads to; True if all may."""
    from toolbench.apis.allowance import by_url

    async def all_of_them() -> bool:
        fine = True
        for url in urls:
            found = await by_url(url, method, effective.apis)
            fine = fine and found.allowed
            shown = ascii(url)[1:-1]
            console.print(
                f"{shown}: allowed" if found.allowed else f"{shown}: refused. {found.reason}.", soft_wrap=True
            )
            for address, kind in found.addresses:
                console.print(f"  {address} {f'is not public: {kind}' if kind else 'is public'}")
        return fine

    return asyncio.run(all_of_them())


def examine(console: Console, effective: Settings, online: bool) -> bool:
    """Print the hosts of the lake's APIs and the checks of the set-up; True if all is well."""
    found = [
        _teacher(effective, online),
        _lake(effective),
        *_extras(effective),
        *_chain(effective),
        *_apis(console, effective),
    ]
    table = Table(box=None, pad_edge=False)
    for name in ("check", "", "found"):
        table.add_column(name, overflow="fold")
    for finding in found:
        table.add_row(finding.name, "ok" if finding.fine else "NO", finding.text)
    console.print(table)
    return all(finding.fine for finding in found)


def _apis(console: Console, effective: Settings) -> Iterator[Finding]:
    from toolbench.apis import sources
    from toolbench.apis.allowance import by_host
    from toolbench.lake import Lake
    from toolbench.records import Api

    try:
        opened = Lake(effective.lake)
        snapshot = opened.snapshot()
        hosts = by_host(opened.rows(snapshot, Api), effective.apis)
    except ToolbenchError as error:
        yield Finding("APIs", False, str(error))
        return
    if not hosts:
        yield Finding("APIs", True, f"no table of APIs in {opened.uri} yet: `toolbench import` makes one")
        return
    console.print(_hosts_table(hosts))
    if len(hosts) > _SHOWN:
        console.print(f"and {len(hosts) - _SHOWN:,} more hosts")
    console.print()
    total = sum(host.apis for host in hosts)
    refused = sum((host.refused for host in hosts), Counter[str]())
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in refused.most_common())
    text = f"{total - refused.total():,} of {total:,} may be called live" + (f"; not: {reasons}" if reasons else "")
    live = "live" in sources(effective)
    yield Finding("APIs", not (refused and live), text if live else f"{text}; the chain has no `live`")


def _hosts_table(hosts: "list[HostAllowance]") -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("host", no_wrap=True, overflow="ellipsis", max_width=28)
    table.add_column("APIs", justify="right", no_wrap=True)
    for name in ("live", "methods", "credentials"):
        table.add_column(name, overflow="fold")
    for host in hosts[:_SHOWN]:
        missing = sorted(host.credentials - host.given)
        table.add_row(
            host.host,
            f"{host.apis:,}",
            ", ".join(f"{reason} ({count:,})" for reason, count in host.refused.most_common()) or "yes",
            " ".join(sorted(host.needed)) + (f", allowed {' '.join(host.methods)}" if host.methods else ""),
            ", ".join([*(f"{name} set" for name in sorted(host.given)), *(f"{name} missing" for name in missing)]),
        )
    return table


def _teacher(effective: Settings, online: bool) -> Finding:
    from toolbench.teacher import Teacher

    teacher = effective.teacher
    if teacher.offline:
        return Finding("teacher", True, "offline, on a loopback port; every run starts its own")

    async def check() -> str:
        async with Teacher(teacher) as asked:
            if online:
                await asked.check()
            return asked.url

    key = "a key is set" if teacher.api_key.get_secret_value() else "no key is set"
    try:
        url = asyncio.run(check())
    except ToolbenchError as error:
        return Finding("teacher", False, str(error))
    missing = url.startswith(_OPENAI) and not teacher.api_key.get_secret_value()
    hint = "; set OPENAI_API_KEY" if missing else "; it answers" if online else "; --online asks it"
    return Finding("teacher", not missing, f"{teacher.model} at {url}, {key}{hint}")


def _lake(effective: Settings) -> Finding:
    from toolbench.lake import Lake

    try:
        lake = Lake(effective.lake)
        if lake.store.protocol == "file":
            return _folder(Path(lake.store.path("")))
        key = f"drafts/doctor-{uuid4().hex}"
        lake.store.write(key, b"")
        lake.store.delete([key])
    except ToolbenchError as error:
        return Finding("lake", False, str(error))
    return Finding("lake", True, f"{lake.uri} can be written to")


def _folder(path: Path) -> Finding:
    """A local lake, without making its folder."""
    there = next(p for p in (path, *path.parents) if p.exists())
    if not there.is_dir():
        return Finding("lake", False, f"{there} is a file where a folder is needed: choose another --lake")
    if not os.access(there, os.W_OK | os.X_OK):
        return Finding("lake", False, f"{there} cannot be written to: choose another --lake")
    return Finding("lake", True, f"{path} {'can be written to' if there == path else 'is not there yet, can be made'}")


def _extras(effective: Settings) -> Iterator[Finding]:
    """Which extras are installed. Only `demo` can be missed: the hub and the offline teacher are in it."""
    needed = {"demo": effective.teacher.offline or not effective.catalogue.source}
    wanted: dict[str, list[str]] = {extra: [] for extra in _EXTRAS}
    with suppress(PackageNotFoundError):
        for requirement in requires("toolbench") or []:
            found = _REQUIREMENT.match(requirement)
            if found and found[2] in wanted:
                wanted[found[2]].append(found[1])
    for extra, names in wanted.items():
        missing = [name for name in names if not _installed(name)]
        text = f"missing: {', '.join(missing)}; pip install 'toolbench[{extra}]'" if missing else "installed"
        yield Finding(f"extra {extra}", not (missing and needed.get(extra)), text)


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _chain(effective: Settings) -> Iterator[Finding]:
    from toolbench.apis import sources

    yield Finding("chain", True, ", then ".join(sources(effective)))
    responses = effective.catalogue.responses
    if responses and "://" not in responses and not Path(responses).expanduser().exists():
        yield Finding("responses", False, f"{responses} does not exist: set catalogue.responses")
