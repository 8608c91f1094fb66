//! Fetching from a server on this machine that breaks off, lies, denies and redirects.

mod server;

#[path = "fetch/breaks.rs"]
mod breaks;
#[path = "fetch/lies.rs"]
mod lies;
#[path = "fetch/redirects.rs"]
mod redirects;
#[path = "fetch/statuses.rs"]
mod statuses;
#[path = "fetch/whole.rs"]
mod whole;

use ridgeline_hub::{Error, Event, Fetched, Name, Options, Token, fetch};
use server::{COMMIT, Content, Fault, Server, content};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

/// A server and an empty cache.
struct Hub {
    server: Server,
    folder: TempDir,
}

impl Hub {
    fn of(files: Vec<Content>, fault: Fault) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { server: Server::faulty(files, fault), folder }
    }

    fn options(&self) -> Options {
        Options {
            endpoint: self.server.endpoint.clone(),
            cache: self.folder.path().to_owned(),
            token: None,
            offline: false,
            stall: Duration::from_millis(500),
            pause: Duration::from_millis(1),
        }
    }

    fn fetch(&self, name: &str) -> Result<Fetched, Error> {
        fetch(&parse(name), &self.options(), &mut |_| ())
    }

    /// Fetches a file, and returns how often it was tried again.
    fn tries(&self, name: &str) -> (Result<Fetched, Error>, usize) {
        let mut again = 0;
        let done = fetch(&parse(name), &self.options(), &mut |event| {
            again += usize::from(matches!(event, Event::Retry { .. }));
        });
        (done, again)
    }

    /// A path in the repository's folder.
    fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join("models--a--b").join(path)
    }

    /// Names of the files in `blobs`.
    fn blobs(&self) -> Vec<String> {
        let read = fs::read_dir(self.path("blobs")).into_iter().flatten().flatten();
        let mut names: Vec<String> = read.map(|it| it.file_name().into_string().expect("ASCII")).collect();
        names.sort();
        names
    }

    /// Asserts that the cache has the whole file and no part of one.
    #[track_caller]
    fn has(&self, file: &Content) {
        let found = fs::read(self.path(&format!("snapshots/{COMMIT}/{}", file.name))).expect("it is there");
        assert!(found == file.bytes, "{} differs", file.name);
        assert!(self.blobs().iter().all(|it| !it.contains("incomplete")), "{:?}", self.blobs());
    }

    /// Asserts that nothing of a model is in the cache that could be opened.
    #[track_caller]
    fn has_nothing(&self) {
        let offline = Options { offline: true, ..self.options() };
        let error = fetch(&parse("a/b"), &offline, &mut |_| ()).expect_err("nothing is there");
        assert!(matches!(error, Error::Offline { .. }), "{error}");
        assert!(!self.path("snapshots").exists(), "no file has its name");
    }
}

fn parse(name: &str) -> Name {
    name.parse().expect("a name")
}

/// A file of some length.
fn file() -> Content {
    content("m-Q4_K_M.gguf", 700_001, true)
}

/// A token for tests.
fn token() -> Token {
    Token::new("hf_secret", "test").expect("a token")
}
