/* A job while it waits and runs: its events as they happen. Without this script the page asks again by itself. */
import "./times.js";

const live = document.getElementById("live");
const bars = document.getElementById("bars");
const log = document.getElementById("log");
const previews = document.getElementById("previews");
const why = document.getElementById("why");
const MAX_LINES = 500;
const PAUSE = 400; // milliseconds between two drawings

const shown = new Map(); // the specification behind each plot, for when the theme changes

const source = new EventSource(`/api/v1/jobs/${live.dataset.job}/events?after=${live.dataset.offset}`);
source.addEventListener("progress", (event) => progress(JSON.parse(event.data)));
source.addEventListener("log", (event) => line(JSON.parse(event.data).message));
source.addEventListener("preview", (event) => {
  const { name, result } = JSON.parse(event.data);
  later(name, result);
});
source.addEventListener("state", (event) => state(JSON.parse(event.data)));
source.addEventListener("open", () => { live.dataset.connected = "true"; });
source.addEventListener("error", () => {
  // A browser connects again by itself, except when the job is gone.
  if (source.readyState === EventSource.CLOSED) location.reload();
});

function state(event) {
  if (["succeeded", "failed", "cancelled"].includes(event.state)) {
    source.close();
    location.reload();
    return;
  }
  if (event.state === live.dataset.state) return;
  live.dataset.state = event.state;
  const mark = document.querySelector("#state .state");
  mark.className = `state ${event.state}`;
  mark.textContent = event.state;
  if (event.state === "running") why.textContent = "Running.";
  if (event.state === "queued") why.textContent = "Its worker was lost; the job waits to go on from where it was.";
}

/* The place in the queue is not an event of the job: it is asked for while the job waits. */
async function position() {
  if (live.dataset.state !== "queued") return;
  const response = await fetch(`/api/v1/jobs/${live.dataset.job}`);
  if (response.ok) {
    const { queue_position: before } = await response.json();
    if (before) why.textContent = `Waiting: ${before} ${before === 1 ? "job comes" : "jobs come"} before this one, and all cores are busy.`;
    if (before === 0) why.textContent = "Waiting: it is the next to start, as soon as enough cores are free.";
  }
  setTimeout(position, 3000);
}
setTimeout(position, 3000);

/* --- progress ------------------------------------------------------------------------------------- */

function progress({ bar, label, done, total, time }) {
  const place = bars.querySelector(`[data-bar="${bar}"]`) ?? create(bar, label, time);
  if (done === 0) place.dataset.began = time;
  const share = done < 0 ? 1 : total ? Math.min(done / total, 1) : null;
  const meter = place.querySelector("progress");
  if (share === null) meter.removeAttribute("value");
  else meter.value = share;
  const spent = time - Number(place.dataset.began);
  const left = share > 0 && share < 1 ? ` · about ${duration((spent * (1 - share)) / share)} left` : "";
  const count = total ? `${done < 0 ? total : done} of ${total}` : done < 0 ? "done" : `${done}`;
  place.querySelector(".what").lastElementChild.textContent = count + left;
}

function create(bar, label, time) {
  const place = document.createElement("div");
  place.dataset.bar = bar;
  place.dataset.began = time;
  const what = Object.assign(document.createElement("div"), { className: "what" });
  what.append(Object.assign(document.createElement("span"), { textContent: label }), document.createElement("span"));
  const meter = document.createElement("progress");
  meter.max = 1;
  meter.setAttribute("aria-label", label);
  const inner = Object.assign(document.createElement("div"), { className: "bar" });
  inner.append(what, meter);
  place.append(inner);
  bars.append(place);
  return place;
}

function duration(seconds) {
  if (seconds < 10) return `${Math.max(seconds, 0.1).toPrecision(1)} s`;
  const parts = [];
  let left = Math.round(seconds);
  for (const [name, length] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const count = Math.floor(left / length);
    left -= count * length;
    if (count) parts.push(`${count} ${name}`);
  }
  return parts.slice(0, 2).join(" ");
}

/* --- log ------------------------------------------------------------------------------------------ */

function line(message) {
  document.getElementById("log-section").hidden = false;
  const below = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  log.append(Object.assign(document.createElement("div"), { textContent: message }));
  while (log.childElementCount > MAX_LINES) log.firstElementChild.remove();
  if (below) log.scrollTop = log.scrollHeight;
}

/* --- previews ------------------------------------------------------------------------------------- */

const waiting = new Map(); // the newest preview of each name that is still to be shown
let drawing = false;

/* A job may send previews faster than a browser draws: the newest is shown, those between are left out. */
async function later(name, result) {
  waiting.set(name, result);
  if (drawing) return;
  drawing = true;
  while (waiting.size) {
    const [[next, newest]] = waiting;
    waiting.delete(next);
    await preview(next, newest);
    await new Promise((resolve) => { setTimeout(resolve, PAUSE); });
  }
  drawing = false;
}

function preview(name, result) {
  let place = [...previews.children].find((child) => child.dataset.name === name);
  if (!place) {
    place = Object.assign(document.createElement("section"), { className: "result" });
    place.dataset.name = name;
    place.append(document.createElement("h2"), document.createElement("div"));
    previews.append(place);
  }
  place.firstElementChild.textContent = result.title || name;
  if (result.kind === "figure") return draw(place.lastElementChild, name, result.spec);
  return place.lastElementChild.replaceChildren(table(result));
}

function draw(place, name, spec) {
  place.className = "plot";
  place.setAttribute("role", "group");
  place.setAttribute("aria-label", `${name}, interactive plot`);
  shown.set(name, [place, spec]);
  return window.colonnadeResults.plot(place, spec);
}

function table(result) {
  const made = document.createElement("table");
  const head = made.createTHead().insertRow();
  for (const column of result.columns) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = column.unit ? `${column.name} (${column.unit})` : column.name;
    head.append(cell);
  }
  const body = made.createTBody();
  for (let row = 0; row < Math.min(result.data[0]?.length ?? 0, 100); row += 1) {
    const cells = body.insertRow();
    for (const column of result.data) cells.insertCell().textContent = column[row] ?? "–";
  }
  const scroll = Object.assign(document.createElement("div"), { className: "scroll", tabIndex: 0 });
  scroll.append(made);
  return scroll;
}

document.addEventListener("themechange", () => {
  for (const [place, spec] of shown.values()) window.colonnadeResults.plot(place, spec);
});

const given = JSON.parse(previews.dataset.given || "{}");
for (const [name, result] of Object.entries(given)) later(name, result);
