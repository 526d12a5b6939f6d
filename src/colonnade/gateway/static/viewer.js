/* Inside the frame: waits for one structure from the page, and shows it. */
addEventListener("message", async (event) => {
  const { structure, text, background } = event.data ?? {};
  if (!structure || typeof text !== "string" || document.querySelector("figure")) return;
  document.documentElement.style.setProperty("--surface", background);
  const data = Object.assign(document.createElement("script"), { type: "application/json", id: "structure" });
  data.textContent = JSON.stringify(structure);
  const place = document.createElement("div");
  place.className = "molecule";
  place.dataset.molecule = "structure";
  place.dataset.href = URL.createObjectURL(new Blob([text]));
  const figure = document.createElement("figure");
  figure.append(place);
  document.body.append(data, figure);
  await window.colonnadeResults.start();
  const drawn = figure.classList.contains("live");
  parent.postMessage({ viewer: drawn ? "drawn" : "failed" }, "*");
});
parent.postMessage({ viewer: "ready" }, "*");
