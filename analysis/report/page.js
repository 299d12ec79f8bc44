"use strict";
// Without this script the page is complete; with it tables sort and the plot answers.
document.documentElement.classList.add("scripted");

function element(name, attributes, ...children) {
  const svg = ["svg", "circle", "line", "text", "title", "g", "rect"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// ---- tables: a button in every head; numbers by value, unknown ones last
function sortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, index) => {
    const button = element("button", { type: "button" }, ...head.childNodes);
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const key = (row) => {
        const value = row.cells[index].dataset.v;
        return value === undefined ? row.cells[index].textContent : value === "inf" ? Infinity : Number(value);
      };
      const unknown = (value) => value === "\u2013";
      const compare = (a, b) => {
        if (unknown(a) || unknown(b)) return unknown(a) - unknown(b);
        const order = typeof a === "number" && typeof b === "number" ? (a < b ? -1 : a > b ? 1 : 0) : String(a).localeCompare(String(b));
        return down ? -order : order;
      };
      body.append(...[...body.rows].map((row) => [key(row), row]).sort((a, b) => compare(a[0], b[0])).map((pair) => pair[1]));
    });
  });
}
document.querySelectorAll("table").forEach(sortable);

// ---- numbers and scales
const infinite = (value) => (value === "inf" ? Infinity : value === "-inf" ? -Infinity : value);
function words(value) {
  if (value === null) return "\u2013";
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return value > 0 ? "unlimited" : "-unlimited";
  const large = Number.isInteger(value) || Math.abs(value) >= 1e4;
  return large ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(5)));
}
function short(value) {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]])
    if (Math.abs(value) >= size && Math.abs(value) < 1e12) return Number((value / size).toPrecision(6)) + letter;
  return String(Number(value.toPrecision(6)));
}
function scale(values, start, end, logarithmic) {
  let low = Math.min(...values), high = Math.max(...values);
  if (!values.length) [low, high] = [0, 1];
  const log = logarithmic && low > 0;
  const to = log ? Math.log10 : (value) => value;
  let [a, b] = [to(low), to(high)];
  const margin = (b - a) * 0.03 || Math.abs(b) * 0.1 || 1;
  [a, b] = [a - margin, b + margin];
  const at = (value) => start + ((to(value) - a) / (b - a)) * (end - start);
  const ticks = [];
  if (log) {
    const factors = b - a < 3 ? [1, 2, 5] : [1];
    for (let p = Math.floor(a); p <= Math.ceil(b); p++) for (const f of factors) ticks.push(f * 10 ** p);
  } else {
    const size = 10 ** Math.floor(Math.log10((b - a) / 4));
    const step = [1, 2, 5, 10].map((f) => f * size).find((s) => (b - a) / s <= 6);
    for (let n = Math.ceil(a / step); n <= b / step; n++) ticks.push(n * step);
  }
  const every = Math.max(1, Math.ceil((ticks.length * 44) / Math.abs(end - start)));
  return { at, log, ticks: ticks.filter((t, i) => to(t) >= a && to(t) <= b && i % every === 0) };
}

