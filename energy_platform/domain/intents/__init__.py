"""Declared goals for a site's load: what is wanted when, at whose cost, and whether it would have worked.

``declaration`` says what an intent is, ``loads`` and ``expected`` what was used and what was to be expected, ``planner``
what to switch now, ``replay`` and ``outcome`` what that would have done to days that have passed.
"""
