// The image page: NiiVue shows voxels, this adds windows, regions, drawings, lines and landmarks, and sends what a person changes.
// No request to anywhere but the server of this page.
{
const $ = (q, el = document) => el.querySelector(q);
const $$ = (q, el = document) => [...el.querySelectorAll(q)];
const facts = JSON.parse($("#image-facts").textContent);
const viewer = $("#viewer"), gl = $("#gl"), marks = $("#marks");
const keep = { get: k => { try { return JSON.parse(sessionStorage.getItem(location.pathname + k)); } catch { return null; } },
  set: (k, v) => { try { sessionStorage.setItem(location.pathname + k, JSON.stringify(v)); } catch { /* private window */ } } };

// ---- colours: those of the report's pictures ----
const steps = Array.from({ length: 256 }, (_, n) => n);
const clip = v => Math.max(0, Math.min(255, Math.round(v)));
const MAPS = {
  "lutra-inverted": { R: [255, 0], G: [255, 0], B: [255, 0], A: [255, 255], I: [0, 255] },
  "lutra-hot": { R: steps.map(n => clip(3 * n)), G: steps.map(n => clip(3 * n - 255)), B: steps.map(n => clip(3 * n - 510)), A: steps.map(n => clip(3 * n)), I: steps },
};
const MAP_OF = { grey: "gray", inverted: "lutra-inverted", hot: "lutra-hot" };
const ORGAN = "#969ea2";
const token = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const rgb = hex => [1, 3, 5].map(n => parseInt(hex.slice(n, n + 2), 16));

// ---- voxels ----
const nv = new niivue.Niivue({
  dragAndDropEnabled: false, isRadiologicalConvention: true, sagittalNoseLeft: true, backColor: [0, 0, 0, 1], crosshairColor: [1, 1, 1, 0.35], crosshairWidth: 1, crosshairGap: 8,
  crosshairWidthUnit: "mm", fontColor: [0.8, 0.8, 0.8, 1], logLevel: "error", loadingText: "", multiplanarShowRender: 0, isNearestInterpolation: false,
  scrollRequiresFocus: false, maxDrawUndoBitmaps: 16,
});
for (const [name, map] of Object.entries(MAPS)) nv.addColormap(name, map);
const AXIAL = 0, CORONAL = 1, SAGITTAL = 2;
const LAYOUTS = {
  1: [{ sliceType: AXIAL, position: [0, 0, 0.64, 1] }, { sliceType: CORONAL, position: [0.64, 0, 0.36, 0.5] }, { sliceType: SAGITTAL, position: [0.64, 0.5, 0.36, 0.5] }],
  tall: [{ sliceType: AXIAL, position: [0, 0, 1, 0.6] }, { sliceType: CORONAL, position: [0, 0.6, 0.5, 0.4] }, { sliceType: SAGITTAL, position: [0.5, 0.6, 0.5, 0.4] }],
  2: [{ sliceType: AXIAL, position: [0, 0, 1, 1] }], 3: [{ sliceType: CORONAL, position: [0, 0, 1, 1] }], 4: [{ sliceType: SAGITTAL, position: [0, 0, 1, 1] }],
};
const layers = [["below", facts.below], ["over", facts.over]].filter(([, layer]) => layer);
const windows = {};
for (const [key, layer] of layers) windows[key] = keep.get(key + layer.name) || [layer.low, layer.high];
let labels = null, placed = null, chosen = 0, showing = "outline";

async function load(url, options) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(await words(answer));
  return niivue.NVImage.loadFromUrl({ ...options, name: "image.nii.gz", url: await answer.arrayBuffer() });
}
async function begin() {
  const wanted = layers.map(([key, layer]) => load(layer.url, { colormap: MAP_OF[layer.scale], cal_min: windows[key][0], cal_max: windows[key][1], opacity: key === "over" ? 0.6 : 1 }));
  if (facts.regions.length) wanted.push(load(facts.at + "/regions.nii.gz", {}));
  await nv.attachToCanvas(gl, false);  // slices need no smoothing of edges, which software rendering pays for
  nv.setSliceType(3);
  setLayout(1);
  nv.setDrawOpacity(0.7);
  const volumes = await Promise.all(wanted);
  if (facts.regions.length) labels = volumes.pop();
  if (facts.over) volumes[1].colormapType = 1;
  nv.volumes = volumes.slice(0, -1);
  nv.addVolume(volumes[volumes.length - 1]);  // one pass over all slices of all layers, not one for each
  for (const [key] of layers) sayWindow(key);
  const at = keep.get("at"), first = facts.regions.find(r => r.lesion) || facts.regions[0];
  if (at) goTo(at); else if (first) goTo(first.centre);
  viewer.dataset.state = "ready";
  performance.mark("image-ready");
}

