//! Connections that break off or stall, and downloads that continue.

use crate::server::{Reply, Request, checksum};
use crate::{Hub, file};
use ridgeline_hub::Error;
use std::fs;

/// The first bytes that the requests for files ask for.
fn begins(hub: &Hub) -> Vec<Option<usize>> {
    hub.server.file_requests().iter().map(Request::from).collect()
}

#[test]
fn a_broken_download_continues() {
    let full = file().bytes.len().to_string();
    let hub = Hub::of(
        vec![file()],
        Box::new(move |request, _, reply| match request.from() {
            None if request.is_file() => reply.with("Content-Length", &full).cut(300_000),
            Some(from) if from < 600_000 => reply.with("Content-Length", "400001").cut(300_000),
            _ => reply,
        }),
    );
    let (done, again) = hub.tries("a/b");
    done.expect("the third request ends it");
    assert_eq!((again, begins(&hub)), (2, vec![None, Some(300_000), Some(600_000)]));
    hub.has(&file());
}

#[test]
fn a_stalled_download_continues() {
    let hub = Hub::of(
        vec![file()],
        Box::new(|request, _, mut reply| {
            if request.is_file() && request.from().is_none() {
                reply = reply.with("Content-Length", "700001").cut(1000);
                reply.stall = true;
            }
            reply
        }),
    );
    hub.fetch("a/b").expect("the second request ends it");
    assert_eq!(begins(&hub), [None, Some(1000)]);
    hub.has(&file());
}

#[test]
fn the_part_of_an_earlier_process_continues() {
    let hub = Hub::of(vec![file()], Box::new(|_, _, it| it));
    let part = hub.path("blobs").join(format!("{}.incomplete", checksum(&file())));
    fs::create_dir_all(hub.path("blobs")).expect("a folder");
    fs::write(&part, &file().bytes[..123_456]).expect("a part");
    hub.fetch("a/b").expect("it is served");
    assert_eq!(begins(&hub), [Some(123_456)]);
    hub.has(&file());
}

#[test]
fn a_part_of_something_else_is_not_used() {
    for length in [10, 700_001, 800_000] {
        let hub = Hub::of(vec![file()], Box::new(|_, _, it| it));
        let part = hub.path("blobs").join(format!("{}.incomplete", checksum(&file())));
        fs::create_dir_all(hub.path("blobs")).expect("a folder");
        fs::write(&part, vec![7; length]).expect("a part");
        hub.fetch("a/b").expect("it is served");
        assert_eq!(begins(&hub).last(), Some(&None), "from the beginning");
        hub.has(&file());
    }
}

#[test]
fn a_server_without_ranges_sends_all_again() {
    let hub = Hub::of(
        vec![file()],
        Box::new(|request, before, reply| {
            let whole = Reply { status: 200, headers: Vec::new(), body: file().bytes, stall: false };
            match before {
                1 => whole.with("Content-Length", "700001").cut(50_000),
                _ if request.is_file() => whole,
                _ => reply,
            }
        }),
    );
    hub.fetch("a/b").expect("it is served");
    assert_eq!(begins(&hub), [None, Some(50_000)]);
    hub.has(&file());
}

#[test]
fn a_server_that_always_breaks_off_fails() {
    // It sends the beginning each time, so that there is no progress after the first.
    let hub = Hub::of(
        vec![file()],
        Box::new(|request, _, reply| {
            let body = file().bytes[..1000].to_vec();
            let cut = Reply {
                status: 200,
                headers: vec![("Content-Length", "700001".to_owned())],
                body,
                stall: false,
            };
            if request.is_file() { cut } else { reply }
        }),
    );
    let error = hub.fetch("a/b").expect_err("it breaks off");
    assert!(matches!(error, Error::Connection { .. }), "{error}");
    assert!(hub.server.file_requests().len() <= 6, "it does not go on for ever");
    hub.has_nothing();
}
