// What all plots share: elements, ways of writing, scales and axes, and the part of the run that is looked at.
import { scaleLinear } from "d3-scale";

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; text is always text. */
export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** The same for SVG. */
export function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const key in attributes) {
    const value = attributes[key];
    if (value !== undefined && value !== null) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A colour of the palette as it is now, for canvases. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

const UNITS = [
  [86_400e6, "d"], [3_600e6, "h"], [60e6, "m"], [1e6, "s"], [1e3, "ms"], [1, "us"],
];

/** Microseconds as a person writes them, to about three digits: `3m41s`, `2.35s`, `41ms`. */
export function span(us, digits = 3) {
  if (us === null || us === undefined || Number.isNaN(us)) return "–";
  const size = Math.abs(us);
  const sign = us < 0 ? "-" : "";
  if (size === 0) return "0";
  if (size >= 60e6) {
    const at = UNITS.findIndex(([unit]) => size >= unit);
    let [big, name] = UNITS[at];
    const [small, smaller] = UNITS[at + 1];
    let rest = Math.round((size % big) / small);
    let whole = Math.floor(size / big);
    if (rest === Math.round(big / small)) { rest = 0; whole += 1; }
    return sign + whole + name + (rest ? rest + smaller : "");
  }
  const [unit, name] = UNITS.find(([unit]) => size >= unit * 0.9995) ?? UNITS[5];
  return sign + Number((size / unit).toPrecision(digits)) + name;
}

/** A number of something in few characters. */
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1e9) return Number((value / 1e9).toPrecision(3)) + "G";
  if (size >= 1e6) return Number((value / 1e6).toPrecision(3)) + "M";
  if (size >= 1e4) return Number((value / 1e3).toPrecision(3)) + "k";
  return String(Number(value.toPrecision(4)));
}

/** Bytes. */
export function bytes(value) {
  if (value === null || value === undefined) return "–";
  for (const [unit, name] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (Math.abs(value) >= unit) return Number((value / unit).toPrecision(3)) + " " + name;
  }
  return Number(value.toPrecision(3)) + " B";
}

/** How a series' unit is written. */
export const writes = { us: span, bytes, count: number, millionths: (value) => number(value === null || value === undefined ? value : value / 1e6) };

/** Steps of time that people read easily, in microseconds. */
const STEPS = [1, 1e3].flatMap((unit) => [1, 2, 5, 10, 20, 50, 100, 200, 500].map((k) => k * unit)).concat(
  [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000].map((k) => k * 1e6),
);

/** Ticks at such steps. */
export function timeTicks(from, to, most) {
  const wide = to - from;
  const step = STEPS.find((step) => wide / step <= most) ?? wide / most;
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to + step * 1e-9; at += step) ticks.push(at === 0 ? 0 : at);
  return { ticks, step };
}

/** Writes moments of a run: since the start, or where it has dates as time of day. */
export function clock(start) {
  const dated = Math.abs(start) >= 1000 * 86_400e6;
  const write = (us, step = 1) => {
    if (!dated) return span(us, 6);
    const date = new Date((start + us) / 1000);
    const iso = date.toISOString();
    if (step >= 86_400e6) return iso.slice(5, 10);
    if (step >= 60e6) return iso.slice(11, 16);
    return iso.slice(11, 19) + (step < 1e6 ? iso.slice(19, 23) : "");
  };
  write.dated = dated;
  write.full = (us) => (dated ? new Date((start + us) / 1000).toISOString().replace("T", " ").replace(".000Z", "Z") : span(us, 7));
  // Ticks of dated runs fall on whole minutes and hours of the day, not of the run.
  write.ticks = (from, to, most) => {
    const shift = dated ? start : 0;
    const { ticks, step } = timeTicks(from + shift, to + shift, most);
    return { ticks: ticks.map((at) => at - shift), step };
  };
  return write;
}

/** A plot in SVG: its margins, its scales, and a clipped ground to draw on. */
export class Chart {
  constructor(box, { height, left = 56, right = 10, top = 8, bottom = 30, label }) {
    this.width = Math.max(260, Math.floor(box.clientWidth || 600));
    this.height = height;
    this.left = left;
    this.right = this.width - right;
    this.top = top;
    this.bottom = height - bottom;
    this.svg = svg("svg", { width: this.width, height, role: "img", "aria-label": label });
    const id = "clip" + Chart.count++;
    this.svg.append(svg("clipPath", { id }, svg("rect", {
      x: this.left, y: this.top, width: Math.max(1, this.right - this.left), height: Math.max(1, this.bottom - this.top),
    })));
    this.under = svg("g");
    this.ground = svg("g", { "clip-path": `url(#${id})` });
    this.over = svg("g");
    this.svg.append(this.under, this.ground, this.over);
    box.replaceChildren(this.svg);
    this.box = box;
  }

