//! Locks of npm's and of other tools, checked against a registry.

use super::*;

/// A registry's document of a package in one version, and its key.
fn packument(name: &str, key: &EcdsaKeyPair, more: &[(&str, Value)]) -> (Value, String) {
    let digest = Digest::of(Algorithm::Sha512, name.as_bytes()).sri();
    let random = ring::rand::SystemRandom::new();
    let said = format!("{name}@1.0.0:{digest}");
    let signature = key.sign(&random, said.as_bytes()).unwrap();
    let signature = json!({"keyid": "SHA256:k", "sig": BASE64.encode(signature.as_ref())});
    let mut version = json!({"dist": {
        "tarball": format!("https://registry.npm.example/{name}/-/{name}-1.0.0.tgz"),
        "integrity": digest, "signatures": [signature],
    }});
    for (pointer, value) in more {
        match version.pointer_mut(pointer) {
            Some(place) => *place = value.clone(),
            None => version[pointer.trim_start_matches('/')] = value.clone(),
        }
    }
    let time = json!({"1.0.0": "2026-11-29T00:00:00.000Z"});
    (
        json!({"name": name, "versions": {"1.0.0": version}, "time": time}),
        digest,
    )
}

#[test]
fn a_lock_of_npm_s_is_held_against_its_registry_and_signatures_are_verified() {
    let temp = Temp::new();
    let server = Server::new();
    let random = ring::rand::SystemRandom::new();
    let key = || {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap()
    };
    let (own, other) = (key(), key());
    let header = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let mut spki = data_encoding::HEXLOWER.decode(header.as_bytes()).unwrap();
    spki.extend_from_slice(own.public_key().as_ref());
    let keys =
        json!({"keys": [{"keyid": "SHA256:k", "key": BASE64.encode(&spki), "expires": null}]});
    server.put("/-/npm/v1/keys", keys.to_string());
    let mut entries = vec![(
        String::new(),
        json!({"dependencies": {"honest": "^1", "missing": "^2"}}),
    )];
    let mut put = |name: &str, key: &EcdsaKeyPair, more: &[(&str, Value)]| {
        let (document, digest) = packument(name, key, more);
        server.put(&format!("/{name}"), document.to_string());
        let resolved = format!("https://registry.npm.example/{name}/-/{name}-1.0.0.tgz");
        let entry = json!({"version": "1.0.0", "resolved": resolved, "integrity": digest});
        entries.push((format!("node_modules/{name}"), entry));
    };
    put("honest", &own, &[]);
    put("forged", &other, &[]);
    put("unsigned", &own, &[("/dist/signatures", json!([]))]);
    let digest = Digest::of(Algorithm::Sha512, b"other").sri();
    put("digest", &own, &[("/dist/integrity", json!(digest))]);
    put("hooked", &own, &[("/hasInstallScript", json!(true))]);
    put("dropped", &own, &[("/deprecated", json!("use honest"))]);
    let gone = json!({"version": "3.0.0", "integrity": digest,
        "resolved": "https://registry.npm.example/honest/-/honest-3.0.0.tgz"});
    entries.push(("node_modules/x/node_modules/honest".into(), gone));
    let packages: serde_json::Map<String, Value> = entries.into_iter().collect();
    let lock = temp.write(
        "package-lock.json",
        json!({"lockfileVersion": 3, "packages": packages}).to_string(),
    );
    temp.write(
        "package.json",
        json!({"dependencies": {"honest": "^1", "missing": "^3"}}).to_string(),
    );
    let mirror = format!("https://registry.npm.example/={}", server.url("/"));
    let ran = audit(&temp, &lock, &["--json", "--mirror", &mirror]).exit(1);
    let mut seen = found(&ran);
    seen.sort();
    // What is signed for other bytes is of the digest's forger, too.
    let mut expected = [
        "alarm unfit -",
        "alarm signature forged 1.0.0",
        "alarm signature digest 1.0.0",
        "alarm digest-changed digest 1.0.0",
        "alarm install-script hooked 1.0.0",
        "alarm not-on-index honest 3.0.0",
        "warning signature unsigned 1.0.0",
        "warning deprecated dropped 1.0.0",
    ]
    .map(str::to_owned);
    expected.sort();
    assert_eq!(seen, expected, "{ran}");
    assert_eq!(ran.json()["summary"]["signed"], 3, "{ran}");
    // Ages are the registry's, which has the long document for that.
    let young = audit(
        &temp,
        &lock,
        &["--json", "--mirror", &mirror, "--min-age", "3d"],
    )
    .exit(1);
    assert!(
        found(&young).contains(&"alarm too-young honest 1.0.0".to_owned()),
        "{young}"
    );
    let asked = server.requests_of("/honest");
    assert_eq!(asked.last().unwrap().headers["accept"], "application/json");
}

