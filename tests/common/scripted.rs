//! A server on the loopback whose every answer a test writes itself.
//!
//! A test gives a function from a [`Request`] to a [`Reply`]: for what `server.rs`, which serves
//! folders and queues faults, does not do (TLS, being a proxy, falling silent, bodies without a
//! length). [`Server::requests`] says what was asked.

#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// As it stands in the request line: a path, or a whole URL if we are a proxy.
    pub path: String,
    /// By names in lower case.
    pub headers: BTreeMap<String, String>,
    /// How often this path has been asked for, from 1.
    pub nth: usize,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What is answered.
pub struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    end: End,
}

enum End {
    /// The whole body.
    Whole,
    /// Only so many bytes of it, and then the line is closed.
    Cut(usize),
    /// Only so many bytes of it, and then the line is reset.
    Reset(usize),
    /// So many bytes, and then nothing for as long as the other side waits.
    Hang(usize),
    /// The whole body, without its length: the line's end is its end.
    Unsized,
    /// The whole body, a byte at a time.
    Drip(Duration),
    /// Nothing at all, not even a status, for as long as the other side waits.
    Silence,
}

impl Reply {
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            headers: Vec::new(),
            body: body.into(),
            end: End::Whole,
        }
    }

    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::ok("")
        }
    }

    pub fn silence() -> Self {
        Self::ok("").ending(End::Silence)
    }

    /// A file with an ETag, or the part of it that was asked for (RFC 9110, sections 13 and 14).
    pub fn file(request: &Request, body: &[u8], etag: &str) -> Self {
        let is_same = request.header("if-range").is_none_or(|asked| asked == etag);
        let start = request.header("range").and_then(|range| {
            range
                .strip_prefix("bytes=")?
                .strip_suffix('-')?
                .parse()
                .ok()
        });
        let reply = match start {
            Some(start) if is_same && start < body.len() => {
                let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
                let part = Self {
                    status: 206,
                    ..Self::ok(&body[start..])
                };
                part.header("Content-Range", &range)
            }
            Some(_) if is_same => Self::status(416),
            _ => Self::ok(body),
        };
        reply.header("ETag", etag)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn cut(self, after: usize) -> Self {
        self.ending(End::Cut(after))
    }

    pub fn reset(self, after: usize) -> Self {
        self.ending(End::Reset(after))
    }

    pub fn hang(self, after: usize) -> Self {
        self.ending(End::Hang(after))
    }

    pub fn drip(self, pause: Duration) -> Self {
        self.ending(End::Drip(pause))
    }

    pub fn without_length(self) -> Self {
        self.ending(End::Unsized)
    }

    fn ending(mut self, end: End) -> Self {
        self.end = end;
        self
    }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

/// A running server. It stops when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

struct Shared {
    handler: Box<Handler>,
    tls: Option<Arc<rustls::ServerConfig>>,
    log: Mutex<(Vec<Request>, HashMap<String, usize>)>,
    stopped: AtomicBool,
}

impl Server {
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(Box::new(handler), None)
    }

    pub fn start_tls(
        config: rustls::ServerConfig,
        handler: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Box::new(handler), Some(Arc::new(config)))
    }

    /// A server of these files, by path.
    pub fn of(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let files: HashMap<String, Vec<u8>> = files.into_iter().collect();
        Self::start(move |request| match files.get(&request.path) {
            Some(body) => Reply::file(request, body, "\"1\""),
            None => Reply::status(404),
        })
    }

    fn listen(handler: Box<Handler>, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            handler,
            tls,
            log: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&accepting)) else {
                    continue;
                };
                // A client that goes away ends its own thread, and nothing else.
                thread::spawn(move || shared.connection(stream));
            }
        });
        Self {
            address,
            scheme,
            shared,
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Everything that was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.log.lock().unwrap().0.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn connection(&self, stream: TcpStream) {
        let raw = stream.try_clone().unwrap();
        match &self.tls {
            None => self.serve(stream, &raw),
            Some(config) => {
                let connection = rustls::ServerConnection::new(Arc::clone(config)).unwrap();
                self.serve(rustls::StreamOwned::new(connection, stream), &raw);
            }
        }
    }

    fn serve(&self, stream: impl Read + Write, raw: &TcpStream) {
        let mut stream = BufReader::new(stream);
        while let Some(mut request) = read_request(&mut stream) {
            {
                let mut log = self.log.lock().unwrap();
                let nth = log.1.entry(request.path.clone()).or_default();
                *nth += 1;
                request.nth = *nth;
                log.0.push(request.clone());
            }
            let reply = (self.handler)(&request);
            if send(stream.get_mut(), raw, &reply).is_none() {
                let _ = raw.shutdown(std::net::Shutdown::Write);
                return;
            }
        }
    }
}

