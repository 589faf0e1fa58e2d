// The last budget's own piece needs room to its right.
const barPlace = (end) => {
  const place = axis(state.index.budgets, state.place.scale, end);
  return (tokens) => 0.97 * place(tokens);
};

// One sample as a bar along the token axis: every budget a piece coloured by its outcome.

function bar(sample, { budget = null, href, end }) {
  const budgets = state.index.budgets;
  const counted = (s) => (state.index.counts === "thinking" ? s.thinking : s.length);
  const x = barPlace(end);
  const at = (tokens) => `${(100 * x(tokens)).toFixed(2)}%`;
  const track = el("div", { class: "track" });
  track.append(
    el("span", {
      class: "extent",
      style: { width: at(sample.length) },
      title: `${count(sample.length)} tokens${sample.finished ? "" : ", never finished"}`,
    }),
  );
  budgets.forEach((b, i) => {
    const to = i + 1 < budgets.length ? x(budgets[i + 1]) : x(b) + 0.03;
    const from = x(b);
    const outcome = outcomeAt(sample, i);
    const after = sample.finished && counted(sample) <= b;
    track.append(
      el("a", {
        class: `piece ${outcome}${after ? " after" : ""}${budget === b ? " chosen" : ""}`,
        tabindex: -1,
        href: href(b),
        style: { left: `${100 * from}%`, width: `${100 * (to - from)}%` },
        title: `${count(b)} tokens: ${sayOutcome(outcome)}${after ? " (the trace's own answer)" : ""}`,
      }),
    );
  });
  if (sample.ended !== null)
    track.append(
      el("span", {
        class: "mark ended",
        style: { left: at(sample.ended) },
        title: `thinking ended at ${count(sample.ended)} tokens`,
      }),
    );
  if (sample.settled !== null)
    track.append(
      el("span", {
        class: "mark settled",
        style: { left: at(sample.settled) },
        title: `settled at ${count(sample.settled)} tokens`,
      }),
    );
  return track;
}

function barAxis(end) {
  const budgets = state.index.budgets;
  const x = barPlace(end);
  return el(
    "div",
    { class: "track ticks", "aria-hidden": true },
    axisTicks(budgets, x, 0.09).map((b) => el("span", { style: { left: `${100 * x(b)}%` } }, count(b))),
  );
}

// Accuracy at every budget as a strip of cells, for lists.
function strip(problem) {
  return el(
    "span",
    { class: "strip", title: "accuracy by budget, smallest to largest" },
    state.index.budgets.map((b, i) => {
      const value = accuracyAt(problem, i);
      return el("i", {
        style: { "--share": `${Math.round(100 * value)}%` },
        title: `${count(b)} tokens: ${percent(value, 0)}`,
      });
    }),
  );
}
