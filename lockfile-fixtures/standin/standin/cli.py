"""`standin`: tells where it lives and what it finds there."""

import sys

from . import settings


def main():
    print("standin at", settings.BASE_DIR, "debug" if settings.DEBUG else "quiet")
    print((settings.BASE_DIR / "messages.txt").read_text(encoding="utf-8"), end="")
    return 0 if settings.BASE_DIR.joinpath("web", "dist", "app.js").is_file() else 1


if __name__ == "__main__":
    sys.exit(main())
