// One trace: its text with the cut at the chosen budget, the probe, the forced answer, and why it counted so.

async function traceView() {
  const { place } = state;
  const problem = problemOf(place.run);
  const columns = place.vs === undefined ? [place.run] : [place.run, place.vs];
  const panes = await Promise.all(columns.map((run) => tracePane(run)));
  return [
    el(
      "details",
      { class: "fold", open: window.innerWidth > 700 && place.vs === undefined },
      el("summary", {}, "question and gold"),
      questionBox(problem),
    ),
    el(
      "div",
      { class: "filters" },
      searchField("search in this trace", "text"),
      el("span", { id: "hits", class: "hint" }),
    ),
    el("div", { class: columns.length > 1 ? "columns" : "" }, panes),
    vsSwitch(),
  ];
}

const sampleOf = (run) => problemOf(run).samples.find((s) => s.sample === state.place.sample);
const budgetIndex = () => state.index.budgets.indexOf(Number(state.place.budget));

async function tracePane(run) {
  const { place, index } = state;
  const problem = problemOf(run);
  const sample = sampleOf(run);
  if (!sample)
    return el(
      "section",
      {},
      el("p", { class: "note" }, `${index.runs[run].name} has no sample ${place.sample} of this problem.`),
    );
  const texts = await samplesOf(run, problem);
  const one = texts?.[sample.sample];
  const at = place.budget === "full" ? -1 : budgetIndex();
  const outcome = outcomeAt(sample, at);
  const to = (b) => moved({ run: place.vs === undefined ? run : place.run, budget: b });
  return el(
    "section",
    { class: "trace" },
    index.runs.length > 1
      ? el("h2", {}, el("i", { class: `key run${run % 4}` }), index.runs[run].name)
      : null,
    el(
      "div",
      { class: "sample single" },
      bar(sample, { budget: at < 0 ? null : index.budgets[at], href: to, end: sample.length }),
      barAxis(sample.length),
    ),
    budgetButtons(sample, at, to),
    el(
      "div",
      { class: `why ${outcome}` },
      badge(outcome),
      el("p", {}, why(problem, sample, one, at, outcome)),
    ),
    el("p", { class: "hint" }, facts(sample)),
    one
      ? traceText(one, at)
      : el(
          "p",
          { class: "note" },
          "This file does not hold the samples' texts, it would be too large: ",
          el("code", {}, "reghar view RUN"),
          " shows them.",
        ),
  );
}

function budgetButtons(sample, at, to) {
  return el(
    "nav",
    { class: "budgets", "aria-label": "budgets" },
    state.index.budgets.map((b, i) => {
      const o = outcomeAt(sample, i);
      return el(
        "a",
        { class: `${o}`, href: to(b), "aria-current": i === at ? "true" : null, title: sayOutcome(o) },
        SIGNS[o],
        " ",
        count(b),
      );
    }),
    el(
      "a",
      {
        class: outcomeAt(sample, -1),
        href: to("full"),
        "aria-current": at < 0 ? "true" : null,
        title: "the whole trace's own answer",
      },
      SIGNS[outcomeAt(sample, -1)],
      " whole trace",
    ),
  );
}

function facts(sample) {
  const parts = [
    `${count(sample.length)} tokens`,
    sample.finished ? "finished by itself" : "stopped at max_tokens",
  ];
  if (sample.ended !== null) parts.push(`thinking ended at ${count(sample.ended)}`);
  if (sample.first !== null) parts.push(`first correct at ${count(sample.first)}`);
  if (sample.settled !== null)
    parts.push(`settled at ${count(sample.settled)}, ${count(sample.wasted)} tokens after that`);
  if (sample.flips) parts.push(`lost and found again ${sample.flips}×`);
  if (sample.overthought) parts.push("overthought: correct earlier, wrong at the end");
  if (sample.looped) parts.push("ends in a loop");
  return `${parts.join(" · ")}.`;
}

// The forced answer at a budget; the trace's own where it had finished by then or no budget is chosen.
const answerAt = (one, at) => (at < 0 ? one.own : one.answers[state.index.budgets[at]] || one.own);
const isForced = (one, at) => at >= 0 && Boolean(one.answers[state.index.budgets[at]]);

