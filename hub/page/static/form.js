// Starts nhsuk-frontend's components; and a scanner, which types a code and presses Enter, must not send half a form.
import { initAll } from "./vendor/nhsuk-frontend.min.js";

initAll();
document.getElementById("specimen")?.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  document.getElementById("given").focus();
});
