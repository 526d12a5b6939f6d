"""Interactive figures of the structure column, as plotly figures; one module a subject.

Colours are those of Okabe & Ito, which people with a colour-vision deficiency can tell apart.
"""
