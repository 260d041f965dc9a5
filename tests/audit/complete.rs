//! `lockwright complete`: what a lock lacks, had from its index.

use super::*;

/// A text without some of the places where one part stands: up to another, which stays.
fn without(text: &str, from: &str, to: &str, is_lost: impl Fn(usize) -> bool) -> String {
    let mut parts = text.split(from);
    let mut done = parts.next().unwrap().to_owned();
    for (number, part) in parts.enumerate() {
        match part.split_once(to).filter(|_| is_lost(number)) {
            Some((_, rest)) => done.push_str(&format!("{to}{rest}")),
            None => done.push_str(&format!("{from}{part}")),
        }
    }
    done
}

/// `lockwright complete`: what uv wrote comes back to the byte, and with it what the index told nobody then.
#[test]
fn what_a_uv_lock_lacks_is_had_from_its_index() {
    let temp = Temp::new();
    let text = std::fs::read_to_string(common::fixture("forks").join("uv.lock")).unwrap();
    let lost = without(&text, ", hash = ", ", upload", |number| number % 3 == 1);
    assert_ne!(lost, text);
    let lock = temp.write("forks/uv.lock", &lost);
    let complete = || {
        let mut complete = common::lockwright(&temp);
        complete
            .args(["complete", lock.as_str()])
            .args(common::mirrors())
            .run()
    };
    let said = complete().ok().stderr;
    assert!(
        said.contains("added `hash` of ") && said.contains(" and `size` of "),
        "{said}"
    );
    let done = std::fs::read_to_string(&lock).unwrap();
    let sizes = done.matches(", size = ").count();
    assert_eq!(sizes, text.matches("hash = ").count());
    let unsized_text = done
        .split(", size = ")
        .map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
    assert_eq!(unsized_text.collect::<String>(), text);
    let again = complete().ok().stderr;
    assert!(again.contains("lacks nothing"), "{again}");
}

#[test]
fn what_an_index_does_not_say_is_told_and_what_it_says_otherwise_is_refused() {
    let temp = Temp::new();
    let server = Server::new();
    let mirror = format!("https://pypi.example/={}", server.url("/"));
    for name in ["whole", "bare", "other"] {
        page(&server, name, &[wheel(name)], &[]);
    }
    let bare = with(wheel("bare"), "hashes", json!({}));
    page(&server, "bare", &[with(bare, "size", Value::Null)], &[]);
    let all = ["whole", "bare", "gone"]
        .map(|name| entry(name, ""))
        .concat();
    let whole = format!("{HEAD}{all}");
    let lost = without(&whole, ", hash = ", ", upload", |_| true);
    let lock = temp.write("uv.lock", &lost);
    let complete = |args: &[&str]| {
        common::lockwright(&temp)
            .args([
                "complete",
                lock.as_str(),
                "--mirror",
                &mirror,
                "--retries",
                "0",
            ])
            .args(args)
            .run()
    };
    let said = complete(&["--json"]).exit(1);
    assert_eq!(
        said.json()["added"][0]["fields"],
        json!(["hash", "size"]),
        "{said}"
    );
    let left = said.json()["left"].to_string();
    for why in [
        "does not say its hash",
        "does not say its size",
        "does not know it",
    ] {
        assert!(left.contains(why), "{left}");
    }
    let done = std::fs::read_to_string(&lock).unwrap();
    let expected = format!("{HEAD}{}", entry("whole", ""));
    assert!(done.starts_with(&expected), "{done}");
    // A lock may not say one thing and its index another.
    let lie = entry("other", "").replace(&sha("other-1.0-py3-none-any.whl"), &sha("x"));
    let lie = lie.replace(
        &format!(", size = {}", "other-1.0-py3-none-any.whl".len()),
        "",
    );
    let lie = temp.write("uv.lock", format!("{HEAD}{lie}"));
    let before = std::fs::read_to_string(&lie).unwrap();
    let said = complete(&[]).exit(1).stderr;
    assert!(
        said.contains("other digests than the index does: other-1.0"),
        "{said}"
    );
    assert_eq!(std::fs::read_to_string(&lie).unwrap(), before);
    let said = complete(&["--registry", "https://x.example/"])
        .exit(1)
        .stderr;
    assert!(
        said.contains("--registry is for a package-lock.json"),
        "{said}"
    );
}
