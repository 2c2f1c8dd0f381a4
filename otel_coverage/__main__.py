"""``python -m otel_coverage``."""

from otel_coverage.cli.main import main

if __name__ == "__main__":
    main()