// ---- windows ----
function applyWindow(key) {
  const n = key === "below" ? 0 : 1, [low, high] = windows[key];
  nv.volumes[n].cal_min = low;
  nv.volumes[n].cal_max = high;
  nv.updateGLVolume();
  sayWindow(key);
}
function sayWindow(key) {
  const layer = facts[key];
  for (const input of $$(`[data-window="${key}"]`)) input.value = Number((windows[key][input.dataset.end === "low" ? 0 : 1] * layer.factor).toPrecision(4));
  $("#shown").textContent = layers.map(([k, l]) => `${l.label}: ${windows[k].map(v => String(Number((v * l.factor).toPrecision(3))).replace("-", "−")).join(" to ")} ${l.unit}`).join(", under ") + field();
}
function field() {
  const mm = nv.volumes[0]?.pixDimsRAS, n = nv.volumes[0]?.dimsRAS;
  return mm && n ? `. Field ${Math.round(mm[1] * n[1])} × ${Math.round(mm[2] * n[2])} × ${Math.round(mm[3] * n[3])} mm` : "";
}
for (const input of $$("[data-window]")) input.addEventListener("change", () => {
  const key = input.dataset.window, value = Number(input.value) / facts[key].factor, w = [...windows[key]];
  w[input.dataset.end === "low" ? 0 : 1] = value;
  if (!Number.isFinite(value) || w[0] >= w[1]) { applyWindow(key); return; }
  windows[key] = w;
  keep.set(key + facts[key].name, w);
  applyWindow(key);
});
$("#opacity")?.addEventListener("input", e => nv.setOpacity(1, Number(e.target.value)));

