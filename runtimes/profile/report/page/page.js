"use strict";
// Zoom, hover and theme. Without it the page shows all the same figures.
document.documentElement.classList.add("scripts");
const byId = (id) => document.getElementById(id);
const dataOf = (id) => (byId(id) ? JSON.parse(byId(id).textContent) : null);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const node = (name, properties) => Object.assign(document.createElement(name), properties);

function digits(value) { return value.toPrecision(3).includes("e") ? String(Math.round(value)) : value.toPrecision(3); }
function time(us) { return us >= 1e6 ? digits(us / 1e6) + " s" : us >= 1000 ? digits(us / 1000) + " ms" : us > 0 ? digits(us) + " µs" : "0"; }

// ---- theme: the system's until the button says otherwise
(function theme() {
  const root = document.documentElement, button = byId("theme"), key = "ossc-profile-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try { chosen = localStorage.getItem(key); } catch { /* a page opened as a file may have no storage */ }
  function show() {
    if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;
    const dark = chosen ? chosen === "dark" : system.matches;
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", dark ? "Switch to light colours" : "Switch to dark colours");
  }
  button.addEventListener("click", () => {
    chosen = (chosen ? chosen === "dark" : system.matches) ? "light" : "dark";
    try { localStorage.setItem(key, chosen); } catch { /* as above */ }
    show();
  });
  system.addEventListener("change", show);
  button.hidden = false;
  show();
})();

// ---- tooltips: of any element with data-tip, and of what a plot finds under the pointer
const tip = byId("tip");
function showTip(text, x, y) {
  tip.hidden = !text;
  if (!text) return;
  tip.textContent = text;
  const box = tip.getBoundingClientRect();
  tip.style.left = clamp(x + 14, 4, Math.max(4, innerWidth - box.width - 4)) + "px";
  tip.style.top = (y + 18 + box.height > innerHeight ? Math.max(4, y - box.height - 12) : y + 18) + "px";
}
document.addEventListener("pointermove", (event) => {
  const target = event.target instanceof Element && event.target.closest("[data-tip]");
  if (target) showTip(target.dataset.tip, event.clientX, event.clientY);
  else if (!(event.target instanceof Element && event.target.closest("#lanes, #heat"))) showTip("");
});
document.addEventListener("keydown", (event) => { if (event.key === "Escape") showTip(""); });
addEventListener("scroll", () => showTip(""), { passive: true });