// Why it counted so, in words, with the answer that was graded beside the gold.
function why(problem, sample, one, at, outcome) {
  if (outcome === "missing") return "Nothing is stored for this budget yet: the run is incomplete.";
  const budget = at < 0 ? null : count(state.index.budgets[at]);
  const forced = one ? isForced(one, at) : at >= 0;
  const how = forced
    ? `Cut at ${budget} tokens; the probe made the model answer `
    : at < 0
      ? "The whole trace answers "
      : `Finished within ${budget} tokens; its own answer is `;
  const answer = one && answerAt(one, at);
  const said =
    !answer || answer.answer === null
      ? el("i", {}, "nothing")
      : problem.code
        ? el("pre", {}, visible(answer.answer))
        : el("b", {}, answer.answer === "" ? "(an empty box)" : asFormula(answer.answer));
  const gold = el(
    "b",
    { class: "gold" },
    problem.gold.map((g, i) => [i ? " or " : "", problem.code ? visible(g) : asFormula(g)]),
  );
  const wanted = problem.code ? "block of code" : "box";
  const verdicts = {
    correct: [problem.code ? ", which passes " : ", equal to the gold ", gold, "."],
    incorrect: [", which is not equal to the gold ", gold, "."],
    no_answer: [
      forced ? ": no answer to grade." : `: it never wrote a ${wanted} after its thinking`,
      forced ? "" : sample.finished ? "." : ", the trace ran into max_tokens.",
    ],
    unterminated: [
      `: the ${wanted} was opened and never closed within the answer's tokens, so it counts as wrong. Gold: `,
      gold,
      ".",
    ],
    grader_timeout: [
      ": the grader ran out of time on it; counted as not correct, and shown apart. Gold: ",
      gold,
      ".",
    ],
    grader_error: [": the grader failed on it; counted as not correct, and shown apart. Gold: ", gold, "."],
    truncated: [": the server cut the reply at the most tokens; it is not graded, and shown apart."],
    tests_failed: [": the program gave another output than a test asks for, or failed its check."],
    time_limit: [": the program was not done in time."],
    memory_limit: [": the program asked for more memory than it may have."],
    runtime_error: [": the program ended with an error."],
    refused: [": the model or a filter before it would not answer; shown apart."],
  };
  return [how, said, verdicts[outcome]];
}

function traceText(one, at) {
  const cut = at < 0 || !isForced(one, at) ? one.text.length : one.cuts[at];
  const forced = isForced(one, at);
  const box = el("div", { class: "text body" }, piece(one.text.slice(0, cut), one, 0));
  if (forced) {
    const answer = answerAt(one, at);
    box.append(
      el(
        "div",
        { class: "cut", id: "cut" },
        el(
          "span",
          { class: "label" },
          `cut at ${count(state.index.budgets[at])} tokens${one.exact ? "" : " (place estimated: the tokenizer is not at hand)"}`,
        ),
        el(
          "div",
          {},
          el(
            "span",
            { class: "probe", title: "the probe, written by the harness" },
            visible(state.index.probe.trim()),
          ),
          el(
            "span",
            { class: "forced", title: "the model's answer to the probe" },
            visible(answer.text === null ? "" : answer.text),
          ),
        ),
      ),
    );
    box.append(
      el(
        "div",
        { class: "beyond", title: "written after the cut; not seen at this budget" },
        piece(one.text.slice(cut), one, cut),
      ),
    );
  }
  return box;
}

// Part of the text as nodes: formulas rendered, or the words searched for marked.
function piece(text, one, from) {
  const words = state.place.text;
  if (words) return marked(text, words);
  if (state.raw) return [document.createTextNode(visible(text))];
  const end = one.thinkingEnd === null ? -1 : one.thinkingEnd - from;
  if (end < 0 || end >= text.length) return withFormulas(text);
  return [
    ...withFormulas(text.slice(0, end)),
    el("span", { class: "thought-end" }, "thinking ended"),
    ...withFormulas(text.slice(end)),
  ];
}

const MOST_MARKS = 2000;

function marked(text, words) {
  const nodes = [];
  const small = text.toLowerCase();
  const wanted = words.toLowerCase();
  let from = 0;
  for (
    let at = small.indexOf(wanted);
    at >= 0 && nodes.length < 2 * MOST_MARKS;
    at = small.indexOf(wanted, from)
  ) {
    nodes.push(
      document.createTextNode(visible(text.slice(from, at))),
      el("mark", {}, visible(text.slice(at, at + wanted.length))),
    );
    from = at + wanted.length;
  }
  nodes.push(document.createTextNode(visible(text.slice(from))));
  return nodes;
}
