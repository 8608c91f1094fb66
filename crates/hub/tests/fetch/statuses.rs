//! Answers other than success.

use crate::server::Reply;
use crate::{Hub, file};
use ridgeline_hub::Error;
use std::time::{Duration, Instant};

/// A server whose answers have a status and a header: all of them, or the first `count`.
fn answering(status: u16, header: (&'static str, &'static str), count: usize) -> Hub {
    let fault = move |_: &crate::server::Request, before: usize, reply| {
        if before < count { Reply::status(status, header) } else { reply }
    };
    Hub::of(vec![file()], Box::new(fault))
}

#[test]
fn denied_and_missing_models_say_what_to_do() {
    for (status, parts) in [(401, ["HF_TOKEN", "401"]), (403, ["terms", "403"]), (404, ["spelling", "404"])] {
        let hub = answering(status, ("X-Error-Message", "the server's words"), usize::MAX);
        let error = hub.fetch("a/b").expect_err("it is denied").to_string();
        assert!(parts.iter().all(|it| error.contains(it)) && error.contains("the server's words"), "{error}");
        assert_eq!(hub.server.requests().len(), 1, "another request would be denied too");
        hub.has_nothing();
    }
}

#[test]
fn a_busy_server_is_asked_again_when_it_says() {
    let hub = answering(429, ("Retry-After", "1"), 1);
    let begun = Instant::now();
    hub.fetch("a/b").expect("the second request is served");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    hub.has(&file());

    let hub = answering(429, ("Retry-After", "86400"), usize::MAX);
    let error = hub.fetch("a/b").expect_err("a day is too long");
    assert!(error.to_string().contains("try again in 86400 s"), "{error}");
    assert_eq!(hub.server.requests().len(), 1);
}

#[test]
fn a_failing_server_is_asked_five_times() {
    for (status, count) in [(500, 2), (502, 1), (503, 4), (408, 1), (429, 4)] {
        let hub = answering(status, ("X-Error-Code", "Internal"), count);
        let (done, again) = hub.tries("a/b");
        done.expect("it is served at last");
        assert_eq!(again, count);
        hub.has(&file());
    }
    let hub = answering(504, ("X-Error-Code", "Internal"), usize::MAX);
    let (done, again) = hub.tries("a/b");
    assert!(matches!(done, Err(Error::Status { status: 504, .. })) && again == 4, "{done:?}");
    hub.has_nothing();
    let hub = answering(418, ("X-Error-Code", "Teapot"), usize::MAX);
    assert!(hub.fetch("a/b").is_err() && hub.server.requests().len() == 1);
}

#[test]
fn a_file_that_is_listed_and_denied_leaves_nothing() {
    let fault = |request: &crate::server::Request, _: usize, reply| {
        if request.is_file() { Reply::status(403, ("X-Error-Code", "GatedRepo")) } else { reply }
    };
    let hub = Hub::of(vec![file()], Box::new(fault));
    let error = hub.fetch("a/b").expect_err("it is gated");
    assert!(matches!(error, Error::Denied { .. }) && error.to_string().contains("GatedRepo"), "{error}");
    hub.has_nothing();
}