  scaleX(from, to) {
    return (this.x = scaleLinear().domain([from, to === from ? from + 1 : to]).range([this.left, this.right]));
  }

  scaleY(from, to) {
    return (this.y = scaleLinear().domain([from, to === from ? from + 1 : to]).range([this.bottom, this.top]));
  }

  /** An axis below; `ticks` are places, `write` writes one. */
  below(ticks, write, title) {
    const axis = svg("g", { class: "axis" });
    axis.append(svg("line", { x1: this.left, x2: this.right, y1: this.bottom, y2: this.bottom }));
    let last = -Infinity;
    for (const tick of ticks) {
      const x = this.x(tick);
      if (x < this.left - 0.5 || x > this.right + 0.5) continue;
      const text = write(tick);
      axis.append(svg("line", { x1: x, x2: x, y1: this.bottom, y2: this.bottom + 4 }));
      const half = text.length * 3.2;
      const at = Math.min(Math.max(x, half), this.width - half);
      if (at - half < last + 6) continue;
      last = at + half;
      axis.append(svg("text", { x: at, y: this.bottom + 15, "text-anchor": "middle" }, text));
    }
    if (title) axis.append(svg("text", { x: this.right, y: this.height - 2, "text-anchor": "end" }, title));
    this.under.append(axis);
  }

  /** An axis on the left, with lines across. */
  beside(ticks, write, title) {
    const axis = svg("g", { class: "axis" });
    const grid = svg("g", { class: "grid" });
    for (const tick of ticks) {
      const y = this.y(tick);
      if (y < this.top - 0.5 || y > this.bottom + 0.5) continue;
      grid.append(svg("line", { x1: this.left, x2: this.right, y1: y, y2: y }));
      axis.append(svg("text", { x: this.left - 6, y: y + 4, "text-anchor": "end" }, write(tick)));
    }
    if (title) axis.append(svg("text", { x: 2, y: this.top + 2, "dominant-baseline": "hanging" }, title));
    this.under.append(grid, axis);
  }

  /** Times of faults behind everything. */
  bands(bands) {
    for (const band of bands) {
      const x = this.x(band.from);
      const wide = Math.max(2, this.x(band.to) - x);
      this.under.append(svg("rect", {
        class: "band", x: Math.max(x, this.left), y: this.top,
        width: Math.max(0, Math.min(x + wide, this.right) - Math.max(x, this.left)), height: this.bottom - this.top,
      }));
    }
  }

  /** A row of names on the left. */
  lane(name, y) {
    const most = Math.floor((this.left - 8) / 6.2);
    const shown = name.length > most ? name.slice(0, most - 1) + "…" : name;
    this.under.append(svg("text", { class: "lane", x: this.left - 8, y: y + 4, "text-anchor": "end" }, shown, svg("title", {}, name)));
  }

  /** The moment that is looked at. */
  mark(at) {
    if (at === null || at === undefined) return;
    const x = this.x(at);
    if (x >= this.left && x <= this.right) {
      this.over.append(svg("line", { class: "markline", x1: x, x2: x, y1: this.top, y2: this.bottom }));
    }
  }
}
Chart.count = 0;

