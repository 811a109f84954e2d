"""The command line, `bivm-ref`: what can be asked, and how mistakes are answered. The work is in commands.py.

Nothing heavy is imported before the arguments are understood, so `--help` is quick and needs no torch.
Exit codes: 0 done, 1 the doctor found something missing, 2 a mistake of the user's (one line on stderr),
130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys

from .arguments import (
    all_or_positive,
    engine_options,
    json,
    number,
    positive,
    seed,
    size,
    sizes,
    sources,
    takes,
    threads,
    whole,
    without_empty,
)
from .reporting import run_and_report

COLOURS = "a colour (white, '#00b140') or an image file"


class _Parser(argparse.ArgumentParser):
    """argparse, but a mistake is one line, as everywhere else here."""

    def error(self, message: str):
        print(f"bivm-ref: error: {' '.join(message.split())}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = without_empty(parser(), argv)

    def work():
        from . import commands, learning_commands
        room = learning_commands if hasattr(learning_commands, args.command) else commands
        return getattr(room, args.command)(args)

    return run_and_report(work)


# -- the arguments ------------------------------------------------------------------------------------------
def parser() -> argparse.ArgumentParser:
    top = _Parser(prog="bivm-ref", description="Binarized video matting: cut people out of videos with 1-bit "
                  "convolutions.", epilog="example: bivm-ref matte clip.mp4 out")
    top.add_argument("--version", action="version", version=f"bivm-ref {_version()}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for add in (_matte, _info, _evaluate, _train, _search, _export, _grow, _recalibrate, _compare, _information, _clips,
                _bench, _cost, _doctor):
        add(commands)
    return top


def _version() -> str:
    try:
        return importlib.metadata.version("bivm_ref")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _command(commands, name: str, summary: str, details: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=summary, description=f"{summary}\n\n{details}".strip(),
                               epilog="example:\n" + "\n".join(f"  {line}" for line in example.splitlines()),
                               formatter_class=argparse.RawDescriptionHelpFormatter)


def _matte(commands) -> None:
    p = _command(commands, "matte", "matte a video, a folder of images, one image or a camera",
                 "OUT is a folder (alpha, foreground and composite in it), one video file (.mp4 .mov .mkv\n"
                 ".webm .gif: the composite if --background is given, else alpha) or, for one image, an\n"
                 "image file. Frame rate, size and rotation are the input's; a folder of images becomes\n"
                 "25 frames per second. The foreground is straight colour (not multiplied by alpha) where\n"
                 "alpha > 0 and black elsewhere; as PNG it is a cut-out (RGBA). Ctrl-C keeps what is done.\n"
                 "A camera's newest frame is taken each time; in a video it is shown when it came.\n"
                 "Without OUT the matte is shown in a window and nothing is written; where no window can be\n"
                 "opened, a camera's goes to outputs/webcam (or -2, -3, ...) until Ctrl-C.",
                 "bivm-ref matte clip.mp4 out\n"
                 "bivm-ref matte clip.mp4 beach.mp4 --background beach.jpg\n"
                 "bivm-ref matte portrait.jpg cutout.png --only foreground\n"
                 "bivm-ref matte webcam:0 --background beach.jpg")
    p.add_argument("input", metavar="IN", help="a video, a folder of images, an image, or webcam:0")
    p.add_argument("output", metavar="OUT", nargs="?",
                   help="a folder, a video file or an image file; left out: a window")
    engine_options(p)
    p.add_argument("--background", metavar="COLOR|IMAGE",
                   help=f"behind the composite: {COLOURS}; default #00b140")
    p.add_argument("--only", choices=("alpha", "foreground", "composite"), help="write just this one")
    p.add_argument("--png", action="store_true", default=None, help="write PNG sequences into the folder OUT")
    p.add_argument("--overwrite", action="store_true", help="replace what is there")
    json(p)


def _info(commands) -> None:
    p = _command(commands, "info", "what is in a weight file: sizes, layers, provenance, figures",
                 "The sizes of the sections add up to the size of the file.", "bivm-ref info\n"
                 "bivm-ref info my.safetensors --json")
    p.add_argument("weights", metavar="F", nargs="?", help="a packed network; default: the shipped one")
    json(p)


def _evaluate(commands) -> None:
    p = _command(commands, "evaluate",
                 "MAD, MSE, Grad, Conn and dtSSD of an engine on clips with known alpha",
                 "D is a folder of clips in the field's layout, clip/com/0000.png and clip/pha/0000.png\n"
                 "(com may be com.mp4), or one such clip, or folders of them, which get a mean each. zero_MAD\n"
                 "is the MAD of a predictor that answers 0. --variant rvm prints what RVM's script does:\n"
                 "dtSSD_rvm counts frame 0 as 0, Grad_rvm stretches alphas up to 512 pixels only, fgr_MSE is\n"
                 "the foreground's where alpha > 0 (of clips with fgr/0000.png).",
                 "bivm-ref evaluate data_samples\n"
                 "bivm-ref evaluate videomatte_512x288 --variant both --json\n"
                 "bivm-ref evaluate --people people/ --scenes scenes/ --iou --worst worst.jpg")
    p.add_argument("folder", metavar="D", nargs="?", help="a folder of clips, or one clip")
    p.add_argument("--procedural", metavar="N", type=positive,
                   help="instead of D: N held-out procedural clips, 8 frames at 256x144")
    p.add_argument("--first-seed", metavar="N", type=whole, help="seed of the first procedural clip (10,003,000)")
    p.add_argument("--wild", action="store_true", help="the hard procedural clips: two figures, clutter, hard light")
    p.add_argument("--people", metavar="D", help="instead of D: held-out stills of tools/people, and rooms with nobody")
    p.add_argument("--scenes", metavar="D", help="its rooms (people below 60 and rooms below 10 are held out)")
    p.add_argument("--whole", metavar="D", help="instead of D: whole photographs of people, RGBA, filmed (those that "
                   "tools/photographs.py holds out, or yours)")
    p.add_argument("--fast", action="store_true", help="leave out Grad and Conn, the slow ones")
    p.add_argument("--iou", action="store_true", help="the overlap of alpha > 0.5, too")
    p.add_argument("--worst", metavar="FILE", help="write a picture of the ten worst frames, one of a clip")
    p.add_argument("--overwrite", action="store_true", help="replace that picture")
    p.add_argument("--variant", choices=("ours", "rvm", "both"), default="ours",
                   help="whose definitions of Grad, dtSSD and the foreground's error (ours)")
    engine_options(p)
    json(p)


def _train(commands) -> None:
    p = _command(commands, "train", "train a network, or go on training it (needs torch)",
                 "Writes log.jsonl, checkpoint.pt and, at the end, model.pt into DIR. The same command\n"
                 "again goes on from the last checkpoint. Without --people, procedural figures alone.\n"
                 "Under torchrun several processes share each batch of 4.\n\n"
                 "--stage 1 to 4 trains on the field's data sets instead, as RVM is: 1 short clips, 2 long\n"
                 "ones, 3 the refiner too, 4 stills with finer alphas; --init goes on from the stage before.\n"
                 "Below ROOT, folders whose names begin like VideoMatte, ImageMatte, Backgrounds,\n"
                 "BackgroundVideos, COCO and YouTubeVIS, each unpacked as it comes. Broken files are left out\n"
                 "and counted; over 1 % of a set stops the run.",
                 "bivm-ref train --float --out runs/twin\n"
                 "bivm-ref train --init runs/twin/model.pt --teacher runs/twin/model.pt --out runs/student\n"
                 "bivm-ref train --float --takes --people people/ --scenes scenes/ --out runs/filmed\n"
                 "bivm-ref export runs/student/model.pt student.safetensors\n"
                 "torchrun --nproc_per_node 2 -m bivm_ref.cli train --out runs/shared\n"
                 "bivm-ref train --stage 1 --data datasets --preset default --out runs/stage1\n"
                 "bivm-ref train --stage 2 --data datasets --preset default --init runs/stage1/model.pt \\\n"
                 "  --out runs/stage2")
    p.add_argument("--out", metavar="DIR", required=True, help="the run's folder")
    p.add_argument("--preset", choices=("default", "small"), default="small", help="the architecture (small)")
    p.add_argument("--float", action="store_true",
                   help="train the float twin: the same network without signs")
    p.add_argument("--method", metavar="NAME", help="how to binarize: bivm (default), or bnn, xnor, dorefa, bireal, "
                   "irnet, reactnet, recu, bimatting: see bivm_ref/net/binarize.py")
    p.add_argument("--teacher", metavar="F", help="mimic this model.pt, the float twin's")
    p.add_argument("--without", nargs="+", default=[], choices=("mask", "localization", "bits", "information"),
                   help="leave a part out: the decoder's mask, or an ingredient of the mimicking")
    p.add_argument("--stage", metavar="1..4", type=whole, help="train on the field's data sets; needs --data")
    p.add_argument("--data", metavar="ROOT", help="the folder that holds those data sets")
    p.add_argument("--lr", metavar="X", type=number, help="learning rate (0.002); in a stage the highest of its rates, "
                   "the others in proportion")
    p.add_argument("--init", metavar="F", help="start from this model.pt: the float twin's, or the stage's before")
    p.add_argument("--steps", metavar="N", type=positive,
                   help="steps in all (2000): 75%% at 160x96, 20%% at 256x144, 5%% for the refiner")
    sources(p)
    takes(p)
    p.add_argument("--seed", metavar="N", type=seed, default=0, help="of the weights and the clips (0)")
    p.add_argument("--bf16", action="store_true", help="bfloat16 convolutions, for CPUs that have them")
    p.add_argument("--device", default="cpu", help="torch's name of it (cpu)")
    p.add_argument("--workers", metavar="N", type=whole, default=1, help="processes that make clips (1)")


def _search(commands) -> None:
    from . import search_command as search

    search.arguments(_command(commands, "search", search.SUMMARY, search.DETAILS, search.EXAMPLE))


def _export(commands) -> None:
    p = _command(commands, "export", "pack a trained network into a file for the engine (needs torch)", "",
                 "bivm-ref export runs/student/model.pt student.safetensors")
    p.add_argument("model", metavar="MODEL.pt", help="what `bivm-ref train` wrote")
    p.add_argument("output", metavar="OUT.safetensors", help="the packed file")
    p.add_argument("--overwrite", action="store_true", help="replace what is there")
    json(p)


def _grow(commands) -> None:
    p = _command(commands, "grow", "begin a larger network as a smaller one, to go on training it (needs torch)",
                 "A float twin computes the same mattes afterwards, a binary network nearly the same.",
                 "bivm-ref grow runs/small-twin/model.pt twin.pt --preset default\n"
                 "bivm-ref train --float --preset default --init twin.pt --lr 0.0015 --out runs/twin")
    p.add_argument("model", metavar="MODEL.pt", help="what `bivm-ref train` wrote, of a smaller preset")
    p.add_argument("output", metavar="OUT.pt", help="the larger network")
    p.add_argument("--preset", choices=("default", "small"), default="default", help="its architecture (default)")
    p.add_argument("--overwrite", action="store_true", help="replace what is there")


def _recalibrate(commands) -> None:
    p = _command(commands, "recalibrate", "take batch norms' statistics anew, before export (needs torch)",
                 "From training clips: give the folders of the training. Averages of binary networks gain by it.",
                 "bivm-ref recalibrate runs/student/model.pt student.pt --takes --people people/ --scenes scenes/")
    p.add_argument("model", metavar="MODEL.pt", help="what `bivm-ref train` wrote; a checkpoint.pt does, too")
    p.add_argument("output", metavar="OUT.pt", help="the same weights with those statistics")
    sources(p)
    takes(p)
    p.add_argument("--batches", metavar="N", type=positive, default=60, help="of 4 clips each (60)")
    p.add_argument("--overwrite", action="store_true", help="replace what is there")


def _compare(commands) -> None:
    p = _command(commands, "compare", "train and measure every binarization method and ablation (needs torch; hours)",
                 "Writes DIR/results.jsonl (a line per run), table.md and compare.png, and prints the table.\n"
                 "The same command again goes on where it was; more seeds or arms add to it. All runs take\n"
                 "the same steps on the same clips and, with --init, begin with the same weights.",
                 "bivm-ref compare --quick --out runs/quick\n"
                 "bivm-ref compare --init runs/twin/model.pt --seeds 3 --jobs 2 --out runs/compare\n"
                 "bivm-ref compare --show data_samples/results/compare_small.jsonl")
    p.add_argument("--out", metavar="DIR", help="folder of the runs and their results")
    p.add_argument("--show", metavar="FILE", help="train nothing: print the table of these results")
    p.add_argument("--arms", metavar="A,B,...", help="some of them only (default: all; a wrong name lists them)")
    p.add_argument("--seeds", metavar="N", type=positive, default=3, help="seeds 0 to N-1 (3)")
    p.add_argument("--steps", metavar="N", type=positive, help="of each run (800)")
    p.add_argument("--preset", choices=("default", "small"), default="small", help="the architecture (small)")
    p.add_argument("--init", metavar="F", help="a float twin's model.pt, from which every arm of its architecture "
                   "starts; without it all start from random weights")
    p.add_argument("--jobs", metavar="N", type=positive, default=1, help="runs at a time, one core each (1)")
    p.add_argument("--keep-clips", action="store_true", help="make the training clips of a seed once for all its arms; "
                   "they stay in OUT/clips, 0.7 GB a seed")
    p.add_argument("--quick", action="store_true", help="minutes instead of hours, to see that all runs; the figures "
                   "mean nothing")
    json(p)


def _information(commands) -> None:
    p = _command(commands, "information", "measure where binarization loses what prediction needs (needs torch)",
                 "Three studies: sheet (the estimators against closed forms), encoder (bits about alpha and colour at\n"
                 "every stage), decoder (what the mask leaves out). Writes information_<preset>.json and a PNG for\n"
                 "each study into the folder. Exit code 1 if the sanity sheet fails.",
                 "bivm-ref information --quick\n"
                 "bivm-ref compare --arms float,bnn,reactnet,no-mimicking,bivm --out runs/compare\n"
                 "bivm-ref information --runs runs/compare")
    p.add_argument("--runs", metavar="DIR", help="a folder that `bivm-ref compare` wrote, for the encoder's study; "
                   "default: `small` and the comparison's float twin alone")
    p.add_argument("--studies", metavar="A,B", help="some of them only (sheet,encoder,decoder)")
    p.add_argument("--clips", metavar="N", type=positive, help="held-out clips instead of each study's own number")
    p.add_argument("--out", metavar="DIR", help="where to write (data_samples/results; --quick: outputs/information)")
    p.add_argument("--quick", action="store_true", help="minutes: fewer clips and stages, one seed, wide intervals")
    json(p)


def _clips(commands) -> None:
    p = _command(commands, "clips",
                 "write training clips with their exact alpha, to look at or to use elsewhere",
                 "OUT gets 0000/{fgr,pha,com}/0000.png ... (the field's layout, which `evaluate` reads) and\n"
                 "contact_sheet.png.",
                 "bivm-ref clips out --count 4 --size 256x144\n"
                 "bivm-ref clips out --people people/ --scenes scenes/")
    p.add_argument("output", metavar="OUT", help="a new folder")
    p.add_argument("--count", metavar="N", type=positive, default=8, help="clips (8)")
    p.add_argument("--seed", metavar="N", type=whole, default=0, help="of the first clip (0)")
    p.add_argument("--size", metavar="WxH", type=size, default=(256, 144), help="of a frame (256x144)")
    p.add_argument("--frames", metavar="N", type=positive, default=8, help="per clip (8)")
    sources(p)
    takes(p)
    p.add_argument("--overwrite", action="store_true", help="write into a folder that is not empty")


def _bench(commands) -> None:
    p = _command(commands, "bench", "time a frame, beside RVM and our own network in torch and onnxruntime",
                 "Takes some minutes: every contender does one frame in turn, round after round, first on one\n"
                 "core, then on all; the ratios are to our masked network. Peers need\n"
                 "pip install 'bivm_ref[train,bench]'; one that is missing is a row that says so. Leave the\n"
                 "machine alone meanwhile: whatever else runs is in the times.",
                 "bivm-ref bench\n"
                 "bivm-ref bench --sizes 256x144 --no-peers\n"
                 "bivm-ref bench --layers --json timings.json --chart timings.png")
    p.add_argument("--sizes", metavar="WxH,...", type=sizes, default=sizes("256x144,512x288,1280x720"),
                   help="of a frame (256x144,512x288,1280x720); above 512 networks see a reduced frame")
    p.add_argument("--rounds", metavar="N", type=positive, default=15, help="after 2 that are not counted (15)")
    p.add_argument("--core", metavar="N", type=whole, help="the one core; default: the last that is allowed")
    p.add_argument("--threads", metavar="N", type=all_or_positive,
                   help="of the second pass: a number, or all (default); 1 leaves that pass out")
    which = p.add_mutually_exclusive_group()
    which.add_argument("--weights", metavar="F", help="a packed network; default: the shipped one")
    which.add_argument("--preset", choices=("default", "small"), help="the network of that name that comes with us")
    p.add_argument("--no-peers", dest="peers", action="store_false", help="time our engine alone")
    p.add_argument("--layers", action="store_true", help="time the larger convolutions one by one as well")
    p.add_argument("--long", action="store_true", help="stream 500 frames too, to see whether memory stays flat")
    p.add_argument("--json", metavar="FILE", help="write everything measured as JSON; - prints it, and no table")
    p.add_argument("--chart", metavar="FILE.png", help="draw a bar chart (needs matplotlib)")
    p.add_argument("--overwrite", action="store_true", help="replace those files")


def _cost(commands) -> None:
    from .cost_arguments import add

    p = _command(commands, "cost", "count operations and bytes, beside RVM and BiMatting",
                 "Multiply-accumulates of one frame by the field's rule (convolutions, float + binary/64) and by the\n"
                 "strict one (everything). The mask skips part of the decoder: how much was measured on held-out\n"
                 "clips, once for all; --measure does it anew.",
                 "bivm-ref cost\n"
                 "bivm-ref cost --size 1280x720 --active 0.3 --preset default --layers\n"
                 "bivm-ref cost --measure 32 --write")
    add(p, size, positive)
    json(p)


def _doctor(commands) -> None:
    p = _command(commands, "doctor",
                 "check this machine: versions, codecs, weights, kernels, one frame's time",
                 "Exit code 1 if something required is missing.", "bivm-ref doctor")
    threads(p)
    json(p)


if __name__ == "__main__":
    sys.exit(main())
