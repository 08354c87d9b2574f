"""The configuration. Later sources win: defaults, `toolbench.toml`, environment, command line.

Every field can be set by `TOOLBENCH_<SECTION>__<FIELD>` (for example `TOOLBENCH_SEARCH__WIDTH=3`) or under
`[<section>]` in `toolbench.toml`; `OPENAI_BASE_URL` and `OPENAI_API_KEY` mean the teacher's.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from toolbench.errors import UsageError

FILE = "toolbench.toml"
OFFLINE_MODEL = "offline-teacher"
OPENAI = "https://api.openai.com/v1"
MARK = "TOOLBENCH_UP"
"""Marks everything that `toolbench up` started, and what was started by that."""
_NOT_SETTINGS = ("TOOLBENCH_TEST_", "TOOLBENCH_CONFORMANCE", "TOOLBENCH_OFFLINE_KEY", MARK)
"""Variables of the tests, of the offline teacher's own process and the mark: no settings, and no typing mistakes."""


def _without_password(url: str) -> str:
    """Raises ValueError for an address with a password in it."""
    if "@" in urlsplit(url if "://" in url else "").netloc:
        raise ValueError("an address is shown in logs and errors, so it must not hold a user or a password")
    return url


def _endpoint(url: str) -> str:
    """Raises ValueError for what is no address of an endpoint; nothing is none that was left out."""
    if url and not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no address of an endpoint, which starts with https:// or http://")
    return _without_password(url)


Address = Annotated[str, AfterValidator(_without_password)]
"""A URL, or nothing."""
Endpoint = Annotated[str, AfterValidator(_endpoint)]
"""A URL of HTTP, or nothing."""


