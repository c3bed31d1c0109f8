// Runs before the page is drawn: nhsuk-frontend styles its enhanced components only under these classes.
document.body.classList.add("js-enabled");
if ("noModule" in HTMLScriptElement.prototype) document.body.classList.add("nhsuk-frontend-supported");
