/* Plots follow the theme switch of the page; what the system prefers they follow by themselves. */
document.addEventListener("themechange", () => {
  for (const place of document.querySelectorAll("[data-plot]")) window.colonnadeResults?.plot(place);
});
