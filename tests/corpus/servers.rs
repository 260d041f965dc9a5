//! Servers that answer as none should. `answers.json` has what is sent: each connection is given the next, the last of
//! them again and again.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use lockwright::core::digest::{Algorithm, Digest};
use serde::Serialize;

use super::Row;
use super::common::sources::is_empty;
use super::common::{Run as _, Temp, lockwright};

/// What is sent on a connection.
#[derive(Clone, Serialize)]
struct Answer {
    /// Before the body; `{length}` is the right one, `{host}` is the server.
    head: String,
    /// How often the head is sent.
    again: usize,
    body: Body,
    then: Then,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Body {
    /// The artifact that was locked.
    Right,
    /// Other bytes, as many.
    Wrong,
    /// The first half of the right ones.
    Half,
    Nothing,
    /// Zeros for as long as they are taken.
    Endless,
    /// 16 MiB of zeros, by gzip, again and again.
    Bomb,
}

#[derive(Clone, Copy, Serialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Then {
    Close,
    Reset,
    /// Nothing, for as long as the other side waits.
    Wait,
    /// The body comes a byte at a time.
    Drip,
}

fn send(mut stream: TcpStream, answer: &Answer, host: &str, right: &[u8]) -> std::io::Result<()> {
    let mut asked = [0; 4096];
    let _ = stream.read(&mut asked)?;
    let head = answer.head.replace("{length}", &right.len().to_string());
    let head = head.replace("{host}", host).into_bytes();
    stream.write_all(&head.repeat(answer.again))?;
    let body = match answer.body {
        Body::Right => right.to_vec(),
        Body::Wrong => vec![b'x'; right.len()],
        Body::Half => right[..right.len() / 2].to_vec(),
        Body::Nothing => Vec::new(),
        Body::Endless => vec![0; 1 << 16],
        Body::Bomb => super::tars::gzip(&vec![0; 16 << 20]),
    };
    match answer.then {
        Then::Drip => {
            for byte in &body {
                stream.write_all(&[*byte])?;
                thread::sleep(Duration::from_millis(20));
            }
        }
        _ => stream.write_all(&body)?,
    }
    if matches!(answer.body, Body::Endless | Body::Bomb) {
        loop {
            stream.write_all(&body)?;
        }
    }
    match answer.then {
        Then::Reset => {
            thread::sleep(Duration::from_millis(50));
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
        }
        Then::Wait => thread::sleep(Duration::from_secs(60)),
        Then::Close | Then::Drip => {}
    }
    Ok(())
}

/// Its host and port; it ends with the test.
fn serve(answers: Vec<Answer>, right: Arc<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (told, next) = (host.clone(), AtomicUsize::new(0));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let number = next.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1);
            let (answer, right) = (answers[number].clone(), Arc::clone(&right));
            let host = told.clone();
            thread::spawn(move || drop(send(stream, &answer, &host, &right)));
        }
    });
    host
}

/// A sentence without what is another one in each run: how a connection ends is seen in several ways.
fn plain(said: &str) -> String {
    let said = said.replace(
        "x could not be fetched from http://files.example/x-1.0-py3-none-any.whl: ",
        "",
    );
    let broken = [
        "connection closed",
        "onnection reset",
        "roken pipe",
        "end of file",
        "IncompleteMessage",
    ];
    let tried = said.find(" (tried");
    if broken.iter().any(|how| said.contains(how)) {
        return format!(
            "the connection breaks{}",
            tried.map_or("", |at| &said[at..])
        );
    }
    match said.find(" bytes a second") {
        Some(at) => format!("few{}", &said[at..]),
        None => said,
    }
}

/// What lockwright says of a server that answers so.
fn judged(answers: Vec<Answer>) -> Result<String, String> {
    let right = Arc::new(super::zips::plain());
    let digest = Digest::of(Algorithm::Sha256, &right).hex();
    let size = right.len();
    let host = serve(answers, right);
    let temp = Temp::new();
    temp.write(
        "uv.lock",
        format!(
            "version = 1\nrevision = 3\nrequires-python = \">=3.9\"\n\n[[package]]\nname = \"app\"\nversion = \"0\"\n\
             source = {{ virtual = \".\" }}\ndependencies = [{{ name = \"x\" }}]\n\n[[package]]\nname = \"x\"\n\
             version = \"1.0\"\nsource = {{ registry = \"http://{host}/simple\" }}\n\
             wheels = [{{ url = \"http://{host}/x-1.0-py3-none-any.whl\", hash = \"sha256:{digest}\", size = {size} }}]\n"
        ),
    );
    let ran = lockwright(&temp)
        .args([
            "fetch",
            "uv.lock",
            "--python-version",
            "3.14",
            "--timeout=1",
            "--retries=1",
        ])
        .run();
    let held = ran.stderr.replace(&host, "files.example");
    let said = held.lines().find_map(|line| line.strip_prefix("error: "));
    match ran.code {
        0 => Ok("the right bytes".into()),
        _ => {
            let said = plain(said.unwrap_or(&held));
            let left = temp.join("store/v1/files");
            assert!(!left.exists() || is_empty(&left), "{said}");
            Err(said)
        }
    }
}

