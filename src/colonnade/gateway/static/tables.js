/* Tables of results sort by the column that is pressed. */
for (const table of document.querySelectorAll(".result table")) {
  for (const [index, head] of [...table.tHead.rows[0].cells].entries()) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    button.addEventListener("click", () => sort(table, head, index));
    head.append(button);
  }
}

function sort(table, head, index) {
  const up = head.getAttribute("aria-sort") !== "ascending";
  const numeric = head.matches(".number, .integer");
  const value = (row) => {
    const text = row.cells[index].textContent.trim();
    return numeric ? Number.parseFloat(text) : text;
  };
  const compare = (a, b) => {
    const [x, y] = [value(a), value(b)];
    // What is no number stays at the end, whichever way the column is sorted.
    if (numeric && (Number.isNaN(x) || Number.isNaN(y))) return Number.isNaN(x) - Number.isNaN(y);
    const order = numeric ? x - y : x.localeCompare(y, undefined, { numeric: true });
    return up ? order : -order;
  };
  const body = table.tBodies[0];
  body.append(...[...body.rows].sort(compare));
  for (const cell of head.parentNode.cells) cell.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
}
