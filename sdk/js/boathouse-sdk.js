// Write a Boathouse plugin in JavaScript.
//
// A plugin is a module that exports `describe` and the function of its kind: `propose(context)`,
// `evaluate(trials, objective)` or `detect(table)`. What goes in and out are the types of the contract as the
// component model maps them: names in camelCase, lists of numbers as typed arrays, `u64` as BigInt, variants as
// `{tag, val}`. The functions here take the corners off. What a plugin may rely on:
//
// - Each call gets a fresh instance. Nothing survives a call.
// - There are no files, network or environment, and no clock; `Math.random` draws the same numbers in every call.
//   Chance worth the name comes from `new Chance(context.seed)`.
// - A thrown `Declined` is recorded as data; any other exception ends the call and counts as a failure.

/** A whole description from its interesting parts. */
export function description({ name, version, kind, summary, reads = [], deterministic = true }) {
  return { name, version, kind, summary, reads, deterministic, extra: [] };
}

/** The plugin declines to answer. `why` is `invalid-input`, `unsupported` or `other`, as in the contract. */
export class Declined extends Error {
  constructor(text, why = 'other') {
    super(text);
    this.payload = { tag: why, val: text };
  }
}

/** The rows of a journal, which travels as one list per column. `memoryBytes` becomes a plain number. */
export function rows(trials) {
  const width = trials.knobs.length;
  return Array.from({ length: trials.count }, (_, row) => ({
    settings: Array.from(trials.settings.slice(row * width, (row + 1) * width)),
    recall: trials.recall[row],
    recallLow: trials.recallLow[row],
    recallHigh: trials.recallHigh[row],
    latencyP50Us: trials.latencyP50Us[row],
    latencyP95Us: trials.latencyP95Us[row],
    latencyP99Us: trials.latencyP99Us[row],
    distances: trials.distances[row],
    memoryBytes: Number(trials.memoryBytes[row]),
    buildSeconds: trials.buildSeconds[row],
  }));
}

/** Whether recall's lower bound reaches the floor, and p95 and memory keep within bounds where there are any. */
export function isMet(objective, row) {
  const { recallFloor, p95BudgetUs, memoryCapBytes } = objective;
  return row.recallLow >= recallFloor
    && (p95BudgetUs === undefined || row.latencyP95Us <= p95BudgetUs)
    && (memoryCapBytes === undefined || row.memoryBytes <= Number(memoryCapBytes));
}

/** Verdicts `{feasible, front, score, reason}`, one per trial, as the contract wants them: one list per field. */
export function verdicts(list) {
  const said = list.some(({ reason }) => reason);
  return {
    feasible: list.map(({ feasible }) => feasible),
    front: Uint32Array.from(list, ({ front }) => front),
    score: Float64Array.from(list, ({ score }) => score),
    reasons: said ? list.map(({ reason }) => reason ?? '') : [],
    extra: [],
  };
}

/**
 * Pareto fronts of points with one number per aim, less being better; negate what should be large.
 *
 * Front 0 is what nobody dominates, front 1 what nobody dominates once front 0 is taken away, and so on. Equal
 * points share a front. The sort is the efficient non-dominated sort with sequential search (Zhang, Tian, Cheng and
 * Jin, 2015).
 */
export function fronts(points) {
  const order = points.map((_, row) => row).sort((a, b) => compare(points[a], points[b]));
  const members = [];
  const answer = points.map(() => 0);
  for (const row of order) {
    let front = 0;
    while (front < members.length && isDominated(points[row], members[front])) front += 1;
    if (front === members.length) members.push([]);
    members[front].push(points[row]);
    answer[row] = front;
  }
  return answer;
}

function compare(a, b) {
  const aim = a.findIndex((value, at) => value !== b[at]);
  return aim < 0 ? 0 : a[aim] < b[aim] ? -1 : 1;
}

// Plain loops: engines inside components interpret, and calls cost them the most.
function isDominated(point, front) {
  for (let other = front.length - 1; other >= 0; other -= 1) {
    if (dominates(front[other], point)) return true;
  }
  return false;
}

function dominates(a, b) {
  let better = false;
  for (let aim = 0; aim < a.length; aim += 1) {
    if (!(a[aim] <= b[aim])) return false;
    better ||= a[aim] < b[aim];
  }
  return better;
}