#[test]
fn other_tools_locks_are_held_against_the_registry_as_far_as_they_say_something() {
    let temp = Temp::new();
    let server = Server::new();
    let digest = |text: &str| Digest::of(Algorithm::Sha512, text.as_bytes()).sri();
    for name in ["honest", "hooked", "swapped"] {
        let dist = json!({"integrity": digest(name),
            "tarball": server.url(&format!("/{name}/-/{name}-1.0.0.tgz"))});
        let version = json!({"dist": dist, "hasInstallScript": name == "hooked"});
        let document = json!({"name": name, "versions": {"1.0.0": version}});
        server.put(&format!("/{name}"), document.to_string());
    }
    let of = |name: &str| digest(if name == "swapped" { "other" } else { name });
    let each = |line: &dyn Fn(&str) -> String| -> String {
        ["honest", "hooked", "swapped"].map(line).concat()
    };
    let pnpm = each(&|name| {
        format!(
            "  {name}@1.0.0:\n    resolution: {{integrity: {}}}\n",
            of(name)
        )
    });
    let bun = each(&|name| {
        format!(
            "\"{name}\": [\"{name}@1.0.0\", \"\", {{}}, \"{}\"],\n",
            of(name)
        )
    });
    let yarn = each(&|name| {
        let url = server.url(&format!("/{name}/-/{name}-1.0.0.tgz"));
        format!(
            "{name}@^1:\n  version \"1.0.0\"\n  resolved \"{url}#0\"\n  integrity {}\n\n",
            of(name)
        )
    });
    let berry = each(&|name| {
        format!(
            "\"{name}@npm:^1\":\n  version: 1.0.0\n  resolution: \"{name}@npm:1.0.0\"\n  checksum: 10c0/a\n\n"
        )
    });
    let swapped = "alarm digest-changed swapped 1.0.0";
    let hooked = "note install-script hooked 1.0.0";
    let unknown = ["honest", "hooked", "swapped"].map(|name| format!("note not-held {name} 1.0.0"));
    for (file, text, expected) in [
        (
            "pnpm-lock.yaml",
            format!("lockfileVersion: '9.0'\npackages:\n{pnpm}"),
            vec![swapped, hooked],
        ),
        (
            "bun.lock",
            format!("{{\"lockfileVersion\": 1, \"packages\": {{{bun}}}}}"),
            vec![swapped, hooked],
        ),
        ("yarn.lock", yarn, vec![swapped, hooked]),
        (
            "berry/yarn.lock",
            format!("__metadata:\n  version: 8\n\n{berry}"),
            {
                let notes = unknown.iter().map(String::as_str);
                [hooked].into_iter().chain(notes).collect()
            },
        ),
    ] {
        let lock = temp.write(file, text);
        let ran = audit(
            &temp,
            &lock,
            &[
                "--json",
                "--fail-on",
                "never",
                "--registry",
                &server.url("/"),
            ],
        )
        .ok();
        assert_eq!(found(&ran), expected, "{file}: {ran}");
    }
    // Without a registry it is said what to do.
    let ran = audit(&temp, &temp.join("bun.lock"), &[]).ok();
    assert!(ran.stdout.contains("name it with --registry"), "{ran}");
}
