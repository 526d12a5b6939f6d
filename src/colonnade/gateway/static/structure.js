/* Hands each structure of the page to a frame that shows it (see statics.py: the frame has no rights of this page). */
const places = [...document.querySelectorAll("[data-molecule]")];

const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting) {
      seen.unobserve(entry.target);
      show(entry.target);
    }
  }
}, { rootMargin: "300px" });
for (const place of places) seen.observe(place.closest("figure"));

async function show(figure) {
  const place = figure.querySelector("[data-molecule]");
  const response = await fetch(place.dataset.href);
  if (!response.ok) return;
  const structure = JSON.parse(document.getElementById(place.dataset.molecule).textContent);
  const message = { structure, text: await response.text(), background: background() };
  const frame = document.createElement("iframe");
  frame.className = "molecule";
  frame.src = "/static/viewer";
  frame.title = place.getAttribute("aria-label");
  frame.sandbox = "allow-scripts";
  addEventListener("message", (event) => {
    if (event.source !== frame.contentWindow) return;
    if (event.data?.viewer === "ready") frame.contentWindow.postMessage(message, "*");
    if (event.data?.viewer === "drawn") figure.classList.add("live");
    if (event.data?.viewer === "failed") frame.remove();
  });
  place.after(frame);
}

/* The page's own colour, in the one notation that the scene format takes. */
function background() {
  const color = getComputedStyle(document.documentElement).getPropertyValue("--surface").trim();
  const parts = color.match(/[\d.]+/g)?.slice(0, 3).map((part) => Math.round(Number(part)).toString(16).padStart(2, "0"));
  return color.startsWith("#") ? color : `#${parts.join("")}`;
}

document.addEventListener("themechange", () => {
  for (const frame of document.querySelectorAll("iframe.molecule")) {
    const figure = frame.closest("figure");
    frame.remove();
    show(figure);
  }
});
