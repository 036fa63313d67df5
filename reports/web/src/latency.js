// Latency as a spectrum of percentiles, and what a setting costs.
import { scaleLinear } from "d3-scale";
import { line } from "d3-shape";
import { Chart, bytes, el, legend, marks as mark, number, round, span, svg, tips } from "./base.js";
import { plainTicks, spanTicks } from "./strips.js";

const COLOURS = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c7"];
const DASHES = [undefined, "8 3", "2 3", "8 3 2 3", "12 4", "4 2"];

/** Percentiles: the axis widens by the same for each halving of what is left. */
export function spectrum(run, box, label) {
  const { spectra } = run.extra;
  const render = () => {
    const chart = new Chart(box, { height: 300, left: 62, right: 18, label });
    const left = (share) => -Math.log10(Math.max(1 - share, 1e-9));
    const most = Math.max(...spectra.flatMap((one) => one.points.map(([share]) => left(share))), 1);
    const top = Math.max(...spectra.flatMap((one) => one.points.map(([, value]) => value)), 1);
    chart.x = scaleLinear().domain([0, most]).range([chart.left, chart.right]);
    chart.scaleY(0, top * 1.06);
    const ticks = [0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999].filter((share) => left(share) <= most);
    chart.below(ticks.map(left), (at) => {
      const share = ticks.find((share) => left(share) === at);
      return share === 0 ? "0" : `${Number((share * 100).toPrecision(6))} %`;
    }, "share of results →");
    chart.beside(spanTicks(0, top * 1.06, 6), (us) => span(us));
    const actors = [...new Set(spectra.map((one) => one.of))];
    const places = [];
    // The dashed ones on top: where nothing was held up, they hide in the full ones.
    for (const one of [...spectra].sort((a, b) => (a.from === "planned" ? -1 : 1) - (b.from === "planned" ? -1 : 1))) {
      const paint = COLOURS[actors.indexOf(one.of) % COLOURS.length];
      const path = line((p) => round(chart.x(left(p[0]))), (p) => round(chart.y(p[1])));
      const sent = one.from === "sent";
      chart.ground.append(svg("path", {
        d: path(one.points), fill: "none", stroke: sent ? "var(--ink)" : `var(${paint})`, "stroke-width": sent ? 1.4 : 2.6, "stroke-dasharray": sent ? "5 4" : undefined,
      }));
      for (const [share, value] of one.points) places.push({ x: chart.x(left(share)), y: chart.y(value), share, value, one });
    }
    tips(chart, () => places, (p) => `${p.one.of}, from the moment ${p.one.from}\n${Number((p.share * 100).toPrecision(5))} % took at most ${span(p.value, 4)}`);
    legend(box, spectra.map((one) => {
      const sent = one.from === "sent";
      return { name: `${one.of}, from the moment ${one.from} (${number(one.count)})`, colour: sent ? "--ink" : COLOURS[actors.indexOf(one.of) % COLOURS.length], line: true, wide: sent ? 1.4 : 2.6, dash: sent ? "5 4" : undefined };
    }));
  };
  render();
  return { size: render };
}