class Section(BaseModel):
    """Base of the sections: unknown fields are errors, so that a typing mistake is never a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class TeacherSettings(Section):
    """The model that writes instructions, searches solution paths and judges."""

    base_url: Endpoint = ""
    """An OpenAI-compatible endpoint, ending in /v1. Empty: the offline teacher, started on a loopback port; or OpenAI's
    own endpoint if another `model` is named. A key alone never makes a bill."""
    endpoints: dict[str, float] = Field(default_factory=dict)
    """Further endpoints by address, with weights, which serve the same model with the same key: a request goes to one
    by its digest, and to the next one when that fails. `base_url`, where it is given, counts 1."""
    api_key: SecretStr = SecretStr("")
    """The endpoint's key."""
    model: str = OFFLINE_MODEL
    """The model's name at the endpoint."""
    temperature: float = Field(default=1.0, ge=0, le=2)
    """Sampling temperature of instruction generation and search; a judge has its own."""
    max_concurrency: int = Field(default=16, ge=1, le=4096)
    """Requests under way at once at most, per shard. All shards of a process share what the endpoint is found to take:
    429, 503 and timeouts halve it, answers raise it again."""
    rpm: int = Field(default=0, ge=0)
    """Requests a minute, per endpoint and process; 0: only what the endpoint's response headers say."""
    tpm: int = Field(default=0, ge=0)
    """Tokens a minute, in and out, per endpoint and process; 0: only what the endpoint's response headers say."""
    timeout: float = Field(default=120.0, gt=0)
    """Seconds one request may take."""
    max_retries: int = Field(default=6, ge=0, le=20)
    """Tries again after 408, 409, 429, 5xx, a timeout, a lost connection or an answer cut off, with exponential backoff
    and full jitter; Retry-After is honoured."""
    retry_seconds: float = Field(default=600.0, gt=0)
    """Seconds from the first try within which the last one has to start; a longer pause asked for is not waited for."""
    breaker_failures: int = Field(default=20, ge=1)
    """Timeouts, 5xx and lost connections in a row after which an endpoint is left alone for a while."""
    breaker_seconds: float = Field(default=10.0, gt=0)
    """How long it is left alone; then one request is tried, and the others wait for how that ends."""
    gone_seconds: float = Field(default=30.0, gt=0)
    """Seconds without any sign of life after which an endpoint is asked for one, with the smallest request there is; if
    none comes it is taken for gone, and all that needs it ends. Where its slowest answer took more than a third of
    that, three times as long, up to `timeout`."""
    max_output_tokens: int = Field(default=2048, ge=16)
    """Longest reply asked for."""
    prices: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """US dollars per million input and output tokens by model, for example {"gpt-4o-mini": [0.15, 0.6]}; others cost
    nothing."""
    budget_calls: int = Field(default=0, ge=0)
    """Replies that one process may ask for, replayed ones not counted; 0: no limit."""
    budget_tokens: int = Field(default=0, ge=0)
    """Tokens, in and out, that one process may use; 0: no limit."""
    budget_dollars: float = Field(default=0.0, ge=0)
    """US dollars by `prices` that one process may spend; 0: no limit."""
    account: str = ""
    """Where in the lake a run keeps what is left of `budget`; flows set it for their parts, nobody else."""

    batch: bool = False
    """Ask by OpenAI's Batch API where no request waits for another's reply: writing instructions, judging, naming keys
    of responses; searching goes on as ever. Cheaper, and answered within 24 hours. Only at the first endpoint; rpm and
    tpm do not apply. One batch holds what the shards under way ask: more with a larger work.workers."""
    batch_requests: int = Field(default=50_000, ge=1, le=50_000)
    """Requests in one batch at most."""
    batch_bytes: int = Field(default=200_000_000, ge=1024, le=200_000_000)
    """Bytes of one batch's file at most; a larger request is refused."""
    batch_linger: float = Field(default=2.0, ge=0)
    """Seconds without another request after which those that came so far are sent as one batch."""
    batch_poll: float = Field(default=60.0, gt=0)
    """Longest pause, in seconds, between two looks at a batch; the first ones are shorter."""
    batch_discount: float = Field(default=0.5, ge=0, le=1)
    """What a batched request costs less, as a share of `prices`."""

    @field_validator("endpoints")
    @classmethod
    def _sound_endpoints(cls, endpoints: dict[str, float]) -> dict[str, float]:
        for url, weight in endpoints.items():
            if not url:
                raise ValueError("an endpoint needs an address")
            _endpoint(url)
            if not 0 < weight < float("inf"):
                raise ValueError(f"the weight of {url} has to be above 0; leave it out instead")
        return endpoints

    @model_validator(mode="after")
    def _priced(self) -> "TeacherSettings":
        if self.budget_dollars and self.model not in self.prices:
            raise ValueError(f"budget_dollars needs the price of {self.model} in teacher.prices")
        return self

    @property
    def offline(self) -> bool:
        """True if toolbench has to start the offline teacher itself."""
        return not self.base_url and not self.endpoints and self.model == OFFLINE_MODEL


class CatalogueSettings(Section):
    """Which APIs."""

    source: str = ""
    """A toolenv folder or tarball, OpenAPI or Swagger documents, Postman collections or MCP tool lists (file, folder or
    URL), a live MCP server (`stdio:COMMAND` or its URL), or an index URL. Empty: the demo hub."""
    responses: str = ""
    """Recorded responses: a folder or a tarball in StableToolBench's layout, or a lake, whose `api_calls` are used."""
    categories: tuple[str, ...] = ()
    """Only these categories. Empty: all."""
    tool_holdout: float = Field(default=0.1, ge=0, lt=1)
    """Share of tools held out from training, drawn by the tool's id."""
    category_holdout: float = Field(default=0.1, ge=0, lt=1)
    """Share of categories held out from training, drawn by name."""
    held_out_categories: tuple[str, ...] = ()
    """Categories held out by name."""


class HostSettings(Section):
    """What may be sent to one host."""

    connect: Address = ""
    """Where to connect: empty for the host itself, or a base URL for a name that stands for another server."""
    methods: tuple[str, ...] = ()
    """HTTP methods allowed besides `apis.methods`."""
    private: bool = False
    """The name may lead to a private, loopback or link-local address."""
    http: bool = False
    """It may be called without TLS."""
    concurrency: int | None = Field(default=None, ge=1)
    """Calls under way at once; without it `apis.concurrency_per_host`."""
    rate: float | None = Field(default=None, ge=0)
    """Calls a second; 0: no limit; without it `apis.rate_per_host`."""


