// {{name}}: decides which configuration to try next.
//
// Three times of four it goes from the champion one step down, none, or one step up on each knob, otherwise anywhere
// within bounds. It never proposes what has been tried.

import { Chance, description, draw, moved, rows } from './boathouse-sdk.js';

const DRAWS = 1000;

export function describe() {
  return description({
    name: '{{name}}',
    version: '0.1.0',
    kind: '{{kind}}',
    summary: 'Mostly one step from the champion, now and then anywhere.',
    reads: ['champion', 'seed', 'settings'],
  });
}

export function propose({ knobs, trials, champion, seed }) {
  const chance = new Chance(seed);
  const list = rows(trials);
  const tried = new Set(list.map((row) => row.settings.join()));
  for (let drawn = 0; drawn < DRAWS; drawn += 1) {
    const near = champion !== undefined && chance.unit() < 0.75;
    const settings = knobs.map((knob, at) => near
      ? moved(knob, list[champion].settings[at], chance.below(3) - 1)
      : draw(knob, chance));
    if (!tried.has(settings.join())) {
      const reason = near ? 'near the champion' : 'anywhere';
      return { tag: 'configuration', val: { settings: Uint32Array.from(settings), reason } };
    }
  }
  return { tag: 'exhausted', val: `${DRAWS} draws met only what has been tried` };
}
