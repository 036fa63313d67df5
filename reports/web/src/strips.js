// Series over virtual time: thin plots under one another, with one cursor.
import uPlot from "uplot";
import { colour, el, number, span, timeTicks, writes } from "./base.js";

const COLOURS = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5", "--c7", "--c6"];
const DASHES = [[], [7, 3], [2, 3], [9, 3, 2, 3], [], [7, 3], [2, 3], [9, 3, 2, 3]];
/** More lines than this in one plot cannot be told apart. */
const MOST = 8;

/** A series' columns as values for every bucket: the last, and where they differ the least and the greatest. */
export function expand(series, buckets) {
  const last = new Array(buckets).fill(null);
  const low = series.low ? new Array(buckets).fill(null) : last;
  const high = series.high ? new Array(buckets).fill(null) : last;
  series.bucket.forEach((bucket, i) => {
    if (bucket >= buckets) return;
    last[bucket] = series.last[i];
    if (series.low) low[bucket] = series.low[i];
    if (series.high) high[bucket] = series.high[i];
  });
  if (series.form === "count") {
    for (let i = 0; i < buckets; i++) last[i] ??= 0;
  } else if (series.form === "gauge") {
    let now = null;
    for (let i = 0; i < buckets; i++) {
      if (last[i] === null) {
        last[i] = now;
        if (low !== last) low[i] = now;
        if (high !== last) high[i] = now;
      } else now = last[i];
    }
  }
  return { last, low, high };
}

/** Fault bands behind, and the moment that is looked at, on a canvas. */
function behind(run) {
  return {
    hooks: {
      drawClear: [(u) => {
        const { ctx, bbox } = u;
        ctx.save();
        ctx.fillStyle = colour("--band");
        for (const band of run.timeline.bands) {
          const from = u.valToPos(band.from, "x", true);
          const to = u.valToPos(band.to, "x", true);
          const left = Math.max(from, bbox.left);
          const right = Math.min(Math.max(to, from + 2), bbox.left + bbox.width);
          if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
        }
        ctx.restore();
      }],
      draw: [(u) => {
        if (run.view.mark === null) return;
        const x = u.valToPos(run.view.mark, "x", true);
        const { ctx, bbox } = u;
        if (x < bbox.left || x > bbox.left + bbox.width) return;
        ctx.save();
        ctx.strokeStyle = colour("--mark");
        ctx.lineWidth = 1.5 * devicePixelRatio;
        ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.restore();
      }],
    },
  };
}