class ApiSettings(Section):
    """How API calls are answered."""

    chain: tuple[Literal["live", "recorded", "server", "simulated"], ...] = ()
    """Sources asked in turn until one has an answer. Empty: recorded (where responses are given), then server (where
    `server_url` is given), then live (for hosts that `hosts` names, and the demo hub), then simulated."""
    hosts: dict[str, HostSettings] = Field(default_factory=dict)
    """Hosts that may be called live, by name; `*.example.com` means every host below it. The value is a table of rules,
    or just where to connect: "" for the host itself, or a base URL such as "http://127.0.0.1:8000" for a host name that
    stands for a local server. No other host is ever contacted."""
    methods: tuple[str, ...] = ("GET", "HEAD")
    """HTTP methods that may be called live."""
    timeout: float = Field(default=5.0, gt=0)
    """Seconds one API call may take, tries again and redirects included."""
    max_bytes: int = Field(default=262_144, ge=1024)
    """Largest response read, counted after decompression; what is larger is an error with status 11."""
    retries: int = Field(default=2, ge=0, le=10)
    """Tries again of a GET or HEAD after a lost connection, 502, 503, 504, or a 429 that says when."""
    redirects: int = Field(default=3, ge=0, le=20)
    """Redirects followed, each to an allowed host only."""
    secrets: dict[str, dict[str, SecretStr]] = Field(default_factory=dict)
    """By host, or `*.example.com`: values of credential parameters, filled in at call time and shown to nobody."""
    max_concurrency: int = Field(default=8, ge=1)
    """Live calls under way at once, per shard."""
    concurrency_per_host: int = Field(default=4, ge=1)
    """Live calls to one host under way at once, per process."""
    rate_per_host: float = Field(default=10.0, ge=0)
    """Live calls to one host a second, per process; 0: no limit."""
    breaker_failures: int = Field(default=10, ge=1)
    """Timeouts and lost connections in a row after which an API is left alone for a while; and its host, once so many
    different APIs of it failed in a row."""
    breaker_seconds: float = Field(default=30.0, gt=0)
    """How long they are left alone."""
    server_url: str = ""
    """A tool server that speaks ToolBench's and StableToolBench's POST protocol, for example
    "http://127.0.0.1:8080/virtual"."""
    server_key: SecretStr = SecretStr("")
    """What is sent to it as `toolbench_key`."""
    simulator: Literal["rules", "teacher"] = "rules"
    """Who makes up simulated responses: typed rules, or the teacher from the documentation, checked by the schema."""

    @field_validator("hosts", mode="before")
    @classmethod
    def _short_form(cls, hosts: Any) -> Any:
        if not isinstance(hosts, Mapping):
            return hosts
        return {host: {"connect": rule} if isinstance(rule, str) else rule for host, rule in hosts.items()}


class ScreeningSettings(Section):
    """Which APIs are fit to be used (ToolLLM, section 2.1)."""

    calls: int = Field(default=2, ge=1, le=50)
    """Calls of one API at most; recorded responses count as calls."""
    slow: float = Field(default=3.0, gt=0)
    """Seconds; an API whose 95th percentile is above is slow."""
    nightly: bool = False
    """Screen in every nightly refresh as well, before instructions are written."""
    nights: int = Field(default=3, ge=1)
    """Failed nights in a row after which an API is retired; it is revived when it works."""
    rules: str = ""
    """A TOML file of words, patterns and limits in place of the ones toolbench brings along."""


class CompressionSettings(Section):
    """How long API responses are shortened for the model (ToolLLM, section 2.1)."""

    method: Literal["keys", "truncate"] = "keys"
    """keys: reduced to the keys that matter, lists shortened, always valid JSON; truncate: cut at
    `search.max_observation` characters, as ToolBench's release does."""
    max_tokens: int = Field(default=2048, ge=32)
    """Longer responses are shortened; tokens of OpenAI's o200k_base."""
    examples: int = Field(default=3, ge=1, le=10)
    """Responses of an API that the teacher is shown at most when it names the keys that matter."""