/** Numbers from a seed: SplitMix64 (Steele, Lea and Flood, 2014), the same as in the SDK for Rust. */
export class Chance {
  #state;

  constructor(seed) {
    this.#state = BigInt.asUintN(64, BigInt(seed));
  }

  /** The next 64 bits, as a BigInt. */
  bits() {
    this.#state = BigInt.asUintN(64, this.#state + 0x9e3779b97f4a7c15n);
    let mixed = this.#state;
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 30n)) * 0xbf58476d1ce4e5b9n);
    mixed = BigInt.asUintN(64, (mixed ^ (mixed >> 27n)) * 0x94d049bb133111ebn);
    return mixed ^ (mixed >> 31n);
  }

  /** A number in 0..1. */
  unit() {
    return Number(this.bits() >> 11n) / 2 ** 53;
  }

  /** A whole number below `bound`. */
  below(bound) {
    return Number((this.bits() * BigInt(bound)) >> 64n);
  }
}

/** Any allowed value of a knob of the context. */
export function draw(knob, chance) {
  return knob.min + chance.below(top(knob) + 1) * knob.step;
}

/** The allowed value `steps` above the one nearest to `value`, or the last one on the way. */
export function moved(knob, value, steps) {
  const nearest = Math.min(Math.floor((Math.max(value - knob.min, 0) + knob.step / 2) / knob.step), top(knob));
  return knob.min + Math.min(Math.max(nearest + steps, 0), top(knob)) * knob.step;
}

const top = (knob) => Math.floor((knob.max - knob.min) / knob.step);

/** The sampled distinct values of a column, `[text, count]` each; they travel as one text with offsets in bytes. */
export function values(column) {
  // Where each byte offset lies in the text, without TextEncoder, which not every engine has.
  const at = new Map([[0, 0]]);
  let bytes = 0;
  let index = 0;
  for (const character of column.values) {
    bytes += utf8Length(character);
    index += character.length;
    at.set(bytes, index);
  }
  return Array.from(column.counts, (count, value) => {
    const [start, end] = [column.offsets[value], column.offsets[value + 1]];
    return [column.values.slice(at.get(start), at.get(end)), count];
  });
}

function utf8Length(text) {
  let bytes = 0;
  for (const character of text) {
    const point = character.codePointAt(0);
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return bytes;
}

/** A whole finding about a column from its interesting parts. It never contains a value. */
export function finding({
  column, kind, confidence, tested = 0, matched = 0, checksumPassed = 0, nameEvidence = 0, scope = 'whole-column', country,
}) {
  const evidence = { tested, matched, checksumPassed, nameEvidence };
  return { column, kind, country, scope, confidence, evidence, extra: [] };
}

/**
 * A journal for tests, one trial per `[recall, p95 in µs, bytes in memory]`.
 *
 * Its knobs are `m` (16), `ef_construction` (100) and `ef_search` (10, 20, ... row by row); the interval of recall
 * reaches 0.005 to either side.
 */
export function journal(list) {
  const column = (of) => Float64Array.from(list, of);
  return {
    count: list.length,
    knobs: ['m', 'ef_construction', 'ef_search'],
    settings: Uint32Array.from(list.flatMap((_, row) => [16, 100, 10 * (row + 1)])),
    recall: column(([recall]) => recall),
    recallLow: column(([recall]) => Math.max(recall - 0.005, 0)),
    recallHigh: column(([recall]) => Math.min(recall + 0.005, 1)),
    latencyP50Us: column(([, p95]) => p95 / 2),
    latencyP95Us: column(([, p95]) => p95),
    latencyP99Us: column(([, p95]) => p95 * 2),
    distances: column(() => 800),
    memoryBytes: BigUint64Array.from(list, ([, , bytes]) => BigInt(bytes)),
    buildSeconds: column(() => 1.5),
    measures: [],
  };
}

/** A column for tests from `[text, count]` pairs. */
export function column(name, pairs) {
  const offsets = [0];
  for (const [text] of pairs) offsets.push(offsets.at(-1) + utf8Length(text));
  return {
    name,
    declaredType: 'Utf8',
    rows: BigInt(pairs.reduce((sum, [, count]) => sum + count, 0)),
    nulls: 0n,
    values: pairs.map(([text]) => text).join(''),
    offsets: Uint32Array.from(offsets),
    counts: Uint32Array.from(pairs, ([, count]) => count),
    extra: [],
  };
}
