//! A server with the Hub's interface on this machine, which misbehaves on demand.

use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The commit of every repository.
pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A request: path with query, and headers with names in lower case.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Request {
    /// The first byte of the `Range` header.
    pub(crate) fn from(&self) -> Option<usize> {
        self.headers.get("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    /// Whether it is for a file, and not for the list of files.
    pub(crate) fn is_file(&self) -> bool {
        self.path.contains("/resolve/")
    }
}

/// An answer. `body` is sent, whatever the headers say.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// Keeps the connection open after the body, without sending anything.
    pub(crate) stall: bool,
}

impl Reply {
    /// A status with a header.
    pub(crate) fn status(status: u16, header: (&'static str, &str)) -> Self {
        Self { status, headers: vec![(header.0, header.1.to_owned())], body: Vec::new(), stall: false }
    }

    /// This reply, of which only the first `bytes` are sent.
    pub(crate) fn cut(mut self, bytes: usize) -> Self {
        self.body.truncate(bytes);
        self
    }

    /// This reply with another value of a header.
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|it| it.0 != name);
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// A file of the repository.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Whether Git LFS has it, so that its checksum is a SHA-256.
    pub(crate) lfs: bool,
}

/// A file with bytes that differ everywhere.
pub(crate) fn content(name: &'static str, length: usize, lfs: bool) -> Content {
    let seed = name.len() * 7;
    let byte = |i: usize| u8::try_from((i * i + seed) % 251).unwrap_or_default();
    let bytes = (0..length).map(byte).collect();
    Content { name, bytes, lfs }
}

/// What the server answers in place of the truth: by request, and the number of requests before it.
pub(crate) type Fault = Box<dyn Fn(&Request, usize, Reply) -> Reply + Send + Sync>;

/// A running server.
pub(crate) struct Server {
    pub(crate) endpoint: String,
    log: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Serves one repository without faults.
    pub(crate) fn of(files: Vec<Content>) -> Self {
        Self::faulty(files, Box::new(|_, _, reply| reply))
    }

    /// Serves one repository. Every reply passes through `fault`.
    pub(crate) fn faulty(files: Vec<Content>, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::new((files, fault, log.clone()));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = shared.clone();
                thread::spawn(move || answer(stream, &shared));
            }
        });
        Self { endpoint, log }
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests for files so far.
    pub(crate) fn file_requests(&self) -> Vec<Request> {
        self.requests().into_iter().filter(Request::is_file).collect()
    }
}

type Shared = (Vec<Content>, Fault, Arc<Mutex<Vec<Request>>>);

fn answer(mut stream: TcpStream, (files, fault, log): &Shared) {
    let Some(request) = read(&stream) else { return };
    let before = {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        log.push(request.clone());
        log.len() - 1
    };
    let reply = fault(&request, before, truth(files, &request));
    let mut head = format!("HTTP/1.1 {} status\r\nConnection: close\r\n", reply.status);
    for (name, value) in reply.headers.iter().filter(|it| !it.1.is_empty()) {
        head += &format!("{name}: {value}\r\n");
    }
    if !reply.headers.iter().any(|it| it.0 == "Content-Length") {
        head += &format!("Content-Length: {}\r\n", reply.body.len());
    }
    // A client that hangs up is none of the server's business.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(b"\r\n"));
    let _ = stream.write_all(&reply.body);
    if reply.stall {
        thread::sleep(Duration::from_secs(600));
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    for line in lines.map_while(Result::ok) {
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some(Request { path, headers })
}

/// The list of files, or a file from the byte that is asked for.
fn truth(files: &[Content], request: &Request) -> Reply {
    if request.path.starts_with("/api/models/") {
        let body = listing(files).into_bytes();
        return Reply { status: 200, headers: Vec::new(), body, stall: false };
    }
    let path = request.path.split('?').next().unwrap_or_default();
    let name = path.split_once(&format!("/resolve/{COMMIT}/")).map(|it| it.1);
    let Some(file) = files.iter().find(|it| Some(it.name) == name) else {
        return Reply::status(404, ("X-Error-Code", "EntryNotFound"));
    };
    let total = file.bytes.len();
    let etag = ("ETag", format!("\"{}\"", checksum(file)));
    match request.from() {
        None => Reply { status: 200, headers: vec![etag], body: file.bytes.clone(), stall: false },
        Some(from) if from >= total => Reply::status(416, ("Content-Range", &format!("bytes */{total}"))),
        Some(from) => {
            let range = ("Content-Range", format!("bytes {from}-{}/{total}", total - 1));
            Reply { status: 206, headers: vec![etag, range], body: file.bytes[from..].to_vec(), stall: false }
        }
    }
}

fn listing(files: &[Content]) -> String {
    let sibling = |it: &Content| {
        let (bytes, checksum) = (it.bytes.len(), checksum(it));
        let lfs = if it.lfs {
            format!(r#","lfs":{{"sha256":"{checksum}","size":{bytes}}}"#)
        } else {
            String::new()
        };
        let blob = if it.lfs { COMMIT } else { &checksum };
        format!(r#"{{"rfilename":"{}","size":{bytes},"blobId":"{blob}"{lfs}}}"#, it.name)
    };
    let siblings: Vec<String> = files.iter().map(sibling).collect();
    format!(r#"{{"sha":"{COMMIT}","siblings":[{}]}}"#, siblings.join(","))
}

/// The checksum that the Hub names.
pub(crate) fn checksum(file: &Content) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|it| format!("{it:02x}")).collect();
    if file.lfs {
        return hex(&Sha256::digest(&file.bytes));
    }
    let object = [format!("blob {}\0", file.bytes.len()).as_bytes(), &file.bytes].concat();
    hex(&Sha1::digest(object))
}
