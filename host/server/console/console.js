// What pages do beyond showing: forms become calls of the API, events of the API bring pages up to date.
"use strict";
const tell = (output, text, bad) => {
  if (!output) return;
  output.textContent = text;
  output.className = bad ? "problem" : "";
  output.setAttribute("role", bad ? "alert" : "status");
};
const words = (problem) => `${problem.code ?? "error"}: ${problem.detail ?? "the host gave no reason"}`;
const call = async (method, path, options = {}) => {
  const response = await fetch(path, { method, ...options });
  const text = await response.text();
  let answer = {};
  try {
    answer = text ? JSON.parse(text) : {};
  } catch {
    answer = { detail: text };
  }
  if (!response.ok) throw Object.assign(new Error(words(answer)), { answer });
  return { answer, response };
};
// Reads server-sent events, whatever their names; goes on after the last one when the connection ends.
const follow = async (path, heard, last) => {
  const headers = { accept: "text/event-stream", ...(last ? { "last-event-id": last } : {}) };
  const response = await fetch(path, { headers });
  if (!response.ok || !response.body) return last;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return last;
    const blocks = (rest + value).split(/\n\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { data: "" };
      for (const line of block.split("\n")) {
        const at = line.indexOf(":");
        if (at > 0) event[line.slice(0, at)] = line.slice(at + 1).trim();
      }
      if (event.id) last = event.id;
      if (event.event) heard(event);
    }
  }
};
// Takes over what the server now says of every part that has an id, but not where somebody is typing.
const refresh = async () => {
  const response = await fetch(location.href);
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of document.querySelectorAll("main [id]")) {
    const fresh = page.getElementById(part.id);
    const busy = part.contains(document.activeElement) || part.querySelector("[aria-busy=true]");
    if (fresh && !busy) part.replaceWith(document.adoptNode(fresh));
  }
  for (const figure of document.querySelectorAll("[data-plot]")) {
    const fresh = page.querySelector(`[data-plot=${figure.dataset.plot}]`);
    if (fresh) Object.assign(figure.dataset, fresh.dataset);
    drawPlot(figure);
  }
  times();
};
let waiting;
const soon = () => {
  waiting ??= setTimeout(() => {
    waiting = undefined;
    refresh().catch(() => {});
  }, 300);
};
const times = () => {
  for (const time of document.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.valueOf())) time.textContent = at.toLocaleString(undefined, { dateStyle: "short", timeStyle: "medium" });
  }
};
const followTask = (id, output) =>
  follow(`/tasks/${id}/events`, (event) => {
    const data = event.data ? JSON.parse(event.data) : {};
    const stage = data.progress?.stage ?? data.stage ?? event.event;
    tell(output, stage, false);
    soon();
  });
const body = (form) => {
  const fields = {};
  for (const field of form.elements) {
    if (!field.name || field.value === "" || field.type === "file") continue;
    fields[field.name] = field.type === "number" ? Number(field.value) : field.value;
  }
  return fields;
};
const busy = async (form, work) => {
  const button = form.querySelector("button");
  const output = form.querySelector("output");
  button.setAttribute("aria-busy", "true");
  tell(output, "Working…", false);
  try {
    await work(output);
  } catch (error) {
    const checks = error.answer?.report?.checks ?? [];
    const failed = checks.map((check) => `${check.outcome === "passed" ? "✓" : "✗"} ${check.name}`).join("  ");
    tell(output, failed ? `${error.message} — ${failed}` : error.message, true);
  } finally {
    button.removeAttribute("aria-busy");
  }
};
const send = (form) =>
  busy(form, async (output) => {
    if (form.dataset.confirm && !confirm(form.dataset.confirm)) return tell(output, "", false);
    const [method, path] = form.dataset.api.split(" ");
    const fields = body(form);
    const headers = {};
    if ("async" in form.dataset) headers.prefer = "respond-async";
    const options = { headers };
    if (Object.keys(fields).length > 0) {
      headers["content-type"] = "application/json";
      options.body = JSON.stringify(fields);
    }
    const { answer, response } = await call(method, path, options);
    if (response.status === 202 && answer.id) {
      await followTask(answer.id, output);
      const { answer: task } = await call("GET", `/tasks/${answer.id}`);
      if (task.state === "failed") throw Object.assign(new Error(words(task.error ?? {})), { answer: task.error });
    }
    tell(output, "Done.", false);
    if (form.dataset.then) location.assign(form.dataset.then);
    else document.activeElement?.blur?.();
    soon();
  });
const upload = (form) =>
  busy(form, async (output) => {
    const file = form.elements.file.files[0];
    const { dataset, mode, kind, name } = body(form);
    if ("plugin" in form.dataset) {
      const { answer } = await call("POST", `/plugins/${kind}/${name}/versions`, { body: file });
      location.assign(`/console/plugins/${kind}/${name}/${answer.version?.version ?? ""}`);
      return;
    }
    const extension = file.name.split(".").pop().toLowerCase();
    const query = new URLSearchParams({ dataset, mode, label: file.name });
    if (["csv", "json", "parquet"].includes(extension)) query.set("format", extension);
    const { answer } = await call("POST", `/ingest/file?${query}`, { body: file });
    await followTask(answer.id, output);
    const { answer: task } = await call("GET", `/tasks/${answer.id}`);
    if (task.state !== "succeeded") throw Object.assign(new Error(words(task.error ?? {})), { answer: task.error });
    location.assign(`/console/datasets/${encodeURIComponent(dataset)}`);
  });
const table = (rows, columns) => {
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const name of columns) {
    const cell = document.createElement("th");
    cell.textContent = name;
    head.append(cell);
  }
  const into = made.createTBody();
  for (const row of rows) {
    const line = into.insertRow();
    columns.forEach((name, at) => {
      const value = Array.isArray(row) ? row[at] : row[name];
      line.insertCell().textContent = value === null || value === undefined ? "null" : typeof value === "object" ? JSON.stringify(value) : value;
    });
  }
  return made;
};
const query = (form) =>
  busy(form, async (output) => {
    const headers = { "content-type": "application/json", accept: "application/json" };
    const { answer } = await call("POST", "/query", { headers, body: JSON.stringify({ sql: form.elements.sql.value, format: "json" }) });
    const rows = Array.isArray(answer) ? answer : (answer.rows ?? []);
    const named = (answer.columns ?? Object.keys(rows[0] ?? {})).map((column) => column.name ?? column);
    document.getElementById("answer").replaceChildren(table(rows, named));
    tell(output, `${rows.length} rows`, false);
  });
document.addEventListener("submit", (event) => {
  const form = event.target;
  const work = form.dataset.api ? send : "sql" in form.dataset ? query : "upload" in form.dataset || "plugin" in form.dataset ? upload : undefined;
  if (!work) return;
  event.preventDefault();
  work(form);
});
for (const form of document.querySelectorAll(".drop")) {
  form.addEventListener("dragover", (event) => {
    event.preventDefault();
    form.classList.add("over");
  });
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.classList.remove("over");
    form.elements.file.files = event.dataTransfer.files;
  });
}
times();
for (const figure of document.querySelectorAll("[data-plot]")) drawPlot(figure).catch(() => {});
for (const part of document.querySelectorAll("[data-follow]")) {
  follow(part.dataset.follow, soon).then(soon).catch(() => {});
}
const live = document.body.dataset.live;
if (live) {
  const pause = 3000;
  const listen = async (last) => {
    const reached = await follow(live, soon, last).catch(() => last);
    setTimeout(() => listen(reached), pause);
  };
  listen();
}
