"""What `pip install` brings along: the flows are deployed from where they are installed, so all they need is there."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).parents[2]


def test_a_wheel_holds_all_that_is_deployed_from_it(tmp_path: Path) -> None:
    for name in ("toolbench", "tasks", "flows", "deployments"):
        shutil.copytree(REPOSITORY / name, tmp_path / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, tmp_path / "source")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "-w", str(tmp_path), str(tmp_path / "source")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        names = set(packed.namelist())
        deployed = yaml.safe_load(packed.read("deployments/prefect.yaml"))["deployments"]
    assert {d["entrypoint"].partition(":")[0] for d in deployed} <= names
    wanted = (p for p in (REPOSITORY / "toolbench").rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    assert {p.relative_to(REPOSITORY).as_posix() for p in wanted} <= names
