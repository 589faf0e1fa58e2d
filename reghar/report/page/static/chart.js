// The token axis, and accuracy by budget as a chart with values under the pointer or the arrow keys.

// Place of a budget on 0..1: linear, since REG is an area over tokens, unless `log2` is asked for, which is
// linear below the first positive budget, so that 0 has a place.
function axis(budgets, scale, end) {
  const last = Math.max(end || 0, budgets.at(-1), 1);
  const first = budgets.find((b) => b > 0) || 1;
  if (scale !== "log2" || first >= last) return (tokens) => Math.min(tokens / last, 1);
  const octaves = Math.log2(last / first);
  const low = 1 / (1 + octaves);
  return (tokens) =>
    Math.min(
      tokens < first ? (low * tokens) / first : low + ((1 - low) * Math.log2(tokens / first)) / octaves,
      1,
    );
}

function axisTicks(budgets, x, room) {
  const kept = [];
  const apart = room * (window.innerWidth < 700 ? 1.6 : 1);
  const from =
    state.place.scale === "log2" ? budgets : budgets.filter((b) => b % 512 === 0 || budgets.length < 9);
  const powers = from.filter((b) => b === 0 || Number.isInteger(Math.log2(b)));
  for (const b of [
    budgets.at(-1),
    0,
    ...(state.place.scale !== "log2" || powers.length < 4 ? [...from, ...budgets] : powers),
  ]) {
    if (kept.every((k) => Math.abs(x(k) - x(b)) > apart)) kept.push(b);
  }
  return kept;
}

// What the two areas around a line are, where one of the lines has them.
function bandLegend(lines) {
  const shown = lines.find((line) => line.bandLow);
  if (!shown) return null;
  return el(
    "p",
    { class: "legend bands" },
    el("span", {}, el("i", { class: `area each ${shown.className}` }), "95% interval of each point"),
    el(
      "span",
      { title: "As wide as it must be for all budgets to lie within it together, in 95 of 100 (sup-t)" },
      el("i", { class: `area whole ${shown.className}` }),
      "95% band: holds the whole curve at once",
    ),
  );
}

// lines: [{ name, className, values, low, high, bandLow, bandHigh }], all on `budgets`: accuracies, or
// differences of them where `signed`.
function curveChart(budgets, lines, { signed } = {}) {
  const narrow = window.innerWidth < 700;
  const [width, height, left, bottom] = narrow ? [720, 420, 66, 58] : [1100, 360, 44, 40];
  const x01 = axis(budgets, state.place.scale);
  const x = (b) => left + x01(b) * (width - left - 28);
  const reached = lines.flatMap((line) =>
    [line.values, line.high, line.bandHigh, ...(signed ? [line.low, line.bandLow] : [])].flatMap(
      (s) => s || [],
    ),
  );
  const top = Math.max(...reached.map(Math.abs), 0.05);
  const most = [0.1, 0.2, 0.4, 0.6, 0.8, 1].find((v) => v >= top) || 1;
  const least = signed ? -most : 0;
  const y = (v) => height - bottom - ((v - least) / (most - least)) * (height - bottom - 12);
  const say = (v, digits) => (signed ? points(v) : percent(v, digits));
  const path = (values) =>
    budgets.map((b, i) => `${i ? "L" : "M"}${x(b).toFixed(1)} ${y(values[i]).toFixed(1)}`).join("");
  const area = (kind, line, low, high) =>
    svg("path", {
      class: `band ${kind} ${line.className}`,
      d: `${path(high)}${budgets
        .map((b, i) => `L${x(b).toFixed(1)} ${y(low[i]).toFixed(1)}`)
        .reverse()
        .join("")}Z`,
    });
  const guide = svg("line", { class: "guide", y1: 8, y2: height - bottom, x1: -9, x2: -9 });
  const values = el("p", { class: "values", "aria-live": "polite" });
  const picture = svg(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      class: "chart",
      tabindex: 0,
      role: "img",
      "aria-label": `${signed ? "Difference of accuracy" : "Accuracy"} by budget; arrow keys read values`,
    },
    [0, 0.25, 0.5, 0.75, 1]
      .map((share) => least + share * (most - least))
      .map((v) => [
        svg("line", { class: v ? "grid" : "grid zero", x1: left, x2: width - 28, y1: y(v), y2: y(v) }),
        svg("text", { x: left - 6, y: y(v) + 4, "text-anchor": "end" }, say(v, most < 0.4 ? 1 : 0)),
      ]),
    axisTicks(budgets, x01, 0.075).map((b) =>
      svg("text", { x: x(b), y: height - bottom + (narrow ? 24 : 18), "text-anchor": "middle" }, count(b)),
    ),
    svg(
      "text",
      { x: (left + width) / 2, y: height - 4, "text-anchor": "middle" },
      `budget (${state.index.counts} tokens)`,
    ),
    lines.map((line) => line.bandLow && area("whole", line, line.bandLow, line.bandHigh)),
    lines.map((line) => line.low && area("each", line, line.low, line.high)),
    lines.map((line) => svg("path", { class: `line ${line.className}`, d: path(line.values) })),
    lines.map(
      (line) =>
        line.className !== "frontier" &&
        budgets.map((b, i) =>
          svg("circle", { class: `dot ${line.className}`, cx: x(b), cy: y(line.values[i]), r: 3 }),
        ),
    ),
    guide,
  );
  let chosen = budgets.length - 1;
  const show = (i) => {
    chosen = Math.max(0, Math.min(budgets.length - 1, i));
    guide.setAttribute("x1", x(budgets[chosen]));
    guide.setAttribute("x2", x(budgets[chosen]));
    values.replaceChildren(
      el("b", {}, `${count(budgets[chosen])} tokens: `),
      ...lines.map((line) =>
        el(
          "span",
          {},
          el("i", { class: `key ${line.className}` }),
          `${line.name} ${say(line.values[chosen])}`,
          line.low ? el("small", {}, ` [${say(line.low[chosen])}, ${say(line.high[chosen])}]`) : null,
          line.bandLow
            ? el("small", {}, ` (whole curve: ${say(line.bandLow[chosen])}, ${say(line.bandHigh[chosen])})`)
            : null,
        ),
      ),
    );
  };
  picture.addEventListener("pointermove", (event) => {
    const box = picture.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width) * width;
    show(
      budgets.reduce((best, b, i) => (Math.abs(x(b) - at) < Math.abs(x(budgets[best]) - at) ? i : best), 0),
    );
  });
  picture.addEventListener("keydown", (event) => {
    const change = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!change) return;
    event.preventDefault();
    event.stopPropagation();
    show(chosen + change);
  });
  show(chosen);
  return el("figure", {}, picture, values, bandLegend(lines));
}

function scaleSwitch() {
  const log = state.place.scale === "log2";
  return el(
    "a",
    { class: "switch", href: moved({ scale: log ? undefined : "log2" }), title: "key: x" },
    `axis: ${log ? "log2" : "linear"}`,
  );
}
