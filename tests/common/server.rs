//! A static HTTP/1.1 server on loopback that can be told to misbehave.
//!
//! It serves a folder or bytes given one by one, or by PUT, keeps connections open, and knows ranges, `If-Range`, ETags and basic
//! authentication. Faults are queued for a path and used up one a request, so that a test says exactly which attempt
//! fails, and how:
//!
//! ```ignore
//! let server = Server::of_dir(&wheels);
//! server.fault("/a.whl", Fault::Status(429, vec![("Retry-After", "1".into())]));
//! server.fault("/a.whl", Fault::ResetAfter(100));
//! // The third request for /a.whl is answered.
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use data_encoding::BASE64;

/// How one answer goes wrong.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This status with these headers and an empty body: 429 with Retry-After, 503, 404.
    Status(u16, Vec<(&'static str, String)>),
    /// The whole head, this many bytes of the body, then a TCP reset.
    ResetAfter(usize),
    /// The whole head with the right length, this many bytes of the body, then an orderly close.
    TruncateAfter(usize),
    /// 302 to this URL.
    Redirect(String),
    /// 200 with the whole body although a range was asked for.
    IgnoreRange,
    /// This body in place of the right one, with a right length.
    Body(Vec<u8>),
    /// The right answer, after this long.
    Delay(Duration),
    /// The connection is closed before a byte is answered.
    Drop,
}

/// One request that came in.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// What came with it.
    pub body: Vec<u8>,
    /// The answer's status; 0 where none was sent.
    pub status: u16,
}

#[derive(Default)]
struct State {
    dir: Option<Utf8PathBuf>,
    files: BTreeMap<String, Vec<u8>>,
    etags: BTreeMap<String, String>,
    faults: BTreeMap<String, VecDeque<Fault>>,
    /// `Basic …`, when each request must carry it.
    credentials: Option<String>,
    without_ranges: bool,
    requests: Vec<Request>,
    connections: usize,
}

/// The server; it ends with the test's process.
#[derive(Clone)]
pub struct Server {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// An empty one: give it files with [`Server::put`].
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("it has an address");
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                lock(&state).connections += 1;
                // A client that goes away in the middle is its own business.
                thread::spawn(move || drop(serve(stream, &state)));
            }
        });
        Self { address, state }
    }

    /// One that serves the files below a folder.
    pub fn of_dir(dir: &Utf8Path) -> Self {
        let server = Self::new();
        lock(&server.state).dir = Some(dir.to_owned());
        server
    }

    /// The URL of a path, which begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The same, with a user and a password in it.
    pub fn url_with_credentials(&self, user: &str, password: &str, path: &str) -> String {
        format!("http://{user}:{password}@{}{path}", self.address)
    }

    /// `127.0.0.1`
    pub fn host(&self) -> String {
        self.address.ip().to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Serves these bytes at this path from now on, before the folder's. Their ETag changes with them.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        lock(&self.state)
            .files
            .insert(path.to_owned(), bytes.into());
    }

    /// Sets the ETag of a path, which otherwise is a checksum of the bytes.
    pub fn set_etag(&self, path: &str, etag: &str) {
        lock(&self.state)
            .etags
            .insert(path.to_owned(), etag.to_owned());
    }

    /// Queues a fault for the next request of this path that has none yet.
    pub fn fault(&self, path: &str, fault: Fault) {
        lock(&self.state)
            .faults
            .entry(path.to_owned())
            .or_default()
            .push_back(fault);
    }

    /// Answers 401 to every request without these credentials.
    pub fn require_auth(&self, user: &str, password: &str) {
        let encoded = BASE64.encode(format!("{user}:{password}").as_bytes());
        lock(&self.state).credentials = Some(format!("Basic {encoded}"));
    }

    /// Answers every request with the whole body, and does not offer ranges.
    pub fn without_ranges(&self) {
        lock(&self.state).without_ranges = true;
    }

    /// All requests so far, in the order in which they were answered.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.state).requests.clone()
    }

    /// The requests for one path.
    pub fn requests_of(&self, path: &str) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(|request| request.path == path)
            .collect()
    }

    /// How many connections were opened.
    pub fn connections(&self) -> usize {
        lock(&self.state).connections
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Answers one connection's requests until either side closes it.
fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(mut request) = read_request(&mut reader)? {
        let path = request
            .path
            .split('?')
            .next()
            .unwrap_or_default()
            .to_owned();
        let (answer, fault) = {
            let mut state = lock(state);
            let fault = state.faults.get_mut(&path).and_then(VecDeque::pop_front);
            let answer = match (request.method.as_str(), &fault) {
                ("PUT", None) => {
                    let body = std::mem::take(&mut request.body);
                    state.files.insert(path.clone(), body);
                    Answer::empty(201, Vec::new())
                }
                _ => answer(&state, &request, &path, fault.as_ref()),
            };
            request.status = if matches!(fault, Some(Fault::Drop)) {
                0
            } else {
                answer.status
            };
            state.requests.push(request.clone());
            (answer, fault)
        };
        if let Some(Fault::Delay(time)) = fault {
            thread::sleep(time);
        }
        let end = match fault {
            Some(Fault::Drop) => return Ok(()),
            Some(Fault::ResetAfter(bytes) | Fault::TruncateAfter(bytes)) => bytes,
            _ => usize::MAX,
        };
        stream.write_all(answer.head().as_bytes())?;
        if request.method != "HEAD" {
            stream.write_all(&answer.body[..answer.body.len().min(end)])?;
        }
        stream.flush()?;
        match fault {
            Some(Fault::ResetAfter(_)) => {
                // What was sent has to arrive first, or the reset overtakes it.
                thread::sleep(Duration::from_millis(50));
                rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
                return Ok(());
            }
            Some(Fault::TruncateAfter(_)) => return stream.shutdown(std::net::Shutdown::Both),
            _ => {}
        }
    }
    Ok(())
}

