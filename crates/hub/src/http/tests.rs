//! Tests of addresses, and of a body that stalls.

use super::{Watched, encoded, origin, resolve, without_query};
use std::io::{self, Read};
use std::time::Duration;

#[test]
fn the_origin_is_scheme_and_host() {
    let same = [
        ("https://a.b/c", "https://A.B:443/d?e"),
        ("http://a.b", "HTTP://a.b:80"),
        ("http://127.0.0.1:99/x", "http://127.0.0.1:99"),
    ];
    for (a, b) in same {
        assert_eq!(origin(a), origin(b), "{a} {b}");
    }
    let other =
        ["http://a.b", "https://a.b:444", "https://a.b.c", "https://a.b@evil", "https://evil/https://a.b"];
    for it in other {
        assert_ne!(origin("https://a.b/c"), origin(it), "{it}");
    }
}

#[test]
fn a_relative_address_is_resolved() {
    let to = |location| resolve("https://a.b/c/d?e=/f", location);
    assert_eq!(to("https://x.y/z").as_deref(), Some("https://x.y/z"));
    assert_eq!(to("//x.y/z").as_deref(), Some("https://x.y/z"));
    assert_eq!(to("/z?q").as_deref(), Some("https://a.b/z?q"));
    assert_eq!(to("z").as_deref(), Some("https://a.b/c/z"));
    assert_eq!(to("?q").as_deref(), Some("https://a.b/c/d?q"));
    assert_eq!(resolve("https://a.b", "z").as_deref(), Some("https://a.b/z"));
    for not_http in ["file:///etc/passwd", "ftp://x.y/z", "javascript:0"] {
        assert_eq!(to(not_http), None, "{not_http}");
    }
}

#[test]
fn paths_are_encoded_and_queries_are_hidden() {
    assert_eq!(encoded("a b/c#1+ü.gguf", true), "a%20b/c%231%2B%C3%BC.gguf");
    assert_eq!(encoded("refs/pr/1", false), "refs%2Fpr%2F1");
    assert_eq!(without_query("https://a.b/c?Signature=secret#x"), "https://a.b/c");
}

/// Sends some bytes, then never anything.
struct Stalls(bool);

impl Read for Stalls {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if std::mem::replace(&mut self.0, true) {
            std::thread::sleep(Duration::from_secs(3600));
        }
        buffer[..3].copy_from_slice(b"abc");
        Ok(3)
    }
}

#[test]
fn a_body_that_stalls_is_an_error() {
    let mut body = Watched::new(Stalls(false), Duration::from_millis(50));
    let mut buffer = [0; 2];
    assert_eq!((body.read(&mut buffer).expect("it reads"), &buffer), (2, b"ab"));
    assert_eq!(body.read(&mut buffer).expect("it reads"), 1);
    assert_eq!(body.read(&mut buffer).expect_err("it stalls").kind(), io::ErrorKind::TimedOut);
    let mut text = String::new();
    Watched::new(&b"all of it"[..], Duration::from_secs(9)).read_to_string(&mut text).expect("it reads");
    assert_eq!(text, "all of it");
}
