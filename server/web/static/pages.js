// Starts nhsuk-frontend's components (error summary focus, password toggle, double-click guard) on every page.
import { initAll } from "./vendor/nhsuk-frontend.min.js";

initAll();
