"""The report of bench.py as a table for people, with bars of characters; `viz.bench_chart` draws it as a picture.

The machine stands above the figures, always: they are nobody else's.
"""

from __future__ import annotations

WIDEST = 24  # characters of the longest bar


def as_text(report: dict) -> str:
    lines = [*machine_lines(report), "", *engine_lines(report["engine"]), "",
             "ms: median of the rounds, with its quartiles; vs ours: median of the ratios within a round, so that 3.1x",
             "takes 3.1 times as long as the first row of its table"]
    for part in report["passes"]:
        lines += ["", *pass_lines(part, report["options"]), *warning_lines(part, report)]
    if report["layers"]:
        lines += ["", *layer_lines(report["layers"])]
    return "\n".join(lines)


def excerpt(report: dict, size: tuple[int, int] = (512, 288)) -> str:
    """The machine, the engine and one size, as the README shows them."""
    lines = [*machine_lines(report)[:2], *engine_lines(report["engine"])]
    for part in report["passes"]:
        if tuple(part["size"]) == size:
            lines += ["", *pass_lines(part, report["options"])]
    return "\n".join(lines)


def machine_lines(report: dict) -> list[str]:
    facts, before, after = report["machine"], report["before"], report["after"]
    name = ", ".join(filter(None, (facts["board"], facts["cpu"] or "a processor without a name")))
    speed = f", up to {facts['max_mhz']:.0f} MHz" if facts["max_mhz"] else ""
    if not speed and before["mhz"]:
        speed = f", {max(before['mhz']):.0f} MHz"
    lines = [f"{name}{' (virtual machine)' if facts['virtual'] else ''}: {facts['cores_allowed']} of "
             f"{facts['cores']} cores{speed}; {facts['os']}",
             f"{facts['python']}, NumPy {facts['packages']['numpy']} with {' '.join(facts['simd'] or ['no SIMD'])}; "
             f"{before['date']}"]
    notes = [f"{label} {before[key]}" for key, label in (("governor", "governor"), ("throttling", "throttling"))
             if before[key]]
    if after["throttling"] and after["throttling"] != before["throttling"]:
        notes.append(f"after: throttling {after['throttling']}")
    if after["celsius"]:
        notes.append(f"{max(after['celsius'].values()):.0f} degrees C after")
    if (busy := busy_cores(report)) is not None:
        notes.append(f"other programs were using {busy:.1f} cores")
    return lines + (["; ".join(notes)] if notes else [])


def busy_cores(report: dict) -> float | None:
    """What others used, at the start or at the end, whichever was more."""
    return max((report[when]["busy_cores"] for when in ("before", "after")
                if report[when]["busy_cores"] is not None), default=None)


def engine_lines(engine: dict) -> list[str]:
    peaks = ", ".join(f"{peak:.0f} MB after {count} frame{'s' if count != '1' else ''}"
                      for count, peak in engine["peak_mb_after_frames"].items() if peak is not None)
    tables = f", tables {engine['table_bytes'] / 1e6:.1f} MB" if engine["table_bytes"] is not None else ""
    return [f"{engine['weights']} ({engine['network']}): {engine['file_bytes']:,} bytes{tables}; from loading to the "
            f"first matte {engine['load_to_first_matte_s']:.2f} s",
            f"peak memory of its process, decoding 512x288 video included: {peaks or 'unknown'}"]


def pass_lines(part: dict, options: dict) -> list[str]:
    width, height = part["size"]
    if part["cores"] == "all":
        where = f"all cores, {part['threads']} threads"
    else:
        where = "one thread" if part["core"] is None else f"one core (number {part['core']})"
    share = part["active"].get("1")
    masked = "" if share is None else f", {100 * share:.0f} % of the decoder active"
    lines = [f"{width}x{height}, {where}: {options['rounds']} rounds{masked}"]
    rows = part["rows"]
    longest = max(row["ms"] for row in rows if "ms" in row)
    wide = max(len(label(row, part)) for row in rows)
    lines.append(f"  {'':<{wide}}  {'ms':>7}  {'quartiles':>15}  {'vs ours':>7}  {'frames/s':>8}")
    for row in rows:
        if "ms" not in row:
            lines.append(f"  {label(row, part):<{wide}}  {row['note']}")
            continue
        quartiles = f"{number(row['ms_quartiles'][0])} - {number(row['ms_quartiles'][1])}"
        lines.append(f"  {label(row, part):<{wide}}  {number(row['ms']):>7}  {quartiles:>15}  {row['ratio']:>6.2f}x  "
                     f"{row['frames_per_second']:>8.1f}  {'#' * max(1, round(WIDEST * row['ms'] / longest))}")
    return lines


def warning_lines(part: dict, report: dict) -> list[str]:
    """Whether the pass had the cores it needed. Threads that wait for one another wait for the slowest, so one core
    too few may make some of them twenty times slower, and a ratio then says nothing."""
    cores, busy = report["machine"]["cores_allowed"], busy_cores(report)
    if busy is None or busy <= cores - part["threads"] + 0.3:
        return []
    return [f"  NOT A MEASUREMENT of this machine: other programs were using {busy:.1f} of its {cores} cores"]


def label(row: dict, part: dict) -> str:
    """The contender, with its threads where they are not those of the whole table."""
    if row["threads"] == part["threads"]:
        return row["contender"]
    return f"{row['contender']}, {row['threads']} thread{'s' if row['threads'] > 1 else ''}"


def layer_lines(part: dict) -> list[str]:
    """One line per shape, then all layers together, each counted as often as the network has it."""
    layers = part["layers"]
    wide, shape = (max(len(text) for text in texts) for texts in
                   ([name(layer) for layer in layers], [layer["shape"] for layer in layers]))
    peers = [row["contender"] for row in layers[0]["rows"][1:]]
    lines = [f"layer by layer, {part['size'][0]}x{part['size'][1]}, at least 64 channels, every position computed, one "
             "thread", f"  {'layer':<{wide}}  {'shape':<{shape}}  {'kernel':<6}  {'ours ms':>7}"
             + "".join(f"  {peer}" for peer in peers)]
    for layer in layers:
        first, *others = layer["rows"]
        cells = "".join(f"  {cell(row):>{len(peer)}}" for row, peer in zip(others, peers))
        lines.append(f"  {name(layer):<{wide}}  {layer['shape']:<{shape}}  {layer['kernel']:<6}  "
                     f"{number(first['ms']):>7}{cells}")
    if not peers or any("ms" not in row for layer in layers for row in layer["rows"]):
        return lines
    sums = [sum(len(layer["layers"]) * layer["rows"][i]["ms"] for layer in layers) for i in range(len(peers) + 1)]
    count = sum(len(layer["layers"]) for layer in layers)
    cells = "".join(f"  {total / sums[0]:>{len(peer) - 1}.2f}x" for total, peer in zip(sums[1:], peers))
    return [*lines, f"  {f'all {count}':<{wide}}  {'':<{shape}}  {'':<6}  {number(sums[0]):>7}{cells}"]


def name(layer: dict) -> str:
    more = len(layer["layers"]) - 1
    return layer["layers"][0] + (f" and {more} more" if more else "")


def cell(row: dict) -> str:
    return f"{row['ratio']:.2f}x" if "ms" in row else row["note"].partition(":")[0]


def number(ms: float) -> str:
    """Three figures at most: 0.123, 12.3, 123."""
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}" if ms >= 1 else f"{ms:.3f}"
