//! Lines on which nothing is as it should be, below HTTP: each ends in a sentence, in time, and nothing is kept.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::*;

/// A server that does as it likes with each connection; its address.
fn serve(does: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let does = Arc::new(does);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let does = Arc::clone(&does);
            thread::spawn(move || does(stream));
        }
    });
    address.to_string()
}

/// What is said of a server; it has to be said soon.
fn said(project: &Project, server: &str) -> String {
    let start = Instant::now();
    let mirror = Project::mirror(server);
    let patience = ["--timeout=1", "--retries=1", "--mirror", &mirror];
    let authority = project.path("ca.pem");
    let output = run(project.fetch(&patience).env("SSL_CERT_FILE", authority));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    // Two tries, of which each has its second, and a pause between them.
    assert!(start.elapsed() < Duration::from_secs(30), "{said}");
    assert!(said.len() < 4000, "{} bytes", said.len());
    assert!(said.contains("could not be fetched"), "{said}");
    let kept = project.path("store/v1/files");
    assert!(!Path::new(&kept).exists(), "{said}");
    said
}

#[test]
fn a_certificate_that_is_not_good_is_refused_at_once() {
    for (says, days, why) in [
        ("subjectAltName=IP:127.0.0.2", 2, "it is for another host"),
        (
            "subjectAltName=DNS:files.pypi.example",
            2,
            "it is for another host",
        ),
        ("subjectAltName=IP:127.0.0.1", -1, "it has expired"),
        (
            "subjectAltName=IP:127.0.0.1\nextendedKeyUsage=clientAuth",
            2,
            "certificate",
        ),
        (
            "subjectAltName=IP:127.0.0.1\nbasicConstraints=critical,CA:TRUE",
            2,
            "certificate",
        ),
    ] {
        let project = Project::new();
        let tls = scripted::certified(project.dir.path(), says, days);
        let server = Server::start_tls(tls, |_| Reply::ok("never"));
        let said = said(&project, &server.url());
        assert!(
            said.contains("the server's certificate was refused") && said.contains(why),
            "{says}: {said}"
        );
        assert!(!said.contains("tried"), "{says}: {said}");
        assert_eq!(server.requests().len(), 0);
    }
}

#[test]
fn a_line_without_a_handshake_is_given_up() {
    type Serve = fn(TcpStream);
    let project = Project::new();
    scripted::private_authority(project.dir.path());
    let cases: [(&str, Serve); 6] = [
        ("HTTP where TLS was meant", |mut line| {
            let _ = line.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
            let _ = line.read(&mut [0; 4096]);
        }),
        ("silence", |mut line| {
            let _ = line.read(&mut [0; 4096]);
            thread::sleep(Duration::from_secs(60));
        }),
        ("closed at once", drop),
        // RFC 8446, section 6: a fatal alert, protocol_version.
        ("an older TLS alone", |mut line| {
            let _ = line.read(&mut [0; 4096]);
            let _ = line.write_all(&[21, 3, 1, 0, 2, 2, 70]);
        }),
        ("a record that is longer than one may be", |mut line| {
            let _ = line.read(&mut [0; 4096]);
            let _ = line.write_all(&[22, 3, 3, 0xff, 0xff]);
            while line.write_all(&[0; 1 << 14]).is_ok() {}
        }),
        ("a handshake that drips", |mut line| {
            let _ = line.read(&mut [0; 4096]);
            let _ = line.write_all(&[22, 3, 3, 0x3f, 0xff, 2, 0, 0x3f, 0xfb]);
            while line.write_all(&[3]).is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        }),
    ];
    for (what, does) in cases {
        let said = said(&project, &format!("https://{}", serve(does)));
        assert!(said.contains("error: "), "{what}: {said}");
    }
}

