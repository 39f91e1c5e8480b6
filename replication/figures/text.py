"""Tables and numbers as text: CSV and aligned Markdown."""

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
SPLIT_NAMES = {"train": "training", "test": "test"}
# By figure, the size that differs between a data set's panels: its column and its symbol.
SIZES = {2: ("latent_dim", "N_z"), 3: ("n_train", "N_train")}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def csv_text(table, missing=""):
    """CSV of a table, with four decimals for floats and `missing` for NaN."""
    return table.to_csv(index=False, float_format="%.4f", na_rep=missing, lineterminator="\n")


def write_tables(name, results, page, table):
    """Writes a page and a table to a folder of the results; returns their paths."""
    folder = Path(results) / name
    paths = [folder / "table.md", folder / "table.csv"]
    for path, text in zip(paths, (page, csv_text(table))):
        files.write(path, text)
    return paths


def markdown(table, left=0):
    """An aligned Markdown table, with the first `left` columns flush left."""
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
    """Formats a number with a true minus sign, with a power of ten from 10⁵; a dash for NaN.

    `sign="+"` marks positive numbers.

    Example:
        >>> number(-104.84), number(0.25, "+"), number(-242582835.2), number(math.nan)
        ('−104.8', '+0.2', '−2.4·10⁸', '–')
    """
    if math.isnan(value):
        return missing
    if 1e5 <= abs(value) < math.inf:
        mantissa, exponent = f"{value:{sign}.{max(digits, 1)}e}".replace("-", "−").split("e")
        return f"{mantissa}·{_power(int(exponent))}"
    return f"{value:{sign}z.{digits}f}".replace("-", "−")


def with_error(value, error, sign=""):
    """Formats a value and its standard error, both rounded to the precision of the error.

    By the rule of the Particle Data Group, the error has two digits if they are 10 to 35, else one.
    Values from 10⁴ and below 10⁻² are multiples of a power of ten. If the error is unknown (0 or
    NaN), the value has one decimal, or its first digit other than 0.

    Example:
        >>> with_error(-1.4094, 0.0096), with_error(9509, 312), with_error(81.02, 9.62, "+")
        ('−1.409 ± 0.010', '9510 ± 310', '+81 ± 10')
        >>> with_error(3060194981, 50467829), with_error(2.72e-4, 3.4e-6), with_error(0.029, 0.0)
        ('(3.06 ± 0.05)·10⁹', '(2.720 ± 0.034)·10⁻⁴', '0.03')
    """
    if math.isnan(value) or not 0 < error < math.inf:
        small = 0 < abs(value) < 0.05
        return number(value, sign, -math.floor(math.log10(abs(value))) if small else 1)
    size = abs(value) or 1.0
    exponent = math.floor(math.log10(size))
    if -3 < exponent < 4 or size < error:
        return _rounded(value, error, sign)
    scale = 10.0**exponent
    return f"({_rounded(value / scale, error / scale, sign)})·{_power(exponent)}"


def _rounded(value, error, sign):
    exponent = math.floor(math.log10(error))
    digits = (error < 3.55 * 10.0**exponent) - exponent  # negative left of the point
    value, error, digits = round(value, digits), round(error, digits), max(digits, 0)
    return f"{number(value, sign, digits)} ± {number(error, digits=digits)}"


def _power(exponent):
    return "10" + str(exponent).translate(SUPERSCRIPTS)


def count(samples):
    """A number of samples in scientific notation, with at most three digits.

    Example:
        >>> count(1_000_000), count(3_200_000), count(999_900)
        ('10⁶', '3.2·10⁶', '10⁶')
    """
    mantissa, exponent = f"{samples:.2e}".split("e")
    power = _power(int(exponent))
    return power if mantissa == "1.00" else f"{float(mantissa):g}·{power}"
