"""Tables as text: CSV for programs, aligned Markdown for readers."""

import csv
import io

import numpy as np

NAMES = {
    "mnist": "MNIST",
    "frey": "Frey Face",
    "digits": "Digits",
    "aevb": "AEVB",
    "wake-sleep": "Wake-sleep",
    "mcem": "MCEM",
}
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def csv_text(columns, rows):
    """CSV of rows given as dicts; `None` is an empty cell, a float has four decimals."""
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items() if v is not None}
        )
    return file.getvalue()


def markdown(header, rows, left=0):
    """An aligned Markdown table of strings, with its first `left` columns flush left."""
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


def number(value, sign="", digits=1):
    """Decimals with a true minus sign; a dash for `None`. `sign="+"` marks positive numbers.

    Example:
        >>> number(-104.84), number(0.25, "+"), number(None)
        ('−104.8', '+0.2', '–')
    """
    return "–" if value is None else f"{value:{sign}z.{digits}f}".replace("-", "−")


def sem(values):
    """The standard error of the mean over seeds, `None` for a single one."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def estimate(values, error=None, sign="", digits=1):
    """The mean over seeds with its standard error; for one seed, in brackets, a given `error`.

    Example:
        >>> estimate([-3.0, -5.0]), estimate([-4.0]), estimate([-4.0], error=0.25)
        ('−4.0 ± 1.0', '−4.0', '−4.0 (± 0.2)')
    """
    mean, over_seeds = number(float(np.mean(values)), sign, digits), sem(values)
    if over_seeds is not None:
        return f"{mean} ± {number(over_seeds, digits=digits)}"
    return mean if error is None else f"{mean} (± {number(error, digits=digits)})"


def is_decade(samples):
    return str(samples).rstrip("0") == "1"


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
    power = "10" + str(exponent).translate(_SUPERSCRIPTS)
    return power if mantissa == "1" else f"{mantissa}·{power}"
