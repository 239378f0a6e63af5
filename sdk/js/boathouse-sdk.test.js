// What the SDK for JavaScript promises. Run by `node --test` in this folder.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Chance, Declined, column, draw, fronts, isMet, journal, moved, rows, values, verdicts } from './boathouse-sdk.js';

test('fronts of nothing, of one, of equals', () => {
  assert.deepEqual(fronts([]), []);
  assert.deepEqual(fronts([[1]]), [0]);
  assert.deepEqual(fronts([[1, 1], [1, 1], [2, 1]]), [0, 0, 1]);
  assert.deepEqual(fronts([[-0, 2], [0, 1]]), [1, 0]);
});

test('one better aim is enough to stay on the front', () => {
  assert.deepEqual(fronts([[-0.99, 900, 9], [-0.9, 300, 9], [-0.8, 400, 5], [-0.8, 500, 9]]), [0, 0, 0, 1]);
  assert.deepEqual(fronts([[3, 3], [2, 2], [1, 1], [0, 0]]), [3, 2, 1, 0]);
});

test('chance is the same as in the other languages', () => {
  const chance = new Chance(1234567n);
  assert.deepEqual(
    [chance.bits(), chance.bits(), chance.bits()],
    [6457827717110365317n, 3203168211198807973n, 9817491932198370423n],
  );
});

test('knobs stay on their grid', () => {
  const knob = { name: 'm', min: 4, max: 17, step: 4 };
  assert.deepEqual([moved(knob, 8, 1), moved(knob, 8, -1), moved(knob, 4, -1), moved(knob, 99, 0)], [12, 4, 4, 16]);
  const chance = new Chance(3);
  const drawn = new Set(Array.from({ length: 100 }, () => draw(knob, chance)));
  assert.deepEqual([...drawn].sort((a, b) => a - b), [4, 8, 12, 16]);
});

test('a journal becomes rows and verdicts become lists', () => {
  const [first, second] = rows(journal([[0.96, 300, 1000], [0.99, 500, 2000]]));
  assert.deepEqual(second.settings, [16, 100, 20]);
  assert.ok(isMet({ recallFloor: 0.95, p95BudgetUs: 300, memoryCapBytes: 1000n }, first));
  assert.ok(!isMet({ recallFloor: 0.956 }, first));
  assert.ok(!isMet({ recallFloor: 0.95, memoryCapBytes: 999n }, first));
  const one = { feasible: true, front: 0, score: 0.5 };
  assert.deepEqual(verdicts([one]).reasons, []);
  assert.deepEqual(verdicts([one, { ...one, reason: 'so' }]).reasons, ['', 'so']);
});

test('offsets of values count bytes', () => {
  const pairs = [['Zoë', 2], ['', 1], ['名🚢', 3], ['a', 1]];
  const bytes = pairs.reduce((sum, [text]) => sum + new TextEncoder().encode(text).length, 0);
  assert.equal(column('c', pairs).offsets.at(-1), bytes);
  assert.deepEqual(values(column('c', pairs)), pairs);
});

test('declining carries the error of the contract', () => {
  assert.deepEqual(new Declined('no', 'unsupported').payload, { tag: 'unsupported', val: 'no' });
});
