//! A server on loopback that makes a wheel for any name it is asked for, and notes the name.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Cursor, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;

pub struct Server {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    asked: Arc<Mutex<BTreeSet<String>>>,
}

impl Server {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked: Arc<Mutex<BTreeSet<String>>> = Arc::default();
        let noted = Arc::clone(&asked);
        // The thread ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || answer(&stream, &noted));
            }
        });
        Self { url, asked }
    }

    pub fn forget(&self) {
        self.asked.lock().unwrap().clear();
    }

    pub fn asked(&self) -> BTreeSet<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The entry of a file in a lock.
    pub fn entry(&self, name: &str) -> String {
        let digest = Sha256::digest(content(name));
        let hex = digest.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        let name = name.replace('+', "%2B");
        format!(
            "{{ url = \"{}/{name}\", hash = \"sha256:{hex}\" }}",
            self.url
        )
    }

    /// A lock whose sdists and wheels are this server's. uv writes each on a line of its own.
    pub fn rewrite(&self, lock: &str) -> String {
        lock.lines()
            .map(|line| {
                let start = line.find("{ url = \"");
                let is_file = line.starts_with("sdist = {") || line.starts_with("    {");
                let Some(at) = start.filter(|_| is_file && line.contains("hash = ")) else {
                    return format!("{line}\n");
                };
                let url = line[at + 9..].split('"').next().unwrap();
                let name = percent_decode_str(url.rsplit('/').next().unwrap())
                    .decode_utf8()
                    .unwrap();
                let end = line.rfind('}').unwrap();
                format!("{}{}{}\n", &line[..at], self.entry(&name), &line[end + 1..])
            })
            .collect()
    }
}

fn answer(stream: &TcpStream, noted: &Mutex<BTreeSet<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request).ok()?;
    let mut line = String::new();
    while reader.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    let path = request.split(' ').nth(1)?;
    let name = percent_decode_str(path.rsplit('/').next()?)
        .decode_utf8()
        .ok()?;
    noted.lock().unwrap().insert(name.to_string());
    let body = content(&name);
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(&body).ok()
}

/// The bytes of a file, by its name alone.
fn content(name: &str) -> Vec<u8> {
    let Some(stem) = name.strip_suffix(".whl") else {
        return name.as_bytes().to_vec();
    };
    let mut parts = stem.split('-');
    let (package, version) = (parts.next().unwrap(), parts.next().unwrap());
    let info = format!("{package}-{version}.dist-info");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (member, text) in [
        (
            "METADATA",
            format!("Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"),
        ),
        (
            "WHEEL",
            String::from("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"),
        ),
        (
            "RECORD",
            format!("{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"),
        ),
    ] {
        let options =
            SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
        zip.start_file(format!("{info}/{member}"), options).unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
