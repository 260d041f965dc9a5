//! Fetching against a server that does everything wrong that servers do.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/scripted.rs"]
mod scripted;

use std::sync::Mutex;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use lockwright::core::artifact::{Artifact, Location};
use lockwright::core::digest::{Algorithm, Digest};
use lockwright::core::progress::Progress;
use lockwright::obtain::fetch::credentials::{Credential, Login};
use lockwright::obtain::fetch::document::{Answer, Library, Question};
use lockwright::obtain::fetch::{
    DownloadRequest, FetchError, FetchOptions, RetryPolicy, Summary, fetch,
};
use lockwright::obtain::store::{Blob, Claim, Store};
use scripted::{Reply, Request, Server};

/// Bytes that are different everywhere, so that a part in the wrong place is noticed.
fn body(size: usize) -> Vec<u8> {
    let mut state = 1_u32;
    std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(size)
    .collect()
}

/// A store, and everything needed to fetch into it without waiting long.
struct Fetching {
    dir: tempfile::TempDir,
    store: Store,
    options: FetchOptions,
    artifacts: Vec<(String, Artifact)>,
}

impl Fetching {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap().join("store");
        Self {
            store: Store::open(&root).unwrap(),
            dir,
            options: FetchOptions {
                retry: RetryPolicy {
                    retries: 3,
                    first_pause: Duration::from_millis(1),
                    longest: Duration::from_secs(2),
                    timeout: Duration::from_secs(20),
                    slowest: 1000,
                },
                ..FetchOptions::default()
            },
            artifacts: Vec::new(),
        }
    }

    /// Wants `NAME-1.whl` with these bytes from a server.
    fn want(mut self, server: &str, name: &str, bytes: &[u8]) -> Self {
        let file_name = format!("{name}-1.whl");
        let url = format!("{server}/{file_name}").parse().unwrap();
        self.artifacts.push((
            name.to_owned(),
            Artifact {
                file_name,
                location: Location::Url(url),
                digest: Some(Digest::of(Algorithm::Sha256, bytes)),
                size: Some(bytes.len() as u64),
            },
        ));
        self
    }

    /// Changes the last artifact.
    fn but(mut self, change: impl FnOnce(&mut Artifact)) -> Self {
        change(&mut self.artifacts.last_mut().unwrap().1);
        self
    }

    fn run(&self) -> Result<(Summary, Vec<Option<Blob>>), FetchError> {
        let wants: Vec<DownloadRequest<'_>> = self
            .artifacts
            .iter()
            .map(|(package, artifact)| DownloadRequest {
                package: package.clone(),
                artifact,
            })
            .collect();
        let blobs = Mutex::new(vec![None; wants.len()]);
        let summary = fetch(
            &self.store,
            &wants,
            &self.options,
            &Progress::hidden(),
            &|index, blob| blobs.lock().unwrap()[index] = Some(blob),
        )?;
        Ok((summary, blobs.into_inner().unwrap()))
    }

    /// Fetches the one artifact and returns its bytes.
    #[track_caller]
    fn bytes(&self) -> Vec<u8> {
        let (_, blobs) = self.run().unwrap_or_else(|error| panic!("{error}"));
        std::fs::read(&blobs[0].as_ref().unwrap().path).unwrap()
    }

    /// The error's text, with what changes from run to run taken out.
    #[track_caller]
    fn error(&self) -> String {
        let error = self.run().map(|(summary, _)| summary).unwrap_err();
        self.redact(&error.to_string())
    }

    fn redact(&self, text: &str) -> String {
        let text = text.replace(self.dir.path().to_str().unwrap(), "[DIR]");
        let mut parts = text.split("127.0.0.1:");
        let mut redacted = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            redacted.push_str("[SERVER]");
            redacted.push_str(part.trim_start_matches(|char: char| char.is_ascii_digit()));
        }
        redacted
    }

    /// Nothing is left of what was not right: neither an entry nor a part of one.
    #[track_caller]
    fn assert_nothing_kept(&self) {
        assert_eq!(self.store.entries().unwrap(), []);
        for folder in ["partial", "tmp"] {
            let folder = self.store.root().join("v1").join(folder);
            let left = folder.read_dir_utf8().map_or(0, Iterator::count);
            assert_eq!(left, 0, "{folder}");
        }
    }
}

