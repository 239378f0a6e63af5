"""Write a Boathouse plugin in Python.

A plugin is a module `plugin.py` with a constant `DESCRIPTION` and one function:

    kind       function                           returns
    proposer   propose(context)                   Configuration or Exhausted
    scoring    evaluate(trials, objective)        one Verdict per trial, in their order
    pii        detect(table)                      a list of Finding

Everything here is plain data, so that a plugin is tested by any Python without a component around it;
`component.py` translates between these types and those of the contract. What a plugin may rely on:

- Each call gets a fresh instance. Nothing survives a call.
- There are no files, network or environment, the clock stands still, and `random` draws the same numbers in
  every call. Chance worth the name comes from `Chance(context.seed)`.
- `Declined` is recorded as data; any other exception ends the call and counts as a failure.

Only the standard library is used, and little of it: what a plugin imports is part of its component.
"""

from dataclasses import dataclass, field
from typing import NamedTuple, Optional

__all__ = [
    "Chance", "Column", "Configuration", "Context", "Declined", "Description", "Exhausted", "Finding", "Index",
    "Knob", "Objective", "Table", "Trial", "Verdict", "fronts", "journal",
]


@dataclass(frozen=True)
class Description:
    """What a plugin says of itself. `name` is `team/name`, `version` semantic, `summary` one sentence."""

    name: str
    version: str
    summary: str
    reads: tuple = ()
    deterministic: bool = True


class Declined(Exception):
    """The plugin declines to answer; the text is for the person who reads the host's log.

    `why` is `invalid-input`, `unsupported` or `other`, as in the contract.
    """

    def __init__(self, text, why="other"):
        super().__init__(text)
        self.text = text
        self.why = why


class Trial(NamedTuple):
    """One row of the journal. Latencies are in microseconds, memory in bytes, recall in 0..=1."""

    settings: tuple
    recall: float
    recall_low: float
    recall_high: float
    latency_p50_us: float
    latency_p95_us: float
    latency_p99_us: float
    distances: float
    memory_bytes: int
    build_seconds: float


@dataclass(frozen=True)
class Objective:
    """What a good configuration is for the owner of the index; an absent bound is met by every trial."""

    recall_floor: float = 0.95
    p95_budget_us: Optional[float] = None
    memory_cap_bytes: Optional[int] = None
    weights: tuple = ()

    def is_met_by(self, trial):
        """Whether recall's lower bound reaches the floor, and p95 and memory keep within their bounds."""
        return (
            trial.recall_low >= self.recall_floor
            and (self.p95_budget_us is None or trial.latency_p95_us <= self.p95_budget_us)
            and (self.memory_cap_bytes is None or trial.memory_bytes <= self.memory_cap_bytes)
        )


class Verdict(NamedTuple):
    """The word on one trial. `front` 0 is the Pareto front; `score` is better when higher and never NaN."""

    feasible: bool
    front: int
    score: float
    reason: Optional[str] = None


def fronts(points):
    """Pareto fronts of points with one number per aim, less being better; negate what should be large.

    Front 0 is what nobody dominates, front 1 what nobody dominates once front 0 is taken away, and so on. Equal
    points share a front. The sort is the efficient non-dominated sort with sequential search (Zhang, Tian, Cheng
    and Jin, 2015).
    """
    points = [tuple(point) for point in points]
    members = []
    answer = [0] * len(points)
    for row in sorted(range(len(points)), key=points.__getitem__):
        point = points[row]
        for front, others in enumerate(members):
            if not any(_dominates(other, point) for other in reversed(others)):
                break
        else:
            front = len(members)
            members.append([])
        members[front].append(point)
        answer[row] = front
    return answer


def _dominates(a, b):
    return a != b and all(x <= y for x, y in zip(a, b))


