// Lutra: theme, keyboard, the "why" drawer, hints, linked crosshair. No dependency, no request.
// A classic script in a block: browsers refuse module scripts on pages opened from disk.
{
const $ = (q, el = document) => el.querySelector(q);
const $$ = (q, el = document) => [...el.querySelectorAll(q)];

// ---- theme: system, or a choice that stays ----
const root = document.documentElement;
const store = { get: k => { try { return localStorage.getItem(k); } catch { return null; } }, set: (k, v) => { try { localStorage.setItem(k, v); } catch { /* private window */ } } };
const asked = new URLSearchParams(location.search).get("theme") || store.get("theme");
if (asked) root.dataset.theme = asked;
function toggleTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  store.set("theme", root.dataset.theme);
}

// ---- why: a number, its budget, its chain back to the images ----
const WHY = JSON.parse($("#why-data")?.textContent || "{}");
const drawer = $("#why");
let opener = null;
function openWhy(button) {
  const w = WHY[button.dataset.why];
  if (!w) return;
  opener?.setAttribute("aria-expanded", "false");
  opener = button;
  button.setAttribute("aria-expanded", "true");
  const bar = ([name, share, shared]) => share === null
    ? `<span>${name}</span><span class="mute">not evaluated</span><span></span>`
    : `<span>${name}</span><svg class="${shared ? "shared" : ""}" aria-hidden="true"><rect width="${share}%" height="8" rx="4"/></svg><span class="mute">${share}\u00a0%</span>`;
  const budget = w.budget.length ? `<h3>Uncertainty budget, share of the variance</h3><div class="budget">${w.budget.map(bar).join("")}</div>
    ${w.budget.some(([, , shared]) => shared) ? "<p class=\"note mute\">Grey: shared with other scans or lesions, so it does not average out.</p>" : ""}` : "";
  const chain = w.chain.length ? `<h3>From this number back to the images</h3><ol class="chain">${w.chain.map(([a, b]) => `<li>${a}<small>${b}</small></li>`).join("")}</ol>` : "";
  $("#why-body").innerHTML = `
    <p class="val">${w.value}</p><p class="soft">${w.text}</p>${budget}${chain}
    <h3>Receipt</h3><p class="mono soft">${w.receipt}</p>`;
  $("#why-title").innerHTML = w.title;  // the report escapes all of these
  drawer.hidden = false;
  $("#why-close").focus({ preventScroll: true });
}
function closeWhy() {
  if (!drawer || drawer.hidden) return false;
  drawer.hidden = true;
  opener?.setAttribute("aria-expanded", "false");
  opener?.focus({ preventScroll: true });
  return true;
}
document.addEventListener("click", e => {
  const num = e.target.closest("[data-why]");
  if (num) openWhy(num);
  if (e.target.closest("#why-close")) closeWhy();
  if (e.target.closest("#theme")) toggleTheme();
  if (e.target.closest("#help")) $("#keys").showModal();
  const f = e.target.closest(".filters button");
  if (f) filter(f);
});

// ---- study grid: filter, and arrows from cell to cell ----
function filter(button) {
  $$(".filters button").forEach(b => b.setAttribute("aria-pressed", String(b === button)));
  const want = button.dataset.state;
  $$(".sg tbody tr").forEach(row => { row.hidden = Boolean(want) && !row.querySelector(".is-" + want); });
}
function moveInGrid(e) {
  const here = e.target.closest(".sg td, .sg th");
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[e.key];
  if (!here || !step) return;
  const rows = $$(".sg tbody tr:not([hidden])");
  let row = rows.indexOf(here.parentElement), col = here.cellIndex;
  for (let i = 0; i < 30; i++) {
    row += step[0]; col += step[1];
    const next = rows[row]?.cells[col];
    if (!next) return;
    const link = next.querySelector("a");
    if (link) { e.preventDefault(); link.focus(); return; }
  }
}

// ---- keyboard ----
const GO = { s: $(".brand")?.getAttribute("href") };
let awaitingGo = false;
document.addEventListener("keydown", e => {
  if (e.target.matches("input, textarea, select") || e.ctrlKey || e.metaKey || e.altKey) return;
  if (awaitingGo) { awaitingGo = false; if (GO[e.key]) location.href = GO[e.key]; return; }
  if (e.key === "g") { awaitingGo = true; setTimeout(() => { awaitingGo = false; }, 1200); }
  else if (e.key === "/") { e.preventDefault(); $(".find")?.focus(); }
  else if (e.key === "?") $("#keys").showModal();
  else if (e.key === "Escape") closeWhy();
  else if (e.key === "w") { const n = document.activeElement.closest?.("[data-why]") || $("main [data-why]"); if (n) openWhy(n); }
  else if (e.key === "T") toggleTheme();
  else if (e.key === "c") $(".mx")?.classList.toggle("no-ct");
  else if (e.key === "t") { const all = $$("details.tbl"), open = !all.every(d => d.open); all.forEach(d => { d.open = open; }); }
  else moveInGrid(e);
});

// ---- hints on marks, linked crosshair on crops ----
const tip = $("#tip");
document.addEventListener("pointermove", e => {
  const mark = e.target.closest?.("[data-tip]");
  if (!tip) return;
  tip.hidden = !mark;
  if (mark) {
    tip.textContent = mark.dataset.tip;
    tip.style.left = Math.min(e.clientX + 14, innerWidth - tip.offsetWidth - 8) + "px";
    tip.style.top = Math.max(e.clientY - tip.offsetHeight - 10, 8) + "px";
  }
  const crop = e.target.closest?.(".crop"), matrix = $(".mx");
  matrix?.classList.toggle("xhair", Boolean(crop));
  if (!crop) return;
  const box = crop.getBoundingClientRect();
  $$(".crop").forEach(c => {
    $(".xh", c).style.top = 100 * (e.clientY - box.top) / box.height + "%";
    $(".xv", c).style.left = 100 * (e.clientX - box.left) / box.width + "%";
  });
});
}