class InstructionSettings(Section):
    """How many instructions, of which kind."""

    total: int = Field(default=150, ge=1)
    """Instructions aimed at over all groups; the filters may leave fewer."""
    groups: tuple[Literal["I1", "I2", "I3"], ...] = ("I1", "I2", "I3")
    """I1 single-tool, I2 multi-tool within a category, I3 multi-tool within a collection."""
    per_combination: int = Field(default=10, ge=1, le=20)
    """Instructions asked for in one call, for one combination of APIs."""
    language: str = "English"
    """The language that instructions are written in; those in another one are rejected."""
    near_duplicate: float = Field(default=0.6, gt=0, le=1)
    """Jaccard similarity of word 3-shingles from which an instruction repeats an earlier one."""
    test_files: tuple[str, ...] = ()
    """Files of test instructions (ToolBench's layout, or JSON lines with `query`): training ones must not overlap."""
    judge_values: bool = False
    """Have the teacher judge, too, whether an instruction holds a value for every parameter that its APIs require."""
    holdout: float = Field(default=0.15, ge=0, lt=1)
    """Share of instructions held out from training, drawn by the instruction's id."""
    min_words: int = Field(default=5, ge=1)
    """Shorter instructions are rejected."""
    max_words: int = Field(default=200, ge=1)
    """Longer instructions are rejected."""


class SearchSettings(Section):
    """How solution paths are searched (ToolLLM, section 2.3)."""

    method: Literal["dfsdt", "react", "ranked"] = "dfsdt"
    """dfsdt: depth-first with back-tracking, pre-order; react: one chain; ranked: children compared before descent."""
    width: int = Field(default=2, ge=1, le=8)
    """Replies sampled at one node at most."""
    max_depth: int = Field(default=12, ge=2, le=200)
    """Levels of the tree: a thought is one, a call two."""
    max_calls: int = Field(default=30, ge=1)
    """Replies of the teacher for one instruction at most."""
    tries: int = Field(default=1, ge=1)
    """Chains tried by react until one succeeds (ReAct@N)."""
    text_format: bool = False
    """For teachers without tool calling: functions are described in the prompt, and replies are read as Thought, Action
    and Action Input."""
    max_observation: int = Field(default=1024, ge=64)
    """Characters of an API's answer that the teacher is shown where `compression.method` is truncate."""


class DatasetSettings(Section):
    """What becomes training data."""

    give_ups: bool = False
    """Make conversations of chosen give-ups, too, so that a student can learn when to give up."""


class RetrieverSettings(Section):
    """Training of the API retriever."""

    base: str = "minilm"
    """The sentence encoder to start from: minilm (from PyPI), or a folder."""
    preset: Literal["quick", "ours", "paper"] = "quick"
    """quick: one pass, for a few hundred pairs every night; ours: the best within an hour on one CPU core; paper: as
    ToolLLM trained. What follows replaces a preset's own."""
    epochs: int | None = Field(default=None, ge=1)
    """Passes over the training pairs."""
    batch_size: int | None = Field(default=None, ge=2)
    """Pairs in a batch, or queries with all their pairs (ours); the other documents of a batch are the negatives."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak learning rate."""
    max_tokens: int | None = Field(default=None, ge=8, le=8192)
    """Longer texts are cut."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] | None = None
    """Arithmetic of the passes: bf16 is nearly twice as fast where the processor has it (AMX, AVX-512 BF16, recent
    GPUs); auto is bf16 there, else fp32."""


class FusionSettings(Section):
    """How a hybrid search joins the rankings of the retriever's model and of BM25."""

    method: Literal["scores", "ranks"] = "scores"
    """scores: the model's cosine and BM25's score as a share of the query's best one; ranks: reciprocal-rank fusion."""
    bm25_weight: float = Field(default=0.3, ge=0)
    """What BM25 counts, where the model counts 1; by ranks, 1 is usual."""
    constant: int = Field(default=60, ge=1)
    """Added to every rank, by ranks: the larger, the less the first ones count above the later ones."""
    depth: int = Field(default=50, ge=1)
    """Ranks of each side that are looked at."""


