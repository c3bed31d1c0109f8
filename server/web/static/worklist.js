// Keeps what was ticked, and where the keyboard was, when the list is replaced because results have arrived.
// A tick belongs to its result: one whose box is gone (somebody else was quicker, or it needs a look by itself) is dropped.
(() => {
  const list = document.getElementById("results");
  const ticked = new Set();
  let focused = "";

  list.addEventListener("htmx:beforeSwap", () => {
    ticked.clear();
    for (const box of list.querySelectorAll("input[type=checkbox]:checked")) ticked.add(box.id);
    const active = document.activeElement;
    focused = active && list.contains(active) ? active.id : "";
  });

  list.addEventListener("htmx:afterSwap", () => {
    for (const box of list.querySelectorAll("input[type=checkbox]")) box.checked = ticked.has(box.id);
    const again = focused && document.getElementById(focused);
    if (again && document.activeElement !== again) again.focus({ preventScroll: true });
  });
})();
