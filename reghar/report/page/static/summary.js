// The first view: verdict, figures, curves, the budget to serve with, and the problems by gap.

const SHOWN = [
  ["reg", "REG"],
  ["reg_up_to_1024", "REG ≤ 1,024"],
  ["accuracy_at_l_max", "accuracy at largest budget"],
  ["accuracy_full", "accuracy, whole trace"],
  ["mean_length", "mean length"],
  ["area", "area under curve"],
];
const measureOf = (task, name) => task.measures.find((m) => m.name === name);

function summaryView() {
  const { index, place } = state;
  return [
    index.runs.map((run, i) =>
      el(
        "section",
        { class: "verdict" },
        index.runs.length > 1 ? el("h2", {}, el("i", { class: `key run${i % 4}` }), run.name) : null,
        el("p", { class: run.complete ? "lead" : "lead warning" }, run.verdict),
        run.notes.length
          ? el(
              "ul",
              { class: "notes" },
              run.notes.map((note) => el("li", {}, note)),
            )
          : null,
      ),
    ),
    figuresTable(),
    el("section", {}, el("h2", {}, "Accuracy by budget"), taskTabs(), curves(), servePanel()),
    el("section", {}, el("h2", {}, `Problems, ${ORDERS[place.sort] || ORDERS.gap}`), problemList()),
  ];
}

function figuresTable() {
  const names = SHOWN.filter(([name]) =>
    state.index.runs.some((run) => Object.values(run.tasks).some((task) => measureOf(task.report, name))),
  );
  const rows = state.index.runs.flatMap((run, i) =>
    Object.entries(run.tasks).map(([name, task]) =>
      el(
        "tr",
        {},
        el(
          "th",
          { scope: "row" },
          state.index.runs.length > 1
            ? [el("i", { class: `key run${i % 4}` }), `${run.name} · ${name}`]
            : name,
        ),
        names.map(([measure, label]) =>
          el("td", { "data-label": label }, figure(measureOf(task.report, measure))),
        ),
        el("td", { "data-label": "problems × samples" }, `${task.report.problems} × ${task.report.samples}`),
      ),
    ),
  );
  return el(
    "section",
    {},
    el(
      "div",
      { class: "scroll" },
      el(
        "table",
        { class: "figures" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("th", {}, "task"),
            names.map(([, label]) => el("th", {}, label)),
            el("th", {}, "problems × samples"),
          ),
        ),
        el("tbody", {}, rows),
      ),
    ),
    el(
      "p",
      { class: "hint" },
      "REG: tokens of area between the best known accuracy and this model's, lower is better. In brackets: 95% intervals. Lengths in response tokens.",
    ),
  );
}

function taskTabs() {
  const names = Object.keys(state.index.runs[0].tasks);
  return el(
    "p",
    { class: "tabs" },
    names.map((name) =>
      el(
        "a",
        { href: moved({ task: name }), "aria-current": name === state.place.task ? "true" : null },
        name,
      ),
    ),
    scaleSwitch(),
  );
}

function curves() {
  const lines = state.index.runs.map((run, i) => {
    const curve = run.tasks[state.place.task].report.curve;
    return {
      name: run.name,
      className: `run${i % 4}`,
      values: curve.accuracy,
      low: curve.low,
      high: curve.high,
      bandLow: curve.band_low,
      bandHigh: curve.band_high,
    };
  });
  const frontier = state.index.runs[0].tasks[state.place.task].report.frontier;
  if (frontier) lines.unshift({ name: "frontier", className: "frontier", values: frontier.accuracy });
  return [curveChart(state.index.budgets, lines), differences()];
}

// Every other run minus the first, problem by problem of the same problems.
function differences() {
  const { runs, budgets } = state.index;
  const found = state.index.differences?.[state.place.task] || [];
  if (!found.length) return null;
  const lines = found.map((one) => ({ ...one, name: runs[one.run].name, className: `run${one.run % 4}` }));
  return [
    el("h3", {}, `Difference of accuracy from ${runs[0].name} (points)`),
    curveChart(budgets, lines, { signed: true }),
  ];
}

// The smallest budget that is not worse than unbounded thinking by more than a point: what more tokens
// do not buy. Computed where the page is built, by the rule of `reghar recommend`.
function servePanel() {
  const { budgets, runs } = state.index;
  return el(
    "div",
    { class: "serve" },
    runs.map((run, i) => {
      const task = run.tasks[state.place.task];
      const { accuracy } = task.report.curve;
      const best = Math.max(...accuracy);
      const { at, why } = task.serve;
      const used = budgets.map((b) =>
        mean(task.problems.flatMap((p) => p.samples.map((s) => Math.min(s.length, b)))),
      );
      const rows = budgets.map((b, k) =>
        el(
          "tr",
          { class: k === at ? "best" : null },
          el("th", { scope: "row" }, count(b)),
          el("td", {}, percent(accuracy[k])),
          el("td", {}, count(used[k])),
          el("td", {}, best > 0 ? percent(accuracy[k] / best, 0) : "–"),
        ),
      );
      return el(
        "details",
        { open: false },
        el(
          "summary",
          {},
          runs.length > 1 ? el("i", { class: `key run${i % 4}` }) : null,
          el("b", {}, "Which budget to serve with? "),
          best === 0
            ? "No budget gives a correct answer on this task."
            : at === null
              ? `None can be recommended: ${why}.`
              : [
                  `${count(budgets[at])} tokens`,
                  ` give ${percent(accuracy[at])}, not worse than unbounded thinking by more than one point (95%), `,
                  `for ${count(used[at])} tokens a response on average.`,
                ],
        ),
        el(
          "div",
          { class: "scroll" },
          el(
            "table",
            {},
            el(
              "thead",
              {},
              el(
                "tr",
                {},
                ["budget", "accuracy", "mean tokens used", "of the best accuracy"].map((t) =>
                  el("th", {}, t),
                ),
              ),
            ),
            el("tbody", {}, rows),
          ),
        ),
      );
    }),
  );
}