/** What marks look like: a colour and a shape each, so that neither is needed alone. */
export const SHAPES = {
  dot: (x, y, r) => `M${x - r},${y}a${r},${r} 0 1,0 ${2 * r},0a${r},${r} 0 1,0 ${-2 * r},0`,
  square: (x, y, r) => `M${x - r},${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  diamond: (x, y, r) => `M${x},${y - r * 1.3}l${r * 1.3},${r * 1.3}l${-r * 1.3},${r * 1.3}l${-r * 1.3},${-r * 1.3}z`,
  up: (x, y, r) => `M${x},${y - r * 1.2}l${r * 1.2},${r * 2.2}h${-r * 2.4}z`,
  down: (x, y, r) => `M${x},${y + r * 1.2}l${r * 1.2},${-r * 2.2}h${-r * 2.4}z`,
  cross: (x, y, r) => `M${x - r},${y - r}l${2 * r},${2 * r}M${x - r},${y + r}l${2 * r},${-2 * r}`,
  stroke: (x, y, r) => `M${x},${y - r}v${2 * r}`,
  plus: (x, y, r) => `M${x - r},${y}h${2 * r}M${x},${y - r}v${2 * r}`,
};

/** The fates of events, in the order of the timeline's numbers. */
export const FATES = [
  { name: "taken", colour: "--c0", shape: "dot", r: 2.2 },
  { name: "filtered", colour: "--c6", shape: "dot", r: 2.4, hollow: true },
  { name: "late", colour: "--c1", shape: "cross", r: 4, hollow: true },
  { name: "failed", colour: "--c3", shape: "diamond", r: 4 },
  { name: "shed", colour: "--c4", shape: "down", r: 4 },
  { name: "lost on the way", colour: "--ink", shape: "plus", r: 4.5, hollow: true },
  { name: "lost in a crash", colour: "--c3", shape: "square", r: 3.4, hollow: true },
];

/** Marks of one look as a single path. */
export function marks(look, places) {
  const d = places.map(([x, y]) => SHAPES[look.shape](round(x), round(y), look.r)).join("");
  return svg("path", {
    d, class: "marks",
    fill: look.hollow ? "none" : `var(${look.colour})`,
    stroke: `var(${look.colour})`,
    "stroke-width": look.hollow ? 1.6 : 0.6,
  });
}

export const round = (x) => Math.round(x * 10) / 10;

/** A legend: what each look means. */
export function legend(box, items) {
  const list = el("p", { class: "legend" });
  for (const item of items) {
    const sample = svg("svg", { width: 22, height: 14, "aria-hidden": "true" });
    if (item.line) {
      sample.append(svg("line", {
        x1: 1, x2: 21, y1: 7, y2: 7, stroke: `var(${item.colour})`, "stroke-width": item.wide ?? 2, "stroke-dasharray": item.dash,
      }));
    } else if (item.fill) {
      sample.append(svg("rect", { x: 2, y: 2, width: 18, height: 10, fill: item.fill, stroke: item.stroke }));
    } else {
      sample.append(marks(item, [[11, 7]]));
    }
    list.append(el("span", { class: "key" }, sample, item.name));
  }
  box.append(list);
}

/** Shows a text beside the pointer, over the nearest of some places. */
export function tips(chart, places, write, choose) {
  let tip = null;
  const hide = () => { tip?.remove(); tip = null; choose?.(null); };
  const show = (event) => {
    const frame = chart.svg.getBoundingClientRect();
    const x = event.clientX - frame.left;
    const y = event.clientY - frame.top;
    let best = null;
    let least = 14 * 14;
    for (const place of places()) {
      const far = (place.x - x) ** 2 + (place.y - y) ** 2;
      if (far < least) { least = far; best = place; }
    }
    if (!best) return hide();
    if (!tip) { tip = el("div", { class: "tip" }); chart.box.append(tip); }
    tip.textContent = write(best);
    tip.style.left = Math.min(x + 12, Math.max(0, chart.width - 200)) + "px";
    tip.style.top = y + 14 + "px";
    choose?.(best);
  };
  chart.svg.addEventListener("pointermove", show);
  chart.svg.addEventListener("pointerleave", hide);
}

/** The part of a run that its plots show, and the moment that is looked at. */
export class View {
  constructor(length) {
    this.whole = [0, Math.max(1, length)];
    this.range = [...this.whole];
    this.mark = null;
    this.watchers = [];
  }
  watch(draw) { this.watchers.push(draw); }
  get isWhole() { return this.range[0] <= this.whole[0] && this.range[1] >= this.whole[1]; }
  show(from, to, mark = this.mark) {
    const least = Math.max(10, this.whole[1] / 20_000);
    let wide = Math.min(Math.max(to - from, least), this.whole[1]);
    let begin = Math.min(Math.max(from, 0), this.whole[1] - wide);
    this.range = [begin, begin + wide];
    this.mark = mark;
    if (!this.waiting) {
      this.waiting = true;
      requestAnimationFrame(() => {
        this.waiting = false;
        for (const draw of this.watchers) draw();
      });
    }
  }
  zoom(factor) {
    const [from, to] = this.range;
    const middle = this.mark !== null && this.mark > from && this.mark < to ? this.mark : (from + to) / 2;
    this.show(middle - (middle - from) * factor, middle + (to - middle) * factor);
  }
  move(share) {
    const [from, to] = this.range;
    const by = (to - from) * share;
    this.show(from + by, to + by);
  }
  all() { this.show(...this.whole, null); }
}

/** Steps: where a line that keeps its value until the next point goes. */
export function stepPath(chart, at, value, horizontalIsValue) {
  let d = "";
  let before = null;
  for (let i = 0; i < at.length; i++) {
    const x = horizontalIsValue ? round(chart.x(value[i])) : round(chart.x(at[i]));
    const y = horizontalIsValue ? round(chart.y(at[i])) : round(chart.y(value[i]));
    if (before === null) d = `M${x},${y}`;
    else d += horizontalIsValue ? `V${y}H${x}` : `H${x}V${y}`;
    before = [x, y];
  }
  return d;
}
