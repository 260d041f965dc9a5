# Compiles Python files named on standard input, one "source TAB name-in-tracebacks" a line, and
# answers each with a line: nothing, or why it could not be compiled. Hash-based pycs that are never
# checked (PEP 552) depend on the source alone, not on when it was written.
import importlib._bootstrap_external as bootstrap
import importlib.util
import marshal
import os
import sys
import warnings

warnings.simplefilter("ignore")
for line in sys.stdin:
    source, name = line.rstrip("\n").split("\t")
    said = ""
    try:
        with open(source, "rb") as file:
            text = file.read()
        code = compile(text, name, "exec", dont_inherit=True)
        # Loading and dumping once more takes out what this process shares among files, which
        # would otherwise show in the bytes.
        code = marshal.loads(marshal.dumps(code))
        digest = importlib.util.source_hash(text)
        target = importlib.util.cache_from_source(source)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(bootstrap._code_to_hash_pyc(code, digest, checked=False))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        said = f"{type(error).__name__}: {error}".replace("\n", " ")
    print(said, flush=True)