/** How many events come later than a slack, for every slack, with the one that the run had. */
export function slack(run, box, label) {
  const curves = run.extra.slack;
  const render = () => {
    const chart = new Chart(box, { height: 260, left: 62, right: 18, label });
    const wide = Math.max(...curves.flatMap((curve) => [curve.yours ?? 0, curve.points.at(-1)?.[0] ?? 0]), 1);
    const high = Math.max(...curves.flatMap((curve) => curve.points.map(([, share]) => share)), 0.01);
    chart.scaleX(0, wide * 1.05);
    chart.scaleY(0, Math.min(1, high * 1.08));
    chart.below(spanTicks(0, wide * 1.05, 8), (us) => span(us), "slack K →");
    chart.beside(plainTicks(0, chart.y.domain()[1], 5), (share) => `${Number((share * 100).toPrecision(3))} %`);
    const places = [];
    curves.forEach((curve, k) => {
      const paint = `var(${COLOURS[k % COLOURS.length]})`;
      const points = curve.points.map(([at, share]) => [chart.x(at), chart.y(share)]);
      let d = "";
      points.forEach(([x, y], i) => { d += i ? `H${round(x)}V${round(y)}` : `M${chart.left},${round(y)}H${round(x)}`; });
      chart.ground.append(svg("path", { d, fill: "none", stroke: paint, "stroke-width": 2, "stroke-dasharray": DASHES[k % DASHES.length] }));
      curve.points.forEach(([at, share], i) => places.push({ x: points[i][0], y: points[i][1], at, share, of: curve.of }));
      if (curve.yours !== null) {
        const x = chart.x(curve.yours);
        chart.over.append(svg("line", { x1: x, x2: x, y1: chart.top, y2: chart.bottom, stroke: paint, "stroke-width": 2 }));
        const end = x > chart.right - 110;
        chart.over.append(svg("text", { class: "note", x: x + (end ? -5 : 5), y: chart.top + 12 + k * 14, "text-anchor": end ? "end" : "start" }, `K of ${curve.of}: ${span(curve.yours)}`));
      }
    });
    chart.over.append(svg("text", { class: "note", x: chart.left + 6, y: chart.bottom - 6 }, "↑ events that come later than K"));
    tips(chart, () => places, (p) => `with K = ${span(p.at)}, ${Number((p.share * 100).toPrecision(3))} % at ${p.of} would be late`);
    if (curves.length > 1) legend(box, curves.map((curve, k) => ({ name: curve.of, colour: COLOURS[k % COLOURS.length], line: true, dash: DASHES[k % DASHES.length] })));
  };
  render();
  return { size: render };
}

/** A sweep: a small plot for each number that was compared, the values of the setting across. */
export function sweep(data, box) {
  const render = () => {
    box.replaceChildren();
    const labels = data.runs.map((run) => run.set.join(" · "));
    data.show.forEach((name, k) => {
      const part = el("div", { class: "canvas" });
      box.append(el("p", { class: "fine" }, name), part);
      const values = data.runs.map((run) => run.shown[k]);
      const unit = values.find((value) => value)?.unit ?? "count";
      const write = unit === "us" ? span : unit === "bytes" ? bytes : number;
      const chart = new Chart(part, { height: 190, left: 66, right: 24, label: `${name} by ${data.sweep.join(", ")}` });
      const numbers = values.map((value) => (value ? Number(value.value) : null));
      const top = Math.max(...numbers.filter((n) => n !== null), 0) || 1;
      chart.scaleX(0, Math.max(1, labels.length - 1));
      chart.scaleY(0, top * 1.08);
      chart.below(labels.map((_, i) => i), (i) => labels[i], data.sweep.join(", "));
      chart.beside(unit === "us" ? spanTicks(0, top * 1.08) : plainTicks(0, top * 1.08), write);
      const points = numbers.map((n, i) => (n === null ? null : [chart.x(i), chart.y(n)]));
      const path = line((p) => p[0], (p) => p[1]).defined((p) => p !== null);
      chart.over.append(svg("path", { d: path(points), fill: "none", stroke: "var(--c0)", "stroke-width": 2 }));
      const good = points.filter((p, i) => p && data.runs[i].verdict !== "fail");
      const bad = points.filter((p, i) => p && data.runs[i].verdict === "fail");
      chart.over.append(mark({ shape: "dot", r: 4, colour: "--c0" }, good), mark({ shape: "cross", r: 5, colour: "--c1", hollow: true }, bad));
      tips(chart, () => points.map((p, i) => (p ? { x: p[0], y: p[1], i } : null)).filter(Boolean), (p) => `${labels[p.i]}: ${write(numbers[p.i])}`);
    });
    legend(box, [{ name: "expectations hold", colour: "--c0", shape: "dot", r: 4 }, { name: "an expectation is broken", colour: "--c1", shape: "cross", r: 5, hollow: true }]);
  };
  render();
  return { size: render };
}

