"""Which Python functions each recorded workflow executes, inside the tracing pipeline that you already run."""

__version__ = "0.1.0"

__all__ = ["__version__"]
