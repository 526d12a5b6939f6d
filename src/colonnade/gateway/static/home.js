/* The search box filters while one types; without this script it asks the server. */
const box = document.getElementById("q");
const found = document.getElementById("found");
const items = [...document.querySelectorAll("[data-service]")];

function filter() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const item of items) {
    item.hidden = !words.every((word) => item.dataset.service.includes(word));
    shown += item.hidden ? 0 : 1;
  }
  for (const column of document.querySelectorAll("[data-column]")) {
    column.hidden = !column.querySelector("[data-service]:not([hidden])");
  }
  found.textContent = words.length ? `${shown} of ${items.length} services match “${box.value.trim()}”.` : "";
}

// A page that came already filtered lacks the other services: there the server goes on answering.
if (!new URLSearchParams(location.search).get("q")) {
  box.addEventListener("input", filter);
  box.form.addEventListener("submit", (event) => event.preventDefault());
}
