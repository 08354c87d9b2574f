"""Which of the hub's APIs misbehave, and how.

A marketplace is full of APIs that are documented well and answer badly. A factory that only ever met good ones would
not be tested, so these few fail, always in the same way. Their documents do not say so.
"""

MISBEHAVING: dict[str, str] = {
    "moonrise_and_moonset": "500",
    "long_weekends": "slow",
    "keyword_density": "html",
    "clock_changes": "404",
    "reference_rates": "401",
    "amortisation_schedule": "429",
    "prime_table": "megabyte",
}
"""Operation id → kind.

`500`, `404`, `401`: that status with a JSON error. `429`: the same, with `Retry-After: 1`. `slow`: the right answer
after 20 seconds. `html`: a maintenance page with status 200. `megabyte`: the right answer with a mebibyte of debug
output in it.
"""
