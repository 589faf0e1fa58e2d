// One problem: its question, and its samples as bars along the token axis; of one run, or of two.

function problemView() {
  const { place, index } = state;
  const columns = place.vs === undefined ? [place.run] : [place.run, place.vs];
  const problem = problemOf(place.run);
  return [
    questionBox(problem),
    filterBar("search in these samples' texts", "text"),
    legend(),
    el(
      "div",
      { class: columns.length > 1 ? "columns" : "" },
      columns.map((run) => sampleBars(run)),
    ),
    vsSwitch(),
  ];
}

const problemOf = (run) =>
  state.index.runs[run].tasks[state.place.task].problems.find((p) => p.id === state.place.problem);

function questionBox(problem) {
  return el(
    "section",
    { class: "question-box" },
    el("div", { class: "text" }, withFormulas(problem.question, 60)),
    problem.choices.length
      ? el(
          "ol",
          { type: "A" },
          problem.choices.map((choice) => el("li", {}, withFormulas(choice, 10))),
        )
      : null,
    el(
      "p",
      {},
      problem.code ? "tests: " : "gold: ",
      el(
        "b",
        { class: "gold" },
        problem.gold.map((g, i) => [i ? " or " : "", problem.code ? visible(g) : asFormula(g)]),
      ),
    ),
  );
}

function vsSwitch() {
  const { runs } = state.index;
  if (runs.length < 2) return null;
  const { run, vs } = state.place;
  return el(
    "p",
    { class: "tabs" },
    "side by side with: ",
    runs.map((other, i) =>
      i === run
        ? null
        : el(
            "a",
            { href: moved({ vs: vs === i ? undefined : i }), "aria-current": vs === i ? "true" : null },
            other.name,
          ),
    ),
  );
}

const longest = (problem) => Math.max(...problem.samples.map((s) => s.length), 1);

function samplesInView(run) {
  return problemOf(run).samples.filter(
    (s) => keeps(s, state.place.only) && (state.found === null || state.found.has(`${run}/${s.sample}`)),
  );
}

function sampleBars(run) {
  const { index, place } = state;
  const problem = problemOf(run);
  const end = Math.max(
    ...[place.run, place.vs].filter((r) => r !== undefined).map((r) => longest(problemOf(r))),
  );
  const samples = samplesInView(run);
  const to = (s, b) => moved({ run, vs: undefined, sample: s.sample, budget: b });
  const last = index.budgets.length - 1;
  return el(
    "section",
    { class: "samples" },
    index.runs.length > 1
      ? el("h2", {}, el("i", { class: `key run${run % 4}` }), index.runs[run].name)
      : null,
    el(
      "p",
      { class: "hint" },
      `${percent(accuracyAt(problem, last))} correct at ${count(index.budgets[last])} tokens; ${lostCount(problem)} of ${problem.samples.length} overthought; mean length ${count(mean(problem.samples.map((s) => s.length)))} tokens. `,
      place.vs === undefined ? scaleSwitch() : null,
    ),
    samples.map((s, i) =>
      el(
        "div",
        { class: "row sample", "data-row": i, "data-name": String(s.sample) },
        el(
          "a",
          { class: "name", href: to(s, place.budget || "full"), title: "open this trace" },
          `#${s.sample}`,
        ),
        bar(s, { href: (b) => to(s, b), end }),
        el(
          "span",
          { class: "end" },
          sign(s, last),
          ` ${count(s.length)}`,
          outcomeAt(s, -1) !== outcomeAt(s, last)
            ? el(
                "span",
                {
                  class: "tag",
                  title: "the whole trace's own answer; the sign is that of the largest budget",
                },
                `whole trace ${SIGNS[outcomeAt(s, -1)]}`,
              )
            : null,
          s.overthought
            ? el(
                "span",
                { class: "tag", title: "correct at a smaller budget, wrong at the end" },
                "overthought",
              )
            : null,
          s.finished
            ? null
            : el(
                "span",
                { class: "tag", title: s.looped ? "ends in a loop" : "hit max_tokens" },
                s.looped ? "loop" : "unfinished",
              ),
        ),
      ),
    ),
    el(
      "div",
      { class: "sample" },
      el("span", {}),
      barAxis(end),
      el("span", { class: "end hint" }, `at ${count(index.budgets[last])}, length`),
    ),
    samples.length ? null : el("p", { class: "hint" }, "No sample passes the filter."),
  );
}

// The outcome at the largest budget, which need not be that of the whole trace.
function sign(sample, last) {
  const outcome = outcomeAt(sample, last);
  const where = `at ${count(state.index.budgets[last])} tokens`;
  return el("span", { class: `sign ${outcome}`, title: `${sayOutcome(outcome)} ${where}` }, SIGNS[outcome]);
}

// Samples whose stored text holds the words; null while there are none to look for.
async function findSamples() {
  const { place } = state;
  if (!place.text || !place.problem || place.sample !== undefined) return null;
  const found = new Set();
  for (const run of [place.run, place.vs].filter((r) => r !== undefined)) {
    const texts = await samplesOf(run, problemOf(run));
    if (texts === null) return null;
    for (const [sample, one] of Object.entries(texts))
      if (one.text.toLowerCase().includes(place.text.toLowerCase())) found.add(`${run}/${sample}`);
  }
  return found;
}
