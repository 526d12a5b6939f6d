/* Light, dark, or as the system says. Runs before the page is drawn, so that it never flashes. */
(() => {
  "use strict";
  const order = ["auto", "light", "dark"];
  const names = { auto: "Auto", light: "Light", dark: "Dark" };
  const read = () => { try { return localStorage.getItem("theme") ?? "auto"; } catch { return "auto"; } };
  const write = (value) => { try { localStorage.setItem("theme", value); } catch { /* private window */ } };

  function apply(value) {
    if (value === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = value;
    const button = document.getElementById("theme");
    if (!button) return;
    button.hidden = false;
    button.querySelector("span").textContent = names[value];
    button.setAttribute("aria-label", `Colours: ${names[value]}`);
  }

  apply(read());
  document.addEventListener("DOMContentLoaded", () => {
    apply(read());
    document.getElementById("theme")?.addEventListener("click", () => {
      const next = order[(order.indexOf(read()) + 1) % order.length];
      write(next);
      apply(next);
      document.dispatchEvent(new CustomEvent("themechange"));
    });
  });
})();
