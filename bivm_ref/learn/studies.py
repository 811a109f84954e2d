"""`bivm-ref information`: the sanity sheet and both studies, their file and their figures."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import torch
from tqdm import tqdm

from bivm_ref import information_sheet, information_text
from bivm_ref.errors import UserError
from bivm_ref.information import FEWEST_CLIPS
from bivm_ref.learn import probe_sheet, study_decoder, study_encoder
from bivm_ref.learn.store import load_model

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "weights" / "training"
KEPT = {"float": WEIGHTS / "small-float.pt", "bivm": WEIGHTS / "small.pt"}
RESULTS = ROOT.parent / "data_samples" / "results"
STUDIES = ("sheet", "encoder", "decoder")


@dataclass(frozen=True)
class Request:
    """What is asked for: which studies, the folder of a comparison's runs (None: `KEPT`), where to write;
    clips: how many instead of each study's own number."""

    out: Path
    studies: Sequence[str] = STUDIES
    runs: Path | None = None
    quick: bool = False
    clips: int | None = None
    progress: bool = True


def check(wanted: Sequence[str], clips: int | None) -> None:
    """UserError for unknown studies and too few clips."""
    unknown = [name for name in wanted if name not in STUDIES]
    if unknown:
        raise UserError(f"unknown study {unknown[0]!r}; choose among {', '.join(STUDIES)}")
    if clips is not None and clips < FEWEST_CLIPS:
        raise UserError(f"--clips {clips}: too few for an interval; at least {FEWEST_CLIPS} are needed")


def run(request: Request) -> dict[str, dict]:
    """Do the studies; write information_<arch>.json and a PNG for each study into `out`. Returns the new sections.

    UserError as `check` raises it, and for missing runs. Nothing is written until all is done."""
    check(request.studies, request.clips)
    torch.set_num_threads(max(1, min(2, torch.get_num_threads())))  # small matrices: more threads only wait
    networks = study_encoder.find_runs(request.runs) if request.runs else {
        arm: {0: path} for arm, path in KEPT.items()}
    makers = {"sheet": _sheet, "encoder": _encoder, "decoder": _decoder}
    sections: dict[str, dict] = {}
    for name in request.studies:
        with tqdm(desc=name, unit="step", leave=False, disable=None if request.progress else True) as bar:
            def tick(what: str, bar=bar) -> None:
                bar.set_postfix_str(what, refresh=False)
                bar.update()

            key = "encoder_shipped" if name == "encoder" and request.runs is None else name
            sections[key] = {"date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                             "command": command_of(request), "torch": torch.__version__,
                             **makers[name](request, networks, tick)}
    arch = load_model(next(iter(networks["float"].values()))).arch.name
    path = request.out / f"information_{arch}.json"
    information_text.write(path, sections)
    try:
        draw(path, sections)
    except UserError as error:  # no matplotlib: the figures' numbers are there
        print(f"no picture: {error}", file=sys.stderr)
    return sections


def command_of(request: Request) -> str:
    """The command that makes this again; DIR stands for wherever the runs are."""
    words = ["bivm-ref information"]
    words += ["--runs DIR"] if request.runs else []
    words += ["--studies " + ",".join(request.studies)] if tuple(request.studies) != STUDIES else []
    words += [f"--clips {request.clips}"] if request.clips else []
    return " ".join(words + (["--quick"] if request.quick else []))


def _sheet(request: Request, networks, tick) -> dict:
    rows = information_sheet.table_cases()
    tick("tables")
    rows += probe_sheet.probe_cases()
    tick("probes")
    return {"rows": rows, "passed": information_sheet.passed(rows)}


def _encoder(request: Request, networks: study_encoder.Networks, tick) -> dict:
    height, width = study_encoder.frame_size(next(iter(networks["float"].values())))
    options = study_encoder.Options(height=height, width=width)
    if request.quick:
        options = options.quick()
        networks = {arm: {min(runs): runs[min(runs)]} for arm, runs in networks.items()}
    options = replace(options, clips=request.clips or options.clips)
    described = [{"arm": arm, "seed": seed, **_describe(path)} for arm, runs in networks.items()
                 for seed, path in runs.items()]
    return {"networks": described, **study_encoder.study(networks, options, tick)}


def _decoder(request: Request, networks, tick) -> dict:
    path = KEPT["bivm"]
    height, width = study_encoder.frame_size(path)
    options = study_decoder.Options(height=height, width=width)
    options = options.quick() if request.quick else options
    options = replace(options, clips=request.clips or options.clips)
    return {"networks": [_describe(path)], **study_decoder.study(load_model(path), options, tick)}


def _describe(path: Path) -> dict:
    """Which network that was: its file's digest, its method and the steps that it was trained."""
    recipe = study_encoder.load_state(path)["recipe"]
    return {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()[:12], "method": recipe.get("method"),
            "steps": sum(phase["steps"] for phase in recipe["phases"])}


def draw(path: Path, sections: dict[str, dict]) -> list[Path]:
    """A PNG beside the file for each study: their paths. UserError without matplotlib."""
    from bivm_ref import viz_information

    charts = {"encoder": viz_information.encoder_chart, "encoder_shipped": viz_information.encoder_chart,
              "decoder": viz_information.decoder_chart}
    drawn = []
    for name, section in sections.items():
        if name in charts:
            drawn.append(path.with_name(f"{path.stem}_{name}.png"))
            viz_information.save(charts[name](information_text.rounded(section)), drawn[-1])
    return drawn
