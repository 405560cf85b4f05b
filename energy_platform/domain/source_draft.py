"""Writes what inference found as the text of a declaration.

Belongs here: the order and wording of the draft. Does not belong here: finding things out (domain/inference.py).
"""

from __future__ import annotations

import json
import re
from pathlib import PurePath

from energy_platform.domain.inference import (
    EDIT,
    Draft,
    Sample,
    Stamps,
    commonest_step,
    find_stamps,
    is_moment,
    keys_of,
    null_words,
    unit_of,
    values_of,
)

_ISO = re.compile(r"^%Y-%m-%d[ T]%H:%M(:%S(\.%f)?)?(?P<offset>%z)?$")


def draft(sample: Sample) -> Draft:
    """A declaration as far as the rows tell it; the rest is marked EDIT and listed.

    Args:
        sample: the first rows of the file.

    Raises:
        FileUnreadable: no column holds stamps.
    """
    stamps = find_stamps(sample)
    clock = [column for column in (stamps.column, stamps.time_column) if column is not None]
    values = values_of(sample, clock)
    meter, channel = keys_of(sample, [*clock, *values])
    result = Draft("")
    lines = [
        f"# Drafted from {len(sample.rows)} rows of {sample.file_name}. Lines with {EDIT} want a decision.",
        f"description: {_said(f'Drafted from {sample.file_name}.')}",
        f"files: [{_said(_file_pattern(sample.file_name))}]",
        *_format(sample),
        *_timestamp(stamps, result),
        *_value(sample, values, result),
        _interval(sample, stamps, [key for key in (meter, channel) if key], result),
        *_keys(sample, values, meter, channel),
        _edit("site_zone", "IANA zone in which the days of the sites are counted", result),
        _edit("country", "whose public holidays count: GB-ENG, DE-HE, PT", result),
        "availability: history  # live, when the files arrive as the readings are made",
    ]
    result.yaml = "\n".join(lines) + "\n"
    return result


def _said(text: str) -> str:
    """Text as YAML reads it back, whatever is in it."""
    return json.dumps(text, ensure_ascii=False)


def _edit(field: str, ask: str, result: Draft, indent: str = "") -> str:
    result.to_edit.append(f"{field}: {ask}")
    return f"{indent}{field.rsplit('.', maxsplit=1)[-1]}: {EDIT}  # {ask}"


def _file_pattern(file_name: str) -> str:
    """Numbers in a name change from file to file.

    Example:
        >>> _file_pattern("2018Floor3.csv.gz")
        '*Floor*.csv.gz'
    """
    path = PurePath(file_name)
    suffixes = "".join(path.suffixes)
    stem = file_name.removesuffix(suffixes) if suffixes else file_name
    return re.sub(r"\*+", "*", re.sub(r"\d+", "*", stem)) + suffixes


def _format(sample: Sample) -> list[str]:
    if not sample.form:
        return []
    return [f"format: {{{', '.join(f'{key}: {_said(value)}' for key, value in sample.form.items())}}}"]


def _timestamp(stamps: Stamps, result: Draft) -> list[str]:
    lines = ["timestamp:", f"  column: {_said(stamps.column)}"]
    if stamps.time_column is not None:
        lines.append(f"  time_column: {_said(stamps.time_column)}")
    if len(stamps.formats) > 1:
        both = " or ".join(_said(pattern) for pattern in stamps.formats)
        ask = f"the rows do not tell the day from the month: choose {both}"
        result.to_edit.append(f"timestamp.formats: {ask}")
        lines.append(f"  formats: []  # {EDIT}: {ask}")
    else:
        iso = _ISO.match(stamps.formats[0])
        word = stamps.formats[0] if iso is None else "iso_offset" if iso["offset"] else "iso"
        lines.append(f"  formats: [{_said(word)}]")
    if is_moment(stamps):
        lines.append("  zone: UTC")
    else:
        lines.append(_edit("timestamp.zone", "IANA zone of the stamps, such as UTC or Europe/London", result, "  "))
    lines.append("  marks: start  # end, when a stamp ends its interval")
    return lines


def _value(sample: Sample, values: list[str], result: Draft) -> list[str]:
    lines = ["value:"]
    if not values:
        lines.append(_edit("value.column", f"which of {', '.join(sample.header)} holds the energy", result, "  "))
    elif len(values) == 1:
        lines.append(f"  column: {_said(values[0])}")
    found = unit_of(values[0]) if values else None
    if found is not None:
        lines.append(f"  unit: {found[1]}")
    elif values and "power" in values[0].lower():
        lines.append("  unit: kW  # by its name; kWh, Wh, W … if it is another")
        result.to_edit.append("value.unit: the header does not say; kW is a guess by the word power")
    else:
        lines.append(_edit("value.unit", "kWh, Wh, MWh, kW, W, MW, MJ, therm, m3, ft3 …", result, "  "))
    words = null_words(sample, values)
    if words:
        lines.append(f"  null_words: [{', '.join(_said(word) for word in words)}]")
    return lines


def _interval(sample: Sample, stamps: Stamps, keys: list[str], result: Draft) -> str:
    minutes = commonest_step(sample, stamps, keys)
    if minutes is None:
        return _edit("interval_minutes", "no common step of whole minutes; are these samples of power?", result)
    return f"interval_minutes: {minutes}"


def _keys(sample: Sample, values: list[str], meter: str | None, channel: str | None) -> list[str]:
    one = f"meter: {{constant: {_said(sample.file_name.split('.')[0])}}}  # the whole file is one meter's"
    lines = [one if meter is None else f"meter: {{column: {_said(meter)}}}"]
    if len(values) > 1:
        first = unit_of(values[0])
        suffix = values[0].removeprefix(first[0]) if first is not None else ""
        lines.append(f"channel: {{header: {_said(f'^(.+){re.escape(suffix)}$')}}}")
    elif channel is not None:
        lines.append(f"channel: {{column: {_said(channel)}}}")
    return lines