class JudgeSettings(Section):
    """Judging of answers (ToolEval). What is left empty is the teacher's."""

    votes: int = Field(default=3, ge=0, le=25)
    """Votes on each answer; 0: no judging."""
    base_url: Endpoint = ""
    """The judge's endpoint, ending in /v1, if it is another than the teacher's."""
    api_key: SecretStr = SecretStr("")
    """That endpoint's key: the teacher's is sent to no other endpoint than its own."""
    model: str = ""
    """The judge's model; `offline-teacher` without a `base_url` is started on a loopback port."""
    temperature: float = Field(default=0.0, ge=0, le=2)
    """Sampling temperature of votes."""
    max_output_tokens: int | None = Field(default=None, ge=16)
    """Longest reply asked for."""
    max_concurrency: int | None = Field(default=None, ge=1, le=4096)
    """Votes under way at once at most, per shard."""
    budget_calls: int | None = Field(default=None, ge=0)
    """Votes that one process may ask for, replayed ones not counted; 0: no limit."""
    budget_tokens: int | None = Field(default=None, ge=0)
    """Tokens, in and out, that one process may use for votes; 0: no limit."""
    budget_dollars: float | None = Field(default=None, ge=0)
    """US dollars by `teacher.prices` that one process may spend on votes; 0: no limit."""
    counting: Literal["paper", "solvable"] = "paper"
    """paper: an answer that does not solve its task passes where the judge finds that the task cannot be solved;
    solvable: every task counts as solvable, as in StableToolBench, and the judge is not asked."""
    unsure: float = Field(default=0.5, ge=0, le=1)
    """What an unsure verdict counts in a pass rate."""


class BudgetSettings(Section):
    """What one run of a flow may use, all its stages, shards and processes together. When it is used up the run ends
    well: what was done is published, the next run goes on with the rest and pays nothing twice."""

    max_cost: float = Field(default=0.0, ge=0)
    """US dollars by `teacher.prices`, the judge's included; 0: no limit."""
    max_calls: int = Field(default=0, ge=0)
    """Replies of the teacher and the judge, replayed ones not counted; 0: no limit."""
    max_hours: float = Field(default=0.0, ge=0)
    """Hours after which nothing more is asked, called or trained; 0: no limit."""


class AgentSettings(Section):
    """Answering questions with no APIs given, for others: `toolbench agent serve`."""

    top: int = Field(default=5, ge=1, le=1000)
    """APIs that the retriever proposes for a question."""
    api_keys: SecretStr = SecretStr("")
    """Keys of clients, separated by commas; empty: no key is asked for, and only this machine may ask."""
    concurrency: int = Field(default=4, ge=1, le=1024)
    """Questions that are worked on at once."""
    queue: int = Field(default=16, ge=0)
    """Questions that may wait for their turn; more are refused with status 429."""
    seconds: float = Field(default=300.0, gt=0)
    """Time for one question; what was found by then is told."""
    hosts: tuple[str, ...] = ()
    """Names under which clients reach the server, besides localhost and addresses in digits. Other names are refused,
    so that no foreign page can ask by having its own name lead here."""
    origins: tuple[str, ...] = ()
    """Origins of web pages, such as "https://chat.example.com", that may ask besides the server's own page."""