pub fn rows() -> Vec<Row> {
    use Body::{Bomb, Endless, Half, Nothing, Right, Wrong};
    use Then::{Close, Drip, Reset, Wait};
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n";
    let with =
        |more: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: {{length}}\r\n{more}\r\n\r\n");
    // Whether a connection that ends can be used once more is a matter of moments.
    let status =
        |line: &str| format!("HTTP/1.1 {line}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    let to = |place: &str| status(&format!("302 Found\r\nLocation: {place}"));
    let flood: String = (0..5000).map(|n| format!("X-{n}: y\r\n")).collect();
    let cases = [
        ("other bytes", "", ok.to_owned(), 1, Wrong, Close),
        ("cut off", "", ok.into(), 1, Half, Close),
        ("reset half way, each time", "", ok.into(), 1, Half, Reset),
        ("silence half way, each time", "", ok.into(), 1, Half, Wait),
        ("silence from the beginning", "", String::new(), 0, Nothing, Wait),
        ("a byte now and then", "", ok.into(), 1, Right, Drip),
        ("closed without a word", "", String::new(), 0, Nothing, Close),
        ("a body without an end", "", "HTTP/1.1 200 OK\r\n\r\n".into(), 1, Endless, Close),
        ("a longer body than it says", "", ok.into(), 1, Endless, Close),
        ("a length that is none", "", "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n".into(), 1, Right, Close),
        ("a length below zero", "", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".into(), 1, Right, Close),
        ("two lengths", "", with("Content-Length: 5"), 1, Right, Close),
        ("a chunk of 16 EiB", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n".into(), 1, Endless, Close),
        ("a chunk that is none", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nmany\r\n".into(), 1, Right, Close),
        ("gzip without an end", "CVE-2025-66471", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".into(), 1, Bomb, Close),
        ("an encoding that nobody knows", "", with("Content-Encoding: planted"), 1, Wrong, Close),
        ("a part that nobody asked for", "", "HTTP/1.1 206 Partial Content\r\nContent-Length: {length}\r\nContent-Range: bytes 5-9/10\r\n\r\n".into(), 1, Right, Close),
        ("a redirect to itself", "", to("http://{host}/x-1.0-py3-none-any.whl"), 1, Nothing, Close),
        ("a redirect to a file", "", to("file:///etc/passwd"), 1, Nothing, Close),
        ("a redirect to another protocol", "", to("gopher://{host}/x"), 1, Nothing, Close),
        ("a redirect to nowhere", "", status("302 Found"), 1, Nothing, Close),
        ("a redirect with a line end", "", to("http://{host}/%0d%0aX: y"), 1, Nothing, Close),
        ("5000 headers", "", with(flood.trim_end()), 1, Right, Close),
        ("a header of 2 MiB", "", with(&format!("X: {}", "y".repeat(2 << 20))), 1, Right, Close),
        ("an answer that is none", "", "SMTP ready\r\n\r\n".into(), 1, Right, Close),
        ("a version of the future", "", "HTTP/9.9 200 OK\r\n\r\n".into(), 1, Right, Close),
        ("a status that is none", "", status("99999 OK"), 1, Nothing, Close),
        ("interim answers without an end", "", "HTTP/1.1 103 Early Hints\r\n\r\n".into(), 20_000, Nothing, Close),
        ("an escape sequence for a reason", "", status("404 \x1b[2J\x1b[31mplanted"), 1, Nothing, Close),
        ("come again in 31 years", "", status("503 Busy\r\nRetry-After: 999999999"), 1, Nothing, Close),
        ("come again before 1970", "", status("429 Slow\r\nRetry-After: -1"), 1, Nothing, Close),
        ("come again, always at once", "", status("429 Slow\r\nRetry-After: 0"), 1, Nothing, Close),
        ("a login is asked for by nobody", "", status("401 No\r\nWWW-Authenticate: Basic realm=\"\x1b[2J\""), 1, Nothing, Close),
    ];
    let answers = cases.map(|(case, known, head, again, body, then)| {
        let answer = Answer {
            head,
            again,
            body,
            then,
        };
        // Most of them wait: side by side.
        let shown = serde_json::to_vec(&[&answer]).unwrap();
        let judged = thread::spawn(move || judged(vec![answer]));
        (case, known, shown, judged)
    });
    let rows = answers.into_iter().map(|(case, known, shown, judged)| Row {
        format: "HTTP",
        case: case.to_owned(),
        known,
        said: judged.join().unwrap(),
        files: vec![("answers.json".to_owned(), shown)],
    });
    rows.collect()
}
