// A page that no longer hears from the hub must not go on saying that it is safe to close.
(() => {
  const lost = document.getElementById("lost");
  const show = (isLost) => {
    lost.hidden = !isLost;
    document.body.classList.toggle("is-lost", isLost);
  };
  document.body.addEventListener("htmx:sseError", () => show(true));
  document.body.addEventListener("htmx:sseClose", () => show(true));
  document.body.addEventListener("htmx:sseOpen", () => show(false));
  document.body.addEventListener("htmx:afterSwap", () => {
    document.title = `${document.querySelector("h1").textContent} – Doorstep hub`;
  });
})();