fn read_request(stream: &mut impl BufRead) -> Option<Request> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let path = lines.first()?.split(' ').nth(1)?.to_owned();
    let header = |line: &String| {
        let (name, value) = line.split_once(':')?;
        Some((name.to_ascii_lowercase(), value.trim().to_owned()))
    };
    Some(Request {
        path,
        headers: lines.iter().skip(1).filter_map(header).collect(),
        nth: 0,
    })
}

/// `None`: the line is of no more use.
fn send(stream: &mut impl Write, raw: &TcpStream, reply: &Reply) -> Option<()> {
    let wait = || {
        // Until the other side closes: nobody sends anything here meanwhile.
        let _ = raw.peek(&mut [0]);
        thread::sleep(Duration::from_millis(10));
    };
    if matches!(reply.end, End::Silence) {
        wait();
        return None;
    }
    write!(stream, "HTTP/1.1 {} Said\r\n", reply.status).ok()?;
    for (name, value) in &reply.headers {
        write!(stream, "{name}: {value}\r\n").ok()?;
    }
    if !matches!(reply.end, End::Unsized) {
        write!(stream, "Content-Length: {}\r\n", reply.body.len()).ok()?;
    }
    stream.write_all(b"\r\n").ok()?;
    let sent = match reply.end {
        End::Cut(bytes) | End::Reset(bytes) | End::Hang(bytes) => &reply.body[..bytes],
        _ => &reply.body,
    };
    if let End::Drip(pause) = reply.end {
        for byte in sent {
            stream.write_all(&[*byte]).ok()?;
            stream.flush().ok()?;
            thread::sleep(pause);
        }
        return Some(());
    }
    stream.write_all(sent).ok()?;
    stream.flush().ok()?;
    match reply.end {
        End::Whole => Some(()),
        End::Hang(_) => {
            wait();
            None
        }
        End::Reset(_) => {
            rustix::net::sockopt::set_socket_linger(raw, Some(Duration::ZERO)).unwrap();
            None
        }
        _ => None,
    }
}

/// A certificate authority made for one test, and a server certificate of it for 127.0.0.1.
pub fn private_authority(dir: &std::path::Path) -> rustls::ServerConfig {
    certified(dir, "subjectAltName=IP:127.0.0.1", 2)
}

/// The same with another certificate of the server: what it says, and how many days it is good for.
pub fn certified(dir: &std::path::Path, says: &str, days: i32) -> rustls::ServerConfig {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    std::fs::write(dir.join("ext"), says).unwrap();
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    for command in [
        format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=test-authority -days 2"),
        format!("req {key} -keyout leaf.key -out leaf.csr -subj /CN=test-server"),
        format!(
            "x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} -extfile ext -out leaf.pem"
        ),
    ] {
        let made = std::process::Command::new("openssl")
            .args(command.split_whitespace())
            .current_dir(dir)
            .output()
            .expect("openssl is needed to make a certificate authority: install it");
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "openssl {command}: {said}");
    }
    let certificates = CertificateDer::pem_file_iter(dir.join("leaf.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(dir.join("leaf.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates.map(Result::unwrap).collect(), key)
        .unwrap()
}
