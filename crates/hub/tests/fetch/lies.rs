//! Servers that say another length or checksum than they send, or no JSON.

use crate::server::{COMMIT, Content, Reply, content};
use crate::{Hub, file};
use ridgeline_hub::Error;

/// A server whose answers for files pass through `lie`.
fn lying(lie: impl Fn(Reply) -> Reply + Send + Sync + 'static) -> Hub {
    let fault = move |request: &crate::server::Request, _: usize, reply| {
        if request.is_file() { lie(reply) } else { reply }
    };
    Hub::of(vec![file()], Box::new(fault))
}

#[test]
fn other_bytes_are_refused_and_deleted() {
    let hub = lying(|mut reply| {
        reply.body[699_999] ^= 1;
        reply
    });
    let error = hub.fetch("a/b").expect_err("the checksum differs");
    assert!(
        matches!(error, Error::Checksum { .. }) && error.to_string().contains("m-Q4_K_M.gguf"),
        "{error}"
    );
    hub.has_nothing();
    assert!(hub.blobs().is_empty(), "{:?}", hub.blobs());
    assert_eq!(hub.server.file_requests().len(), 1, "a lie is not asked for again");
}

#[test]
fn another_length_than_listed_is_refused() {
    for length in ["7", "700002", "999999999999"] {
        let hub = lying(move |reply| reply.with("Content-Length", length));
        let error = hub.fetch("a/b").expect_err("the length differs");
        assert!(matches!(error, Error::Length { expected: 700_001, .. }), "{error}");
        hub.has_nothing();
    }
}

#[test]
fn more_than_listed_is_refused() {
    // Chunks say no length in advance.
    let hub = lying(|mut reply| {
        reply.body.extend([0; 100_000]);
        let body = [format!("{:x}\r\n", reply.body.len()).as_bytes(), &reply.body, b"\r\n0\r\n\r\n"].concat();
        let chunked = ("Transfer-Encoding", "chunked".to_owned());
        Reply { status: 200, headers: vec![chunked, ("Content-Length", String::new())], body, stall: false }
    });
    let error = hub.fetch("a/b").expect_err("there is too much");
    assert!(matches!(error, Error::Length { expected: 700_001, .. }), "{error}");
    hub.has_nothing();
    assert!(hub.blobs().is_empty(), "{:?}", hub.blobs());
}

#[test]
fn another_range_than_asked_for_is_not_used() {
    let hub = lying(|reply| match reply.status {
        200 => reply.with("Content-Length", "700001").cut(1000),
        _ => reply.with("Content-Range", "bytes 5-700000/700001"),
    });
    assert!(hub.fetch("a/b").is_err());
    hub.has_nothing();
}

#[test]
fn a_list_that_is_none_is_refused() {
    let evil = r#"{"sha":"../../../../../../../../../../../../evil","siblings":[]}"#;
    for body in ["<!doctype html><title>Sign in</title>", "", "{}", evil] {
        let fault = |_: &crate::server::Request, _: usize, _| Reply {
            status: 200,
            headers: Vec::new(),
            body: body.as_bytes().to_vec(),
            stall: false,
        };
        let error = Hub::of(Vec::new(), Box::new(fault)).fetch("a/b").expect_err("it is no list");
        assert!(
            matches!(error, Error::Answer { .. }) && error.to_string().contains("HF_ENDPOINT"),
            "{error}"
        );
    }
}

#[test]
fn a_name_that_leaves_the_folder_is_never_asked_for() {
    let hub = Hub::of(
        vec![content("../../m-Q4_K_M.gguf", 9, true), content("/m.gguf", 9, true)],
        Box::new(|_, _, it| it),
    );
    assert!(matches!(hub.fetch("a/b"), Err(Error::NoWeights { .. })));
    assert!(hub.server.file_requests().is_empty());
}

/// The list of files as servers without `blobs=true` send it.
fn plain_list(files: &[Content]) -> Vec<u8> {
    let names: Vec<String> = files.iter().map(|it| format!(r#"{{"rfilename":"{}"}}"#, it.name)).collect();
    format!(r#"{{"sha":"{COMMIT}","siblings":[{}]}}"#, names.join(",")).into_bytes()
}

#[test]
fn a_checksum_in_a_header_counts_too() {
    for wrong in [false, true] {
        let fault = move |request: &crate::server::Request, _: usize, mut reply: Reply| {
            if !request.is_file() {
                reply.body = plain_list(&[file()]);
            } else if wrong {
                reply.body[3] ^= 1;
            }
            reply
        };
        let hub = Hub::of(vec![file()], Box::new(fault));
        match hub.fetch("a/b") {
            Ok(_) => assert!(!wrong),
            Err(error) => assert!(wrong && matches!(error, Error::Checksum { .. }), "{error}"),
        }
        if !wrong {
            hub.has(&file());
        }
    }
}

#[test]
fn without_any_checksum_the_length_counts() {
    let fault = |request: &crate::server::Request, before: usize, mut reply: Reply| {
        reply.headers.retain(|it| it.0 != "ETag");
        if !request.is_file() {
            reply.body = plain_list(&[file()]);
        } else if before == 1 {
            reply = reply.with("Content-Length", "700001").cut(9);
        }
        reply
    };
    let hub = Hub::of(vec![file()], Box::new(fault));
    hub.fetch("a/b").expect("the second request ends it");
    hub.has(&file());
}
