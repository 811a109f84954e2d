"""The report of cost_table.py as text."""

from __future__ import annotations

from .ancestors import BIMATTING, RVM

COLUMNS = ("float", "binary", "operations", "vs RVM", "strict", "vs RVM", "bytes", "vs RVM")


def as_text(data: dict) -> str:
    lines = ["G multiply-accumulates of one frame, and stored bytes. operations: convolutions alone, float + binary/64",
             "(the field's rule); strict: with everything else that is computed; vs RVM: times fewer, counted alike"]
    for part in data["frames"]:
        lines += ["", *_frame_lines(part)]
    lines += ["", *_verdict(data), *_notes(data)]
    for part in data.get("layers", []):
        lines += ["", *_layer_lines(part)]
    return "\n".join(lines)


def _frame_lines(part: dict) -> list[str]:
    (width, height), (w, h) = part["size"], part["network_size"]
    cells = [(f"{width}x{height}", *COLUMNS)]
    for row in part["rows"]:
        cells.append((f"  {row['network']}, {row['how']}", _giga(row.get("float_macs")), _giga(row.get("binary_macs")),
                      _giga(row.get("operations")), _times(row.get("ratio")), _giga(row.get("strict")),
                      _times(row.get("strict_ratio")), f"{row['bytes']:,}" if "bytes" in row else "",
                      _times(row.get("bytes_ratio"))))
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    lines = ["  ".join(text.rjust(wide) if i else text.ljust(wide)
                       for i, (text, wide) in enumerate(zip(line, widths))) for line in cells]
    if part["refiner"]:
        lines.insert(1, f"  (the network sees {w}x{h}, the refiner restores {width}x{height})")
    return lines


def _giga(count: float | None) -> str:
    return "" if count is None else f"{count / 1e9:.3f}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.1f}x"


def _verdict(data: dict) -> list[str]:
    """Whether the claim is reached, by the field's rule and the last row of each network at the first size."""
    part, claimed = data["frames"][0], data["claimed"]
    last = {row["network"]: row for row in part["rows"] if row["network"] in data["shares"]}
    lines = [f"The paper claims {claimed['operations']}x fewer operations and {claimed['bytes']}x fewer bytes. "
             f"At {part['size'][0]}x{part['size'][1]}, by its rule:"]
    for name, row in last.items():
        reached = row["ratio"] >= claimed["operations"], row["bytes_ratio"] >= claimed["bytes"]
        said = {(True, True): "both reached", (False, False): "neither reached",
                (True, False): "bytes not reached", (False, True): "operations not reached"}[reached]
        lines.append(f"  {name}, {row['how']}: {row['ratio']:.1f}x and {row['bytes_ratio']:.1f}x, {said} "
                     f"({row['strict_ratio']:.1f}x by the strict rule)")
    return lines


def _notes(data: dict) -> list[str]:
    said, lines = RVM.published.megabytes, [""]
    for name, held in data["shares"].items():
        if held["record"]:
            lines += _share_lines(name, held["per_scale"], held["record"])
        if held["note"]:
            lines.append(f"  note: {held['note']}")
    for name, held in data["storage"].items():
        file, stored = "no file", held["file"] or held["bytes"]
        if held["file"]:
            file = f"a file of {held['file']:,}"
        lines += [f"{name} in bytes: {held['binary_weights']:,} bits, {held['float_parameters']:,} floats, "
                  f"{held['stem_weights']} stem weights = {held['bytes']:,}; {file}",
                  f"  RVM's published {said} MB are {said * 2**20 / stored:.2f}x as much if 2^20 bytes are meant, "
                  f"{said * 1e6 / stored:.2f}x if 10^6"]
    lines.append(f"BiMatting's published {BIMATTING.published.operations} G are reached when "
                 f"{100 * data['bimatting_share_needed']:.0f} % of its masked 3x3 positions are computed")
    return lines


def _share_lines(name: str, shares: dict[int, float], record: dict) -> list[str]:
    """Where the active share comes from. Scales that agree are said once."""
    clips = record.get("clips", [])
    drawn = sum(clip["source"] == "procedural" for clip in clips)
    means = {scale: (f"{100 * share:.0f} %" + (" ({:.0f} to {:.0f})".format(*(100 * x for x in between)) if (
        between := record["shares"][str(scale)].get("interval")) else "")) for scale, share in shares.items()}
    text = ", ".join(f"{mean} at 1/{scale}" for scale, mean in means.items())
    if len(set(means.values())) == 1:
        text = f"{means[8]} at every scale"
    lines = [f"{name}, active: {text}; mean of {drawn} held-out clips and its 95 % interval",
             f"  measured {str(record.get('date'))[:10]} with the network at {record.get('network_size')} pixels; "
             f"it was trained at {record.get('trained_size')}"]
    samples = [f"{clip['clip']} {100 * clip['active']['1']:.0f} %" for clip in clips if clip["source"] == "sample"]
    return lines + ([f"  sample clips, at full resolution: {', '.join(samples)}"] if samples else [])


def _layer_lines(part: dict) -> list[str]:
    wide = max(len(row["layer"]) for row in part["rows"])
    lines = [f"{part['network']} at {part['size'][0]}x{part['size'][1]}" + (
        f", reduced by {part['ratio']:.3g}" if part["ratio"] < 1 else ""),
        f"{'layer':<{wide}}  {'kind':<11}  {'positions':>9}  {'active':>6}  {'MACs, all':>13}  {'MACs':>13}  "
        f"{'operations':>11}  {'elementwise':>11}  {'bytes':>7}"]
    for row in part["rows"]:
        line = f"{row['layer']:<{wide}}  {row['kind']:<11}"
        if "macs" in row:
            line += (f"  {row['positions']:>9,}  {100 * row['active']:>4.0f} %  {row['dense_macs']:>13,}  "
                     f"{row['macs']:>13,.0f}  {row['operations']:>11,.0f}  {row['elementwise']:>11,.0f}  "
                     f"{row['bytes']:>7,.0f}")
        else:
            line += f"{'':<62}  {row['elementwise']:>11,.0f}"
        lines.append(line)
    return lines