const lostCount = (problem) => problem.samples.filter((s) => s.overthought).length;

function matches(problem) {
  const { only, find } = state.place;
  if (
    find &&
    !`${problem.id} ${problem.question} ${problem.gold.join(" ")}`.toLowerCase().includes(find.toLowerCase())
  )
    return false;
  if (only) return problem.samples.some((s) => keeps(s, only));
  return true;
}

// Whether a sample passes the filter: an outcome at the end, or overthought.
function keeps(sample, only) {
  if (!only) return true;
  return only === "overthought"
    ? sample.overthought
    : outcomeAt(sample, state.index.budgets.length - 1) === only;
}

const ORDERS = {
  gap: "largest gap first",
  overthought: "most overthought first",
  accuracy: "most accurate first",
  order: "in the task's order",
};

const SORTS = {
  gap: (a, b) => b.gap - a.gap,
  overthought: (a, b) => lostCount(b) - lostCount(a),
  accuracy: (a, b) =>
    accuracyAt(b, state.index.budgets.length - 1) - accuracyAt(a, state.index.budgets.length - 1),
  order: (a, b) => a.at - b.at,
};

// In the order of the list, those that pass its filter; and the one that is open, filtered out or not.
function problemsInView(opened) {
  return state.index.runs[state.place.run].tasks[state.place.task].problems
    .filter((problem) => matches(problem) || problem.id === opened)
    .sort(SORTS[state.place.sort] || SORTS.gap);
}

// A search field that writes into `key` of the place, and the filter by outcome.
function filterBar(where, key) {
  return el(
    "div",
    { class: "filters" },
    searchField(where, key),
    el(
      "select",
      { id: "only", "aria-label": "show only", change: (event) => step({ only: event.target.value }) },
      [
        ["", "all outcomes"],
        ["overthought", "overthought: had it, lost it"],
        ...OUTCOMES.map((o) => [o, `${sayOutcome(o)} at the end`]),
      ].map(([value, label]) => el("option", { value, selected: (state.place.only || "") === value }, label)),
    ),
  );
}

let findTimer = 0;
function searchField(where, key) {
  return el("input", {
    id: key,
    type: "search",
    placeholder: where,
    "aria-label": where,
    value: state.place[key] || "",
    input: (event) => {
      clearTimeout(findTimer);
      findTimer = setTimeout(() => step({ [key]: event.target.value }), 180);
    },
  });
}

const MOST_ROWS = 400;

function problemList() {
  const { index, place } = state;
  const problems = problemsInView();
  const head = [
    ["problem", "order"],
    ["gap (tokens)", "gap"],
    ["accuracy by budget", null],
    ["at the end", "accuracy"],
    ["overthought", "overthought"],
  ];
  const rows = problems.slice(0, MOST_ROWS).map((p, i) => {
    const lost = lostCount(p);
    return el(
      "tr",
      { class: "row", "data-row": i, "data-name": p.id },
      el(
        "th",
        { scope: "row" },
        el(
          "a",
          { href: moved({ problem: p.id, sample: undefined, budget: undefined }) },
          el("b", {}, visible(p.id)),
          el("span", { class: "question" }, visible(clip(p.question, 140))),
        ),
      ),
      el("td", { "data-label": "gap" }, count(p.gap)),
      el("td", { "data-label": "by budget" }, strip(p)),
      el("td", { "data-label": "at the end" }, percent(accuracyAt(p, index.budgets.length - 1), 0)),
      el("td", { "data-label": "overthought" }, lost ? `${lost} of ${p.samples.length}` : "–"),
    );
  });
  return [
    index.runs.length > 1
      ? el(
          "p",
          { class: "tabs" },
          index.runs.map((run, i) =>
            el(
              "a",
              { href: moved({ run: i }), "aria-current": i === place.run ? "true" : null },
              el("i", { class: `key run${i % 4}` }),
              run.name,
            ),
          ),
        )
      : null,
    filterBar("search in questions, ids, golds", "find"),
    el(
      "div",
      { class: "scroll" },
      el(
        "table",
        { class: "problems" },
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            head.map(([label, sort]) =>
              el(
                "th",
                {},
                sort
                  ? el(
                      "a",
                      {
                        href: moved({ sort }),
                        "aria-current": (place.sort || "gap") === sort ? "true" : null,
                      },
                      label,
                    )
                  : label,
              ),
            ),
          ),
        ),
        el("tbody", {}, rows),
      ),
    ),
    el(
      "p",
      { class: "hint" },
      problems.length === 0
        ? "No problem passes the filter."
        : `${problems.length} ${problems.length === 1 ? "problem" : "problems"}${problems.length > MOST_ROWS ? `, the first ${MOST_ROWS} shown: search for others` : ""}. Gap: area between ${index.runs[place.run].tasks[place.task].report.frontier ? "the task's frontier" : "100%"} and this problem's own curve.`,
    ),
  ];
}