class Chance:
    """Numbers from a seed: SplitMix64 (Steele, Lea and Flood, 2014), the same as in the SDK for Rust."""

    def __init__(self, seed):
        self._state = seed & _ALL

    def bits(self):
        """The next 64 bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _ALL
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _ALL
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _ALL
        return mixed ^ (mixed >> 31)

    def unit(self):
        """A number in 0..1."""
        return (self.bits() >> 11) / (1 << 53)

    def below(self, bound):
        """A whole number below `bound`."""
        return (self.bits() * bound) >> 64


_ALL = (1 << 64) - 1


class Knob(NamedTuple):
    """One knob: allowed values are `minimum`, `minimum + step`, ... up to `maximum`."""

    name: str
    minimum: int
    maximum: int
    step: int

    def draw(self, chance):
        """Any allowed value."""
        return self.minimum + chance.below(self._top() + 1) * self.step

    def moved(self, value, steps):
        """The allowed value `steps` above the one nearest to `value`, or the last one on the way."""
        level = (max(value, self.minimum) - self.minimum + self.step // 2) // self.step
        level = min(max(min(level, self._top()) + steps, 0), self._top())
        return self.minimum + level * self.step

    def _top(self):
        return (self.maximum - self.minimum) // self.step


class Index(NamedTuple):
    """The index that is being tuned; `metric` is `cosine`, `l2` or `dot`."""

    name: str
    backend: str
    vectors: int
    dimension: int
    metric: str


@dataclass(frozen=True)
class Context:
    """Everything that a proposer gets to see. `champion` is the row of `trials` that serves today, if any."""

    knobs: list
    trials: list = field(default_factory=list)
    champion: Optional[int] = None
    seed: int = 0
    objective: Objective = Objective()
    index: Index = Index("docs", "parquet", 10_000, 256, "cosine")


class Configuration(NamedTuple):
    """Try this next: one value per knob, in their order, and why, in one sentence."""

    settings: list
    reason: str


class Exhausted(NamedTuple):
    """Nothing is left that would be worth a trial; the text says why."""

    why: str


@dataclass(frozen=True)
class Column:
    """A column with its sampled distinct values, each a pair of text and how often it was seen."""

    name: str
    values: list
    declared_type: str = "Utf8"
    rows: int = 0
    nulls: int = 0


@dataclass(frozen=True)
class Table:
    """A table with a sample of each column."""

    name: str
    columns: list


@dataclass(frozen=True)
class Finding:
    """The word on one column and one kind of data. It never contains a value.

    `kind` is in snake_case, `country` ISO 3166-1 alpha-2, `confidence` and `name_evidence` are in 0..=1; of the
    `tested` values `matched` have the shape of the kind, and of these `checksum_passed` pass its checksum.
    """

    column: int
    kind: str
    confidence: float
    tested: int = 0
    matched: int = 0
    checksum_passed: int = 0
    name_evidence: float = 0.0
    whole_column: bool = True
    country: Optional[str] = None


def journal(rows):
    """A journal for tests, one trial per `(recall, p95 in µs, bytes in memory)`.

    Its knobs are `m` (16), `ef_construction` (100) and `ef_search` (10, 20, ... row by row); the interval of
    recall reaches 0.005 to either side.
    """
    return [
        Trial(
            (16, 100, 10 * row), recall, max(recall - 0.005, 0.0), min(recall + 0.005, 1.0),
            p95 / 2, p95, p95 * 2, 800.0, memory, 1.5,
        )
        for row, (recall, p95, memory) in enumerate(rows, 1)
    ]


# What follows reads the generated types of the contract; `component.py` uses it.


def trials_of(given):
    """The rows of a journal, which travels as one list per column."""
    width = len(given.knobs)
    settings = [tuple(given.settings[row * width:(row + 1) * width]) for row in range(given.count)]
    columns = [getattr(given, name) for name in Trial._fields[1:]]
    return [Trial(*row) for row in zip(settings, *columns)]


def objective_of(given):
    """The objective without its open list."""
    return Objective(given.recall_floor, given.p95_budget_us, given.memory_cap_bytes, tuple(given.weights))


def context_of(given):
    """A proposer's context."""
    index = given.index
    metric = getattr(index.metric, "name", str(index.metric)).lower()
    return Context(
        knobs=[Knob(knob.name, knob.min, knob.max, knob.step) for knob in given.knobs],
        trials=trials_of(given.trials),
        champion=given.champion,
        seed=given.seed,
        objective=objective_of(given.objective),
        index=Index(index.name, index.backend, index.vectors, index.dimension, metric),
    )


def table_of(given):
    """A table; its values travel as one UTF-8 buffer with byte offsets."""
    columns = []
    for column in given.columns:
        packed = column.values.encode()
        spans = zip(column.offsets, column.offsets[1:])
        values = [packed[start:end].decode() for start, end in spans]
        pairs = list(zip(values, column.counts))
        columns.append(Column(column.name, pairs, column.declared_type, column.rows, column.nulls))
    return Table(given.name, columns)
