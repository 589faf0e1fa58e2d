// Outcomes as they are stored: one character a budget, in the order of the package's `Outcome`.

const OUTCOMES = [
  "correct",
  "incorrect",
  "no_answer",
  "unterminated",
  "grader_timeout",
  "grader_error",
  "truncated",
  "refused",
  "tests_failed",
  "time_limit",
  "memory_limit",
  "runtime_error",
];
const SIGNS = {
  correct: "✓",
  incorrect: "✗",
  no_answer: "∅",
  unterminated: "⋯",
  grader_timeout: "⧖",
  grader_error: "!",
  truncated: "✂",
  refused: "⊘",
  tests_failed: "✗",
  time_limit: "⧖",
  memory_limit: "▣",
  runtime_error: "!",
  missing: "·",
};

const outcomeOf = (code) => OUTCOMES[Number.parseInt(code, 36)] || "missing";
const sayOutcome = (outcome) => outcome.replace("_", " ");
const badge = (outcome) =>
  el("span", { class: `badge ${outcome}` }, `${SIGNS[outcome]} ${sayOutcome(outcome)}`);

// A sample's outcome at a budget's index; -1 is the whole trace's own answer.
const outcomeAt = (sample, at) => outcomeOf(at < 0 ? sample.full : sample.outcomes[at]);
const accuracyAt = (problem, at) =>
  mean(problem.samples.map((s) => (outcomeAt(s, at) === "correct" ? 1 : 0)));

function legend() {
  return el(
    "p",
    { class: "legend" },
    [...OUTCOMES.slice(0, 4), "grader_timeout"].map((outcome) =>
      el("span", {}, el("i", { class: `swatch ${outcome}` }), sayOutcome(outcome)),
    ),
    el("span", {}, el("i", { class: "mark ended" }), "thinking ended"),
    el("span", {}, el("i", { class: "mark length" }), "response ended"),
    el("span", {}, el("i", { class: "mark settled" }), "settled: right from here on"),
    el("span", {}, el("i", { class: "swatch correct after" }), "pale: trace already finished"),
  );
}
