"""Tables and numbers as text: CSV for programs, aligned Markdown for readers."""

import math
from pathlib import Path

from replication.measurements import files

NAMES = {
    "mnist": "MNIST",
    "frey": "Frey Face",
    "digits": "Digits",
    "aevb": "AEVB",
    "wake-sleep": "Wake-sleep",
    "mcem": "MCEM",
}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def csv_text(table, missing=""):
    """CSV of a table, whose floats have four decimals; `missing` stands for NaN."""
    return table.to_csv(index=False, float_format="%.4f", na_rep=missing, lineterminator="\n")


def write_tables(name, results, page, table):
    """Writes a page and a table to a folder of the results; returns their paths."""
    folder = Path(results) / name
    paths = [folder / "table.md", folder / "table.csv"]
    for path, text in zip(paths, (page, csv_text(table))):
        files.write(path, text)
    return paths


def markdown(table, left=0):
    """An aligned Markdown table of texts, with its first `left` columns flush left."""
    header, rows = list(table), table.to_numpy().tolist()
    widths = [max(map(len, column)) for column in zip(header, *rows)]

    def line(cells):
        padded = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths))
        ]
        return f"| {' | '.join(padded)} |"

    rules = [
        f":{'-' * (width + 1)}" if i < left else f"{'-' * (width + 1)}:"
        for i, width in enumerate(widths)
    ]
    return "\n".join([line(header), f"|{'|'.join(rules)}|", *map(line, rows)])


def number(value, sign="", digits=1, missing="–"):
    """Decimals with a true minus sign; a dash for NaN. `sign="+"` marks positive numbers.

    Example:
        >>> number(-104.84), number(0.25, "+"), number(math.nan)
        ('−104.8', '+0.2', '–')
    """
    return missing if math.isnan(value) else f"{value:{sign}z.{digits}f}".replace("-", "−")


def estimate(mean, sem, error=math.nan, sign="", digits=1):
    """A mean with its standard error over seeds; for one seed, in brackets, a given `error`.

    Example:
        >>> estimate(-4.0, 1.0), estimate(-4.0, math.nan), estimate(-4.0, math.nan, error=0.25)
        ('−4.0 ± 1.0', '−4.0', '−4.0 (± 0.2)')
    """
    text = number(mean, sign, digits)
    if math.isnan(mean):
        return text
    if not math.isnan(sem):
        return f"{text} ± {number(sem, digits=digits)}"
    return text if math.isnan(error) else f"{text} (± {number(error, digits=digits)})"


def is_round(samples):
    """Whether a count is 1, 2 or 5 times a power of ten."""
    return str(samples).rstrip("0") in ("1", "2", "5")


def count(samples):
    """A number of samples as a power of ten.

    Example:
        >>> count(1_000_000), count(3_200_000)
        ('10⁶', '3.2·10⁶')
    """
    exponent = len(str(samples)) - 1
    mantissa = f"{samples / 10**exponent:.3g}"
    power = "10" + str(exponent).translate(SUPERSCRIPTS)
    return power if mantissa == "1" else f"{mantissa}·{power}"
