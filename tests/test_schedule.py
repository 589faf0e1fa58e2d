"""The schedule against engines whose every token is known."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import replace

import pytest

from reghar.engines.base import Chunk, EngineInfo, ResponseLostError, Sampling
from reghar.engines.scripted import ScriptedEngine
from reghar.errors import EngineError
from reghar.generation.jobs import Activity, Job, JobResult
from reghar.generation.release import SCARCE, Release
from reghar.generation.schedule import Schedule
from reghar.prompting.probes import Probe, make_probe
from reghar.prompting.prompts import PromptFormat
from reghar.prompting.scripted import ByteTokenizer, scripted_model
from reghar.prompting.thinking import find_delimiters
from reghar.protocol import SamplingProtocol
from reghar.tasks import Problem

TOKENIZER = ByteTokenizer()
QUESTION = Problem(task="t", id="p", question="What is it?", gold=("42",), choices=())


class FixedEngine:
    """Answers traces and probes with given texts or ids, and remembers every request."""

    def __init__(self, trace: str | list[int], answer: str = "7}", kv_tokens: int | None = None) -> None:
        self.trace = trace if isinstance(trace, list) else TOKENIZER.encode_text(trace)
        self.answer = TOKENIZER.encode_text(answer)
        self.requests: list[tuple[list[int], Sampling]] = []
        self.sessions: list[str] = []
        self.tokens_out = 0
        self.kv_tokens = kv_tokens
        self.asked_at: list[int] = []
        self.traces_in_flight = self.most_in_flight = 0

    @property
    def info(self) -> EngineInfo:
        return EngineInfo(name="fixed", version="0", host="none", arguments={}, kv_caches=(self.kv_tokens,))

    def start(self) -> None: ...

    async def close(self) -> None: ...

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        self.requests.append((list(prompt_ids), sampling))
        self.sessions.append(session)
        self.asked_at.append(self.tokens_out)
        is_probe = TOKENIZER.decode(prompt_ids).endswith(("boxed{", "\n\n"))
        ids = self.answer if is_probe else self.trace
        reason = "stop" if len(ids) <= sampling.max_tokens else "length"
        ids = ids[: sampling.max_tokens]
        self.traces_in_flight += not is_probe
        self.most_in_flight = max(self.most_in_flight, self.traces_in_flight)
        try:
            for start in range(0, len(ids), interval):
                await asyncio.sleep(0)
                self.tokens_out += len(ids[start : start + interval])
                last = start + interval >= len(ids)
                yield Chunk(ids[start : start + interval], reason if last else None, cached_tokens=3)
        finally:
            self.traces_in_flight -= not is_probe


def schedule(
    engine: FixedEngine | ScriptedEngine,
    *,
    max_tokens: int = 1000,
    probe: Probe | None = None,
    counts: str = "response",
    probe_temperature: float = 0.6,
    release: Release = "auto",
) -> Schedule:
    return Schedule(
        engine=engine,
        model=scripted_model(),
        prompt=PromptFormat(tokenizer=TOKENIZER),
        delimiters=find_delimiters(TOKENIZER),
        sampling=SamplingProtocol(temperature=0.6, top_p=0.95, top_k=0, min_p=0.0, max_tokens=max_tokens),
        budget_counts=counts,
        probe=probe or make_probe("final-answer", None, None),
        probe_temperature=probe_temperature,
        run_seed=0,
        release=release,
        activities={"t": Activity()},
    )


def do(plan: Schedule, *budgets: int) -> JobResult:
    return asyncio.run(plan.do(Job(problem=QUESTION, sample=0, budgets=budgets)))


def probe_prompts(engine: FixedEngine) -> list[list[int]]:
    return [prompt for prompt, _ in engine.requests[1:]]


def test_every_cut_is_exact_on_token_ids() -> None:
    engine = FixedEngine("<think>" + "ab" * 20 + "</think>\\boxed{1}")
    done = do(schedule(engine), 0, 1, 5, 40, 1000)
    prompt = PromptFormat(tokenizer=TOKENIZER).encode(QUESTION.question)
    tail = TOKENIZER.encode_text("\n\nFinal Answer: \\boxed{")
    assert sorted(probe_prompts(engine)) == sorted(
        prompt + engine.trace[:cut] + tail for cut in (0, 1, 5, 40)
    )
    assert done.trace.token_ids == tuple(engine.trace)
    assert [a.budget for a in done.answers] == [0, 1, 5, 40, None]
    assert engine.sessions == ["t/p/0"] * 5, "a trace and its probes belong together"


def test_the_trace_is_generated_once_and_budgets_beyond_it_cost_nothing() -> None:
    engine = FixedEngine("<think>" + "a" * 98 + "</think>")
    length = len(engine.trace)
    done = do(schedule(engine), length - 1, length, length + 1)
    assert len(engine.requests) == 2
    assert [a.budget for a in done.answers] == [length - 1, None]


def test_a_trace_that_hit_max_tokens_is_forced_at_every_budget() -> None:
    engine = FixedEngine("<think>" + "a" * 200)
    done = do(schedule(engine, max_tokens=50), 0, 49, 50)
    assert not done.trace.finished
    assert len(done.trace.token_ids) == 50
    assert [a.budget for a in done.answers] == [0, 49, 50, None]
    assert done.answers[-1].text is None, "its thinking never closed"


@pytest.mark.parametrize(
    ("unclosed", "most", "answer"),
    [("grade", 1000, "So \\boxed{42}"), ("no_answer", 1000, None), ("grade", 5, None)],
    ids=["graded", "by the rule before", "cut"],
)
def test_a_block_that_the_prompt_opened_and_a_finished_trace_never_closed(
    unclosed: str, most: int, answer: str | None
) -> None:
    plan = replace(schedule(FixedEngine("So \\boxed{42}"), max_tokens=most), unclosed=unclosed)
    job = Job(problem=replace(QUESTION, question="What is it? <think>"), sample=0, budgets=())
    done = asyncio.run(plan.do(job))
    assert done.trace.thinking_opened
    assert done.answers[-1].text == answer
    again = asyncio.run(plan.do(replace(job, trace=done.trace)))
    assert again.answers[-1].text == answer, "a stored trace is read alike"


def test_a_block_that_the_model_opened_itself_and_never_closed_is_no_answer() -> None:
    plan = schedule(FixedEngine("<think>So \\boxed{42}"))
    assert do(plan).answers[-1].text is None


def test_probes_go_out_while_the_trace_runs() -> None:
    engine = FixedEngine("<think>" + "a" * 400)
    sent_at: list[int] = []
    generate = engine.generate

    def watch(
        ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        sent_at.append(engine.tokens_out)
        return generate(ids, sampling, interval=interval, session=session)

    engine.generate = watch  # type: ignore[method-assign]
    do(schedule(engine, max_tokens=400), 0, 64, 128, 256)
    assert sent_at[0] == 0
    assert all(at < 400 for at in sent_at[1:]), sent_at


def test_an_answer_ends_at_the_brace_that_closes_the_box() -> None:
    engine = FixedEngine("<think>aaaa</think>b", answer="\\frac{1}{2}} and then it rambles on")
    done = do(schedule(engine), 2)
    answer = done.answers[0]
    assert answer.text == "\\frac{1}{2}}"
    assert TOKENIZER.decode(answer.token_ids) == answer.text
    assert engine.tokens_out <= len(engine.trace) + len(answer.token_ids) + 1, "the request was ended there"


def test_an_answer_that_never_closes_is_kept_whole_and_bounded() -> None:
    engine = FixedEngine("<think>aaaa", answer="1{" * 100)
    done = do(schedule(engine, probe=make_probe("final-answer", None, 9)), 2)
    assert len(done.answers[0].token_ids) == 9
    assert done.answers[0].text == "1{1{1{1{1"


def test_thinking_is_closed_only_where_it_is_open() -> None:
    engine = FixedEngine("<think>ab</think>cdefgh")
    do(schedule(engine, probe=make_probe("s1", None, None)), 0, 2, 3, 4, 6)
    closings = [prompt.count(TOKENIZER.encode_text("</think>")[0]) for prompt in probe_prompts(engine)]
    assert closings == [0, 1, 1, 1, 1], "0: not yet opened; 2, 3: closed by the probe; 4, 6: by the model"


def test_the_summary_probe_is_graded_like_a_natural_answer() -> None:
    engine = FixedEngine("<think>ab</think>It is \\boxed{5}.", answer="So \\boxed{5}")
    done = do(schedule(engine, probe=make_probe("summary", None, None)), 2, 12)
    assert done.answers[0].text == "\n\nSo \\boxed{5}"
    assert done.answers[1].text == "It is \\b\n\nSo \\boxed{5}"
    assert done.answers[-1].text == "It is \\boxed{5}."


def test_budgets_of_thinking_tokens() -> None:
    engine = FixedEngine("<think>abcdef</think>answer")
    done = do(schedule(engine, counts="thinking"), 0, 3, 6, 9)
    prompt = PromptFormat(tokenizer=TOKENIZER).encode(QUESTION.question)
    tail = TOKENIZER.encode_text("\n\nFinal Answer: \\boxed{")
    kept = [len(p) - len(prompt) - len(tail) for p in probe_prompts(engine)]
    assert kept == [1, 4], "the opening delimiter and 0 or 3 tokens inside the block"
    assert [a.budget for a in done.answers] == [0, 3, None]


def test_ids_that_the_engine_would_refuse_are_dropped_and_counted() -> None:
    engine = FixedEngine([1, 100, 5000, 101, 6000, 102, 103])
    done = do(schedule(engine), 6)
    vocabulary = scripted_model().vocabulary_size
    assert max(probe_prompts(engine)[0]) < vocabulary
    assert done.answers[0].dropped_tokens == 2
    assert done.trace.token_ids == tuple(engine.trace), "the trace itself is stored as it came"


def test_probe_seed_and_temperature() -> None:
    engine = FixedEngine("<think>" + "a" * 50)
    do(schedule(engine, probe_temperature=0.0), 1, 2)
    trace, *probes = [sampling for _, sampling in engine.requests]
    assert trace.temperature == 0.6
    assert [p.temperature for p in probes] == [0.0, 0.0]
    assert len({trace.seed, *(p.seed for p in probes)}) == 3


def test_stored_traces_are_probed_without_being_generated_again() -> None:
    engine = FixedEngine("<think>" + "a" * 50 + "</think>b")
    first = do(schedule(engine), 1, 20, 40)
    again = FixedEngine("never asked for")
    job = Job(problem=QUESTION, sample=0, budgets=(1, 20, 40), trace=first.trace)
    second = asyncio.run(schedule(again).do(job))
    assert [prompt for prompt, _ in again.requests] != []
    assert sorted(p for p, _ in again.requests) == sorted(probe_prompts(engine))
    assert len(again.requests[0][0]) == max(len(p) for p, _ in again.requests), "longest prefix first"
    assert sorted(second.answers, key=str) == sorted(first.answers, key=str)
    assert not second.is_new


def jobs(count: int) -> list[Job]:
    return [Job(problem=QUESTION, sample=i, budgets=(8, 32)) for i in range(count)]


def test_concurrency_is_bounded_and_every_job_done_once() -> None:
    engine = FixedEngine("<think>" + "a" * 50)
    finished: list[JobResult] = []
    asyncio.run(schedule(engine).run(jobs(40), 5, finished.append))
    assert sorted(done.trace.sample for done in finished) == list(range(40))
    assert engine.most_in_flight == 5


def test_results_do_not_depend_on_order_or_concurrency() -> None:
    def outcome(concurrency: int, order: Callable[[list[Job]], list[Job]]) -> list[JobResult]:
        finished: list[JobResult] = []
        plan = schedule(ScriptedEngine())
        asyncio.run(plan.run(order(jobs(12)), concurrency, finished.append))
        return sorted(finished, key=lambda done: done.trace.sample)

    assert outcome(1, list) == outcome(7, lambda all_jobs: all_jobs[::-1])


def test_a_dying_engine_is_reported_as_it_is_and_leaves_no_task_behind() -> None:
    class Dying(FixedEngine):
        async def generate(
            self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
        ) -> AsyncGenerator[Chunk, None]:
            async for chunk in super().generate(prompt_ids, sampling, interval=interval, session=session):
                if len(self.requests) > 6:
                    raise EngineError("the engine died")
                yield chunk

    async def run() -> int:
        with pytest.raises(EngineError, match="the engine died"):
            await schedule(Dying("<think>" + "a" * 99)).run(jobs(9), 3, lambda _: None)
        return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1


class Losing(FixedEngine):
    """Loses the first `losses` traces, or all probes of their first try, after two chunks."""

    def __init__(self, trace: str, *, losses: int, probes: bool = False) -> None:
        super().__init__(trace, answer="123456789}")
        self.losses, self.probes = losses, probes

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        is_probe = TOKENIZER.decode(prompt_ids).endswith("boxed{")
        loses = self.losses > 0 and is_probe == self.probes
        self.losses -= loses
        chunks = 0
        async for chunk in super().generate(prompt_ids, sampling, interval=interval, session=session):
            chunks += 1
            if loses and chunks == 3:
                raise ResponseLostError("the connection broke")
            yield chunk


@pytest.mark.parametrize("probes", [False, True], ids=["trace", "probe"])
def test_a_lost_response_is_drawn_again_and_nothing_counts_twice(probes: bool) -> None:
    trace = "<think>" + "a" * 98 + "</think>"
    undisturbed = do(schedule(FixedEngine(trace, answer="123456789}")), 0, 40, 90)
    engine = Losing(trace, losses=3, probes=probes)
    assert do(schedule(engine), 0, 40, 90) == undisturbed


def test_a_response_lost_every_time_ends_the_run() -> None:
    engine = Losing("<think>" + "a" * 98, losses=1000)
    with pytest.raises(EngineError, match="lost 10 times in a row: the connection broke"):
        do(schedule(engine), 40)


class ScoringEngine(FixedEngine):
    """Tells a log-probability of -0.25 for every token, or for none of a chunk."""

    def __init__(self, *, silent: bool = False) -> None:
        super().__init__("<think>" + "a" * 60 + "</think>", answer="42} and more")
        self.silent = silent

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        interval = max(interval, 4)  # the closing brace stands in the middle of a chunk
        async for chunk in super().generate(prompt_ids, sampling, interval=interval, session=session):
            known = sampling.logprobs and not self.silent
            yield replace(chunk, logprobs=[-0.25] * len(chunk.token_ids) if known else None)


def test_an_answer_keeps_its_log_probability_up_to_the_closing_brace() -> None:
    forced, own = do(schedule(ScoringEngine()), 16).answers
    assert forced.text == "42}"
    assert (forced.answer_logprob, forced.answer_tokens_scored) == (-0.75, 3), "nothing of what follows"
    assert (own.answer_logprob, own.answer_tokens_scored) == (None, None)
    unknown = do(schedule(ScoringEngine(silent=True)), 16).answers[0]
    assert (unknown.answer_logprob, unknown.answer_tokens_scored) == (None, None)


def test_probes_go_before_traces() -> None:
    engine = FixedEngine("<think>" + "a" * 60 + "</think>")
    do(schedule(engine), 0, 16)
    assert [sampling.priority for _, sampling in engine.requests] == [1, 0, 0]
    assert [sampling.logprobs for _, sampling in engine.requests] == [False, True, True]


class CutShortEngine(FixedEngine):
    """Its first stream of each kind ends without saying why."""

    lost = 2

    async def generate(
        self, prompt_ids: Sequence[int], sampling: Sampling, *, interval: int = 1, session: str = ""
    ) -> AsyncGenerator[Chunk, None]:
        async for chunk in super().generate(prompt_ids, sampling, interval=interval, session=session):
            if self.lost and chunk.finish_reason is not None:
                self.lost -= 1
                return
            yield chunk


def test_a_response_that_ends_without_a_reason_is_drawn_again() -> None:
    engine = CutShortEngine("<think>" + "a" * 60 + "</think>")
    done = do(schedule(engine), 16)
    assert done.trace.finished
    assert list(done.trace.token_ids) == engine.trace
    assert engine.lost == 0


TEXT = "<think>" + "ab" * 200 + "</think>\\boxed{1}"


@pytest.mark.parametrize("release", ["auto", "in-flight", "together"])
@pytest.mark.parametrize("kv_tokens", [None, 10, 10_000_000])
def test_the_answers_do_not_depend_on_when_probes_are_sent(release: Release, kv_tokens: int | None) -> None:
    budgets = (0, 1, 16, 17, 100, 300, 1000)
    done = do(schedule(FixedEngine(TEXT, kv_tokens=kv_tokens), release=release), *budgets)
    plain = do(schedule(FixedEngine(TEXT), release="in-flight"), *budgets)
    assert done == plain
    scripted = [do(schedule(ScriptedEngine(), release=each), 0, 8, 64) for each in (release, "in-flight")]
    assert scripted[0] == scripted[1]


def sent_before_the_end(release: Release, kv_tokens: int | None) -> bool:
    """Whether any probe went out while its trace was running."""
    engine = FixedEngine(TEXT, kv_tokens=kv_tokens)
    do(schedule(engine, release=release), 0, 16, 100)
    return min(engine.asked_at[1:]) < len(engine.trace)


def test_probes_are_held_as_asked_and_else_where_the_cache_has_room() -> None:
    assert sent_before_the_end("in-flight", 10_000_000)
    assert not sent_before_the_end("together", None)
    assert sent_before_the_end("auto", None), "nothing is known of the cache"
    assert not sent_before_the_end("auto", 10_000_000)
    assert sent_before_the_end("auto", 100), "what it holds will not last"


def test_held_probes_go_out_as_the_cache_fills() -> None:
    """The first while the trace still runs, once it and its prompt fill the cache."""
    length = len(TOKENIZER.encode_text(TEXT)) + len(
        PromptFormat(tokenizer=TOKENIZER).encode(QUESTION.question)
    )
    engine = FixedEngine(TEXT, kv_tokens=int(length / 2 / SCARCE))
    do(schedule(engine), 0)
    assert 0.3 * length < engine.asked_at[1] < 0.7 * length


def test_a_schedule_sees_the_lengths_of_its_traces() -> None:
    plan = schedule(FixedEngine(TEXT))
    do(plan, 0, 16)
    assert plan.load.tokens_in_flight == 0
    assert plan.load.seen.tokens == len(TOKENIZER.encode_text(TEXT))
