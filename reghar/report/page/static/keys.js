// The keyboard: the same moves in every view, listed under "?".

const HELP = [
  ["← →", "smaller, larger budget"],
  ["j k", "next, previous sample (or row of a list)"],
  ["n p", "next, previous problem"],
  ["Enter", "open the chosen row"],
  ["u", "up: trace, problem, summary"],
  ["/", "search"],
  ["f", "filter by outcome"],
  ["o", "only overthought"],
  ["c", "side by side with the next run"],
  ["x", "linear or log2 token axis"],
  ["m", "formulas rendered or as written"],
  ["l", "jump to the cut"],
  ["?", "this help"],
];

function help() {
  const dialog = document.getElementById("help");
  dialog.replaceChildren(
    el("h2", {}, "Keys"),
    el(
      "dl",
      {},
      HELP.map(([keys, what]) => [
        el(
          "dt",
          {},
          keys.split(" ").map((k) => el("kbd", {}, k)),
        ),
        el("dd", {}, what),
      ]),
    ),
    el("form", { method: "dialog" }, el("button", {}, "Close")),
  );
  if (!dialog.open) dialog.showModal();
}

function chooseRow(change) {
  const rows = [...document.querySelectorAll(".row")];
  if (!rows.length) return;
  const at = rows.findIndex((row) => row.classList.contains("chosen"));
  rows.forEach((row) => row.classList.remove("chosen"));
  const row =
    rows[Math.max(0, Math.min(rows.length - 1, at < 0 ? (change > 0 ? 0 : rows.length - 1) : at + change))];
  row.classList.add("chosen");
  row.querySelector("a").focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function moveSample(change) {
  const { place } = state;
  if (place.sample === undefined) return chooseRow(change);
  const samples = problemOf(place.run)
    .samples.filter((s) => keeps(s, place.only) || s.sample === place.sample)
    .map((s) => s.sample);
  const next = samples[samples.indexOf(place.sample) + change];
  if (next !== undefined) step({ sample: next });
}

function moveProblem(change) {
  const { place } = state;
  if (place.problem === undefined) return chooseRow(change);
  const ids = problemsInView(place.problem).map((p) => p.id);
  const next = ids[ids.indexOf(place.problem) + change];
  if (next !== undefined) step({ problem: next });
}

function moveBudget(change) {
  if (state.place.sample === undefined) return;
  const all = [...state.index.budgets.map(String), "full"];
  const next = all[all.indexOf(String(state.place.budget)) + change];
  if (next !== undefined) step({ budget: next });
}

function up() {
  const { place } = state;
  if (place.sample !== undefined) open({ sample: undefined, budget: undefined });
  else if (place.problem !== undefined) open({ problem: undefined, vs: undefined, text: undefined });
}

function nextVs() {
  const { place, index } = state;
  if (index.runs.length < 2 || place.problem === undefined) return;
  const others = [undefined, ...index.runs.keys()].filter((i) => i !== place.run);
  step({ vs: others[(others.indexOf(place.vs) + 1) % others.length] });
}

const MOVES = {
  ArrowLeft: () => moveBudget(-1),
  ArrowRight: () => moveBudget(1),
  j: () => moveSample(1),
  k: () => moveSample(-1),
  n: () => moveProblem(1),
  p: () => moveProblem(-1),
  u: up,
  c: nextVs,
  "?": help,
  "/": () => document.querySelector("input[type=search]")?.focus(),
  f: () => document.getElementById("only")?.focus(),
  o: () => step({ only: state.place.only === "overthought" ? undefined : "overthought" }),
  x: () => step({ scale: state.place.scale === "log2" ? undefined : "log2" }),
  m: () => {
    state.raw = !state.raw;
    render();
  },
  l: () => document.getElementById("cut")?.scrollIntoView({ block: "center" }),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.getElementById("help").open) return;
  if (event.target.matches("input, select")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  if (event.target.closest(".chart") && event.key.startsWith("Arrow")) return;
  if (event.key.startsWith("Arrow") && state.place.sample === undefined) return;
  const move = MOVES[event.key];
  if (!move) return;
  event.preventDefault();
  move();
});
