"""What may be switched, by whom, how often, and how it is known that it was.

``devices`` says what there is, ``guard`` whether a request is allowed, ``commands`` what becomes of it, ``dialects``
how a device is told, ``spikes`` when a supply is switched off by itself.
"""
