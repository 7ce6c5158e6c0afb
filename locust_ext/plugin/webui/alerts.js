// The page of the alerts. It asks for alerts.json every two seconds and changes what has changed, in place: what is being
// typed, the focus and the selection stay. Names from outside reach the page as text only.

const EVERY_MS = 2000;
const DEADLINE_MS = 8000;
const MOST_VALUES = 8;
const SLOTS = { warning: "Warning", critical: "Critical", low_warning: "Low warning", low_critical: "Low critical" };

const $ = (id) => document.getElementById(id);
let lastAt = null;
let timer = null;
let changesMade = 0;
let fieldsMade = 0;

try {
  if (["light", "dark"].includes(localStorage.theme)) document.documentElement.dataset.theme = localStorage.theme;
} catch { /* no storage: as the system says */ }

// ── building ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// Without control and direction characters, which would change more than their own place.
function plain(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, "?");
}

function make(tag, { text, ...attributes } = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = plain(text);
  node.append(...children);
  return node;
}

function say(node, text) {
  const shown = plain(text);
  if (node.textContent !== shown) node.textContent = shown;
}

function show(node, isShown) {
  node.hidden = !isShown;
}

// One child for each item, kept as long as its key is there; moved only where the order has changed.
function keyed(parent, items, keyOf, create, update) {
  const known = parent.known ??= new Map();
  const wanted = new Map(items.map((item) => [String(keyOf(item)), item]));
  for (const [key, node] of known) {
    if (!wanted.has(key)) {
      node.remove();
      known.delete(key);
    }
  }
  let place = parent.firstChild;
  for (const [key, item] of wanted) {
    let node = known.get(key);
    if (!node) known.set(key, node = create(item));
    if (node === place) place = place.nextSibling;
    else parent.insertBefore(node, place);
    update(node, item);
  }
}

function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

function chipOf(node, text, kind) {
  say(node, text);
  node.className = `chip ${kind}`;
}

const MARKS = { critical: "◆ CRITICAL", warning: "▲ WARNING" };
const isQuiet = (state) => state === "resolved" || state === "acknowledged" || state === "pending";

// ── talking to Locust ─────────────────────────────────────────────────────────────────────────────────────────────────

async function ask(path, body) {
  const options = { cache: "no-store", signal: AbortSignal.timeout(DEADLINE_MS) };
  if (body !== undefined) {
    Object.assign(options, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  }
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("Locust does not answer; it may have ended.");
  }
  const isJson = (answer.headers.get("Content-Type") ?? "").startsWith("application/json");
  if (answer.redirected || answer.status === 401) throw new Error("You are not logged in any more: go back to Locust and log in.");
  if (!isJson) throw new Error(`Locust's answer is not understood (status ${answer.status}).`);
  const told = await answer.json();
  if (!answer.ok) throw new Error(told.error ?? `status ${answer.status}`);
  return told;
}

async function refresh() {
  clearTimeout(timer);
  const changesBefore = changesMade;
  try {
    const told = await ask("alerts.json");
    if (changesBefore !== changesMade) return refresh();  // it may be from before that change
    lastAt = new Date();
    draw(told);
    show($("trouble"), false);
  } catch (error) {
    say($("trouble"), `${error.message}${lastAt ? ` These figures are of ${lastAt.toLocaleTimeString()}.` : ""}`);
    show($("trouble"), true);
  }
  clearTimeout(timer);
  if (!document.hidden) timer = setTimeout(refresh, EVERY_MS);
}

// ── drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function draw(told) {
  const { run } = told;
  say($("run"), told.is_run
    ? `A run is going on, ${clock(run.duration_s)}${run.host ? ` · ${run.host}` : ""}`
    : run.id ? "No run is going on; the rules look at what the monitor reads" : "No run yet");
  drawAlerts(told);
  drawMonitor(told.monitor);
  drawRules(told);
  drawChanges(told);
  say($("updated"), `Updated ${lastAt.toLocaleTimeString()}`);
}

