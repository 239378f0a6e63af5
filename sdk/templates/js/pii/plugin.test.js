// The plugin's logic, without a component around it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { column } from './boathouse-sdk.js';
import { detect } from './plugin.js';

const once = (...texts) => texts.map((text) => [text, 1]);

test('employee numbers are found and order numbers are not', () => {
  const columns = [
    column('order', once('E12', 'X000123', 'E1234567', '000123')),
    column('employee', once('E000123', 'E000124', 'E999999', 'unknown')),
  ];
  const findings = detect({ name: 't', columns, extra: [] });
  assert.deepEqual(findings.map(({ column: at, evidence }) => [at, evidence.matched]), [[1, 3]]);
  assert.ok(findings[0].confidence >= 0 && findings[0].confidence <= 1);
});
