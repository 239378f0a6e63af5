// {{name}}: decides which columns hold personal data.
//
// As an example it knows one kind that no general detector can: the numbers that your company gives its people, an
// `E` with six digits. A column is reported when most of its values look like one.

import { description, finding, values } from './boathouse-sdk.js';

export function describe() {
  return description({
    name: '{{name}}',
    version: '0.1.0',
    kind: '{{kind}}',
    summary: 'Finds columns with employee numbers.',
    reads: ['name', 'values'],
  });
}

export function detect(table) {
  return table.columns.flatMap((column, at) => {
    const texts = values(column).map(([text]) => text);
    const matched = texts.filter((text) => /^E[0-9]{6}$/.test(text)).length;
    const share = matched / Math.max(texts.length, 1);
    const named = column.name.toLowerCase().includes('employee');
    if (matched < 3 || share < 0.5) return [];
    return [finding({
      column: at,
      kind: 'employee_number',
      confidence: (named ? 0.99 : 0.9) * share,
      tested: texts.length,
      matched,
      nameEvidence: named ? 1 : 0,
    })];
  });
}