// ---- the plot
function plot(figure, data) {
  const column = Object.fromEntries(data.columns.map((name, index) => [name, index]));
  const front = data.front.map((row) => row.map(infinite)), sample = data.sample.map((row) => row.map(infinite));
  const rows = [...document.querySelectorAll("#front-table tbody tr")];
  const state = { ...data.start, others: true, hidden: new Set(), chosen: -1 };
  const palette = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#b8a500", "#7f7f7f"];
  const picture = figure.querySelector(".picture"), legend = figure.querySelector(".legend");
  const tip = element("div", { class: "tip", role: "status" });
  tip.hidden = true;
  figure.append(tip);

  const finite = (name) => [...front, ...sample].map((row) => row[column[name]]).filter(Number.isFinite);
  const wide = (name) => { const v = finite(name); const low = Math.min(...v); return low > 0 && Math.max(...v) > 10 * low; };
  state.logX = wide(state.x);
  state.logY = wide(state.y);

  const choose = (label, key, names) => {
    const select = element("select", { "data-key": key }, ...names.map((name) => element("option", { value: name }, name)));
    select.value = state[key];
    select.addEventListener("change", () => {
      state[key] = select.value;
      if (key === "colour") state.hidden.clear();
      if (key === "x") boxes.logX.checked = state.logX = wide(state.x);
      if (key === "y") boxes.logY.checked = state.logY = wide(state.y);
      draw();
    });
    return element("label", {}, label, select);
  };
  const boxes = {};
  const check = (label, key) => {
    const box = (boxes[key] = element("input", { type: "checkbox", "data-key": key }));
    box.checked = state[key];
    box.addEventListener("change", () => { state[key] = box.checked; draw(); });
    return element("label", {}, label, box);
  };
  figure.querySelector(".controls").append(
    choose("across", "x", data.numeric), check("logarithmic", "logX"),
    choose("up", "y", data.numeric), check("logarithmic", "logY"),
    choose("colour", "colour", data.columns), check("other designs", "others"),
  );

  // Up to eight values each have a colour; more become eight classes of equal count.
  function classes() {
    const all = front.map((row) => row[column[state.colour]]);
    const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    const values = [...new Set(all)].sort((a, b) => order(a, b) || 0);
    if (values.length <= palette.length) return { names: values.map(words), of: (value) => values.indexOf(value) };
    const edges = palette.map((_, i) => values[Math.floor((i * values.length) / palette.length)]);
    const of = (value) => edges.filter((edge) => order(edge, value) <= 0).length - 1;
    return { names: edges.map((edge) => `from ${words(edge)}`), of };
  }

  function show(index, circle) {
    const row = front[index];
    const pairs = data.told.flatMap((name) => [element("dt", {}, name), element("dd", {}, words(row[column[name]]))]);
    tip.replaceChildren(element("dl", {}, ...pairs));
    tip.hidden = false;
    const box = circle.getBoundingClientRect(), frame = figure.getBoundingClientRect();
    const left = box.left - frame.left + 14, room = frame.width - tip.offsetWidth;
    tip.style.left = `${Math.max(0, left > room ? box.left - frame.left - tip.offsetWidth - 8 : left)}px`;
    tip.style.top = `${Math.max(0, box.top - frame.top - tip.offsetHeight / 2)}px`;
  }

  function pick(index, scroll) {
    state.chosen = state.chosen === index ? -1 : index;
    rows.forEach((row, i) => row.classList.toggle("chosen", i === state.chosen));
    if (scroll && state.chosen >= 0) {
      const frame = rows[index].closest(".scroll"); // the table moves, the page does not
      frame.scrollTop = rows[index].offsetTop - frame.clientHeight / 2;
    }
    draw();
  }
  rows.forEach((row, index) => {
    row.tabIndex = 0;
    row.addEventListener("click", () => pick(index, false));
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") pick(index, false); });
  });

  function draw() {
    const width = Math.max(300, Math.floor(picture.clientWidth)), height = Math.round(Math.min(520, Math.max(320, width * 0.6)));
    const edge = { left: 64, right: 14, top: 12, bottom: 50 };
    const x = scale(finite(state.x), edge.left, width - edge.right, state.logX);
    const y = scale(finite(state.y), height - edge.bottom, edge.top, state.logY);
    const place = (row) => {
      const [a, b] = [row[column[state.x]], row[column[state.y]]];
      return Number.isFinite(a) && Number.isFinite(b) ? { cx: x.at(a).toFixed(1), cy: y.at(b).toFixed(1) } : null;
    };
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${data.labels[state.y]} against ${data.labels[state.x]}` });
    for (const t of x.ticks) {
      svg.append(element("line", { class: "grid", x1: x.at(t), x2: x.at(t), y1: edge.top, y2: height - edge.bottom }));
      svg.append(element("text", { x: x.at(t), y: height - edge.bottom + 17, "text-anchor": "middle" }, short(t)));
    }
    for (const t of y.ticks) {
      svg.append(element("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: y.at(t), y2: y.at(t) }));
      svg.append(element("text", { x: edge.left - 7, y: y.at(t) + 4, "text-anchor": "end" }, short(t)));
    }
    const label = (name, room) => (data.labels[name].length * 6.5 > room ? name : data.labels[name]);
    svg.append(element("text", { x: (edge.left + width) / 2, y: height - 10, "text-anchor": "middle" }, label(state.x, width - edge.left)));
    svg.append(element("text", { transform: `translate(12 ${(height - edge.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, label(state.y, height - edge.bottom)));
    if (state.others) for (const row of sample) { const at = place(row); if (at) svg.append(element("circle", { class: "other", r: 2, ...at })); }
    const { names, of } = classes();
    front.forEach((row, index) => {
      const at = place(row), kind = of(row[column[state.colour]]);
      if (!at || state.hidden.has(kind)) return;
      const circle = element("circle", { class: "front", r: 4.5, tabindex: 0, "data-row": index, ...at });
      circle.style.fill = palette[kind];
      circle.classList.toggle("chosen", index === state.chosen);
      for (const event of ["pointerenter", "focus"]) circle.addEventListener(event, () => show(index, circle));
      for (const event of ["pointerleave", "blur"]) circle.addEventListener(event, () => { tip.hidden = true; });
      circle.addEventListener("click", () => pick(index, true));
      circle.addEventListener("keydown", (event) => { if (event.key === "Enter") pick(index, true); });
      svg.append(circle);
    });
    picture.replaceChildren(svg);
    legend.replaceChildren(`${state.colour}:`, ...names.map((name, kind) => {
      const dot = element("circle", { cx: 6, cy: 6, r: 5 });
      dot.style.fill = palette[kind];
      const button = element("button", { type: "button", "aria-pressed": !state.hidden.has(kind) }, element("svg", { viewBox: "0 0 12 12" }, dot), name);
      button.addEventListener("click", () => {
        if (!state.hidden.delete(kind)) state.hidden.add(kind);
        draw();
      });
      return button;
    }));
  }
  let width = 0;
  new ResizeObserver(() => { if (picture.clientWidth !== width) { width = picture.clientWidth; draw(); } }).observe(picture);
}
const data = document.getElementById("plot-data");
if (data) plot(document.getElementById("plot"), JSON.parse(data.textContent));