/** Draws lines into a box: each has a name, a unit and values for every bucket; some have a low and a high. */
export function draw(run, box, label, lines, { height = 132, zero = true, stacked = false } = {}) {
  const { timeline, view, clock } = run;
  const wide = timeline.bucket_us;
  const buckets = Math.max(1, Math.ceil((timeline.length_us + 1) / wide));
  const xs = Array.from({ length: buckets }, (_, i) => Math.min((i + 0.5) * wide, timeline.length_us));
  const left = lines.length - MOST;
  lines = lines.slice(0, MOST);
  const data = [xs];
  const blank = (value) => value === null || value === undefined;
  const series = [{ label: "\u00a0", value: (_, x) => (blank(x) ? "" : clock(x, wide)) }];
  const bands = [];
  const write = lines[0]?.write ?? number;
  if (stacked) {
    const sum = new Array(buckets).fill(0);
    const tops = lines.map((line) => line.last.map((value, i) => (value === null ? null : (sum[i] += value))));
    // From the top of the pile down, so that what is below is drawn over it.
    for (let k = lines.length - 1; k >= 0; k--) {
      data.push(tops[k]);
      const own = lines[k].last;
      series.push({
        label: lines[k].name, stroke: () => colour(lines[k].colour), fill: () => colour(lines[k].colour), width: 0.5,
        points: { show: false }, value: (_, __, ___, i) => (blank(i) ? "" : write(own[i])), spanGaps: true,
      });
    }
  } else {
    lines.forEach((line, k) => {
      const paint = line.colour ?? COLOURS[k % COLOURS.length];
      const dash = DASHES[k % DASHES.length];
      const stroke = () => colour(paint);
      const common = { stroke, width: 1.6, dash, points: { show: line.points ?? false, size: 4, fill: stroke }, spanGaps: line.gaps ?? false };
      const spread = line.high !== line.last || line.low !== line.last;
      if (spread) {
        const first = series.length;
        data.push(line.high, line.low);
        series.push({ ...common, label: line.name, value: (_, __, ___, i) => (blank(i) ? "" : between(write, line.low[i], line.high[i])) });
        series.push({ ...common, label: line.name + ", least", value: () => "" , width: 0.6, dash: [] });
        bands.push({ series: [first, first + 1], fill: () => colour(paint) + "3a" });
      } else {
        data.push(line.last);
        series.push({ ...common, label: line.name, value: (_, value) => (blank(value) ? "" : write(value)), paths: line.steps ? uPlot.paths.stepped({ align: 1 }) : undefined });
      }
    });
  }
  const font = "11px system-ui, sans-serif";
  const axis = { stroke: () => colour("--soft"), font, ticks: { stroke: () => colour("--line"), width: 1, size: 4 }, grid: { stroke: () => colour("--faint"), width: 1 } };
  const make = () => {
    const width = Math.max(240, Math.floor(box.clientWidth));
    const options = {
      width, height, padding: [8, 10, 0, 0], bands,
      cursor: { sync: { key: "run" + run.index, setSeries: false }, drag: { x: true, y: false, setScale: false }, points: { size: 5 } },
      legend: { live: true, markers: { width: 2, dash: (u, i) => ((series[i]?.dash ?? []).length ? "dashed" : "solid") } },
      scales: { x: { time: false, min: view.range[0], max: view.range[1] }, y: { range: (_, low, high) => span0(low, high, zero) } },
      axes: [
        { ...axis, size: 28, splits: (u, _, from, to) => clock.ticks(from, to, Math.max(2, u.bbox.width / devicePixelRatio / 85)).ticks,
          values: (u, ticks) => ticks.map((at) => clock(at, ticks.length > 1 ? ticks[1] - ticks[0] : 1)) },
        { ...axis, size: 56, splits: (u, _, from, to) => (write === span ? spanTicks(from, to) : plainTicks(from, to)), values: (_, ticks) => ticks.map((value) => write(value)) },
      ],
      series, plugins: [behind(run)],
      hooks: {
        setSelect: [(u) => {
          if (u.select.width > 4) view.show(u.posToVal(u.select.left, "x"), u.posToVal(u.select.left + u.select.width, "x"));
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
        }],
      },
    };
    return new uPlot(options, data, box);
  };
  box.replaceChildren();
  let plot = make();
  // The legend's rows for the lower edges say nothing of their own.
  const tidy = () => {
    for (const row of plot.root.querySelectorAll(".u-legend .u-series")) {
      if (row.textContent.includes(", least")) row.remove();
    }
    const canvas = plot.root.querySelector("canvas");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
  };
  tidy();
  if (left > 0) box.append(el("p", { class: "fine" }, `and ${left} more, the smallest, that are not drawn`));
  return {
    view: () => { plot.setScale("x", { min: view.range[0], max: view.range[1] }); plot.redraw(false); },
    size: () => {
      const width = Math.max(240, Math.floor(box.clientWidth));
      if (width !== plot.width) plot.setSize({ width, height });
    },
    colours: () => { const old = plot; plot = make(); box.insertBefore(plot.root, old.root); old.destroy(); tidy(); },
  };
}

function between(write, low, high) {
  if (high === null || high === undefined) return "–";
  return low === high ? write(high) : `${write(low)}…${write(high)}`;
}

function span0(low, high, zero) {
  if (low === null || high === null) return [0, 1];
  const from = zero ? Math.min(0, low) : low;
  const to = Math.max(high, from + 1e-9, zero ? 0 : from);
  const room = (to - from) * 0.06 || 1;
  return [from < 0 ? from - room : from, to + room];
}

/** Round steps of time for an upright axis. */
export const spanTicks = (from, to, most = 4) => timeTicks(from, to, most).ticks;

export function plainTicks(from, to, most = 4) {
  const rough = (to - from) / most || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough);
  const ticks = [];
  for (let i = Math.ceil(from / step); i * step <= to; i++) ticks.push(Number((i * step).toPrecision(10)));
  return ticks;
}

