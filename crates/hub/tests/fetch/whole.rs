//! What is fetched, and that it is fetched once.

use crate::server::{COMMIT, checksum, content};
use crate::{Hub, file, parse};
use ridgeline_hub::{Error, Event, Options, fetch};
use std::fs;
use std::sync::Mutex;
use std::thread;

#[test]
fn a_file_is_fetched_once() {
    let wanted = file();
    let others = [content("m-Q8_0.gguf", 9, true), content("README.md", 9, false)];
    let hub = Hub::of([others.to_vec(), vec![wanted.clone()]].concat(), Box::new(|_, _, it| it));
    let fetched = hub.fetch("a/b").expect("it is served");
    assert_eq!(fetched.found.label, wanted.name);
    assert_eq!(fetched.commit.as_deref(), Some(COMMIT));
    assert!(fetched.files.len() == 1 && fetched.files[0].downloaded);
    assert_eq!(fetched.files[0].checksum.as_deref(), Some(&*checksum(&wanted)));
    hub.has(&wanted);
    assert_eq!(hub.blobs(), [checksum(&wanted)]);
    assert_eq!(fs::read_to_string(hub.path("refs/main")).expect("a revision"), COMMIT);

    let again = hub.fetch("a/b").expect("it is there");
    assert!(!again.files[0].downloaded && again.found == fetched.found);
    let offline = Options { offline: true, ..hub.options() };
    let found = fetch(&parse("a/b"), &offline, &mut |_| ()).expect("it is there").found;
    assert_eq!(found, fetched.found);
    assert_eq!(hub.server.file_requests().len(), 1);
    hub.fetch("a/b:q8_0").expect("it is served");
    hub.has(&others[0]);
    assert_eq!(hub.fetch("a/b").expect("it is there").found, fetched.found, "the same file is the default");
}

#[test]
fn all_parts_and_whole_folders_are_fetched() {
    let parts = [
        content("x/m-Q8_0-00001-of-00002.gguf", 1000, true),
        content("x/m-Q8_0-00002-of-00002.gguf", 900, true),
    ];
    let hub = Hub::of(parts.to_vec(), Box::new(|_, _, it| it));
    let fetched = hub.fetch("a/b:Q8_0").expect("they are served");
    assert!(fetched.found.path.ends_with(parts[0].name));
    parts.iter().for_each(|it| hub.has(it));

    let folder = [
        content("model.safetensors", 5000, true),
        content("config.json", 100, false),
        content("tokenizer.json", 0, false),
        content("pytorch_model.bin", 1, true),
    ];
    let hub = Hub::of(folder.to_vec(), Box::new(|_, _, it| it));
    let fetched = hub.fetch("a/b@v1.0").expect("they are served");
    assert_eq!(
        (fetched.found.path, &*fetched.found.label),
        (hub.path(&format!("snapshots/{COMMIT}")), "a/b")
    );
    folder[..3].iter().for_each(|it| hub.has(it));
    let asked: Vec<String> = hub.server.file_requests().into_iter().map(|it| it.path).collect();
    assert!(asked.len() == 3 && asked[2].ends_with("model.safetensors"), "the weights are last: {asked:?}");
    assert!(hub.server.requests()[0].path.contains("/revision/v1.0?"));
    assert!(hub.path("refs/v1.0").exists() && !hub.path("refs/main").exists());
}

#[test]
fn a_file_of_another_program_is_used() {
    let wanted = file();
    let hub = Hub::of(vec![wanted.clone()], Box::new(|_, _, it| it));
    fs::create_dir_all(hub.path("blobs")).expect("a folder");
    fs::write(hub.path("blobs").join(checksum(&wanted)), &wanted.bytes).expect("a file");
    assert!(!hub.fetch("a/b").expect("it is there").files[0].downloaded);
    hub.has(&wanted);
    // One of another length is not the file.
    fs::write(hub.path("blobs").join(checksum(&wanted)), "short").expect("a file");
    assert!(hub.fetch("a/b").expect("it is served").files[0].downloaded);
    hub.has(&wanted);
}

#[test]
fn several_fetch_at_once() {
    let wanted = file();
    let slow = Box::new(|request: &crate::server::Request, _: usize, reply| {
        if request.is_file() {
            thread::sleep(std::time::Duration::from_millis(200));
        }
        reply
    });
    let hub = Hub::of(vec![wanted.clone()], slow);
    let waited = Mutex::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                fetch(&parse("a/b"), &hub.options(), &mut |event| {
                    if matches!(event, Event::Waiting { .. }) {
                        *waited.lock().expect("no panic") += 1;
                    }
                })
                .expect("it is served");
            });
        }
    });
    assert_eq!(hub.server.file_requests().len(), 1, "one of them downloads");
    assert_eq!(*waited.lock().expect("no panic"), 3);
    hub.has(&wanted);
    // None ever reads half of what another writes.
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(!hub.fetch("a/b").expect("it is served").files[0].downloaded);
                }
            });
        }
    });
}

#[test]
fn without_a_network_the_cache_is_used() {
    let hub = Hub::of(vec![file()], Box::new(|_, _, it| it));
    let nowhere = Options { endpoint: "http://127.0.0.1:9".to_owned(), ..hub.options() };
    let error = fetch(&parse("a/b"), &nowhere, &mut |_| ()).expect_err("nothing is there");
    assert!(
        matches!(error, Error::Connection { .. }) && error.to_string().contains("127.0.0.1:9"),
        "{error}"
    );
    let fetched = hub.fetch("a/b").expect("it is served");
    let mut reasons = Vec::new();
    let found = fetch(&parse("a/b"), &nowhere, &mut |event| {
        if let Event::Unreachable { reason } = event {
            reasons.push(reason);
        }
    });
    assert_eq!(found.expect("it is there").found, fetched.found);
    assert_eq!(reasons.len(), 1);
}
