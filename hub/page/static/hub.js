// A page that no longer hears from the hub must not go on saying that it is safe to close.
(() => {
  const SILENCE_MS = 45_000; // the hub says something each 15 s
  const lost = document.getElementById("lost");
  let silence = 0;

  const show = (isLost) => {
    lost.hidden = !isLost;
    document.body.classList.toggle("is-lost", isLost);
  };
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => show(true), SILENCE_MS);
    show(false);
  };

  document.body.addEventListener("htmx:sseError", () => show(true));
  document.body.addEventListener("htmx:sseClose", () => show(true));
  document.body.addEventListener("htmx:sseOpen", heard);
  document.body.addEventListener("htmx:sseMessage", () => {
    heard();
    document.title = `${document.querySelector("h1").textContent} – Doorstep hub`;
  });
  heard();
})();