class WorkSettings(Section):
    """How work is cut and how much of it runs at once."""

    shard_size: int = Field(default=50, ge=1, le=500)
    """Records of one shard at most."""
    workers: int = Field(default=4, ge=1, le=64)
    """Shards worked on at once."""
    retries: int = Field(default=3, ge=0, le=20)
    """Tries again of a shard after a failure that may pass, with exponential backoff and jitter; and of a batch whose
    worker died."""
    dispatch: str = ""
    """The deployment, `work-on-shards/shards`, to which a stage with many shards hands them in batches, for all workers
    of its pool. Empty: the process that runs the stage works on all of them. Services that a run starts for itself are
    this machine's alone: then nothing is handed out."""
    batch_shards: int = Field(default=20, ge=1, le=100)
    """Shards of one batch at most; a stage that has no more left than that hands nothing out."""
    batches: int = Field(default=8, ge=1, le=64)
    """Batches of one stage under way at once at most: how many workers it can keep busy."""
    batch_patience: float = Field(default=30.0, ge=0)
    """Seconds after which a batch that no worker has taken is worked on by the process that waits for it."""


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix="TOOLBENCH_", env_nested_delimiter="__", extra="forbid", frozen=True, use_attribute_docstrings=True
    )

    lake: str = Field(default="lake", min_length=1)
    """Where the tables are: a local path, s3://bucket/prefix or memory://name."""
    seed: int = 0
    """Decides every draw: combinations, hold-out, sampling seeds of the teacher."""
    teacher: TeacherSettings = TeacherSettings()
    catalogue: CatalogueSettings = CatalogueSettings()
    apis: ApiSettings = ApiSettings()
    screening: ScreeningSettings = ScreeningSettings()
    compression: CompressionSettings = CompressionSettings()
    instructions: InstructionSettings = InstructionSettings()
    search: SearchSettings = SearchSettings()
    judge: JudgeSettings = JudgeSettings()
    dataset: DatasetSettings = DatasetSettings()
    retriever: RetrieverSettings = RetrieverSettings()
    fusion: FusionSettings = FusionSettings()
    budget: BudgetSettings = BudgetSettings()
    agent: AgentSettings = AgentSettings()
    work: WorkSettings = WorkSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Sources are merged by `load`, which keeps track of where each value came from."""
        return (init_settings,)

    def with_(self, **sections: Mapping[str, Any]) -> "Settings":
        """A copy with fields of some sections replaced: `settings.with_(teacher={"model": "m"})`."""
        changed = {}
        for name, values in sections.items():
            section = getattr(self, name)
            kept = {field: getattr(section, field) for field in type(section).model_fields}
            changed[name] = type(section).model_validate({**kept, **values})
        return self.model_copy(update=changed)

    def as_judge(self) -> "Settings":
        """A copy whose teacher is the judge. Raises UsageError if the judge's budget has no price to go by."""
        own, teacher = self.judge, self.teacher
        names = ("base_url", "model", "max_output_tokens", "max_concurrency", *_BUDGETS)
        changed = {name: value for name in names if (value := getattr(own, name)) not in ("", None)}
        if own.base_url and own.base_url != teacher.base_url:
            # A teacher that is offline has no key of its own: one that is set is OpenAI's.
            theirs = own.base_url == OPENAI and teacher.model == OFFLINE_MODEL
            changed |= {"endpoints": {}} | ({} if theirs else {"api_key": own.api_key})
        if own.api_key.get_secret_value():
            changed["api_key"] = own.api_key
        try:
            return self.with_(teacher=changed)
        except ValidationError as error:
            raise UsageError(
                f"The judge's settings do not fit the teacher's ({error.errors()[0]['msg']}): change `judge.model`, "
                "`judge.budget_dollars` or `teacher.prices`."
            ) from None


_BUDGETS = ("budget_calls", "budget_tokens", "budget_dollars")


class Loaded(BaseModel):
    """Settings and where each value that is no default came from."""

    settings: Settings
    origins: dict[str, str]
    """`section.field` → for example `toolbench.toml`, `TOOLBENCH_LAKE`, `--lake`."""


def load(flags: Mapping[str, Any] | None = None, *, folder: Path | None = None) -> Loaded:
    """The effective settings.

    `flags` maps dotted names to values given on the command line, with None for what was not given. Raises UsageError
    naming the file, variable or flag and the field that is wrong.
    """
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    path = (folder or Path.cwd()) / FILE
    if path.exists():
        _merge(merged, origins, _flatten(_read_toml(path)), {}, FILE)
    names = _environment_names()
    environment = _flatten(_read_environment())
    _merge(merged, origins, environment, names, "environment")
    for field, variable in (("teacher.base_url", "OPENAI_BASE_URL"), ("teacher.api_key", "OPENAI_API_KEY")):
        # The more specific TOOLBENCH_ variable wins over the one that other programs share.
        if os.environ.get(variable) and field not in environment:
            _merge(merged, origins, {field: os.environ[variable]}, {field: variable}, variable)
    for field, value in (flags or {}).items():
        if value is not None:
            flag = "--" + field.rpartition(".")[2].replace("_", "-")
            _merge(merged, origins, {field: value}, {field: flag}, flag)
    try:
        settings = Settings(**_nest(merged))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        where = next((origins[k] for k in origins if field == k or field.startswith(k + ".")), FILE)
        said = first["msg"].removeprefix("Value error, ")
        message = "there is no such setting" if first["type"] == "extra_forbidden" else said
        raise UsageError(f"Setting {field} (from {where}): {message}; `toolbench config` lists the settings.") from None
    _check_priced(settings)
    return Loaded(settings=settings, origins=origins)


