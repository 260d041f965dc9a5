# Compiles Python files named on standard input, one "source TAB name-in-tracebacks" a line, and
# answers each with a line: "made TAB pyc", or why it could not be compiled. Hash-based pycs that are never
# checked (PEP 552) depend on the source alone, not on when it was written.
import importlib._bootstrap_external as bootstrap
import importlib.util
import os
import sys
import warnings

warnings.simplefilter("ignore")
for line in sys.stdin:
    source, name = line.rstrip("\n").split("\t")
    try:
        with open(source, "rb") as file:
            text = file.read()
        code = compile(text, name, "exec", dont_inherit=True)
        digest = importlib.util.source_hash(text)
        target = importlib.util.cache_from_source(source)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        # What a package has brought may be a link to somebody else's file.
        if os.path.lexists(target):
            os.unlink(target)
        with open(target, "wb") as file:
            file.write(bootstrap._code_to_hash_pyc(code, digest, checked=False))
        said = f"made\t{target}"
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = f"{type(error).__name__}: {error}".replace("\n", " ")
    print(said, flush=True)