fn ranges(server: &Server) -> Vec<Option<String>> {
    let requests = server.requests();
    requests
        .iter()
        .map(|request| request.header("range").map(str::to_owned))
        .collect()
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let bytes = body(300_000);
    let served = bytes.clone();
    let server = Server::start(move |request| {
        let reply = Reply::file(request, &served, "\"one\"");
        if request.nth < 3 {
            reply.cut(100_000)
        } else {
            reply
        }
    });
    let fetching = Fetching::new().want(&server.url(), "a", &bytes);
    assert_eq!(fetching.bytes(), bytes);
    let expected = [None, Some("bytes=100000-"), Some("bytes=200000-")];
    assert_eq!(
        ranges(&server),
        expected.map(|range| range.map(str::to_owned))
    );
    let last = &server.requests()[2];
    assert_eq!(last.header("if-range"), Some("\"one\""));
    assert_eq!(last.header("accept-encoding"), Some("identity"));
}

#[test]
fn a_reset_line_is_no_failure() {
    let bytes = body(300_000);
    let served = bytes.clone();
    let server = Server::start(move |request| {
        let reply = Reply::file(request, &served, "\"one\"");
        if request.nth == 1 {
            reply.reset(100_000)
        } else {
            reply
        }
    });
    assert_eq!(
        Fetching::new().want(&server.url(), "a", &bytes).bytes(),
        bytes
    );
}

#[test]
fn a_file_that_changed_half_way_is_fetched_from_its_beginning() {
    let (old, new) = (vec![7; 300_000], body(300_000));
    // Once by a server that knows If-Range, once by one that does not.
    for knows in [true, false] {
        let (old, served) = (old.clone(), new.clone());
        let server = Server::start(move |request| match request.nth {
            1 => Reply::file(request, &old, "\"old\"").cut(100_000),
            _ if knows => Reply::file(request, &served, "\"new\""),
            _ => {
                let mut request = request.clone();
                request.headers.remove("if-range");
                Reply::file(&request, &served, "\"new\"")
            }
        });
        let fetching = Fetching::new().want(&server.url(), "a", &new);
        assert_eq!(fetching.bytes(), new);
        assert_eq!(server.requests().len(), if knows { 2 } else { 3 });
    }
}

#[test]
fn what_another_process_left_is_gone_on_with_and_thrown_away_if_it_does_not_fit() {
    let bytes = body(100_000);
    let other = vec![7; 60_000];
    for (left, requests) in [(&bytes[..60_000], 1), (&other[..], 2)] {
        let served = bytes.clone();
        let server = Server::start(move |request| Reply::file(request, &served, "\"1\""));
        let fetching = Fetching::new().want(&server.url(), "a", &bytes);
        let digest = Digest::of(Algorithm::Sha256, &bytes);
        let Claim::Ours(mut writer) = fetching.store.resume(&digest).unwrap() else {
            panic!("nobody else is here");
        };
        writer.write(left).unwrap();
        drop(writer);
        assert_eq!(fetching.bytes(), bytes);
        assert_eq!(ranges(&server)[0].as_deref(), Some("bytes=60000-"));
        assert_eq!(server.requests().len(), requests);
    }
}

#[test]
fn a_server_without_ranges_is_asked_for_the_whole_again() {
    let bytes = body(100_000);
    let served = bytes.clone();
    let server = Server::start(move |request| {
        let reply = Reply::ok(&served[..]);
        if request.nth == 1 {
            reply.cut(50_000)
        } else {
            reply
        }
    });
    assert_eq!(
        Fetching::new().want(&server.url(), "a", &bytes).bytes(),
        bytes
    );
}

