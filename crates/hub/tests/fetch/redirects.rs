//! Redirects, and who sees the token.

use crate::server::{Reply, Request, Server, content};
use crate::{Hub, file, parse, token};
use ridgeline_hub::{Error, Options, fetch};

fn has_token(request: &Request) -> bool {
    request.headers.get("authorization").is_some_and(|it| it == "Bearer hf_secret")
}

#[test]
fn the_token_goes_to_the_endpoint_only() {
    let elsewhere = Server::of(vec![file()]);
    let to = elsewhere.endpoint.clone();
    let hub = Hub::of(
        vec![file()],
        Box::new(move |request, _, reply| match request.is_file() {
            true => Reply::status(302, ("Location", &format!("{to}{}?Signature=private", request.path))),
            false => reply,
        }),
    );
    let options = Options { token: Some(token()), ..hub.options() };
    fetch(&parse("a/b"), &options, &mut |_| ()).expect("it is served");
    hub.has(&file());
    assert!(hub.server.requests().iter().all(has_token), "the endpoint sees the token");
    let there = elsewhere.requests();
    assert!(there.len() == 1 && there[0].path.ends_with("?Signature=private"), "{there:?}");
    assert!(!there[0].headers.contains_key("authorization"), "another host does not");
}

#[test]
fn a_renamed_repository_is_followed() {
    let hub = Hub::of(
        vec![file()],
        Box::new(|request, _, reply| match request.path.strip_prefix("/api/models/a/b") {
            Some(rest) => Reply::status(307, ("Location", &format!("/api/models/new/b{rest}"))),
            None if request.path.starts_with("/a/b/") => {
                Reply::status(307, ("Location", &request.path.replacen("/a/b", "/new/b", 1)))
            }
            None => reply,
        }),
    );
    let options = Options { token: Some(token()), ..hub.options() };
    fetch(&parse("a/b"), &options, &mut |_| ()).expect("it is served");
    hub.has(&file());
    let requests = hub.server.requests();
    assert!(requests.len() == 4 && requests.iter().all(has_token), "{requests:?}");
}

#[test]
fn a_redirect_to_nowhere_is_an_error() {
    for location in ["/again", "file:///etc/passwd", ""] {
        let hub = Hub::of(
            vec![content("m.gguf", 9, true)],
            Box::new(move |request, _, reply| match request.path.contains("/api/") {
                true => reply,
                false => Reply::status(302, ("Location", location)),
            }),
        );
        let error = hub.fetch("a/b").expect_err(location);
        assert!(matches!(error, Error::Answer { .. }) && error.to_string().contains("redirect"), "{error}");
        assert!(hub.server.requests().len() <= 12);
        hub.has_nothing();
    }
}

#[test]
fn a_secret_of_an_address_is_not_printed() {
    let hub = Hub::of(
        vec![file()],
        Box::new(|request, _, reply| match request.path.contains("Signature") {
            true => Reply::status(403, ("X-Error-Message", "expired")),
            false if request.is_file() => Reply::status(302, ("Location", "/x?Signature=private")),
            false => reply,
        }),
    );
    let error = hub.fetch("a/b").expect_err("it is denied").to_string();
    assert!(error.contains("/x: ") && error.contains("expired") && !error.contains("private"), "{error}");
}