fn read_request(reader: &mut BufReader<TcpStream>) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|v| v.parse().ok())
        .unwrap_or(0);
    let mut body = Vec::new();
    reader.by_ref().take(length).read_to_end(&mut body)?;
    Ok(Some(Request {
        method,
        path,
        headers,
        body,
        status: 0,
    }))
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn empty(status: u16, headers: Vec<(&'static str, String)>) -> Self {
        Self {
            status,
            headers,
            body: Vec::new(),
        }
    }

    fn head(&self) -> String {
        use std::fmt::Write as _;
        let mut head = format!(
            "HTTP/1.1 {} -\r\nContent-Length: {}\r\n",
            self.status,
            self.body.len()
        );
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").expect("a string takes all");
        }
        head + "\r\n"
    }
}

fn answer(state: &State, request: &Request, path: &str, fault: Option<&Fault>) -> Answer {
    match fault {
        Some(Fault::Status(status, headers)) => return Answer::empty(*status, headers.clone()),
        Some(Fault::Redirect(to)) => return Answer::empty(302, vec![("Location", to.clone())]),
        _ => {}
    }
    if let Some(wanted) = &state.credentials
        && request.headers.get("authorization") != Some(wanted)
    {
        return Answer::empty(
            401,
            vec![("WWW-Authenticate", "Basic realm=\"test\"".to_owned())],
        );
    }
    let body = match fault {
        Some(Fault::Body(body)) => Some(body.clone()),
        _ => state
            .files
            .get(path)
            .cloned()
            .or_else(|| read_below(state.dir.as_deref()?, path)),
    };
    let Some(body) = body else {
        return Answer::empty(404, Vec::new());
    };

    let etag = state
        .etags
        .get(path)
        .cloned()
        .unwrap_or_else(|| checksum(&body));
    let mut headers = vec![("ETag", etag.clone())];
    if path.ends_with('/') {
        headers.push(("Content-Type", "text/html".to_owned()));
    }
    if state.without_ranges {
        return Answer {
            status: 200,
            headers,
            body,
        };
    }
    headers.push(("Accept-Ranges", "bytes".to_owned()));
    let unchanged = request
        .headers
        .get("if-range")
        .is_none_or(|wanted| *wanted == etag);
    let range = request.headers.get("range").filter(|_| unchanged);
    match range.and_then(|range| parse_range(range, body.len())) {
        Some(_) if matches!(fault, Some(Fault::IgnoreRange)) => Answer {
            status: 200,
            headers,
            body,
        },
        None => Answer {
            status: 200,
            headers,
            body,
        },
        Some((start, end)) if start < end => {
            headers.push((
                "Content-Range",
                format!("bytes {start}-{}/{}", end - 1, body.len()),
            ));
            Answer {
                status: 206,
                headers,
                body: body[start..end].to_vec(),
            }
        }
        Some(_) => Answer::empty(
            416,
            vec![("Content-Range", format!("bytes */{}", body.len()))],
        ),
    }
}

/// A file below the folder; none for a path that leads out of it.
fn read_below(dir: &Utf8Path, path: &str) -> Option<Vec<u8>> {
    let path = percent_encoding::percent_decode_str(path)
        .decode_utf8()
        .ok()?;
    let inside = path.split('/').all(|part| part != "..");
    inside.then(|| fs::read(dir.join(path.trim_start_matches('/'))).ok())?
}

/// `bytes=A-B`, `bytes=A-` or `bytes=-N` as a half-open range; none where it is of another form.
fn parse_range(range: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        return Some((length.saturating_sub(last.parse().ok()?), length));
    }
    let end = if last.is_empty() {
        length
    } else {
        last.parse::<usize>().ok()?.saturating_add(1)
    };
    Some((first.parse().ok()?, end.min(length)))
}

/// FNV-1a, quoted as an ETag is.
fn checksum(bytes: &[u8]) -> String {
    let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("\"{hash:016x}\"")
}