#[test]
fn headers_that_drip_are_given_up() {
    let project = Project::new();
    let server = serve(|mut line| {
        let _ = line.read(&mut [0; 4096]);
        let _ = line.write_all(b"HTTP/1.1 200 OK\r\n");
        while line.write_all(b"X: y\r\n").is_ok() {
            thread::sleep(Duration::from_millis(100));
        }
    });
    let said = said(&project, &format!("http://{server}"));
    assert!(said.contains("timed out"), "{said}");
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// `:status: 200` (RFC 7541, appendix A), and a field `:status: 103`.
const OK: u8 = 0x88;
const EARLY: [u8; 5] = [8, 3, b'1', b'0', b'3'];

#[test]
fn storms_of_http_2_are_given_up() {
    let project = Arc::new(Project::new());
    let mut tls = scripted::private_authority(project.dir.path());
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tls = Arc::new(tls);
    let nothing = Vec::<u8>::new;
    let ok = frame(HEADERS, END_HEADERS, 1, &[OK]);
    // What is sent once, and what is sent again and again for as long as it is taken.
    let storms = [
        (
            "going away at once",
            frame(GOAWAY, 0, 0, &[0; 8]),
            nothing(),
        ),
        (
            "going away, never gone",
            nothing(),
            frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11]),
        ),
        (
            "each request refused",
            nothing(),
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 7]),
        ),
        (
            "an answer, and then refused",
            ok.clone(),
            frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]),
        ),
        ("pings", nothing(), frame(PING, 0, 0, &[0; 8])),
        (
            "pings after an answer",
            ok.clone(),
            frame(PING, 0, 0, &[0; 8]),
        ),
        (
            "settings",
            nothing(),
            frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]),
        ),
        (
            "windows",
            ok.clone(),
            frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1]),
        ),
        (
            "headers that go on",
            frame(HEADERS, 0, 1, &[OK]),
            frame(CONTINUATION, 0, 1, &[0, 1, b'x', 1, b'y'].repeat(1000)),
        ),
        (
            "headers that go on, and are empty",
            frame(HEADERS, 0, 1, &[OK]),
            frame(CONTINUATION, 0, 1, &[]),
        ),
        (
            "interim answers",
            nothing(),
            frame(HEADERS, END_HEADERS, 1, &EARLY),
        ),
        ("data of no length", ok.clone(), frame(DATA, 0, 1, &[])),
        (
            "padding alone",
            ok.clone(),
            frame(DATA, 8, 1, &[[9].as_slice(), &[0; 9]].concat()),
        ),
        (
            "promises",
            ok,
            frame(
                PUSH_PROMISE,
                END_HEADERS,
                1,
                &[0, 0, 0, 2, 0x82, 0x84, 0x87],
            ),
        ),
        (
            "a frame of 16 MiB",
            vec![0xff, 0xff, 0xff, DATA, 0, 0, 0, 0, 1],
            vec![0; 1 << 14],
        ),
        ("frames of no kind", nothing(), frame(99, 0, 0, &[0; 64])),
        (
            "data without a request",
            nothing(),
            frame(DATA, 0, 77, &[0; 64]),
        ),
    ];
    let storms = storms.map(|(what, once, again)| {
        let (tls, project) = (Arc::clone(&tls), Arc::clone(&project));
        thread::spawn(move || {
            let server = serve(move |line| {
                let connection = rustls::ServerConnection::new(Arc::clone(&tls)).unwrap();
                let mut line = rustls::StreamOwned::new(connection, line);
                let mut rest = || {
                    line.read_exact(&mut [0; 24])?;
                    line.write_all(&frame(SETTINGS, 0, 0, &[]))?;
                    // The request is asked for before it is answered.
                    thread::sleep(Duration::from_millis(100));
                    let _ = line.read(&mut [0; 4096])?;
                    line.write_all(&once)?;
                    line.flush()?;
                    while !again.is_empty() {
                        line.write_all(&again)?;
                    }
                    std::io::Result::Ok(())
                };
                let _ = rest();
            });
            (what, said(&project, &format!("https://{server}")))
        })
    });
    for storm in storms {
        let (what, said) = storm.join().unwrap();
        assert!(
            said.contains("error: ") && !said.contains("panicked"),
            "{what}: {said}"
        );
    }
}
