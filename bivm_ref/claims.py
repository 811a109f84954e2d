"""The claims of the paper's abstract beside what this repository measured, and the rules that decide between them.

A verdict is never written down: each claim is a function from committed figures to a `Claim`, so that new runs change
the table by themselves. There are four verdicts:

    met               the figures here say the same
    met in part       a part of it, or all of it with too few seeds to rely on
    not shown here    the figures are missing, or leave it open
    contradicted here the figures here say the opposite

"Here" is: our reading of the paper, painted and rendered clips, short trainings. No verdict is about the paper's own
experiments, which were made on data that is not at hand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from . import results
from .ancestors import CLAIMED_COMPUTE, CLAIMED_STORAGE

MET, PART, NOT, AGAINST = "met", "met in part", "not shown here", "contradicted here"
ENOUGH_SEEDS = 3  # fewer: provisional
# Bars that the abstract leaves open, so they are ours:
SUBSTANTIAL = 0.9  # "by a substantial margin": at most this share of the other's error
USEFUL = 0.2  # a matte worth the name: at most this share of an all-zero matte's error, on every sample clip
HARMLESS = 5.0  # per cent of MAD that skipping may cost
LESS_TIME = 1.1  # times as long the same network takes without skipping
SAMPLES = ("portrait", "procedural", "rendered", "astronaut")


@dataclass(frozen=True)
class Claim:
    """One row: words quoted from the abstract, what it reports for them, what was measured here, and the verdict."""

    words: str
    paper: str
    measured: str
    verdict: str
    reason: str


# ── the rules ────────────────────────────────────────────────────────────────────────────────

def lead(low: float, high: float, seeds: int, margin: float = 1.0) -> str:
    """Whether ours has less error, by the 95 % interval of the ratio ours / other and the number of seeds.

    margin  at most this ratio is claimed; an interval below 1 that is not below the margin is met in part
    """
    if high < margin:
        return MET if seeds >= ENOUGH_SEEDS else PART
    if high < 1:
        return PART
    return AGAINST if low > 1 and seeds >= ENOUGH_SEEDS else NOT


def combined(verdicts: Iterable[str], missing: bool = False) -> str:
    """The verdict on a claim of several parts. missing: some part was not measured at all."""
    verdicts = list(verdicts)
    if verdicts and not missing and set(verdicts) == {MET}:
        return MET
    if {MET, PART} & set(verdicts):
        return PART
    return AGAINST if AGAINST in verdicts else NOT


# ── methods and parts: the rows of a comparison ──────────────────────────────────────────────

def methods(rows: Sequence[Mapping], figure: str = "MAD") -> Claim:
    """Ours against every other binarization method, by one figure."""
    found = _against(rows, rivals(rows), figure)
    lacking = [arm for arm in results.METHODS if arm not in found]
    verdicts = {arm: lead(row["low"], row["high"], row["seeds"], SUBSTANTIAL) for arm, row in found.items()}
    measured = "no run"
    if found:
        best = max(found, key=lambda arm: found[arm]["ratio"])
        measured = f"{figure} {_ratio(found[best])} times the best other's ({results.LABELS[best]})"
    reason = [f"less {figure} than {_names(a for a, r in found.items() if r['high'] < 1)}"] if found else []
    for arm, row in found.items():
        if row["high"] >= 1:
            reason.append(f"{'more than' if row['low'] > 1 else 'open against'} {results.LABELS[arm]}")
    if lacking:
        reason.append(f"not run: {_names(lacking)}")
    if found and best in rivals(rows, "no-mimicking"):
        alone = results.ratio(rows, "no-mimicking", best, figure)
        reason.append(f"without its teacher, {_ratio(alone)} times {results.LABELS[best]}'s")
    return Claim("surpasses alternative binarized video matting networks … by a substantial margin",
                 "no figure in the abstract", measured, combined(verdicts.values(), bool(lacking)),
                 "; ".join(reason + _provisional(found)))


def rivals(rows: Sequence[Mapping], arm: str = "bivm") -> list[str]:
    """The other binarization methods that have a seed in common with `arm`, in the order of tables."""
    seeds = {row["seed"] for row in rows if row["arm"] == arm}
    return [other for other in results.METHODS if seeds & {row["seed"] for row in rows if row["arm"] == other}]


def parts(rows: Sequence[Mapping], words: str, arms: Sequence[str], figure: str = "MAD") -> Claim:
    """Ours against ours without a part, for every ablation in `arms`."""
    ran = {row["arm"] for row in rows}
    found = _against(rows, [arm for arm in arms if arm in ran], figure)
    lacking = [arm for arm in arms if arm not in found]
    verdicts = [lead(row["low"], row["high"], row["seeds"]) for row in found.values()]
    measured = "; ".join(f"{figure} {_ratio(row)} times that without {_part(arm)}" for arm, row in found.items())
    reason = [f"{worth}: {', '.join(names)}" for worth in ("helps", "undecided", "harms")
              if (names := [_part(arm) for arm, row in found.items() if _worth(row) == worth])]
    if lacking:
        reason.append("not run: without " + ", ".join(map(_part, lacking)))
    return Claim(words, "no figure in the abstract", measured or "no run",
                 combined(verdicts, bool(lacking)), "; ".join(reason + _provisional(found)))


def topologies(rows: Sequence[Mapping], search: Mapping | None, figure: str = "MAD") -> Claim:
    """Evolvable topologies: ours against ours without its branches, and the pick of a search over stages.

    search  the result of `bivm-ref search`: its pick's MAD against the preset on clips that did not choose, with one
            standard error. One training, so a lead of it is a part at most.
    """
    branches = parts(rows, "evolvable topologies", ["no-branches"], figure)
    if search is None:
        return branches
    mean, error = search["picks"]["chosen"]["against_preset_again"]
    found = PART if mean + 1.96 * error < 0 else NOT
    measured = f"{branches.measured}; a search's pick has MAD {mean:+.1f} ± {error:.1f} to the preset on other clips"
    reason = f"{branches.reason}; the search {'found a better one' if found == PART else 'left it open'}"
    return replace(branches, measured=measured, reason=reason, verdict=combined([branches.verdict, found]))


def _against(rows: Sequence[Mapping], arms: Sequence[str], figure: str) -> dict[str, dict]:
    """{arm: ratio of ours to it}; those without a seed in common with ours are left out."""
    ours = {row["seed"] for row in rows if row["arm"] == "bivm"}
    return {arm: results.ratio(rows, "bivm", arm, figure) for arm in arms
            if ours & {row["seed"] for row in rows if row["arm"] == arm}}


def _ratio(row: Mapping) -> str:
    return f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})"


def _worth(row: Mapping) -> str:
    if row["high"] < 1:
        return "helps"
    return "harms" if row["low"] > 1 else "undecided"


def _part(arm: str) -> str:
    return results.LABELS[arm].removeprefix("ours − ")


def _names(arms: Iterable[str]) -> str:
    return ", ".join(results.LABELS[arm] for arm in arms) or "none"


def _provisional(found: Mapping[str, Mapping]) -> list[str]:
    few = min((row["seeds"] for row in found.values()), default=ENOUGH_SEEDS)
    return [f"provisional: {few} seed{'s' * (few > 1)}"] if few < ENOUGH_SEEDS else []


# ── savings ──────────────────────────────────────────────────────────────────────────────────

def saving(words: str, claimed: float, found: Mapping[str, float], shares_of_zero: Mapping[str, Mapping[str, float]],
           measured: str) -> Claim:
    """A claimed number of times fewer.

    found           {network: times fewer, at the least}
    shares_of_zero  {network: {sample clip: MAD as a share of an all-zero matte's}}: a saving needs a matte
    """
    reached = [name for name, times in found.items() if times >= claimed]
    useful = [name for name in reached if shares_of_zero[name] and max(shares_of_zero[name].values()) <= USEFUL]
    if useful:
        reason = f"reached by {', '.join(useful)}"
    elif reached:
        worst = {name: max(shares_of_zero[name].values(), default=1.0) for name in reached}
        said = ", ".join(f"{name} leaves up to {worst[name]:.0%}" for name in reached)
        reason = (f"the count is reached, a useful matte is not: {said} of an all-zero matte's MAD, and our bar is "
                  f"{USEFUL:.0%}")
    else:
        reason = f"no network here comes to {claimed}×"
    return Claim(words, f"{claimed}×", measured, MET if useful else PART if reached else NOT, reason)


def computation(costs: Sequence[Mapping], shares_of_zero: Mapping[str, Mapping[str, float]]) -> Claim:
    """costs: rows of `claims_data.costs`. Decided by the field's rule at the upper end of the active share."""
    said = "; ".join(f"{row['network']} {row['masked']:.1f}×, strict rule {row['strict']:.1f}×" for row in costs)
    return saving(f"savings of {CLAIMED_COMPUTE}x … in computation", CLAIMED_COMPUTE,
                  {row["network"]: row["masked_least"] for row in costs}, shares_of_zero, said)


def stored(costs: Sequence[Mapping], shares_of_zero: Mapping[str, Mapping[str, float]]) -> Claim:
    said = "; ".join(f"{row['network']} {row['bytes']:.1f}×" for row in costs)
    return saving(f"savings of … {CLAIMED_STORAGE}x in … storage", CLAIMED_STORAGE,
                  {row["network"]: row["bytes"] for row in costs}, shares_of_zero, said)


# ── accuracy, mask, information, hardware ────────────────────────────────────────────────────

def accuracy(shipped: str, shares_of_zero: Mapping[str, float]) -> Claim:
    """The shipped network on the sample clips. Never more than a part: the paper's data is not at hand."""
    useful = [clip for clip, share in shares_of_zero.items() if share <= USEFUL]
    said = ", ".join(f"{clip} {share:.1%}" for clip, share in shares_of_zero.items())
    reason = f"at most {USEFUL:.0%} (our bar) on {len(useful)} of {len(shares_of_zero)} clips, none of VideoMatte240K"
    every = bool(useful) and len(useful) == len(shares_of_zero)
    return Claim("accurate", "no figure in the abstract", f"{shipped}: MAD as a share of an all-zero matte's: {said}",
                 PART if every else NOT, reason)


def mask(decoder: Mapping | None, dense_times: Mapping[str, float]) -> Claim:
    """The masked decoder. decoder: that section of the information studies; dense_times: {machine: time of every
    position computed / time with skipping}."""
    words = "masking homogeneous parts … alleviating the computation burden for efficient inference"
    if decoder is None:
        return Claim(words, "no figure in the abstract", "no study", NOT, "the study has not been run")
    own, kept = decoder["own"], next(row["kept"] for row in decoder["curve"] if row["size"] == "own")
    asked = {
        "fewer operations": kept < 1,
        f"costs under {HARMLESS:.0f} % of MAD": own["ours"]["high"] < HARMLESS,
        "better than a random mask of equal area": own["random_against_ours"]["low"] > 0,
        f"dense takes over {LESS_TIME} times as long": bool(dense_times) and min(dense_times.values()) > LESS_TIME,
    }
    times = "; ".join(f"dense takes {times:.2f} times as long ({machine})" for machine, times in dense_times.items())
    measured = (f"`small`: {kept:.0%} of the operations; MAD {own['ours']['mean']:+.1f} % "
                f"({own['ours']['low']:+.1f} to {own['ours']['high']:+.1f}) against "
                f"computing everywhere; {times or 'no time measured'}")
    verdict = MET if all(asked.values()) else PART if any(asked.values()) else NOT
    return Claim(words, "no figure in the abstract", measured, verdict, _answers(asked))


def information(encoder: Mapping | None, stage: str = "f4") -> Claim:
    """The degraded encoder. Never more than a part: a probe finds where bits are lost, not what causes an error."""
    words = "degradation of prediction-relevant information in the intermediate features"
    gap = next((g for g in (encoder or {}).get("gaps", []) if "float-bnn" in g
                and (g["stage"], g["where"], g["probe"]) == (stage, "before", "linear")), None)
    if gap is None:
        return Claim(words, "a theoretical analysis", "no study", NOT, "the study has not been run")
    lost, closed = gap["float-bnn"], gap["closed"].get("bivm")
    asked = {"a BNN's features say less than the float twin's": lost["low"] > 0,
             "ours say more than a BNN's": closed is not None and closed["bits"]["low"] > 0}
    measured = f"{stage}: BNN {lost['mean']:.2f} bits ({lost['low']:.2f} to {lost['high']:.2f}) behind its float twin"
    if closed is not None:
        bits = closed["bits"]
        measured += f"; ours recovers {bits['mean']:.2f} ({bits['low']:.2f} to {bits['high']:.2f})"
    trained = {arm: {"seeds": len(seeds)} for arm, seeds in encoder.get("seeds", {}).items()}
    reason = [_answers(asked), "that this is the main cause, a probe cannot say", *_provisional(trained)]
    return Claim(words, "a theoretical analysis", measured, PART if any(asked.values()) else NOT, "; ".join(reason))


def hardware(reports: Sequence[Mapping]) -> Claim:
    """Times on ARM: reports of `bivm-ref bench`."""
    arm = [r for r in reports if r["machine"]["architecture"] in ("aarch64", "arm64")]
    said = [f"{r['machine']['board'] or r['machine']['cpu']} ({r['machine']['architecture']})" for r in reports]
    return Claim("evaluate BiVM on ARM CPU hardware", "no figure in the abstract",
                 "timed: " + (", ".join(said) or "nothing"), MET if arm else NOT,
                 "an ARM processor was timed" if arm else "no ARM processor among them")


def _answers(asked: Mapping[str, bool]) -> str:
    yes, no = ([text for text, answer in asked.items() if answer is wanted] for wanted in (True, False))
    return "; ".join(f"{word}: {', '.join(texts)}" for word, texts in (("yes", yes), ("no", no)) if texts)


def markdown(claims: Sequence[Claim]) -> str:
    """The table of claims, a row each."""
    head = ["the abstract's words", "the paper reports", "measured here", "verdict", "reason"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + [f"| “{c.words}” | {c.paper} | {c.measured} | **{c.verdict}** | {c.reason} |"
                              for c in claims])
