"""The house: who may import whom. Imports inside functions count as well."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

LAYERS = (
    (
        "errors",
        "digests",
        "prompts",
        "records",
        "schemas",
        "settings",
        "progress",
        "concurrency",
        "documents",
        "dialogue",
        "react_text",
        "tokens",
        "statistics",
        "promotion",
        "bm25",
        "plots",
        "serving",
    ),
    ("lake", "teacher", "demo", "encoder"),
    ("apis", "night"),
    ("world", "services", "holdout", "programs"),
    (
        "catalogue",
        "screening",
        "compression",
        "instructions",
        "solutions",
        "datasets",
        "retriever",
        "tooleval",
        "student",
    ),
    ("agent", "report"),
    ("cli",),
    ("__main__", "reference"),
)
"""From the ground up. A unit imports units of lower layers; units of one layer do not import each other, but the
ground's own few do."""

RANK = {unit: rank for rank, units in enumerate(LAYERS) for unit in units}

UPSTAIRS = {"toolbench": ("prefect", "flows", "tasks", "deployments"), "tasks": ("flows", "deployments"),
            "flows": ("deployments",)}  # fmt: skip

DOOR = ("toolbench/cli/watch.py", "flows")
"""The one way up: `toolbench refresh` starts flows, inside a function, after everything else was checked."""


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and absolute name of everything a file imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, name.name) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute in this house"
            yield from ((node.lineno, f"{node.module}.{name.name}") for name in node.names)


def files(package: str) -> list[tuple[str, Path]]:
    return [(p.relative_to(REPOSITORY).as_posix(), p) for p in sorted((REPOSITORY / package).rglob("*.py"))]


def unit_of(module: str) -> str:
    """`toolbench.lake.journal.Journal` → `lake`; empty for the package itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in RANK else ""


def objections(name: str, found: Iterator[tuple[int, str]]) -> Iterator[str]:
    """What is wrong with the imports of one file."""
    package = name.partition("/")[0]
    for line, module in found:
        top = module.partition(".")[0]
        if top in UPSTAIRS[package] and (name, top) != DOOR:
            yield f"{name}:{line} imports {module}: {package}/ must not know {top}"
        if package == "toolbench" and top == "toolbench":
            here, there = unit_of(Path(name).with_suffix("").as_posix().replace("/", ".")), unit_of(module)
            if not here or not there or here == there or RANK[here] == RANK[there] == 0:
                continue
            if RANK[there] >= RANK[here]:
                yield f"{name}:{line} imports {module}: {here} must not know {there}"


@pytest.mark.parametrize("package", sorted(UPSTAIRS))
def test_imports_lead_downstairs_only(package: str) -> None:
    found = [o for name, path in files(package) for o in objections(name, imports(path))]
    assert not found, "\n".join(found)


def test_every_unit_of_toolbench_has_its_layer() -> None:
    units = {name.split("/")[1].removesuffix(".py") for name, _ in files("toolbench")} - {"__init__"}
    assert units <= set(RANK), f"say in LAYERS where {sorted(units - set(RANK))} belong"


def test_the_package_itself_imports_nothing_of_the_house() -> None:
    path = REPOSITORY / "toolbench" / "__init__.py"
    assert not [module for _, module in imports(path) if module.startswith("toolbench")]


@pytest.mark.parametrize(
    ("name", "source", "wrong"),
    [
        ("toolbench/lake/x.py", "from toolbench.world import World", "lake must not know world"),
        (
            "toolbench/solutions/x.py",
            "def f():\n    import toolbench.apis\n    from toolbench import datasets",
            "x.py:3",
        ),
        ("toolbench/records.py", "from toolbench.lake import Lake", "records must not know lake"),
        ("toolbench/x.py", "import prefect.flows", "must not know prefect"),
        ("toolbench/cli/run.py", "from flows.nightly import f", "must not know flows"),
        ("toolbench/cli/watch.py", "import prefect", "must not know prefect"),
        ("tasks/x.py", "from flows import stage", "must not know flows"),
        ("toolbench/report/x.py", "from toolbench.cli import app", "report must not know cli"),
        ("toolbench/solutions/x.py", "from toolbench.agent import ask", "solutions must not know agent"),
        ("toolbench/catalogue/x.py", "from toolbench.lake import Lake\nfrom toolbench.errors import X", ""),
        ("toolbench/cli/watch.py", "from flows.annotate import f", ""),
    ],
)
def test_the_rule_can_object(name: str, source: str, wrong: str, tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text(source)
    found = "\n".join(objections(name, imports(path)))
    assert wrong in found if wrong else not found
