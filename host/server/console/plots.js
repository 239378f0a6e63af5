// Plots: SVG drawn from answers of the API. The tables beside them hold the same figures.
"use strict";
const svg = (name, attributes, parent, text) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
};
const frame = (label) => {
  const root = svg("svg", { viewBox: "0 0 720 320", role: "img", "aria-label": label });
  return root;
};
const scale = (from, to, low, high) => (value) => low + ((value - from) / (to - from || 1)) * (high - low);
// Trials that no other beats in recall and latency at once, fastest first.
const front = (trials) => {
  const sorted = [...trials].sort((a, b) => a.x - b.x || b.y - a.y);
  let best = -1;
  return sorted.filter((one) => one.y > best && ((best = one.y), true));
};
const drawTrials = (figure, answer) => {
  const { champion, version } = figure.dataset;
  const floor = Number(figure.dataset.floor);
  const budget = Number(figure.dataset.budget) || Infinity;
  const all = answer.trials
    .filter((t) => t.data_version === version)
    .map((t) => ({ x: t.metrics.search_latency_p95_us, y: t.metrics.recall_at_k, span: t.metrics.recall_interval, t }));
  if (all.length === 0) return null;
  const lows = all.map((one) => one.span?.low ?? one.y);
  const bottom = Math.max(0, Math.min(floor, ...lows) - 0.004);
  const xs = all.map((one) => Math.log10(one.x));
  const [left, right] = [Math.min(...xs) - 0.05, Math.max(...xs) + 0.05];
  const [x, y] = [scale(left, right, 60, 700), scale(bottom, 1, 280, 16)];
  const root = frame(`${all.length} trials by recall and latency`);
  const edge = budget === Infinity ? 700 : Math.max(60, Math.min(700, x(Math.log10(budget))));
  svg("rect", { class: "meets", x: 60, y: y(1) - 6, width: edge - 60, height: Math.max(0, y(floor) - y(1) + 6) }, root);
  for (let step = 0; step <= 4; step += 1) {
    const at = bottom + ((1 - bottom) * step) / 4;
    svg("line", { class: "grid", x1: 60, x2: 700, y1: y(at), y2: y(at) }, root);
    svg("text", { x: 52, y: y(at) + 4, "text-anchor": "end" }, root, at.toFixed(3));
    const value = left + ((right - left) * step) / 4;
    svg("text", { x: x(value), y: 298, "text-anchor": step === 4 ? "end" : "middle" }, root, `${(10 ** value).toFixed(0)} µs`);
  }
  svg("text", { x: 380, y: 316, "text-anchor": "middle" }, root, "p95 of latency");
  const line = front(all);
  const px = (one) => x(Math.log10(one.x));
  svg("path", { class: "front", d: line.map((one, at) => (at ? `H${px(one)}V${y(one.y)}` : `M${px(one)} ${y(one.y)}`)).join("") }, root);
  for (const one of all) {
    if (one.span) svg("line", { class: "span", x1: px(one), x2: px(one), y1: y(one.span.low), y2: y(one.span.high) }, root);
    const dot = svg("circle", { class: line.includes(one) ? "dot on" : "dot", cx: px(one), cy: y(one.y), r: 5, "data-trial": one.t.id }, root);
    const { m, ef_construction: c, ef_search: s } = one.t.config;
    svg("title", {}, dot, `${one.t.id}: recall ${one.y}, p95 ${one.x} µs, m ${m}, ef_construction ${c}, ef_search ${s}`);
    if (one.t.id === champion) {
      svg("circle", { class: "ring", cx: px(one), cy: y(one.y), r: 10 }, root);
      svg("text", { x: px(one), y: y(one.y) + 26, "text-anchor": "middle" }, root, "serves");
    }
  }
  return root;
};
const drawRecall = (figure, answer) => {
  const points = answer.history.map((p) => ({ x: Date.parse(p.at), y: p.recall, n: p.samples }));
  if (points.length === 0) return null;
  const floor = Number(figure.dataset.floor);
  const bottom = Math.max(0, Math.min(floor, ...points.map((p) => p.y)) - 0.02);
  const times = points.map((p) => p.x);
  const [x, y] = [scale(Math.min(...times), Math.max(...times), 70, 690), scale(bottom, 1, 280, 16)];
  const root = frame("recall over the last day");
  for (const at of [bottom, (bottom + 1) / 2, 1]) {
    svg("line", { class: "grid", x1: 60, x2: 700, y1: y(at), y2: y(at) }, root);
    svg("text", { x: 52, y: y(at) + 4, "text-anchor": "end" }, root, at.toFixed(3));
  }
  svg("line", { class: "floor", x1: 60, x2: 700, y1: y(floor), y2: y(floor) }, root);
  svg("path", { class: "front", d: points.map((p, at) => `${at ? "L" : "M"}${x(p.x)} ${y(p.y)}`).join("") }, root);
  for (const p of points) svg("title", {}, svg("circle", { class: "dot on", cx: x(p.x), cy: y(p.y), r: 4 }, root), `${new Date(p.x).toLocaleTimeString()}: ${p.y} over ${p.n} searches`);
  return root;
};
window.drawPlot = async (figure) => {
  const place = figure.querySelector(".loading, svg, .empty, .problem");
  const response = await fetch(figure.dataset.url);
  const answer = await response.json();
  let made;
  if (!response.ok) {
    made = document.createElement("div");
    made.className = "problem";
    made.textContent = `${answer.code}: ${answer.detail}`;
  } else {
    made = figure.dataset.plot === "trials" ? drawTrials(figure, answer) : drawRecall(figure, answer);
    if (!made) {
      made = document.createElement("p");
      made.className = "empty";
      made.textContent = "Nothing to draw yet.";
    }
  }
  place?.replaceWith(made);
};
