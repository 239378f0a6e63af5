// The plugin's logic, without a component around it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { journal } from './boathouse-sdk.js';
import { describe, evaluate } from './plugin.js';

test('the quicker of equal recall wins and the objective is kept', () => {
  const trials = journal([[0.97, 300, 1000], [0.97, 900, 1000], [0.8, 100, 1000]]);
  const { feasible, front, score } = evaluate(trials, { recallFloor: 0.95, weights: [] });
  assert.ok(score[0] > score[1]);
  assert.deepEqual([...front], [0, 1, 0]);
  assert.deepEqual(feasible, [true, true, false]);
});

test('it says what it is', () => {
  assert.equal(describe().name, '{{name}}');
});