/** All series of some names, the largest first. */
function gather(run, names, accept = () => true) {
  const { timeline } = run;
  const buckets = Math.max(1, Math.ceil((timeline.length_us + 1) / timeline.bucket_us));
  const lines = [];
  for (const track of timeline.actors) {
    for (const series of track.series) {
      if (!names.includes(series.name) || !accept(track, series)) continue;
      const values = expand(series, buckets);
      const name = names.length > 1 ? `${track.actor} ${series.name.replaceAll("_", " ")}` : track.actor;
      const peak = Math.max(...(series.high ?? series.last));
      lines.push({ name, write: writes[series.unit], ...values, form: series.form, gaps: series.form === "reading", points: series.form === "reading" && series.bucket.length < 80, peak });
    }
  }
  return lines.sort((a, b) => b.peak - a.peak);
}

/** Counts as so many a second, over groups of buckets: in the finest ones an even rate would look jagged. */
function rate(counts, seconds) {
  const group = Math.max(1, Math.ceil(counts.length / 120));
  const rates = new Array(counts.length);
  for (let at = 0; at < counts.length; at += group) {
    const part = counts.slice(at, at + group);
    const mean = part.reduce((sum, n) => sum + n, 0) / part.length / seconds;
    rates.fill(mean, at, at + group);
  }
  return rates;
}

/** The strips that every run has. */
export function strip(run, box, kind, label) {
  const a = run.timeline.bucket_us / 1e6;
  if (kind === "rate") {
    const worth = { source: "out", operator: "out", "sub-stream": "out", merge: "out", sink: "in", broker: "out" };
    let lines = gather(run, ["in", "out"], (track, series) => worth[track.role] === series.name);
    for (const line of lines) {
      line.name = line.name.replace(/ (in|out)$/, (_, way) => (way === "in" ? " takes" : " sends"));
      line.last = line.low = line.high = rate(line.last, a);
    }
    return draw(run, box, label, lines, {});
  }
  const names = kind === "trouble" ? ["late", "shed", "failed", "lost_in_crash", "corrections"] : kind === "backlog" ? ["backlog", "pending"] : [kind];
  const accept = kind === "lag" ? (track) => track.role !== "watermark generator" : () => true;
  const lines = gather(run, names, accept);
  if (kind === "trouble") for (const line of lines) line.steps = true;
  return draw(run, box, label, lines.length ? lines : gather(run, names), { height: kind === "latency" ? 190 : 132 });
}

/** Series of the pattern's own, by name: those of one unit in one plot. */
export function named(run, box, names, label) {
  const lines = gather(run, names);
  const units = [...new Set(lines.map((line) => line.write))];
  const parts = units.map((write) => {
    const part = el("div", {});
    box.append(part);
    return draw(run, part, label, lines.filter((line) => line.write === write), {});
  });
  return { view: () => parts.forEach((p) => p.view()), size: () => parts.forEach((p) => p.size()), colours: () => parts.forEach((p) => p.colours()) };
}

/** What a learner or any other pattern measures of itself: every series that not everybody has. */
const COMMON = new Set(["in", "out", "late", "filtered", "failed", "shed", "lost_in_crash", "corrections", "held", "state_bytes", "queue", "held_back", "lag", "latency", "emit_delay"]);
export function own(run, box, label) {
  const names = new Set();
  for (const track of run.timeline.actors) for (const series of track.series) {
    if (!COMMON.has(series.name) && !series.name.startsWith("why.")) names.add(series.name);
  }
  return named(run, box, [...names], label);
}

/** The mean time of results by cause, over time. */
export function causes(run, box, actor, label) {
  const { timeline, extra } = run;
  const keys = ["source", "link", "fault", "broker", "queue", "reorder", "window", "work"];
  const paints = ["--c6", "--c5", "--c1", "--c7", "--c4", "--c3", "--c0", "--c2"];
  const buckets = Math.max(1, Math.ceil((timeline.length_us + 1) / timeline.bucket_us));
  const track = timeline.actors.find((track) => track.actor === actor);
  const many = track.series.find((series) => series.name === "why.results");
  if (!many) return null;
  const results = expand(many, buckets).last;
  const lines = [];
  keys.forEach((key, k) => {
    const series = track.series.find((series) => series.name === "why." + key);
    if (!series) return;
    const last = expand(series, buckets).last.map((value, i) => (results[i] ? (value ?? 0) / results[i] : null));
    lines.push({ name: extra.causes[k], colour: paints[k], write: span, last });
  });
  return draw(run, box, label, lines, { stacked: true, height: 190 });
}