function drawAlerts({ alerts, has_rules, now_s }) {
  const live = alerts.filter(({ state }) => state !== "resolved");
  const firing = alerts.filter(({ state }) => state === "firing").length;
  document.title = `${firing ? `(${firing}) ` : ""}Alerts · Locust`;
  say($("firing-count"), firing ? `${firing} firing` : "");
  say($("no-alerts"), has_rules ? "No alert: every rule keeps its limits." : "No alert: there are no rules.");
  show($("no-alerts"), live.length === 0);
  keyed($("alerts"), live, ({ id, rule, since_s }) => `${id} ${rule} ${since_s}`, makeAlert, (node, alert) => {
    const { parts } = node;
    node.className = `alert ${alert.severity} ${isQuiet(alert.state) ? "is-quiet" : ""}`;
    chipOf(parts.severity, MARKS[alert.severity] ?? alert.severity, isQuiet(alert.state) ? "" : alert.severity);
    chipOf(parts.state, alert.state, "");
    say(parts.value, alert.value_text);
    say(parts.limit, `limit ${alert.limit} · worst ${alert.worst_text}`);
    const since = now_s == null ? `since ${clock(alert.since_s)}` : `for ${clock(now_s - alert.since_s)}`;
    say(parts.since, `${alert.subject ? `worker ${alert.subject} · ` : ""}${since}`);
    show(parts.button, alert.state === "firing");
  });
}

function makeAlert(alert) {
  const parts = {
    severity: make("span"), state: make("span"), value: make("strong"), limit: make("span", { class: "quiet" }),
    since: make("span", { class: "quiet" }), error: make("span", { class: "error", role: "alert" }),
    button: make("button", { type: "button", text: "Acknowledge", "aria-label": `Acknowledge ${alert.rule}` }),
  };
  parts.button.onclick = () => perform(parts.button, parts.error, `alerts/${alert.id}/acknowledge`, { rule: alert.rule });
  const node = make("li", {},
    make("span", { class: "name", text: alert.rule }), make("span", { class: "chips" }, parts.severity, parts.state),
    make("span", { class: "said" }, parts.value, parts.limit),
    make("span", { class: "foot" }, parts.since, parts.button, parts.error));
  return Object.assign(node, { parts });
}

async function perform(button, error, path, body) {
  button.disabled = true;
  try {
    await ask(path, body);
    changesMade += 1;
    say(error, "");
    await refresh();
  } catch (problem) {
    say(error, problem.message);
  }
  button.disabled = false;
}

function drawMonitor({ is_running, columns, sources }) {
  chipOf($("monitor-state"), is_running == null ? "no monitor in this process" : is_running ? "● monitor is running" : "■ monitor is stopped",
    is_running ? "good" : "");
  const button = $("monitor-switch");
  show(button, is_running != null);
  say(button, is_running ? "Stop the monitor" : "Start the monitor");
  button.className = is_running ? "plain" : "";
  button.onclick = () => perform(button, $("monitor-error"), "monitor", { running: !is_running });
  say($("no-sources"), is_running ? "Nothing has been read yet." : "Nothing has been read: the monitor is stopped.");
  show($("no-sources"), sources.length === 0);
  show($("sources"), sources.length > 0);
  const head = ["Source", "Memory leak", ...columns.map(({ label }) => label), "Others"];
  const body = $("sources").tBodies[0];
  if (body.head !== head.join("\n")) {  // another source, or another metric
    body.head = head.join("\n");
    body.replaceChildren();
    body.known = new Map();
    $("sources").tHead.replaceChildren(make("tr", {}, ...head.map((text) => make("th", { text }))));
  }
  keyed(body, sources, ({ name }) => name, () => make("tr"), (row, source) => drawSource(row, source, columns));
}

function drawSource(row, source, columns) {
  while (row.cells.length < columns.length + 3) row.append(make("td", {}, make("span"), make("span", { class: "sub" })));
  const put = (at, label, text, sub = "", kind = "") => {
    const cell = row.cells[at];
    say(cell.firstChild, text || "–");
    say(cell.lastChild, sub);
    cell.className = `${kind} ${text ? "" : "is-absent"}`;
    if (label) cell.dataset.label = label;
  };
  put(0, "", source.name, source.limits && `may use ${source.limits}`);
  put(1, "Memory leak", source.leak?.text, "", `text ${source.leak?.verdict === "leak likely" ? "error" : ""}`);
  columns.forEach(({ metric, label }, number) => {
    const figure = source.figures[metric];
    put(number + 2, label, figure?.current, figure?.about);
  });
  const others = Object.entries(source.others).map(([name, text]) => `${name} ${text}`);
  put(columns.length + 2, "Others", others.join(", "), "", "text");
}

