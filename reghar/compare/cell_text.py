"""Figures as every table of a comparison writes them."""

from __future__ import annotations

from reghar.compare.balanced import BALANCED_LENGTH

HEADINGS = {
    "accuracy_full": "Accuracy (%)",
    "mean_length": "Length",
    "reg": "REG",
    "accuracy_at_l_max": "At L_max (%)",
    BALANCED_LENGTH: "Balanced length",
}
"""Measures as tables call them; in tokens where no unit is named."""


def figure_text(value: float | None, unit: str) -> str:
    """A figure with one decimal, as in REG table 1; fractions in %; a dash for none."""
    if value is None:
        return "–"
    return f"{100 * value if unit == 'fraction' else value:,.1f}".replace("-", "−")


def signed(value: float, unit: str) -> str:
    """A difference with its sign and one decimal; of fractions in percentage points."""
    text = f"{100 * value if unit == 'fraction' else value:+,.1f}".replace("-", "−")
    return "0.0" if text.strip("+−") == "0.0" else text


def p_text(p_value: float) -> str:
    """A p-value with two digits that count."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}" if p_value < 0.1 else f"{p_value:.2f}"
