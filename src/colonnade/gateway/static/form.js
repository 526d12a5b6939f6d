/* What makes the form pleasant: it works without. Rows come and go in place, files upload when they are chosen,
   numbers are held to their range when one leaves the field. The server has the last word in all of it. */
const form = document.getElementById("inputs");

/* --- rows of a list ------------------------------------------------------------------------------ */

let fresh = Date.now() % 1e9; // a row's number only tells it from the others

form.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.matches("[data-add]")) add(event, button);
  if (button?.matches("[data-remove]")) remove(event, button);
});

function add(event, button) {
  event.preventDefault();
  const rows = button.closest("[data-rows]");
  const holder = document.createElement("div");
  const path = rows.dataset.rows;
  const own = `${path}.__row__`, number = String(fresh++);
  const ids = (text) => text.replaceAll(".", "-");
  holder.innerHTML = rows.querySelector(":scope > template").innerHTML
    .replaceAll(own, `${path}.${number}`)
    .replaceAll(ids(own), ids(`${path}.${number}`))
    .replaceAll('value="__row__"', `value="${number}"`);
  const row = holder.firstElementChild;
  rows.querySelector(":scope > [data-list]").append(row);
  for (const place of row.querySelectorAll("[data-upload]")) watch(place);
  count(rows);
  row.querySelector("input:not([type=hidden]), select, textarea")?.focus();
}

function remove(event, button) {
  event.preventDefault();
  const rows = button.closest("[data-rows]");
  button.closest("[data-row]").remove();
  count(rows);
  rows.querySelector(":scope > [data-add]").focus();
}

function count(rows) {
  rows.querySelectorAll(":scope > [data-list] > [data-row]").forEach((row, index) => {
    row.querySelector(":scope > legend [data-count]").textContent = index + 1;
  });
}

/* --- numbers -------------------------------------------------------------------------------------- */

form.addEventListener("focusout", (event) => {
  if (event.target.matches("[data-number]")) say(event.target, fault(event.target));
});

/* 300k and 1.5M are numbers too. */
function numberIn(text) {
  const short = /^(\d+(?:\.\d+)?)([kM])$/.exec(text);
  return short ? short[1] * (short[2] === "k" ? 1e3 : 1e6) : Number(text);
}

function fault(input) {
  const text = input.value.trim();
  if (!text) return "";
  const value = numberIn(text), { min, max, range, number } = input.dataset;
  const kind = number === "integer" ? "a whole number" : "a number";
  if (!Number.isFinite(value)) return `This must be ${kind}${range ? `, ${range}` : ""}.`;
  if (number === "integer" && !Number.isInteger(value)) return "This must be a whole number.";
  if ((min !== undefined && value < Number(min)) || (max !== undefined && value > Number(max))) return `This must be ${range}.`;
  return "";
}

function say(input, message) {
  const field = input.closest(".field"), id = `${input.id}-error`;
  let place = document.getElementById(id);
  field.classList.toggle("wrong", Boolean(message));
  if (!message) {
    place?.remove();
    input.removeAttribute("aria-invalid");
    describe(input, id, false);
    return;
  }
  if (!place) {
    place = Object.assign(document.createElement("p"), { id, className: "error" });
    input.closest(".measure, input, .upload")?.before(place);
  }
  place.textContent = message;
  input.setAttribute("aria-invalid", "true");
  describe(input, id, true);
}

function describe(input, id, wanted) {
  const ids = new Set((input.getAttribute("aria-describedby") ?? "").split(/\s+/).filter(Boolean));
  if (wanted) ids.add(id);
  else ids.delete(id);
  if (ids.size) input.setAttribute("aria-describedby", [...ids].join(" "));
  else input.removeAttribute("aria-describedby");
}

/* --- files ---------------------------------------------------------------------------------------- */

const running = new Set();

for (const place of form.querySelectorAll("[data-upload]")) watch(place);

function watch(place) {
  const input = place.querySelector("input[type=file]");
  input.addEventListener("change", () => take(place, input, [...input.files]));
  place.addEventListener("dragover", (event) => {
    event.preventDefault();
    place.classList.add("over");
  });
  for (const kind of ["dragleave", "drop"]) place.addEventListener(kind, () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    take(place, input, [...event.dataTransfer.files]);
  });
}

async function take(place, input, files) {
  if (!("many" in place.dataset)) files = files.slice(0, 1);
  const status = place.querySelector("[data-status]");
  say(input, "");
  for (const file of files) {
    const limit = Math.min(Number(place.dataset.limit ?? Infinity), Number(form.dataset.limit));
    if (file.size > limit) {
      say(input, `“${file.name}” is larger than the ${size(limit)} that are taken.`);
      continue;
    }
    const sending = send(file, (share) => { status.textContent = `Sending ${file.name}: ${Math.round(100 * share)} %`; });
    running.add(sending);
    try {
      keep(place, input, await sending);
      status.textContent = `${file.name} is here.`;
    } catch (error) {
      status.textContent = "";
      say(input, error.message);
    } finally {
      running.delete(sending);
    }
  }
  input.value = ""; // what was sent is named by its reference now
}

function send(file, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `/api/v1/uploads/${encodeURIComponent(file.name)}`);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onload = () => {
      if (request.status === 201) resolve(request.response);
      else reject(new Error(request.response?.detail ?? "The file could not be sent."));
    };
    request.onerror = () => reject(new Error("The file could not be sent; the gateway may have refused it for its size."));
    request.send(file);
  });
}

function keep(place, input, reference) {
  const list = place.querySelector("[data-kept]");
  if (!("many" in place.dataset)) list.replaceChildren();
  const item = document.createElement("li");
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), {
    type: "checkbox", name: `${place.dataset.name}:kept`, value: JSON.stringify(reference), checked: true,
  });
  const name = Object.assign(document.createElement("span"), { className: "filename", textContent: reference.name });
  const bytes = Object.assign(document.createElement("span"), { className: "quiet", textContent: size(reference.size) });
  label.append(box, name, bytes);
  item.append(label);
  list.append(item);
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let index = 0;
  while (bytes >= 1000 && index < units.length - 1) { bytes /= 1000; index += 1; }
  return `${index ? bytes.toFixed(1) : bytes} ${units[index]}`;
}

/* --- sending -------------------------------------------------------------------------------------- */

form.addEventListener("submit", async (event) => {
  const note = document.getElementById("submitting");
  if (running.size) {
    event.preventDefault();
    note.textContent = "Waiting for the files …";
    await Promise.allSettled([...running]);
    form.requestSubmit(form.querySelector("[name=_run]"));
    return;
  }
  note.textContent = "Checking the inputs …";
});
addEventListener("pageshow", () => { document.getElementById("submitting").textContent = ""; });

form.querySelector("[autofocus]")?.focus();
