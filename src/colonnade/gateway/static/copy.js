/* Buttons that copy a snippet; without this script there are none. */
for (const snippet of document.querySelectorAll(".snippet")) {
  const button = Object.assign(document.createElement("button"), { type: "button", className: "copy small", textContent: "Copy" });
  const title = snippet.querySelector("h3").textContent;
  button.setAttribute("aria-label", `Copy: ${title}`);
  button.addEventListener("click", async () => {
    await put(snippet.querySelector("code").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  snippet.append(button);
}

async function put(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Browsers offer the clipboard only to secure pages; a gateway on another host over plain http is none.
  const area = Object.assign(document.createElement("textarea"), { value: text });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
