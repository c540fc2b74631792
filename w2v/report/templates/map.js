// The interactive map of words: draws the points and labels on a canvas, moves and zooms them, and
// lists the neighbours of a word that is hovered over, chosen or searched.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { words, others, counts, neighbours, cosines, maps } = data;
  const size = words.length;
  const each = size ? neighbours.length / size : 0; // neighbours per word
  const at = (id) => document.getElementById(id);
  const canvas = at("plot"), stage = at("stage"), tip = at("tip"), panel = at("panel");
  const search = at("search"), matches = at("matches");
  const pen = canvas.getContext("2d");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const SHADES = 12, CLOSEST = 60, NEAR = 14, SHOWN = 8;
  const number = new Intl.NumberFormat("en");

  // How frequent each word is, from 0 to 1 on a log scale: by its count, or else by its rank.
  const ranks = data.ranks;
  const level = counts ? counts.map((c) => Math.log1p(c)) : ranks.map((r) => -Math.log1p(r));
  const low = level.reduce((a, b) => Math.min(a, b), Infinity);
  const high = level.reduce((a, b) => Math.max(a, b), -Infinity);
  const tone = level.map((l) => (high > low ? (l - low) / (high - low) : 0.5));
  const shadeOf = tone.map((t) => Math.min(SHADES - 1, Math.floor(t * SHADES)));

  let width = 1, height = 1, ratio = 1;
  let map = 0, from = 0, mixed = 1; // the map shown, the one before, progress between them (0 to 1)
  let view = { x: 0, y: 0, zoom: 1 }; // center in map units: the map is 2 wide
  let selected = -1, hovered = -1, lit = new Set(), queued = false;
  let theme = null;
  const sx = new Float32Array(size), sy = new Float32Array(size), widths = new Map();

  const nameOf = (index) => (index < size ? words[index] : others[index - size]);
  const brief = (word, most = 32) => (word.length > most ? word.slice(0, most - 1) + "…" : word);
  const unit = () => (Math.min(width, height) / 2.15) * view.zoom;

  function place(index) {
    const a = maps[from].xy, b = maps[map].xy, i = 2 * index;
    const x = a[i] + (b[i] - a[i]) * mixed, y = a[i + 1] + (b[i + 1] - a[i + 1]) * mixed;
    return [x / 10000, y / 10000];
  }

  function measure() {
    width = Math.max(1, stage.clientWidth);
    height = Math.max(1, stage.clientHeight);
    ratio = Math.min(3, devicePixelRatio || 1);
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    redraw();
  }

  function readTheme() {
    const style = getComputedStyle(document.documentElement);
    const get = (name) => style.getPropertyValue(name).trim();
    const stops = get("--ramp").split(",").map((hex) =>
      [1, 3, 5].map((i) => parseInt(hex.trim().slice(i, i + 2), 16)));
    const shade = (t) => {
      const s = t * (stops.length - 1), i = Math.min(stops.length - 2, Math.floor(s));
      return "rgb(" + stops[i].map((c, j) => Math.round(c + (stops[i + 1][j] - c) * (s - i))) + ")";
    };
    theme = {
      paper: get("--paper"), ink: get("--ink"), soft: get("--soft"), accent: get("--accent"),
      font: get("--sans"),
      shades: Array.from({ length: SHADES }, (_, i) => shade(i / (SHADES - 1))),
    };
    widths.clear();
  }

  function draw() {
    queued = false;
    const s = unit();
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const grow = Math.min(1.9, Math.sqrt(view.zoom));
    const inside = [];
    for (let i = 0; i < size; i++) {
      const [x, y] = place(i);
      sx[i] = (x - view.x) * s + width / 2;
      sy[i] = height / 2 - (y - view.y) * s;
      if (sx[i] > -9 && sx[i] < width + 9 && sy[i] > -9 && sy[i] < height + 9) inside.push(i);
    }
    const radius = (i) => (1.7 + 2.6 * tone[i]) * grow;
    const disc = (i, r) => {
      pen.moveTo(sx[i] + r, sy[i]);
      pen.arc(sx[i], sy[i], r, 0, 7);
    };
    pen.globalAlpha = selected < 0 ? 0.8 : 0.22;
    for (let shade = 0; shade < SHADES; shade++) {
      pen.beginPath();
      for (const i of inside) if (shadeOf[i] === shade) disc(i, radius(i));
      pen.fillStyle = theme.shades[shade];
      pen.fill();
    }
    pen.globalAlpha = 1;
    if (selected >= 0) {
      pen.strokeStyle = theme.accent;
      pen.lineWidth = 1;
      pen.beginPath();
      for (const i of lit) {
        pen.moveTo(sx[selected], sy[selected]);
        pen.lineTo(sx[i], sy[i]);
      }
      pen.stroke();
      for (const i of [...lit, selected]) {
        pen.beginPath();
        disc(i, radius(i) + 1.5);
        pen.fillStyle = i === selected ? theme.accent : theme.shades[shadeOf[i]];
        pen.fill();
        pen.lineWidth = 2;
        pen.stroke();
      }
    }
    if (hovered >= 0) {
      pen.beginPath();
      disc(hovered, radius(hovered) + 3);
      pen.strokeStyle = theme.ink;
      pen.lineWidth = 1.5;
      pen.stroke();
    }
    label(inside, radius);
  }

  // Write words beside their points, the most important first, so that no word covers another.
  function label(inside, radius) {
    const cell = 7, columns = Math.ceil(width / cell), rows = Math.ceil(height / cell);
    const taken = new Uint8Array(columns * rows);
    for (const box of [at("tools"), at("legend")]) { // these lie over the canvas
      const last = Math.min(rows, Math.ceil((box.offsetTop + box.offsetHeight) / cell));
      const end = Math.min(columns, Math.ceil((box.offsetLeft + box.offsetWidth) / cell));
      for (let r = Math.max(0, Math.floor(box.offsetTop / cell)); r < last; r++)
        taken.fill(1, r * columns + Math.max(0, Math.floor(box.offsetLeft / cell)), r * columns + end);
    }
    let left = Math.max(12, (width * height) / 7000);
    const write = (i, strong) => {
      const text = brief(words[i]);
      const key = strong ? "*" + text : text;
      pen.font = (strong ? "650 14px " : "12px ") + theme.font;
      if (!widths.has(key)) widths.set(key, pen.measureText(text).width);
      const wide = widths.get(key) + 4, tall = strong ? 17 : 14, gap = radius(i) + 3;
      for (const [x, y] of [[sx[i] + gap, sy[i]], [sx[i] - gap - wide, sy[i]],
        [sx[i] - wide / 2, sy[i] + gap + tall / 2], [sx[i] - wide / 2, sy[i] - gap - tall / 2]]) {
        const x0 = Math.floor(x / cell), x1 = Math.floor((x + wide) / cell);
        const y0 = Math.floor((y - tall / 2) / cell), y1 = Math.floor((y + tall / 2) / cell);
        if (x0 < 0 || y0 < 0 || x1 >= columns || y1 >= rows) continue;
        let free = true;
        for (let r = y0; free && r <= y1; r++)
          for (let c = x0; free && c <= x1; c++) free = !taken[r * columns + c];
        if (!free) continue;
        for (let r = y0; r <= y1; r++) taken.fill(1, r * columns + x0, r * columns + x1 + 1);
        pen.lineWidth = 3;
        pen.strokeStyle = theme.paper;
        pen.strokeText(text, x + 2, y);
        pen.fillText(text, x + 2, y);
        left--;
        return;
      }
    };
    pen.textBaseline = "middle";
    pen.lineJoin = "round";
    pen.direction = "ltr";
    pen.fillStyle = theme.ink;
    const first = selected < 0 ? [] : [selected, ...lit];
    for (const i of first) write(i, true);
    pen.fillStyle = theme.soft;
    if (selected < 0) pen.fillStyle = theme.ink;
    else left = Math.min(left, 25);
    const known = new Set(first);
    for (const i of inside) {
      if (left <= 0) break;
      if (!known.has(i)) write(i, false);
    }
  }

  function redraw() {
    if (!queued) {
      queued = true;
      requestAnimationFrame(draw);
    }
  }

  // The view and the words can move at the same time. A new motion replaces the one before it.
  const viewMotion = { begun: 0, ended: 0 }, wordMotion = { begun: 0, ended: 0 };

  function animate(motion, step, time) {
    const mine = ++motion.begun, start = performance.now();
    const tick = (now) => {
      if (mine !== motion.begun) return;
      const t = calm.matches ? 1 : Math.min(1, Math.max(0, (now - start) / time));
      step(t * t * (3 - 2 * t));
      redraw();
      if (t < 1) requestAnimationFrame(tick);
      else motion.ended = mine;
    };
    requestAnimationFrame(tick);
  }

  function flyTo(goal) {
    const begin = { ...view };
    animate(viewMotion, (t) => {
      const zoom = begin.zoom * (goal.zoom / begin.zoom) ** t;
      view = { x: begin.x + (goal.x - begin.x) * t, y: begin.y + (goal.y - begin.y) * t, zoom };
    }, 350);
  }

  const whole = () => flyTo({ x: 0, y: 0, zoom: 1 });

  const takeOver = () => { viewMotion.ended = ++viewMotion.begun; };

  function zoomAt(factor, x = width / 2, y = height / 2) {
    takeOver();
    const zoom = Math.min(CLOSEST, Math.max(0.5, view.zoom * factor));
    const before = unit(), after = (before * zoom) / view.zoom;
    view = {
      x: view.x + (x - width / 2) * (1 / before - 1 / after),
      y: view.y - (y - height / 2) * (1 / before - 1 / after),
      zoom,
    };
    hide();
    redraw();
  }

  function pan(dx, dy) {
    takeOver();
    const s = unit();
    view = { ...view, x: view.x - dx / s, y: view.y + dy / s };
    hide();
    redraw();
  }

  function make(tag, text, properties = {}) {
    const element = Object.assign(document.createElement(tag), properties);
    if (text !== undefined) element.textContent = text;
    return element;
  }

  const nearest = (index) => Array.from({ length: each }, (_, j) => index * each + j)
    .map((j) => ({ index: neighbours[j], cosine: cosines[j] / 1000 }));
  const frequency = (index) => counts
    ? `${number.format(counts[index])} times · rank ${number.format(ranks[index] + 1)}`
    : `rank ${number.format(ranks[index] + 1)}`;

  function hover(index, x, y) {
    if (index < 0) return hide();
    if (hovered !== index) {
      hovered = index;
      const list = nearest(index).slice(0, 5);
      const title = make("b");
      title.append(make("bdi", brief(words[index], 60)));
      tip.replaceChildren(title, make("p", frequency(index)));
      if (list.length) {
        const line = make("div");
        list.forEach(({ index: other, cosine }, j) => {
          if (j) line.append(" · ");
          line.append(make("bdi", brief(nameOf(other))), " " + cosine.toFixed(2));
        });
        tip.append(line);
      }
      tip.hidden = false;
      canvas.classList.add("pointing");
      redraw();
    }
    const right = x + 16 + tip.offsetWidth > width ? x - 12 - tip.offsetWidth : x + 16;
    const below = y + 16 + tip.offsetHeight > height ? y - 12 - tip.offsetHeight : y + 16;
    tip.style.transform = `translate(${Math.max(4, right)}px, ${Math.max(4, below)}px)`;
  }

  function hide() {
    if (hovered < 0) return;
    hovered = -1;
    tip.hidden = true;
    canvas.classList.remove("pointing");
    redraw();
  }

  function hint(message) {
    const note = (text) => make("p", text, { className: "note" });
    const keys = note("");
    keys.className = "note keys";
    keys.append(make("kbd", "/"), " search  ", make("kbd", "+"), " ", make("kbd", "−"),
      " zoom  ", make("kbd", "↑ ↓ ← →"), " move  ", make("kbd", "0"), " all");
    panel.replaceChildren(
      note(message || "Search a word or choose a point: its nearest neighbours light up."),
      note(`Neighbours by cosine in the original ${data.dimensions} dimensions, ` +
        `among the ${number.format(data.vocabulary)} most frequent words.`),
      keys,
    );
  }

  function clear(message) {
    selected = -1;
    document.body.classList.remove("chosen");
    lit = new Set();
    hint(message);
    redraw();
  }

  function select(index) {
    const list = nearest(index);
    selected = index;
    document.body.classList.add("chosen"); // hides the legend on a phone
    lit = new Set(list.map((n) => n.index).filter((i) => i < size));
    hide();
    const heading = make("h2");
    heading.append(make("bdi", brief(words[index], 120)));
    const items = make("ol");
    for (const { index: other, cosine } of list) {
      const item = make("li"), text = brief(nameOf(other), 80);
      const name = other < size
        ? make("button", undefined, { type: "button", onclick: () => select(other) })
        : make("span", undefined, { className: "off", title: "not on the map" });
      name.append(make("bdi", text));
      item.append(name, make("output", cosine.toFixed(3)));
      items.append(item);
    }
    panel.replaceChildren(heading, make("p", frequency(index), { className: "note" }),
      make("h3", "Nearest neighbours, cosine"), items);
    panel.scrollTop = 0;
    measure(); // on a phone the panel has just taken some of the height
    const spots = [index, ...lit].map(place);
    const xs = spots.map((p) => p[0]), ys = spots.map((p) => p[1]);
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const base = Math.min(width, height) / 2.15;
    const zoom = Math.min((0.7 * width) / base / (x1 - x0 + 1e-9),
      (0.75 * height) / base / (y1 - y0 + 1e-9), 8);
    flyTo({ x: (x0 + x1) / 2, y: (y0 + y1) / 2, zoom: Math.max(1, zoom) });
  }

  function pick(x, y) {
    let best = -1, distance = NEAR * NEAR;
    for (let i = 0; i < size; i++) {
      const d = (sx[i] - x) ** 2 + (sy[i] - y) ** 2;
      if (d < distance) [best, distance] = [i, d];
    }
    return best;
  }

  // Pointers: one drags the map, two zoom it, and one that did not move chooses a word.
  const down = new Map();
  let travelled = 0;
  const spot = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    if (!down.size) travelled = 0;
    down.set(event.pointerId, spot(event));
    try { canvas.setPointerCapture(event.pointerId); } catch { /* the pointer has already left */ }
  });
  canvas.addEventListener("pointermove", (event) => {
    const now = spot(event), before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") hover(pick(now.x, now.y), now.x, now.y);
      return;
    }
    travelled += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (down.size === 2) {
      const other = [...down].find(([id]) => id !== event.pointerId)[1];
      const gap = (p) => Math.hypot(p.x - other.x, p.y - other.y) || 1;
      pan((now.x - before.x) / 2, (now.y - before.y) / 2);
      zoomAt(gap(now) / gap(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
    } else if (down.size === 1 && travelled > 4) {
      canvas.classList.add("dragging");
      pan(now.x - before.x, now.y - before.y);
    }
    down.set(event.pointerId, now);
  });
  const release = (event) => {
    if (!down.delete(event.pointerId)) return;
    canvas.classList.remove("dragging");
    if (event.type === "pointerup" && !down.size && travelled <= 4) {
      const { x, y } = spot(event), index = pick(x, y);
      if (index >= 0) select(index);
      else clear();
    }
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", hide);
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { x, y } = spot(event), lines = event.deltaMode === 1 ? 16 : 1;
    const turn = Math.max(-120, Math.min(120, event.deltaY * lines * (event.ctrlKey ? 4 : 1)));
    zoomAt(Math.exp(-turn / 400), x, y);
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
    if (moves[event.key]) pan(...moves[event.key]);
    else if (event.key === "+" || event.key === "=") zoomAt(1.3);
    else if (event.key === "-") zoomAt(1 / 1.3);
    else if (event.key === "0" || event.key === "Home") whole();
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.activeElement !== search) clear();
    if (event.key === "/" && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    }
  });
  at("closer").onclick = () => zoomAt(1.5);
  at("farther").onclick = () => zoomAt(1 / 1.5);
  at("whole").onclick = whole;

  // The search field and its list.
  const folded = words.map((word) => word.toLowerCase());
  let found = [], chosen = -1;
  function list() {
    const wanted = search.value.trim().toLowerCase();
    const start = [], within = [];
    if (wanted)
      for (let i = 0; i < size && start.length < SHOWN; i++) {
        const where = folded[i].indexOf(wanted);
        if (where === 0) start.push(i);
        else if (where > 0 && within.length < SHOWN) within.push(i);
      }
    const same = folded.indexOf(wanted);
    found = [...new Set([...(wanted && same >= 0 ? [same] : []), ...start, ...within])];
    found = found.slice(0, SHOWN);
    choose(-1);
    matches.replaceChildren(...found.map((index, j) => {
      const item = make("li", undefined, { id: `match-${j}` });
      item.setAttribute("role", "option");
      item.append(make("bdi", brief(words[index], 60)));
      item.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus in the search field
      item.addEventListener("click", () => take(index));
      return item;
    }));
    open(found.length > 0);
  }
  function open(shown) {
    matches.hidden = !shown;
    search.setAttribute("aria-expanded", String(shown));
  }
  function choose(j) {
    chosen = j;
    [...matches.children].forEach((item, i) => item.setAttribute("aria-selected", String(i === j)));
    if (j >= 0) search.setAttribute("aria-activedescendant", `match-${j}`);
    else search.removeAttribute("aria-activedescendant");
  }
  function take(index) {
    search.value = words[index];
    open(false);
    select(index);
  }
  search.addEventListener("input", () => {
    list();
    if (!search.value) clear();
  });
  search.addEventListener("blur", () => open(false));
  search.addEventListener("keydown", (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (steps[event.key] && found.length) {
      event.preventDefault();
      open(true);
      choose((chosen + steps[event.key] + found.length + (chosen < 0 && steps[event.key] < 0)) %
        found.length);
    } else if (event.key === "Enter") {
      const exact = words.indexOf(search.value.trim());
      const index = chosen >= 0 ? found[chosen] : exact >= 0 ? exact : found[0];
      if (index !== undefined) take(index);
      else if (search.value.trim())
        clear(`“${brief(search.value.trim())}” is not among the ${number.format(size)} words of this map.`);
    } else if (event.key === "Escape") {
      open(false);
      search.value = "";
      clear();
    }
  });

  function show(index) {
    from = map;
    map = index;
    [...at("methods").children].forEach((button, i) =>
      button.setAttribute("aria-pressed", String(i === index)));
    at("axes").textContent = maps[index].about;
    animate(wordMotion, (t) => { mixed = t; }, 700);
  }
  maps.forEach((one, index) => at("methods").append(
    make("button", one.name, { type: "button", onclick: () => show(index) })));
  at("methods").hidden = maps.length < 2;
  at("methods").style.display = maps.length < 2 ? "none" : "";

  const ends = (ascending) => level.indexOf(ascending ? low : high);
  const end = (index) => number.format(counts ? counts[index] : ranks[index] + 1);
  at("scale-name").textContent = counts ? "occurrences (log scale)" : "rank (log scale)";
  if (size) {
    at("rare").textContent = end(ends(true));
    at("frequent").textContent = end(ends(false));
  }

  new ResizeObserver(measure).observe(stage);
  dark.addEventListener("change", () => {
    readTheme();
    redraw();
  });
  readTheme();
  measure();
  clear();
  if (maps.length) show(0);
  redraw();

  // For tests of the page.
  globalThis.wordMap = Object.freeze({
    locate: (word) => {
      const index = words.indexOf(word);
      return index < 0 ? null : { x: sx[index], y: sy[index] };
    },
    size,
    word: (index) => words[index] ?? null,
    view: () => ({ ...view }),
    lit: () => [...lit].map(nameOf),
    still: () => !queued && viewMotion.ended === viewMotion.begun &&
      wordMotion.ended === wordMotion.begun,
  });
})();
