// {{name}}: decides which trial is best.
//
// A trial is feasible when it meets the objective. Trials are ranked into Pareto fronts by recall, p95 latency and
// memory. The score is recall, less 0.2 for every millisecond of p95 latency: change it to your taste.

import { description, fronts, isMet, rows, verdicts } from './boathouse-sdk.js';

export function describe() {
  return description({
    name: '{{name}}',
    version: '0.1.0',
    kind: '{{kind}}',
    summary: 'Recall, less 0.2 for every millisecond of p95 latency.',
    reads: ['recall', 'recall_low', 'latency_p95_us', 'memory_bytes'],
  });
}

export function evaluate(trials, objective) {
  const list = rows(trials);
  // Less is better on every axis.
  const front = fronts(list.map((row) => [-row.recall, row.latencyP95Us, row.memoryBytes]));
  return verdicts(list.map((row, at) => ({
    feasible: isMet(objective, row),
    front: front[at],
    score: row.recall - (0.2 * row.latencyP95Us) / 1000,
  })));
}