function drawRules({ rules, has_rules }) {
  show($("no-rules"), !has_rules);
  show($("rules"), rules.length > 0);
  show($("rules-help"), rules.length > 0);
  say($("rules-count"), rules.length ? String(rules.length) : "");
  keyed($("rules").tBodies[0], rules, ({ name }) => name, makeRule, (row, rule) => {
    const { parts } = row;
    const seconds = (value) => (value == null ? "the whole run" : `${value} s`);
    say(parts.about, rule.title);
    say(parts.when, `over ${seconds(rule.window_s)}${rule.for_s ? `, for ${seconds(rule.for_s)}` : ""}`);
    const values = rule.values.map(({ subject, text }) => (subject ? `worker ${subject}: ${text}` : text));
    say(parts.value, values.slice(0, MOST_VALUES).join(", ") + (values.length > MOST_VALUES ? ", …" : "") || "–");
    chipOf(parts.state, rule.state, { critical: "critical", warning: "warning", ok: "good" }[rule.state] ?? "");
    const hasHigh = rule.warning != null || rule.critical != null, hasLow = rule.low_warning != null || rule.low_critical != null;
    const slots = Object.keys(SLOTS).filter((slot) => (slot.startsWith("low_") ? hasLow : hasHigh || !hasLow));
    for (const [slot, field] of parts.fields) {
      field.update(rule[slot] ?? "");
      show(field.node, slots.includes(slot) || field.isTouched());
    }
  });
}

function makeRule(rule) {
  const parts = {
    about: make("span"), when: make("span", { class: "sub" }), value: make("span"), state: make("span"),
    fields: new Map(Object.keys(SLOTS).map((slot) => [slot, makeField(rule.name, slot)])),
  };
  const about = make("span", { class: "sub" }, parts.about);
  if (rule.help) about.title = rule.help;
  const row = make("tr", {},
    make("td", {}, make("strong", { text: rule.name }), about, parts.when), make("td", {}, parts.state),
    make("td", {}, parts.value),
    make("td", {}, make("div", { class: "limits" }, ...[...parts.fields.values()].map(({ node }) => node))));
  return Object.assign(row, { parts });
}

// One limit: a field, a button that is there while something else is typed than what holds, and what came of it.
function makeField(rule, slot) {
  const id = `limit-${++fieldsMade}`;
  const input = make("input", { id, type: "text", autocomplete: "off", spellcheck: "false", placeholder: "none",
    maxlength: "60", "aria-label": `${SLOTS[slot]} limit of ${rule}`, "aria-describedby": `${id}-note` });
  const button = make("button", { type: "button", text: "Set", hidden: "" });
  const note = make("span", { id: `${id}-note`, class: "note", role: "status" });
  const node = make("div", { class: "limit" }, make("label", { for: id, text: SLOTS[slot] }),
    make("span", { class: "entry" }, input, button), note);
  let held = "", isSaving = false;
  const isTouched = () => input.value.trim() !== held;
  const tell = (text, kind) => {
    say(note, text);
    note.className = `note ${kind}`;
    input.setAttribute("aria-invalid", String(kind === "error"));
  };
  input.oninput = () => { tell("", ""); show(button, isTouched()); };
  input.onkeydown = ({ key, isComposing }) => {
    if (key === "Enter" && !isComposing && isTouched()) button.onclick();
    if (key === "Escape") { input.value = held; input.oninput(); }
  };
  button.onclick = async () => {
    if (isSaving) return;
    isSaving = button.disabled = true;
    const typed = input.value.trim();
    try {
      const told = await ask(`rules/${encodeURIComponent(rule)}/threshold`, { severity: slot, value: typed === "" ? null : typed });
      changesMade += 1;
      const isAsSent = input.value.trim() === typed;
      held = told[slot] ?? "";
      if (isAsSent) input.value = held;
      tell("set", "saved");
      show(button, isTouched());
      await refresh();  // a limit from below has gone to a field of its own
    } catch (problem) {
      tell(problem.message, "error");
    }
    isSaving = button.disabled = false;
  };
  const update = (value) => {
    const wasTouched = isTouched();
    held = value;
    if (!wasTouched && input.value !== value) input.value = value;
    show(button, isTouched());
  };
  return { node, isTouched, update };
}

function drawChanges({ changes, last_run }) {
  show($("no-changes"), changes.length + last_run.length === 0);
  show($("last-run-title"), last_run.length > 0);
  for (const [id, items] of [["changes", changes], ["last-run", last_run]]) {
    const keyOf = ({ at_s, alert, state, rule }) => `${at_s} ${alert} ${state} ${rule}`;
    keyed($(id), items, keyOf, makeChange, () => {});
  }
}

function makeChange({ at_s, state, severity, rule, text, limit }) {
  const chip = make("span", { text: state, class: `chip ${state === "firing" ? severity : state === "resolved" ? "good" : ""}` });
  return make("li", {}, make("span", { class: "at", text: clock(at_s) }), make("span", {}, chip),
    make("span", { class: "text", text: text || `${severity}: ${rule} ${limit}` }));
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
refresh();
