"""Long-term outcomes of autoimmune hepatitis: load → cohort → endpoints → outcomes → models → figures → report.

The public names stand in ``__init__.pyi``; each is imported when it is first used, so that importing stays quick.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
