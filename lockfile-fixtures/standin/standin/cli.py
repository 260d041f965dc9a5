"""`standin`: tells where it lives and what it finds there; `standin serve PORT` tells it to whoever asks over HTTP."""

import http.server
import sys

from . import settings


def main():
    mode = "debug" if settings.DEBUG else "quiet"
    text = f"standin at {settings.BASE_DIR} {mode}\n" + (settings.BASE_DIR / "messages.txt").read_text(encoding="utf-8")
    if sys.argv[1:2] == ["serve"]:
        serve(int(sys.argv[2]), text.encode())
    print(text, end="")
    return 0 if settings.BASE_DIR.joinpath("web", "dist", "app.js").is_file() else 1


def serve(port, answer):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

    http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    sys.exit(main())