#[test]
fn refusals_that_pass_are_waited_for() {
    let bytes = body(10_000);
    for status in [429, 500, 502, 503, 504, 408] {
        let served = bytes.clone();
        let server = Server::start(move |request| match request.nth {
            1 | 2 => Reply::status(status).header("Retry-After", "0"),
            _ => Reply::file(request, &served, "\"1\""),
        });
        assert_eq!(
            Fetching::new().want(&server.url(), "a", &bytes).bytes(),
            bytes
        );
        assert_eq!(server.requests().len(), 3, "{status}");
    }
}

#[test]
fn a_server_that_is_never_ready_is_given_up() {
    let server = Server::start(|_| Reply::status(503));
    let fetching = Fetching::new().want(&server.url(), "a", b"bytes");
    insta::assert_snapshot!(fetching.error(), @r"
    a could not be fetched from http://[SERVER]/a-1.whl: the server answered 503 Service Unavailable (tried 4 times)
    hint: what has arrived is kept: the same command goes on from there, and --mirror asks another server
    ");
    assert_eq!(server.requests().len(), 4);

    let server = Server::start(|_| Reply::status(429).header("Retry-After", "3600"));
    let fetching = Fetching::new().want(&server.url(), "a", b"bytes");
    insta::assert_snapshot!(fetching.error(), @"a could not be fetched from http://[SERVER]/a-1.whl: the server answered 429 Too Many Requests and asks to come back in 3600 seconds");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_server_that_falls_silent_is_asked_again() {
    let bytes = body(100_000);
    let served = bytes.clone();
    let server = Server::start(move |request| match request.nth {
        1 => Reply::silence(),
        2 => Reply::file(request, &served, "\"1\"").hang(50_000),
        _ => Reply::file(request, &served, "\"1\""),
    });
    let mut fetching = Fetching::new().want(&server.url(), "a", &bytes);
    fetching.options.retry.timeout = Duration::from_millis(300);
    assert_eq!(fetching.bytes(), bytes);
    assert_eq!(ranges(&server)[2].as_deref(), Some("bytes=50000-"));
}

#[test]
fn a_trickle_is_given_up_where_it_may_not_be_one() {
    let bytes = body(1000);
    let served = bytes.clone();
    let slowly = Duration::from_millis(20);
    let server = Server::start(move |request| Reply::file(request, &served, "\"1\"").drip(slowly));
    let mut fetching = Fetching::new().want(&server.url(), "a", &bytes);
    fetching.options.retry.timeout = Duration::from_millis(300);
    fetching.options.retry.retries = 1;
    let start = std::time::Instant::now();
    let error = fetching.error();
    let why = "bytes a second came, fewer than --speed-limit 1000 asks for";
    assert!(error.contains(why), "{error}");
    assert!(start.elapsed() < Duration::from_secs(15), "{error}");

    let few = bytes[..30].to_vec();
    let served = few.clone();
    let server = Server::start(move |request| Reply::file(request, &served, "\"1\"").drip(slowly));
    let mut fetching = Fetching::new().want(&server.url(), "b", &few);
    fetching.options.retry.timeout = Duration::from_millis(300);
    fetching.options.retry.slowest = 0;
    assert_eq!(fetching.bytes(), few);
}

#[test]
fn no_redirect_leads_round_in_circles_or_off_the_network() {
    for target in [
        "/a-1.whl",
        "file:///etc/passwd",
        "gopher://h/",
        "data:,x",
        "http://[/",
        "",
    ] {
        let server = Server::start(move |_| Reply::status(302).header("Location", target));
        let fetching = Fetching::new().want(&server.url(), "a", b"right");
        let error = fetching.error();
        assert!(
            error.contains("a could not be fetched"),
            "{target}: {error}"
        );
        assert!(server.requests().len() < 30, "{target}: {error}");
        fetching.assert_nothing_kept();
    }
}

#[test]
fn absurd_headers_end_in_a_sentence() {
    for (name, value) in [
        ("Retry-After", "99999999999999999999999".to_owned()),
        ("Retry-After", "-1".to_owned()),
        ("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT".to_owned()),
        ("X-Flood", "x".repeat(2 << 20)),
    ] {
        let (long, sent) = (value.len() > 1000, value.clone());
        let server = Server::start(move |_| Reply::status(503).header(name, &sent));
        let mut fetching = Fetching::new().want(&server.url(), "a", b"right");
        fetching.options.retry.retries = 1;
        let error = fetching.error();
        assert!(error.contains("a could not be fetched"), "{name}: {error}");
        assert!(error.len() < 1000, "{name}: {}", error.len());
        assert!(long || error.contains("503"), "{name}: {error}");
        fetching.assert_nothing_kept();
    }
}

#[test]
fn nothing_is_kept_of_wrong_bytes() {
    let server = Server::start(|_| Reply::ok("other bytes"));
    let fetching = Fetching::new().want(&server.url(), "a", b"right bytes");
    insta::assert_snapshot!(fetching.error(), @r"
    a could not be fetched from http://[SERVER]/a-1.whl: its bytes are not what the lock names: expected sha256:c8d6e6a1caed1d3a40e6ab76f42b6a07a23fd496276769a3b4a2c449e5416e26, got sha256:a3ead5eedad5df82318c51685dbc1c147a36d1ff8584fc82de6b08d0bf63a795 (11 bytes); nothing was kept
    hint: what is served is not what was locked: do not trust it before you know why
    ");
    fetching.assert_nothing_kept();
}

#[test]
fn a_length_other_than_the_lock_s_is_refused() {
    let bytes = body(1000);
    let short = bytes[..900].to_vec();
    let server = Server::start(move |_| Reply::ok(&short[..]));
    let fetching = Fetching::new().want(&server.url(), "a", &bytes);
    insta::assert_snapshot!(fetching.error(), @r"
    a could not be fetched from http://[SERVER]/a-1.whl: it has 900 bytes, and the lock says 1000; nothing was kept
    hint: what is served is not what was locked: do not trust it before you know why
    ");
    fetching.assert_nothing_kept();
    // Where the lock gives no size, the digest tells.
    let fetching = fetching.but(|artifact| artifact.size = None);
    assert!(fetching.error().contains("(900 bytes)"));
    fetching.assert_nothing_kept();

    // More than was locked is not even taken in, if the server does not say how much there is.
    let server = Server::start(|_| Reply::ok(body(2_000_000)).without_length());
    let fetching = Fetching::new().want(&server.url(), "a", &bytes);
    insta::assert_snapshot!(fetching.error(), @r"
    a could not be fetched from http://[SERVER]/a-1.whl: it has more bytes, and the lock says 1000; nothing was kept
    hint: what is served is not what was locked: do not trust it before you know why
    ");
    fetching.assert_nothing_kept();
}

#[test]
fn what_a_server_calls_encoded_is_taken_as_it_is() {
    let bytes = body(1000);
    let served = bytes.clone();
    let server = Server::start(move |_| Reply::ok(&served[..]).header("Content-Encoding", "gzip"));
    assert_eq!(
        Fetching::new().want(&server.url(), "a", &bytes).bytes(),
        bytes
    );
    let fetching = Fetching::new().want(&server.url(), "a", &body(999));
    let error = fetching.but(|artifact| artifact.size = None).error();
    assert!(
        error.contains("(1000 bytes, sent with Content-Encoding: gzip)"),
        "{error}"
    );
}

#[test]
fn a_login_is_not_carried_to_another_host() {
    let bytes = body(1000);
    let served = bytes.clone();
    let other = Server::start(move |_| Reply::ok(&served[..]));
    let target = format!("{}/signed?token=x", other.url());
    let server = Server::start(move |request| match request.path.as_str() {
        "/a-1.whl" => Reply::status(302).header("Location", "/b"),
        _ => Reply::status(302).header("Location", &target),
    });
    let url = server.url().replace("http://", "http://me:secret@");
    let fetching = Fetching::new().want(&url, "a", &bytes);
    assert_eq!(fetching.bytes(), bytes);
    let login = Some("Basic bWU6c2VjcmV0");
    let shown = |server: &Server| -> Vec<Option<String>> {
        let header = |request: &Request| request.header("authorization").map(str::to_owned);
        server.requests().iter().map(header).collect()
    };
    assert_eq!(
        shown(&server),
        [login, login].map(|login| login.map(str::to_owned))
    );
    assert_eq!(shown(&other), [None]);
    assert_eq!(other.requests()[0].header("referer"), None);
    let origin = fetching.store.entries().unwrap().remove(0).origin.unwrap();
    assert!(!origin.source.contains("secret"), "{}", origin.source);
}

#[test]
fn credentials_are_shown_to_those_they_are_for() {
    let bytes = body(1000);
    for (credential, expected) in [
        (
            Credential::Basic(Login {
                user: "me".into(),
                password: Some("secret".into()),
            }),
            "Basic bWU6c2VjcmV0",
        ),
        (Credential::Bearer("npm_token".into()), "Bearer npm_token"),
    ] {
        let served = bytes.clone();
        let server = Server::start(move |request| match request.header("authorization") {
            Some(shown) if shown == expected => Reply::ok(&served[..]),
            _ => Reply::status(401),
        });
        let mut fetching = Fetching::new().want(&server.url(), "a", &bytes);
        insta::allow_duplicates! {
            insta::assert_snapshot!(fetching.error(), @r"
            a could not be fetched from http://[SERVER]/a-1.whl: the server answered 401 Unauthorized
            hint: give a login in a netrc file, in the URL, for Python's packages in UV_INDEX_<NAME>_USERNAME and _PASSWORD, for npm's in .npmrc
            ");
        }
        let prefix = server.url().parse().unwrap();
        fetching.options.credentials.add(&prefix, credential);
        assert_eq!(fetching.bytes(), bytes);
    }
}

#[test]
fn everything_that_fails_is_told_at_once_and_the_rest_is_kept() {
    let good = body(1000);
    let server = Server::of([("/good-1.whl".to_owned(), good.clone())]);
    let fetching = Fetching::new()
        .want(&server.url(), "gone", b"1")
        .want(&server.url(), "good", &good)
        .want(&server.url(), "also-gone", b"2");
    insta::assert_snapshot!(fetching.error(), @r"
    2 artifacts could not be fetched:
      also-gone from http://[SERVER]/also-gone-1.whl: the server answered 404 Not Found
      gone from http://[SERVER]/gone-1.whl: the server answered 404 Not Found
    hint: the lock names it, so the index has dropped it or a mirror lacks it: try another --mirror, or lock again
    ");
    assert_eq!(fetching.store.entries().unwrap().len(), 1);
}

#[test]
fn a_reserved_name_asks_for_a_mirror() {
    let fetching = Fetching::new().want("https://files.pypi.example/p", "a", b"bytes");
    let error = fetching.error();
    let hint = error.lines().last().unwrap();
    insta::assert_snapshot!(hint, @"hint: `files.pypi.example` is a reserved name that no server has: name the real one with `--mirror https://files.pypi.example/=URL`");
}

#[test]
fn a_server_that_is_not_there_ends_the_run_and_what_arrived_stays() {
    let unused = Server::of([]).url();
    let mut fetching = Fetching::new();
    fetching.options.concurrency = 1;
    for index in 0..3 {
        fetching = fetching.want(&unused, &format!("p{index}"), &[index]);
    }
    let error = fetching.error();
    assert!(
        error.contains("(2 artifacts are not tried any more)"),
        "{error}"
    );
    assert!(error.contains("(tried 4 times)"), "{error}");
}

#[test]
fn what_is_wanted_twice_is_fetched_once_and_then_never_again() {
    let bytes = body(1000);
    let server = Server::of([("/a-1.whl".to_owned(), bytes.clone())]);
    let fetching =
        Fetching::new()
            .want(&server.url(), "a", &bytes)
            .want(&server.url(), "a", &bytes);
    let (summary, blobs) = fetching.run().unwrap();
    assert_eq!((summary.from_network, summary.bytes), (2, 1000));
    assert!(blobs.iter().all(Option::is_some));
    let (summary, _) = fetching.run().unwrap();
    assert_eq!((summary.from_store, summary.from_network), (2, 0));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_folder_serves_before_the_network_what_has_the_right_digest() {
    let (right, other) = (body(1000), body(900));
    let server = Server::of([
        ("/a-1.whl".to_owned(), right.clone()),
        ("/b-1.whl".to_owned(), other.clone()),
    ]);
    let mut fetching =
        Fetching::new()
            .want(&server.url(), "a", &right)
            .want(&server.url(), "b", &other);
    let folder = Utf8PathBuf::try_from(fetching.dir.path().join("links")).unwrap();
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("a-1.whl"), &right).unwrap();
    std::fs::write(folder.join("b-1.whl"), b"not it").unwrap();
    fetching.options.find_links = vec![folder.clone()];

    fetching.options.offline = true;
    let error = fetching.error();
    assert!(
        error.contains("[DIR]/links/b-1.whl` has another digest"),
        "{error}"
    );
    assert_eq!(server.requests().len(), 0);

    fetching.options.offline = false;
    let (summary, _) = fetching.run().unwrap();
    assert_eq!((summary.from_store, summary.from_network), (1, 1));

    fetching.options.find_links = vec![folder.join("nowhere")];
    insta::assert_snapshot!(fetching.error(), @"the folder `[DIR]/links/nowhere` of --find-links cannot be read");
}

#[test]
fn files_of_this_machine_are_verified_too() {
    let fetching = Fetching::new();
    let file = Utf8PathBuf::try_from(fetching.dir.path().join("a-1.whl")).unwrap();
    let fetching = fetching
        .want("https://files.pypi.example", "a", b"bytes")
        .but(|artifact| artifact.location = Location::Path(file.clone()));
    insta::assert_snapshot!(fetching.error(), @"a could not be fetched from [DIR]/a-1.whl: there is no such file");
    std::fs::write(&file, b"other").unwrap();
    assert!(
        fetching
            .error()
            .contains("its bytes are not what the lock names")
    );
    std::fs::write(&file, b"bytes").unwrap();
    assert_eq!(fetching.run().unwrap().0.from_disk, 1);

    // And so is a mirror that is a folder.
    let mut mirrored = Fetching::new().want("https://files.pypi.example", "a", b"bytes");
    let mirror = format!(
        "https://files.pypi.example/={}",
        fetching.dir.path().display()
    );
    mirrored.options.mirrors =
        lockwright::obtain::fetch::mirrors::Mirrors::new([mirror.parse().unwrap()]);
    mirrored.options.offline = true;
    assert_eq!(mirrored.bytes(), b"bytes");
}

#[test]
fn what_cannot_be_verified_must_be_allowed() {
    let server = Server::of([("/a-1.whl".to_owned(), b"bytes".to_vec())]);
    let mut fetching = Fetching::new()
        .want(&server.url(), "a_B", b"bytes")
        .but(|artifact| {
            artifact.digest = None;
            artifact.file_name = "a-1.whl".to_owned();
        });
    insta::assert_snapshot!(fetching.error(), @r"
    one artifact cannot be verified, since the lock gives no digest: a-1.whl (a_B)
    hint: `lockwright complete LOCK` asks the index for what the lock lacks and writes it there, and --allow-unhashed a_B takes whatever comes
    ");
    fetching.options.allow_unhashed.insert("A.b".to_owned());
    let Location::Url(url) = &mut fetching.artifacts[0].1.location else {
        panic!("it is a URL");
    };
    url.set_path("/a-1.whl");
    assert_eq!(fetching.bytes(), b"bytes");

    let mut fetching = Fetching::new()
        .want(&server.url(), "a", b"bytes")
        .but(|artifact| artifact.digest = Some(Digest::of(Algorithm::Sha1, b"bytes")));
    insta::assert_snapshot!(fetching.error(), @r"
    one artifact cannot be verified, since the lock gives only a digest that can be forged:
      a-1.whl (a): sha1 alone
    hint: lock again with a registry that gives sha256 or sha512, or allow it with --allow-weak-integrity
    ");
    fetching.options.allow_weak = true;
    assert_eq!(fetching.bytes(), b"bytes");
}

#[test]
fn twenty_resets_are_no_failure_as_long_as_more_arrives() {
    let bytes = body(2_000_000);
    let served = bytes.clone();
    let server = Server::start(move |request| {
        let reply = Reply::file(request, &served, "\"one\"");
        match request.nth {
            1..=20 => reply.reset(90_000),
            _ => reply,
        }
    });
    let fetching = Fetching::new().want(&server.url(), "a", &bytes);
    assert_eq!(fetching.bytes(), bytes);
    assert_eq!(server.requests().len(), 21);
}

#[test]
fn bytes_that_come_again_and_again_are_no_progress() {
    let bytes = body(400_000);
    // Without a digest, each try is a new one; with one, and without ranges, now more arrives and now less.
    for has_digest in [false, true] {
        let served = bytes.clone();
        let server = Server::start(move |request| {
            let much = if request.nth % 2 == 0 {
                300_000
            } else {
                100_000
            };
            Reply::ok(&served[..]).cut(much)
        });
        let mut fetching = Fetching::new().want(&server.url(), "a", &bytes);
        if !has_digest {
            fetching = fetching.but(|artifact| artifact.digest = None);
            fetching.options.allow_unhashed = ["a".to_owned()].into();
        }
        let error = fetching.error();
        assert!(error.contains("a could not be fetched"), "{error}");
        assert!(server.requests().len() < 10, "{has_digest}: {error}");
    }
}

#[test]
fn a_part_that_nobody_asked_for_is_not_asked_for_for_ever() {
    let server = Server::start(|_| {
        let reply = Reply::status(206);
        reply.header("Content-Range", "bytes 5-9/10")
    });
    let fetching = Fetching::new().want(&server.url(), "a", b"right");
    let error = fetching.error();
    assert!(
        error.contains(
            "the server answered with a part of the file, although it was asked for all of it (tried 4 times)"
        ),
        "{error}"
    );
    assert_eq!(server.requests().len(), 4);
    fetching.assert_nothing_kept();
}

#[test]
fn what_an_index_says_a_byte_at_a_time_is_given_up() {
    let server = Server::start(|_| Reply::ok("{}".repeat(500)).drip(Duration::from_millis(20)));
    let mut options = Fetching::new().options;
    options.retry.timeout = Duration::from_millis(300);
    options.retry.retries = 1;
    let library = Library {
        options: &options,
        snapshot: None,
    };
    let url = format!("{}/simple/a/", server.url()).parse().unwrap();
    let start = std::time::Instant::now();
    let answers = library.ask(&[Question::of(url, "*/*")], &Progress::hidden());
    let [Answer::Failed(why)] = &answers.unwrap()[..] else {
        panic!("it is not taken");
    };
    assert!(why.contains("fewer than --speed-limit 1000"), "{why}");
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(server.requests().len(), 2);
}