// ---- regions: lines round their voxels on every slice, or their voxels filled ----
const white = !facts.over && facts.below.scale === "inverted";
const region = n => facts.regions.find(r => r.number === n);
const colour = r => r.number === chosen ? token("--img-chosen") : r.kind === "lesion" ? token(white ? "--img-contour-pet" : "--img-contour") : ORGAN;
function fillRegions() {
  const filled = nv.volumes.includes(labels);
  if (!labels || (showing !== "fill" && !filled)) return;
  const numbers = Array.from({ length: 1 + Math.max(...facts.regions.map(r => r.number)) }, (_, n) => n);
  const channel = c => numbers.map(n => region(n) ? rgb(colour(region(n)))[c] : 0);
  labels.setColormapLabel({ R: channel(0), G: channel(1), B: channel(2), A: numbers.map(n => region(n) ? 255 : 0), I: numbers, labels: numbers.map(n => region(n)?.name || "") });
  labels.opacity = showing === "fill" ? 0.45 : 0;
  if (filled) nv.updateGLVolume(); else nv.addVolume(labels);
}
function placeLabels() {
  const { affine, dims } = labels.hdr;
  const frac = ijk => nv.mm2frac([0, 1, 2].map(row => affine[row][3] + [0, 1, 2].reduce((sum, n) => sum + affine[row][n] * ijk[n], 0)));
  const origin = frac([0, 0, 0]), steps = [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map(e => frac(e).map((f, n) => f - origin[n]));
  return { origin, steps, size: dims.slice(1, 4), strides: [1, dims[1], dims[1] * dims[2]] };
}
function labelAt(lps) {
  if (!labels) return null;
  const { origin, steps, size, strides } = placed ||= placeLabels(), at = nv.mm2frac([-lps[0], -lps[1], lps[2]]);
  const [x, y, z] = steps, det = (p, q, r) => p[0] * (q[1] * r[2] - q[2] * r[1]) - q[0] * (p[1] * r[2] - p[2] * r[1]) + r[0] * (p[1] * q[2] - p[2] * q[1]);
  const to = [0, 1, 2].map(n => at[n] - origin[n]), whole = det(x, y, z);
  const ijk = [det(to, y, z), det(x, to, z), det(x, y, to)].map(d => Math.round(d / whole));
  return ijk.some((n, axis) => n < 0 || n >= size[axis]) ? null : region(labels.img[ijk.reduce((sum, n, axis) => sum + n * strides[axis], 0)]);
}
// Edges between voxels of different regions in the slice that a tile shows; `across` is its axis in the image below.
function edges(across) {
  const { origin, steps, size, strides } = placed ||= placeLabels(), at = nv.scene.crosshairPos[across];
  const along = [0, 1, 2].reduce((best, n) => Math.abs(steps[n][across]) > Math.abs(steps[best][across]) ? n : best, 0);
  const [a, b] = [0, 1, 2].filter(n => n !== along);
  const n = Math.round((at - origin[across] - steps[a][across] * size[a] / 2 - steps[b][across] * size[b] / 2) / steps[along][across]);
  if (n < 0 || n >= size[along]) return null;
  const point = (u, v) => [0, 1, 2].map(f => f === across ? at : origin[f] + steps[along][f] * n + steps[a][f] * u + steps[b][f] * v);
  const found = new Map(), add = (number, edge) => { if (number) { if (!found.has(number)) found.set(number, []); found.get(number).push(edge); } };
  const value = (u, v) => u < 0 || v < 0 || u >= size[a] || v >= size[b] ? 0 : labels.img[n * strides[along] + u * strides[a] + v * strides[b]];
  for (let v = -1; v < size[b]; v++) for (let u = -1; u < size[a]; u++) {
    const here = value(u, v), right = value(u + 1, v), down = value(u, v + 1);
    if (here !== right) { const e = [u + 0.5, v - 0.5, u + 0.5, v + 0.5]; add(here, e); add(right, e); }
    if (here !== down) { const e = [u - 0.5, v + 0.5, u + 0.5, v + 0.5]; add(here, e); add(down, e); }
  }
  return { found, point, middle: [size[a] / 2, size[b] / 2] };
}
function drawContours(c, ratio) {
  for (const [type, across] of [[AXIAL, 2], [CORONAL, 1], [SAGITTAL, 0]]) {
    const slice = edges(across);
    if (!slice) continue;
    const [u0, v0] = slice.middle, [o, x, y] = [[u0, v0], [u0 + 1, v0], [u0, v0 + 1]].map(([u, v]) => onTile(slice.point(u, v), type));
    if (!o || !x || !y) continue;
    const put = (u, v) => [0, 1].map(n => o[n] + (u - u0) * (x[n] - o[n]) + (v - v0) * (y[n] - o[n]));
    const last = n => Number(n === chosen) * 2 + Number(region(n)?.kind === "lesion");
    for (const number of [...slice.found.keys()].sort((p, q) => last(p) - last(q))) {
      if (!region(number)) continue;
      c.strokeStyle = colour(region(number));
      c.lineWidth = (number === chosen ? 2.2 : 1.5) * ratio;
      c.beginPath();
      for (const [u1, v1, u2, v2] of slice.found.get(number)) { c.moveTo(...put(u1, v1)); c.lineTo(...put(u2, v2)); }
      c.stroke();
    }
  }
}
function goTo([l, p, s]) {
  nv.scene.crosshairPos = nv.mm2frac([-l, -p, s]);
  nv.drawScene();
  nv.createOnLocationChange();
}
function choose(number) {
  chosen = chosen === number ? 0 : number;
  for (const b of $$("[data-region]")) b.setAttribute("aria-pressed", String(Number(b.dataset.region) === chosen));
  for (const about of $$("[data-about]")) about.hidden = Number(about.dataset.about) !== chosen;
  const shown = region(chosen);
  fillRegions();
  marksSoon();
  if (shown) goTo(shown.lines.length ? middle(shown.lines[0]) : shown.centre);
}
const middle = ends => [0, 1, 2].map(n => (ends[0][n] + ends[1][n]) / 2);

// ---- marks: lines and landmarks over the slices ----
let clicks = [];
function onTile(frac, type) {
  const found = nv.frac2canvasPosWithTile(frac, type);
  return found && nv.screenSlices[found.tileIndex]?.axCorSag === type ? found.pos : null;
}
const onSlice = lps => onTile(nv.mm2frac([-lps[0], -lps[1], lps[2]]), AXIAL);
function drawMarks() {
  const ratio = gl.width / Math.max(gl.clientWidth, 1);
  marks.width = gl.width; marks.height = gl.height;
  const c = marks.getContext("2d");
  if (labels && showing !== "off") drawContours(c, ratio);
  c.lineWidth = 1.6 * ratio;
  const line = (ends, colour) => {
    const [a, b] = ends.map(onSlice);
    if (!a || !b) return;
    c.strokeStyle = colour; c.beginPath(); c.moveTo(...a); c.lineTo(...b); c.stroke();
  };
  const dot = (at, colour, words) => {
    const p = onSlice(at);
    if (!p) return;
    c.strokeStyle = c.fillStyle = colour; c.beginPath(); c.arc(p[0], p[1], 4 * ratio, 0, 2 * Math.PI); c.stroke();
    c.font = `600 ${12 * ratio}px sans-serif`; c.fillText(words, p[0] + 6 * ratio, p[1] - 6 * ratio);
  };
  const mark = token("--img-mark");
  if (showing !== "off") for (const r of facts.regions) for (const ends of r.lines) line(ends, mark);
  if (tool === "measure") {
    clicks.forEach((at, n) => dot(at, token("--img-chosen"), String(n + 1)));
    if (clicks.length > 1) line(clicks.slice(0, 2), token("--img-chosen"));
    if (clicks.length > 3) line(clicks.slice(2, 4), token("--img-chosen"));
  }
  if (tool === "match") clicks.forEach((at, n) => dot(at, n % 2 ? mark : token("--img-contour"), String(1 + (n >> 1))));
}
let asked = false;
const marksSoon = () => { if (!asked) { asked = true; requestAnimationFrame(() => { asked = false; drawMarks(); }); } };

// ---- the right button drags the window ----
nv.onIntensityChange = volume => {
  const key = layers[nv.volumes.indexOf(volume)]?.[0];
  if (!key) return;
  windows[key] = [volume.cal_min, volume.cal_max];
  sayWindow(key);
};

// ---- where the pointer is ----
let here = null;
nv.onLocationChange = at => {
  const [r, a, s] = at.mm;
  here = [-r, -a, s];
  keep.set("at", here);
  const values = layers.map(([, layer], n) => `${(at.values[n].value * layer.factor).toPrecision(4)} ${layer.unit}`);
  const named = labelAt(here);
  $("#where").textContent = `L ${here[0].toFixed(1)}  P ${here[1].toFixed(1)}  S ${here[2].toFixed(1)} mm   ${values.join("   ")}${named ? "   " + named.name : ""}`;
  marksSoon();
};
new ResizeObserver(() => { if (nv.volumes.length) setLayout(layout); }).observe(gl);
gl.addEventListener("wheel", marksSoon, { passive: true });

// ---- tools ----
let tool = "look", base = null, grown = null;
const press = (group, button) => $$(`[data-group="${group}"] .btn`).forEach(b => b.setAttribute("aria-pressed", String(b === button)));
function take(name) {
  const button = $(`[data-tool="${name}"]`);
  if (!button) return;
  if (tool !== name && !(tool === "draw" && name === "erase") && !(tool === "erase" && name === "draw")) clicks = [];
  tool = name;
  press("tool", button);
  const drawing = name === "draw" || name === "erase";
  if (drawing && !nv.drawBitmap) nv.createEmptyDrawing();
  nv.setDrawingEnabled(drawing);
  if (drawing) { nv.opts.penSize = Number($("#pen").value); nv.setPenValue(name === "draw" ? 1 : 0, $("#filled").checked); }
  for (const form of $$("[data-for]")) form.hidden = form.dataset.for !== (name === "erase" ? "draw" : name) && !(form.dataset.for === "draw" && name === "grow" && grown);
  if (name === "match") nextLandmark();
  marksSoon();
}
$("#pen")?.addEventListener("input", e => { nv.opts.penSize = Number(e.target.value); });
$("#filled")?.addEventListener("change", () => take(tool));
async function redraw(name) {
  base = name; grown = null;
  nv.loadDrawing(await load(`${facts.at}/region.nii.gz?name=${encodeURIComponent(name)}&on=${facts.below.name}`, {}));
  const form = $('form[data-for="draw"]'), known = facts.regions.find(r => r.name === name);
  form.elements.name.value = name;
  form.elements.what.value = known.kind;
  $("#drawn").textContent = `It begins with “${name}” as it is; voxels you leave keep their share.`;
  take("draw");
}
async function grow(at) {
  const form = $("#grow"), said = $("#grown"), asked = new URLSearchParams({ at: at.map(v => v.toFixed(3)).join(","), method: form.elements.method.value, value: form.elements.value.value, radius: form.elements.radius.value });
  said.textContent = "Looking for the border";
  const answer = await fetch(`${facts.at}/threshold.json?${asked}`);
  if (!answer.ok) { said.textContent = await words(answer); return; }
  const found = await answer.json();
  said.textContent = [found.found ? `${found.volume_ml.toPrecision(3)} mL, ${found.delineation}` : "", ...found.says].filter(Boolean).join(" ");
  if (!found.found) return;
  nv.loadDrawing(await load(`${facts.at}/threshold.nii.gz?${asked}&on=${facts.below.name}`, {}));
  base = null; grown = Object.fromEntries(asked);
  take("grow");
}
$("#grow")?.addEventListener("submit", e => { e.preventDefault(); if (here) grow(here); });
function nextLandmark() {
  const moving = clicks.length % 2 === 1;
  nv.setOpacity(1, moving ? 1 : 0);
  $("#matched").textContent = `${clicks.length >> 1} pairs. Now click ${moving ? `the same point on ${facts.over.label}` : `a point on ${facts.below.label}`}.`;
}
const length = ([a, b]) => Math.hypot(...[0, 1, 2].map(n => a[n] - b[n]));
let down = null;
gl.addEventListener("pointerdown", e => { down = [e.clientX, e.clientY]; });
gl.addEventListener("pointerup", e => {
  const still = down && Math.hypot(e.clientX - down[0], e.clientY - down[1]) < 4;
  if (!still || e.button !== 0 || !here) return;
  setTimeout(() => {
    if (tool === "measure") {
      clicks = clicks.length === 4 ? [here] : [...clicks, here];
      if (clicks.length > 1) clicks = clicks.map(c => [c[0], c[1], clicks[0][2]]);
      const long = clicks.length > 1 ? `${length(clicks.slice(0, 2)).toFixed(1)} mm` : "", short = clicks.length > 3 ? ` × ${length(clicks.slice(2, 4)).toFixed(1)} mm` : "";
      $("#measured").textContent = long ? `${long}${short}. ${short ? "" : "Two more clicks give the short axis; without them it is measured in the outline."}` : "Now the other end, in the same slice.";
    } else if (tool === "match") { clicks = [...clicks, here]; nextLandmark(); }
    else if (tool === "grow") grow(here);
    marksSoon();
  }, 0);
});

// ---- forms: sent as they are; what is refused is said beside the button, and nothing drawn is lost ----
async function runs() {
  const file = await nv.saveImage({ filename: "", isSaveDrawing: true, volumeByIndex: 0 });
  const voxels = file.subarray(352), lengths = [];
  let value = 0, since = 0;
  for (let n = 0; n < voxels.length; n++) if ((voxels[n] > 0 ? 1 : 0) !== value) { lengths.push(n - since); since = n; value = 1 - value; }
  if (value) lengths.push(voxels.length - since);
  return lengths.join(",");
}
const words = async answer => {
  const found = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main .card p");
  return found?.textContent || `The server answered ${answer.status}.`;
};
async function fill(form) {
  const set = (name, value) => { form.elements[name].value = value; };
  const kind = form.elements.kind?.value;
  if (kind === "region") {
    set("runs", nv.drawBitmap ? await runs() : "");
    set("base", base || "");
    for (const name of ["at", "method", "value", "radius"]) set(name, grown?.[name] || "");
  } else if (kind === "diameter") {
    set("long", JSON.stringify(clicks.slice(0, 2)));
    set("short", clicks.length > 3 ? JSON.stringify(clicks.slice(2, 4)) : "");
  } else if (kind === "landmarks") {
    const whole = clicks.slice(0, clicks.length - clicks.length % 2);
    set("fixed", JSON.stringify(whole.filter((_, n) => n % 2 === 0)));
    set("moving", JSON.stringify(whole.filter((_, n) => n % 2 === 1)));
  } else if (kind === "nudge") for (const part of ["shift", "turn"]) set(part, JSON.stringify([$$(`[data-part="${part}"]`, form).map(i => Number(i.value))]));
}
for (const form of $$("form.edit[method=post]:not(#run)")) form.addEventListener("submit", async e => {
  e.preventDefault();
  const said = $(".alert", form);
  await fill(form);
  const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  if (answer.redirected && answer.ok) { location.assign(answer.url); return; }
  said.textContent = await words(answer);
  said.hidden = false;
});

// ---- a run in the background ----
async function follow() {
  const answer = await fetch("/run.json"), job = await answer.json();
  const bar = $("#progress"), said = $("#running"), busy = ["waiting", "running", "reporting"].includes(job.state);
  bar.hidden = !busy;
  if (job.of) { bar.max = job.of; bar.value = job.done; } else bar.removeAttribute("value");
  said.textContent = job.state ? [job.state, job.of ? `${job.done} of ${job.of}` : "", job.words].filter(Boolean).join(", ") : "";
  if (busy) setTimeout(follow, 1000);
  else if (keep.get("running")) { keep.set("running", false); location.reload(); }
}
$("#run")?.addEventListener("submit", async e => {
  e.preventDefault();
  const answer = await fetch("/run", { method: "POST", body: new URLSearchParams(new FormData(e.target)) });
  if (answer.ok) { keep.set("running", true); follow(); } else $("#running").textContent = await words(answer);
});
if ($("#run")) follow();

// ---- projections, turned by slider or by dragging ----
const mip = $("#mip"), angle = $("#angle"), strip = $("#strip");
function turn() {
  const one = mip.width / facts.angles;
  if (!one) return;
  strip.style.width = `${Math.min(one, strip.parentElement.clientWidth)}px`;
  mip.style.transform = `translateX(${-one * Number(angle.value) + Math.min(0, (strip.clientWidth - one) / 2)}px)`;
}
mip.addEventListener("load", turn);
if (mip.complete) turn();
angle.addEventListener("input", turn);
strip.addEventListener("pointermove", e => { if (e.buttons) { angle.value = (Number(angle.value) + Math.sign(e.movementX) + facts.angles) % facts.angles; turn(); } });

// ---- buttons and keys; NiiVue's own keys would do other things ----
let layout = 1;
function setLayout(n) {
  layout = n;
  nv.setCustomLayout(LAYOUTS[n === 1 && gl.clientHeight > gl.clientWidth ? "tall" : n]);
  press("layout", $(`[data-layout="${n}"]`));
  marksSoon();
}
function show(how) { showing = how; press("regions", $(`[data-regions="${how}"]`)); fillRegions(); marksSoon(); }
function undo() {
  if (clicks.length) { clicks = clicks.slice(0, -1); if (tool === "match") nextLandmark(); marksSoon(); }
  else if (nv.drawBitmap && (tool === "draw" || tool === "erase")) nv.drawUndo();
  else { const form = $("#take-back"); if (form) { form.hidden = false; form.elements.reason.focus(); } }
}
document.addEventListener("click", e => {
  const b = e.target.closest("button");
  if (!b) return;
  if (b.dataset.layout) setLayout(Number(b.dataset.layout));
  else if (b.dataset.regions) show(b.dataset.regions);
  else if (b.dataset.tool) take(b.dataset.tool);
  else if (b.dataset.region) choose(Number(b.dataset.region));
  else if (b.dataset.redraw) redraw(b.dataset.redraw);
  else if (b.id === "undo") undo();
});
const KEYS = { 1: () => setLayout(1), 2: () => setLayout(2), 3: () => setLayout(3), 4: () => setLayout(4), d: () => take("draw"), e: () => take("erase"), m: () => take("measure"), z: undo, c: () => show(showing === "outline" ? "off" : "outline") };
document.addEventListener("keydown", e => {
  if (e.target.matches("input, textarea, select") || e.ctrlKey || e.metaKey || e.altKey || !KEYS[e.key]) return;
  e.preventDefault(); e.stopImmediatePropagation();
  KEYS[e.key]();
}, true);

begin().catch(error => { $("#loading").textContent = `The image cannot be shown: ${error.message}`; viewer.dataset.state = "failed"; });
}
