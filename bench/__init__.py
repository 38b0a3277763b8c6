"""One script a claim: `python -m bench [NAME …] [--quick] [--json FILE]`. Each is measured beside a floor, in the same run. Linux only: /proc is read."""
