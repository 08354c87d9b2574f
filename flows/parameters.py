"""What a flow can be told: the form in the Prefect UI. Secrets are no parameters; they come from the environment."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from prefect.runtime import flow_run
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from toolbench.demo import HOST
from toolbench.errors import UsageError
from toolbench.settings import Settings, load


class Options(BaseModel):
    """Parameters of a flow. What is left empty comes from the worker's `toolbench.toml` and environment."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    lake: str = Field("", description="Where the tables are: a local path or s3://bucket/prefix.")
    catalogue: str = Field(
        "",
        description="Where the APIs are, as a worker sees it: a toolenv folder or tarball, OpenAPI documents, also on "
        f"s3://, or an index URL; http://{HOST}/index.json is the demo hub.",
    )
    responses: str = Field("", description="Recorded responses: a folder or a tarball.")
    categories: list[str] = Field([], description="Only these categories.")
    groups: list[Literal["I1", "I2", "I3"]] = Field(
        [], description="Kinds of instructions: I1 single-tool, I2 within a category, I3 within a collection."
    )
    instructions: int | None = Field(None, ge=1, description="Instructions aimed at.")
    model: str = Field("", description="The teacher's model.")
    base_url: str = Field("", description="The teacher's endpoint, ending in /v1.")
    seed: int | None = Field(None, description="Decides every draw.")
    max_cost: float | None = Field(None, ge=0, description="US dollars the run may cost, all its parts together.")
    max_calls: int | None = Field(None, ge=0, description="Replies of teacher and judge the run may ask for.")
    max_hours: float | None = Field(
        None,
        ge=0,
        description="Hours after which it ends well: what was done is published, the rest is left for the next run.",
    )
    more: dict[str, Any] = Field(
        default_factory=dict, description='Any other setting by its dotted name, for example {"search.width": 3}.'
    )

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, given: Any) -> Any:
        """Null and empty mean the same: a form has no null for a line of text."""
        return {k: v for k, v in given.items() if v is not None} if isinstance(given, dict) else given

    @field_validator("more")
    @classmethod
    def _without_secrets(cls, more: dict[str, Any]) -> dict[str, Any]:
        """Prefect keeps and shows the parameters of every run."""
        for name in more:
            if name in ("teacher", "apis", "judge") or name.startswith(
                ("teacher.api_key", "judge.api_key", "apis.secrets", "apis.server_key")
            ):
                raise ValueError(f"{name} is or may hold a secret, which is no parameter: set it in the environment")
        return more

    @field_validator("base_url", "catalogue", "responses", "lake", "more")
    @classmethod
    def _without_passwords(cls, given: Any) -> Any:
        for value in given.values() if isinstance(given, dict) else [given]:
            _check_address(value)
        return given

    def settings(self) -> Settings:
        """The effective settings of this run. Raises UsageError for what is wrong."""
        names = {
            "lake": "lake",
            "catalogue": "catalogue.source",
            "responses": "catalogue.responses",
            "categories": "catalogue.categories",
            "groups": "instructions.groups",
            "instructions": "instructions.total",
            "model": "teacher.model",
            "base_url": "teacher.base_url",
            "seed": "seed",
            **{name: f"budget.{name}" for name in ("max_cost", "max_calls", "max_hours")},
        }
        given = {field: getattr(self, name) for name, field in names.items()}
        return load({**self.more, **{k: v for k, v in given.items() if v not in (None, [], "")}}).settings

    def of_manifest(self, manifest: str) -> tuple["Options", int | None]:
        """These options for the lake that a manifest lies in, and the number of its snapshot; as they are and None
        without one. Raises UsageError for what is no manifest's address."""
        if not manifest:
            return self, None
        lake, _, name = manifest.rpartition("/manifests/")
        if not lake or not re.fullmatch(r"\d{12}\.json", name):
            raise UsageError(
                f"{manifest!r} is no manifest's address: it ends in /manifests/ and twelve digits, as the event "
                "toolbench.dataset.published names it."
            )
        return self.model_copy(update={"lake": lake}), int(name.removesuffix(".json"))

    def resolved(self, settings: Settings) -> "Options":
        """These options for a part of this run: the services that were started for it are named in them."""
        own = self.settings()
        # An address that the worker's own settings name is not written down: it may hold a password.
        started = {} if own.catalogue.source else {"catalogue.source": settings.catalogue.source}
        more: dict[str, Any] = {
            **started,
            "apis.hosts": {host: rule.model_dump(mode="json") for host, rule in settings.apis.hosts.items()},
            "teacher.base_url": settings.teacher.base_url,
            "teacher.account": settings.teacher.account,
            "judge.base_url": settings.judge.base_url,
        }
        if (own.teacher.base_url, own.judge.base_url, own.apis.hosts) != (
            settings.teacher.base_url,
            settings.judge.base_url,
            settings.apis.hosts,
        ):
            more["work.dispatch"] = ""  # what was started on this machine's loopback is nothing to another's workers
        return self.model_copy(update={"more": {**self.more, **more}})


def _check_address(value: Any) -> Any:
    """Raises ValueError for a URL that holds a password, or a query, in which keys are handed over."""
    if isinstance(value, str) and "://" in value:
        parts = urlsplit(value)
        if "@" in parts.netloc or (parts.query and parts.scheme in ("http", "https")):
            raise ValueError("an address with a password or a query is no parameter: set it in the environment")
    return value


Source = Annotated[str, Field(min_length=1), AfterValidator(_check_address)]
"""Where APIs are."""
Manifest = Annotated[str, Field(pattern=r"^$|/manifests/\d{12}\.json$")]
"""The address of a snapshot's manifest, or nothing."""


def run_name() -> str:
    """What Prefect calls a run: the flow and what it is about, as in `nightly-refresh toolenv.tar.gz Weather,Music`."""
    given = flow_run.parameters
    options: Options = given["options"]
    source = given.get("source") or options.catalogue or options.more.get("catalogue.source") or _configured() or HOST
    source = "demo hub" if HOST in source else Path(urlsplit(source).path if "://" in source else source).name
    about = [given.get("category") or ",".join(options.categories or []), Path(given.get("path") or "").name]
    about += [f"snapshot {number}"] if (number := options.of_manifest(given.get("manifest") or "")[1]) else []
    return " ".join(part for part in (flow_run.flow_name, source, *about) if part)


def _configured() -> str:
    """The source that the worker's own settings name; a name is no place to complain about them."""
    try:
        return load().settings.catalogue.source
    except UsageError:
        return ""


def lake_run_name() -> str:
    """The same for a flow that looks at nothing but a lake, as in `publish-report s3://bucket/factory snapshot 12`."""
    given = flow_run.parameters
    options, number = given["options"].of_manifest(given.get("manifest") or "")
    return " ".join(
        part for part in (flow_run.flow_name, options.lake or "", f"snapshot {number}" * bool(number)) if part
    )