// ---- the timeline of one token
(function timeline() {
  const data = dataOf("timeline-data");
  if (!data) return;
  const lanes = byId("lanes"), svg = lanes.querySelector("svg"), state = byId("timeline-state");
  const names = lanes.querySelector(".span-names"), layers = lanes.querySelector(".layer-names");
  const marks = lanes.querySelector(".marks"), select = byId("layer");
  let from = 0, to = data.us, scheduled = false;
  const shortest = Math.min(data.us, Math.max(1, data.us / 5000));

  function look(begin, end) {
    const width = clamp(end - begin, shortest, data.us);
    from = clamp(begin, 0, data.us - width);
    to = from + width;
    if (!scheduled) { scheduled = true; requestAnimationFrame(draw); }
  }
  function zoom(factor, at = (from + to) / 2) { look(at - (at - from) * factor, at + (to - at) * factor); }
  function percent(us) { return 100 * (us - from) / (to - from); }
  function place(element, begin, us) {
    const left = Math.max(0, percent(begin));
    element.style.left = left + "%";
    element.style.width = Math.min(100, percent(begin + us)) - left + "%";
    return element;
  }
  function within(begin, us) { return begin < to && begin + us > from; }

  function draw() {
    scheduled = false;
    const perPixel = (to - from) / lanes.clientWidth;
    svg.setAttribute("viewBox", `${from} 0 ${to - from} ${data.threads}`);
    layers.replaceChildren(...data.layers.flatMap(([layer, begin, us], index) => {
      if (!within(begin, us)) return [];
      const span = place(node("span", { className: index % 2 ? "even" : "odd" }), begin, us);
      const room = (Math.min(to, begin + us) - Math.max(from, begin)) / perPixel;
      if (room > 60) span.append(`layer ${layer}`);
      else if (room > 18 || index % Math.ceil(18 / room) === 0) span.append(String(layer));
      if (room <= 18) Object.assign(span.style, { overflow: "visible", zIndex: span.textContent ? 1 : 0 });
      return [span];
    }));
    names.replaceChildren(...spanNames(perPixel));
    marks.replaceChildren(...ticks());
  }
  function spanNames(perPixel) {
    const found = [];
    for (const [label, , , , , , threads] of data.steps) {
      threads.forEach(([begin, us], thread) => {
        if (us / perPixel < 46 || !within(begin, us) || found.length > 300) return;
        const span = place(node("span", { textContent: label.split(".").pop() }), begin, us);
        span.style.top = 100 * (thread + 0.1) / data.threads + "%";
        found.push(span);
      });
    }
    return found;
  }
  function ticks() {
    const rough = (to - from) / Math.max(2, lanes.clientWidth / 90);
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((by) => by * power).find((by) => by >= rough);
    const found = [];
    for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
      const text = to - from >= 2000 ? `${+(at / 1000).toPrecision(6)} ms` : `${+at.toPrecision(7)} µs`;
      const tick = node("span", { textContent: text });
      tick.style.left = percent(at) + "%";
      if (percent(at) > 3 && percent(at) < 96) found.push(tick);
    }
    return found;
  }

  function at(clientX) {
    const box = lanes.getBoundingClientRect();
    return from + (to - from) * (clientX - box.left) / box.width;
  }
  function stepAt(us) { return data.steps.find(([, , , begin, length]) => us >= begin && us < begin + length); }
  const workers = document.querySelectorAll(".lane-names span");
  function describe(step) {
    const [label, kernel, , begin, us, , threads] = step;
    const busy = threads.map(([, length], thread) => `${workers[thread].textContent}: ${length ? time(length) : "no task"}`);
    const shown = busy.length > 8 ? [...busy.slice(0, 8), `and ${busy.length - 8} more threads`] : busy;
    return `${label}\n${data.kernels[kernel]}\n${time(us)}, from ${time(begin)}\n${shown.join(", ")}`;
  }
  function tell(step) { state.textContent = step ? describe(step).replaceAll("\n", "; ") : ""; }

  const pointers = new Map();
  let gap = 0, moved = false;
  const spread = () => { const [a, b] = [...pointers.values()]; return Math.max(12, Math.abs(a - b)); };
  lanes.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, event.clientX);
    moved = false;
    lanes.setPointerCapture(event.pointerId);
    if (pointers.size === 2) gap = spread();
  });
  lanes.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) {
      const step = stepAt(at(event.clientX));
      showTip(step ? describe(step) : "", event.clientX, event.clientY);
      return;
    }
    showTip("");
    pointers.set(event.pointerId, event.clientX);
    moved ||= Math.abs(event.clientX - before) > 2;
    lanes.classList.add("moving");
    if (pointers.size === 2) {
      const [a, b] = pointers.values();
      zoom(gap / spread(), at((a + b) / 2));
      gap = spread();
    } else {
      const shift = (to - from) * (before - event.clientX) / lanes.clientWidth;
      look(from + shift, to + shift);
    }
  });
  function release(event) {
    if (event.type === "pointerup" && !moved && pointers.size === 1) tell(stepAt(at(event.clientX)));
    pointers.delete(event.pointerId);
    lanes.classList.remove("moving");
  }
  lanes.addEventListener("pointerup", release);
  lanes.addEventListener("pointercancel", release);
  lanes.addEventListener("pointerleave", () => showTip(""));
  lanes.addEventListener("dblclick", (event) => zoom(0.4, at(event.clientX)));
  lanes.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(Math.exp(clamp(event.deltaY, -60, 60) / 100), at(event.clientX));
  }, { passive: false });
  lanes.addEventListener("keydown", (event) => {
    const step = (to - from) / 5;
    const actions = {
      ArrowLeft: () => look(from - step, to - step), ArrowRight: () => look(from + step, to + step),
      "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), Home: () => look(0, to - from),
      End: () => look(data.us - (to - from), data.us), 0: () => look(0, data.us),
    };
    if (!actions[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[event.key]();
    tell(stepAt((from + to) / 2));
  });
  for (const button of document.querySelectorAll("[data-zoom]")) {
    const action = { in: () => zoom(0.4), out: () => zoom(2.5), all: () => look(0, data.us) };
    button.addEventListener("click", action[button.dataset.zoom]);
  }
  select.addEventListener("change", () => {
    if (select.value === "") { look(0, data.us); return; }
    const [, begin, us] = data.layers[Number(select.value)];
    look(begin - us * 0.03, begin + us * 1.03);
  });
  addEventListener("resize", () => look(from, to));
  addEventListener("beforeprint", () => { from = 0; to = data.us; draw(); });
  draw();
})();

// ---- the map of experts
(function heatMap() {
  const data = dataOf("expert-data"), map = byId("heat");
  if (!data || !map) return;
  const cursor = byId("heat-cursor"), state = byId("heat-state");
  const rows = data.counts.length, columns = data.counts[0].length;
  let row = 0, column = -1;

  function describe() {
    const counts = data.counts[row], total = counts.reduce((sum, count) => sum + count, 0);
    const share = total ? counts[column] / total : 0;
    return `layer ${data.layers[row]}, expert ${column}: chosen ${counts[column]} times, ` +
      `${digits(100 * share)} % of the layer's choices, ${digits(share * columns)}× even use; ` +
      `${time(1000 * data.ms[row][column])} in decode, ${digits(data.bytes[row] / 1e6)} MB read each time`;
  }
  function point(newRow, newColumn) {
    row = clamp(newRow, 0, rows - 1);
    column = clamp(newColumn, 0, columns - 1);
    cursor.setAttribute("x", column);
    cursor.setAttribute("y", row);
    cursor.removeAttribute("hidden");
    return describe();
  }
  function under(event) {
    const box = map.getBoundingClientRect();
    return point(Math.floor(rows * (event.clientY - box.top) / box.height),
      Math.floor(columns * (event.clientX - box.left) / box.width));
  }
  map.addEventListener("pointermove", (event) => showTip(under(event), event.clientX, event.clientY));
  map.addEventListener("pointerdown", (event) => { state.textContent = under(event); });
  map.addEventListener("pointerleave", () => { showTip(""); cursor.setAttribute("hidden", ""); });
  map.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!by) return;
    event.preventDefault();
    state.textContent = point(row + by[0], column + by[1]);
  });
})();
