// The plugin's logic, without a component around it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { journal, moved } from './boathouse-sdk.js';
import { propose } from './plugin.js';

const knob = (name, min, max, step) => ({ name, min, max, step });
const knobs = [knob('m', 4, 64, 4), knob('ef_construction', 20, 400, 20), knob('ef_search', 10, 500, 10)];

test('proposals are within bounds and the same for a seed', () => {
  const trials = journal([[0.9, 100, 1], [0.95, 200, 1]]);
  for (let seed = 0n; seed < 50n; seed += 1n) {
    const answer = propose({ knobs, trials, champion: 1, seed });
    assert.deepEqual(propose({ knobs, trials, champion: 1, seed }), answer);
    answer.val.settings.forEach((value, at) => assert.equal(moved(knobs[at], value, 0), value));
  }
});

test('it ends when everything has been tried', () => {
  const only = [knob('m', 16, 16, 1), knob('ef_construction', 100, 100, 1), knob('ef_search', 10, 10, 1)];
  assert.equal(propose({ knobs: only, trials: journal([[0.9, 100, 1]]), seed: 1n }).tag, 'exhausted');
});
