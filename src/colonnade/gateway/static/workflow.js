/* A workflow while it runs: its picture and its steps as they change. Without this script the page asks again by itself. */
import "./times.js";

const live = document.getElementById("live");
const ENDED = ["succeeded", "failed", "cancelled"];

if (!ENDED.includes(live.dataset.state)) {
  const source = new EventSource(`/api/v1/workflows/${live.dataset.workflow}/events`);
  source.addEventListener("open", () => { live.dataset.connected = "true"; });
  source.addEventListener("state", (event) => {
    const now = JSON.parse(event.data);
    if (ENDED.includes(now.state)) {
      source.close();
      location.reload();
      return;
    }
    show(now);
  });
  source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) location.reload(); });
}

function show(now) {
  const drawn = new DOMParser().parseFromString(now.picture, "image/svg+xml").documentElement;
  if (drawn.nodeName === "svg") document.getElementById("picture").replaceChildren(document.importNode(drawn, true));
  const note = document.getElementById("note");
  note.textContent = now.note;
  note.hidden = !now.note;
  for (const step of now.steps) {
    const place = live.querySelector(`[data-step="${CSS.escape(step.name)}"] [data-says]`);
    if (place) place.textContent = step.says;
  }
}