def environment(settings: Settings) -> dict[str, str]:
    """This process's environment with all settings in it and secrets in the open, for processes in other folders: what
    they load is equal to `settings`, whatever lies there."""

    def plain(value: Any) -> Any:
        if isinstance(value, SecretStr):
            return value.get_secret_value()
        raise TypeError(f"{type(value).__name__} is no setting")

    kept = {k: v for k, v in os.environ.items() if k not in _environment_names_of(os.environ)}
    values = settings.model_dump()
    return kept | {
        f"TOOLBENCH_{name.upper()}": value if isinstance(value, str) else json.dumps(value, default=plain)
        for name, value in values.items()
    }


def _environment_names_of(variables: Mapping[str, str]) -> list[str]:
    """Those variables that are settings."""
    ours = (name for name in variables if name.upper().startswith("TOOLBENCH_"))
    return [name for name in ours if not name.upper().startswith(_NOT_SETTINGS)]


def _check_priced(settings: Settings) -> None:
    """Raises UsageError if a run may cost so much at most, and nobody knows what a call costs."""
    models = {settings.teacher.model, settings.judge.model or settings.teacher.model}
    if settings.budget.max_cost and (unknown := sorted(models - settings.teacher.prices.keys())):
        raise UsageError(
            f"budget.max_cost needs the price of {unknown[0]} in teacher.prices, for example "
            f"TOOLBENCH_TEACHER__PRICES='{{\"{unknown[0]}\": [0.15, 0.6]}}' (dollars per million tokens in and out)."
        )


def table(loaded: Loaded) -> list[tuple[str, str, str]]:
    """Rows (name, value as JSON with secrets masked, origin) of all settings, for `toolbench config`."""
    flat = _flatten(json.loads(loaded.settings.model_dump_json()))
    rows = []
    for name, value in flat.items():
        origin = next((o for k, o in loaded.origins.items() if name == k or k.startswith(name + ".")), "default")
        rows.append((name, json.dumps(value, ensure_ascii=False), origin))
    return rows


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.") from None


def _read_environment() -> dict[str, Any]:
    try:
        return EnvSettingsSource(Settings)()
    except Exception as error:
        raise UsageError(
            f"A TOOLBENCH_ variable cannot be read: {error}; lists and tables are written as JSON."
        ) from None


def _environment_names() -> dict[str, str]:
    """`section.field` → the variable that is set for it. Raises UsageError for one that names no setting."""
    names = {}
    for variable in _environment_names_of(os.environ):
        field = variable[len("TOOLBENCH_") :].lower().replace("__", ".")
        if field.partition(".")[0] not in Settings.model_fields:
            raise UsageError(f"{variable} names no setting; `toolbench config` lists the settings.")
        names[field] = variable
    return names


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and not prefix:
            flat.update(_flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def _nest(flat: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        section, _, field = name.rpartition(".")
        target = tree.setdefault(section, {}) if section else tree
        if isinstance(target, dict):  # a section given as a plain value stays as it is, for the error that names it
            target[field] = value
    return tree


def _merge(
    merged: dict[str, Any], origins: dict[str, str], values: Mapping[str, Any], names: Mapping[str, str], default: str
) -> None:
    for field, value in values.items():
        merged[field] = value
        # A variable may set a field, a key of a mapping field, or a whole section as JSON; the longest name counts.
        named = [k for k in names if k == field or k.startswith(field + ".") or field.startswith(k + ".")]
        origins[field] = names[max(named, key=len)] if named else default
